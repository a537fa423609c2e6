"""Connection to a board with our firmware: commands are sent at once, a thread reads answers."""

import secrets
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

from deeplabstream.plugin import DeviceError, DeviceReport, InputBroken

from ..serial_line import Port
from .protocol import (
    PROTOCOL,
    TOO_MANY_PULSES,
    Cause,
    MessageType,
    Packet,
    PacketSplitter,
    Status,
    decode_packet,
    encode_packet,
)
from .status_messages import (
    CAUSES,
    BoardClock,
    News,
    PinChange,
    PinPulse,
    noise_text,
    protocol_mismatch_text,
    refusal,
    trip_text,
)

START_S = 4.0
"""Opening the port restarts many boards; the firmware answers 2 s later at the latest."""
HELLO_EVERY_S = 0.2
ANSWER_S = 0.5
"""Time without an answer to a command after which the board counts as failed."""
MOST_UNANSWERED = 32
"""The board can queue 48 answers."""
LISTEN_S = 0.02
COMPARE_NS = 100_000_000
"""Time without a command after which the clock of the board is requested."""


@dataclass(slots=True)
class _Sent:
    kind: MessageType
    sent_ns: int
    pin: int
    level: float


@dataclass
class BoardConnection:
    """Sends commands to a board and reads its answers; thread-safe."""

    port: Port
    name: str = ""
    firmware: tuple[int, int] = (0, 0)
    """Major and minor version of its firmware."""
    broken: str = ""
    """Why the connection has failed; empty: it has not."""
    tripped: bool = False
    """Whether the board has reported that all its pins are off and stay off."""
    session: int = field(default_factory=lambda: secrets.randbelow(0xFFFE) + 1)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._answered = threading.Condition(self._lock)
        self._sequence = 0
        self._unanswered: dict[int, _Sent] = {}
        self._splitter = PacketSplitter()
        self._expected = 0
        self._clock = BoardClock()
        self.listeners: dict[int, Callable[[News], object]] = {}
        """Callback of each pin."""
        self.seen: set[int] = set()
        """Inputs whose first level was reported."""
        self._acted_ns: dict[int, int] = {}
        self.last_state: tuple[int, ...] = ()
        """Values of the last STATE message."""
        self._closing = False
        self._sent_ns = time.perf_counter_ns()
        """Time of the last command."""

    def handshake(self) -> None:
        """Wait until the board answers; all its pins are off then."""
        link = self.port.link
        link.timeout = LISTEN_S
        payload = struct.pack("<BH", PROTOCOL, self.session)
        hello = b"\0" + encode_packet(0, MessageType.HELLO, payload, self.session)
        give_up_s = time.perf_counter() + START_S
        while time.perf_counter() < give_up_s:
            self.port.write(hello)
            again_s = time.perf_counter() + HELLO_EVERY_S
            while time.perf_counter() < again_s:
                for coded in self._splitter.packets(self.port.receive()):
                    with suppress(ValueError):
                        frame = decode_packet(coded, self.session)
                        if frame.kind == MessageType.IDENTITY:
                            self._identify(frame)
                            return
        raise DeviceError(
            f"{self.port.name} is open, but no board answers; is our firmware on "
            "the board (docs/board.md)?"
        )

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """Read from the board in a thread during the block; switch all pins off at its end."""
        thread = threading.Thread(
            target=self._listen, name=f"board at {self.port.name}", daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            with suppress(DeviceError):  # the cause has already been reported
                self.request(MessageType.ALL_OFF, b"")
            self._closing = True
            thread.join()

    def request(self, kind: MessageType, payload: bytes, pin: int = -1) -> None:
        """Send a command and wait until the board has answered it."""
        sequence = self.send(kind, payload, pin)
        with self._answered:
            answered = self._answered.wait_for(
                lambda: sequence not in self._unanswered or self._is_closed(kind),
                ANSWER_S,
            )
            if self._is_closed(kind) or not answered:
                raise DeviceError(self.broken or self._silence)

    def _is_closed(self, kind: MessageType) -> bool:
        """Return whether commands are refused; a board that tripped still reports its state."""
        return bool(self.broken) and not (
            self.tripped and kind is MessageType.GET_STATE
        )

    def send(
        self, kind: MessageType, payload: bytes, pin: int = -1, level: float = 0.0
    ) -> int:
        """Send a command and return its sequence number; DeviceError: the connection failed."""
        with self._answered:
            self._answered.wait_for(
                lambda: len(self._unanswered) < MOST_UNANSWERED or self.broken, ANSWER_S
            )
            if self._is_closed(kind):
                raise DeviceError(self.broken)
            self._sequence = (self._sequence + 1) % 256
            now_ns = time.perf_counter_ns()
            self._sent_ns = now_ns
            sent = _Sent(kind, now_ns, pin, level)
            self._unanswered[self._sequence] = sent
            self.port.write(encode_packet(self._sequence, kind, payload, self.session))
            return self._sequence

    def _identify(self, frame: Packet) -> None:
        protocol, board_us = frame.payload[0], frame.payload[7:11]
        self.firmware = frame.payload[1], frame.payload[2]
        self.name = frame.payload[11:].decode("latin-1")
        if protocol != PROTOCOL:
            raise DeviceError(protocol_mismatch_text(self.port.name, protocol))
        self._expected = (frame.sequence + 1) % 256
        self._clock.learn(int.from_bytes(board_us, "little"), time.perf_counter_ns())

    def _listen(self) -> None:
        try:
            while not self._closing:
                requested_ns = time.perf_counter_ns()
                data = self.port.receive()
                received_ns = time.perf_counter_ns()
                for coded in self._splitter.packets(data):
                    self._process_packet(
                        decode_packet(coded, self.session), received_ns
                    )
                self._check_timeout(requested_ns)
                if received_ns - self._sent_ns > COMPARE_NS and not self.broken:
                    self.send(MessageType.GET_STATE, b"")
        except Exception as error:  # a callback can raise any exception
            self._break(str(error) or type(error).__name__)

    def _check_timeout(self, requested_ns: int) -> None:
        """Raise a DeviceError if an answer that was late at `requested_ns` is still missing.

        The port was read after `requested_ns`: an answer that waited there while this process
        was held up is not missing.
        """
        with self._lock:
            oldest = next(iter(self._unanswered.values()), None)
        if oldest is not None and requested_ns - oldest.sent_ns > ANSWER_S * 1e9:
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
        for listener in [*self.listeners.values()]:
            with suppress(
                Exception
            ):  # it can't be recorded, but the connection has already failed
                listener(InputBroken(text))

    def _process_packet(self, frame: Packet, received_ns: int) -> None:
        if frame.kind == MessageType.IDENTITY:  # an answer to one of several HELLOs
            self._expected = (frame.sequence + 1) % 256
            return
        if frame.sequence != self._expected:
            raise DeviceError(f"a message of the board at {self.port.name} was lost")
        self._expected = (frame.sequence + 1) % 256
        match frame.kind:
            case MessageType.ACK:
                sequence, status, board_us = frame.numbers("BBI")
                self._acknowledged(sequence, Status(status), board_us, received_ns)
            case MessageType.STATE:
                self.last_state = frame.numbers("BBBI")
                if sent := self._take(self.last_state[0]):
                    self._clock.learn(self.last_state[3], received_ns, sent.sent_ns)
            case MessageType.INPUT_CHANGED:
                pin, high, board_us = frame.numbers("BBI")
                first = pin not in self.seen
                self.seen.add(pin)
                moment_ns = min(self._clock.moment(board_us), received_ns)
                count_us = self._clock.unwrapped(board_us)
                change = PinChange(bool(high), moment_ns, received_ns, first, count_us)
                self._notify(pin, change)
            case MessageType.PULSE:
                pin, number, board_us = frame.numbers("BII")
                self._pulsed(pin, number, board_us, received_ns)
            case MessageType.WENT_OFF:
                pin, cause, board_us = frame.numbers("BBI")
                moment_ns = min(self._clock.moment(board_us), received_ns)
                moment_ns = max(moment_ns, self._acted_ns.get(pin, 0))
                why = CAUSES.get(Cause(cause), "board")
                self.tripped |= cause == Cause.WATCHDOG
                self._notify(
                    pin,
                    DeviceReport(0.0, moment_ns, moment_ns, received_ns, board_us, why),
                )
                if cause != Cause.TRAIN_END:
                    self._break(trip_text(self.port.name, cause))
            case MessageType.FAULT:
                self.tripped = True
                self._break(trip_text(self.port.name, frame.numbers("B")[0]))

    def _pulsed(self, pin: int, number: int, board_us: int, received_ns: int) -> None:
        if number == TOO_MANY_PULSES:
            self._notify(pin, InputBroken(noise_text(self.port.name, pin)))
            return
        moment_ns = min(self._clock.moment(board_us), received_ns)
        unwrapped_us = self._clock.unwrapped(board_us)
        self._notify(pin, PinPulse(number, moment_ns, received_ns, unwrapped_us))

    def _notify(self, pin: int, news: News) -> None:
        if listener := self.listeners.get(pin):
            listener(news)

    def _take(self, sequence: int) -> _Sent | None:
        with self._answered:
            sent = self._unanswered.pop(sequence, None)
            self._answered.notify_all()
        return sent

    def _acknowledged(
        self, sequence: int, status: Status, board_us: int, received_ns: int
    ) -> None:
        with self._lock:
            sent = self._unanswered.get(sequence)
        if sent is None:
            raise DeviceError(f"{self.port.name} answered a command that was not sent")
        if status is not Status.OK:
            raise DeviceError(refusal(self.port.name, status, sent.pin))
        self._clock.learn(board_us, received_ns, sent.sent_ns)
        if sent.kind in (MessageType.SET, MessageType.TRAIN):
            acted_ns = min(max(self._clock.moment(board_us), sent.sent_ns), received_ns)
            self._acted_ns[sent.pin] = acted_ns
            done = DeviceReport(
                sent.level, sent.sent_ns, acted_ns, received_ns, board_us
            )
            self._notify(sent.pin, done)
        self._take(sequence)
