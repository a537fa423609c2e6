"""Displacement of a point within a time window."""

from collections import deque


class Displacement:
    """Positions of a point within a time window; skipped frames do not change the result."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, float, float]] = deque()

    def add(
        self, time_s: float, x: float, y: float, window_s: float
    ) -> tuple[float, float, float] | None:
        """Add a position; return duration, s, and displacement in x and y.

        None before `window_s` have passed.
        """
        past = self._past
        past.append((time_s, x, y))
        while len(past) > 1 and time_s - past[1][0] >= window_s:
            past.popleft()
        then_s, then_x, then_y = past[0]
        if time_s - then_s < window_s:
            return None
        return time_s - then_s, x - then_x, y - then_y

    def clear(self) -> None:
        """Discard the positions."""
        self._past.clear()
