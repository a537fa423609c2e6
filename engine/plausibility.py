"""Points that can't be true, whatever the network's confidence, and points that are held."""

from collections import Counter
from collections.abc import Iterator, Mapping
from math import dist, nan

import numpy as np
from numpy.typing import NDArray

from core.calibration import Calibration
from core.pose import Pose
from engine.tracking import Tracking

Points = NDArray[np.float32]
"""(animal, bodypart, 2); NaN: not seen."""
Lengths = NDArray[np.float64]
Mask = NDArray[np.bool_]
"""(animal, bodypart)."""


class Plausibility:
    """The gate of one camera. It remembers where and when each point was last believed.

    A point is refused when it is farther from there than it can have gone since then; that
    distance grows with time, so a refused point that was right is believed again. Of a
    bone that is too short or too long, the end is refused that spoils more bones; when
    both spoil as many, the one of which the network is less sure.
    """

    def __init__(self, rules: Tracking) -> None:
        self._rules = rules
        self._hold_s = rules.hold_ms / 1e3 or -1.0
        self._bones = _Bones(rules)
        self._shape: tuple[int, ...] = ()
        self._places: Points
        self._measured: Lengths
        self._times: Lengths

    def sift(
        self, seen: Pose, time_s: float, calibration: Calibration | None = None
    ) -> tuple[Points, dict[str, str]]:
        """Return the points to believe, in px, and what was done to the others, by name.

        With UNIT = mm lengths are those on the floor: `calibration`.
        """
        if self._shape != seen.points.shape:
            self._begin(seen.points)
        points = seen.points.copy()
        measured = points.astype(np.float64)
        if self._rules.unit == "mm" and calibration is not None:
            measured = calibration.to_mm(points)
        away_s = time_s - self._times
        jumped = self._jumped(measured, away_s)
        measured[jumped] = np.nan
        bent = self._bones.spoilt(seen, measured)
        points[jumped | bent] = np.nan
        believed = np.isfinite(points[..., 0])
        self._places[believed] = points[believed]
        self._measured[believed] = measured[believed]
        self._times[believed] = time_s
        held = ~believed & (away_s <= self._hold_s)
        points[held] = self._places[held]
        what = {"jump": jumped, "bone": bent, "held": held}
        return points, dict(_doubts(seen.names, what))

    def _begin(self, points: Points) -> None:
        self._shape = points.shape
        self._places = np.full_like(points, np.nan)
        self._measured = np.full(points.shape, np.nan)
        self._times = np.full(points.shape[:2], -np.inf)

    def _jumped(self, measured: Lengths, away_s: Lengths) -> Mask:
        if not self._rules.max_speed:
            return np.zeros(away_s.shape, np.bool_)
        step = measured - self._measured
        gone = np.hypot(step[..., 0], step[..., 1])
        return np.asarray(gone > self._rules.max_speed * away_s)


class _Bones:
    """The bones that the settings measure."""

    def __init__(self, rules: Tracking) -> None:
        self._bones = rules.bones

    def spoilt(self, seen: Pose, measured: Lengths) -> Mask:
        """Return the points to refuse; `measured` (animal, bodypart, 2) has NaN for none."""
        refused = np.zeros(measured.shape[:2], np.bool_)
        if self._bones:
            ends = [
                seen.skeleton.indices((bone.one, bone.other)) for bone in self._bones
            ]
            for animal, places in enumerate(measured.tolist()):
                sure: list[float] = seen.confidence[animal].tolist()
                while (worst := self._worst(ends, places, sure)) is not None:
                    refused[animal, worst] = True
                    places[worst] = [nan, nan]
        return refused

    def _worst(
        self, ends: list[list[int]], places: list[list[float]], sure: list[float]
    ) -> int | None:
        spoils: Counter[int] = Counter()
        for (one, other), bone in zip(ends, self._bones, strict=True):
            length = dist(places[one], places[other])
            if length < bone.shortest or length > bone.longest:
                spoils.update((one, other))
        if not spoils:
            return None
        return max(spoils, key=lambda part: (spoils[part], -sure[part]))


def _doubts(
    names: tuple[str, ...], what: Mapping[str, Mask]
) -> Iterator[tuple[str, str]]:
    found = {word: mask.ravel().tolist() for word, mask in what.items() if mask.any()}
    if found:
        for place, name in enumerate(names):
            words = [word for word, mask in found.items() if mask[place]]
            if words:
                yield name, "+".join(words)
