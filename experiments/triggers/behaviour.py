"""Triggers on behaviours that classifiers detect, of one animal or of two."""

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    AnimalName,
    Answer,
    BehaviourName,
    ContextTrigger,
    DirectedPairs,
    TriggerContext,
    pair_name,
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


@settings(kw_only=True)
class PairBehaviour(DirectedPairs, ContextTrigger):
    """Holds while a [Classifier NAME] of pairs gives a behaviour a probability above THRESHOLD.

    Unknown for a pair while the classifier has no result for it: one of both animals is lost or
    ambiguous, or was a moment ago.
    """

    behaviour: str = Field(
        min_length=1, description="the behaviour, as the classifier names it"
    )
    threshold: float = Field(
        0.5, gt=0, lt=1, description="probability from which the trigger holds"
    )
    exit_margin: float = Field(
        0.0,
        ge=0,
        description="hysteresis: margin below THRESHOLD at which a behaviour of a pair ends",
    )
    _present: frozenset[str] = field(
        default=frozenset(), init=False, repr=False, compare=False
    )
    """Pairs that showed the behaviour on the last frame."""

    @property
    def named_behaviour(self) -> BehaviourName:
        """The behaviour that it evaluates."""
        return BehaviourName(self.behaviour)

    def evaluate(self, context: TriggerContext, time_s: float) -> Answer:
        """Return whether the behaviour of ACTOR towards TARGET is probable enough."""
        pose = context.pose
        if pose is None or len(pose.points) < 2:
            self.reset()
            return None
        names = pose.skeleton.named(len(pose.points))
        present = set()

        def holds(actor: int, target: int) -> Answer:
            pair = pair_name(names[actor], names[target])
            key = BehaviourName(self.behaviour, pair).key
            probability = context.behaviours.get(key)
            if probability is None or probability != probability:
                return None
            margin = self.exit_margin if pair in self._present else 0.0
            if probability < self.threshold - margin:
                return False
            present.add(pair)
            return True

        answer = self.combine_pairs(pose, holds)
        self._present = frozenset(present)
        return answer

    def reset(self) -> None:
        """Discard the behaviours of the last frame."""
        super().reset()
        self._present = frozenset()
