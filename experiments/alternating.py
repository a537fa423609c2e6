"""Alternate an output, for measurements."""

from itertools import cycle

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Experiment,
    ObservationRequest,
    OutputName,
    Plan,
    TriggerName,
    off,
    on,
)


@settings(kw_only=True)
class Alternating(Experiment):
    """Switch an output on and off every FRAMES frames, independent of the animal.

    The state of the trigger does not matter, but frames on which it is unknown do not
    count: a lost animal switches nothing on.
    """

    trigger: TriggerName = Field(
        description="trigger to evaluate; true or false does not matter"
    )
    output: OutputName = Field(description="output to switch")
    frames: int = Field(5, gt=0, description="number of frames between switches")

    def plan(self) -> Plan[None]:
        """Switch and count, until it is stopped."""
        for switched in cycle((on(self.output), off(self.output))):
            for _ in range(self.frames):
                while (yield ObservationRequest.NEXT).triggers[self.trigger] is None:
                    pass
            yield switched
