"""Pulse matching: the exposure pulse of each camera frame; ambiguous frames are refused.

Pulses and frames come at the same regular rate, so `edge_matching` can't tell them apart.
The order decides: each exposure has one slot in the train of pulses. A frame that is missing
moves all later frames by one slot; a frame that is late moves only itself. One number
remains for each stretch, the shift: by how many whole periods a frame's time is later than
its pulse. It follows from the longest possible delay, from the first pulse of a generator,
or from intervals that differ (dither, pauses). Where several shifts are possible, the
stretch is refused; so are frames around a loss whose place is not certain.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deeplabstream.recording.alignment.sync_signals import Floats, Ints

NO_PULSE, REFUSED = -1, -2
"""Values in place of a pulse number: the exposure had no pulse; the match is uncertain."""
TOO_FEW, AMBIGUOUS, TOO_LATE, UNSTEADY = (
    "too few frames and pulses at the same time",
    "several shifts are possible",
    "the frames fit only with a delay beyond MOST_DELAY_MS",
    "the times of the frames vary by more than a period",
)
"""Reasons why a stretch is refused."""
_UNKNOWN = np.iinfo(np.int64).min
"""Value in place of an uncertain slot."""
EARLY_S = 0.001
"""Largest time by which a frame may precede its pulse, because of clock errors."""
_ON_TIME = 0.3
"""Largest deviation of a frame on time, in periods."""
_CONFIRM = 12
"""Number of frames that must confirm a loss."""
_MOST_PENDING = 240
_CHANCE = 1e-5
"""Probability that a late frame seems to be on time behind a loss, from which on the first
frame behind each loss is refused."""
_FOLLOW = 0.05
"""Weight of a frame in the running estimate of the delay."""
_REGULAR = 0.3
"""Largest deviation of intervals in a regular train, as a share of the period."""
_LONGEST_HOLE_S = 60.0
_BLOCKS = 32
_LEAST_IN_BLOCK = 8
_SURE = 6.0
"""Standard errors by which a shift must be better than all others."""
_BEYOND = 3
"""Shifts outside the possible delays that are compared too."""
_LEAST_FRAMES = 24


@dataclass(frozen=True, slots=True)
class PulseTrain:
    """Numbered pulses, in order, until the numbers end or restart.

    Attributes
    ----------
    numbers : numpy.ndarray of int64, shape (pulse,)
        Grow; a gap: pulses whose times are not known.
    times_s : numpy.ndarray of float64, shape (pulse,)
        Seconds on the run's clock.
    generated : bool
        Whether the device made the pulses: none is missing, and none is before number 0.
    """

    numbers: Ints
    times_s: Floats
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames that were matched with one shift, or refused.

    Attributes
    ----------
    first, last : int
        Positions of the first and last frame.
    how : str
        What identified the shift: `delay`, `first pulse`, `intervals`; empty: refused.
    why : str
        Why it was refused; empty: it was not.
    delay_s : float
        Median time from the pulse to the frame's time; NaN: refused.
    shifts : int
        How many shifts were possible.
    """

    first: int
    last: int
    how: str
    why: str = ""
    delay_s: float = float("nan")
    shifts: int = 1


@dataclass(frozen=True, slots=True)
class PulseMatching:
    """Result of `match_pulses`.

    Attributes
    ----------
    pulses : numpy.ndarray of int64, shape (frame,)
        Number of the pulse of each frame, `NO_PULSE` or `REFUSED`.
    stretches : tuple of Stretch
        In the order of the frames.
    lost : numpy.ndarray of int64, shape (pulse,)
        Numbers of the pulses that have no frame, between frames that have pulses.
    period_s : float
        Median interval of the pulses; NaN: too few.
    unplaced : int
        How many more pulses have no frame, where it is not certain which ones.
    """

    pulses: Ints
    stretches: tuple[Stretch, ...]
    lost: Ints
    period_s: float
    unplaced: int = 0


def match_pulses(
    train: PulseTrain, counts: Ints, times_s: Floats, most_delay_s: float
) -> PulseMatching:
    """Match each frame to the pulse of its exposure.

    Parameters
    ----------
    train : PulseTrain
        The pulses.
    counts : numpy.ndarray of int64, shape (frame,)
        The camera's count of each frame, growing. A gap is taken as exposures whose frames
        are lost; losses without a gap are found too.
    times_s : numpy.ndarray of float64, shape (frame,)
        Recorded time of each frame, seconds on the run's clock.
    most_delay_s : float
        Longest possible time from a pulse to the time of its frame.

    Returns
    -------
    PulseMatching
        Frames whose pulse is not certain are `REFUSED`.
    """
    pulses = np.full(len(counts), REFUSED, np.int64)
    none = np.empty(0, np.int64)
    if len(train.numbers) < _LEAST_FRAMES or len(counts) < _LEAST_FRAMES:
        whole = Stretch(0, len(counts) - 1, "", TOO_FEW)
        return PulseMatching(pulses, (whole,), none, float("nan"))

    slots = _slots(train)
    stretches, lost = [], [none]
    for first, places in _stretches(slots, counts, times_s):
        last = first + len(places) - 1
        part = slice(first, last + 1)
        stretch, shift = _shift(
            slots, train, places, times_s[part], first, most_delay_s
        )
        stretches.append(stretch)
        if not stretch.how:
            continue

        # Exposures before the first or after the last pulse have none.
        known = places > _UNKNOWN
        shifted = places[known] - shift
        inside = (shifted >= 0) & (shifted < len(slots.numbers))
        numbers = np.full(len(shifted), NO_PULSE, np.int64)
        numbers[inside] = slots.numbers[shifted[inside]]
        pulses[part][known] = numbers
        lost.append(_lost(slots, places, shift))

    # In order and once: the slots of two stretches may overlap.
    return PulseMatching(
        pulses,
        tuple(stretches),
        np.unique(np.concatenate(lost)),
        slots.period_s,
        _unplaced(pulses, stretches),
    )


def _unplaced(pulses: Ints, stretches: list[Stretch]) -> int:
    """Return how many pulses around refused frames have no frame."""
    count = 0
    for stretch in stretches:
        part = pulses[stretch.first : stretch.last + 1]
        known = np.flatnonzero(part >= 0)
        frames, numbers = np.diff(known), np.diff(part[known])
        # Between two certain frames with refused ones: more numbers than frames are losses.
        refused = np.add.reduceat(part == REFUSED, known)[:-1] if len(known) else frames
        count += int((numbers - frames)[(refused > 0) & (numbers > frames)].sum())
    return count


@dataclass(frozen=True, slots=True)
class _Slots:
    """Places in the train at which an exposure may be, with or without a pulse."""

    times_s: Floats
    numbers: Ints
    """`NO_PULSE`: a pulse is missing there; `REFUSED`: one may be."""
    period_s: float

    def position(self, times_s: Floats) -> Floats:
        """Return times in slots, with fractions."""
        index = np.arange(len(self.times_s), dtype=np.float64)
        inside = np.interp(times_s, self.times_s, index)
        before = np.minimum(0.0, times_s - self.times_s[0]) / self.period_s
        behind = np.maximum(0.0, times_s - self.times_s[-1]) / self.period_s
        return np.asarray(inside + before + behind)

    def delays(self, places: Ints, times_s: Floats) -> Floats:
        """Return the times from the slots to the frames; NaN outside of the train."""
        inside = (places >= 0) & (places < len(self.times_s))
        delays = np.full(len(places), np.nan)
        delays[inside] = times_s[inside] - self.times_s[places[inside]]
        return delays


def _slots(train: PulseTrain) -> _Slots:
    """Return the slots of a train.

    A regular train that misses pulses has slots without numbers there. Where it also has
    pulses without times, the numbers of these slots are not certain.
    """
    more = np.diff(train.numbers)
    intervals = np.diff(train.times_s)
    period = float(np.median(intervals / more))

    # Dithered trains have no whole periods: only regular ones show where pulses are missing.
    wholes = np.round(intervals / period).astype(np.int64)
    off = np.abs(intervals / period - wholes)
    regular = np.mean((wholes == more) & (off < _REGULAR)) > 0.8

    # A pulse that the input missed has no number, but its exposure happened: it needs a
    # slot. A generator misses none. A gap of a minute is a pause, not a series of
    # losses.
    steps = more
    if regular and not train.generated:
        holes = (wholes > more) & (off < _REGULAR) & (intervals < _LONGEST_HOLE_S)
        steps = np.where(holes, wholes, more)

    places = np.concatenate([[0], np.cumsum(steps)])
    numbers = np.full(places[-1] + 1, NO_PULSE, np.int64)
    numbers[places] = train.numbers

    # Numbers continue over pulses without
    # times. Where slots without numbers lie in between
    # too, it is not known which slot has which number.
    for at in np.flatnonzero(more > 1):
        between = slice(places[at] + 1, places[at + 1])
        is_certain = steps[at] == more[at]
        skipped = np.arange(train.numbers[at] + 1, train.numbers[at + 1])
        numbers[between] = skipped if is_certain else REFUSED

    index = np.arange(len(numbers))
    return _Slots(np.interp(index, places, train.times_s), numbers, period)


def _stretches(
    slots: _Slots, counts: Ints, times_s: Floats
) -> Iterator[tuple[int, Ints]]:
    """Yield the first frame and the slots of each stretch, up to a common shift."""
    # Constant as long as nothing is lost and no frame is late.
    rest = slots.position(times_s) - counts
    tracker = _Tracker(rest.tolist(), times_s.tolist(), slots.period_s)
    first = 0
    while first < len(counts):
        steps = tracker.follow(first)
        offsets = np.array(steps, np.float64)
        places = np.full(len(steps), _UNKNOWN, np.int64)
        known = ~np.isnan(offsets)
        part = counts[first : first + len(steps)]
        places[known] = offsets[known].astype(np.int64) + part[known]
        yield first, _without_collisions(places)
        first += len(steps)


def _without_collisions(places: Ints) -> Ints:
    """Return strictly increasing slots; the others become `_UNKNOWN`."""
    chosen = np.flatnonzero(places > _UNKNOWN)
    values = places[chosen]
    back = np.flatnonzero(np.diff(values) <= 0)
    for index in back:
        # All frames from the first that the later slot contradicts to the last that the
        # earlier one does: one of both is wrong, and it is not known which.
        low = np.searchsorted(
            np.maximum.accumulate(values[: index + 1]), values[index + 1]
        )
        high = index + 1 + np.searchsorted(values[index + 1 :], values[index], "right")
        places[chosen[low : high + 1]] = _UNKNOWN
    return places


class _Tracker:
    """Tracks the delay of frames in slots, and detects steps, which are losses.

    A frame is on time within `_ON_TIME` of a period. Frames that are not wait (pending) until
    a frame is on time again (they were late), until `_CONFIRM` of them agree on a step
    (frames were lost), or until there are too many (the stretch ends).
    """

    def __init__(
        self, rest: list[float], times_s: list[float], period_s: float
    ) -> None:
        self._rest = rest
        """Position of each frame in slots, minus its count."""
        self._times, self._period = times_s, period_s
        self._late = 0
        self._anchors: list[int] = []
        """Frames that are on time behind a loss, the first of each."""
        self._width = 0.02

    def follow(self, first: int) -> list[float]:
        """Return for each frame of a stretch the slot minus the count; NaN: not certain.

        Behind frames that are early a frame only seems to be on time: no frame is early, so
        the offset has changed, and this one is late.
        """
        offset, phase = self._begin(first)
        self._late, self._anchors = 0, []
        steps: list[float] = []
        pending: list[int] = []
        early = False
        for at in range(first, len(self._rest)):
            off = self._rest[at] - offset - phase

            # On time: the frames in between were late, nothing was lost.
            if abs(off) < _ON_TIME and not early:
                steps += [offset] * (len(pending) + 1)
                self._late += len(pending)
                pending.clear()
                # The delay of a camera drifts with its exposure and the load of the bus.
                phase += _FOLLOW * off
                continue

            pending.append(at)
            early |= off < -_ON_TIME
            if len(pending) < _CONFIRM:
                continue

            if (step := self._step(pending, offset + phase)) is not None:
                levels = self._levels(pending, offset + phase, step)
                steps += [offset + level for level in levels]
                offset += step
                pending.clear()
                early = False
            elif len(pending) > _MOST_PENDING:
                break
        steps += [float("nan")] * len(pending)

        # With many late frames, one of them will by chance appear on time after a loss:
        # then the first frame after each loss is not certain.
        if self._late / len(steps) * 2 * self._width > _CHANCE:
            for at in self._anchors:
                steps[at - first] = float("nan")
        return steps

    def _begin(self, first: int) -> tuple[float, float]:
        """Return the integer offset, and the delay in slots of frames on time."""
        # The delay modulo a period: the mode of a histogram on a circle. Late frames are
        # scattered over the period, so they do not move the mode.
        rest = np.array(self._rest[first : first + _MOST_PENDING])
        bins = 32
        share = np.bincount((rest % 1 * bins).astype(int) % bins, minlength=bins)
        near = share + np.roll(share, 1) + np.roll(share, -1)
        centre = (int(np.argmax(near)) + 0.5) / bins

        # Its exact position, and the scatter of the frames on time around it.
        away = (rest - centre + 0.5) % 1 - 0.5
        on_time = np.abs(away) < _ON_TIME / 2
        spread = float(np.median(np.abs(away[on_time] - np.median(away[on_time]))))
        self._width = min(_ON_TIME, max(0.02, 8 * spread))
        phase = centre + float(np.median(away[on_time]))

        # The integer part of the offset: that of the earliest frame, as a frame can be
        # late but not early.
        begin = rest[:_CONFIRM][on_time[:_CONFIRM]]
        level = float(begin.min()) if len(begin) else float(rest.min())
        return float(np.round(level - phase)), phase

    def _step(self, pending: list[int], level: float) -> int | None:
        """Return the delay of the last frames in slots; None: they disagree."""
        off = [self._rest[at] - level for at in pending[-_CONFIRM:]]
        wholes = [round(rest) for rest in off]
        # Late frames show too large a step: the smallest one is that of the frames on time.
        step = min(wholes, key=abs)
        agree = [abs(rest - step) < _ON_TIME for rest in off]
        return step if step and sum(agree) >= 0.75 * len(off) else None

    def _levels(self, pending: list[int], level: float, step: int) -> list[float]:
        """Return the delay of each frame in slots; NaN: uncertain.

        A frame can be late, but not early: it is behind no loss that a later frame is
        before. So the levels are the staircase below the frames. A frame is behind a loss
        when it is on time there, and did not come at once with the one before: frames that
        were held up come together.
        """
        off = np.array([self._rest[at] for at in pending]) - level

        # Earlier than before: the counts have a gap without a lost exposure. All frames up
        # to the last that was at the old level are uncertain.
        if step < 0:
            place = int(np.flatnonzero(off > step + _ON_TIME)[-1:].sum()) + 1
            return [float("nan")] * place + [float(step)] * (len(off) - place)
        stairs = np.round(np.minimum.accumulate(off[::-1])[::-1]).astype(int)
        levels = []
        now = 0
        for at, late, stair in zip(pending, off.tolist(), stairs.tolist(), strict=True):
            alone = at == 0 or (
                self._times[at] - self._times[at - 1]
                > (1 - 2 * _ON_TIME) * self._period
            )
            if stair > now and abs(late - stair) < self._width and alone:
                now = stair
                self._anchors.append(at)
            levels.append(float(now) if stair == now else float("nan"))
        return levels


def _shift(
    slots: _Slots,
    train: PulseTrain,
    places: Ints,
    times_s: Floats,
    first: int,
    most_delay_s: float,
) -> tuple[Stretch, int]:
    """Return how a stretch was matched, and the shift of its slots."""
    last = first + len(places) - 1
    known = places > _UNKNOWN
    certain, times = places[known], times_s[known]
    if len(certain) < _LEAST_FRAMES:
        why = UNSTEADY if len(places) > 2 * len(certain) else TOO_FEW
        return Stretch(first, last, "", why), 0

    # Shifts that the delay allows: no frame before its pulse, none later than `most_delay_s`.
    # Medians of blocks, as single late frames must not exclude the true shift.
    expected = slots.position(times) - certain
    parts = np.array_split(expected, max(1, len(expected) // 64))
    levels = np.array([np.median(part) for part in parts]) * slots.period_s
    low = int(np.ceil((-EARLY_S - levels.min()) / slots.period_s))
    high = int(np.floor((most_delay_s - levels.max()) / slots.period_s))
    possible = [
        shift
        for shift in range(low, high + 1)
        if not _is_before(slots, train, certain - shift)
    ]
    if not possible:
        return Stretch(first, last, "", TOO_LATE, shifts=0), 0

    # Irregular intervals identify the shift. A few impossible shifts compete too: if one of
    # them fits best, MOST_DELAY_MS is too small, and the best of the others would be wrong.
    tried = [*range(low - _BEYOND, high + _BEYOND + 1)]
    best = _clearly_best(slots, certain, times, tried)
    if best is not None and best not in possible:
        return Stretch(first, last, "", TOO_LATE, shifts=len(possible)), 0

    if len(possible) == 1:
        how, shift = "delay" if low == high else "first pulse", possible[0]
    elif best is not None:
        how, shift = "intervals", best
    else:
        return Stretch(first, last, "", AMBIGUOUS, shifts=len(possible)), 0

    delay_s = float(np.nanmedian(slots.delays(certain - shift, times)))
    return Stretch(first, last, how, "", delay_s, len(possible)), shift


def _is_before(slots: _Slots, train: PulseTrain, places: Ints) -> bool:
    """Return whether a frame would be before the first pulse of a generator."""
    begins = train.generated and slots.numbers[0] == 0
    return bool(begins and places.min() < 0)


def _clearly_best(
    slots: _Slots, places: Ints, times_s: Floats, shifts: list[int]
) -> int | None:
    """Return the shift with the least variable delays if it is clearly best; None otherwise.

    Costs are those of Student's t with three degrees of freedom, so that late frames count
    little. Their differences are compared block by block, as errors of neighbours depend
    on each other.
    """
    # Too few frames in a block give no useful standard error.
    length = len(places) // _BLOCKS
    if length < _LEAST_IN_BLOCK:
        return None
    delays = [_detrended(slots.delays(places - shift, times_s)) for shift in shifts]

    # All shifts are compared on the same frames; otherwise those at the ends would
    # decide.
    usable = ~np.isnan(np.array(delays)).any(axis=0)
    if usable.sum() < _BLOCKS * _LEAST_IN_BLOCK:
        return None
    chosen = np.array(delays)[:, usable]

    # The scale of the best shift for all: with a large scale of its own, a bad shift would
    # cost little.
    scale = max(1.4826 * float(np.median(np.abs(chosen), axis=1).min()), 2e-6)
    costs = 2 * np.log1p((chosen / scale) ** 2 / 3)
    blocks = [part.mean(axis=1) for part in np.array_split(costs, _BLOCKS, axis=1)]
    table = np.array(blocks)

    # Every other shift must be worse by more than its paired difference varies.
    best = int(np.argmin(table.mean(axis=0)))
    for other in range(len(shifts)):
        more = table[:, other] - table[:, best]
        error = float(more.std(ddof=1)) / np.sqrt(_BLOCKS)
        if other != best and more.mean() <= _SURE * max(error, 1e-9):
            return None
    return shifts[best]


def _detrended(delays_s: Floats) -> Floats:
    """Return delays without their slow changes: minus the median of their block."""
    parts = np.array_split(delays_s, max(1, len(delays_s) // 64))
    levels = [
        np.nanmedian(part) if np.isfinite(part).any() else np.nan for part in parts
    ]
    return np.concatenate(
        [part - level for part, level in zip(parts, levels, strict=True)]
    )


def _lost(slots: _Slots, places: Ints, shift: int) -> Ints:
    """Return the numbers of pulses without a frame, between frames that are certain."""
    numbers = []

    # Beside an uncertain frame it is not known which of the pulses is lost: `_unplaced`.
    certain = places > _UNKNOWN
    gaps = certain[:-1] & certain[1:]
    gaps[gaps] = np.diff(places)[gaps] > 1
    for at in np.flatnonzero(gaps):
        begin, end = places[at] - shift + 1, places[at + 1] - shift
        between = slots.numbers[max(0, begin) : max(0, end)]
        numbers.append(between[between >= 0])
    return np.concatenate(numbers) if numbers else np.empty(0, np.int64)
