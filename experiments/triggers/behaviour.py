"""A trigger on a behaviour that a classifier detects."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import AnimalName, Answer, ContextTrigger, TriggerContext

from .hysteresis import Hysteresis


def of_animal(animal: str, behaviour: str) -> str:
    """Return the name of a behaviour that classifiers of several animals detect."""
    return f"{animal}_{behaviour}" if animal else behaviour


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

    def evaluate(self, context: TriggerContext, time_s: float) -> Answer:
        """Return whether the behaviour is probable enough."""
        name = of_animal(self.animal, self.behaviour)
        share = context.behaviours.get(name, context.behaviours.get(self.behaviour))
        if share is None or share != share:
            self.reset()
            return None
        over = share - self.threshold
        return self.update(over if self.when == "above" else -over)
