"""What lets a pulse end on time while a frame takes long: a thread that ticks the bank."""

import sys
import threading

from core.clock import Clock, ManualClock
from outputs.bank import Bank
from outputs.line import RETRY_NS

LONGEST_WAIT_S = 3600.0


class Ticker:
    """Sleeps to the bank's next deadline and ticks it; `with Ticker(bank, clock): …`.

    An output that fails meanwhile becomes a `Note("error", …)`, and the bank refuses to
    switch anything on, so that the loop learns of it with its next command.
    """

    def __init__(self, bank: Bank, clock: Clock) -> None:
        self._bank = bank
        self._clock = clock
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def __enter__(self) -> "Ticker":
        """Start the thread."""
        _set_timer(fine=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread; what is still pending stays pending."""
        with self._bank.sooner:
            self._stopped = True
            self._bank.sooner.notify_all()
        self._thread.join()
        _set_timer(fine=False)

    def _run(self) -> None:
        with self._bank.sooner:
            while not self._stopped:
                due_ns = self._tick()
                wait_s = None
                if due_ns is not None:
                    wait_s = (due_ns - self._clock.now_ns()) / 1e9
                    wait_s = min(max(wait_s, 0.0), LONGEST_WAIT_S)
                self._bank.sooner.wait(wait_s)

    def _tick(self) -> int | None:
        now_ns = self._clock.now_ns()
        try:
            return self._bank.tick(now_ns)
        except Exception as error:
            self._bank.fail(str(error) or type(error).__name__, now_ns)
            return now_ns + RETRY_NS


def catch_up(bank: Bank, clock: ManualClock, until_ns: int) -> None:
    """Put a manual clock forward, and do on the way what falls due, when it is due.

    It does for a replay what a `Ticker` does for a live run; to be called before a frame.
    """
    while (due_ns := bank.tick(clock.now_ns())) is not None and due_ns <= until_ns:
        clock.set(due_ns)
    clock.set(until_ns)


def _set_timer(fine: bool) -> None:
    """Let waits on Windows end within 1 ms instead of 16 ms, or no longer."""
    if sys.platform == "win32":
        import ctypes

        if fine:
            ctypes.windll.winmm.timeBeginPeriod(1)
        else:
            ctypes.windll.winmm.timeEndPeriod(1)
