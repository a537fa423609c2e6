"""The loop: frames in, poses, triggers, decisions, outputs, and a journal entry for each.

It is the only one: a live rig, a video and a test differ in what they iterate over.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import inf, isnan

from deeplabstream.analysis.live_measures import LiveMeasures
from deeplabstream.core.clock import Clock
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Entry, Measured, Note, Step
from deeplabstream.core.light_cycle import LightCycle
from deeplabstream.core.pose import Pose, nothing_found
from deeplabstream.core.space_pose import SPACE
from deeplabstream.engine.deferred_measures import DeferredMeasures
from deeplabstream.engine.experiment_runner import Decision, ExperimentRunner
from deeplabstream.engine.failure_text import add_place
from deeplabstream.engine.identity_reporting import (
    CameraIdentityTrackers,
    IdentityReporter,
)
from deeplabstream.engine.light_switch import FrameLight, LightSwitch
from deeplabstream.engine.output_bank import OutputBank
from deeplabstream.engine.plate_watch import (
    PLATE,
    PlateKnown,
    away_sentence,
    back_sentence,
)
from deeplabstream.engine.pose_filtering import FilteredPose, PoseFilter
from deeplabstream.engine.running_experiment import RunningExperiment
from deeplabstream.engine.space_tracking import SpaceTracker, TrackedMoment
from deeplabstream.engine.trigger_evaluator import Answers, TriggerEvaluator
from deeplabstream.plugins.experiment import (
    NO_MEASURES,
    Experiment,
)
from deeplabstream.plugins.trigger import (
    Trigger,
)
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.per_camera import thresholds_of
from deeplabstream.pose.tracking.distinctness import Distinctness
from deeplabstream.pose.tracking.identity_evidence import Coat
from deeplabstream.settings.sections import ExperimentRun

MEASURED_S = 0.25
"""Interval at which measures so far are written, in seconds of the frames' time."""


class Loop:
    """Processes every frame; keeps only the state that the next decision needs.

    Decisions use the frames' times. `clock` stamps actions, measures the age of a frame
    and detects a silent camera. `is_intact` returns, after the pose was estimated, whether the
    ring had not yet overwritten the image; if it had, the pose is unknown. `pose_filter`
    filters poses before the triggers. `inputs` returns the levels of the inputs.
    `identity_trackers` assigns identities to several animals. `measuring` makes the measures
    of a new run. `space` computes points in space, and may decide at its moments instead of
    the frames of the deciding camera. `light` is the light cycle of the room;
    `light_switch` chooses the network by the light. `earlier_s`: how long the experiment has
    lasted in runs that this one continues; it counts for EXP_TIME_S. Each of `arenas` has a
    plan, triggers, outputs and a permit of its own: an error of its plan or its triggers, or its
    lost animal, switches only its outputs off. `plate` knows whether their plate is in place: while
    it is not, no pose is estimated.
    """

    def __init__(
        self,
        estimator: PoseEstimator,
        rules: ExperimentRun,
        deciding: str,
        clock: Clock,
        write: Callable[[Entry], None],
        zero_ns: int,
        is_intact: Callable[[Frame], bool] = lambda frame: True,
        pose_filter: PoseFilter | None = None,
        inputs: Callable[[], Mapping[str, float]] = dict,
        identity_trackers: CameraIdentityTrackers | None = None,
        measuring: Callable[[], LiveMeasures] | None = None,
        arenas: Collection[str] = (),
        space: SpaceTracker | None = None,
        light: LightCycle | None = None,
        light_switch: LightSwitch | None = None,
        earlier_s: float = 0.0,
        plate: PlateKnown | None = None,
    ) -> None:
        self._plate = plate
        self._is_plate_away = False
        """Whether it was away in the last frame, as it was noted."""
        self._light_switch = light_switch
        self._networks: dict[str, FrameLight] = {}
        """Light of the network that is in use for each camera, as it was noted."""
        self._space = space
        self._decides_in_space = space is not None and space.decides
        self._estimator = estimator
        self._is_intact = is_intact
        self._rules = rules
        self._deciding = deciding
        self._clock = clock
        self._write = write
        self._zero_ns = zero_ns
        self._inputs = inputs
        self._identity_trackers = identity_trackers
        self._identity_reporter = IdentityReporter()
        self._pose_filter = pose_filter or PoseFilter(thresholds_of(estimator))
        self._evaluator = TriggerEvaluator(
            deciding,
            rules.stale_ms / 1e3,
            self._note,
            arenas,
            SPACE if self._decides_in_space else "",
            light,
        )
        silence = f"[Camera {deciding}] is silent"
        if self._decides_in_space:
            silence = "no moment of the cameras of [Space]"
        self._experiment = ExperimentRunner(
            rules, self._evaluator, clock, write, silence, self._end_measures, earlier_s
        )
        self._phase: str | None = None
        """Light phase of the last frame of the deciding camera; None: there was none."""
        self._measuring = measuring
        self._measures: DeferredMeasures | None = None
        self._measured_s = -inf

    @property
    def experimenting(self) -> bool:
        """Whether an experiment runs."""
        return self._experiment.running is not None

    def set_triggers(self, triggers: Mapping[str, Trigger]) -> None:
        """Evaluate these triggers from the next frame on; they must be new objects.

        All state of earlier frames is discarded: measures, filters, identities, turned cameras.
        """
        if self._identity_trackers is not None:
            self._identity_trackers.reset()
        if self._space is not None:
            self._space.reset()
        self._phase = None
        if self._plate is not None:
            self._plate.reset()
            self._is_plate_away = False
        self._networks.clear()
        if self._light_switch is not None:
            self._light_switch.reset()
        self._restart(triggers)

    def _restart(self, triggers: Mapping[str, Trigger]) -> None:
        """Evaluate new triggers; discard earlier frames except identities and turned cameras."""
        self._measures = None
        if self._measuring is not None:
            self._measures = DeferredMeasures(self._measuring())
        self._measured_s = -inf
        self._evaluator.begin(triggers)
        self._evaluator.measures = self._measures or NO_MEASURES
        self._pose_filter.reset()
        if self._space is not None:
            self._space.restart()
        # the first frame notes which identities are ambiguous then
        self._identity_reporter.reset()

    def set_identity(self, camera: str, swapped: tuple[int, int] | None) -> None:
        """Confirm the identities of a camera's animals, or swap two of them."""
        if self._identity_trackers is not None:
            self._identity_trackers.correct(camera, swapped)

    def distinctness(self) -> dict[str, Distinctness]:
        """Return, by camera, which animals their appearance does not distinguish."""
        trackers = self._identity_trackers
        return trackers.distinctness() if trackers is not None else {}

    def coats(self) -> dict[str, tuple[Coat, ...]]:
        """Return, by camera, the coats of its animals, where all of them are known."""
        trackers = self._identity_trackers
        return trackers.coats() if trackers is not None else {}

    def begin(
        self,
        experiments: Experiment | Mapping[str, Experiment],
        triggers: Mapping[str, Trigger],
        bank: OutputBank,
    ) -> None:
        """Start an experiment, or that of each arena; `triggers` are new objects.

        The animals keep their names, with a user's corrections, and their appearance.
        """
        self._restart(triggers)
        self._experiment.begin(experiments, bank)

    def end(self, how: str = "stopped", cause: str = "stop") -> None:
        """End the experiment, if one runs: every output is off afterwards."""
        self._experiment.end(how, cause)

    def idle(self) -> int | None:
        """Detect a silent camera and broken outputs; return when to call this again, in ns.

        Call it whenever there is no frame, and at intervals while other cameras deliver
        frames. None: any time.
        """
        return self._experiment.idle()

    def step(self, frame: Frame) -> Step:
        """Process one frame, from image to written output."""
        return self.process_batch([frame])[0]

    def process_batch(self, frames: Sequence[Frame]) -> list[Step]:
        """Process frames of several cameras; their poses are estimated as one batch."""
        images, cameras = [f.image for f in frames], [f.camera for f in frames]
        networks = [self._network_of(frame) for frame in frames]
        if self._is_away(frames[-1]):
            # not even estimated: a background would be learned where the arenas are not
            poses = [nothing_found(self._estimator.skeleton)] * len(frames)
        else:
            poses = self._estimator.estimate(images, cameras)
        return [
            self._process(frame, pose, network)
            for frame, pose, network in zip(frames, poses, networks, strict=True)
        ]

    def _is_away(self, frame: Frame) -> bool:
        """Return whether the plate of the arenas is away; note a change."""
        if self._plate is None:
            return False
        problem = self._plate.problem_at(frame.time_ns)
        if bool(problem) is not self._is_plate_away:
            self._is_plate_away = bool(problem)
            if problem:
                self._note("alarm", away_sentence(frame.index, problem))
            else:
                self._note(PLATE, back_sentence(frame.index))
        return bool(problem)

    def _network_of(self, frame: Frame) -> FrameLight:
        """Choose the network for the light of a frame; note a change."""
        if self._light_switch is None:
            return ""
        network = self._light_switch.choose(frame, self._seconds(frame.time_ns))
        if network not in ("unknown", self._networks.get(frame.camera, "")):
            self._networks[frame.camera] = network
            what = f"the network for {network} light from frame {frame.index} on"
            self._note("network", f"[Camera {frame.camera}] {what}")
        return network

    def _process(self, frame: Frame, pose: Pose, network: FrameLight) -> Step:
        """Process one frame, from its estimated pose to written outputs and its record.

        The order is that of urgency: decision and outputs first, then measures and record.
        """
        # the network for the other light would give a wrong pose
        pose = self._identified(frame, pose.unknown() if network == "unknown" else pose)
        posed_ns = self._clock.now_ns()
        time_s = self._seconds(frame.time_ns)
        if pose.identity:
            self._note_identities(frame.camera, pose, time_s)

        # Age on the monotonic clock, not the number of frames in between: a queue that grows
        # anywhere before this line, the driver's included, is noticed here.
        age_ns = posed_ns - frame.time_ns
        too_old = 0 < self._rules.max_age_ms * 1e6 < age_ns

        is_deciding = frame.camera == self._deciding
        running: RunningExperiment | None = None
        # a fault from before this frame has its note already
        reported_fault = self._experiment.fault

        filtered, inputs = FilteredPose(pose), self._inputs()
        answers, in_space = Answers(), Answers()
        moment: TrackedMoment | None = None
        decides_s, decides_too_old = time_s, too_old
        decision = Decision(posed_ns, status=self._space_status)
        failure: Exception | None = None
        try:
            filtered = self._pose_filter.filter(
                frame.camera, pose, time_s, age_ns / 1e9
            )
            if self._measures is not None and is_deciding:
                self._measures.defer(time_s, pose, filtered.flags)
            self._evaluator.evaluate(
                answers, frame.camera, filtered, time_s, too_old, inputs
            )
            for arena, error in self._evaluator.failures.items():
                self._experiment.break_off_arena(arena, error)

            moment = self._ended_moment(frame, filtered.pose, too_old, posed_ns)
            if moment is not None:
                self._evaluate_in_space(in_space, moment, inputs)
                if self._decides_in_space:
                    decides_s = self._seconds(moment.pose.time_ns)
                    decides_too_old = moment.too_old
            running = self._experiment_of(is_deciding, moment, posed_ns)
            if running is not None:
                decision = self._experiment.decide(
                    running, frame.index, decides_s, decides_too_old, inputs
                )
        except Exception as error:
            # kept, not raised: the frame that failed is the one that the record must show
            failure = error

        measures_failure = self._update_measures()
        failure = failure or measures_failure

        step = Step(
            frame.camera,
            frame.index,
            frame.time_ns,
            frame.arrived_ns,
            posed_ns,
            decision.decided_ns,
            decision.written_ns,
            pose,
            answers,
            decision.commands,
            decision.status,
            decision.lost,
            too_old,
            {**filtered.flags, **self._evaluator.flags},
            filtered.pose if filtered.changed else None,
            filtered.behaviours,
            inputs,
            moment.pose if moment is not None else None,
            in_space,
            self._evaluator.phase_at(time_s),
            network,
        )
        self._write(step)
        if is_deciding:
            self._note_light(time_s)

        if failure is not None:
            self._experiment.break_off(failure, reported_fault)
        elif running is not None:
            try:
                self._experiment.end_if_due(running, decides_s)
            except DeepLabStreamError as error:
                self._experiment.break_off(error, reported_fault, of_output=True)

        if is_deciding and time_s - self._measured_s >= MEASURED_S:
            self._measured_s = time_s
            # not of `running`: the experiment may have ended just now
            self._write_measures(self._experiment.bank)
        return step

    @property
    def _space_status(self) -> str:
        """Status of the experiment on a frame of any camera, if it decides in space."""
        running = self._experiment.running if self._decides_in_space else None
        return running.shown_status if running is not None else ""

    def _seconds(self, time_ns: int) -> float:
        """Return the seconds since the start of the stream."""
        return (time_ns - self._zero_ns) / 1e9

    def _ended_moment(
        self, frame: Frame, pose: Pose, too_old: bool, posed_ns: int
    ) -> TrackedMoment | None:
        """Return the moment that ends with a frame; None: none does."""
        if self._space is None:
            return None
        limit_ns = self._rules.max_age_ms * 1e6
        oldest_ns = posed_ns - limit_ns if limit_ns else -inf
        try:
            moment = self._space.add(
                frame.camera, pose, frame.index, frame.time_ns, too_old, oldest_ns
            )
        except Exception as error:
            add_place(error, "[Space]")
            raise
        for sentence in self._space.messages:
            self._note("alarm", sentence)
        return moment

    def _experiment_of(
        self, is_deciding: bool, moment: TrackedMoment | None, posed_ns: int
    ) -> RunningExperiment | None:
        """Return the experiment if it decides now: on a deciding frame, or at a moment."""
        if self._decides_in_space:
            is_deciding = moment is not None
        running = self._experiment.running if is_deciding else None
        # with a single view there is no point: the other cameras are silent
        if running is not None and (moment is None or moment.views > 1):
            running.last_frame_ns, running.silent = posed_ns, False
        return running

    def _evaluate_in_space(
        self, answers: Answers, moment: TrackedMoment, inputs: Mapping[str, float]
    ) -> None:
        """Add the answers of the triggers in space to `answers`."""
        time_s = self._seconds(moment.pose.time_ns)
        self._evaluator.evaluate(
            answers,
            SPACE,
            moment.pose,
            time_s,
            moment.too_old or bool(moment.turned),
            inputs,
        )
        if moment.alarm:
            self._note("alarm", moment.alarm)

    def _identified(self, frame: Frame, pose: Pose) -> Pose:
        """Return the pose with its animals in the order of their names; unknown if torn."""
        # Only after the estimation: the image lies in the ring, which the camera overwrites.
        if not self._is_intact(frame):
            pose = pose.unknown()
        if self._identity_trackers is not None:
            pose = self._identity_trackers.update(frame, pose)
        return pose

    def _note_identities(self, camera: str, pose: Pose, time_s: float) -> None:
        trackers = self._identity_trackers
        for kind, sentence in trackers.messages if trackers is not None else ():
            self._note(kind, sentence)
        for sentence in self._identity_reporter.changes(camera, pose, time_s):
            self._note("identity", sentence)

    def _note_light(self, time_s: float) -> None:
        """Note the phase of the first frame, and each change."""
        light = self._evaluator.light_at(time_s)
        if light is not None and light.phase != self._phase:
            before, self._phase = self._phase, light.phase
            phase = f"the {light.phase} phase"
            what = f"{phase} begins" if before else f"the room is in {phase}"
            self._note("light", f"{what} ({light.zeitgeber})")

    def _update_measures(self) -> Exception | None:
        """Add the frame to the measures unless a trigger has read them; return an error."""
        try:
            if self._measures is not None:
                self._measures.update()
        except Exception as error:
            return error
        return None

    def _write_measures(self, bank: OutputBank | None) -> None:
        """Write the measures so far; those of the outputs during an experiment only."""
        measures = self._measures.live if self._measures is not None else None
        if measures is None or measures.ended or isnan(measures.start_s):
            return
        outputs = bank.totals(self._clock.now_ns()) if bank is not None else ()
        self._write(
            Measured(
                self._deciding,
                round(measures.start_s * 1e9) + self._zero_ns,
                round(measures.last_s * 1e9) + self._zero_ns,
                self._rules.exp_name if bank is not None else "",
                measures.unit,
                (*measures.values(), *outputs),
            )
        )

    def _end_measures(self, bank: OutputBank) -> None:
        """Write the measures of an experiment that has ended; they do not change any more."""
        if self._measures is not None:
            self._measures.live.finish()
            self._write_measures(bank)
            self._measures.live.ended = True

    def _note(self, kind: str, text: str) -> None:
        self._write(Note(kind, text, self._clock.now_ns()))


def run(
    frames: Iterable[Sequence[Frame]], loop: Loop, watch: Callable[[Step], object]
) -> None:
    """Process all frames; the frames of one sequence form a batch.

    An empty sequence means that no frame has arrived.
    """
    for ready in frames:
        if not ready:
            loop.idle()
        else:
            for step in loop.process_batch(ready):
                watch(step)
