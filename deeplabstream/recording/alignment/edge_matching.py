"""Edge matching: pairs of edges of one TTL line on two clocks; ambiguous edges are left out.

The run and the recorder time the same line, each on its own clock. The offset of the clocks
is unknown, and it drifts; edges are lost on either side, and the clock of the recording may
start again. The steps:

1. Candidates: pairs of equal barcodes, or of equal intervals between three rising (or
   falling) edges.
2. True candidates lie on lines of slowly varying offset, false ones are scattered: cluster
   them into lines.
3. Follow each line over the edges between its candidates.
4. Test each line: a binomial bound, and the same line shifted.
5. Leave out where two lines explain the same edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.alignment.sync_signals import (
    Bools,
    Codes,
    Edges,
    Floats,
    Ints,
    read_codes,
)

CLOCK_PPM = (200.0, 6000.0)
"""Differences of the clocks' rates that are tried: of quartzes, then of ceramic resonators."""
JITTER_S = 0.002
"""Largest difference of an edge's two times, besides offset and drift."""
_WINDOW_S = 60.0
_LONGEST_LINK_S = 7200.0
_MOST_PAIRS = 5_000_000
_MOST_LIKE = 8
"""Candidates of one triple of edges; intervals with more of them are not distinctive."""
_MOST_LINES = 200
_BEYOND_S = 60.0
"""Time over which a line is followed beyond its first and last candidate."""
_LEAST_EDGES = 6
_LONG = 36
"""Number of values from which the trend of an offset is not fitted as a straight line."""
_CHANCE_LOG10 = -6.0
"""Decimal logarithm of the largest probability that any line is due to chance."""
_LEAST_CODES = 3
_BETTER = 1.5
"""Smallest ratio of matched edges between the two polarities for a decision."""
_SHIFTS, _REACHES = 50, (3, 50)
"""Number of random intervals used as shifts, and the numbers of edges that they span."""
_LEAST_SHIFT = 4.0
"""Smallest shift that is tried, in tolerances."""
_APART_S = 1.0
"""Edges closer than this form one group, because they fit or fail together by chance."""
_RIVAL = 0.5
"""Share of the edges that another line must explain to make a stretch ambiguous."""


@dataclass(frozen=True, slots=True)
class Match:
    """Edges of one uninterrupted stretch that were found on both clocks.

    Attributes
    ----------
    run : numpy.ndarray of int64, shape (pair,)
        Indices of the run's edges; they grow.
    recording : numpy.ndarray of int64, shape (pair,)
        Indices of the recording's edges; they grow.
    """

    run: Ints
    recording: Ints

    def __len__(self) -> int:
        return len(self.run)


@dataclass(frozen=True, slots=True)
class Matching:
    """Result of `match_edges`.

    Attributes
    ----------
    matches : tuple of Match
        Stretches in the order of the run; none: the edges do not belong together.
    ambiguous_s : tuple of (float, float)
        Stretches of the run, in seconds, whose edges fit in several places.
    inverted : bool
        Whether the recorder saw the line inverted.
    kind : str
        What identified the edges: `barcodes`, or `intervals`.
    distinctive : float
        Share of the recording's triples of edges that fit in few places of the run; low
        for signals that repeat.
    """

    matches: tuple[Match, ...]
    ambiguous_s: tuple[tuple[float, float], ...] = ()
    inverted: bool = False
    kind: str = "intervals"
    distinctive: float = 1.0

    def __len__(self) -> int:
        return sum(map(len, self.matches))


def match_edges(
    run: Edges, recording: Edges, resolution_s: float = 0.0, jitter_s: float = JITTER_S
) -> Matching:
    """Find the edges of a run in a recording.

    Parameters
    ----------
    run : Edges
        On the run's clock.
    recording : Edges
        On the recorder's clock; a clock that starts again begins a new part.
    resolution_s : float
        Time between two samples of the recorder.
    jitter_s : float
        Largest difference of an edge's two times, besides offset and drift.

    Returns
    -------
    Matching
        Without matches when the edges do not belong together.
    """
    # Sampling moves each end of an interval by up to half a sample; half a sample in reserve.
    tolerance_s = jitter_s + 1.5 * resolution_s
    best = Matching(())

    # A wide range of rates accepts more false candidates: the narrow one comes first.
    for ppm in CLOCK_PPM:
        upright_matcher, inverted_matcher = (
            _Matcher(run, edges, tolerance_s, resolution_s, 1e-6 * ppm)
            for edges in (recording, recording.inverted())
        )
        # Edges of both directions can't all fit if the recorder inverts the line.
        upright = upright_matcher.match()
        if upright_matcher.has_both_edges(upright):
            return upright

        inverted = Matching(())
        if recording.rising.any() and not recording.rising.all():
            inverted = replace(inverted_matcher.match(), inverted=True)

        better, other = sorted((upright, inverted), key=len, reverse=True)
        if len(better) > _BETTER * len(other):
            return better
        # If one side of pulses of equal length was recorded, they fit with both
        # polarities, one pulse length apart: it can't be decided which is correct.
        if len(better):
            return replace(better, matches=(), ambiguous_s=_spans(run, better))

        best = min(best, upright, inverted, key=lambda match: match.distinctive)
        best = next((match for match in (upright, inverted) if match.ambiguous_s), best)
    return best


def _spans(run: Edges, found: Matching) -> tuple[tuple[float, float], ...]:
    """Return the stretches of all matches."""
    times = run.times_s
    return _merged(
        [(float(times[m.run[0]]), float(times[m.run[-1]])) for m in found.matches]
    )


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Candidates: indices of edges that may be the same."""

    run: Ints
    recording: Ints

    def at(self, chosen: NDArray[np.generic]) -> "_Candidates":
        return _Candidates(self.run[chosen], self.recording[chosen])


@dataclass(frozen=True, slots=True)
class _Matcher:
    """Matching with one polarity and one range of rates."""

    run: Edges
    recording: Edges
    tolerance_s: float
    resolution_s: float
    rate: float
    """Largest relative difference of the clocks' rates."""

    def match(self) -> Matching:
        """Return the matches of this polarity; the steps of the file's docstring."""
        if min(len(self.run), len(self.recording)) < _LEAST_EDGES:
            return Matching(())

        # Barcodes are unique for hours; intervals only where they vary.
        kind, distinctive = "barcodes", 1.0
        ours = read_codes(self.run)
        if len(ours.values) >= _LEAST_CODES:
            candidates = self._equal_codes(ours)
        else:
            kind = "intervals"
            candidates, distinctive = self._equal_intervals()

        # Equal barcodes at a wrong offset are not expected, so shifts prove nothing there.
        lines = [self._follow(line) for line in self._lines(candidates)]
        lines = [
            line
            for line in lines
            if self._is_significant(line, kind)
            and (kind == "barcodes" or self._is_better_than_shifted(line))
        ]

        # Longer lines first: `_distinct` keeps the first of those that share edges.
        lines.sort(key=len, reverse=True)
        return self._without_ambiguous(_distinct(lines), kind, distinctive)

    def has_both_edges(self, found: Matching) -> bool:
        """Return whether rising and falling edges were found, none far more often."""
        rising = [self.run.rising[match.run] for match in found.matches]
        share = float(np.concatenate(rising).mean()) if rising else 0.0
        return 0.3 < share < 0.7

    def _equal_codes(self, ours: Codes) -> _Candidates:
        """Return the edges that begin equal barcodes."""
        theirs = read_codes(self.recording, self.resolution_s)

        # Every pair of equal values: a barcode may repeat when the generator starts again.
        order = np.argsort(ours.values, kind="stable")
        values = ours.values[order]
        first = np.searchsorted(values, theirs.values, "left")
        count = np.searchsorted(values, theirs.values, "right") - first
        at, code = _ranges(first, count)
        return _Candidates(ours.edges[order][at], theirs.edges[code])

    def _equal_intervals(self) -> tuple[_Candidates, float]:
        """Return edges that begin equal intervals, and the share of distinctive ones."""
        # The recorder may keep edges of one direction only.
        side = bool(self.recording.rising.mean() >= 0.5)
        ours, theirs = _triples(self.run, side), _triples(self.recording, side)

        # Pairs with equal first intervals, by bisection.
        order = np.argsort(ours.first_s)
        ours = ours.at(order)
        low, high = self._range(theirs.first_s)
        first = np.searchsorted(ours.first_s, low)
        count = np.searchsorted(ours.first_s, high) - first
        # A regular signal has a pair for nearly all triples: every n-th is enough for a line.
        if (total := int(count.sum())) > _MOST_PAIRS:
            some = np.arange(0, len(count), -(-total // _MOST_PAIRS))
            theirs, first, count = theirs.at(some), first[some], count[some]

        # Of these, pairs with equal second intervals; in pieces that fit into memory.
        kept_ours, kept_theirs = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        step = max(1, int(len(count) * 2e6 / max(1, total)))
        for start in range(0, len(count), step):
            part = slice(start, start + step)
            at, index = _ranges(first[part], count[part])
            low, high = self._range(theirs.second_s[part][index])
            second = ours.second_s[at]
            fits = (second >= low) & (second <= high)
            kept_ours.append(at[fits])
            kept_theirs.append(index[fits] + start)
        at, index = np.concatenate(kept_ours), np.concatenate(kept_theirs)

        # Intervals with many similar ones do not determine the position, and take most
        # time.
        likes = np.bincount(index, minlength=len(count))
        few = (likes > 0) & (likes <= _MOST_LIKE)
        seen = int((likes > 0).sum())
        kept = few[index]
        candidates = _Candidates(ours.edge[at[kept]], theirs.edge[index[kept]])
        return candidates, float(few.sum() / seen) if seen else 1.0

    def _range(self, interval_s: Floats) -> tuple[Floats, Floats]:
        """Return the limits of intervals that may be equal on the other clock."""
        off = self.tolerance_s + self.rate * interval_s
        return interval_s - off, interval_s + off

    def _offsets(self, candidates: _Candidates) -> Floats:
        """Return the recorder's minus the run's time of candidates, s."""
        return (
            self.recording.times_s[candidates.recording]
            - self.run.times_s[candidates.run]
        )

    def _lines(self, candidates: _Candidates) -> list[_Candidates]:
        """Return the candidates that lie on lines, the longest lines first.

        Candidates of a minute with about the same offset are a node; nodes that follow each
        other with about the same offset are a line.
        """
        if not len(candidates.run):
            return []

        # A pair of edges is a candidate once, however many intervals begin there.
        key = candidates.run * len(self.recording) + candidates.recording
        candidates = candidates.at(np.unique(key, return_index=True)[1])

        # Sort by part, window and offset, so that the members of a node are neighbours.
        part = self.recording.parts[candidates.recording]
        times, offset = self.run.times_s[candidates.run], self._offsets(candidates)
        window = np.floor(times / _WINDOW_S).astype(np.int64)
        order = np.lexsort((offset, window, part))
        candidates, part = candidates.at(order), part[order]
        times, offset, window = times[order], offset[order], window[order]

        # Within a window the offset can't change by more than the largest drift.
        cell_s = self.tolerance_s + self.rate * _WINDOW_S
        new = (np.diff(window) != 0) | (np.diff(part) != 0) | (np.diff(offset) > cell_s)
        begins = np.concatenate([[0], np.flatnonzero(new) + 1])

        # The middle candidate stands for its node: sorted by offset, it is the median.
        middle = (begins + np.append(begins[1:], len(offset))) // 2
        line_of = self._linked(part[middle], times[middle], offset[middle])
        line = np.repeat(line_of, np.diff(np.append(begins, len(offset))))

        # False candidates make very many short lines.
        sizes = np.bincount(line)
        longest = np.argsort(-sizes, kind="stable")[:_MOST_LINES]
        return [candidates.at(line == number) for number in longest]

    def _linked(self, parts: Ints, times: Floats, offsets: Floats) -> Ints:
        """Return the number of the line of each node; nodes are in the order of time."""
        lines = np.zeros(len(times), np.int64)
        last = np.zeros((3, len(times)))  # part, time, offset of each line's end
        count = 0
        for node, (part, at, offset) in enumerate(
            zip(parts, times, offsets, strict=True)
        ):
            # The nearest line in offset of those that this node may continue. How far the
            # offset may be off grows with the time since the line's last node.
            ended_part, ended_at, ended = last[:, :count]
            wait = at - ended_at
            off = np.abs(offset - ended)
            fits = (wait > 0) & (wait <= _LONGEST_LINK_S) & (ended_part == part)
            fits &= off <= self.tolerance_s + self.rate * (wait + _WINDOW_S)
            if fits.any():
                line = int(np.argmin(np.where(fits, off, np.inf)))
            else:
                line, count = count, count + 1
            lines[node] = line
            last[:, line] = part, at, offset
        return lines

    def _follow(self, line: _Candidates) -> Match:
        """Return all edges along a line of candidates."""
        times = self.run.times_s[line.run]
        order = np.argsort(times, kind="stable")
        times, offset = times[order], self._offsets(line)[order]

        # The trend is made of medians, so single false candidates do not move it.
        trend = _trend(times, offset)
        good = np.abs(offset - np.interp(times, *trend)) <= self.tolerance_s
        if good.sum() < 3:
            return Match(np.empty(0, np.int64), np.empty(0, np.int64))

        # The candidates give a first trend; the edges along it a better one.
        part = int(self.recording.parts[line.recording[0]])
        match = self._along(_trend(times[good], offset[good]), part)
        if len(match) >= _LEAST_EDGES:
            times = self.run.times_s[match.run]
            offset = self.recording.times_s[match.recording] - times
            match = self._along(_trend(times, offset), part)
        return match

    def _along(self, trend: tuple[Floats, Floats], part: int) -> Match:
        """Return the edges of both sides that are within the tolerance of a line."""
        ours = np.flatnonzero(
            (self.run.times_s >= trend[0][0]) & (self.run.times_s <= trend[0][-1])
        )
        at_s = self.run.times_s[ours]
        expected = at_s + np.interp(at_s, *trend)

        # A rising edge is never the same as a falling one, however near it is.
        pairs = []
        for rising in (True, False):
            mine = self.run.rising[ours] == rising
            theirs = np.flatnonzero(
                (self.recording.parts == part) & (self.recording.rising == rising)
            )
            near, off = _nearest(self.recording.times_s[theirs], expected[mine])
            close = off <= self.tolerance_s
            pairs.append((ours[mine][close], theirs[near[close]], off[close]))
        run, recording, off = (
            np.concatenate(arrays) for arrays in zip(*pairs, strict=True)
        )

        # Two edges of the run can be near one edge of the recording: the nearest one is
        # matched.
        order = np.lexsort((off, recording))
        run, recording = run[order], recording[order]
        once = np.concatenate([[True], np.diff(recording) > 0])[: len(run)]
        run, recording = run[once], recording[once]
        order = np.argsort(run)
        return Match(run[order], recording[order])

    def _is_significant(self, line: Match, kind: str) -> bool:
        """Return whether the number of matching edges is unlikely by chance.

        Chernoff's bound of the binomial distribution, times the number of offsets. Without
        barcodes also for the groups of edges, as the edges of a train depend on each other.
        """
        if len(line) < _LEAST_EDGES:
            return False

        # The probability that an edge of the recording is near any given time.
        first, last = line.run[0], line.run[-1]
        tried = last - first + 1
        begin, end = line.recording[0], line.recording[-1]
        length_s = self.recording.times_s[end] - self.recording.times_s[begin]
        density = (end - begin + 1) / 2 / max(length_s, 1e-9)
        chance = 2 * self.tolerance_s * density

        # Every pair of edges is an offset that could have been tried (Bonferroni).
        offsets = np.log10(float(len(self.run)) * len(self.recording))
        log10 = offsets + _chance_log10(tried, len(line) - 1, chance)
        if kind == "barcodes" or log10 >= _CHANCE_LOG10:
            return bool(log10 < _CHANCE_LOG10)

        # Edges of one pulse train fit or fail together: count groups instead.
        times = self.run.times_s[first : last + 1]
        group = np.cumsum(np.diff(times, prepend=times[0]) > _APART_S)
        groups = int(group[-1]) + 1
        found = len(np.unique(group[line.run - first]))
        log10 = offsets + _chance_log10(groups, found - 1, chance * tried / groups)
        return bool(log10 < _CHANCE_LOG10)

    def _is_better_than_shifted(self, line: Match) -> bool:
        """Return whether the line explains far more edges than its shifted copies.

        Signals that repeat, such as a regular train, fit with many shifts. The shifts are
        intervals between edges of the run, and of the recording.
        """
        first, last = line.run[0], line.run[-1]
        ours = np.arange(first, last + 1)
        side = bool(self.run.rising[line.run].mean() >= 0.5)
        ours = ours[self.run.rising[ours] == side]
        if len(ours) < 3:
            return False

        # Where the line expects its edges in the recording.
        times = self.run.times_s[line.run]
        offset = self.recording.times_s[line.recording] - times
        at_s = self.run.times_s[ours]
        expected = at_s + np.interp(at_s, times, offset)
        part = self.recording.parts[line.recording[0]]
        theirs = self.recording.times_s[
            (self.recording.parts == part) & (self.recording.rising == side)
        ]

        # Wrong offsets of a repeating signal are intervals of that signal. The generator
        # has a fixed seed, so that an alignment gives the same result each time.
        draw = np.random.default_rng(len(line))
        shifts = np.concatenate(
            [
                _intervals(times_s, reach, draw)
                for times_s in (at_s, theirs)
                for reach in _REACHES
            ]
        )
        shifts = shifts[np.abs(shifts) >= _LEAST_SHIFT * self.tolerance_s]

        # One shift that explains half as many edges makes the line ambiguous.
        allowed = (
            int((_nearest(theirs, expected)[1] <= self.tolerance_s).sum()) * _RIVAL
        )
        return all(
            (_nearest(theirs, expected + shift)[1] <= self.tolerance_s).sum() < allowed
            for shift in shifts
        )

    def _without_ambiguous(
        self, lines: Sequence[Match], kind: str, distinctive: float
    ) -> Matching:
        """Return the lines without the parts where another line explains as many edges."""
        matches, ambiguous = [], []
        for line in lines:
            sure = np.ones(len(line), bool)
            for rival in lines:
                if rival is not line:
                    sure &= ~_contested(line, rival)
            if sure.all():
                matches.append(line)
                continue

            # The rest of the line must be sufficient without them.
            kept = np.flatnonzero(sure)
            rest = slice(kept[0], kept[-1] + 1) if len(kept) else slice(0, 0)
            cut = Match(line.run[rest], line.recording[rest])
            times = self.run.times_s[line.run]
            if not self._is_significant(cut, kind):
                ambiguous.append((float(times[0]), float(times[-1])))
                continue
            matches.append(cut)

            # Report what was cut off on each side.
            if kept[0] > 0:
                ambiguous.append((float(times[0]), float(times[kept[0]])))
            if kept[-1] < len(times) - 1:
                ambiguous.append((float(times[kept[-1]]), float(times[-1])))
        matches.sort(key=lambda match: int(match.run[0]))
        return Matching(
            tuple(matches), _merged(ambiguous), kind=kind, distinctive=distinctive
        )


@dataclass(frozen=True, slots=True)
class _Triples:
    """Edges of one side with the two intervals that follow them."""

    edge: Ints
    first_s: Floats
    second_s: Floats

    def at(self, chosen: NDArray[np.generic]) -> "_Triples":
        return _Triples(self.edge[chosen], self.first_s[chosen], self.second_s[chosen])


def _intervals(times_s: Floats, reach: int, draw: np.random.Generator) -> Floats:
    """Return intervals over up to `reach` edges, drawn at random."""
    one = draw.integers(0, len(times_s), _SHIFTS)
    more = draw.integers(-reach, reach + 1, _SHIFTS)
    two = np.clip(one + more, 0, len(times_s) - 1)
    return np.asarray(times_s[two] - times_s[one])


def _chance_log10(tried: int, found: int, chance: float) -> float:
    """Return the logarithm of Chernoff's bound: the probability of so many chance matches."""
    chance, share = min(0.5, chance), min(found / tried, 1 - 1e-12)
    if share <= chance:
        return 0.0
    divergence = share * np.log(share / chance)
    divergence += (1 - share) * np.log((1 - share) / (1 - chance))
    return float(-tried * divergence / np.log(10))


def _triples(edges: Edges, side: bool) -> _Triples:
    """Return the intervals after each rising edge, or each falling one.

    Also those that leave out an edge: one that the other side lost must not cost all
    intervals around it.
    """
    chosen = np.flatnonzero(edges.rising == side)
    times, parts = edges.times_s[chosen], edges.parts[chosen]
    found = []
    for one in (1, 2):
        for two in (1, 2):
            end = one + two
            if len(chosen) <= end:
                continue
            # An interval over a restart of the clock has no length.
            same = parts[end:] == parts[:-end]
            middle = times[one : len(times) - two]
            found.append(
                (
                    chosen[:-end][same],
                    (middle - times[:-end])[same],
                    (times[end:] - middle)[same],
                )
            )
    if not found:
        return _Triples(np.empty(0, np.int64), np.empty(0), np.empty(0))
    return _Triples(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))


def _ranges(first: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Return all members of several ranges, and the number of the range of each."""
    index = np.repeat(np.arange(len(count)), count)
    start = np.repeat(first - np.concatenate([[0], np.cumsum(count)[:-1]]), count)
    return start + np.arange(len(index)), index


def _nearest(times: Floats, moments: Floats) -> tuple[Ints, Floats]:
    """Return the index of the nearest time to each moment, and its distance."""
    if not len(times):
        return np.zeros(len(moments), np.int64), np.full(len(moments), np.inf)
    # A single time has no neighbour: use itself.
    after = np.clip(np.searchsorted(times, moments), 1, max(1, len(times) - 1))
    after = np.minimum(after, len(times) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(times[after] - moments) < np.abs(times[before] - moments)
    index = np.where(nearer, after, before)
    return index, np.abs(times[index] - moments)


def _trend(times: Floats, offsets: Floats) -> tuple[Floats, Floats]:
    """Return knots of the offset over time, from `_BEYOND_S` before to as long after.

    Medians of nine neighbours; for few values, the line of Theil and Sen.
    """
    # Theil-Sen slope, from all pairs: up to 29 % of wrong values do not affect the
    # median.
    if len(times) < _LONG:
        one, two = np.triu_indices(len(times), 1)
        apart = times[two] - times[one]
        slopes = (offsets[two] - offsets[one])[apart > 0] / apart[apart > 0]
        slope = float(np.median(slopes)) if len(slopes) else 0.0
        level = float(np.median(offsets - slope * times))
        ends = np.array([times[0] - _BEYOND_S, times[-1] + _BEYOND_S])
        return ends, level + slope * ends

    # Knots at medians follow the drift; the last group overlaps, so no value is
    # omitted.
    starts = np.append(np.arange(0, len(times) - 17, 9), len(times) - 9)
    groups = starts[:, None] + np.arange(9)
    at, offset = np.median(times[groups], axis=1), np.median(offsets[groups], axis=1)

    # Beyond the knots, the slope at the end is extrapolated.
    slopes = np.diff(offset)[[0, -1]] / np.diff(at)[[0, -1]]
    ends = np.array([times[0] - _BEYOND_S, times[-1] + _BEYOND_S])
    outer = offset[[0, -1]] + slopes * (ends - at[[0, -1]])
    return (
        np.concatenate([ends[:1], at, ends[1:]]),
        np.concatenate([outer[:1], offset, outer[1:]]),
    )


def _distinct(lines: Sequence[Match]) -> list[Match]:
    """Return the lines, without those that share most of their pairs with longer ones."""
    kept: list[Match] = []
    for line in lines:
        pairs = {*zip(line.run.tolist(), line.recording.tolist(), strict=True)}
        for other in kept:
            pairs -= {*zip(other.run.tolist(), other.recording.tolist(), strict=True)}
        if len(pairs) > 0.5 * len(line):
            kept.append(line)
    return kept


def _contested(line: Match, rival: Match) -> Bools:
    """Return which pairs of a line lie where a rival explains as many edges."""
    contested = np.zeros(len(line), bool)
    for mine, theirs in (
        (line.run, rival.run),
        (line.recording, rival.recording),
    ):
        low, high = max(mine[0], theirs[0]), min(mine[-1], theirs[-1])
        if low > high:
            continue

        # A rival with only a few chance edges in this range does not count.
        inside = (mine >= low) & (mine <= high)
        other = int(((theirs >= low) & (theirs <= high)).sum())
        if other >= _RIVAL * inside.sum():
            contested |= inside
    return contested


def _merged(spans: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return spans in order, with overlapping ones merged."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return tuple(merged)
