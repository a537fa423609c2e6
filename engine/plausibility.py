"""Points that can't be true, whatever the network's confidence, and points that are held."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from core.pose import Pose
from engine.tracking import Tracking

Points = NDArray[np.float32]
"""(animal, bodypart, 2); NaN: not seen."""
Mask = NDArray[np.bool_]
"""(animal, bodypart)."""


class Plausibility:
    """The gate of one camera. It remembers where and when each point was last believed.

    A point is refused when it is farther from there than it can have gone since then; that
    distance grows with time, so a refused point that was right is believed again.
    """

    def __init__(self, rules: Tracking) -> None:
        self._rules = rules
        self._hold_s = rules.hold_ms / 1e3
        self._places: Points | None = None
        self._times: NDArray[np.float64] = np.empty((0, 0))

    def sift(self, seen: Pose, time_s: float) -> tuple[Points, dict[str, str]]:
        """Return the points to believe, and what was done to the others, by name."""
        points = seen.points
        if self._places is None or self._places.shape != points.shape:
            self._places = np.full_like(points, np.nan)
            self._times = np.full(points.shape[:2], -np.inf)
        away_s = time_s - self._times
        jumped = self._jumped(points, away_s)
        points = points.copy()
        points[jumped] = np.nan
        believed = np.isfinite(points[..., 0])
        self._places[believed] = points[believed]
        held = ~believed & (away_s <= self._hold_s)
        self._times[believed] = time_s
        points[held] = self._places[held]
        if not (jumped.any() or held.any()):
            return points, {}
        return points, dict(_doubts(seen.names, jumped, held))

    def _jumped(self, points: Points, away_s: NDArray[np.float64]) -> Mask:
        if not self._rules.max_speed or self._places is None:
            return np.zeros(points.shape[:2], np.bool_)
        step = points - self._places
        gone = np.hypot(step[..., 0], step[..., 1])
        return np.asarray(gone > self._rules.max_speed * away_s)


def _doubts(
    names: tuple[str, ...], jumped: Mask, held: Mask
) -> Iterator[tuple[str, str]]:
    for name, jump, hold in zip(names, jumped.flat, held.flat, strict=True):
        reasons = [word for word, yes in (("jump", jump), ("held", hold)) if yes]
        if reasons:
            yield name, "+".join(reasons)
