"""Light for behaviour, in doses."""

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from core.command import OutputName, TriggerName, off, on
from experiments.experiment import Ask, Experiment, Plan
from experiments.steps import during, until, wait


@settings(kw_only=True)
class Optogenetic(Experiment):
    """Light while the animal holds the trigger: not shorter, not longer, not more in all."""

    trigger: TriggerName = Field(description="the trigger that earns light")
    output: OutputName = Field(description="the light")
    min_on_s: float = Field(
        1.0, ge=0, description="seconds for which light stays on at least"
    )
    max_on_s: float = Field(
        10.0, gt=0, description="seconds for which light stays on at most"
    )
    max_total_s: float = Field(
        300.0, gt=0, description="seconds of light, in all, after which it ends"
    )
    rest_s: float = Field(40.0, ge=0, description="seconds without light after each")

    def __post_init__(self) -> None:
        if self.max_on_s < self.min_on_s:
            raise ValueError(
                f"MAX_ON_S = {self.max_on_s:g}: must be MIN_ON_S = {self.min_on_s:g} "
                "or more"
            )

    def plan(self) -> Plan[None]:
        """Dose by dose."""
        spent_s = 0.0
        while spent_s < self.max_total_s:
            yield from until(self.trigger)
            yield on(self.output)
            start_s = (yield Ask.NOW).time_s
            yield from wait(min(self.min_on_s, self.max_total_s - spent_s))
            now = yield Ask.NOW
            more_s = min(self.max_on_s, self.max_total_s - spent_s)
            more_s -= now.time_s - start_s
            if more_s > 0 and not now.fails(self.trigger):
                yield from during(self.trigger, at_most_s=more_s)
            yield off(self.output)
            spent_s += (yield Ask.NOW).time_s - start_s
            yield from wait(self.rest_s)
