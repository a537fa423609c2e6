"""Measures: name, unit, definition, source and function of each; the one list of them.

The table of results, the window and docs/results.md take them from `MEASURES`.

    python -m deeplabstream.analysis.measures docs/results.md

writes the generated part of that page; a test compares them.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from deeplabstream.analysis.events import Trial
from deeplabstream.analysis.kinematics import (
    mean_direction,
    median_speed,
    step_lengths,
    turns,
    weighted_sum,
)
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.tracks import Bools, Floats, SpanClock, Spans
from deeplabstream.analysis.visits import Visits

Subject: TypeAlias = Literal[
    "track",
    "mobility",
    "freezing",
    "head",
    "region",
    "wall",
    "point",
    "animal",
    "behaviour",
    "output",
    "trial",
]
"""What a measure is computed of, besides the animal."""


class BoutTotals(Protocol):
    """Totals of bouts: of a recorded run (`BoutPart`), or so far."""

    @property
    def total_s(self) -> float:
        """Seconds of all bouts."""
        ...

    @property
    def count(self) -> float:
        """Bouts that begin."""
        ...

    @property
    def latency_s(self) -> float:
        """Seconds until the first bout begins; NaN: none does."""
        ...


class TrackTotals(Protocol):
    """Totals of a track: of a recorded run (`TrackPart`), or so far (`live_measures`).

    Measures with `live` use nothing else of a track, so one definition serves both.
    """

    @property
    def duration_s(self) -> float:
        """Seconds of the span."""
        ...

    @property
    def tracked_s(self) -> float:
        """Seconds in which the position is known."""
        ...

    @property
    def distance(self) -> float:
        """Length of the path."""
        ...

    @property
    def immobile(self) -> BoutTotals:
        """Immobile bouts."""
        ...


class RegionTotals(Protocol):
    """Totals of the visits to a region: `RegionPart`, or so far."""

    @property
    def known_s(self) -> float:
        """Seconds in which it is known whether the animal is inside."""
        ...

    @property
    def time_s(self) -> float:
        """Seconds inside."""
        ...

    @property
    def tracked_s(self) -> float:
        """Seconds inside with known position."""
        ...

    @property
    def distance(self) -> float:
        """Length of the path inside."""
        ...

    @property
    def entries(self) -> float:
        """Changes from outside to inside."""
        ...

    @property
    def exits(self) -> float:
        """Changes from inside to outside."""
        ...

    @property
    def latency_s(self) -> float:
        """Seconds until the first entry; NaN: none."""
        ...


class OutputTotals(BoutTotals, Protocol):
    """Totals of the pulses of an output: `OutputPart`, or so far."""

    @property
    def known_s(self) -> float:
        """Seconds of the span."""
        ...

    @property
    def stimuli(self) -> BoutTotals:
        """Pulses, those joined that are close to each other."""
        ...


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
        return turns(_there(self.heading)) / np.diff(self.t)


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
        return BoutPart(_there(self.track.immobile), self.clock, self.tracked_s)

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
        return -_max(-self.target.distance[:-1][self.seconds > 0])

    def approach_s(self, sign: int) -> float:
        """Return the seconds of approach (1) or withdrawal (-1)."""
        fast = sign * _there(self.target.approach) >= (self.options.approach_speed or 0)
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
        return BoutPart(_there(self.target.contacts), self.clock, self.known_s)

    @property
    def near_wall_s(self) -> float:
        """Seconds nearer than `wall_distance`."""
        near = self.target.distance[:-1] < self.options.wall_distance
        return float(self.seconds[near].sum())

    def _angles(self) -> tuple[Floats, Floats]:
        """Return the known angles, and the seconds that count."""
        angle = _there(self.target.angle)[:-1]
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

    trials: tuple[Trial, ...]
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


def _freezing(part: TrackPart) -> BoutPart:
    return BoutPart(_there(part.track.freezing), part.clock, part.tracked_s)


def _there(array: Floats | None) -> Floats:
    """Return an array of which it is known that it is there."""
    if array is None:
        raise ValueError("the measure needs what was not computed")
    return array


def _weighted_mean(values: Floats, seconds: Floats) -> float:
    return _per(weighted_sum(values, seconds), float(seconds.sum()))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else np.nan


def _max(values: Floats) -> float:
    return float(values.max()) if len(values) else np.nan


def _per(value: float, total: float) -> float:
    return value / total if total > 0 else np.nan


@dataclass(frozen=True)
class Measure:
    """One measure."""

    name: str
    unit: str
    """`s`, `share` (0 to 1), `count`, `deg`, `deg/s`; `length` is px or mm."""
    of: Subject
    definition: str
    source: str
    function: Callable[[Any], float]
    """Gets the part of its subject: TrackPart, RegionPart, TargetPart, BoutPart, TrialPart."""
    needs: str = ""
    """Attribute of a Target without which the measure is left out."""
    live: bool = False
    """Whether it is also computed while a run is recorded: its function needs the totals
    only, such as `TrackTotals`."""

    def unit_in(self, length: str) -> str:
        """Return the unit where lengths are in `length`: px or mm."""
        return self.unit.replace("length", length)

    def column(self, length: str, of: str = "") -> str:
        """Return the name of its column in tables: `region_time_s.left`."""
        unit = self.unit_in(length).replace("/", "_per_")
        name = self.name if unit in ("count", "share") else f"{self.name}_{unit}"
        return f"{name}.{of}" if of else name


ANYMAZE = "https://www.anymaze.co.uk/help/any-maze_proto_"
_APPARATUS = f"[ANY-maze, apparatus measures]({ANYMAZE}appmsrs.htm)"
_ZONE = f"[ANY-maze, zone measures]({ANYMAZE}zonemsrs.htm)"
_IMMOBILITY = f"[ANY-maze, immobility detection]({ANYMAZE}tracking_immobility.htm)"
_ETHOVISION = "EthoVision XT, Movement: start velocity and stop velocity"
_MOVEMENT = "[movement, kinematics](https://movement.neuroinformatics.dev)"
_FANSELOW = "Fanselow 1980, Pavlov J Biol Sci 15:177–182"
_CIRCULAR = "Berens 2009, J Stat Softw 31(10)"
_SIMON = "Simon et al. 1994, Behav Brain Res 61:59–64"
_SOCIAL = "de Chaumont et al. 2019, Nat Biomed Eng 3:930–942"
_OURS = "this page"

_TARGETS: tuple[tuple[Subject, str, str], ...] = (
    ("point", "the point", _ZONE),
    ("animal", "the other animal", _SOCIAL),
)

MEASURES: tuple[Measure, ...] = (
    Measure(
        "duration", "s", "track", "time of the span", _APPARATUS, lambda p: p.duration_s,
        live=True,
    ),
    Measure(
        "tracked", "s", "track", "time in which the position is known", _OURS,
        lambda p: p.tracked_s, live=True,
    ),
    Measure(
        "missing", "share", "track", "1 − tracked / duration", _OURS,
        lambda p: 1 - _per(p.tracked_s, p.duration_s), live=True,
    ),
    Measure(
        "interpolated", "share", "track",
        "time with an interpolated position / tracked", _OURS,
        lambda p: _per(float(p.seconds[p.track.interpolated].sum()), p.tracked_s),
    ),
    Measure(
        "corrected", "share", "track", "time with a corrected position / tracked", _OURS,
        lambda p: _per(float(p.seconds[p.track.corrected].sum()), p.tracked_s),
    ),
    Measure(
        "distance", "length", "track", "Σ ‖p(i+1) − p(i)‖ over the known intervals",
        f"{_APPARATUS}; {_MOVEMENT}: path length", lambda p: p.distance, live=True,
    ),
    Measure(
        "mean_speed", "length/s", "track", "distance / tracked", _APPARATUS,
        lambda p: _per(p.distance, p.tracked_s), live=True,
    ),
    Measure(
        "median_speed", "length/s", "track",
        "speed below which the animal was for half of the tracked time", _MOVEMENT,
        lambda p: median_speed(p.track.speed, p.seconds),
    ),
    Measure(
        "max_speed", "length/s", "track", "highest speed", _APPARATUS,
        lambda p: _max(p.track.speed[(p.seconds > 0) & np.isfinite(p.track.speed)]),
    ),
    Measure(
        "mobile_time", "s", "mobility", "tracked − immobile_time", _ETHOVISION,
        lambda p: p.tracked_s - p.immobile.total_s, live=True,
    ),
    Measure(
        "immobile_time", "s", "mobility",
        "time of immobile bouts: slower than `stop_speed` until `start_speed` is reached, for "
        "`min_immobile_s` or longer", f"{_ETHOVISION}; {_IMMOBILITY}",
        lambda p: p.immobile.total_s, live=True,
    ),
    Measure(
        "immobile_bouts", "count", "mobility", "immobile bouts that begin in the span",
        _IMMOBILITY, lambda p: p.immobile.count, live=True,
    ),
    Measure(
        "freezing_time", "s", "freezing",
        "time of freezing bouts: every body part slower than `freezing_speed`, for "
        "`min_freezing_s` or longer", _FANSELOW, lambda p: _freezing(p).total_s,
    ),
    Measure(
        "freezing_share", "share", "freezing", "freezing_time / tracked", _FANSELOW,
        lambda p: _per(_freezing(p).total_s, p.tracked_s),
    ),
    Measure(
        "freezing_bouts", "count", "freezing", "freezing bouts that begin in the span",
        _FANSELOW, lambda p: _freezing(p).count,
    ),
    Measure(
        "mean_freezing_bout", "s", "freezing",
        "mean duration of freezing bouts, of each the part in the span", _FANSELOW,
        lambda p: _mean(_freezing(p).durations),
    ),
    Measure(
        "longest_freezing_bout", "s", "freezing", "the longest of these", _FANSELOW,
        lambda p: _max(_freezing(p).durations),
    ),
    Measure(
        "latency_to_freezing", "s", "freezing",
        "time until the first freezing bout begins; empty: none", _FANSELOW,
        lambda p: _freezing(p).latency_s,
    ),
    Measure(
        "turning", "deg", "head", "Σ absolute turn of the head", f"{_APPARATUS}: turn angle",
        lambda p: weighted_sum(np.abs(p.turn_seconds[0]), p.turn_seconds[1]),
    ),
    Measure(
        "net_turning", "deg", "head", "Σ turn of the head; clockwise on the screen is positive",
        _APPARATUS, lambda p: weighted_sum(*p.turn_seconds),
    ),
    Measure(
        "turning_speed", "deg/s", "head", "turning / time with known head direction",
        _APPARATUS,
        lambda p: _per(
            weighted_sum(np.abs(p.turn_seconds[0]), p.turn_seconds[1]),
            float(p.turn_seconds[1].sum()),
        ),
    ),
    Measure(
        "mean_heading", "deg", "head",
        "circular mean of the head direction; 0 is right, 90 is down", _CIRCULAR,
        lambda p: mean_direction(p.track.heading, p.seconds)[0],
    ),
    Measure(
        "heading_concentration", "share", "head",
        "mean resultant length of the head direction: 0 all directions, 1 one direction",
        _CIRCULAR, lambda p: mean_direction(p.track.heading, p.seconds)[1],
    ),
    Measure(
        "region_time", "s", "region", "time in the region", _ZONE, lambda p: p.time_s,
        live=True,
    ),
    Measure(
        "region_share", "share", "region",
        "region_time / time in which it is known whether the animal is inside", _ZONE,
        lambda p: _per(p.time_s, p.known_s), live=True,
    ),
    Measure(
        "region_entries", "count", "region",
        "changes from outside to inside; a start inside counts with `start_counts`", _ZONE,
        lambda p: p.entries, live=True,
    ),
    Measure(
        "region_exits", "count", "region", "changes from inside to outside", _ZONE,
        lambda p: p.exits, live=True,
    ),
    Measure(
        "region_latency", "s", "region", "time until the first entry; empty: none", _ZONE,
        lambda p: p.latency_s, live=True,
    ),
    Measure(
        "region_mean_visit", "s", "region",
        "mean duration of visits, of each the part in the span", _ZONE,
        lambda p: _mean(p.durations),
    ),
    Measure(
        "region_longest_visit", "s", "region", "the longest of these", _ZONE,
        lambda p: _max(p.durations),
    ),
    Measure(
        "region_distance", "length", "region", "distance while inside", _ZONE,
        lambda p: p.distance, live=True,
    ),
    Measure(
        "region_mean_speed", "length/s", "region", "region_distance / region_time", _ZONE,
        lambda p: _per(p.distance, p.tracked_s), live=True,
    ),
    Measure(
        "wall_time", "s", "wall",
        "thigmotaxis: time nearer to the border of `arena` than `wall_distance`", _SIMON,
        lambda p: p.near_wall_s,
    ),
    Measure(
        "wall_share", "share", "wall", "wall_time / time with known position", _SIMON,
        lambda p: _per(p.near_wall_s, p.known_s),
    ),
    Measure(
        "mean_wall_distance", "length", "wall", "mean distance to the border of `arena`",
        _SIMON, lambda p: p.mean_distance,
    ),
    *(
        measure
        for of, words, source in _TARGETS
        for measure in (
            Measure(
                f"{of}_mean_distance", "length", of,
                f"mean distance to {words}", source,
                lambda p: p.mean_distance,
            ),
            Measure(
                f"{of}_min_distance", "length", of,
                f"shortest distance to {words}", source,
                lambda p: p.min_distance,
            ),
            Measure(
                f"{of}_approach_time", "s", of,
                f"time in which the speed towards {words} is `approach_speed` or higher",
                source,
                lambda p: p.approach_s(1), "approach",
            ),
            Measure(
                f"{of}_withdrawal_time", "s", of,
                f"time in which the speed away from {words} is `approach_speed` or higher",
                source,
                lambda p: p.approach_s(-1), "approach",
            ),
            Measure(
                f"{of}_head_angle", "deg", of,
                f"mean unsigned angle between the head and the direction to {words}",
                f"{_ZONE}: heading",
                lambda p: p.head_angle, "angle",
            ),
            Measure(
                f"{of}_facing_time", "s", of,
                "time in which that angle is `facing_angle` or less", f"{_ZONE}: heading",
                lambda p: p.facing_s, "angle",
            ),
        )
    ),
    Measure(
        "contact_time", "s", "animal",
        "time in which the other animal is at `contact_distance` or nearer", _SOCIAL,
        lambda p: p.contact.total_s, "contacts",
    ),
    Measure(
        "contacts", "count", "animal", "contacts that begin in the span", _SOCIAL,
        lambda p: p.contact.count, "contacts",
    ),
    Measure(
        "behaviour_time", "s", "behaviour",
        "time of bouts: probability `behaviour_threshold` or higher for `min_behaviour_s` or "
        "longer", "[triggers.md](triggers.md)", lambda p: p.total_s,
    ),
    Measure(
        "behaviour_share", "share", "behaviour",
        "behaviour_time / time in which the probability is known", _OURS,
        lambda p: _per(p.total_s, p.known_s),
    ),
    Measure(
        "behaviour_bouts", "count", "behaviour", "bouts that begin in the span", _OURS,
        lambda p: p.count,
    ),
    Measure(
        "behaviour_mean_bout", "s", "behaviour",
        "mean duration of bouts, of each the part in the span", _OURS,
        lambda p: _mean(p.durations),
    ),
    Measure(
        "behaviour_latency", "s", "behaviour", "time until the first bout; empty: none", _OURS,
        lambda p: p.latency_s,
    ),
    Measure(
        "stimuli", "count", "output",
        "stimulations that begin in the span: on-times less than `stimulus_gap_s` apart are "
        "one", _OURS, lambda p: p.stimuli.count, live=True,
    ),
    Measure(
        "pulses", "count", "output", "changes from off to on", _OURS, lambda p: p.count,
        live=True,
    ),
    Measure(
        "on_time", "s", "output", "time in which the output is on", _OURS,
        lambda p: p.total_s, live=True,
    ),
    Measure(
        "duty", "share", "output", "on_time / duration", _OURS,
        lambda p: _per(p.total_s, p.known_s), live=True,
    ),
    Measure(
        "stimulus_latency", "s", "output", "time until the first stimulation; empty: none",
        _OURS, lambda p: p.latency_s, live=True,
    ),
    Measure(
        "trials", "count", "trial", "trials that begin in the span, of this outcome or all",
        _OURS, lambda p: float(len(p.trials)),
    ),
    Measure(
        "trial_share", "share", "trial", "trials of this outcome / all trials", _OURS,
        lambda p: _per(len(p.trials), p.all_trials),
    ),
    Measure(
        "mean_reaction_time", "s", "trial",
        "mean time from the start of a trial to the first frame on which its answer trigger "
        "is true", _OURS, lambda p: _mean(p.reactions),
    ),
    Measure(
        "median_reaction_time", "s", "trial", "median of the same", _OURS,
        lambda p: float(np.median(p.reactions)) if len(p.reactions) else np.nan,
    ),
)  # fmt: skip
"""All measures, in the order of the table."""


_BEGIN = "<!-- written by python -m deeplabstream.analysis.measures -->"
_END = "<!-- end of the generated part -->"
_TITLES: dict[Subject, str] = {
    "track": "Movement",
    "mobility": "Mobility",
    "freezing": "Freezing",
    "head": "Head direction and turning",
    "region": "Regions",
    "wall": "Thigmotaxis",
    "point": "Points",
    "animal": "Other animals",
    "behaviour": "Behaviours",
    "output": "Stimulation",
    "trial": "Trials",
}


def describe() -> str:
    """Return the generated part of docs/results.md."""
    return "\n".join([_BEGIN, *_lines(), _END])


def _lines() -> Iterator[str]:
    for subject, title in _TITLES.items():
        yield f"### {title}"
        yield ""
        yield "| measure | unit | definition | source |"
        yield "|---|---|---|---|"
        for each in MEASURES:
            if each.of == subject:
                unit = each.unit_in("mm")
                cells = f"`{each.name}`", unit, each.definition, each.source
                yield f"| {' | '.join(cells)} |"
        yield ""


def with_description(page: str) -> str:
    """Return docs/results.md with its generated part replaced."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + describe() + after


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_description(file.read_text("utf-8")), "utf-8", newline="\n")
