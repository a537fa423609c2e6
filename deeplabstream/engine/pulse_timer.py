"""Pulse timer: the thread that ends pulses on time while a frame is processed.

A replay has no such thread: `catch_up` applies the edges by a manual clock.
"""

import sys
import threading

from deeplabstream.core.clock import Clock, ManualClock
from deeplabstream.engine.output_bank import RETRY_NS, OutputBank

LONGEST_WAIT_S = 3600.0


class PulseTimer:
    """Timer thread of a bank: sleeps until the next deadline, then ticks the bank.

    Use: `with PulseTimer(bank, clock): …`.

    An output that fails in a tick becomes a `Note("error", …)`, and the bank refuses to
    switch anything on, so the next command of the loop raises the fault.
    """

    def __init__(self, bank: OutputBank, clock: Clock) -> None:
        self._bank = bank
        self._clock = clock
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def __enter__(self) -> "PulseTimer":
        """Start the thread."""
        _set_timer_resolution(fine=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread; pending edges stay pending."""
        with self._bank.condition:
            self._stopped = True
            self._bank.condition.notify_all()
        self._thread.join()
        _set_timer_resolution(fine=False)

    def _run(self) -> None:
        # The condition is held from tick to wait, so a command that falls due earlier can't
        # notify in between and be missed.
        with self._bank.condition:
            while not self._stopped:
                due_ns = self._tick()
                wait_s = None
                if due_ns is not None:
                    wait_s = (due_ns - self._clock.now_ns()) / 1e9
                    wait_s = min(max(wait_s, 0.0), LONGEST_WAIT_S)
                self._bank.condition.wait(wait_s)

    def _tick(self) -> int | None:
        now_ns = self._clock.now_ns()
        try:
            return self._bank.tick(now_ns)
        except Exception as error:
            # the thread must survive: it repeats the 0 of the failed output
            self._bank.fail(str(error) or type(error).__name__, now_ns)
            return now_ns + RETRY_NS


def catch_up(bank: OutputBank, clock: ManualClock, until_ns: int) -> None:
    """Advance a manual clock and apply each edge at its time.

    It replaces `PulseTimer` in a replay; call it before each frame.
    """
    while (due_ns := bank.tick(clock.now_ns())) is not None and due_ns <= until_ns:
        clock.set(due_ns)
    clock.set(until_ns)


def _set_timer_resolution(fine: bool) -> None:
    """Set the timer resolution of Windows to 1 ms, or back to its default of 16 ms."""
    if sys.platform == "win32":
        import ctypes

        if fine:
            ctypes.windll.winmm.timeBeginPeriod(1)
        else:
            ctypes.windll.winmm.timeEndPeriod(1)
