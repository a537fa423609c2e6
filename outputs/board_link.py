"""The line to a board with our firmware: commands go out at once, a thread hears answers."""

import secrets
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from core.errors import DeviceError
from outputs.board_frames import (
    PROTOCOL,
    Cause,
    Frame,
    Kind,
    Mode,
    Splitter,
    Status,
    decoded,
    encoded,
)
from outputs.board_news import CAUSES, BoardClock, Changed, News, refusal, tripping
from outputs.input import Broken
from outputs.output import Done
from outputs.port import Port

START_S = 4.0
"""Opening the port restarts many boards; the firmware answers 2 s later at the latest."""
HELLO_EVERY_S = 0.2
ANSWER_S = 0.5
"""A command that was not answered for so long was lost, and so is the board."""
MOST_UNANSWERED = 32
"""The board keeps 48 answers for a busy line."""
LISTEN_S = 0.02


@dataclass(slots=True)
class _Sent:
    kind: Kind
    sent_ns: int
    pin: int
    level: float


@dataclass
class Link:
    """An open board. Commands may be sent from any thread."""

    port: Port
    name: str = ""
    broken: str = ""
    """Why it can't be relied on any more."""
    tripped: bool = False
    """The board says that all its pins are off, and stay so."""
    session: int = field(default_factory=lambda: secrets.randbelow(0xFFFE) + 1)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._answered = threading.Condition(self._lock)
        self._sequence = 0
        self._unanswered: dict[int, _Sent] = {}
        self._splitter = Splitter()
        self._expected = 0
        self._clock = BoardClock()
        self._beat_ns = 0
        self._ears: dict[int, Callable[[News], object]] = {}
        self._seen: set[int] = set()
        self._acted_ns: dict[int, int] = {}
        self._state: tuple[int, ...] = ()
        self._closing = False

    def greet(self) -> None:
        """Wait until the board answers; all its pins are off then."""
        link = self.port.link
        link.timeout = LISTEN_S
        payload = struct.pack("<BH", PROTOCOL, self.session)
        hello = b"\0" + encoded(0, Kind.HELLO, payload, self.session)
        give_up_s = time.perf_counter() + START_S
        while time.perf_counter() < give_up_s:
            self.port.write(hello)
            again_s = time.perf_counter() + HELLO_EVERY_S
            while time.perf_counter() < again_s:
                for coded in self._splitter.frames(self._read()):
                    with suppress(ValueError):
                        frame = decoded(coded, self.session)
                        if frame.kind == Kind.IDENTITY:
                            self._met(frame)
                            return
        raise DeviceError(
            f"{self.port.name} is open, but nothing on it answers; is our firmware on "
            "the board (docs/board.md)?"
        )

    @contextmanager
    def pin(
        self,
        number: int,
        mode: Mode,
        value_s: float,
        hear: Callable[[News], object],
        watchdog_ms: int = 0,
    ) -> Iterator[None]:
        """Use a pin; `value_s` is its longest time on, or its debounce time.

        The board is asked and answers; DeviceError: it refuses. `hear` is told what the
        board says of this pin, by the thread that reads.
        """
        payload = struct.pack("<BBI", number, mode, round(value_s * 1e6))
        if mode in (Mode.DIGITAL_OUT, Mode.PWM_OUT):
            payload += struct.pack("<H", watchdog_ms)
        if number in self._ears:
            raise DeviceError(f"pin {number} of {self.port.name} is used twice")
        self._ears[number] = hear
        self._seen.discard(number)
        try:
            self._ask(Kind.CONFIGURE, payload, number)
            yield
        finally:
            del self._ears[number]

    def set(self, pin: int, level: float) -> None:
        """Put a pin to a level; returns when it is on its way."""
        if level == 0 and self.tripped:
            return
        payload = bytes([pin, round(255 * level) or int(level > 0)])
        self._send(Kind.SET, payload, pin, level)

    def train(
        self, pin: int, level: float, width_s: float, period_s: float, count: int
    ) -> None:
        """Have the board pulse a pin; returns when the command is on its way."""
        width_us, period_us = round(width_s * 1e6), round(period_s * 1e6)
        duty, layout = round(255 * level) or 1, "<BBIII"
        numbers = struct.pack(layout, pin, duty, width_us, period_us, count)
        self._send(Kind.TRAIN, numbers, pin, level)

    def beat(self, now_ns: int, every_ns: int) -> None:
        """Say that the program's loop has come round, but not too often."""
        if now_ns - self._beat_ns >= every_ns:
            self._beat_ns = now_ns
            self._send(Kind.BEAT, b"")

    def state(self) -> tuple[Cause, int]:
        """Ask the board why it switched off, and which of its outputs are high."""
        self._ask(Kind.ASK_STATE, b"")
        return Cause(self._state[1]), self._state[2]

    @contextmanager
    def listening(self) -> Iterator["Link"]:
        """Hear what the board says as long as the `with` lasts; switch off at its end."""
        thread = threading.Thread(
            target=self._listen, name=f"board at {self.port.name}", daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            with suppress(DeviceError):  # it is told by whoever switched its pins off
                self._ask(Kind.ALL_OFF, b"")
            self._closing = True
            thread.join()

    def _ask(self, kind: Kind, payload: bytes, pin: int = -1) -> None:
        """Send a command and wait until the board has answered it."""
        sequence = self._send(kind, payload, pin)
        with self._answered:
            answered = self._answered.wait_for(
                lambda: sequence not in self._unanswered or self.broken, ANSWER_S
            )
            if self.broken or not answered:
                raise DeviceError(self.broken or self._silence)

    def _send(
        self, kind: Kind, payload: bytes, pin: int = -1, level: float = 0.0
    ) -> int:
        with self._answered:
            self._answered.wait_for(
                lambda: len(self._unanswered) < MOST_UNANSWERED or self.broken, ANSWER_S
            )
            if self.broken:
                raise DeviceError(self.broken)
            self._sequence = (self._sequence + 1) % 256
            now_ns = time.perf_counter_ns()
            sent = _Sent(kind, now_ns, pin, level)
            self._unanswered[self._sequence] = sent
            self.port.write(encoded(self._sequence, kind, payload, self.session))
            return self._sequence

    def _met(self, frame: Frame) -> None:
        protocol, board_us = frame.payload[0], frame.payload[7:11]
        self.name = frame.payload[11:].decode("latin-1")
        if protocol != PROTOCOL:
            raise DeviceError(
                f"the board at {self.port.name} speaks protocol {protocol} and this "
                f"program {PROTOCOL}: put the firmware of this program on it "
                "(docs/board.md)"
            )
        self._expected = (frame.sequence + 1) % 256
        self._clock.learn(int.from_bytes(board_us, "little"), time.perf_counter_ns())

    def _read(self) -> bytes:
        link = self.port.link
        try:
            data: bytes = link.read(1)
            return data + link.read(link.in_waiting) if data else data
        except (OSError, TypeError) as error:
            raise DeviceError(f"{self.port.name} is gone ({error})") from error

    def _listen(self) -> None:
        try:
            while not self._closing:
                data = self._read()
                heard_ns = time.perf_counter_ns()
                for coded in self._splitter.frames(data):
                    self._heard(decoded(coded, self.session), heard_ns)
                self._look_at_the_clock(heard_ns)
        except Exception as error:  # whoever hears it may fail in any way
            self._break(str(error) or type(error).__name__)

    def _look_at_the_clock(self, now_ns: int) -> None:
        with self._lock:
            oldest = next(iter(self._unanswered.values()), None)
        if oldest is not None and now_ns - oldest.sent_ns > ANSWER_S * 1e9:
            raise DeviceError(self._silence)

    @property
    def _silence(self) -> str:
        return f"the board at {self.port.name} did not answer for {ANSWER_S:g} s"

    def _break(self, text: str) -> None:
        with self._answered:
            if self.broken or self._closing:
                return
            self.broken = text
            self._answered.notify_all()
        for hear in [*self._ears.values()]:
            with suppress(
                Exception
            ):  # what can't be recorded; the link is broken anyway
                hear(Broken(text))

    def _heard(self, frame: Frame, heard_ns: int) -> None:
        if frame.kind == Kind.IDENTITY:  # an answer to one of several HELLOs
            self._expected = (frame.sequence + 1) % 256
            return
        if frame.sequence != self._expected:
            raise DeviceError(f"what the board at {self.port.name} said was lost")
        self._expected = (frame.sequence + 1) % 256
        match frame.kind:
            case Kind.ACK:
                sequence, status, board_us = frame.numbers("BBI")
                self._acknowledged(sequence, Status(status), board_us, heard_ns)
            case Kind.STATE:
                self._state = frame.numbers("BBBI")
                self._take(self._state[0])
            case Kind.INPUT_CHANGED:
                pin, high, board_us = frame.numbers("BBI")
                first = pin not in self._seen
                self._seen.add(pin)
                moment_ns = min(self._clock.moment(board_us), heard_ns)
                self._tell(pin, Changed(bool(high), moment_ns, heard_ns, first))
            case Kind.WENT_OFF:
                pin, cause, board_us = frame.numbers("BBI")
                moment_ns = min(self._clock.moment(board_us), heard_ns)
                moment_ns = max(moment_ns, self._acted_ns.get(pin, 0))
                why = CAUSES.get(Cause(cause), "board")
                self._tell(pin, Done(0.0, moment_ns, moment_ns, heard_ns, why))
                if cause != Cause.TRAIN_END:
                    self._break(tripping(self.port.name, cause))
            case Kind.FAULT:
                self.tripped = True
                self._break(tripping(self.port.name, frame.numbers("B")[0]))

    def _tell(self, pin: int, news: News) -> None:
        if hear := self._ears.get(pin):
            hear(news)

    def _take(self, sequence: int) -> _Sent | None:
        with self._answered:
            sent = self._unanswered.pop(sequence, None)
            self._answered.notify_all()
        return sent

    def _acknowledged(
        self, sequence: int, status: Status, board_us: int, heard_ns: int
    ) -> None:
        with self._lock:
            sent = self._unanswered.get(sequence)
        if sent is None:
            raise DeviceError(f"{self.port.name} answered what nobody asked")
        if status is not Status.OK:
            raise DeviceError(refusal(self.port.name, status, sent.pin))
        self._clock.learn(board_us, heard_ns, sent.sent_ns)
        if sent.kind in (Kind.SET, Kind.TRAIN):
            acted_ns = min(max(self._clock.moment(board_us), sent.sent_ns), heard_ns)
            self._acted_ns[sent.pin] = acted_ns
            done = Done(sent.level, sent.sent_ns, acted_ns, heard_ns)
            self._tell(sent.pin, done)
        self._take(sequence)
