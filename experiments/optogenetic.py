"""Optogenetic stimulation with minimum, maximum and total duration."""

from math import ceil

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Command,
    Experiment,
    ExperimentRecord,
    ObservationRequest,
    OutputName,
    Plan,
    Reached,
    Train,
    TriggerName,
    during,
    off,
    on,
    until,
    wait,
)


@settings(kw_only=True)
class Optogenetic(Experiment):
    """Stimulate while a trigger holds, with minimum, maximum and total duration."""

    trigger: TriggerName = Field(description="trigger that starts a stimulation")
    output: OutputName = Field(description="light source")
    min_on_s: float = Field(
        1.0, ge=0, description="minimum duration of a stimulation, in seconds"
    )
    max_on_s: float = Field(
        10.0, gt=0, description="maximum duration of a stimulation, in seconds"
    )
    max_total_s: float = Field(
        300.0,
        gt=0,
        description="total duration after which the experiment ends, in seconds",
    )
    rest_s: float = Field(
        40.0, ge=0, description="pause after a stimulation, in seconds"
    )
    frequency: float = Field(
        0.0, ge=0, le=1000, description="pulses per second; 0: continuous light"
    )
    pulse_ms: float = Field(
        5.0, gt=0, description="with FREQUENCY: duration of a pulse, in milliseconds"
    )

    def __post_init__(self) -> None:
        if self.max_on_s < self.min_on_s:
            raise ValueError(
                f"MAX_ON_S = {self.max_on_s:g}: must be MIN_ON_S = {self.min_on_s:g} "
                "or more"
            )
        if self.frequency and self.pulse_ms >= 1000 / self.frequency:
            raise ValueError(
                f"PULSE_MS = {self.pulse_ms:g}: a pulse must end before the next begins, "
                f"{1000 / self.frequency:g} ms after it"
            )

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the duration of all stimulations."""
        return {"on_s": self.at_start("on_s") + record.on_s(self.output)}

    def plan(self) -> Plan[None]:
        """Run the stimulations until a limit of duration is reached."""
        spent_s = self.at_start("on_s")
        if spent_s:
            yield from wait(self.rest_s)
        while spent_s < self.max_total_s:
            yield from until(self.trigger)
            yield self._light()
            start_s = (yield ObservationRequest.NOW).time_s
            yield from wait(min(self.min_on_s, self.max_total_s - spent_s))
            now = yield ObservationRequest.NOW
            more_s = min(self.max_on_s, self.max_total_s - spent_s)
            more_s -= now.time_s - start_s
            if more_s > 0 and not now.fails(self.trigger):
                yield from during(self.trigger, at_most_s=more_s)
            yield off(self.output)
            spent_s += (yield ObservationRequest.NOW).time_s - start_s
            yield from wait(self.rest_s)

    def _light(self) -> Command:
        if not self.frequency:
            return on(self.output)
        count = max(1, ceil(self.max_on_s * self.frequency))
        return Train(self.output, self.frequency, self.pulse_ms / 1000, count)
