"""Triggers that look at no pose, but at whatever else is known."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.pose import Pose
from deeplabstream.plugins.trigger import AnimalName, Trigger

Answer: TypeAlias = bool | None


@dataclass(frozen=True, slots=True)
class TriggerContext:
    """What is known on one frame beside the pose; too old is not known."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    """Of the triggers that the trigger names."""
    behaviours: Mapping[str, float] = field(default_factory=dict)
    """Probabilities; NaN: unknown."""
    inputs: Mapping[str, float] = field(default_factory=dict)
    """Levels of the rig's inputs; NaN: unknown."""


@settings(kw_only=True)
class PoselessTrigger(Trigger):
    """A trigger that looks at no pose; asked on the frames of its camera all the same."""

    bodyparts: tuple[str, ...] = Field(
        (), max_length=0, description="stays empty: it looks at no pose"
    )

    animal: AnimalName = Field(
        "", max_length=0, description="stays empty: it looks at no pose"
    )
    in_doubt: Literal["asked"] = Field("asked", description="it looks at no pose")

    @abstractmethod
    def judge(self, known: TriggerContext, time_s: float) -> Answer:
        """Return the answer; None when `known` does not tell."""

    def holds(self, pose: Pose, time_s: float) -> Answer:
        """Return None: a pose alone does not tell."""
        return None

    def ask_about(self, known: TriggerContext, time_s: float) -> Answer:
        """Return what `ask` returns of other triggers."""
        return self.clean(self.judge(known, time_s), time_s)
