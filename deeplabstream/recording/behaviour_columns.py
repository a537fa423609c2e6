"""Behaviour columns: behaviour, actor and target of each column `behaviour_…` of a run.

A column's name can be divided in several ways: `a_b_sniffs` is `sniffs` of the animal `a_b`, or
`b_sniffs` of the animal `a`. `run.json` therefore states what the classifiers have declared.
"""

from collections.abc import Mapping
from itertools import permutations
from typing import Any, NamedTuple

from deeplabstream.core.pose import Skeleton
from deeplabstream.plugins.trigger import BehaviourName, pair_name

BEHAVIOURS = "behaviours"
"""Entry of `run.json`."""


class ShownBehaviour(NamedTuple):
    """A behaviour, the animal that shows it, and the one at which it is directed."""

    behaviour: str
    actor: str = ""
    """Empty: the only animal."""
    target: str = ""
    """Empty: the behaviour is not directed."""


def behaviour_facts(declared: Mapping[str, ShownBehaviour]) -> dict[str, object]:
    """Return what `run.json` states of behaviours, by their columns; empty without any."""
    columns = {column: shown._asdict() for column, shown in declared.items()}
    return {BEHAVIOURS: columns} if columns else {}


def are_behaviours(value: object) -> bool:
    """Return whether an entry is as `behaviour_facts` writes it."""
    return isinstance(value, Mapping) and all(
        isinstance(shown, Mapping)
        and {*shown} == {*ShownBehaviour._fields}
        and all(isinstance(text, str) for text in shown.values())
        for shown in value.values()
    )


def shown_behaviour(
    column: str, facts: Mapping[str, Any], skeleton: Skeleton
) -> ShownBehaviour:
    """Return behaviour, actor and target of a column; `facts` is the content of `run.json`.

    Runs of earlier programs do not declare them. There a name is divided only if it can be
    divided in one way.
    """
    declared = facts.get(BEHAVIOURS)
    if are_behaviours(declared) and declared and column in declared:
        return ShownBehaviour(**declared[column])

    animals = skeleton.animals
    owners = {animal: (animal, "") for animal in animals}
    owners |= {pair_name(*pair): pair for pair in permutations(animals, 2)}
    possible = [
        ShownBehaviour(behaviour, *of)
        for owner, of in owners.items()
        if (behaviour := column.removeprefix(BehaviourName("", owner).key)) != column
    ]
    return possible[0] if len(possible) == 1 else ShownBehaviour(column)
