"""A bench for outputs: on, off, on, off, wherever the animal is."""

from itertools import cycle

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream import (
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
    """Switch an output on and off every few frames, wherever the animal is.

    The trigger is named so that it is asked; whether it holds does not matter. Frames on
    which that is unknown do not count: a lost animal switches nothing on.
    """

    trigger: TriggerName = Field(description="a trigger to ask; its answer is ignored")
    output: OutputName = Field(description="what is switched on and off")
    frames: int = Field(
        5, gt=0, description="frames after which it is switched, each time"
    )

    def plan(self) -> Plan[None]:
        """Switch and count, until it is stopped."""
        for switched in cycle((on(self.output), off(self.output))):
            for _ in range(self.frames):
                while (yield ObservationRequest.NEXT).triggers[self.trigger] is None:
                    pass
            yield switched
