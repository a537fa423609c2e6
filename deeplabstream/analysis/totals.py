"""Totals that measures are computed from: of the parts of a run within the spans of a clock.

`live_measures` computes some of them while a run is recorded, under the same names. A measure
with `live` uses these alone, so one definition serves both:

- of a track: `duration_s`, `tracked_s`, `distance`, `immobile`;
- of bouts: `total_s`, `count`, `latency_s`;
- of a region: `known_s`, `time_s`, `tracked_s`, `distance`, `entries`, `exits`, `latency_s`;
- of an output: those of bouts, `known_s`, `stimuli`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from deeplabstream.analysis.events import TrialRecord
from deeplabstream.analysis.kinematics import (
    step_lengths,
    turns,
    weighted_sum,
)
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.tracks import Bools, Floats, SpanClock, Spans
from deeplabstream.analysis.visits import Visits


@dataclass(frozen=True, eq=False)
class AnimalTrack:
    """The track of one animal, in the unit of the results."""

    t: Floats
    """(frame,), s."""
    xy: Floats
    """(frame, 2), gaps filled up to the limit, smoothed if chosen."""
    known: Bools
    """(frame - 1,): intervals in which the position is known."""
    interpolated: Bools
    """(frame - 1,): intervals with an interpolated position at one end."""
    corrected: Bools
    """(frame - 1,): intervals with a corrected position at one end."""
    speed: Floats
    """(frame - 1,)."""
    immobile: Spans | None
    """Bouts; None: no thresholds in this unit."""
    freezing: Spans | None
    heading: Floats | None
    """(frame,), degrees; None: no body parts of the head are known."""

    @cached_property
    def step_speed(self) -> Floats:
        """Speed (frame - 1,) between successive frames."""
        return step_lengths(self.xy) / np.diff(self.t)

    @cached_property
    def turn_speed(self) -> Floats:
        """Turns (frame - 1,) in degrees per second."""
        return turns(required(self.heading)) / np.diff(self.t)


@dataclass(frozen=True, eq=False)
class TrackPart:
    """A track within the spans of a clock."""

    track: AnimalTrack
    clock: SpanClock

    @cached_property
    def seconds(self) -> Floats:
        """Seconds (frame - 1,) of each interval that count."""
        return self.clock.between(self.track.t) * self.track.known

    @property
    def duration_s(self) -> float:
        """Seconds of the spans."""
        return self.clock.total_s

    @property
    def tracked_s(self) -> float:
        """Seconds in which the position is known."""
        return float(self.seconds.sum())

    @property
    def immobile(self) -> "BoutPart":
        """Immobile bouts."""
        return BoutPart(required(self.track.immobile), self.clock, self.tracked_s)

    @cached_property
    def distance(self) -> float:
        """Length of the path."""
        return weighted_sum(self.track.step_speed, self.seconds)

    @cached_property
    def turn_seconds(self) -> tuple[Floats, Floats]:
        """Turns (frame - 1,) in degrees per second, and the seconds that count."""
        rate = self.track.turn_speed
        return rate, self.seconds * np.isfinite(rate)


@dataclass(frozen=True, eq=False)
class BoutPart:
    """Bouts of a state within the spans of a clock."""

    bouts: Spans
    clock: SpanClock
    known_s: float
    """Seconds in which the state is known."""

    @cached_property
    def durations(self) -> Floats:
        """Counted seconds of each bout that overlaps a span."""
        seconds = self.clock.within(self.bouts)
        return seconds[seconds > 1e-9]

    @property
    def total_s(self) -> float:
        """Counted seconds of all bouts."""
        return float(self.durations.sum())

    @property
    def count(self) -> float:
        """Bouts that begin in a span."""
        return float(self.clock.holds(self.bouts[:, 0]).sum())

    @property
    def latency_s(self) -> float:
        """Counted seconds until the first bout begins; NaN: none does."""
        return first_after(self.bouts[:, 0], self.clock)


@dataclass(frozen=True, eq=False)
class SpaceTrack:
    """The track in space of the animal of a run, in mm."""

    t: Floats
    """(moment,), s."""
    xyz: Floats
    """(moment, 3), gaps filled up to the limit, smoothed if chosen; z is the height."""
    known: Bools
    """(moment - 1,): intervals in which the position is known."""
    speed: Floats
    """(moment - 1,), mm/s."""
    rears: Spans | None = None
    """Bouts; None: no `rearing_height` is given."""
    rearing_known: Bools | None = None
    """(moment - 1,): intervals in which it is known whether the animal rears."""

    @cached_property
    def step_speed(self) -> Floats:
        """Speed (moment - 1,) between successive moments."""
        return step_lengths(self.xyz) / np.diff(self.t)


@dataclass(frozen=True, eq=False)
class SpacePart:
    """A track in space within the spans of a clock."""

    track: SpaceTrack
    clock: SpanClock

    @cached_property
    def seconds(self) -> Floats:
        """Seconds (moment - 1,) of each interval that count."""
        return self.clock.between(self.track.t) * self.track.known

    @property
    def tracked_s(self) -> float:
        """Seconds in which the position is known."""
        return float(self.seconds.sum())

    @cached_property
    def distance(self) -> float:
        """Length of the path in space."""
        return weighted_sum(self.track.step_speed, self.seconds)

    @property
    def max_speed(self) -> float:
        """Highest speed."""
        return highest(self.track.speed[self.seconds > 0])

    @property
    def mean_height(self) -> float:
        """Mean height over time."""
        return _weighted_mean(self.track.xyz[:-1, 2], self.seconds)

    @property
    def max_height(self) -> float:
        """Largest height."""
        return highest(self.track.xyz[:-1, 2][self.seconds > 0])

    @cached_property
    def rearing(self) -> BoutPart:
        """The rears."""
        rears, known = self.track.rears, self.track.rearing_known
        if rears is None or known is None:
            raise ValueError("the measure needs what was not computed")
        seconds = self.clock.between(self.track.t) * known
        return BoutPart(rears, self.clock, float(seconds.sum()))


@dataclass(frozen=True, eq=False)
class RegionPart:
    """Visits to a region within the spans of a clock."""

    part: TrackPart
    visits: Visits

    @cached_property
    def seconds(self) -> Floats:
        """Seconds (frame - 1,) of each interval in which it is known where the animal is."""
        return self.part.clock.between(self.part.track.t) * self.visits.known

    @cached_property
    def inside_s(self) -> Floats:
        """Seconds (frame - 1,) of each interval inside."""
        return self.seconds * self.visits.inside

    @property
    def known_s(self) -> float:
        """Seconds in which it is known where the animal is."""
        return float(self.seconds.sum())

    @property
    def time_s(self) -> float:
        """Seconds inside."""
        return float(self.inside_s.sum())

    @cached_property
    def _tracked_inside(self) -> Floats:
        """Seconds (frame - 1,) of each interval inside with known position."""
        return self.inside_s * self.part.track.known

    @property
    def tracked_s(self) -> float:
        """Seconds inside with known position."""
        return float(self._tracked_inside.sum())

    @property
    def entries(self) -> float:
        """Entries in a span."""
        return float(self.part.clock.holds(self.visits.entries).sum())

    @property
    def exits(self) -> float:
        """Exits in a span."""
        return float(self.part.clock.holds(self.visits.exits).sum())

    @property
    def latency_s(self) -> float:
        """Counted seconds until the first entry; NaN: none."""
        return first_after(self.visits.entries, self.part.clock)

    @cached_property
    def durations(self) -> Floats:
        """Seconds inside of each visit that overlaps a span."""
        total = np.concatenate([[0.0], np.cumsum(self.inside_s)])
        begins, ends = (
            np.interp(moments, self.part.track.t, total)
            for moments in self.visits.spans.T
        )
        seconds = ends - begins
        return np.asarray(seconds[seconds > 1e-9])

    @property
    def distance(self) -> float:
        """Length of the path inside."""
        return weighted_sum(self.part.track.step_speed, self._tracked_inside)


@dataclass(frozen=True, eq=False)
class ArrivalPart:
    """Arrivals of an animal in a region before all others, within the spans of a clock."""

    clock: SpanClock
    moments: Floats
    """(arrival,), s."""

    @property
    def count(self) -> float:
        """Arrivals in a span."""
        return float(self.clock.holds(self.moments).sum())

    @property
    def latency_s(self) -> float:
        """Counted seconds until the first one; NaN: none."""
        return first_after(self.moments, self.clock)


@dataclass(frozen=True, eq=False)
class Target:
    """A point, the wall or another animal, as one animal's track relates to it."""

    distance: Floats
    """(frame,): NaN: not known."""
    known: Bools
    """(frame - 1,)."""
    approach: Floats | None = None
    """(frame - 1,): speed towards it; None: no `approach_speed` is given."""
    angle: Floats | None = None
    """(frame,): between head and direction to it, degrees; None: no head is known."""
    contacts: Spans | None = None
    """None: not another animal, or no `contact_distance` is given."""
    following: Bools | None = None
    """(frame - 1,): whether the animal follows it; None: not another animal, or no
    `following_speed` is given."""
    chasing: Bools | None = None
    """(frame - 1,): the same with `chasing_speed`."""


@dataclass(frozen=True, eq=False)
class TargetPart:
    """A target within the spans of a clock."""

    clock: SpanClock
    t: Floats
    target: Target
    options: AnalysisOptions

    @cached_property
    def seconds(self) -> Floats:
        """Seconds (frame - 1,) of each interval that count."""
        return self.clock.between(self.t) * self.target.known

    @property
    def known_s(self) -> float:
        """Seconds in which the distance is known."""
        return float(self.seconds.sum())

    @property
    def mean_distance(self) -> float:
        """Mean distance over time."""
        return _weighted_mean(self.target.distance[:-1], self.seconds)

    @property
    def min_distance(self) -> float:
        """Shortest distance."""
        return -highest(-self.target.distance[:-1][self.seconds > 0])

    def approach_s(self, sign: int) -> float:
        """Return the seconds of approach (1) or withdrawal (-1)."""
        fast = sign * required(self.target.approach) >= (
            self.options.approach_speed or 0
        )
        return float(self.seconds[fast].sum())

    @property
    def head_angle(self) -> float:
        """Mean angle between the head and the direction to the target."""
        angle, seconds = self._angles()
        return _weighted_mean(angle, seconds)

    @property
    def facing_s(self) -> float:
        """Seconds in which the head points to the target."""
        angle, seconds = self._angles()
        return float(seconds[angle <= self.options.facing_angle].sum())

    @property
    def contact(self) -> BoutPart:
        """The contacts."""
        return BoutPart(required(self.target.contacts), self.clock, self.known_s)

    @property
    def following_s(self) -> float:
        """Seconds in which the animal follows the target."""
        return self._seconds_of(self.target.following)

    @property
    def chasing_s(self) -> float:
        """Seconds in which it chases the target."""
        return self._seconds_of(self.target.chasing)

    @property
    def near_wall_s(self) -> float:
        """Thigmotaxis: seconds nearer to the wall than `wall_distance`."""
        near = self.target.distance[:-1] < self.options.wall_distance
        return float(self.seconds[near].sum())

    def _seconds_of(self, state: Bools | None) -> float:
        if state is None:
            raise ValueError("the measure needs what was not computed")
        return float(self.seconds[state].sum())

    def _angles(self) -> tuple[Floats, Floats]:
        """Return the known angles, and the seconds that count."""
        angle = required(self.target.angle)[:-1]
        known = np.isfinite(angle)
        return angle[known], self.seconds[known]


@dataclass(frozen=True, eq=False)
class OutputPart(BoutPart):
    """Pulses of an output within the spans of a clock."""

    stimulations: Spans
    """Pulses with those joined that are close to each other."""

    @property
    def stimuli(self) -> BoutPart:
        """The stimulations."""
        return BoutPart(self.stimulations, self.clock, self.known_s)


@dataclass(frozen=True, eq=False)
class TrialPart:
    """Trials that begin within the spans of a clock."""

    trials: tuple[TrialRecord, ...]
    """Those of one outcome, or all."""
    all_trials: int

    @property
    def reactions(self) -> Floats:
        """Reaction times, s, of the trials that have one."""
        times = np.array([trial.reaction_s for trial in self.trials], np.float64)
        return times[np.isfinite(times)]


def first_after(moments: Floats, clock: SpanClock) -> float:
    """Return the counted seconds until the first of the moments in a span; NaN: none."""
    inside = moments[clock.holds(moments)]
    return clock.offset_s(float(inside.min())) if len(inside) else np.nan


def required(array: Floats | None) -> Floats:
    """Return an array; ValueError: it was not computed."""
    if array is None:
        raise ValueError("the measure needs what was not computed")
    return array


def _weighted_mean(values: Floats, seconds: Floats) -> float:
    return ratio(weighted_sum(values, seconds), float(seconds.sum()))


def mean(values: Floats) -> float:
    """Return the mean; NaN: there are no values."""
    return float(values.mean()) if len(values) else np.nan


def highest(values: Floats) -> float:
    """Return the highest value; NaN: there are none."""
    return float(values.max()) if len(values) else np.nan


def ratio(value: float, total: float) -> float:
    """Return value / total; NaN: the total is 0."""
    return value / total if total > 0 else np.nan
