"""A trigger that asks what the animal does."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream import AnimalName, Answer, ContextTrigger, TriggerContext

from .hysteresis import Hysteresis


def of_animal(animal: str, behaviour: str) -> str:
    """Return what a behaviour is called that classifiers of several animals know."""
    return f"{animal}_{behaviour}" if animal else behaviour


@settings(kw_only=True)
class Behaviour(Hysteresis, ContextTrigger):
    """Holds while a classifier finds a behaviour probable: a [Classifier NAME] says which.

    Unknown while the classifier does not know: the animal is lost, or was a moment ago.
    """

    behaviour: str = Field(
        min_length=1, description="the behaviour, as the classifier names it"
    )
    animal: AnimalName = Field(
        "",
        description="where classifiers of several animals know the behaviour, the one of "
        "which animal is meant, written as its [Classifier NAME] has it",
    )
    threshold: float = Field(
        0.5, gt=0, lt=1, description="the probability from which on it holds"
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
            self.forget()
            return None
        over = share - self.threshold
        return self.update(over if self.when == "above" else -over)
