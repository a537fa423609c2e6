"""Triggers, outputs and the experiment of each arena: `NAME.ARENA` is NAME in that arena.

[Trigger NAME] and [Experiment NAME] are declared once, and made for each arena with a state and
a seed of their own. [Output NAME.ARENA] is declared for each: it belongs to one arena.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from zlib import crc32

import numpy as np

from deeplabstream.core.command import OutputName, TriggerName
from deeplabstream.core.regions import Region
from deeplabstream.plugins.event_output import EventOutput
from deeplabstream.plugins.experiment import Experiment
from deeplabstream.plugins.output import Output
from deeplabstream.plugins.pair_trigger import DirectedPairs
from deeplabstream.plugins.trigger import BodyPartTrigger, Trigger, named_by
from deeplabstream.settings.fields import Maker, keys_of
from deeplabstream.settings.validation_messages import leaves

MOST_MISSING = 5
"""Missing outputs that a message lists."""
_PLACES = ("POINT", "LINE")
"""Keys with numbers X, Y, X, Y … that are places."""


def in_arena(name: str, arena: str) -> str:
    """Return the name of a trigger or an output in an arena.

    >>> in_arena("light", "A7")
    'light.A7'
    """
    return f"{name}.{arena}"


def is_in_arena(name: str) -> bool:
    """Return whether a trigger or an output is that of one arena; others have no dot.

    >>> is_in_arena("light.A7"), is_in_arena("light")
    (True, False)
    """
    return "." in name


def arena_of(name: str, arenas: Collection[str]) -> str:
    """Return the arena in a trigger's or an output's name; empty: it has none.

    >>> arena_of("light.A7", ["A6", "A7"]), arena_of("light", ["A6"])
    ('A7', '')
    """
    _, dot, arena = name.rpartition(".")
    return arena if dot and arena in arenas else ""


def centre_of(region: Region) -> tuple[float, float]:
    """Return the middle of a region's width and height, px.

    >>> from deeplabstream.core.regions import Circle
    >>> centre_of(Circle(100, 50, 20))
    (100.0, 50.0)
    """
    outline = region.outline()
    x, y = np.round((outline.min(axis=0) + outline.max(axis=0)) / 2, 6).tolist()
    return x, y


def is_in_each_arena(maker: Maker[Trigger]) -> bool:
    """Return whether a trigger is made for each arena: it names no animal, and compares none."""
    trigger = maker()
    if any(key != "ANIMAL" for key in trigger.named_animals):
        return False
    if "ANIMAL" in keys_of(maker.kind):
        _, info = keys_of(maker.kind)["ANIMAL"]
        return bool(vars(trigger)["animal"] == info.default)
    return not isinstance(trigger, BodyPartTrigger | DirectedPairs)


def triggers_in_each_arena(makers: Mapping[str, Maker[Trigger]]) -> list[str]:
    """Return the triggers that are made for each arena; each combines only such triggers."""
    each = [name for name, maker in makers.items() if is_in_each_arena(maker)]
    named = {name: named_by(makers[name]()) for name in each}

    def is_single(name: str) -> bool:
        base = name if name in makers else name.rpartition(".")[0]
        return base in makers and name not in each

    while single := {name for name in each if any(map(is_single, named[name]))}:
        each = [name for name in each if name not in single]
    return each


def place_problem(name: str, maker: Maker[Trigger]) -> str:
    """Return why the places of a trigger have none in an arena; empty: they have."""
    trigger = maker()
    is_placed = any(
        key in _PLACES or Region in leaves(info.annotation)
        for key, (_, info) in keys_of(maker.kind).items()
    )
    if is_placed and getattr(trigger, "unit", "px") == "mm":
        return (
            f"[Trigger {name}] UNIT = mm: places in an arena are in px; set UNIT = px"
        )
    return ""


def trigger_in_arena(
    maker: Maker[Trigger], arena: str, region: Region, instances: Collection[str]
) -> Maker[Trigger]:
    """Return the trigger of one arena.

    Its places are relative to the centre of the arena, its animal is the arena's, and those
    of the triggers it names that are among `instances` are the arena's, too.
    """
    x, y = centre_of(region)
    trigger = maker()
    values = {**maker.values, **_renamed(maker, TriggerName, arena, instances)}
    for key, (attribute, _) in keys_of(maker.kind).items():
        value = getattr(trigger, attribute)
        if isinstance(value, Region):
            values[attribute] = value.moved(x, y)
        elif key in _PLACES and isinstance(value, tuple):
            values[attribute] = tuple(
                number + (y if place % 2 else x) for place, number in enumerate(value)
            )
        elif key == "ANIMAL":
            values[attribute] = arena
    return Maker(maker.kind, {**values, **_seed(trigger, arena)})


def experiment_in_arena(
    maker: Maker[Experiment], arena: str, instances: Collection[str]
) -> Experiment:
    """Return the experiment of one arena: it names that arena's triggers and outputs."""
    values = {
        **maker.values,
        **_renamed(maker, TriggerName, arena, instances),
        **_renamed(maker, OutputName, arena, None),
        **_seed(maker(), arena),
    }
    return maker.kind(**values)


def experiment_problems(
    title: str,
    maker: Maker[Experiment],
    triggers: Collection[str],
    instances: Collection[str],
) -> Iterator[str]:
    """Yield a sentence for each trigger of an experiment that is not made for each arena."""
    for key, name in references(maker, TriggerName):
        if name in triggers and name not in instances:
            yield (
                f"[{title}] {key} = {name}: [Trigger {name}] is not made for each arena, "
                "because it names an animal or an arena, compares several animals, or "
                "combines such a trigger; enter a trigger of one animal without ANIMAL"
            )


def output_problems(
    outputs: Mapping[str, Output], arenas: Collection[str]
) -> Iterator[str]:
    """Yield a sentence for each output that does not belong to one arena."""
    for name, output in outputs.items():
        # an output that sends events to other programs sends those of all arenas
        if isinstance(output, EventOutput) and "." not in name:
            continue
        base, _, _ = name.partition(".")
        arena, example = arena_of(name, arenas), next(iter(arenas), "A1")
        if not arenas and "." in name:
            yield (
                f"[Output {name}]: there are no arenas; lay them out in [Arenas], or remove "
                "the part after the dot"
            )
            return  # it is the same for all others
        elif arenas and (not arena or in_arena(base, arena) != name):
            yield (
                f"[Output {name}]: an output belongs to one arena, which its name ends with, "
                f"such as [Output {base}.{example}]"
            )
        elif output.then and arena_of(output.then, arenas) != arena:
            yield (
                f"[Output {name}] THEN = {output.then}: belongs to another arena; enter an "
                f"output of {arena}"
            )


def missing_outputs(
    title: str,
    maker: Maker[Experiment],
    outputs: Collection[str],
    arenas: Iterable[str],
) -> Iterator[str]:
    """Yield a sentence for each output of an experiment that some arenas do not have."""
    for key, name in references(maker, OutputName):
        missing = [it for it in arenas if in_arena(name, it) not in outputs]
        if missing:
            sections = [f"[Output {in_arena(name, arena)}]" for arena in missing]
            more = len(missing) - MOST_MISSING
            listed = ", ".join(sections[:MOST_MISSING])
            yield (
                f"[{title}] {key} = {name}: each arena needs this output; add {listed}"
                + (f" and {more} more" if more > 0 else "")
            )


def references(maker: Maker[Any], kind: object) -> Iterator[tuple[str, str]]:
    """Yield key and name of each section that a section names in fields of a type."""
    made = maker()
    for key, (attribute, info) in keys_of(maker.kind).items():
        if kind in leaves(info.annotation):
            for name in _flat(getattr(made, attribute)):
                yield key, name


def _flat(value: object) -> list[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, tuple | list | set | frozenset):
        return [word for part in value for word in _flat(part)]
    return [] if value is None else [str(value)]


def _renamed(
    maker: Maker[Any], kind: object, arena: str, instances: Collection[str] | None
) -> dict[str, Any]:
    """Return the fields of a type, with the names of one arena; `instances`: only of these."""
    made = maker()
    return {
        attribute: _with_arena(getattr(made, attribute), arena, instances)
        for attribute, info in keys_of(maker.kind).values()
        if kind in leaves(info.annotation)
    }


def _with_arena(value: Any, arena: str, instances: Collection[str] | None) -> Any:
    if isinstance(value, Mapping):
        return {k: _with_arena(part, arena, instances) for k, part in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return type(value)(_with_arena(part, arena, instances) for part in value)
    if not value or (instances is not None and value not in instances):
        return value
    return in_arena(value, arena)


def _seed(made: object, arena: str) -> dict[str, int]:
    """Return a seed of its own for each arena; nothing: it has none."""
    seed = getattr(made, "seed", None)
    if not isinstance(seed, int):
        return {}
    return {"seed": (seed + crc32(arena.encode())) % 2**31}
