"""One pulse for each visit: the plainest trial."""

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream import (
    Experiment,
    Mark,
    OutputName,
    Plan,
    Pulse,
    TriggerName,
    during,
    until,
    wait,
)


@settings(kw_only=True)
class Triggered(Experiment):
    """Give a pulse of fixed length each time a trigger begins to hold."""

    trigger: TriggerName = Field(description="the trigger that earns a pulse")
    output: OutputName = Field(description="what is pulsed")
    pulse_s: float = Field(0.5, gt=0, description="seconds of a pulse")
    level: float = Field(1.0, gt=0, le=1, description="strength of a pulse")
    rest_s: float = Field(5.0, ge=0, description="seconds without another pulse")
    pulses: int = Field(100, gt=0, description="pulses after which it ends")

    def plan(self) -> Plan[None]:
        """Pulse by pulse."""
        for pulse in range(1, self.pulses + 1):
            yield from until(self.trigger)
            yield Mark(f"pulse {pulse}")
            yield Pulse(self.output, seconds=self.pulse_s, level=self.level)
            yield from wait(self.pulse_s + self.rest_s)
            yield from during(self.trigger)
