"""The simplest closed loop: while the trigger holds, the output is on."""

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
    during,
    off,
    on,
    until,
    wait,
)


@settings(kw_only=True)
class Conditional(Experiment):
    """Switch an output on while a trigger holds, with limits of duration and number."""

    trigger: TriggerName = Field(description="trigger that starts a trial")
    output: OutputName = Field(description="output that is on while TRIGGER holds")
    max_on_s: float = Field(
        10.0,
        gt=0,
        description="maximum duration of a trial, in seconds",
    )
    rest_s: float = Field(5.0, ge=0, description="pause after a trial, in seconds")
    trials: int = Field(100, gt=0, description="number of trials")
    max_total_s: float = Field(
        600.0,
        gt=0,
        description="total on-time after which the experiment ends, in seconds",
    )

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the number of trials, and the on-time."""
        trials = self.at_start("trials") + record.switched_on(self.output)
        on_s = self.at_start("on_s") + record.on_s(self.output)
        return {"trials": trials, "on_s": on_s}

    def plan(self) -> Plan[None]:
        """Run the trials: output on while the trigger holds."""
        done, left_s = int(self.at_start("trials")), self.max_total_s
        left_s -= self.at_start("on_s")
        if left_s <= 0:
            return
        if done:
            yield from wait(self.rest_s)
        for trial in range(done + 1, self.trials + 1):
            yield from until(self.trigger)
            yield Mark(f"trial {trial}")
            yield on(self.output)
            start_s = (yield ObservationRequest.NOW).time_s
            yield from during(self.trigger, at_most_s=min(self.max_on_s, left_s))
            yield off(self.output)
            left_s -= (yield ObservationRequest.NOW).time_s - start_s
            if left_s <= 0:
                return
            yield from wait(self.rest_s)
