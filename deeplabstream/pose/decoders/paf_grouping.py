"""Grouping of peaks to animals by part affinity fields (PAF).

The network gives the positions of all body parts, and part affinity fields
(`deeplabstream/pose/decoders/part_affinity_fields.py`) along the edges of each animal.
For each edge, peaks are paired by the best one-to-one assignment (as in OpenPose, SLEAP
and DeepLabCut). Over all edges, those groups are joined that belong together most
(greedy additive edge contraction: Keuper et al., ICCV 2015; as a partition of a graph
the problem is DeepCut's, Pishchulin et al., CVPR 2016). Several edges at a body part so
correct one that is wrong, where animals touch.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.numerics.assignment import assign
from deeplabstream.pose.decoders.part_affinity_fields import WORST, paf_line_scores

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """The highest cells of m hills, the highest hill first within a map."""

    maps: Places
    """(m,): in which map, in ascending order."""
    rows: Places
    columns: Places
    heights: NDArray[np.float32]
    """(m,)"""

    def __len__(self) -> int:
        return len(self.maps)


def find_peaks(maps: NDArray[np.float32], floor: float, most: int) -> Peaks:
    """Non-maximum suppression: return the `most` highest local maxima of each map (n, h, w).

    A cell is one when it is above `floor` and above its eight neighbours; of equal
    neighbours the first is. NaN is never one.
    """
    _, height, width = maps.shape
    flat = maps.reshape(-1)
    places = np.flatnonzero(flat > floor)
    which, inside = np.divmod(places, height * width)
    rows, columns = np.divmod(inside, width)
    y, x = rows[:, None] + _DY, columns[:, None] + _DX
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    around = np.where(inside, places[:, None] + _DY * width + _DX, places[:, None])
    beside, heights = flat[around], flat[places][:, None]
    lower = np.where(_EARLIER, beside < heights, beside <= heights) | ~inside
    kept = np.flatnonzero(lower.all(axis=1))
    kept = kept[np.lexsort((-heights[kept, 0], which[kept]))]
    first = np.searchsorted(which[kept], which[kept])
    kept = kept[np.arange(len(kept)) - first < most]
    return Peaks(which[kept], rows[kept], columns[kept], heights[kept, 0])


_DY = np.array([-1, -1, -1, 0, 0, 1, 1, 1])
_DX = np.array([-1, 0, 1, -1, 1, -1, 0, 1])
_EARLIER = np.arange(8) < 4


Points = NDArray[np.float32]
WEIGHED = 4
"""Up to so many rivals it is worked out what each line is worth to their assignment."""


@dataclass(frozen=True, slots=True)
class PafGrouper:
    """Settings and methods for finding peaks and grouping them to animals by PAF."""

    bodyparts: int
    """How many there are: maps in which peaks are looked for."""
    edges: tuple[tuple[int, int], ...]
    """Pairs of body parts with a field each; together they reach every body part."""
    most: int
    """The most animals in an image."""
    stride: int
    """Input pixels per cell of the fields, which may be coarser than the heat maps."""
    origin: float
    """The input pixel at which the centre of their cell 0 lies."""
    floor: float = 0.1
    """Lower peaks are none."""
    link: float = 0.25
    """What a line must reach to speak for two peaks being of one animal; below, it
    speaks against it."""
    worst: int = WORST
    """So many of a line's samples count, those that fit worst."""
    longest: tuple[float, ...] = ()
    """Input pixels that a line of each edge has at most; none: any length."""

    def peaks(self, maps: NDArray[np.float32]) -> Peaks:
        """Return the peaks of heat or score maps (bodypart, h, w)."""
        return find_peaks(maps, self.floor, 2 * self.most)

    def group(
        self, peaks: Peaks, points: Points, fields: NDArray[np.float32]
    ) -> tuple[Points, Points]:
        """Return points (most, bodypart, 2) and confidences (most, bodypart).

        `points` (m, 2) are the peaks' places in input pixels, and so is the answer;
        `fields` are (2 · edge, h, w). The surest animal comes first; NaN and 0 where
        nothing was found. A peak that belongs to no other is taken for noise, unless a
        skeleton is one part.
        """
        parts = self.bodyparts
        found = np.full((self.most, parts, 2), np.nan, np.float32)
        sure = np.zeros((self.most, parts), np.float32)
        if not len(peaks):
            return found, sure
        groups = _joined(self._evidence(peaks, points, fields), peaks.maps)
        if parts > 1:
            groups = [group for group in groups if len(group) > 1]
        groups.sort(key=lambda group: -float(peaks.heights[group].sum()))
        for place, group in enumerate(groups[: self.most]):
            found[place, peaks.maps[group]] = points[group]
            sure[place, peaks.maps[group]] = peaks.heights[group]
        return found, sure

    def _evidence(
        self, peaks: Peaks, points: Points, fields: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return (m, m): by how much the lines speak for two peaks being of one animal."""
        cells = (points - self.origin) / np.float32(self.stride)
        ends = np.array(self.edges, np.intp).reshape(-1, 2)
        part = peaks.maps
        fits = (part == ends[:, :1])[:, :, None] & (part == ends[:, 1:])[:, None]
        edge, start, end = np.nonzero(fits)
        lines = cells[start], cells[end]
        scores = paf_line_scores(fields, edge, *lines, self.worst) - self.link
        if self.longest:
            length = np.linalg.norm(points[end] - points[start], axis=1)
            scores[length > np.array(self.longest)[edge]] = -self.link
        evidence = np.zeros((len(part), len(part)), np.float32)
        evidence[start, end] = _worth(scores, edge, start, end)
        return evidence + evidence.T


def _worth(
    scores: NDArray[np.float32], edge: Places, start: Places, end: Places
) -> list[float]:
    """Return what the scores of all lines (m,) are worth; `edge` is in ascending order.

    Python's lists are faster here than arrays: an edge has a few lines.
    """
    worth: list[float] = []
    all_scores, starts, ends = scores.tolist(), start.tolist(), end.tolist()
    edges = edge.tolist()
    first = 0
    while first < len(edges):
        last = bisect_right(edges, edges[first], first)
        own = slice(first, last)
        worth += _contested(all_scores[own], starts[own], ends[own])
        first = last
    return worth


def _contested(
    scores: Sequence[float], starts: Sequence[int], ends: Sequence[int]
) -> list[float]:
    """Return the support (m,) of one edge's lines where they compete for peaks.

    The support of a line in the best assignment is the loss of score without it; that of
    any other line is 0. Negative scores do not change.
    """
    rivals: dict[int, list[int]] = {}  # lines by a name of all that compete
    for line, score in enumerate(scores):
        if not score > 0:
            continue
        a, b = starts[line], -1 - ends[line]
        together = [line]
        for at in (a, b):
            for other in rivals.get(at, ()):
                if other not in together:
                    together.append(other)
        for other in together:
            rivals[starts[other]] = rivals[-1 - ends[other]] = together
    worth = [score if score <= 0 else 0.0 for score in scores]
    for lines in {id(group): group for group in rivals.values()}.values():
        if len(lines) == 1:
            worth[lines[0]] = scores[lines[0]]
            continue
        for line, value in _assigned(lines, scores, starts, ends):
            worth[line] = value
    return worth


def _assigned(
    lines: Sequence[int],
    scores: Sequence[float],
    starts: Sequence[int],
    ends: Sequence[int],
) -> list[tuple[int, float]]:
    """Return those of rival lines that the best assignment takes, and their worth."""
    rows = {start: place for place, start in enumerate({starts[n] for n in lines})}
    columns = {end: place for place, end in enumerate({ends[n] for n in lines})}
    costs = np.zeros((len(rows), len(columns)))  # no pair is better than a bad one
    line_at = {(rows[starts[n]], columns[ends[n]]): n for n in lines}
    for pair, line in line_at.items():
        costs[pair] = -scores[line]
    chosen = assign(costs)
    best = sum(costs[pair] for pair in chosen)
    taken = []
    for pair in chosen:
        if pair not in line_at:
            continue
        worth = float(-costs[pair])
        if max(costs.shape) <= WEIGHED:
            costs[pair] = 0
            worth = float(sum(costs[other] for other in assign(costs)) - best)
            costs[pair] = -scores[line_at[pair]]
        taken.append((line_at[pair], worth))
    return taken


def _joined(
    evidence: NDArray[np.float32], part: NDArray[np.intp]
) -> list[NDArray[np.intp]]:
    """Return groups of peaks, none with two of a body part.

    The two groups with most in favour are joined, until nothing is in favour of any.
    """
    weight = evidence.copy()
    weight[part[:, None] == part] = -np.inf  # stays so in whatever it is joined with
    group = np.arange(len(part))
    count = len(part)
    while True:
        best = int(weight.argmax())
        one, two = divmod(best, count)
        if not weight[one, two] > 0:
            break
        weight[one] += weight[two]
        weight[:, one] = weight[one]
        weight[two] = weight[:, two] = -np.inf
        weight[one, one] = -np.inf
        group[group == two] = one
    return [np.flatnonzero(group == number) for number in np.unique(group)]
