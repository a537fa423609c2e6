"""One pulse for each visit: the simplest trial."""

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Experiment,
    ExperimentRecord,
    Mark,
    OutputName,
    Plan,
    Pulse,
    Reached,
    TriggerName,
    during,
    until,
    wait,
)


@settings(kw_only=True)
class Triggered(Experiment):
    """Give a pulse of fixed duration at each onset of a trigger."""

    trigger: TriggerName = Field(description="trigger whose onset starts a pulse")
    output: OutputName = Field(description="output of the pulse")
    pulse_s: float = Field(0.5, gt=0, description="duration of a pulse, in seconds")
    level: float = Field(1.0, gt=0, le=1, description="level of a pulse")
    rest_s: float = Field(5.0, ge=0, description="pause after a pulse, in seconds")
    pulses: int = Field(100, gt=0, description="number of pulses")

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the number of pulses."""
        return {"pulses": self.at_start("pulses") + record.switched_on(self.output)}

    def plan(self) -> Plan[None]:
        """Give one pulse at each onset of the trigger."""
        given = int(self.at_start("pulses"))
        if given:
            yield from self._rest()
        for pulse in range(given + 1, self.pulses + 1):
            yield from until(self.trigger)
            yield Mark(f"pulse {pulse}")
            yield Pulse(self.output, seconds=self.pulse_s, level=self.level)
            yield from self._rest()

    def _rest(self) -> Plan[None]:
        """Wait for the pause after a pulse, and for the end of the visit."""
        yield from wait(self.pulse_s + self.rest_s)
        yield from during(self.trigger)
