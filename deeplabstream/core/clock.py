"""Clocks: time is passed as an argument."""

import ctypes
import sys
import time
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Clock of a run: ns from an arbitrary zero, never backwards."""

    def now_ns(self) -> int:
        """Return the current time in ns."""
        ...


class SystemClock:
    """Clock of the computer, shared by all processes of a run."""

    def now_ns(self) -> int:
        """Return `perf_counter_ns`, which all processes share and which is never set."""
        return time.perf_counter_ns()


class ManualClock:
    """A clock that a replay or a test sets."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Return the time that was set."""
        return self._now_ns

    def set(self, now_ns: int) -> None:
        """Set the clock forward; ValueError for an earlier time."""
        if now_ns < self._now_ns:
            raise ValueError(f"time runs backwards: {self._now_ns} to {now_ns}")
        self._now_ns = now_ns


class Calendar(Protocol):
    """Date and time of day, which may be set at any time: never used for durations."""

    zone: tzinfo | None
    """Local time zone; None: that of the computer."""

    def now(self) -> datetime:
        """Return the current date and time in UTC."""
        ...


class SystemCalendar:
    """Date and time of day of the computer."""

    zone: tzinfo | None = None

    def now(self) -> datetime:
        """Return the current date and time in UTC."""
        return datetime.now(UTC)


def asleep_ns() -> int:
    """Return how long the computer was suspended since its start, in ns; 0: unknown.

    Linux: the difference of CLOCK_BOOTTIME and CLOCK_MONOTONIC. Windows: of the tick count and
    the unbiased interrupt time, to 16 ms; they may drift apart slowly.
    """
    if sys.platform == "win32":
        kernel = ctypes.windll.kernel32
        kernel.GetTickCount64.restype = ctypes.c_uint64
        awake = ctypes.c_uint64()  # in units of 100 ns
        if not kernel.QueryUnbiasedInterruptTime(ctypes.byref(awake)):
            return 0
        return int(kernel.GetTickCount64()) * 1_000_000 - awake.value * 100
    if sys.platform != "linux":
        return 0
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(
        time.CLOCK_MONOTONIC
    )


def boot_id() -> str:
    """Return a text that changes at each start of the computer; empty: unknown."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""File of Linux."""


def rest(seconds: float) -> None:
    """Sleep; the only blocking sleep of the product, which tests replace."""
    time.sleep(seconds)


class Pacer:
    """Waits for ticks of a fixed rate; deadlines are absolute, so errors do not add up.

    With `aligned`, ticks are at multiples of the period on the computer's clock, and so at the
    same times in all processes. `start_ns`: time of tick 0; None: now.
    """

    def __init__(
        self, rate: float, aligned: bool = False, start_ns: int | None = None
    ) -> None:
        self.period_ns = round(1e9 / rate)
        self._start_ns = time.perf_counter_ns() if start_ns is None else start_ns
        if aligned:
            self._start_ns += -self._start_ns % self.period_ns

    def past(self, now_ns: int) -> int:
        """Return how many ticks are due at `now_ns`; tick 0 is due at the start."""
        return 1 + (now_ns - self._start_ns) // self.period_ns

    def wait(self, index: int, early_ns: int = 0) -> int:
        """Sleep until `early_ns` before tick `index`; return when the tick is due, in ns."""
        due_ns = self._start_ns + index * self.period_ns
        left_ns = due_ns - early_ns - time.perf_counter_ns()
        if left_ns > 0:
            time.sleep(left_ns / 1e9)
        return due_ns
