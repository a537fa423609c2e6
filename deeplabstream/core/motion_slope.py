"""Velocity of a point now: slope of a line fitted to its positions within a time window."""

from collections import deque

_SPACING_TOLERANCE = 0.05
"""Share of the window by which the oldest position may be too new: frame times jitter."""


class MotionSlope:
    """Positions of a point within a time window, and the slope of a line through them.

    The line is fitted by weighted least squares. The weights fall linearly with the order of
    the positions, n for the newest of n and 1 for the oldest: so the slope lags less behind a
    changing velocity than the displacement within the window, and the noise of single positions
    counts less. Of two positions it is the displacement by the duration.
    """

    def __init__(self) -> None:
        self._past: deque[tuple[float, float, float]] = deque()

    def add(
        self, time_s: float, x: float, y: float, window_s: float
    ) -> tuple[float, float] | None:
        """Add a position; return the velocity in x and y, per second.

        None before `window_s` have passed. Times increase.
        """
        past = self._past
        past.append((time_s, x, y))
        least_s = window_s * (1 - _SPACING_TOLERANCE)
        while len(past) > 1 and time_s - past[1][0] >= least_s:
            past.popleft()
        if time_s - past[0][0] < least_s:
            return None

        # relative to the newest position, so that large times and places lose no digits
        weights = times = squares = 0.0
        sum_x = sum_y = times_x = times_y = 0.0
        for weight, (then_s, then_x, then_y) in enumerate(past, start=1):
            ago, moved_x, moved_y = then_s - time_s, then_x - x, then_y - y
            weights += weight
            times += weight * ago
            squares += weight * ago * ago
            sum_x += weight * moved_x
            sum_y += weight * moved_y
            times_x += weight * ago * moved_x
            times_y += weight * ago * moved_y
        spread = weights * squares - times * times
        return (
            (weights * times_x - times * sum_x) / spread,
            (weights * times_y - times * sum_y) / spread,
        )

    def clear(self) -> None:
        """Discard the positions."""
        self._past.clear()
