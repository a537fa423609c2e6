"""A bench for outputs: on, off, on, off, whatever the animal does."""

from itertools import cycle

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from core.command import OutputName, TriggerName, off, on
from experiments.experiment import Ask, Experiment, Plan


@settings(kw_only=True)
class Alternating(Experiment):
    """Switch an output on and off every few frames, whatever is seen.

    The trigger is named so that it is asked; its answer does not matter. As in every
    experiment, the output stays off while it is unknown for longer than LOST_MS.
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
                yield Ask.NEXT
            yield switched
