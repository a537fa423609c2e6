"""Experiment runner: steps the plans of the running experiment, and ends it.

It switches outputs off on each way out: a finished plan, EXP_TIME_S, STOP_TRIGGER, an error, a
lost animal, a silent camera, the other light phase.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from deeplabstream.core.clock import Clock
from deeplabstream.core.command import Command, Mark
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.journal_entries import Entry, Intent, Note
from deeplabstream.engine.failure_text import add_place, error_text
from deeplabstream.engine.output_bank import OutputBank
from deeplabstream.engine.running_experiment import RunningExperiment, RunningPlan
from deeplabstream.engine.trigger_evaluator import TriggerEvaluator
from deeplabstream.plugins.experiment import Experiment, Observation
from deeplabstream.settings.arena_instances import in_arena
from deeplabstream.settings.sections import ExperimentRun


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
        silence: str,
        ended: Callable[[OutputBank], None],
        earlier_s: float = 0.0,
    ) -> None:
        self.running: RunningExperiment | None = None
        self._rules = rules
        self._evaluator = evaluator
        self._clock = clock
        self._write = write
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
        self, experiments: Experiment | Mapping[str, Experiment], bank: OutputBank
    ) -> None:
        """Start an experiment, or that of each arena."""
        if isinstance(experiments, Experiment):
            experiments = {"": experiments}
        plans = {arena: RunningPlan(it, arena) for arena, it in experiments.items()}
        now_ns = self._clock.now_ns()
        self.running = RunningExperiment(bank, plans, now_ns)
        bank.restart_totals(now_ns)
        self.note("experiment", "started")

    def end(self, how: str = "stopped", cause: str = "stop") -> None:
        """End the experiment, if one runs: every output is off afterwards."""
        if self.running is None:
            return
        running, self.running = self.running, None
        try:
            running.bank.all_off(self._clock.now_ns(), cause)
        finally:
            self.note("experiment", how)
            self._ended(running.bank)

    def note(self, kind: str, text: str) -> None:
        """Write a note into the record."""
        self._write(Note(kind, text, self._clock.now_ns()))

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
        self.note("camera", f"{self._silence}: {off}")
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
            self.note("error", text)

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
            self.note("alarm", "\n".join([*trace, f"arena {arena}: {last}"]))

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
                add_place(error, f"[Experiment {self._rules.exp_name}]")
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
                self.note("light", f"the experiment acts in the {wanted} phase")
            return False

        running.began_s = min(running.began_s, time_s)
        if not running.waits:
            running.waits = f"waits for the {wanted} phase"
            running.bank.all_off(self._clock.now_ns(), "light phase")
            off = _off_sentence(running.bank, running.bank.levels)
            why = f"{light} now" if light is not None else "the phase is not known"
            self.note("light", f"the experiment {running.waits} ({why}): {off}")
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
        self.note(
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
            self.note("arena", f"{plan.arena}: {how}")


def _off_sentence(bank: OutputBank, outputs: Collection[str]) -> str:
    """Return that outputs are off, or which may still be on, because a write failed."""
    levels = bank.levels
    left_on = [name for name in outputs if levels[name] > 0]
    names = ", ".join(f"[Output {name}]" for name in left_on)
    return f"{names} may still be on" if left_on else "outputs are off"
