"""Suspicious labels: swapped body parts, points far from where other frames put them.

Each labelled point is compared with where similar poses put it. The other points of the
pose are aligned with those of every labelled pose (moved; turned where poses are turned).
The median of the nearest poses is the expected place. The distance to it is divided by what is
usual for the body part. Neighbours are chosen without the point itself, so a wrong label
does not choose poses that support it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.body_sides import mirrored
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.tracking.pose_matching import animal_length
from deeplabstream.training.data.labels import Labels
from deeplabstream.training.data.rotation_range import (
    ALL_ROUND_DEG,
    FEWEST,
    turns_and_mirror,
)

FAR = 8.0
"""Times the usual distance to the expected place from which a point is suspicious."""
SWAPPED = 3.5
"""The same, in the mean of two body parts that fit swapped."""
BETTER = 0.5
"""Share of the distance that remains at most when the two are swapped."""
LIKELY = 2.0
"""Poses without a point farther than that have no swapped ones."""
SAME_PX = 0.5
OFTEN = 0.05
"""Share of the poses in which two body parts lie together, from which they may."""
NEAREST = 9
"""Number of similar poses from which the expected position is computed."""
FEWEST_NEAREST = 5
MOST_COMPARED = 300
"""Poses, spread evenly, that others are compared with."""
ONE_PLACE = 0.1
"""Two animals are in one place if their body parts are, in the mean, within this share of an
animal's length of each other."""
_SHOWN = 20
LEAST_PX = 1.0
"""Precision of manual labels: smaller distances are never suspicious."""

Shapes = NDArray[np.complex128]
"""(pose, body part): x + iy, px; NaN: not labelled."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One or two labels of an image that are probably wrong."""

    image: str
    """Name of the image in the table of labels."""
    bodyparts: tuple[str, ...]
    kind: str
    """`far`, `swapped`, `left and right swapped`, `same place`, or `two animals in one
    place`."""
    px: float
    """Distance to the expected place; of two body parts the mean."""
    times: float
    """That, in multiples of what is usual; infinite: of points in the same place."""
    animal: int = 0

    def __str__(self) -> str:
        names = " and ".join(self.bodyparts)
        return f"{self.image}: {names}: {self.what}"

    @property
    def what(self) -> str:
        """Kind of the finding, and its deviation from typical values."""
        if np.isinf(self.times):
            return self.kind
        return (
            f"{self.kind}, {self.px:.0f} px from where similar poses put "
            f"{'it' if self.kind == 'far' else 'them'}, {self.times:.0f} times the usual"
        )


def suspicious_labels(labels: Labels) -> list[Suspicion]:
    """Return labels that are probably wrong, the most suspicious first.

    Fewer than 20 poses of three points are too few for usual distances: then only points
    at the same position are found. Of several animals each is a pose.
    """
    skeleton = labels.skeleton
    points = labels.points.reshape(-1, len(skeleton.bodyparts), 2)
    found = [*_same_places(points), *unusual_points(points, skeleton)]
    suspicions = [
        Suspicion(
            labels.names[pose // labels.animals],
            tuple(skeleton.bodyparts[part] for part in parts),
            kind,
            px,
            times,
            pose % labels.animals,
        )
        for pose, parts, kind, px, times in found
    ]
    suspicions += _same_animals(labels)
    return sorted(suspicions, key=lambda one: -one.times)


def too_few(labels: Labels) -> str:
    """Return that the poses are too few to be compared with each other; empty: enough."""
    points = labels.points.reshape(-1, len(labels.skeleton.bodyparts), 2)
    count = _comparable(points)
    if count >= FEWEST:
        return ""
    return (
        f"{count} of at least {FEWEST} poses of three points: only points in the same "
        "place are found"
    )


def _comparable(points: NDArray[np.floating]) -> int:
    """Return the number of poses (pose, body part, 2) with three points or more."""
    return int((np.isfinite(points).all(axis=2).sum(axis=1) >= 3).sum())


Unusual = tuple[int, tuple[int, ...], str, float, float]
"""Pose, body parts, kind, px, times the usual."""


def _same_animals(labels: Labels) -> Iterator[Suspicion]:
    """Yield animals that lie on another one with all their body parts."""
    bodyparts = labels.skeleton.bodyparts
    points = labels.points.reshape(-1, labels.animals, len(bodyparts), 2)
    near = max(LEAST_PX, ONE_PLACE * float(np.nan_to_num(animal_length(points))))
    for name, own in zip(labels.names, points, strict=True):
        for first, second in combinations(range(labels.animals), 2):
            away = np.linalg.norm(own[first] - own[second], axis=1)
            both = np.isfinite(away)
            if both.sum() > 1 and float(away[both].mean()) < near:
                parts = tuple(np.array(bodyparts)[both].tolist())
                kind, px = "two animals in one place", float(away[both].mean())
                yield Suspicion(name, parts, kind, px, float("inf"), second)


def _same_places(points: NDArray[np.float32]) -> Iterator[Unusual]:
    """Yield body parts that lie together in few poses (pose, body part, 2) only."""
    for one, other in combinations(range(points.shape[1]), 2):
        away = np.linalg.norm(points[:, one] - points[:, other], axis=1)
        both = np.isfinite(away)
        together = both & (away < SAME_PX)
        if 0 < together.sum() <= max(1, OFTEN * both.sum()) < both.sum():
            for pose in np.flatnonzero(together).tolist():
                yield pose, (one, other), "same place", 0.0, float("inf")


def unusual_points(
    points: NDArray[np.floating], skeleton: Skeleton
) -> Iterator[Unusual]:
    """Yield swapped body parts, and points far from where similar poses put them.

    Parameters
    ----------
    points : numpy.ndarray of float, shape (pose, body part, 2)
        Labels in pixels, x right, y down; NaN: not labelled.
    skeleton : Skeleton
        The body parts.

    Yields
    ------
    tuple
        Pose, body parts, kind, distance to the expected place in pixels, and that in
        multiples of what is usual for these body parts.
    """
    # Points as complex numbers: a rotation is a factor.
    shapes = points.astype(np.float64) @ np.array([1, 1j])
    if _comparable(points) < FEWEST:
        return
    turns, _ = turns_and_mirror(points.astype(np.float32), skeleton)

    expected = _Expected(shapes, turns > ALL_ROUND_DEG)
    pairs = mirrored(skeleton)
    for pose in range(len(shapes)):
        # The worst point is corrected before the next search: it would distort the fit of
        # the others. As many rounds as body parts are enough.
        own = shapes[pose].copy()
        for _ in range(points.shape[1]):
            fault = expected.fault(own, pose)
            if fault is None:
                break
            parts, px, times = fault
            if len(parts) == 1:
                yield pose, parts, "far", px, times
                own[list(parts)] = np.nan
            else:
                sides = pairs[parts[0]] == parts[1]
                kind = "left and right swapped" if sides else "swapped"
                yield pose, parts, kind, px, times
                own[list(parts)] = own[list(parts[::-1])]


class _Expected:
    """Expected places of points, from the other points of a pose and similar poses."""

    def __init__(self, shapes: Shapes, turned: bool) -> None:
        count = min(len(shapes), MOST_COMPARED)
        self.compared = np.unique(
            np.linspace(0, len(shapes) - 1, count).round().astype(int)
        )
        self.shapes = shapes[self.compared]
        self.turned = turned
        away = np.array(
            [self.distances(shapes[pose], pose) for pose in self.compared.tolist()]
        )
        self.usual = np.array(
            [
                max(LEAST_PX, float(np.median(column[np.isfinite(column)])))
                if np.isfinite(column).any()
                else np.nan
                for column in away.T
            ]
        )
        """(body part,) median distance to the expected place, px; NaN: not known."""

    def distances(self, own: Shapes, pose: int) -> NDArray[np.float64]:
        """Return (body part,) distances of the points of a pose from the expected ones, px."""
        away = np.full(len(own), np.nan)
        for part in np.flatnonzero(np.isfinite(own)).tolist():
            away[part] = abs(own[part] - self.places(own, pose, [part])[0])
        return away

    def fault(
        self, own: Shapes, pose: int
    ) -> tuple[tuple[int, ...], float, float] | None:
        """Return a body part that is far, or two that are swapped; px; times the usual.

        Of several, the one without which (after whose swap) the pose fits best: a wrong
        point also shifts where the others are expected.
        """
        times = self.distances(own, pose) / self.usual
        labelled = np.flatnonzero(np.isfinite(times)).tolist()
        if not labelled or np.nanmax(times) < LIKELY:
            return None
        least = float(np.mean(times[labelled]))
        best: tuple[tuple[int, ...], float, float] | None = None
        for part in labelled:
            after = own.copy()
            after[part] = np.nan
            if times[part] >= FAR and (rest := self._misfit(after, pose)) < least:
                px = float(times[part] * self.usual[part])
                least, best = rest, ((part,), px, float(times[part]))
        for pair in combinations(labelled, 2):
            at, swapped = list(pair), list(pair[::-1])
            place = self.places(own, pose, at)
            away = np.abs(own[at] - place)
            much = float((away / self.usual[at]).mean())
            left = float((np.abs(own[swapped] - place) / self.usual[at]).mean())
            if much < SWAPPED or left > BETTER * much:
                continue
            after = own.copy()
            after[at] = own[swapped]
            if (rest := self._misfit(after, pose)) < least:
                least, best = rest, (pair, float(away.mean()), much)
        return best

    def _misfit(self, own: Shapes, pose: int) -> float:
        """Return the mean distance of a pose's points, in multiples of the usual."""
        times = self.distances(own, pose) / self.usual
        finite = times[np.isfinite(times)]
        return float(finite.mean()) if finite.size else 0.0

    def places(self, own: Shapes, pose: int, parts: Sequence[int]) -> Shapes:
        """Return the expected places of body parts of a pose; NaN: too few are similar."""
        others = np.isfinite(own)
        others[list(parts)] = False
        known = self.shapes[:, others]
        both = np.isfinite(known)
        count = np.maximum(both.sum(axis=1), 1)
        mine = np.where(both, own[others], 0)
        theirs = np.where(both, known, 0)
        middle, centre = mine.sum(axis=1) / count, theirs.sum(axis=1) / count
        mine = np.where(both, mine - middle[:, None], 0)
        theirs = np.where(both, theirs - centre[:, None], 0)
        turn = np.ones(len(known), np.complex128)
        if self.turned:
            turn = (np.conj(theirs) * mine).sum(axis=1)
            turn = turn / np.maximum(np.abs(turn), 1e-9)
        misfit = (np.abs(theirs * turn[:, None] - mine) ** 2).sum(axis=1) / count**2
        enough = both.sum(axis=1) >= min(2, max(1, int(others.sum())))
        enough &= (self.compared != pose) & (count > 1)
        found = []
        for part in parts:
            place = (self.shapes[:, part] - centre) * turn + middle
            usable = np.flatnonzero(enough & np.isfinite(place))
            nearest = place[usable[np.argsort(misfit[usable], kind="stable")[:NEAREST]]]
            if len(nearest) < FEWEST_NEAREST:
                found.append(complex(np.nan, np.nan))
            else:
                found.append(complex(np.median(nearest.real), np.median(nearest.imag)))
        return np.array(found)


def warning_lines(labels: Labels, found: Sequence[Suspicion]) -> Iterator[str]:
    """Yield sentences about suspicious labels, for a program that uses them."""
    if not found:
        return
    placed = int(np.isfinite(labels.points).all(axis=2).sum())
    yield (
        f"{len(found)} of {placed} labels are suspicious. They are used unchanged; check "
        "them on the page Network of the window:"
    )
    yield from (f"  {one}" for one in found[:_SHOWN])
    if len(found) > _SHOWN:
        yield f"  and {len(found) - _SHOWN} more, listed by utils/CheckLabels.py"
