"""Results of a run: every measure of each animal, for the whole run, time bins and phases."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deeplabstream.analysis.kinematics import (
    angles_to,
    freezing_bouts,
    headings,
    immobile_bouts,
    speeds,
    velocities,
)
from deeplabstream.analysis.measures import MEASURES, MeasureDefinition, Subject
from deeplabstream.analysis.options import (
    AnalysisOptions,
    plain_name,
    speed_limits,
    usual_position,
    with_recorded,
)
from deeplabstream.analysis.region_list import PointOfInterest, RegionOfInterest
from deeplabstream.analysis.run_data import OpenedRun, RunData, read_run
from deeplabstream.analysis.spans import TimeSpan, spans_of
from deeplabstream.analysis.totals import (
    AnimalTrack,
    ArrivalPart,
    BoutPart,
    OutputPart,
    RegionPart,
    SpacePart,
    SpaceTrack,
    Target,
    TargetPart,
    TrackPart,
    TrialPart,
)
from deeplabstream.analysis.tracking_quality import Quality, tracking_quality
from deeplabstream.analysis.tracks import (
    Bools,
    Floats,
    SpanClock,
    Spans,
    bouts_of,
    fill_gaps,
    is_known,
    joined,
    known_intervals,
    smooth,
)
from deeplabstream.analysis.visits import (
    VisitRules,
    Visits,
    first_arrivals,
    inside_region,
    visits_of,
)
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pair_geometry import (
    FollowLimits,
    Vectors,
    is_following,
    speed_towards,
)
from deeplabstream.core.regions import Polygon
from deeplabstream.recording.run_summary import summarise
from deeplabstream.settings.arena_instances import arena_of

if TYPE_CHECKING:
    from pandas import DataFrame

POOR = "poor tracking: "
"""Prefix of the notes on poor tracking, by the rules of `tracking_quality`."""
_NUMBERED = re.compile(r"(animal|individual|instance|track|id)[ _-]?\d+", re.IGNORECASE)
"""Default names of animals in this program, DeepLabCut, SLEAP and movement."""
_TIPS = ("snout", "nose")
_BACKS = (("leftear", "rightear"), ("earleft", "earright"), ("earl", "earr"), ("neck",))


@dataclass(frozen=True, slots=True)
class Value:
    """One number of the results."""

    animal: str
    span: TimeSpan
    measure: MeasureDefinition
    of: str
    """Region, point, other animal, behaviour, output or outcome; empty: the animal itself."""
    value: float
    """NaN: not defined, such as the mean of no visits."""
    unit: str

    @property
    def column(self) -> str:
        """Name of its column in tables."""
        length = self.unit.partition("/")[0]
        return self.measure.column(length if length in ("px", "mm") else "", self.of)


@dataclass(frozen=True, eq=False)
class RunResults:
    """Results of one camera of a run; made by `analyse`.

    Attributes
    ----------
    data : RunData
        What they were computed from.
    options : AnalysisOptions
        How.
    unit : str
        Unit of lengths: px or mm.
    spans : tuple of Span
        The whole run, then time bins, then phases.
    values : tuple of Value
        Every number.
    tracks : mapping of str to AnimalTrack
        Track of each animal, in `unit`.
    visits : mapping of (str, str) to Visits
        By animal and region.
    behaviours : mapping of str to numpy.ndarray, shape (bout, 2)
        Bouts of each behaviour, s.
    targets : mapping of (str, str, str) to Target
        By animal, kind (point, animal, wall) and name: distance and direction to it.
    quality : mapping of str to tuple of Quality
        By animal: shares that say whether its tracking was poor.
    notes : tuple of str
        Sentences on what could not be computed, and why.
    """

    data: RunData
    options: AnalysisOptions
    unit: str
    spans: tuple[TimeSpan, ...]
    values: tuple[Value, ...]
    tracks: Mapping[str, AnimalTrack]
    visits: Mapping[tuple[str, str], Visits]
    behaviours: Mapping[str, Spans]
    targets: Mapping[tuple[str, Subject, str], Target]
    quality: Mapping[str, tuple[Quality, ...]]
    notes: tuple[str, ...]

    def value(
        self, measure: str, of: str = "", animal: str = "", span: str = "whole"
    ) -> float:
        """Return one number.

        Parameters
        ----------
        measure : str
            Name in `MEASURES`, such as `region_time`.
        of : str
            Region, point, other animal, behaviour, output or outcome.
        animal : str
            Name of the animal; empty: the first one.
        span : str
            Name of a span.

        Returns
        -------
        float
            NaN: not defined, such as the mean of no visits.

        Raises
        ------
        DeepLabStreamError
            There is no such number.
        """
        animal = animal or next(iter(self.tracks), "")
        for value in self.values:
            if (value.measure.name, value.of) == (measure, of) and (
                value.animal, value.span.name
            ) == (animal, span):  # fmt: skip
                return value.value
        raise DeepLabStreamError(
            f"{self.data.folder.path.name} has no {measure} of {of or 'the animal'} for "
            f"{animal!r} in {span!r}"
        )

    @cached_property
    def info(self) -> dict[str, str]:
        """Run, start, experiment, group and camera: the first columns of the table."""
        summary = summarise(self.data.folder.path)
        return {
            "run": self.data.folder.path.name,
            "started": summary.started.isoformat(timespec="seconds")
            if summary.started
            else "",
            "experiment": summary.experiment,
            "group": summary.group,
            "camera": self.data.camera,
        }

    def subject_of(self, animal: str) -> str:
        """Return an animal name that is unique among runs.

        Parameters
        ----------
        animal : str
            A key of `tracks`.

        Returns
        -------
        str
            ANIMAL of [Session]; of several animals with their own names added. An animal
            without a name (animal1, individual1, track_0) has that of the run. An animal
            of an arena with a subject has the subject's name.
        """
        if subject := self.data.subjects.get(animal):
            return subject
        own = str((self.data.facts.get("session") or {}).get("animal") or "")
        is_numbered = _NUMBERED.fullmatch(animal) is not None
        first = own or (self.data.folder.path.name if is_numbered else "")
        if len(self.tracks) == 1:
            return first or animal
        return f"{first} {animal}".strip()

    def _arena_of(self, animal: str) -> dict[str, str]:
        """Return the column of the arenas, where animals do not have their names."""
        return {"arena": animal} if self.data.subjects else {}

    def _experiment_of(self, animal: str) -> dict[str, str]:
        """Return the column of the experiment, where an arena has its own."""
        name = self.data.experiment_of(animal)
        return {} if name is None else {"experiment": name}

    def _rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row per animal and span, each measure a column."""
        start_s = self.spans[0].start_s
        by_row: dict[tuple[str, TimeSpan], dict[str, Any]] = {}
        for value in self.values:
            row = by_row.setdefault((value.animal, value.span), {})
            row[value.column] = value.value
        for (animal, span), numbers in by_row.items():
            yield {
                **self.info,
                **self._experiment_of(animal),
                "animal": self.subject_of(animal),
                **self._arena_of(animal),
                "span": span.name,
                "kind": span.kind,
                "start_s": round(span.start_s - start_s, 6),
                "end_s": round(span.end_s - start_s, 6),
                **numbers,
            }

    def table(self) -> "DataFrame":
        """Return the tidy table.

        Returns
        -------
        pandas.DataFrame
            One row per animal and span. `animal`: see `subject_of`; `arena`: its arena, if
            SUBJECTS names the animals. `start_s`, `end_s`:
            seconds since the start of the period. Columns of measures are named
            `NAME_UNIT.SUBJECT`: `distance_mm`, `region_time_s.left`. NaN: not defined.
        """
        import pandas as pd

        return pd.DataFrame(list(self._rows()))

    def long_table(self) -> "DataFrame":
        """Return the table with one row per number: columns measure, of, value, unit.

        Returns
        -------
        pandas.DataFrame
            One row per animal, span, measure and subject.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                **self.info,
                "animal": self.subject_of(value.animal),
                **self._arena_of(value.animal),
                "span": value.span.name,
                "kind": value.span.kind,
                "measure": value.measure.name,
                "of": value.of,
                "value": value.value,
                "unit": value.unit,
            }
            for value in self.values
        )


def analyse(
    run: str | Path | OpenedRun | RunData, options: AnalysisOptions | None = None
) -> RunResults:
    """Compute all measures of a recorded run.

    Parameters
    ----------
    run : str, pathlib.Path, RecordedRun or RunData
        The run folder, what `open_run` returned, or what `read_run` returned.
    options : AnalysisOptions, optional
        Left out: the defaults.

    Returns
    -------
    RunResults
        `table()`: a row per animal and span.

    Raises
    ------
    DeviceError
        The run can't be read, or has no poses of the camera.
    DeepLabStreamError
        An option does not fit the run; the message names it.

    Examples
    --------
    >>> results = dls.analyse("output/2026-11-21_10-58-55")
    >>> results.value("region_time", of="left")
    >>> results.table().to_csv("results.csv", index=False)
    """
    options = options or AnalysisOptions()
    if not isinstance(run, RunData):
        run = read_run(
            run,
            options.camera,
            options.threshold,
            options.use_ambiguous,
            options.raw,
        )
    return _Analysis(run, options).results()


class _Analysis:
    """One computation of results."""

    def __init__(self, data: RunData, options: AnalysisOptions) -> None:
        self.data, self.options = data, options
        self.notes = list(data.notes)
        if options.unit == "mm" and data.calibration is None:
            raise DeepLabStreamError(
                f"{data.folder.path.name}: unit = mm, but camera {data.camera} has no "
                "MM_PER_PIXEL and no MARKS; use px"
            )
        is_mm = options.unit != "px" and data.calibration is not None
        self.unit = "mm" if is_mm else "px"
        is_usual_unit = is_mm is (data.calibration is not None)
        self.options = with_recorded(options, data.facts, is_usual_unit)
        if len(data.t) < 2:
            raise DeepLabStreamError(
                f"{data.folder.path.name} has fewer than two analysed frames of camera "
                f"{data.camera}"
            )
        animals, parts = data.points.shape[1:3]
        self.px = np.empty_like(data.points)
        self.filled = np.zeros(data.points.shape[:3], np.bool_)
        for animal in range(animals):
            for part in range(parts):
                place = (slice(None), animal, part)
                filled, self.filled[place] = fill_gaps(
                    data.t, data.points[place], options.max_gap_s
                )
                self.px[place] = smooth(data.t, filled, options.smoothing_s)
        self.points = self._in(self.unit)
        self.position = self._position()
        self.head = self._head()
        places = data.places.with_added(options.regions, options.points)
        self.regions, self.points_of_interest = places.regions, places.points

    def _in(self, unit: str) -> Floats:
        """Return the points (frame, animal, body part, 2) in px or mm."""
        if unit == "px" or self.data.calibration is None:
            return self.px
        return self.data.calibration.to_mm(self.px)

    def _indices(self, option: str, parts: Sequence[str]) -> list[int]:
        try:
            return self.data.skeleton.indices(parts)
        except KeyError as error:
            names = ", ".join(self.data.skeleton.bodyparts)
            raise DeepLabStreamError(
                f"{option}: {self.data.folder.path.name} has no body part {error}; its body "
                f"parts: {names}"
            ) from error

    def _position(self) -> list[int]:
        if self.options.position:
            return self._indices("position", self.options.position)
        return usual_position(self.data.skeleton.bodyparts)

    def _head(self) -> list[int]:
        if self.options.head:
            if len(self.options.head) < 2:
                raise DeepLabStreamError(
                    f"head = {self.options.head[0]}: expected the back of the head, then its "
                    "tip"
                )
            return self._indices("head", self.options.head)
        plain = [plain_name(part) for part in self.data.skeleton.bodyparts]
        tips = [plain.index(part) for part in _TIPS if part in plain]
        for back in _BACKS:
            if tips and all(part in plain for part in back):
                return [*(plain.index(part) for part in back), tips[0]]
        self.notes.append(
            "no head direction: name the back of the head and its tip with the option head"
        )
        return []

    def results(self) -> RunResults:
        """Compute everything."""
        everything: dict[tuple[str, Subject, str], Target] = {}
        tracks = {name: self._track(at) for at, name in enumerate(self.data.animals)}
        visits = {
            (name, region.name): self._visits(at, region)
            for at, name in enumerate(self.data.animals)
            for region in self._regions_of(name)
        }
        spans = spans_of(self.data, self.options)
        values = []
        for at, (name, track) in enumerate(tracks.items()):
            targets = self._targets(at, tracks)
            for subject, found in targets.items():
                everything |= {
                    (name, subject, of): target for of, target in found.items()
                }
            own_visits = {
                self._shown(region.name, name): visits[name, region.name]
                for region in self._regions_of(name)
            }
            arrivals = self._arrivals(name, visits)
            for span in spans:
                clock = SpanClock(span.spans)
                parts = self._parts(name, track, own_visits, targets, clock)
                parts["arrival"] = {
                    region: ArrivalPart(clock, moments)
                    for region, moments in arrivals.items()
                }
                for measure in MEASURES:
                    for of, part in parts.get(measure.of, {}).items():
                        if (
                            measure.needs
                            and getattr(part.target, measure.needs) is None
                        ):
                            continue
                        unit = measure.unit_in(self.unit)
                        value = float(measure.function(part))
                        values.append(Value(name, span, measure, of, value, unit))
        whole = SpanClock(spans[0].spans)
        quality = {
            name: tracking_quality(
                self.data, at, TrackPart(track, whole), self.position
            )
            for at, (name, track) in enumerate(tracks.items())
        }
        for shares in quality.values():
            self.notes += [f"{POOR}{share}" for share in shares if share.is_poor]
        return RunResults(
            self.data, self.options, self.unit, spans, tuple(values), tracks, visits,
            {name: bouts for name, (bouts, _) in self.behaviours.items()}, everything,
            quality, tuple(dict.fromkeys(self.notes)),
        )  # fmt: skip

    def _track(self, animal: int) -> AnimalTrack:
        t, options = self.data.t, self.options
        xy = self.points[:, animal, self.position].mean(axis=1)
        filled = np.asarray(np.any(self.filled[:, animal, self.position], axis=1))
        known = known_intervals(t, xy, options.max_gap_s)
        speed = speeds(t, xy, known, options.speed_window_s)
        limits = speed_limits(options, self.unit)
        start, stop, still = limits.values()
        immobile = freezing = None
        if start is not None and stop is not None:
            immobile = immobile_bouts(
                t, speed, known, (start, stop), options.min_immobile_s
            )
        if still is not None:
            parts = range(self.points.shape[2])
            part_speeds = np.array([self._part_speed(animal, part) for part in parts])
            freezing = freezing_bouts(
                t, part_speeds, known, still, options.min_freezing_s
            )
        if immobile is None or freezing is None:
            self.notes.append(
                "no mobility or no freezing: in px, give start_speed, stop_speed and "
                "freezing_speed, or calibrate the camera"
            )
        heading = headings(self._head_vectors(animal)) if self.head else None
        corrected = np.zeros(len(t), np.bool_)
        if self.data.corrected is not None:
            corrected |= self.data.corrected[:, animal, self.position].any(axis=1)
        return AnimalTrack(
            t, xy, known, known & (filled[1:] | filled[:-1]),
            known & (corrected[1:] | corrected[:-1]), speed, immobile, freezing, heading,
        )  # fmt: skip

    def _part_speed(self, animal: int, part: int) -> Floats:
        xy = self.points[:, animal, part]
        known = known_intervals(self.data.t, xy, self.options.max_gap_s)
        return speeds(self.data.t, xy, known, self.options.speed_window_s)

    def _head_vectors(self, animal: int) -> Floats:
        *back, tip = self.head
        return np.asarray(
            self.points[:, animal, tip] - self.points[:, animal, back].mean(axis=1)
        )

    def _visits(self, animal: int, region: RegionOfInterest) -> Visits:
        options = self.options
        if region.unit == "mm" and self.data.calibration is None:
            raise DeepLabStreamError(
                f"region {region.name} is in mm, but camera {self.data.camera} is not "
                "calibrated"
            )
        parts = (
            self._indices(f"region {region.name}", region.bodyparts)
            if region.bodyparts
            else self.position
        )
        points = self._in(region.unit)[:, animal, parts]
        if not region.bodyparts:
            points = points.mean(axis=1, keepdims=True)
        margins = [
            own if option is None else option
            for option, own in (
                (options.enter_margin, region.enter_margin),
                (options.exit_margin, region.exit_margin),
            )
        ]
        inside, known = inside_region(
            region.region, points, region.rule, (margins[0], margins[1])
        )
        start_s = self.data.period[0] + (options.start_s or 0)
        rules = VisitRules(
            options.min_visit_s,
            options.min_absence_s,
            start_s if options.start_counts else None,
        )
        return visits_of(self.data.t, inside, known, rules, options.max_gap_s)

    def _regions_of(self, name: str) -> list[RegionOfInterest]:
        """Return the regions that are measured for an animal: none of another's arena."""
        return [region for region in self.regions if self._is_of(region.name, name)]

    def _is_of(self, thing: str, animal: str) -> bool:
        """Return whether a region or an output is not of another animal's arena."""
        # a single animal may have the subject's name in place of its arena's
        arenas = self.data.arenas if len(self.data.animals) > 1 else ()
        return arena_of(thing, arenas) in ("", animal)

    def _shown(self, thing: str, animal: str) -> str:
        """Return a name without the animal's arena: all arenas share a column."""
        return thing.removesuffix(f".{animal}") if self.data.arenas else thing

    def _arrivals(
        self, name: str, visits: Mapping[tuple[str, str], Visits]
    ) -> dict[str, Floats]:
        """Return the arrivals of one of several animals as the first, by region."""
        others = [other for other in self.data.animals if other != name]
        if not others or self.data.arenas:
            return {}
        return {
            region.name: first_arrivals(
                self.data.t,
                visits[name, region.name],
                [visits[other, region.name] for other in others],
            )
            for region in self.regions
        }

    def _targets(
        self, animal: int, tracks: Mapping[str, AnimalTrack]
    ) -> dict[Subject, dict[str, Target]]:
        """Return the distances to the wall, points and other animals."""
        own = tracks[self.data.animals[animal]]
        points = {
            point.name: self._target(animal, own, self._place_of(point))
            for point in self.points_of_interest
        }
        others = {
            name: self._other_animal(animal, at, own, track)
            for at, (name, track) in enumerate(tracks.items())
            if at != animal and not self.data.arenas
        }
        found: dict[Subject, dict[str, Target]] = {"point": points, "animal": others}
        if self.options.arena:
            found["wall"] = {"": self._wall(animal, own)}
        return found

    def _place_of(self, point: PointOfInterest) -> Floats:
        at = np.array([[point.x, point.y]])
        calibration = self.data.calibration
        if calibration is not None and point.unit != self.unit:
            at = calibration.to_mm(at) if self.unit == "mm" else calibration.to_px(at)
        return np.broadcast_to(at, (len(self.data.t), 2))

    def _wall(self, animal: int, own: AnimalTrack) -> Target:
        name = self.options.arena
        arena = next((region for region in self.regions if region.name == name), None)
        if arena is None:
            names = ", ".join(region.name for region in self.regions) or "none"
            raise DeepLabStreamError(
                f"arena = {name}: no such region; regions: {names}"
            )
        region, calibration = arena.region, self.data.calibration
        if arena.unit != self.unit and calibration is not None:
            to = calibration.to_mm if self.unit == "mm" else calibration.to_px
            corners = to(region.outline()).tolist()
            region = Polygon(tuple((x, y) for x, y in corners))
        distance = np.abs(region.depths(own.xy))
        return Target(distance, own.known)

    def _target(self, animal: int, own: AnimalTrack, place: Floats) -> Target:
        ways = place - own.xy
        distance = np.hypot(*ways.T)
        known = own.known & np.isfinite(distance[1:]) & np.isfinite(distance[:-1])
        approach = angle = None
        if self.options.approach_speed is not None:
            with np.errstate(invalid="ignore", divide="ignore"):
                approach = speed_towards(self._velocity(own), _vectors(ways[:-1]))
        if self.head:
            ways = self._head_ways(animal, place)
            angle = angles_to(self._head_vectors(animal), ways)
        return Target(distance, known, approach, angle)

    def _other_animal(
        self, animal: int, other: int, own: AnimalTrack, track: AnimalTrack
    ) -> Target:
        """Return another animal as a target: contacts and following, too."""
        target, options = self._target(animal, own, track.xy), self.options
        contacts = None
        if options.contact_distance is not None:
            near, known = self._contact(animal, other, target, options.contact_distance)
            contacts = bouts_of(own.t, near, known)

        return replace(
            target,
            contacts=contacts,
            following=self._following(own, track, options.following_speed),
            chasing=self._following(own, track, options.chasing_speed),
        )

    def _contact(
        self, animal: int, other: int, target: Target, limit: float
    ) -> tuple[Bools, Bools]:
        """Return in which intervals (frame - 1,) two animals touch, and where it is known."""
        options = self.options
        if not options.contact_bodyparts:
            with np.errstate(invalid="ignore"):
                return target.distance[:-1] <= limit, target.known

        own = self._indices("contact_bodyparts", options.contact_bodyparts)
        parts = options.contact_target_bodyparts or options.contact_bodyparts
        others = self._indices("contact_target_bodyparts", parts)
        ways = (
            self.points[:, animal][:, own, None]
            - self.points[:, other][:, None, others]
        ).reshape(len(self.data.t), -1, 2)
        gaps = np.hypot(ways[..., 0], ways[..., 1])
        with np.errstate(invalid="ignore"):
            near = np.asarray((gaps <= limit).any(axis=1), np.bool_)
        # a part that was not found matters only while no others touch
        found = near | is_known(gaps)
        intervals = np.diff(self.data.t) <= options.max_gap_s + 1e-9
        return near[:-1], found[1:] & found[:-1] & intervals

    def _following(
        self, own: AnimalTrack, track: AnimalTrack, speed: float | None
    ) -> Bools | None:
        """Return in which intervals (frame - 1,) the animal follows; None: no speed given."""
        if speed is None:
            return None
        limits = FollowLimits(
            speed, self.options.following_distance, self.options.following_angle
        )
        ways = _vectors((track.xy - own.xy)[:-1])
        with np.errstate(invalid="ignore"):
            return is_following(
                self._velocity(own), self._velocity(track), ways, limits
            )

    def _velocity(self, track: AnimalTrack) -> Vectors:
        """Return the velocity in each interval; NaN: not known."""
        window_s = self.options.speed_window_s
        return _vectors(velocities(track.t, track.xy, track.known, window_s))

    def _head_ways(self, animal: int, place: Floats) -> Floats:
        """Return the directions (frame, 2) from the back of the head to a target."""
        back = self.points[:, animal, self.head[:-1]].mean(axis=1)
        return np.asarray(place - back)

    def _parts(
        self,
        name: str,
        track: AnimalTrack,
        visits: Mapping[str, Visits],
        targets: Mapping[Subject, Mapping[str, Target]],
        clock: SpanClock,
    ) -> dict[Subject, dict[str, Any]]:
        """Return the input of each subject's measures, by name."""
        data, options = self.data, self.options
        part = TrackPart(track, clock)
        parts: dict[Subject, dict[str, Any]] = {"track": {"": part}}
        if track.immobile is not None:
            parts["mobility"] = {"": part}
        if track.freezing is not None:
            parts["freezing"] = {"": part}
        if track.heading is not None:
            parts["head"] = {"": part}
        if (space := self.space) is not None:
            parts["space"] = {"": SpacePart(space, clock)}
            if space.rears is not None:
                parts["rearing"] = {"": SpacePart(space, clock)}
        parts["region"] = {
            region: RegionPart(part, region_visits)
            for region, region_visits in visits.items()
        }
        for subject, found in targets.items():
            parts[subject] = {
                of: TargetPart(clock, track.t, target, options)
                for of, target in found.items()
            }
        parts["behaviour"] = {
            of: BoutPart(bouts, clock, float(clock.between(data.t)[known].sum()))
            for of, (bouts, known) in self.behaviours.items()
        }
        parts["output"] = {
            self._shown(output, name): OutputPart(
                pulses, clock, clock.total_s, joined(pulses, options.stimulus_gap_s)
            )
            for output, pulses in data.outputs.items()
            if self._is_of(output, name)
        }
        own = [trial for trial in data.trials if trial.arena in ("", name)]
        begun = clock.holds(np.array([trial.start_s for trial in own]))
        trials = [t for t, begins in zip(own, begun, strict=True) if begins]
        if data.trials:
            outcomes = sorted({trial.outcome for trial in data.trials} - {""})
            parts["trial"] = {
                of: TrialPart(
                    tuple(t for t in trials if of in ("", t.outcome)), len(trials)
                )
                for of in ("", *outcomes)
            }
        return parts

    @cached_property
    def space(self) -> SpaceTrack | None:
        """Track in space; None: fewer than two moments, or several animals."""
        recorded, options = self.data.space, self.options
        if recorded is None or len(recorded.t) < 2 or len(self.data.animals) > 1:
            return None
        t, gap_s = recorded.t, options.max_gap_s

        points = np.empty_like(recorded.points)
        for part in range(points.shape[1]):
            filled, _ = fill_gaps(t, recorded.points[:, part], gap_s)
            points[:, part] = smooth(t, filled, options.smoothing_s)
        xyz = points[:, self.position].mean(axis=1)
        known = known_intervals(t, xyz, gap_s)
        track = SpaceTrack(t, xyz, known, speeds(t, xyz, known, options.speed_window_s))
        if options.rearing_height is None:
            return track

        heights = points[:, self._rearing(), 2]
        with np.errstate(invalid="ignore"):
            above = np.asarray((heights > options.rearing_height).all(axis=1), np.bool_)
        seen = known_intervals(t, heights, gap_s)
        rears = bouts_of(t, above[:-1], seen, options.min_rearing_s)
        return replace(track, rears=rears, rearing_known=seen)

    def _rearing(self) -> list[int]:
        """Return the body parts whose heights decide on rearing."""
        if self.options.rearing_bodyparts:
            return self._indices("rearing_bodyparts", self.options.rearing_bodyparts)
        plain = [plain_name(part) for part in self.data.skeleton.bodyparts]
        tips = [plain.index(tip) for tip in _TIPS if tip in plain]
        return tips[:1] or self.position

    @cached_property
    def behaviours(self) -> dict[str, tuple[Spans, Bools]]:
        """Bouts of each behaviour, and the intervals in which it is known."""
        t, options = self.data.t, self.options
        near = np.diff(t) <= options.max_gap_s
        found = {}
        for name, probability in self.data.behaviours.items():
            known = np.isfinite(probability[:-1]) & near
            with np.errstate(invalid="ignore"):
                shown = probability[:-1] >= options.behaviour_threshold
            found[name] = bouts_of(t, shown, known, options.min_behaviour_s), known
        return found


def _vectors(xy: Floats) -> Vectors:
    """Return x and y (frame,) of vectors (frame, 2)."""
    return xy[:, 0], xy[:, 1]
