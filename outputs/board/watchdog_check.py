"""Watchdog test of a board: switch a pin on, stop the heartbeat, measure when it goes off."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from deeplabstream.plugin import DeviceError, DeviceReport, SelfTestResult

from .link import link_to
from .protocol import Cause, Mode
from .status_messages import News

LED = 13
"""The pin of the LED on most boards."""
LONGEST_S = 5.0
_PATIENCE_S = 2.0
_LOOK_S = 0.02


class WatchdogError(DeviceError):
    """The board did not switch a pin off by itself."""


@dataclass(frozen=True)
class TestedBoard:
    """A board with outputs, and how its watchdog is tested."""

    __test__ = False  # not a test class for pytest

    port: str
    pin: int
    """The pin that is switched on for the test; 0: no test."""
    watchdog_ms: int
    """The shortest WATCHDOG_MS of its outputs."""
    pin_user: str = ""
    """The section that uses the pin, which prevents the test; empty: none."""


@dataclass(frozen=True)
class WatchdogTestResult:
    """Result of a watchdog test."""

    board: str
    """Name that the board reports."""
    pin: int
    off_after_ms: float
    """From the last message to the board until the pin was off, by the board's clock."""
    low: bool
    """Whether the board read the pin back as low."""
    watchdog_ms: int

    def __str__(self) -> str:
        state = "low" if self.low else "STILL HIGH"
        return (
            f"{self.board}: pin {self.pin} went off after {self.off_after_ms:.1f} ms without "
            f"the program (WATCHDOG_MS = {self.watchdog_ms}), and reads {state}"
        )

    @property
    def holds(self) -> bool:
        """Whether the pin switched off neither too late nor immediately."""
        least, most = 0.9 * self.watchdog_ms, 1.1 * self.watchdog_ms + 5
        return self.low and least <= self.off_after_ms <= most


def run_watchdog_test(
    port: str,
    pin: int = LED,
    watchdog_ms: int = 100,
    stopped: Callable[[], bool] = lambda: False,
) -> WatchdogTestResult:
    """Switch a pin on, stop the heartbeat, and return when the board switched it off.

    The pin is high for `watchdog_ms`: use one that may be high, such as the board's LED.
    Nothing else may use the board. WatchdogError: the pin did not go off by itself.
    DeviceError: the board can't be opened, or the test was `stopped`. The pin is switched
    off then.
    """
    events = _PinEvents(stopped)
    with link_to(port) as link:
        if link.used:
            raise DeviceError(f"{port} is in use; stop the rig first")
        with link.pin(pin, Mode.DIGITAL_OUT, LONGEST_S, events.receive, watchdog_ms):
            link.set(pin, 1.0)
            on = events.until(lambda done: done.level > 0)
            off = events.until(lambda done: done.cause == "board watchdog")
            if stopped() or on is None or off is None:
                with suppress(DeviceError):
                    link.set(pin, 0.0)
            if stopped():
                raise DeviceError(
                    f"the watchdog test of the board at {port} was ended early"
                )
            if on is None or off is None:
                raise WatchdogError(
                    f"the board at {port} did not switch pin {pin} off by itself: do not "
                    "use it for anything that must not stay on"
                )
        cause, high = link.state()
        went_off_ms = ((off.device_us - on.device_us) & 0xFFFFFFFF) / 1e3
        low = cause is Cause.WATCHDOG and high == 0
        return WatchdogTestResult(link.name, pin, went_off_ms, low, watchdog_ms)


def watchdog_result(board: TestedBoard) -> SelfTestResult:
    """Test the watchdog of a board, and return the result as a sentence."""
    watchdog = f"the watchdog of the board at {board.port}"
    if not board.pin:
        return SelfTestResult(f"{watchdog} is not tested: PROOF_PIN = 0", None)
    if board.pin_user:
        text = f"pin {board.pin} is that of {board.pin_user}; give another PROOF_PIN"
        return SelfTestResult(f"{watchdog} is not tested: {text}", None)

    try:
        result = run_watchdog_test(board.port, board.pin, board.watchdog_ms)
    except WatchdogError as error:
        return SelfTestResult(f"{watchdog} DOES NOT WORK: {error}", False)
    except DeviceError as error:
        return SelfTestResult(f"{watchdog} is not tested: {error}", None)
    verdict = "works" if result.holds else "DOES NOT WORK AS IT SHOULD"
    return SelfTestResult(f"{watchdog} {verdict}: {result}", result.holds)


class _PinEvents:
    """Reports about a pin, collected by the thread that reads."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped
        self._reports: list[DeviceReport] = []
        self._change = threading.Condition()

    def receive(self, news: News) -> None:
        if isinstance(news, DeviceReport):
            with self._change:
                self._reports.append(news)
                self._change.notify_all()

    def until(self, which: Callable[[DeviceReport], bool]) -> DeviceReport | None:
        """Wait for a report; None: none came, or the test was stopped."""
        give_up_s = time.perf_counter() + _PATIENCE_S
        with self._change:
            while not (self._stopped() or time.perf_counter() > give_up_s):
                if self._change.wait_for(
                    lambda: any(map(which, self._reports)), _LOOK_S
                ):
                    break
            return next(filter(which, self._reports), None)
