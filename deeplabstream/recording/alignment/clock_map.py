"""Clock map: a recorder's clock over the run's clock, with the error to expect.

Offset and drift follow the usual model of an oscillator: the drift is a random walk (Allan,
Proc. IEEE 54, 1966). A Kalman filter and the smoother of Rauch, Tung and Striebel give both
and their variance, also in gaps between the edges. How much the drift varies is estimated
from the edges themselves. Where the offset jumps, a new segment begins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError, counted
from deeplabstream.recording.alignment.edge_matching import Matching, match_edges
from deeplabstream.recording.alignment.sync_signals import Edges, Floats, Ints

MOST_ERROR_S = 0.001
"""Expected error (95 %) above which no time is given."""
EXTRAPOLATE_S = 60.0
"""Time over which a segment extends beyond its first and last edge."""
_STEP_S = 10.0
_WALKS = 10.0 ** np.arange(-16, -10)
"""Variances of the drift that are tried, per second; a quartz at room temperature: 1e-16."""
_GATE = 6.0
"""Standard deviations beyond which a step does not fit."""
_STEPS_OFF = 3
"""Number of consecutive outlying steps that indicate a jump of the clock."""
_LEAST_NOISE_S = 2e-6
_LEAST_EDGES = 6
_P95 = 1.96
_State: TypeAlias = tuple[float, float, float, float, float]
"""Offset, drift, and their covariances: 00, 01, 11."""


@dataclass(frozen=True, slots=True)
class ClockSegment:
    """A stretch in which the recorder's clock was not set.

    Attributes
    ----------
    times_s : numpy.ndarray of float64, shape (knot,)
        Knots on the run's clock, in seconds.
    offsets_s : numpy.ndarray of float64, shape (knot,)
        Recorder's clock minus run's clock.
    drifts : numpy.ndarray of float64, shape (knot,)
        Change of the offset, in seconds per second.
    errors_s : numpy.ndarray of float64, shape (knot,)
        Standard deviation of the offset.
    part : int
        Part of the recording.
    span_s : tuple of (float, float)
        Where the segment is valid, on the recorder's clock.
    """

    times_s: Floats
    offsets_s: Floats
    drifts: Floats
    errors_s: Floats
    part: int
    span_s: tuple[float, float] = (-math.inf, math.inf)

    def offset(self, times_s: Floats) -> Floats:
        """Return the offset at times of the run's clock: cubic between the knots."""
        times, offsets, drifts = self.times_s, self.offsets_s, self.drifts

        # Hermite's cubic: the filter gives the slope at each knot, so no kink is left.
        at = np.clip(np.searchsorted(times, times_s) - 1, 0, len(times) - 2)
        step = times[at + 1] - times[at]
        u = (times_s - times[at]) / step
        inside = (
            offsets[at] * (1 + 2 * u) * (1 - u) ** 2
            + offsets[at + 1] * u**2 * (3 - 2 * u)
            + drifts[at] * step * u * (1 - u) ** 2
            - drifts[at + 1] * step * u**2 * (1 - u)
        )

        # Beyond the knots the last known drift is extrapolated.
        early = offsets[0] + drifts[0] * (times_s - times[0])
        late = offsets[-1] + drifts[-1] * (times_s - times[-1])
        return np.asarray(
            np.where(
                times_s < times[0], early, np.where(times_s > times[-1], late, inside)
            )
        )


@dataclass(frozen=True, slots=True)
class AlignedTimes:
    """Times of a run on the recorder's clock.

    Attributes
    ----------
    times_s : numpy.ndarray of float64, shape (time,)
        Seconds on the recorder's clock; NaN: not known.
    errors_s : numpy.ndarray of float64, shape (time,)
        Error to expect: 95 % of times are nearer; NaN: not known.
    segments : numpy.ndarray of int64, shape (time,)
        Number of the segment; -1: none.
    """

    times_s: Floats
    errors_s: Floats
    segments: Ints


@dataclass(frozen=True, slots=True)
class ClockMap:
    """A recorder's clock over the run's clock.

    Attributes
    ----------
    segments : tuple of ClockSegment
        In the order of the run.
    matching : Matching
        How the edges were found.
    run : Edges
        Edges of the run.
    recording : Edges
        Edges of the recording.
    used : numpy.ndarray of int64, shape (edge, 3)
        Edges that determine the map: index in the run, in the recording, segment.
    residuals_s : numpy.ndarray of float64, shape (edge,)
        Recorded time minus mapped time of these edges.
    outliers : int
        Edges that were found and did not fit.
    """

    segments: tuple[ClockSegment, ...]
    matching: Matching
    run: Edges
    recording: Edges
    used: Ints
    residuals_s: Floats
    outliers: int

    def align(
        self, times_s: Floats, most_error_s: float = MOST_ERROR_S
    ) -> AlignedTimes:
        """Return times of the run's clock on the recorder's clock.

        Parameters
        ----------
        times_s : numpy.ndarray of float64, shape (time,)
            Seconds on the run's clock.
        most_error_s : float
            Expected error above which a time is not given.

        Returns
        -------
        AlignedTimes
            NaN where no segment is valid, or two are.
        """
        times_s = np.asarray(times_s, np.float64)

        aligned = np.full(len(times_s), np.nan)
        errors = np.full(len(times_s), np.nan)
        segments = np.full(len(times_s), -1, np.int64)
        claims = np.zeros(len(times_s), int)
        for number, segment in enumerate(self.segments):
            recording_s = times_s + segment.offset(times_s)
            error = _P95 * np.interp(times_s, segment.times_s, segment.errors_s)

            # A time is given only while the recorder ran, near edges, and well enough known.
            start_s, end_s = segment.span_s
            valid = (recording_s >= start_s) & (recording_s <= end_s)
            valid &= (times_s >= segment.times_s[0]) & (times_s <= segment.times_s[-1])
            valid &= error <= most_error_s
            aligned[valid], errors[valid] = recording_s[valid], error[valid]
            segments[valid] = number
            claims += valid

        # Where the recorder's clock was set back, two segments may contain a moment.
        twice = claims > 1
        aligned[twice], errors[twice], segments[twice] = np.nan, np.nan, -1
        return AlignedTimes(aligned, errors, segments)


def map_clocks(
    run: Edges,
    recording: Edges,
    spans_s: Sequence[tuple[float, float]] = (),
    resolution_s: float = 0.0,
) -> ClockMap:
    """Find the edges of a run in a recording and map the run's clock to the recorder's.

    Parameters
    ----------
    run : Edges
        On the run's clock.
    recording : Edges
        On the recorder's clock.
    spans_s : sequence of (float, float)
        Start and end of each part of the recording on its clock; empty: not known.
    resolution_s : float
        Time between two samples of the recorder.

    Returns
    -------
    ClockMap
        With at least one segment.

    Raises
    ------
    DeviceError
        The edges do not belong together, or are ambiguous everywhere.
    """
    matching = match_edges(run, recording, resolution_s)
    if not matching.matches:
        raise DeviceError(_refusal(run, recording, matching))

    segments: list[ClockSegment] = []
    used: list[NDArray[np.int64]] = []
    outliers = 0
    for match in matching.matches:
        # A match lies in one part; each jump of the clock inside it begins a new
        # segment.
        part = int(recording.parts[match.recording[0]])
        times = run.times_s[match.run]
        offsets = recording.times_s[match.recording] - times
        for piece in _pieces(times, offsets, resolution_s):
            fitted = piece.segment
            span = spans_s[part] if part < len(spans_s) else (-math.inf, math.inf)
            segments.append(
                ClockSegment(
                    fitted.times_s, fitted.offsets_s, fitted.drifts, fitted.errors_s,
                    part, span,
                )
            )  # fmt: skip
            number = np.full(len(piece.good), len(segments) - 1)
            pairs = match.run[piece.good], match.recording[piece.good], number
            used.append(np.column_stack(pairs))
            outliers += piece.rejected
    if not segments:
        raise DeviceError(_refusal(run, recording, matching))

    # How well the map explains the edges that it was made of: residuals.csv has them.
    pairs_of = np.concatenate(used)
    residuals = np.concatenate(
        [
            recording.times_s[pairs[:, 1]]
            - run.times_s[pairs[:, 0]]
            - segment.offset(run.times_s[pairs[:, 0]])
            for segment, pairs in zip(segments, used, strict=True)
        ]
    )
    return ClockMap(
        tuple(_apart(segments, run, pairs_of)), matching, run, recording, pairs_of,
        residuals, outliers,
    )  # fmt: skip


def _apart(segments: list[ClockSegment], run: Edges, used: Ints) -> list[ClockSegment]:
    """Return segments trimmed so that they do not overlap.

    Where the clock was set between two segments is known only if their parts have spans;
    else neither reaches beyond its own edges towards the other.
    """
    ends = [
        run.times_s[used[used[:, 2] == number, 0][[0, -1]]]
        for number in range(len(segments))
    ]
    cut = []
    for number, segment in enumerate(segments):
        low, high = float(segment.times_s[0]), float(segment.times_s[-1])
        for other, neighbour in enumerate(segments):
            if other == number:
                continue
            # With known spans the moment of the restart is known, else it may be anywhere
            # between the last edge before it and the first one after it.
            is_known = neighbour.part != segment.part and math.isfinite(
                segment.span_s[0]
            )
            if other < number:
                low = max(low, ends[other][1] if is_known else ends[number][0])
            else:
                high = min(high, ends[other][0] if is_known else ends[number][1])
        cut.append(_between(segment, low, high) if len(segments) > 1 else segment)
    return cut


def _between(segment: ClockSegment, low: float, high: float) -> ClockSegment:
    """Return a segment with another begin and end."""
    times = segment.times_s[(segment.times_s > low) & (segment.times_s < high)]
    times = np.concatenate([[low], times, [high]])
    return ClockSegment(
        times,
        segment.offset(times),
        np.interp(times, segment.times_s, segment.drifts),
        np.interp(times, segment.times_s, segment.errors_s),
        segment.part,
        segment.span_s,
    )


def _refusal(run: Edges, recording: Edges, matching: Matching) -> str:
    counts = (
        f"{counted(len(run), 'edge')} in the run, {len(recording)} in the recording"
    )
    if matching.ambiguous_s or matching.distinctive < 0.5:
        return (
            "the edges repeat so regularly that they fit in several places "
            f"({counts}); use random intervals or barcodes (docs/alignment.md)"
        )
    return (
        f"the edges of the recording are not those of the run ({counts}); is it the "
        "recording of this run, and the right line? Trains of equal pulses can't be matched "
        "(docs/alignment.md)"
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    """A segment, the indices of the edges that determine it, and how many were rejected."""

    segment: ClockSegment
    good: Ints
    rejected: int


def _pieces(times: Floats, offsets: Floats, resolution_s: float) -> list[_Piece]:
    """Return the segments of a stretch: a new one after each jump of the clock."""
    pieces = []
    start, end = 0, len(times)
    while end - start >= _LEAST_EDGES:
        piece, jump = _piece(times[start:end], offsets[start:end], resolution_s)

        # Fit again without the edges after the jump: they have biased the filter's
        # estimate.
        if jump is not None:
            end = start + jump
            if jump >= _LEAST_EDGES:
                continue
        elif piece is not None:
            pieces.append(_Piece(piece.segment, piece.good + start, piece.rejected))

        # Continue after this segment, with all edges again.
        start, end = max(end, start + 1), len(times)
    return pieces


def _piece(
    times: Floats, offsets: Floats, resolution_s: float
) -> tuple[_Piece | None, int | None]:
    """Return the segment from the first edge on, and the edge at which the clock jumped."""
    if len(times) < _LEAST_EDGES:
        return None, None
    good = np.arange(len(times))
    jump = None

    # Twice: outliers are found against a fit that includes them, then excluded.
    for _ in range(2):
        fit = _Fit(times[good], offsets[good], resolution_s)
        segment = fit.smoothed()
        if jump is None and fit.jump is not None:
            return None, int(good[fit.jump]) or 1

        # The median absolute deviation, as a standard deviation of a normal distribution.
        off = np.abs(offsets - segment.offset(times))
        spread = 1.4826 * float(np.median(off[good]))
        good = np.flatnonzero(off <= max(_GATE * spread, resolution_s, 5e-5))
        if len(good) < _LEAST_EDGES:
            return None, None
    return _Piece(segment, good, len(times) - len(good)), None


class _Fit:
    """Kalman filter and smoother over steps of equal length."""

    def __init__(self, times: Floats, offsets: Floats, resolution_s: float) -> None:
        # Steps of the filter: short ones for short recordings, and some beyond the edges.
        length = times[-1] - times[0]
        self.step = float(np.clip(length / 20, 0.5, _STEP_S))
        self.beyond = math.ceil(EXTRAPOLATE_S / self.step)
        self.origin = float(times[0]) - self.beyond * self.step

        # Subtract a straight line to avoid large numbers: oscillators differ by seconds
        # per day, and the filter's variances are squares of microseconds.
        self.slope = (offsets[-1] - offsets[0]) / max(length, 1e-9)
        self.level = float(np.median(offsets - self.slope * (times - times[0])))
        rest = offsets - self.level - self.slope * (times - times[0])

        count = int((times[-1] - self.origin) / self.step) + 1 + self.beyond
        place = ((times - self.origin) / self.step).astype(int)

        # Noise of an edge: from neighbours within a step, between which drift is
        # negligible.
        pairs = np.abs(np.diff(rest))[np.diff(place) == 0]
        pairs = pairs if len(pairs) > 10 else np.abs(np.diff(rest))
        spread = 1.4826 * float(np.median(pairs)) / math.sqrt(2)
        noise = max(spread, resolution_s / math.sqrt(12), _LEAST_NOISE_S)

        # The first edge of each step: assigned in reverse order, so the first one is
        # written last.
        self.first = np.full(count, -1)
        self.first[place[::-1]] = np.arange(len(times))[::-1]

        # One measurement per step: the median of its edges, at their mean time.
        number = np.bincount(place, minlength=count)
        begins = np.flatnonzero(np.diff(place, prepend=-1))
        groups = np.split(np.arange(len(times)), begins[1:])
        self.at, self.value = np.zeros(count), np.full(count, np.nan)
        for group in groups:
            bin_ = place[group[0]]
            self.at[bin_] = times[group].mean() - self.origin - (bin_ + 0.5) * self.step
            self.value[bin_] = np.median(rest[group])

        # Variance of a median of n values: pi / 2 times that of their mean. What rounding to
        # samples adds is counted with it.
        self.variance = noise**2 * math.pi / 2 / np.maximum(number, 1)
        self.variance += resolution_s**2 / 12 / np.maximum(number, 1)
        self.jump: int | None = None

    def smoothed(self) -> ClockSegment:
        """Return the segment; `jump` is the edge at which it ends early, if it does."""
        # Random walk of the drift of this oscillator: by maximum likelihood over a
        # grid.
        rated = [(self._forward(walk)[1], walk) for walk in _WALKS]
        states, _, jump = self._forward(max(rated)[1])
        self.jump = int(self.first[jump]) if jump is not None else None

        # Add the straight line that was subtracted before the filter.
        means, variances = self._backward(states, max(rated)[1])
        steps = np.arange(len(self.value), dtype=np.float64)
        centres = self.origin + (steps + 0.5) * self.step
        line = self.level + self.slope * (
            centres - self.origin - self.beyond * self.step
        )
        return ClockSegment(
            centres, line + means[:, 0], self.slope + means[:, 1], np.sqrt(variances), 0
        )

    def _forward(self, walk: float) -> tuple[list[_State], float, int | None]:
        """Return the filtered states, the log likelihood, and the step of a jump."""
        # Noise of a random walk of the drift over one step, and a wide prior. Plain floats:
        # arrays of two by two cost many times more.
        h = self.step
        q00, q01, q11 = walk * h**3 / 3, walk * h**2 / 2, walk * h
        x0 = x1 = 0.0
        p00, p01, p11 = 1.0, 0.0, 1e-4
        states: list[_State] = []
        likelihood, off, first_off, jump = 0.0, 0, 0, None
        for step, (value, at, noise) in enumerate(
            zip(
                self.value.tolist(),
                self.at.tolist(),
                self.variance.tolist(),
                strict=True,
            )
        ):
            # Prediction.
            if step:
                x0 += h * x1
                p00 += h * (2 * p01 + h * p11) + q00
                p01 += h * p11 + q01
                p11 += q11

            # Update; a step without edges is NaN, and only predicted.
            if value == value:
                innovation = value - x0 - at * x1
                k0, k1 = p00 + at * p01, p01 + at * p11
                total = k0 + at * k1 + noise
                ratio = innovation * innovation / total
                # The gate bounds what one outlier can change in the choice of the walk.
                likelihood -= 0.5 * (math.log(total) + min(ratio, _GATE**2))
                if ratio <= _GATE**2:
                    off = 0
                    x0 += k0 / total * innovation
                    x1 += k1 / total * innovation
                    p00 -= k0 * k0 / total
                    p01 -= k0 * k1 / total
                    p11 -= k1 * k1 / total
                else:
                    # Outliers are single edges; a clock that was set keeps its new
                    # offset.
                    off += 1
                    first_off = step if off == 1 else first_off
                    if off == _STEPS_OFF and jump is None:
                        jump = first_off
            states.append((x0, x1, p00, p01, p11))
        return states, likelihood, jump

    def _backward(self, states: list[_State], walk: float) -> tuple[Floats, Floats]:
        """Return the smoothed offset and drift of each step, and the offset's variance."""
        h = self.step
        q00, q01, q11 = walk * h**3 / 3, walk * h**2 / 2, walk * h
        means = np.empty((len(states), 2))
        variances = np.empty(len(states))
        s0, s1, v00, v01, v11 = states[-1]
        means[-1], variances[-1] = (s0, s1), v00
        for step in range(len(states) - 2, -1, -1):
            x0, x1, p00, p01, p11 = states[step]
            # Covariance with the next step (c), and the next step's prediction (n).
            c00, c01, c10, c11 = p00 + h * p01, p01, p01 + h * p11, p11
            n00 = p00 + h * (2 * p01 + h * p11) + q00
            n01, n11 = p01 + h * p11 + q01, p11 + q11

            # Gain of the smoother: C N^-1.
            det = n00 * n11 - n01 * n01
            g00, g01 = (c00 * n11 - c01 * n01) / det, (c01 * n00 - c00 * n01) / det
            g10, g11 = (c10 * n11 - c11 * n01) / det, (c11 * n00 - c10 * n01) / det

            # Correct this step by the estimates of the later steps.
            d0, d1 = s0 - (x0 + h * x1), s1 - x1
            s0, s1 = x0 + g00 * d0 + g01 * d1, x1 + g10 * d0 + g11 * d1
            e00, e01, e11 = v00 - n00, v01 - n01, v11 - n11
            v00 = p00 + g00 * (g00 * e00 + g01 * e01) + g01 * (g00 * e01 + g01 * e11)
            v01 = p01 + g10 * (g00 * e00 + g01 * e01) + g11 * (g00 * e01 + g01 * e11)
            v11 = p11 + g10 * (g10 * e00 + g11 * e01) + g11 * (g10 * e01 + g11 * e11)
            means[step], variances[step] = (s0, s1), max(v00, 0.0)
        return means, variances
