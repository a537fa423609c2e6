"""Time is an argument: a clock is handed in, never taken out of thin air."""

import sys
import time
from typing import Protocol


class Clock(Protocol):
    """What tells the time of a run, in ns from an arbitrary zero, never backwards."""

    def now_ns(self) -> int:
        """Return the present moment."""
        ...


class SystemClock:
    """The computer's own: one for all processes of a run, on Linux and Windows alike."""

    def now_ns(self) -> int:
        """Return `perf_counter_ns`, which all processes share and nobody sets."""
        return time.perf_counter_ns()


class ManualClock:
    """A clock that frames (in a replay) or tests move."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Return where the clock was put."""
        return self._now_ns

    def set(self, now_ns: int) -> None:
        """Put the clock forward; ValueError if that would be backwards."""
        if now_ns < self._now_ns:
            raise ValueError(f"time runs backwards: {self._now_ns} to {now_ns}")
        self._now_ns = now_ns


def asleep_ns() -> int:
    """Return how long the computer has slept since it was started; 0 where unknown.

    On Linux: the clock that counts sleep less the clock that does not.
    """
    if sys.platform != "linux":
        return 0
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(
        time.CLOCK_MONOTONIC
    )


def rest(seconds: float) -> None:
    """Do nothing for so long."""
    time.sleep(seconds)


class Pacer:
    """Waits for the ticks of a fixed rate; deadlines are absolute, errors don't add up."""

    def __init__(self, rate: float) -> None:
        self.period_ns = round(1e9 / rate)
        self._start_ns = time.perf_counter_ns()

    def past(self, now_ns: int) -> int:
        """Return how many ticks are over; tick 0 is over at once."""
        return 1 + (now_ns - self._start_ns) // self.period_ns

    def wait(self, index: int, early_ns: int = 0) -> int:
        """Sleep until `early_ns` before tick `index`; return when the tick is due, in ns."""
        due_ns = self._start_ns + index * self.period_ns
        left_ns = due_ns - early_ns - time.perf_counter_ns()
        if left_ns > 0:
            time.sleep(left_ns / 1e9)
        return due_ns
