"""The running experiment: its plan, or that of each arena, and the permit to keep outputs on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf

from deeplabstream.core.command import Command, Mark
from deeplabstream.core.errors import ExperimentError
from deeplabstream.core.pose import Pose
from deeplabstream.engine.output_bank import OutputBank
from deeplabstream.plugins.experiment import (
    Experiment,
    MeasuresSoFar,
    Observation,
    PlanRunner,
    triggers_of,
)
from deeplabstream.settings.arena_instances import arena_of


class RunningPlan:
    """One plan, the triggers that it names, and the permit to keep its outputs on.

    The permit is withdrawn (`revoked`) when the animal is lost for longer than LOST_MS, and
    granted again on the first frame on which it is not.
    """

    def __init__(self, experiment: Experiment, arena: str, name: str) -> None:
        self.arena = arena
        """Its arena; empty: the rig has none."""
        self.name = name
        """NAME of [Experiment NAME]."""
        self.stepper = PlanRunner(experiment.plan())
        self.named = triggers_of(experiment)
        """The triggers that the settings of the experiment name."""
        self.stops = False
        """Whether STOP_TRIGGER is true on the current frame."""
        self.ended = ""
        """How it ended; empty: it runs."""
        self.revoked = False
        """Whether the permit was withdrawn: no output may be switched on."""
        self._lost_since_s: float | None = None

    def update_permit(self, lost: bool, time_s: float, allowed_s: float) -> bool:
        """Return whether the permit is withdrawn with this frame.

        The first frame that is not lost restores it; outputs stay off until the plan
        switches them on again.
        """
        if not lost:
            self._lost_since_s, self.revoked = None, False
            return False

        if self._lost_since_s is None:
            self._lost_since_s = time_s
        # True once only: the outputs are switched off once, not on every lost frame
        if self.revoked or time_s - self._lost_since_s < allowed_s:
            return False
        self.revoked = True
        return True

    def step_in_arena(self, observation: Observation) -> tuple[Command, ...]:
        """Return the commands of an arena's plan, which sees that arena's animal only."""
        own = replace(
            observation,
            poses=dict(self._own(observation.poses)),
            measures=_ArenaMeasures(observation.measures, self.arena),
        )
        commands = self.stepper.step(own)
        for command in commands:
            output = "" if isinstance(command, Mark) else command.output
            if output and arena_of(output, (self.arena,)) != self.arena:
                raise ExperimentError(f"[Output {output}] is not of arena {self.arena}")
        return tuple(
            Mark(f"{self.arena}: {it.text}") if isinstance(it, Mark) else it
            for it in commands
        )

    def _own(self, poses: Mapping[str, Pose]) -> Iterator[tuple[str, Pose]]:
        for camera, pose in poses.items():
            if (place := pose.animal(self.arena)) is not None:
                yield camera, pose.of(place)


@dataclass(frozen=True, slots=True)
class _ArenaMeasures:
    """Measures so far, whose animal is by default that of an arena."""

    _measures: MeasuresSoFar
    _arena: str

    def value(self, measure: str, of: str = "", animal: str = "1") -> float:
        """Return a measure so far; see `MeasuresSoFar`."""
        return self._measures.value(measure, of, self._named(animal))

    def is_known(self, of: str = "", animal: str = "1") -> bool:
        """Return whether the position is known; see `MeasuresSoFar`."""
        return self._measures.is_known(of, self._named(animal))

    def _named(self, animal: str) -> str:
        return self._arena if animal == "1" else animal


@dataclass
class RunningExperiment:
    """State of the running experiment: plans, outputs, and what all arenas share."""

    bank: OutputBank
    plans: Mapping[str, RunningPlan]
    """By arena; without arenas, one of the name ""."""
    last_frame_ns: int
    """Time of the last frame of the deciding camera."""
    status: str = "running"
    began_s: float = inf
    silent: bool = False
    failed: list[str] = field(default_factory=list)
    """Arenas that an error has ended."""
    waits: str = ""
    """Status while it waits for its light phase; empty: it acts."""

    @property
    def shown_status(self) -> str:
        """Status for the record."""
        return self.waits or self.status

    @property
    def active(self) -> list[RunningPlan]:
        """The plans that have not ended."""
        return [plan for plan in self.plans.values() if not plan.ended]

    def outputs_of(self, plan: RunningPlan) -> list[str]:
        """Return the names of the outputs of a plan."""
        names = list(self.bank.levels)
        if not plan.arena:
            return names
        return [name for name in names if arena_of(name, (plan.arena,))]
