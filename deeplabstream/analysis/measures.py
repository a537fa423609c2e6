"""Registry of measures: name, unit, definition, source and function of each.

The table of results, the window and docs/results.md take them from `MEASURES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from deeplabstream.analysis.kinematics import (
    mean_direction,
    median_speed,
    weighted_sum,
)
from deeplabstream.analysis.totals import (
    BoutPart,
    TrackPart,
    highest,
    mean,
    ratio,
    required,
)

Subject: TypeAlias = Literal[
    "track",
    "mobility",
    "freezing",
    "head",
    "space",
    "rearing",
    "region",
    "arrival",
    "wall",
    "point",
    "animal",
    "behaviour",
    "output",
    "trial",
]
"""Subject of a measure, besides the animal."""


def _freezing(part: TrackPart) -> BoutPart:
    return BoutPart(required(part.track.freezing), part.clock, part.tracked_s)


@dataclass(frozen=True)
class MeasureDefinition:
    """One measure."""

    name: str
    unit: str
    """`s`, `share` (0 to 1), `count`, `deg`, `deg/s`, `mm`, `mm/s`; `length` is px or mm."""
    of: Subject
    definition: str
    source: str
    function: Callable[[Any], float]
    """Computes the value from the part of its subject: TrackPart, SpacePart, RegionPart,
    ArrivalPart, TargetPart, BoutPart, TrialPart."""
    needs: str = ""
    """Attribute of a Target without which the measure is left out."""
    live: bool = False
    """Whether it is also computed while a run is recorded: its function needs the totals
    that `totals` lists only."""
    label: str = ""
    """Its label, with `{of}` where its subject stands; empty: its name with spaces."""

    def label_of(self, of: str = "") -> str:
        """Return the label in the window, in plots and in sentences, without a unit."""
        if self.label:
            return self.label.replace("{of}", of)
        name = self.name.replace("_", " ")
        return f"{name}, {of}" if of else name

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
MEASURES: tuple[MeasureDefinition, ...] = (
    MeasureDefinition(
        "duration", "s", "track", "time of the span", _APPARATUS, lambda p: p.duration_s,
        live=True,
    ),
    MeasureDefinition(
        "tracked", "s", "track", "time in which the position is known", _OURS,
        lambda p: p.tracked_s, live=True,
    ),
    MeasureDefinition(
        "missing", "share", "track", "1 − tracked / duration", _OURS,
        lambda p: 1 - ratio(p.tracked_s, p.duration_s), live=True,
    ),
    MeasureDefinition(
        "interpolated", "share", "track",
        "time with an interpolated position / tracked", _OURS,
        lambda p: ratio(float(p.seconds[p.track.interpolated].sum()), p.tracked_s),
    ),
    MeasureDefinition(
        "corrected", "share", "track", "time with a corrected position / tracked", _OURS,
        lambda p: ratio(float(p.seconds[p.track.corrected].sum()), p.tracked_s),
    ),
    MeasureDefinition(
        "distance", "length", "track", "Σ ‖p(i+1) − p(i)‖ over the known intervals",
        f"{_APPARATUS}; {_MOVEMENT}: path length", lambda p: p.distance, live=True,
    ),
    MeasureDefinition(
        "mean_speed", "length/s", "track", "distance / tracked", _APPARATUS,
        lambda p: ratio(p.distance, p.tracked_s), live=True,
    ),
    MeasureDefinition(
        "median_speed", "length/s", "track",
        "speed below which the animal was for half of the tracked time", _MOVEMENT,
        lambda p: median_speed(p.track.speed, p.seconds),
    ),
    MeasureDefinition(
        "max_speed", "length/s", "track", "highest speed", _APPARATUS,
        lambda p: highest(p.track.speed[(p.seconds > 0) & np.isfinite(p.track.speed)]),
    ),
    MeasureDefinition(
        "mobile_time", "s", "mobility", "tracked − immobile_time", _ETHOVISION,
        lambda p: p.tracked_s - p.immobile.total_s, live=True,
    ),
    MeasureDefinition(
        "immobile_time", "s", "mobility",
        "time of immobile bouts: slower than `stop_speed` until `start_speed` is reached, for "
        "`min_immobile_s` or longer", f"{_ETHOVISION}; {_IMMOBILITY}",
        lambda p: p.immobile.total_s, live=True,
    ),
    MeasureDefinition(
        "immobile_bouts", "count", "mobility", "immobile bouts that begin in the span",
        _IMMOBILITY, lambda p: p.immobile.count, live=True,
    ),
    MeasureDefinition(
        "freezing_time", "s", "freezing",
        "time of freezing bouts: every body part slower than `freezing_speed`, for "
        "`min_freezing_s` or longer", _FANSELOW, lambda p: _freezing(p).total_s,
    ),
    MeasureDefinition(
        "freezing_share", "share", "freezing", "freezing_time / tracked", _FANSELOW,
        lambda p: ratio(_freezing(p).total_s, p.tracked_s),
    ),
    MeasureDefinition(
        "freezing_bouts", "count", "freezing", "freezing bouts that begin in the span",
        _FANSELOW, lambda p: _freezing(p).count,
    ),
    MeasureDefinition(
        "mean_freezing_bout", "s", "freezing",
        "mean duration of freezing bouts, of each the part in the span", _FANSELOW,
        lambda p: mean(_freezing(p).durations),
    ),
    MeasureDefinition(
        "longest_freezing_bout", "s", "freezing", "the longest of these", _FANSELOW,
        lambda p: highest(_freezing(p).durations),
    ),
    MeasureDefinition(
        "latency_to_freezing", "s", "freezing",
        "time until the first freezing bout begins; empty: none", _FANSELOW,
        lambda p: _freezing(p).latency_s,
    ),
    MeasureDefinition(
        "turning", "deg", "head", "Σ absolute turn of the head", f"{_APPARATUS}: turn angle",
        lambda p: weighted_sum(np.abs(p.turn_seconds[0]), p.turn_seconds[1]),
    ),
    MeasureDefinition(
        "net_turning", "deg", "head", "Σ turn of the head; clockwise on the screen is positive",
        _APPARATUS, lambda p: weighted_sum(*p.turn_seconds),
    ),
    MeasureDefinition(
        "turning_speed", "deg/s", "head", "turning / time with known head direction",
        _APPARATUS,
        lambda p: ratio(
            weighted_sum(np.abs(p.turn_seconds[0]), p.turn_seconds[1]),
            float(p.turn_seconds[1].sum()),
        ),
    ),
    MeasureDefinition(
        "mean_heading", "deg", "head",
        "circular mean of the head direction; 0 is right, 90 is down", _CIRCULAR,
        lambda p: mean_direction(p.track.heading, p.seconds)[0],
    ),
    MeasureDefinition(
        "heading_concentration", "share", "head",
        "mean resultant length of the head direction: 0 all directions, 1 one direction",
        _CIRCULAR, lambda p: mean_direction(p.track.heading, p.seconds)[1],
    ),
    MeasureDefinition(
        "space_tracked", "s", "space", "time in which the position in space is known", _OURS,
        lambda p: p.tracked_s,
    ),
    MeasureDefinition(
        "space_distance", "mm", "space", "`distance`, of the positions in space", _MOVEMENT,
        lambda p: p.distance,
    ),
    MeasureDefinition(
        "space_mean_speed", "mm/s", "space", "space_distance / space_tracked", _MOVEMENT,
        lambda p: ratio(p.distance, p.tracked_s),
    ),
    MeasureDefinition(
        "space_max_speed", "mm/s", "space", "highest speed in space", _MOVEMENT,
        lambda p: p.max_speed,
    ),
    MeasureDefinition(
        "mean_height", "mm", "space", "mean z of the position", _OURS,
        lambda p: p.mean_height,
    ),
    MeasureDefinition(
        "max_height", "mm", "space", "largest z of the position", _OURS,
        lambda p: p.max_height,
    ),
    MeasureDefinition(
        "rearing_time", "s", "rearing",
        "time of rears: all `rearing_bodyparts` above `rearing_height`, for `min_rearing_s` "
        "or longer", _OURS, lambda p: p.rearing.total_s,
    ),
    MeasureDefinition(
        "rearing_share", "share", "rearing",
        "rearing_time / time in which the heights are known", _OURS,
        lambda p: ratio(p.rearing.total_s, p.rearing.known_s),
    ),
    MeasureDefinition(
        "rears", "count", "rearing", "rears that begin in the span", _OURS,
        lambda p: p.rearing.count,
    ),
    MeasureDefinition(
        "mean_rear", "s", "rearing",
        "mean duration of rears, of each the part in the span", _OURS,
        lambda p: mean(p.rearing.durations),
    ),
    MeasureDefinition(
        "latency_to_rearing", "s", "rearing", "time until the first rear begins; empty: none",
        _OURS, lambda p: p.rearing.latency_s,
    ),
    MeasureDefinition(
        "region_time", "s", "region", "time in the region", _ZONE, lambda p: p.time_s,
        live=True,
        label="time in {of}",
    ),
    MeasureDefinition(
        "region_share", "share", "region",
        "region_time / time in which it is known whether the animal is inside", _ZONE,
        lambda p: ratio(p.time_s, p.known_s), live=True,
        label="share of time in {of}",
    ),
    MeasureDefinition(
        "region_entries", "count", "region",
        "changes from outside to inside; a start inside counts with `start_counts`", _ZONE,
        lambda p: p.entries, live=True,
        label="entries into {of}",
    ),
    MeasureDefinition(
        "region_exits", "count", "region", "changes from inside to outside", _ZONE,
        lambda p: p.exits, live=True,
        label="exits from {of}",
    ),
    MeasureDefinition(
        "region_latency", "s", "region", "time until the first entry; empty: none", _ZONE,
        lambda p: p.latency_s, live=True,
        label="latency to {of}",
    ),
    MeasureDefinition(
        "region_mean_visit", "s", "region",
        "mean duration of visits, of each the part in the span", _ZONE,
        lambda p: mean(p.durations),
        label="mean visit to {of}",
    ),
    MeasureDefinition(
        "region_longest_visit", "s", "region", "the longest of these", _ZONE,
        lambda p: highest(p.durations),
        label="longest visit to {of}",
    ),
    MeasureDefinition(
        "region_distance", "length", "region", "distance while inside", _ZONE,
        lambda p: p.distance, live=True,
        label="distance in {of}",
    ),
    MeasureDefinition(
        "region_mean_speed", "length/s", "region", "region_distance / region_time", _ZONE,
        lambda p: ratio(p.distance, p.tracked_s), live=True,
        label="mean speed in {of}",
    ),
    MeasureDefinition(
        "region_first_arrivals", "count", "arrival",
        "entries while all other animals are known to be outside", _OURS,
        lambda p: p.count,
        label="arrivals in {of} as the first animal",
    ),
    MeasureDefinition(
        "region_first_latency", "s", "arrival",
        "time until the first of these entries; empty: none", _OURS,
        lambda p: p.latency_s,
        label="latency to arrive in {of} as the first animal",
    ),
    MeasureDefinition(
        "wall_time", "s", "wall",
        "thigmotaxis: time nearer to the border of `arena` than `wall_distance`", _SIMON,
        lambda p: p.near_wall_s,
        label="time near the wall",
    ),
    MeasureDefinition(
        "wall_share", "share", "wall", "wall_time / time with known position", _SIMON,
        lambda p: ratio(p.near_wall_s, p.known_s),
        label="share of time near the wall",
    ),
    MeasureDefinition(
        "mean_wall_distance", "length", "wall", "mean distance to the border of `arena`",
        _SIMON, lambda p: p.mean_distance,
        label="mean distance to the wall",
    ),
    *(
        measure
        for of, target, source in _TARGETS
        for measure in (
            MeasureDefinition(
                f"{of}_mean_distance", "length", of,
                f"mean distance to {target}", source,
                lambda p: p.mean_distance, live=of == "animal",
                label="mean distance to {of}",
            ),
            MeasureDefinition(
                f"{of}_min_distance", "length", of,
                f"shortest distance to {target}", source,
                lambda p: p.min_distance, live=of == "animal",
                label="shortest distance to {of}",
            ),
            MeasureDefinition(
                f"{of}_approach_time", "s", of,
                f"time in which the speed towards {target} is `approach_speed` or higher",
                source,
                lambda p: p.approach_s(1), "approach",
                label="time of approach to {of}",
            ),
            MeasureDefinition(
                f"{of}_withdrawal_time", "s", of,
                f"time in which the speed away from {target} is `approach_speed` or higher",
                source,
                lambda p: p.approach_s(-1), "approach",
                label="time of withdrawal from {of}",
            ),
            MeasureDefinition(
                f"{of}_head_angle", "deg", of,
                f"mean unsigned angle between the head and the direction to {target}",
                f"{_ZONE}: heading",
                lambda p: p.head_angle, "angle",
                label="head angle to {of}",
            ),
            MeasureDefinition(
                f"{of}_facing_time", "s", of,
                "time in which that angle is `facing_angle` or less", f"{_ZONE}: heading",
                lambda p: p.facing_s, "angle",
                label="time facing {of}",
            ),
        )
    ),
    MeasureDefinition(
        "contact_time", "s", "animal",
        "time in which the other animal is at `contact_distance` or nearer: the positions, or "
        "the nearest of `contact_bodyparts`", _SOCIAL,
        lambda p: p.contact.total_s, "contacts", live=True,
        label="time in contact with {of}",
    ),
    MeasureDefinition(
        "contacts", "count", "animal", "contacts that begin in the span", _SOCIAL,
        lambda p: p.contact.count, "contacts", live=True,
        label="contacts with {of}",
    ),
    MeasureDefinition(
        "following_time", "s", "animal",
        "time in which both move at `following_speed` or faster, the other animal is at "
        "`following_distance` or nearer, and the movement of the animal differs by "
        "`following_angle` at most from the direction to the other one and from its movement",
        _SOCIAL, lambda p: p.following_s, "following",
        label="time of following {of}",
    ),
    MeasureDefinition(
        "chasing_time", "s", "animal",
        "the same with `chasing_speed`", _SOCIAL, lambda p: p.chasing_s, "chasing",
        label="time of chasing {of}",
    ),
    MeasureDefinition(
        "behaviour_time", "s", "behaviour",
        "time of bouts: probability `behaviour_threshold` or higher for `min_behaviour_s` or "
        "longer", "[triggers.md](triggers.md)", lambda p: p.total_s,
        label="time of {of}",
    ),
    MeasureDefinition(
        "behaviour_share", "share", "behaviour",
        "behaviour_time / time in which the probability is known", _OURS,
        lambda p: ratio(p.total_s, p.known_s),
        label="share of time of {of}",
    ),
    MeasureDefinition(
        "behaviour_bouts", "count", "behaviour", "bouts that begin in the span", _OURS,
        lambda p: p.count,
        label="bouts of {of}",
    ),
    MeasureDefinition(
        "behaviour_mean_bout", "s", "behaviour",
        "mean duration of bouts, of each the part in the span", _OURS,
        lambda p: mean(p.durations),
        label="mean bout of {of}",
    ),
    MeasureDefinition(
        "behaviour_latency", "s", "behaviour", "time until the first bout; empty: none", _OURS,
        lambda p: p.latency_s,
        label="latency to bouts of {of}",
    ),
    MeasureDefinition(
        "stimuli", "count", "output",
        "stimulations that begin in the span: on-times less than `stimulus_gap_s` apart are "
        "one", _OURS, lambda p: p.stimuli.count, live=True,
        label="stimuli of {of}",
    ),
    MeasureDefinition(
        "pulses", "count", "output", "changes from off to on", _OURS, lambda p: p.count,
        live=True,
        label="pulses of {of}",
    ),
    MeasureDefinition(
        "on_time", "s", "output", "time in which the output is on", _OURS,
        lambda p: p.total_s, live=True,
        label="on-time of {of}",
    ),
    MeasureDefinition(
        "duty", "share", "output", "on_time / duration", _OURS,
        lambda p: ratio(p.total_s, p.known_s), live=True,
        label="duty of {of}",
    ),
    MeasureDefinition(
        "stimulus_latency", "s", "output", "time until the first stimulation; empty: none",
        _OURS, lambda p: p.latency_s, live=True,
        label="latency to stimuli of {of}",
    ),
    MeasureDefinition(
        "trials", "count", "trial", "trials that begin in the span, of this outcome or all",
        _OURS, lambda p: float(len(p.trials)),
    ),
    MeasureDefinition(
        "trial_share", "share", "trial", "trials of this outcome / all trials", _OURS,
        lambda p: ratio(len(p.trials), p.all_trials),
    ),
    MeasureDefinition(
        "mean_reaction_time", "s", "trial",
        "mean time from the start of a trial to the first frame on which its answer trigger "
        "is true", _OURS, lambda p: mean(p.reactions),
    ),
    MeasureDefinition(
        "median_reaction_time", "s", "trial", "median of the same", _OURS,
        lambda p: float(np.median(p.reactions)) if len(p.reactions) else np.nan,
    ),
)  # fmt: skip
"""All measures, in the order of the table."""
_BY_COLUMN = {
    measure.column(length): (measure, measure.unit_in(length))
    for measure in MEASURES
    for length in ("px", "mm")
}


def measure_of(column: str) -> MeasureDefinition | None:
    """Return the measure of a column of the table; None: it is none."""
    return _BY_COLUMN.get(column.partition(".")[0], (None, ""))[0]


def label_of_column(column: str) -> str:
    """Return the label of a column of the table, with its unit.

    >>> label_of_column("region_time_s.left"), label_of_column("region_entries.left")
    ('time in left (s)', 'entries into left')
    >>> label_of_column("max_speed_px_per_s"), label_of_column("weight_g")
    ('max speed (px/s)', 'weight_g')
    """
    name, _, of = column.partition(".")
    measure, unit = _BY_COLUMN.get(name, (None, ""))
    if measure is None:
        return column
    label = measure.label_of(of)
    shown = "" if unit in ("count", "share") else unit.replace("deg", "°")
    return f"{label} ({shown})" if shown else label
