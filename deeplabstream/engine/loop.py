"""The loop: frames in, poses, triggers, decisions, outputs, and a journal entry for each.

It is the only one: a live rig, a video and a test differ in what they iterate over.
`TriggerEvaluator` answers the triggers of a frame. `ExperimentRunner` steps the plans of the
running experiment, and ends it. They share a file with `Loop`, so that a frame can be followed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan, nan
from types import MappingProxyType

from deeplabstream.analysis.live_measures import LiveMeasures
from deeplabstream.core.clock import Clock
from deeplabstream.core.command import Command, Mark
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Entry, Intent, Measured, Note, Step
from deeplabstream.core.light_cycle import LightCycle, LightMoment
from deeplabstream.core.pose import Pose, nothing_found
from deeplabstream.core.space_pose import SPACE, SpacePose
from deeplabstream.engine.deferred_measures import DeferredMeasures
from deeplabstream.engine.failure_text import add_place, error_text
from deeplabstream.engine.identity_reporting import (
    CameraIdentityTrackers,
    IdentityReporter,
)
from deeplabstream.engine.light_switch import FrameLight, LightSwitch
from deeplabstream.engine.output_bank import OutputBank
from deeplabstream.engine.plate_watch import (
    AWAY_FLAG,
    PLATE,
    PlateKnown,
    away_sentence,
    back_sentence,
)
from deeplabstream.engine.pose_filtering import FilteredPose, PoseFilter
from deeplabstream.engine.running_experiment import RunningExperiment, RunningPlan
from deeplabstream.engine.space_tracking import SpaceTracker, TrackedMoment
from deeplabstream.plugins.experiment import (
    NO_MEASURES,
    Experiment,
    MeasuresSoFar,
    Observation,
)
from deeplabstream.plugins.space_trigger import SpaceTrigger
from deeplabstream.plugins.trigger import (
    BodyPartTrigger,
    ContextTrigger,
    Trigger,
    TriggerContext,
    in_order,
    named_by,
)
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.per_camera import thresholds_of
from deeplabstream.pose.tracking.distinctness import Distinctness
from deeplabstream.pose.tracking.identity_evidence import Traits
from deeplabstream.settings.arena_instances import arena_of, in_arena
from deeplabstream.settings.sections import ExperimentRun

MEASURED_S = 0.25
"""Interval at which measures so far are written, in seconds of the frames' time."""

Answers = dict[str, bool | None]
_NEVER = -inf, None


class TriggerEvaluator:
    """Evaluates triggers once per frame of their camera; keeps the last answers and poses.

    `context_camera` is that of triggers without a pose and a CAMERA; by default `deciding`.
    `note` gets a sentence when a sham begins or ends. An error of a trigger of one of `arenas`
    ends the evaluation of that arena's triggers only. `light`: the light cycle of the room, if
    it is known.
    """

    def __init__(
        self,
        deciding: str,
        stale_s: float,
        note: Callable[[str, str], None],
        arenas: Collection[str] = (),
        context_camera: str = "",
        light: LightCycle | None = None,
    ) -> None:
        self._arenas = frozenset(arenas)
        self._light = light
        self._deciding = deciding
        self._context_camera = context_camera or deciding
        self._stale_s = stale_s
        self._note = note
        self.triggers: Mapping[str, Trigger] = {}
        self._answers: dict[str, tuple[float, bool | None]] = {}
        self._filtered: dict[str, tuple[float, FilteredPose]] = {}
        self._shams: set[str] = set()
        self.flags: dict[str, str] = {}
        self.failures: dict[str, Exception] = {}
        """Errors of triggers on the last frame, by arena; their arenas have no triggers now."""
        self.measures: MeasuresSoFar = NO_MEASURES
        """Measures that triggers can read."""

    @property
    def poses(self) -> dict[str, Pose]:
        """Last pose of each camera, after filtering."""
        return {
            camera: filtered.pose for camera, (_, filtered) in self._filtered.items()
        }

    def begin(self, triggers: Mapping[str, Trigger]) -> None:
        """Evaluate these triggers from now on; they must be new objects."""
        self.triggers = in_order(triggers)
        self._answers.clear()
        self._filtered.clear()
        self._shams.clear()

    def evaluate(
        self,
        answers: Answers,
        camera: str,
        filtered: FilteredPose | SpacePose,
        time_s: float,
        too_old: bool,
        inputs: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Add the answers of all triggers of `camera`, or of the pose in space, to `answers`.

        On a frame that is too old every trigger is unknown. Afterwards `flags` has, for the
        record, the flags of triggers: see `Step.flags`.
        """
        # flags of triggers in space add to those of the frame that ended the moment
        if isinstance(filtered, FilteredPose):
            self.flags, self.failures = {}, {}
            self._filtered[camera] = time_s, filtered

        # sorted: a trigger that names others comes after them, and reads this frame's answers
        for name, trigger in self.triggers.items():
            if self._camera_of(trigger) != camera:
                continue

            # `answers` is filled step by step: after an error the record keeps the
            # earlier ones
            if too_old:
                answers[name] = None
            else:
                try:
                    answers[name] = self._answer(trigger, filtered, time_s, inputs)
                except Exception as error:
                    add_place(error, f"[Trigger {name}]")
                    if not (arena := arena_of(name, self._arenas)):
                        raise
                    self.failures.setdefault(arena, error)
                    answers[name] = None

            flags = [*trigger.fulfilled_by] if answers[name] else []
            if trigger.holding and answers[name] is not None:
                flags = ["held"]
            if flags:
                self.flags[f"[Trigger {name}]"] = "+".join(flags)
            self._answers[name] = time_s, answers[name]

            if trigger.sham is not (name in self._shams):
                self._shams ^= {name}
                what = f"sham {'begins' if trigger.sham else 'ends'} at {time_s:.3f} s"
                self._note("trigger", f"[Trigger {name}] {what}")

        # they would fail again on every frame
        if self.failures:
            self.triggers = {
                name: trigger
                for name, trigger in self.triggers.items()
                if arena_of(name, self._arenas) not in self.failures
            }

    def _camera_of(self, trigger: Trigger) -> str:
        if trigger.camera:
            return trigger.camera
        is_context = isinstance(trigger, ContextTrigger)
        return self._context_camera if is_context else self._deciding

    def _answer(
        self,
        trigger: Trigger,
        filtered: FilteredPose | SpacePose,
        time_s: float,
        inputs: Mapping[str, float],
    ) -> bool | None:
        if isinstance(trigger, ContextTrigger):
            named = self.recent_answers(time_s, named_by(trigger))
            pose = filtered.pose if isinstance(filtered, FilteredPose) else None
            context = TriggerContext(
                named,
                self.behaviours(time_s),
                inputs,
                self.measures,
                pose,
                self.light_at(time_s),
            )
            return trigger.answer(context, time_s)
        if isinstance(filtered, SpacePose):
            if isinstance(trigger, SpaceTrigger):
                return trigger.answer(filtered, time_s)
            return None
        if isinstance(trigger, BodyPartTrigger):
            return trigger.answer(filtered.in_unit(trigger.unit), time_s)
        return None

    def light_at(self, time_s: float) -> LightMoment | None:
        """Return the place of a time in the light cycle; None: not known."""
        return None if self._light is None else self._light.at(time_s)

    def phase_at(self, time_s: float) -> str:
        """Return the phase of the room at a time; empty: not known."""
        light = self.light_at(time_s)
        return light.phase if light is not None else ""

    def recent_answers(
        self, time_s: float, names: Iterable[str] | None = None
    ) -> Answers:
        """Return the last answers, by default of all triggers; stale ones are unknown."""
        oldest_s = time_s - self._stale_s
        recent: Answers = {}
        for name in self.triggers if names is None else names:
            at_s, answer = self._answers.get(name, _NEVER)
            recent[name] = answer if at_s >= oldest_s else None
        return recent

    def behaviours(self, time_s: float) -> dict[str, float]:
        """Return the last probabilities of all cameras; NaN for stale ones."""
        oldest_s = time_s - self._stale_s
        return {
            name: value if at_s >= oldest_s else nan
            for at_s, filtered in self._filtered.values()
            for name, value in filtered.behaviours.items()
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """Result of the decision on one frame."""

    decided_ns: int
    written_ns: int = 0
    commands: tuple[Command, ...] = ()
    status: str = ""
    lost: bool = False


class ExperimentRunner:
    """Runs an experiment, or that of each arena, by the answers of an evaluator.

    Each arena has a plan, outputs and a permit of its own: an error of its plan, or its lost
    animal, switches only its outputs off. `silence`: what the record says where nothing arrives
    to decide on. `ended` is called once an experiment has ended, with its outputs off.
    `earlier_s`: how long it has lasted in runs that this one continues; it counts for
    EXP_TIME_S.
    """

    def __init__(
        self,
        rules: ExperimentRun,
        evaluator: TriggerEvaluator,
        clock: Clock,
        write: Callable[[Entry], None],
        note: Callable[[str, str], None],
        silence: str,
        ended: Callable[[OutputBank], None],
        earlier_s: float = 0.0,
    ) -> None:
        self.running: RunningExperiment | None = None
        self._rules = rules
        self._evaluator = evaluator
        self._clock = clock
        self._write = write
        self._note = note
        self._silence = silence
        self._ended = ended
        self._earlier_s = earlier_s

    @property
    def bank(self) -> OutputBank | None:
        """Outputs of the running experiment; None: no experiment runs."""
        return self.running.bank if self.running is not None else None

    @property
    def fault(self) -> str:
        """Fault of the outputs; empty: there is none, or no experiment runs."""
        return self.running.bank.fault if self.running is not None else ""

    def begin(
        self,
        experiments: Experiment | Mapping[str, Experiment],
        bank: OutputBank,
        names: Mapping[str, str],
    ) -> None:
        """Start an experiment, or that of each arena; `names`: of those besides EXP_NAME."""
        if isinstance(experiments, Experiment):
            experiments = {"": experiments}
        usual = self._rules.exp_name
        plans = {
            arena: RunningPlan(it, arena, names.get(arena, usual))
            for arena, it in experiments.items()
        }
        now_ns = self._clock.now_ns()
        self.running = RunningExperiment(bank, plans, now_ns)
        bank.restart_totals(now_ns)
        self._note("experiment", "started")

    def end(self, how: str = "stopped", cause: str = "stop") -> None:
        """End the experiment, if one runs: every output is off afterwards."""
        if self.running is None:
            return
        running, self.running = self.running, None
        try:
            running.bank.all_off(self._clock.now_ns(), cause)
        finally:
            self._note("experiment", how)
            self._ended(running.bank)

    def decide(
        self,
        running: RunningExperiment,
        index: int,
        time_s: float,
        too_old: bool,
        inputs: Mapping[str, float],
    ) -> Decision:
        """Return the decision: of the plans, or to wait for LIGHT_PHASE."""
        for plan in running.active:
            plan.stops = self._stops(plan, time_s)
        if running.bank.fault:
            raise DeviceError(running.bank.fault)
        if self._waits_for_phase(running, time_s):
            return Decision(self._clock.now_ns(), status=running.waits)
        return self._step_plans(running, index, time_s, too_old, inputs)

    def end_if_due(self, running: RunningExperiment, time_s: float) -> None:
        """End what has finished: a plan, by STOP_TRIGGER too, or the time of the experiment."""
        limit_s = self._rules.exp_time_s
        for plan in running.active:
            how = "finished" if plan.stepper.finished else ""
            if plan.stops and not how:
                name = self._stop_trigger(plan)
                how = f"finished: [Trigger {name}] is true (STOP_TRIGGER)"
            if how and not plan.arena:
                self.end(how, "finished")
                return
            if how:
                self._end_arena(running, plan, how, "finished")

        if not running.active:
            failed = ", ".join(running.failed)
            self.end(
                f"finished; failed in {failed}" if failed else "finished", "finished"
            )
        elif limit_s and time_s - running.began_s + self._earlier_s >= limit_s:
            self.end(f"finished after {limit_s:g} s (EXP_TIME_S)", "finished")

    def idle(self) -> int | None:
        """Detect a silent camera and broken outputs; return when to call this again, in ns.

        Call it whenever there is no frame, and at intervals while other cameras deliver
        frames. None: any time.
        """
        running = self.running
        if running is not None and running.bank.fault:
            self.break_off(DeviceError(running.bank.fault), running.bank.fault)
            return None
        if running is None or running.silent:
            return None

        patience_ns = round(self._rules.patience_s * 1e9)
        now_ns = self._clock.now_ns()
        if now_ns - running.last_frame_ns < patience_ns:
            return running.last_frame_ns + patience_ns

        # `silent` until the next frame: outputs are switched off once, not on every call
        running.silent = True
        running.bank.all_off(now_ns, "silence")
        off = _off_sentence(running.bank, running.bank.levels)
        self._note("camera", f"{self._silence}: {off}")
        return None

    def break_off(
        self, error: Exception, reported_fault: str, *, of_output: bool = False
    ) -> None:
        """End the experiment because of an error of a plan, a trigger or an output.

        `reported_fault` is the fault of the outputs that was written as a note already.
        `of_output`: an output is known to have failed; the experiment may have ended already.
        """
        text = error_text(error)

        # After an error of an output triggers are still evaluated; a trigger that failed
        # would fail again on every frame.
        if not of_output and (not self.fault or text != self.fault):
            self._evaluator.begin({})

        try:
            self.end(f"failed: {str(error) or type(error).__name__}", "error")
        except DeepLabStreamError as another:
            text += f"\n{another}"
        if not reported_fault or text != reported_fault:
            self._note("error", text)

    def break_off_arena(self, arena: str, error: Exception) -> None:
        """End the plan of one arena, if it runs, because of its error or a trigger's."""
        running = self.running
        plan = running.plans.get(arena) if running is not None else None
        try:
            if running is not None and plan is not None and not plan.ended:
                running.failed.append(arena)
                how = f"failed: {str(error) or type(error).__name__}"
                self._end_arena(running, plan, how, "error")
        finally:
            # the last line is the alarm
            *trace, last = error_text(error).splitlines() or [""]
            self._note("alarm", "\n".join([*trace, f"arena {arena}: {last}"]))

    def _stop_trigger(self, plan: RunningPlan) -> str:
        """Return the name of STOP_TRIGGER, of a plan's arena if that has one; empty: none."""
        name = self._rules.stop_trigger or ""
        if not plan.arena:
            return name
        own = in_arena(name, plan.arena)
        return own if own in self._evaluator.triggers else name

    def _stops(self, plan: RunningPlan, time_s: float) -> bool:
        """Return whether STOP_TRIGGER is true: the plan ends with this frame."""
        name = self._stop_trigger(plan)
        return bool(name and self._evaluator.recent_answers(time_s, [name])[name])

    def _step_plans(
        self,
        running: RunningExperiment,
        index: int,
        time_s: float,
        too_old: bool,
        inputs: Mapping[str, float],
    ) -> Decision:
        """Step each plan with the current observation, and apply its commands."""
        # the frame that ends a plan switches nothing on any more
        plans = [plan for plan in running.active if not plan.stops]
        if not plans:
            return Decision(self._clock.now_ns(), status=running.status)

        observation = self._observation(time_s, inputs)
        lost, planned = 0, list[tuple[RunningPlan, tuple[Command, ...]]]()
        for plan in plans:
            # Before the plan: a plan that waits for a trigger would keep its output on while
            # the animal is lost.
            is_lost = any(observation.triggers[name] is None for name in plan.named)
            self._update_permit(running, plan, is_lost, time_s)
            lost += is_lost
            try:
                planned.append((plan, self._commands_of(plan, observation, running)))
            except Exception as error:
                add_place(error, f"[Experiment {plan.name}]")
                if not plan.arena:
                    raise
                self.break_off_arena(plan.arena, error)
        running.began_s = min(running.began_s, time_s)

        decided_ns = self._clock.now_ns()
        commands = tuple(command for _, some in planned for command in some)
        written_ns = 0
        if commands:
            # The intent goes into the journal before the outputs change: after a crash the
            # record shows what may have been written.
            self._write(Intent(index, decided_ns, commands))
            written_ns = self._apply(running.bank, planned, decided_ns, too_old)
            texts = [it.text for it in commands if isinstance(it, Mark) and it.text]
            running.status = texts[-1] if texts else running.status
        # a lost animal has a note; while another is found, there are decisions
        all_lost = lost == len(plans)
        return Decision(decided_ns, written_ns, commands, running.status, all_lost)

    def _observation(self, time_s: float, inputs: Mapping[str, float]) -> Observation:
        """Return what plans see now."""
        return Observation(
            time_s,
            self._evaluator.recent_answers(time_s),
            self._evaluator.poses,
            inputs=inputs,
            behaviours=self._evaluator.behaviours(time_s),
            measures=self._evaluator.measures,
            light=self._evaluator.light_at(time_s),
        )

    @staticmethod
    def _commands_of(
        plan: RunningPlan, observation: Observation, running: RunningExperiment
    ) -> tuple[Command, ...]:
        """Return the commands of a plan for an observation."""
        if not plan.arena:
            return plan.stepper.step(observation)
        commands = plan.step_in_arena(observation)
        # an error in the bank would switch the outputs of all arenas off
        running.bank.check_commands(commands)
        return commands

    @staticmethod
    def _apply(
        bank: OutputBank,
        planned: Sequence[tuple[RunningPlan, tuple[Command, ...]]],
        decided_ns: int,
        too_old: bool,
    ) -> int:
        """Apply the commands of all plans; return when the last was written, 0: none was."""
        written_ns = 0
        for plan, commands in planned:
            why_lost = "the animal is lost" if plan.revoked else ""
            only_lower = "the frame is too old" if too_old else why_lost
            if commands:
                done_ns = bank.apply(commands, decided_ns, only_lower=only_lower)
                written_ns = done_ns or written_ns
        return written_ns

    def _waits_for_phase(self, running: RunningExperiment, time_s: float) -> bool:
        """Return whether it is not LIGHT_PHASE; switch outputs off with its last frame.

        The plans are not stepped meanwhile. A phase that is not known is another one.
        """
        wanted = self._rules.light_phase
        light = self._evaluator.light_at(time_s)
        if wanted == "any" or (light is not None and light.phase == wanted):
            if running.waits:
                running.waits = ""
                self._note("light", f"the experiment acts in the {wanted} phase")
            return False

        running.began_s = min(running.began_s, time_s)
        if not running.waits:
            running.waits = f"waits for the {wanted} phase"
            running.bank.all_off(self._clock.now_ns(), "light phase")
            off = _off_sentence(running.bank, running.bank.levels)
            why = f"{light} now" if light is not None else "the phase is not known"
            self._note("light", f"the experiment {running.waits} ({why}): {off}")
        return True

    def _update_permit(
        self, running: RunningExperiment, plan: RunningPlan, lost: bool, time_s: float
    ) -> None:
        """Switch a plan's outputs off with the frame that withdraws its permit."""
        if not plan.update_permit(lost, time_s, self._rules.lost_ms / 1e3):
            return
        bank, outputs = running.bank, running.outputs_of(plan)
        if plan.arena:
            bank.off(outputs, self._clock.now_ns(), "lost")
        else:
            bank.all_off(self._clock.now_ns(), "lost")
        off = _off_sentence(bank, outputs)
        place = f"arena {plan.arena} is lost" if plan.arena else "lost"
        self._note(
            "tracking", f"{place}: {off} until the experiment switches them on again"
        )

    def _end_arena(
        self, running: RunningExperiment, plan: RunningPlan, how: str, cause: str
    ) -> None:
        """End the plan of one arena: its outputs are off afterwards, the others go on."""
        plan.ended = how
        try:
            running.bank.off(running.outputs_of(plan), self._clock.now_ns(), cause)
        finally:
            self._note("arena", f"{plan.arena}: {how}")


def _off_sentence(bank: OutputBank, outputs: Collection[str]) -> str:
    """Return that outputs are off, or which may still be on, because a write failed."""
    levels = bank.levels
    left_on = [name for name in outputs if levels[name] > 0]
    names = ", ".join(f"[Output {name}]" for name in left_on)
    return f"{names} may still be on" if left_on else "outputs are off"


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
            rules,
            self._evaluator,
            clock,
            write,
            self._note,
            silence,
            self._end_measures,
            earlier_s,
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

    def traits(self) -> dict[str, tuple[Traits, ...]]:
        """Return, by camera, the traits of its animals, where all coats are known."""
        trackers = self._identity_trackers
        return trackers.traits() if trackers is not None else {}

    def begin(
        self,
        experiments: Experiment | Mapping[str, Experiment],
        triggers: Mapping[str, Trigger],
        bank: OutputBank,
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Start an experiment, or that of each arena; `triggers` are new objects.

        `names`: of the experiments of arenas that are not EXP_NAME's. The animals keep
        their names, with a user's corrections, and their appearance.
        """
        self._restart(triggers)
        self._experiment.begin(experiments, bank, names)

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

    def _flags(self, filtered: FilteredPose) -> Mapping[str, str]:
        """Return the flags of the frame for its record."""
        away = AWAY_FLAG if self._is_plate_away else {}
        return {**filtered.flags, **self._evaluator.flags, **away}

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
            self._flags(filtered),
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
