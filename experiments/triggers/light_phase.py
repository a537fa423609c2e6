"""A trigger on the light cycle of the room."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import Answer, ContextTrigger, TriggerContext


@settings(kw_only=True)
class LightPhase(ContextTrigger):
    """True in one phase of [Light Cycle]; unknown where the local time is not recorded."""

    phase: Literal["light", "dark"] = Field(description="phase in which it is true")

    @property
    def needs_light_cycle(self) -> bool:
        """Whether it needs the times of the lamps: always."""
        return True

    def evaluate(self, context: TriggerContext, time_s: float) -> Answer:
        """Compare the phase of the frame; None: it is not known."""
        return None if context.light is None else context.light.phase == self.phase
