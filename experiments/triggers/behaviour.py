"""A trigger on a behaviour that a classifier detects."""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    AnimalName,
    Answer,
    BehaviourName,
    ContextTrigger,
    TriggerContext,
)

from .hysteresis import Hysteresis


@settings(kw_only=True)
class Behaviour(Hysteresis, ContextTrigger):
    """Holds while a [Classifier NAME] gives a behaviour a probability above THRESHOLD.

    Unknown while the classifier has no result: the animal is lost, or was a moment ago.
    """

    behaviour: str = Field(
        min_length=1, description="the behaviour, as the classifier names it"
    )
    animal: AnimalName = Field(
        "",
        description="ANIMAL of the [Classifier NAME], where classifiers of several animals "
        "detect the behaviour",
    )
    threshold: float = Field(
        0.5, gt=0, lt=1, description="probability from which the trigger holds"
    )
    when: Literal["above", "below"] = Field(
        "above", description="holds at THRESHOLD and above it, or below it"
    )

    @property
    def named_animals(self) -> Mapping[str, tuple[str, ...]]:
        """The animals that its settings name, by key."""
        return {"ANIMAL": (self.animal,)} if self.animal else {}

    @property
    def named_behaviour(self) -> BehaviourName:
        """The behaviour that it evaluates."""
        return BehaviourName(self.behaviour, self.animal)

    @cached_property
    def _key(self) -> str:
        return self.named_behaviour.key

    def evaluate(self, context: TriggerContext, time_s: float) -> Answer:
        """Return whether the probability of the behaviour is above the threshold."""
        probability = context.behaviours.get(
            self._key, context.behaviours.get(self.behaviour)
        )
        if probability is None or probability != probability:
            self.reset()
            return None
        over = probability - self.threshold
        return self.update(over if self.when == "above" else -over)
