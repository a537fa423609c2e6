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
    """Local maxima, the highest first within a map."""

    maps: Places
    """(m,): index of the map, in ascending order."""
    rows: Places
    columns: Places
    heights: NDArray[np.float32]
    """(m,)"""

    def __len__(self) -> int:
        return len(self.maps)


def find_peaks(
    maps: NDArray[np.float32], floor: float | NDArray[np.floating], most: int
) -> Peaks:
    """Non-maximum suppression: return the `most` highest local maxima of each map (n, h, w).

    A local maximum is above `floor`, one for all or (n, 1, 1), and above its eight
    neighbours; of equal neighbours the first counts. NaN is never a maximum.
    """
    _, height, width = maps.shape
    flat = maps.reshape(-1)
    places = np.flatnonzero(maps > floor)

    # Most cells have a higher one beside them, and this is the fastest way to leave them out.
    own, column = flat[places], places % width
    left = (flat.take(places - 1, mode="clip") < own) | (column == 0)
    right = (flat.take(places + 1, mode="clip") <= own) | (column == width - 1)
    places = places[left & right]

    which, cells = np.divmod(places, height * width)
    rows, columns = np.divmod(cells, width)

    # A neighbour outside the map is replaced by the cell itself, and then ignored.
    y, x = rows[:, None] + _DY, columns[:, None] + _DX
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    around = np.where(inside, places[:, None] + _DY * width + _DX, places[:, None])
    beside, heights = flat[around], flat[places][:, None]

    # Of a plateau only the first cell may remain: `<` before it, `<=` after it.
    lower = np.where(_EARLIER, beside < heights, beside <= heights) | ~inside
    kept = np.flatnonzero(lower.all(axis=1))

    # By map, then by height: the rank within a map is the distance to its first peak.
    kept = kept[np.lexsort((-heights[kept, 0], which[kept]))]
    first = np.searchsorted(which[kept], which[kept])
    kept = kept[np.arange(len(kept)) - first < most]
    return Peaks(which[kept], rows[kept], columns[kept], heights[kept, 0])


_DY = np.array([-1, -1, -1, 0, 0, 1, 1, 1])
_DX = np.array([-1, 0, 1, -1, 1, -1, 0, 1])
_EARLIER = np.arange(8) < 4


Points = NDArray[np.float32]
WEIGHED = 4
"""Most competing lines for which the support of each is computed by assignments."""


@dataclass(frozen=True, slots=True)
class PafGrouper:
    """Settings and methods for finding peaks and grouping them to animals by PAF."""

    bodyparts: int
    """Number of body parts: maps in which peaks are searched."""
    edges: tuple[tuple[int, int], ...]
    """Pairs of body parts with a field; together they connect all body parts."""
    most: int
    """The most animals in an image."""
    stride: int
    """Input pixels per cell of the fields, which may be coarser than the heat maps."""
    origin: float
    """The input pixel at which the centre of their cell 0 lies."""
    floor: float = 0.1
    """Maxima below this height are ignored."""
    link: float = 0.25
    """Line score above which two peaks probably belong to one animal; below, to
    different ones."""
    worst: int = WORST
    """Number of samples of a line that count: those with the lowest scores."""
    longest: tuple[float, ...] = ()
    """Maximum length of each edge in input pixels; empty: any length."""

    def peaks(self, maps: NDArray[np.float32]) -> Peaks:
        """Return the peaks of heat or score maps (bodypart, h, w)."""
        return find_peaks(maps, self.floor, 2 * self.most)

    def group(
        self, peaks: Peaks, points: Points, fields: NDArray[np.float32]
    ) -> tuple[Points, Points]:
        """Return points (most, bodypart, 2) and confidences (most, bodypart).

        `points` (m, 2) are the positions of the peaks in input pixels, as are those
        returned; `fields` are (2 · edge, h, w). The animal with the highest confidence
        comes first; NaN and 0 where nothing was found. A single peak is noise, unless the
        skeleton has only one body part.
        """
        parts = self.bodyparts
        found = np.full((self.most, parts, 2), np.nan, np.float32)
        sure = np.zeros((self.most, parts), np.float32)
        if not len(peaks):
            return found, sure

        evidence = self.evidence(peaks, points, fields)
        groups = _joined(evidence, peaks.maps)
        if parts > 1:
            groups = [group for group in groups if len(group) > 1]
        groups.sort(key=lambda group: -self.strength(peaks, group, evidence))

        kept = groups[: self.most]
        kept.sort(key=lambda group: -float(peaks.heights[group].sum()))
        for place, group in enumerate(kept):
            found[place, peaks.maps[group]] = points[group]
            sure[place, peaks.maps[group]] = peaks.heights[group]
        return found, sure

    def strength(
        self, peaks: Peaks, group: Places, evidence: NDArray[np.float32]
    ) -> float:
        """Return by what the strongest animals are kept: the sum of its peaks' heights."""
        return float(peaks.heights[group].sum())

    def evidence(
        self, peaks: Peaks, points: Points, fields: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return (m, m): evidence that two peaks are of one animal; below 0: against it."""
        cells = (points - self.origin) / np.float32(self.stride)
        ends = np.array(self.edges, np.intp).reshape(-1, 2)

        # A line for each pair of peaks whose body parts are the ends of an edge.
        part = peaks.maps
        fits = (part == ends[:, :1])[:, :, None] & (part == ends[:, 1:])[:, None]
        edge, start, end = np.nonzero(fits)
        lines = cells[start], cells[end]
        scores = paf_line_scores(fields, edge, *lines, self.worst) - self.link
        if self.longest:
            length = np.linalg.norm(points[end] - points[start], axis=1)
            scores[length > np.array(self.longest)[edge]] = -self.link

        # Lines have a direction, the evidence has none.
        evidence = np.zeros((len(part), len(part)), np.float32)
        evidence[start, end] = _support(scores, edge, start, end)
        return evidence + evidence.T


def _support(
    scores: NDArray[np.float32], edge: Places, start: Places, end: Places
) -> list[float]:
    """Return the support (m,) of all lines; `edge` is in ascending order.

    Python's lists are faster here than arrays: an edge has a few lines.
    """
    support: list[float] = []
    all_scores, starts, ends = scores.tolist(), start.tolist(), end.tolist()
    edges = edge.tolist()
    first = 0
    while first < len(edges):
        last = bisect_right(edges, edges[first], first)
        own = slice(first, last)
        support += _edge_support(all_scores[own], starts[own], ends[own])
        first = last
    return support


def _edge_support(
    scores: Sequence[float], starts: Sequence[int], ends: Sequence[int]
) -> list[float]:
    """Return the support (m,) of one edge's lines where they compete for peaks.

    The support of a line in the best assignment is the loss of score without it; that of
    any other line is 0. Negative scores do not change.
    """
    # Lines that share a peak compete, directly or over others. `rivals` has their list
    # for each peak: starts as they are, ends as negative numbers.
    rivals: dict[int, list[int]] = {}
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

    support = [score if score <= 0 else 0.0 for score in scores]
    for lines in {id(group): group for group in rivals.values()}.values():
        if len(lines) == 1:
            support[lines[0]] = scores[lines[0]]
            continue
        for line, value in _assigned(lines, scores, starts, ends):
            support[line] = value
    return support


def _assigned(
    lines: Sequence[int],
    scores: Sequence[float],
    starts: Sequence[int],
    ends: Sequence[int],
) -> list[tuple[int, float]]:
    """Return the competing lines of the best assignment, and their support."""
    rows = {start: place for place, start in enumerate({starts[n] for n in lines})}
    columns = {end: place for place, end in enumerate({ends[n] for n in lines})}

    # Pairs without a line cost 0: the assignment may leave a peak without a partner.
    costs = np.zeros((len(rows), len(columns)))
    line_at = {(rows[starts[n]], columns[ends[n]]): n for n in lines}
    for pair, line in line_at.items():
        costs[pair] = -scores[line]
    chosen = assign(costs)

    # The support of a line: how much worse the best assignment without it is.
    best = sum(costs[pair] for pair in chosen)
    taken = []
    for pair in chosen:
        if pair not in line_at:
            continue
        support = float(-costs[pair])
        if max(costs.shape) <= WEIGHED:
            costs[pair] = 0
            support = float(sum(costs[other] for other in assign(costs)) - best)
            costs[pair] = -scores[line_at[pair]]
        taken.append((line_at[pair], support))
    return taken


def _joined(
    evidence: NDArray[np.float32], part: NDArray[np.intp]
) -> list[NDArray[np.intp]]:
    """Return groups of peaks, none with two of a body part.

    The two groups with the most evidence for each other are joined, until there is none
    above 0 between any two.
    """
    weight = evidence.copy()
    # −inf remains −inf in every sum: groups with a body part in common are never joined.
    weight[part[:, None] == part] = -np.inf
    group = np.arange(len(part))
    count = len(part)
    while True:
        best = int(weight.argmax())
        one, two = divmod(best, count)
        if not weight[one, two] > 0:
            break

        # The joined group keeps the row and column of `one`; those of `two` are closed.
        weight[one] += weight[two]
        weight[:, one] = weight[one]
        weight[two] = weight[:, two] = -np.inf
        weight[one, one] = -np.inf
        group[group == two] = one
    return [np.flatnonzero(group == number) for number in np.unique(group)]
