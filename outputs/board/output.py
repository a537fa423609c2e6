"""Pins of a board with our firmware (`firmware/`), with acknowledgements and watchdog."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    BoardPinAddress,
    DeviceError,
    DeviceReport,
    Input,
    InputBroken,
    InputLevel,
    InputListener,
    Output,
    SelfTestResult,
    Write,
    section_using,
)

from .link import BoardLink, link_to
from .protocol import LONGEST_ON_S, Mode, Pattern
from .status_messages import News, PinChange
from .watchdog_check import TestedBoard, watchdog_result

HEARTBEAT_EVERY_NS = 20_000_000
"""Minimum time between heartbeats."""
GRACE_S = 0.1
"""The board's own limit is this much longer than MAX_ON_S of the program."""


@settings(frozen=True, kw_only=True)
class BoardPin(Output):
    """A pin of an Arduino or Teensy with DeepLabStream's firmware and watchdog."""

    reopens: ClassVar[bool] = False  # the board's watchdog acts earlier than any guard
    exact: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("serial",)

    port: str = Field(
        min_length=1, description="serial port, such as COM3 or /dev/ttyACM0"
    )
    pin: int = Field(ge=2, le=127, description="pin number on the board")
    pwm: bool = Field(False, description="yes: PWM, the level is the duty cycle")
    watchdog_ms: int = Field(
        100,
        ge=20,
        le=1000,
        description="milliseconds without a heartbeat of the program's loop after which the "
        "board switches all its pins off; the smallest value of a board's outputs counts",
    )
    proof_pin: int = Field(
        13,
        ge=0,
        le=127,
        description="pin that may be high for WATCHDOG_MS at Start Stream, to test the "
        "watchdog; 13 is the LED of most boards; 0: no test",
    )

    def __post_init__(self) -> None:
        """Reject a time that the board can't count."""
        if self.max_on_s > LONGEST_ON_S - 1:
            raise ValueError(
                f"MAX_ON_S: must be {LONGEST_ON_S - 1:g} or less with a board"
            )

    @property
    def board_pin(self) -> BoardPinAddress:
        """The pin that it uses."""
        return BoardPinAddress(self.port, self.pin)

    @property
    def own_end(self) -> str:
        """How it goes off without the guards."""
        limit = f"{self.watchdog_ms} ms after the last heartbeat of the engine"
        return f"is switched off by the watchdog of its board, at most {limit}"

    @classmethod
    def self_test(
        cls, outputs: Mapping[str, Output], inputs: Mapping[str, Input]
    ) -> Iterator[SelfTestResult]:
        """Test the watchdog of each board."""
        for board in boards_of(outputs, inputs):
            yield watchdog_result(board)

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Open the board; takes up to 2 s if that restarts it."""
        mode = Mode.PWM_OUT if self.pwm else Mode.DIGITAL_OUT
        with link_to(self.port) as link:
            write = _BoardWrite(link, self.pin)
            limit_s = self.max_on_s + GRACE_S
            with link.pin(self.pin, mode, limit_s, write.receive, self.watchdog_ms):
                yield write


def boards_of(
    outputs: Mapping[str, Output], inputs: Mapping[str, Input], pin: int | None = None
) -> list[TestedBoard]:
    """Return the boards with outputs; `pin`, if given, replaces PROOF_PIN in the test."""
    pins = [output for output in outputs.values() if isinstance(output, BoardPin)]
    boards = []
    for port in dict.fromkeys(output.port for output in pins):
        on_board = [output for output in pins if output.port == port]
        proof_pins = {output.proof_pin for output in on_board} if pin is None else {pin}

        # PROOF_PIN = 0 of one section forbids the test: no pin of its board may go high
        tested = 0 if 0 in proof_pins else min(proof_pins)
        shortest = min(output.watchdog_ms for output in on_board)
        user = section_using(BoardPinAddress(port, tested), outputs, inputs)
        boards.append(TestedBoard(port, tested, shortest, user))
    return boards


@dataclass
class _BoardWrite:
    """An `AutonomousWrite`."""

    link: BoardLink
    pin: int
    on_report: Callable[[DeviceReport], object] = lambda done: None

    def __call__(self, level: float) -> None:
        self.link.set(self.pin, level)

    def train(self, level: float, width_s: float, period_s: float, count: int) -> None:
        self.link.train(self.pin, level, width_s, period_s, count)

    def heartbeat(self, now_ns: int) -> None:
        self.link.heartbeat(now_ns, HEARTBEAT_EVERY_NS)

    def check(self) -> None:
        if self.link.broken:
            raise DeviceError(self.link.broken)

    def receive(self, news: News) -> None:
        if isinstance(news, DeviceReport):
            self.on_report(news)


@settings(frozen=True, kw_only=True)
class BoardInput(Input):
    """An input pin of such a board: lick, lever, beam."""

    port: str = Field(
        min_length=1, description="serial port, such as COM3 or /dev/ttyACM0"
    )
    pin: int = Field(ge=2, le=127, description="pin number on the board")
    pull_up: bool = Field(
        False,
        description="yes: internal pull-up resistor, for switches that close to ground",
    )
    active_low: bool = Field(False, description="yes: active when low")
    debounce_ms: float = Field(
        5.0,
        ge=0,
        le=1000,
        description="shortest level that counts, in milliseconds; its start is recorded",
    )

    @property
    def board_pin(self) -> BoardPinAddress:
        """The pin that it uses."""
        return BoardPinAddress(self.port, self.pin)

    @contextmanager
    def opened(self, listener: InputListener) -> Iterator[None]:
        """Open the board, or share the one that is open."""

        def receive(news: News) -> None:
            if isinstance(news, PinChange):
                active = news.high is not self.active_low
                times = news.began_ns, news.received_ns
                listener(InputLevel(active, *times, news.first, news.board_us))
            elif isinstance(news, InputBroken):
                listener(news)

        mode = Mode.PULLED_UP_IN if self.pull_up else Mode.DIGITAL_IN
        with (
            link_to(self.port) as link,
            link.pin(self.pin, mode, self.debounce_ms / 1e3, receive),
        ):
            yield


@settings(frozen=True, kw_only=True)
class BoardSync(Input):
    """A sync signal that such a board emits; each edge is recorded."""

    port: str = Field(
        min_length=1, description="serial port, such as COM3 or /dev/ttyACM0"
    )
    pin: int = Field(ge=2, le=127, description="pin number on the board")
    pattern: Literal["barcodes", "random", "flashes"] = Field(
        "barcodes",
        description="`barcodes`: numbers of 32 bits, for recorders of 130 samples/s and more; "
        "`random`: pulses of 50 ms at random intervals, for all recorders; `flashes`: an "
        "LED for the latency test, on for half of EVERY_S at random phases",
    )
    every_s: float = Field(
        5.0,
        ge=0.1,
        le=60,
        description="seconds from code to code (2.1 or more), or mean interval of the "
        "pulses (2.1 or more) or flashes",
    )

    def __post_init__(self) -> None:
        """Reject an interval that is too short for the pattern."""
        if self.every_s < (least := _LEAST_S[self.pattern]):
            raise ValueError(f"EVERY_S: must be {least:g} or more with this PATTERN")

    @property
    def board_pin(self) -> BoardPinAddress:
        """The pin that it uses."""
        return BoardPinAddress(self.port, self.pin)

    @contextmanager
    def opened(self, listener: InputListener) -> Iterator[None]:
        """Open the board, or share the one that is open; start the signal."""

        def receive(news: News) -> None:
            if isinstance(news, PinChange):
                times = news.began_ns, news.received_ns
                listener(InputLevel(news.high, *times, news.first, news.board_us))
            elif isinstance(news, InputBroken):
                listener(news)

        pattern = Pattern[_PATTERNS[self.pattern]]
        first = secrets.randbelow(2**31) + 1
        with link_to(self.port) as link:
            now_ns = time.perf_counter_ns()
            listener(InputLevel(False, now_ns, now_ns, True))
            with link.sync(self.pin, pattern, first, self.every_s, receive):
                yield


_PATTERNS = {"barcodes": "BARCODES", "random": "RANDOM_PULSES", "flashes": "FLASHES"}
_LEAST_S = {"barcodes": 2.1, "random": 2.1, "flashes": 0.1}
