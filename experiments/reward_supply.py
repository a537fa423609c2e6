"""Drops of reward while the animal stays, then removal of the last one."""

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
class Supply(Experiment):
    """Supply drops while a trigger holds, and remove the last one when it no longer does."""

    trigger: TriggerName = Field(description="trigger that starts drops")
    supply: OutputName = Field(description="pump or valve of the drops")
    drop_s: float = Field(
        0.2, gt=0, description="on-time of SUPPLY per drop, in seconds"
    )
    every_s: float = Field(5.0, gt=0, description="seconds from one drop to the next")
    drops: int = Field(100, gt=0, description="number of drops")
    removal: OutputName | None = Field(
        None, description="pump that removes the last drop; empty: none"
    )
    removal_s: float = Field(1.0, gt=0, description="on-time of REMOVAL, in seconds")

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the number of drops."""
        return {"drops": self.at_start("drops") + record.switched_on(self.supply)}

    def plan(self) -> Plan[None]:
        """Supply drops while the trigger holds, then remove the last one."""
        given = int(self.at_start("drops"))
        if given:
            yield from wait(self.every_s)
        for drop in range(given + 1, self.drops + 1):
            yield from until(self.trigger)
            yield Mark(f"drop {drop}")
            yield Pulse(self.supply, seconds=self.drop_s)
            stayed = yield from during(self.trigger, at_most_s=self.every_s)
            if self.removal and not stayed:
                yield Pulse(self.removal, seconds=self.removal_s)
