"""Triggers of one actor: `NAME.ANIMAL` is [Trigger NAME] with ACTOR = ANIMAL.

Each has a state, debouncing and a column of its own, so an output can follow one animal.
"""

from typing import Any
from zlib import crc32

from deeplabstream.plugins.pair_trigger import ANY, DirectedPairs
from deeplabstream.plugins.trigger import Trigger
from deeplabstream.settings.fields import Maker


def actor_trigger_problem(name: str, maker: Maker[Trigger], animal: str) -> str:
    """Return why [Trigger NAME] has no trigger for one actor; empty: it has."""
    trigger = maker()
    if not isinstance(trigger, DirectedPairs):
        return f"[Trigger {name}] has no ACTOR, so it has no trigger for one animal"
    if trigger.actor != ANY:
        return f"[Trigger {name}] has ACTOR = {trigger.actor}; set ACTOR = {ANY}"
    if trigger.target == animal:
        return f"{animal} is the TARGET of [Trigger {name}]; enter another animal"
    return ""


def actor_values(maker: Maker[Trigger], animal: str) -> dict[str, Any]:
    """Return the values of a trigger for one actor.

    With SEED each actor has its own sequence of shams.
    """
    seed = (maker().seed + crc32(animal.encode())) % 2**31
    return {**maker.values, "actor": animal, "seed": seed}
