"""Closed loops of several animals at once: each has its own trigger and its own output."""

from dataclasses import dataclass
from math import inf

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Experiment,
    ExperimentRecord,
    Mark,
    ObservationRequest,
    OutputName,
    Plan,
    Reached,
    TriggerName,
    off,
    on,
)


@dataclass(slots=True)
class _Trial:
    """State of one animal's trials."""

    count: int = 0
    on_since_s: float | None = None
    """Start of the present trial; None: none runs."""
    ended_s: float = -inf
    """End of the last trial."""


@settings(kw_only=True)
class EachAnimal(Experiment):
    """Switch the output of each animal on while its trigger holds, as with a port for each.

    TRIGGERS = approach.anna, approach.bob: [Trigger approach] with ACTOR = anna, and = bob.
    Ends when every animal had TRIALS trials, or after TIME_LIMIT_S.
    """

    triggers: tuple[TriggerName, ...] = Field(
        min_length=1,
        description="triggers, one for each animal; NAME.ANIMAL: a trigger on pairs with "
        "this ACTOR",
        examples=[("a",)],
    )
    outputs: tuple[OutputName, ...] = Field(
        min_length=1,
        description="outputs of the animals, in the order of TRIGGERS",
        examples=[("out",)],
    )
    max_on_s: float = Field(
        10.0, gt=0, description="maximum duration of a trial, in seconds"
    )
    rest_s: float = Field(
        5.0, ge=0, description="pause of an animal after its trial, in seconds"
    )
    trials: int = Field(100, gt=0, description="number of trials of each animal")
    time_limit_s: float = Field(
        600.0, gt=0, description="duration of the experiment, in seconds"
    )

    def __post_init__(self) -> None:
        if len(self.triggers) != len(self.outputs):
            raise ValueError(
                f"OUTPUTS: {len(self.outputs)} for {len(self.triggers)} TRIGGERS, "
                "expected one for each"
            )
        if len({*self.outputs}) < len(self.outputs):
            raise ValueError("OUTPUTS: each animal needs an output of its own")

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the number of trials of each output, and the duration."""
        trials = {
            f"trials {output}": self.at_start(f"trials {output}")
            + record.switched_on(output)
            for output in self.outputs
        }
        return {**trials, "lasted_s": self.at_start("lasted_s") + record.lasted_s}

    def plan(self) -> Plan[None]:
        """Run the trials of all animals side by side."""
        now_s = (yield ObservationRequest.NOW).time_s
        states = {
            output: _Trial(int(self.at_start(f"trials {output}")))
            for output in self.outputs
        }
        for trial in states.values():
            # the pause after a trial of the run before
            trial.ended_s = now_s if trial.count else -inf
        end_s = now_s + self.time_limit_s - self.at_start("lasted_s")
        while True:
            seen = yield ObservationRequest.NEXT
            if seen.time_s >= end_s:
                return

            for trigger, output in zip(self.triggers, self.outputs, strict=True):
                trial = states[output]
                if trial.on_since_s is not None:
                    lasts_s = seen.time_s - trial.on_since_s
                    # unknown does not end a trial: after LOST_MS the engine switches off
                    if seen.fails(trigger) or lasts_s >= self.max_on_s:
                        trial.on_since_s, trial.ended_s = None, seen.time_s
                        yield off(output)
                elif (
                    seen.holds(trigger)
                    and trial.count < self.trials
                    and seen.time_s - trial.ended_s >= self.rest_s
                ):
                    trial.count += 1
                    trial.on_since_s = seen.time_s
                    yield Mark(f"{trigger}: trial {trial.count}")
                    yield on(output)

            is_over = [
                trial.count >= self.trials and trial.on_since_s is None
                for trial in states.values()
            ]
            if all(is_over):
                return
