"""An object of any settings class, whatever its fields are."""

from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import pytest

from deeplabstream.core.command import OutputName, TriggerName
from deeplabstream.core.regions import Region
from deeplabstream.core.volumes import Volume
from deeplabstream.settings.fields import Maker, keys_of

Sample: TypeAlias = Callable[[type], Maker[Any]]


@pytest.fixture(scope="session")
def sample() -> Sample:
    """Return a function that gives what makes an object of the class it is given."""
    return _sample


def _words_for(kind: Any) -> Any:
    """Return words of settings.ini that fit a type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words_for(inner[0])
    if origin in (Union, UnionType):
        return _words_for(inner[0])
    if origin is Literal:
        return inner[0]
    if origin is tuple and set(inner) == {float}:
        return [str(5 + place) for place in range(len(inner))]
    if origin is tuple and inner[-1] is not Ellipsis:
        return [_words_for(one) for one in inner]
    if origin in (tuple, list):
        return [_words_for(inner[0])] * 2
    named = {
        TriggerName: "a",
        OutputName: "out",
        Region: "circle 100 100 50",
        Volume: "circle 0 0 50 z 0 40",
    }
    return named.get(kind, {str: "snout", bool: "yes"}.get(kind, "5"))


def _sample(kind: type) -> Maker[Any]:
    """Return what makes an object of `kind`, whatever its fields are."""
    values = {
        name: info.examples[0] if info.examples else _words_for(info.annotation)
        for name, info in keys_of(kind).values()
        if info.is_required()
    }
    if "bodyparts" in values:
        kinds = get_args(keys_of(kind)["BODYPARTS"][1].annotation)
        wanted = 2 if Ellipsis in kinds else len(kinds)
        values["bodyparts"] = ["snout", "leftear", "rightear"][:wanted]
    return Maker(kind, values)
