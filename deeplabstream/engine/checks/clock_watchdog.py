"""Clock watchdog: reports that the computer's clock was set while a light cycle is in use."""

from datetime import datetime

MOST_S = 60.0
"""Difference from the time of the run, s, that is reported; clocks drift by less in a month."""


class ClockWatchdog:
    """Compares the computer's clock with the time of a run, which is never set."""

    def __init__(self) -> None:
        self._reported_s = 0.0

    def check(self, started: datetime, now: datetime, run_s: float) -> str:
        """Return an alarm when the difference has changed; empty: it has not.

        `started` and `now`: the computer's clock at the start of the stream and now, each with
        its offset from UTC, so that daylight saving makes no difference; `run_s`: the time of
        the run between them.
        """
        ahead_s = (now - started).total_seconds() - run_s
        if abs(ahead_s - self._reported_s) < MOST_S:
            return ""
        self._reported_s = ahead_s
        if abs(ahead_s) < MOST_S:
            return ""
        way = "forwards" if ahead_s > 0 else "back"
        return (
            f"[Light Cycle]: the computer's clock went {way} by {abs(ahead_s) / 60:.0f} min, as "
            "it was set or the computer slept; phases go on by the time of the run. If its start "
            "had the wrong time, stop the stream and start it again"
        )
