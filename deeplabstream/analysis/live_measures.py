"""Measures so far: totals of the running experiment, updated with each pose in constant time.

The definition of each measure is its function in `MEASURES`; here are the totals that it
gets. They equal those of `analyse`, except that gaps are not interpolated: the future is not
known yet (docs/results.md, Live). Memory does not grow with the number of frames.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import permutations
from math import hypot, inf, isfinite, nan

import numpy as np

from deeplabstream.analysis.live_pairs import ContactRule, LivePair
from deeplabstream.analysis.measures import MEASURES, MeasureDefinition, Subject
from deeplabstream.analysis.options import (
    AnalysisOptions,
    speed_limits,
    usual_position,
)
from deeplabstream.analysis.region_list import (
    RegionOfInterest,
    places_of_triggers,
    region_names,
    trigger_settings,
)
from deeplabstream.analysis.running_bouts import TOLERANCE_S, RunningBouts
from deeplabstream.core.calibration import Calibration
from deeplabstream.core.errors import ExperimentError
from deeplabstream.core.pose import Pose, Skeleton, Thresholds, is_rejected
from deeplabstream.settings.arena_instances import arena_of
from deeplabstream.settings.sections import Settings, effective

Place = tuple[float, float]
_Places = Sequence[Place | None]

LIVE: Mapping[Subject, tuple[MeasureDefinition, ...]] = {
    of: tuple(measure for measure in MEASURES if measure.live and measure.of == of)
    for of in ("track", "mobility", "region", "animal", "output")
}
"""Measures that are computed during a run, by their subject."""
_OF_PAIRS = frozenset(measure.name for measure in LIVE["animal"])


@dataclass(frozen=True, eq=False)
class LivePlan:
    """Settings of the live measures.

    Attributes
    ----------
    skeleton : Skeleton
        Body parts and animals of the poses.
    threshold : float
        Confidence below which a point counts as not found.
    calibration : Calibration, optional
        Of the deciding camera; None: lengths are in px.
    regions : sequence of RegionOfInterest
        Regions of the triggers on the deciding camera.
    names : mapping of str to str
        Name in `regions` of the region of each trigger.
    options : AnalysisOptions
        Position, gaps, speed window and thresholds.
    arenas : collection of str
        Arenas of the camera: a region `NAME.ARENA` is measured for that arena's animal only.
    """

    skeleton: Skeleton
    threshold: float
    calibration: Calibration | None = None
    regions: Sequence[RegionOfInterest] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    options: AnalysisOptions = field(default_factory=AnalysisOptions)
    arenas: Collection[str] = ()

    def of(self, animal: str) -> "LivePlan":
        """Return the plan with the regions that are measured for an animal."""
        if not self.arenas:
            return self
        regions = [
            region
            for region in self.regions
            if arena_of(region.name, self.arenas) in ("", animal)
        ]
        return replace(self, regions=regions)

    @property
    def unit(self) -> str:
        """Unit of lengths: px or mm."""
        is_mm = self.options.unit != "px" and self.calibration is not None
        return "mm" if is_mm else "px"


def measuring(
    settings: Settings, skeleton: Skeleton, thresholds: Thresholds
) -> Callable[[], "LiveMeasures"]:
    """Return the live measures of a new run, for the deciding camera's poses."""
    camera = settings.deciding_camera
    triggers = trigger_settings(effective(settings), settings.text)
    plan = LivePlan(
        skeleton,
        thresholds.of(camera),
        settings.calibrations.get(camera),
        places_of_triggers(triggers, camera).of(camera).regions,
        region_names(triggers, camera),
        AnalysisOptions(
            position=settings.measures.position,
            start_speed=settings.measures.start_speed,
            stop_speed=settings.measures.stop_speed,
            min_immobile_s=settings.measures.min_immobile_s,
            contact_distance=settings.measures.contact_distance,
            contact_bodyparts=settings.measures.contact_bodyparts,
            contact_target_bodyparts=settings.measures.contact_target_bodyparts,
        ),
        frozenset(settings.arenas),
    )
    return lambda: LiveMeasures(plan)


class Mobility:
    """Immobile bouts, delayed by half a speed window.

    Only the frames of about one window are kept.
    """

    def __init__(
        self, window_s: float, limits: tuple[float, float], bouts: RunningBouts
    ) -> None:
        self._half_s = window_s / 2
        self._start_speed, self._stop_speed = limits
        self.bouts = bouts
        self._moves = False
        self._frames: list[tuple[float, float, float]] = []
        """Times and positions of the frames still needed, from one known part."""
        self._first_s = 0.0
        """Start of that part."""
        self._next = self._low = self._high = 0
        """Index of the next interval to classify, and those with the ends of the window."""

    def begin(self, time_s: float, x: float, y: float) -> None:
        """Start with a frame after one without position; the last part was ended."""
        self._frames = [(time_s, x, y)]
        self._first_s = time_s
        self._next = self._low = self._high = 0

    def add(self, time_s: float, x: float, y: float) -> None:
        """Add the next frame, and classify the intervals whose window is complete."""
        frames = self._frames
        frames.append((time_s, x, y))
        while self._next + 1 < len(frames):
            start_s, end_s = frames[self._next][0], frames[self._next + 1][0]
            if time_s < max(end_s, (start_s + end_s) / 2 + self._half_s):
                break
            self._judge(inf)
        if self._low > 64:
            del frames[: self._low]
            self._next -= self._low
            self._high -= self._low
            self._low = 0

    def end(self) -> None:
        """End the known part, because the position is now unknown."""
        if self._frames:
            last_s = self._frames[-1][0]
            while self._next + 1 < len(self._frames):
                self._judge(last_s)
            self._frames = []
        self._moves = False
        self.bouts.end()

    def _judge(self, last_s: float) -> None:
        """Classify the next interval, as `kinematics.velocities` and `moving` do."""
        start_s, end_s = self._frames[self._next][0], self._frames[self._next + 1][0]
        middle_s = (start_s + end_s) / 2
        from_s = min(start_s, max(middle_s - self._half_s, self._first_s))
        to_s = max(end_s, min(middle_s + self._half_s, last_s))
        self._low = self._interval(self._low, from_s)
        self._high = self._interval(self._high, to_s)
        x0, y0 = self._place(self._low, from_s)
        x1, y1 = self._place(self._high, to_s)
        speed = hypot(x1 - x0, y1 - y0) / (to_s - from_s)
        if speed >= self._start_speed:
            self._moves = True
        elif speed < self._stop_speed:
            self._moves = False
        if self._moves:
            self.bouts.end()
        else:
            self.bouts.hold(start_s, end_s)
        self._next += 1

    def _interval(self, at: int, moment_s: float) -> int:
        """Return the first frame from `at` on whose interval contains a moment."""
        while at + 1 < len(self._frames) and self._frames[at + 1][0] <= moment_s:
            at += 1
        return at

    def _place(self, at: int, moment_s: float) -> Place:
        """Return the position on the path at a moment from frame `at` to the next."""
        before_s, x, y = self._frames[at]
        if moment_s == before_s:
            return x, y
        after_s, x1, y1 = self._frames[at + 1]
        share = (moment_s - before_s) / (after_s - before_s)
        return x + (x1 - x) * share, y + (y1 - y) * share


class _LiveRegion:
    """Totals of one region and animal, with the attributes of a `RegionPart`."""

    def __init__(
        self,
        region: RegionOfInterest,
        parts: Sequence[int],
        to_mm: Callable[[float, float], Place] | None,
        zero_s: float,
    ) -> None:
        self._region, self._parts, self._to_mm = region.region, parts, to_mm
        self._averages = not region.bodyparts
        self._together = all if region.rule == "all" else any
        self._enter, self._leave = region.enter_margin, -region.exit_margin
        self._has_margins = bool(region.enter_margin or region.exit_margin)
        self._zero_s = zero_s
        self.is_known = False
        """Whether the answer for the last frame is known."""
        self._was_inside = self._was_ever_known = False
        self.known_s = self.time_s = self.tracked_s = self.distance = 0.0
        self.entries = self.exits = 0.0
        self.latency_s = nan

    def add(
        self,
        time_s: float,
        places: Sequence[Place | None],
        interval_s: float,
        moved: float | None,
    ) -> None:
        """Add a frame.

        `places`: of the body parts. `interval_s`: time since the last frame; 0: a gap in
        the frames. `moved`: length of the path since then; None: not known.
        """
        known = self._known(places)
        is_known = known is not None
        if interval_s and is_known and self.is_known:
            self.known_s += interval_s
            if self._was_inside:
                self.time_s += interval_s
                if moved is not None:
                    self.tracked_s += interval_s
                    self.distance += moved
        self.is_known = is_known
        if known is None:
            return
        inside = self._is_inside(known)
        if inside is not self._was_inside and self._was_ever_known:
            if inside:
                self.entries += 1
                if self.entries == 1:
                    self.latency_s = time_s - self._zero_s
            else:
                self.exits += 1
        self._was_inside, self._was_ever_known = inside, True

    def _known(self, places: Sequence[Place | None]) -> list[Place] | None:
        """Return the points that must be inside, in the unit of the region; None: unknown."""
        known = []
        for part in self._parts:
            if (place := places[part]) is None:
                return None
            if self._to_mm is not None and not isfinite(
                (place := self._to_mm(*place))[0]
            ):
                return None
            known.append(place)
        return [_mean(known)] if self._averages else known

    def _is_inside(self, places: Sequence[Place]) -> bool:
        region = self._region
        if not self._has_margins:
            return self._together([region.has(x, y) for x, y in places])
        margin = self._leave if self._was_inside else self._enter
        return self._together([region.depth(x, y) >= margin for x, y in places])


class _LiveTrack:
    """Totals of one animal, with the attributes of a `TrackPart`."""

    def __init__(self, plan: LivePlan, zero_s: float) -> None:
        options, skeleton = plan.options, plan.skeleton
        position = options.position
        self._position = (
            skeleton.indices(position)
            if position
            else usual_position(skeleton.bodyparts)
        )
        self._max_gap_s = options.max_gap_s + TOLERANCE_S
        to_mm = plan.calibration.place_mm if plan.calibration is not None else None
        self._to_mm = to_mm if plan.unit == "mm" else None
        self._zero_s = self._last_s = zero_s
        self._place: Place | None = None
        self.interval_s = 0.0
        """Seconds between the last two frames; 0: a gap in the frames."""
        self.tracked_s = self.distance = 0.0
        start, stop, _ = speed_limits(options, plan.unit).values()
        self._mobility: Mobility | None = None
        if start is not None and stop is not None:
            bouts = RunningBouts(options.min_immobile_s, zero_s)
            self._mobility = Mobility(options.speed_window_s, (start, stop), bouts)
        self.regions = {
            region.name: _LiveRegion(
                region,
                skeleton.indices(region.bodyparts)
                if region.bodyparts
                else self._position,
                to_mm if region.unit == "mm" else None,
                zero_s,
            )
            for region in plan.regions
        }

    @property
    def place(self) -> Place | None:
        """Position on the last frame; None: unknown."""
        return self._place

    @property
    def is_known(self) -> bool:
        """Whether the position is known on the last frame."""
        return self._place is not None

    def select(
        self, places: Sequence[Place | None], parts: Sequence[int]
    ) -> list[Place | None]:
        """Return the places of some body parts in the unit of lengths; None: unknown."""
        found: list[Place | None] = []
        for part in parts:
            place = places[part]
            if place is not None and self._to_mm is not None:
                x, y = self._to_mm(*place)
                place = (x, y) if isfinite(x) and isfinite(y) else None
            found.append(place)
        return found

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last frame."""
        return self._last_s - self._zero_s

    @property
    def has_mobility(self) -> bool:
        """Whether thresholds of the speed are known in this unit."""
        return self._mobility is not None

    @property
    def immobile(self) -> RunningBouts:
        """Immobile bouts; they lag by half a speed window."""
        if self._mobility is None:
            raise ValueError("the measure needs what was not computed")
        return self._mobility.bouts

    def add(self, time_s: float, places: Sequence[Place | None]) -> None:
        """Add a frame with the positions of all body parts; None: unknown."""
        interval_s = time_s - self._last_s
        if interval_s > self._max_gap_s:
            interval_s = 0.0
        self.interval_s = interval_s
        before, place, moved = self._place, self._position_of(places), None
        if place is not None and before is not None and interval_s:
            moved = hypot(place[0] - before[0], place[1] - before[1])
            self.tracked_s += interval_s
            self.distance += moved
        self._last_s, self._place = time_s, place
        if (mobility := self._mobility) is not None:
            if place is not None and moved is not None:
                mobility.add(time_s, *place)
            else:
                mobility.end()
                if place is not None:
                    mobility.begin(time_s, *place)
        for region in self.regions.values():
            region.add(time_s, places, interval_s, moved)

    def finish(self) -> None:
        """Classify the last intervals; no frame is added afterwards."""
        if self._mobility is not None:
            self._mobility.end()
        self._place = None
        for region in self.regions.values():
            region.is_known = False

    def _position_of(self, places: Sequence[Place | None]) -> Place | None:
        own = []
        for part in self._position:
            if (place := places[part]) is None:
                return None
            own.append(place if self._to_mm is None else self._to_mm(*place))
        x, y = _mean(own)
        return (x, y) if isfinite(x) and isfinite(y) else None


def _mean(places: Sequence[Place]) -> Place:
    if len(places) == 1:
        return places[0]
    x = y = 0.0
    for place in places:
        x += place[0]
        y += place[1]
    return x / len(places), y / len(places)


@dataclass(slots=True)
class _PulseTotals:
    """Totals of pulses, with the attributes of a `BoutPart`."""

    count: float = 0.0
    total_s: float = 0.0
    latency_s: float = nan


class RunningPulses:
    """Pulses of one output, computed from its edges, as in `OutputPart`. Times in ns."""

    def __init__(self, gap_s: float = AnalysisOptions.stimulus_gap_s) -> None:
        self._gap_ns = (gap_s - TOLERANCE_S) * 1e9
        self._on_ns: int | None = None
        self._off_ns = -inf
        self.restart(0)

    def restart(self, now_ns: int) -> None:
        """Restart the counts; the rest of a current pulse counts as on-time."""
        self._zero_ns = self._now_ns = now_ns
        self._closed_ns = 0
        self.count = 0.0
        self.latency_s = nan
        self._stimuli = 0.0

    def edge(self, time_ns: int, level: float) -> None:
        """Add a level that was written to the output."""
        if level > 0 and self._on_ns is None:
            self._on_ns = time_ns
            self.count += 1
            self._stimuli += time_ns - self._off_ns >= self._gap_ns
            if self.count == 1:
                self.latency_s = (time_ns - self._zero_ns) / 1e9
        elif level <= 0 and self._on_ns is not None:
            self._closed_ns += time_ns - max(self._on_ns, self._zero_ns)
            self._on_ns, self._off_ns = None, time_ns

    def until(self, now_ns: int) -> "RunningPulses":
        """Return the totals up to a moment."""
        self._now_ns = now_ns
        return self

    @property
    def known_s(self) -> float:
        """Seconds since the start."""
        return (self._now_ns - self._zero_ns) / 1e9

    @property
    def total_s(self) -> float:
        """Seconds for which the output was on."""
        since_ns = self._on_ns
        lasting_ns = 0
        if since_ns is not None:
            lasting_ns = max(0, self._now_ns - max(since_ns, self._zero_ns))
        return (self._closed_ns + lasting_ns) / 1e9

    @property
    def stimuli(self) -> _PulseTotals:
        """Number of pulses, with close ones joined."""
        return _PulseTotals(self._stimuli, self.total_s, self.latency_s)

    def values(self, name: str) -> Iterator[tuple[str, str, str, float]]:
        """Yield the measures of the output, as in `Measured.values`."""
        for measure in LIVE["output"]:
            yield "", measure.name, name, float(measure.function(self))


class LiveMeasures:
    """Live measures of all animals in view of one camera; implements `MeasuresSoFar`.

    Begins with the first frame that is added.
    """

    def __init__(self, plan: LivePlan) -> None:
        self._plan = plan
        self._threshold = float(np.float32(plan.threshold))  # as `Pose.seen` compares
        self._animals = plan.skeleton.named(plan.skeleton.count)
        self._tracks: tuple[_LiveTrack, ...] = ()
        self._contact = _contact_rule(plan)
        self._pairs: dict[tuple[int, int], LivePair] = {}
        """By the numbers of an animal and another one."""
        self._functions: dict[tuple[str, str, str], Callable[[], float]] = {}
        self._unknown: list[Place | None] = [None] * len(plan.skeleton.bodyparts)
        self.start_s = self.last_s = nan
        """Times of the first and the last frame, s; NaN: none yet."""
        self.ended = False
        """Whether the experiment has ended, so that no frame is added or written."""

    @property
    def unit(self) -> str:
        """Unit of lengths: px or mm."""
        return self._plan.unit

    def add(
        self, time_s: float, pose: Pose, flags: Mapping[str, str] | None = None
    ) -> None:
        """Add a frame.

        Parameters
        ----------
        time_s : float
            Time of the frame, s. A frame that is not later than the last one is left out.
        pose : Pose
            Output of the network, px.
        flags : mapping of str to str, optional
            `Step.flags`: points that a filter rejected do not count.
        """
        if self.ended or time_s <= self.last_s:
            return
        if not self._tracks:
            self._begin(time_s)
        self.last_s = time_s
        points, confidence = pose.rows, pose.confidence.tolist()
        rejected = _rejected(pose, flags) if flags else set[int]()
        parts = len(self._unknown)
        found = []
        for number, track in enumerate(self._tracks):
            places = self._unknown
            if number < len(points) and not pose.is_ambiguous(number):
                first = number * parts
                places = [
                    (x, y)
                    if sure >= self._threshold
                    and isfinite(x)
                    and isfinite(y)
                    and first + part not in rejected
                    else None
                    for part, ((x, y), sure) in enumerate(
                        zip(points[number], confidence[number], strict=True)
                    )
                ]
            track.add(time_s, places)
            found.append(places)
        self._add_pairs(time_s, found)

    def finish(self) -> None:
        """Classify the last intervals, whose window can no longer be completed.

        Nothing is added any more, and no animal is known.
        """
        for track in self._tracks:
            track.finish()

    def value(self, measure: str, of: str = "", animal: str = "1") -> float:
        """Return a measure so far; see `MeasuresSoFar.value`."""
        name = self._animal(animal)
        if measure in _OF_PAIRS:
            return self._value_of_pair(measure, of, name)
        animal = self._animals[name]
        region = self._plan.names.get(of, of)
        if not self._tracks:
            self._check(measure, of, region, animal)
            return nan
        function = self._functions.get((animal, measure, region))
        if function is None:
            self._check(measure, of, region, animal)
            raise ExperimentError(
                f"measure {measure}: in px, give START_SPEED and STOP_SPEED in [Measures], "
                "or calibrate the camera"
            )
        return function()

    def is_known(self, of: str = "", animal: str = "1") -> bool:
        """Return whether a position is known on the last frame; see `MeasuresSoFar`."""
        number, region = self._animal(animal), self._plan.names.get(of, of)
        if of:
            self._check("region_time", of, region, self._animals[number])
        if not self._tracks:
            return False
        track = self._tracks[number]
        return track.regions[region].is_known if of else track.is_known

    def values(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield animal, measure, region and value of all, as in `Measured.values`."""
        for (animal, measure, of), function in self._functions.items():
            yield animal, measure, of, function()

    def _begin(self, time_s: float) -> None:
        plan = self._plan
        self.start_s = time_s
        self._tracks = tuple(
            _LiveTrack(plan.of(animal), time_s) for animal in self._animals
        )
        for animal, track in zip(self._animals, self._tracks, strict=True):
            subjects: tuple[Subject, ...] = ("track", "mobility")
            for subject in subjects if track.has_mobility else subjects[:1]:
                self._define(animal, subject, "", track)
            for name, region in track.regions.items():
                self._define(animal, "region", name, region)
        # animals that each have an arena never meet
        meeting = 0 if plan.arenas else len(self._animals)
        rule = self._contact
        self._pairs.clear()
        has_directions = rule is not None and not rule.is_symmetric
        for one, other in permutations(range(meeting), 2):
            # both directions are one pair, unless different body parts count
            pair = None if has_directions else self._pairs.get((other, one))
            if pair is None:
                self._pairs[one, other] = pair = LivePair(rule, time_s)
            self._define(self._animals[one], "animal", self._animals[other], pair)

    def _add_pairs(self, time_s: float, places: Sequence[_Places]) -> None:
        """Add a frame to the pairs; `places` of the body parts of each animal."""
        # body parts are selected once for each animal, not for each of its pairs
        actors: list[list[Place | None]] = []
        targets = actors
        if self._pairs and (rule := self._contact) is not None and rule.bodyparts:
            animals = [*zip(self._tracks, places, strict=True)]
            actors = [track.select(own, rule.bodyparts) for track, own in animals]
            targets = [
                track.select(own, rule.target_bodyparts) for track, own in animals
            ]

        for (one, other), pair in self._pairs.items():
            own_track, target = self._tracks[one], self._tracks[other]
            interval_s = own_track.interval_s
            pair.add_position(time_s, interval_s, own_track.place, target.place)
            if actors:
                pair.add_parts(time_s, interval_s, actors[one], targets[other])

    def _value_of_pair(self, measure: str, of: str, animal: int) -> float:
        """Return a measure of an animal and another one, `of`."""
        other = self._animal(of) if of else animal
        if other == animal:
            raise ExperimentError(
                f"measure {measure}: name another animal than {self._animals[animal]}"
            )
        if self._plan.arenas:
            raise ExperimentError(f"measure {measure}: animals in arenas never meet")
        needed = {each.name: each.needs for each in LIVE["animal"]}[measure]
        if needed and self._contact is None:
            raise ExperimentError(
                f"measure {measure}: give CONTACT_DISTANCE in [Measures]"
            )
        key = self._animals[animal], measure, self._animals[other]
        return self._functions[key]() if self._tracks else nan

    def _define(
        self,
        animal: str,
        subject: Subject,
        of: str,
        totals: _LiveTrack | _LiveRegion | LivePair,
    ) -> None:
        for measure in LIVE[subject]:
            if subject == "animal" and measure.needs and self._contact is None:
                continue
            self._functions[animal, measure.name, of] = partial(
                _number, measure.function, totals
            )

    def _animal(self, word: str) -> int:
        place = self._plan.skeleton.animal(word)
        if place is None:
            known = ", ".join(self._animals)
            raise ExperimentError(f"there is no animal {word!r}; animals: {known}")
        return place

    def _check(self, measure: str, of: str, region: str, animal: str) -> None:
        """Raise ExperimentError unless a measure of this name and region is computed."""
        subjects: tuple[Subject, ...] = ("region",) if of else ("track", "mobility")
        known = [
            known_measure.name
            for subject in subjects
            for known_measure in LIVE[subject]
        ]
        if measure not in known:
            what = f"of the region {of!r}" if of else "of an animal itself"
            raise ExperimentError(
                f"there is no live measure {measure!r} {what}; there are {', '.join(known)}"
            )
        if of and all(
            known_region.name != region
            for known_region in self._plan.of(animal).regions
        ):
            known_regions = ", ".join(self._plan.names) or "none"
            raise ExperimentError(
                f"measure {measure}: no trigger {of!r} with a region on the deciding camera; "
                f"there are {known_regions}"
            )


def _contact_rule(plan: LivePlan) -> ContactRule | None:
    """Return what is a contact; None: contacts are not measured."""
    options, skeleton = plan.options, plan.skeleton
    if options.contact_distance is None:
        return None
    parts = options.contact_bodyparts
    targets = options.contact_target_bodyparts or parts
    return ContactRule(
        options.contact_distance,
        tuple(skeleton.indices(parts)),
        tuple(skeleton.indices(targets)) if parts else (),
    )


def _number(function: Callable[[object], float], totals: object) -> float:
    return float(function(totals))


def _rejected(pose: Pose, flags: Mapping[str, str]) -> set[int]:
    """Return the numbers of points, in the order of `Pose.names`, that a filter rejected."""
    return {
        number
        for number, name in enumerate(pose.names)
        if name in flags and is_rejected(flags[name])
    }
