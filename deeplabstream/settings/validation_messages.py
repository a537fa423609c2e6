"""Messages of settings validation: permitted values, and problems of a value."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic_core import ErrorDetails

from deeplabstream.core.animal_blocks import AnimalBlocks
from deeplabstream.core.calibration import CalibrationMark
from deeplabstream.core.command import InputName, OutputName, TriggerName
from deeplabstream.core.daily_span import DailySpan
from deeplabstream.core.regions import Region
from deeplabstream.pose.filters.edge_lengths import EdgeRange

_PLAIN: dict[Any, str] = {
    bool: "yes or no",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a file or folder",
    date: "a day, such as 2026-11-21",
    datetime: "a time, such as 2026-11-21T10:30",
    time: "a time of day, such as 07:00",
    Region: "a region, such as circle X Y R",
    CalibrationMark: "a mark X Y X_MM Y_MM",
    AnimalBlocks: "animals such as m1, m2, or with times m1 09:00 - 11:00, m2 11:30 - 13:30",
    DailySpan: "two times of day, such as 19:00 - 07:00",
    EdgeRange: "an edge, BODYPART - BODYPART SHORTEST LONGEST",
    TriggerName: "the NAME of a [Trigger NAME]",
    OutputName: "the NAME of an [Output NAME]",
    InputName: "the NAME of an [Input NAME]",
}
_LIMITS = {
    "greater_than": ("gt", "must be above {:g}"),
    "greater_than_equal": ("ge", "must be {:g} or more"),
    "less_than": ("lt", "must be below {:g}"),
    "less_than_equal": ("le", "must be {:g} or less"),
}
_LISTS = (tuple, list, set, frozenset)


def guess(word: str, known: Iterable[str], most: int = 12) -> str:
    """Return `; did you mean NAME?` with the closest name, else up to `most` known names."""
    names = list(known)
    folded = {name.casefold(): name for name in reversed(names)}
    if near := get_close_matches(word.casefold(), folded, n=1, cutoff=0.5):
        return f"; did you mean {folded[near[0]]}?"
    return f"; available: {', '.join(names)}" if 0 < len(names) <= most else ""


def is_list(annotation: Any) -> bool:
    """Return whether the words are cut at commas."""
    return any(_is_list(kind) for kind in _choices(annotation))


def takes_nothing(annotation: Any) -> bool:
    """Return whether the key may be empty, which means none."""
    return NoneType in _choices(annotation)


def leaves(annotation: Any) -> set[Any]:
    """Return the types of single values: of `tuple[TriggerName, ...]`, TriggerName."""
    found: set[Any] = set()
    for kind in _choices(annotation):
        if _is_list(kind):
            found = found.union(*(leaves(inner) for inner in _items(kind)))
        elif kind is not NoneType:
            found.add(kind)
    return found


def wording(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """Return what a key may hold: `a whole number, above 0`."""
    notes = [*metadata]
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        notes += more
    kinds = [kind for kind in _choices(annotation) if kind is not NoneType]
    texts = [" or ".join(dict.fromkeys(_one(kind) for kind in kinds))]
    for note in notes:
        for part in getattr(note, "metadata", [note]):
            texts += _limit(part)
    return ", ".join(texts)


def complaint(errors: Sequence[ErrorDetails], annotation: Any) -> str:
    """Return the fault of one value, from pydantic's errors."""
    problems = dict.fromkeys(_complaint(error, annotation) for error in errors)
    return ", or ".join(problems)


def _complaint(error: ErrorDetails, annotation: Any) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if len(error["loc"]) > 1 and kind == "missing":
        return f"expected {wording(annotation)}"
    if kind in ("too_short", "too_long"):
        fewest = context.get("min_length")
        return (
            f"expected {wording(annotation)}"
            if fewest is None or _has_fixed_length(annotation)
            else f"expected {fewest} or more, separated by commas"
        )
    if kind in _LIMITS:
        key, text = _LIMITS[kind]
        return text.format(context[key])
    if kind == "finite_number":
        return "expected a finite number"
    for stem, text in (("int", "a whole number"), ("float", "a number")):
        if kind.split("_")[0] == stem:
            return f"expected {text}{_hint(str(value))}"
    if kind.startswith("bool"):
        return f"expected yes or no{_hint(str(value))}"
    if kind in ("literal_error", "enum"):
        options = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        names = options.split(", ")
        return f"expected one of {options}{_near(str(value), names)}"
    if kind == "string_too_short":
        return "must not be empty"
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error") or error["msg"]) or "is not valid"
    return f"expected {wording(annotation)}"


def _hint(value: str) -> str:
    if any(mark in value for mark in ("#", ";")):
        return "; a comment needs a line of its own"
    if value.count(",") == 1 and value.replace(",", "").lstrip("+-").isdigit():
        return f" with a decimal point: {value.replace(',', '.')}"
    return ""


def _near(value: str, names: Sequence[str]) -> str:
    near = get_close_matches(value.casefold(), names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _limit(note: Any) -> list[str]:
    match note:
        case Gt(gt=limit):
            return [f"above {limit:g}"]
        case Ge(ge=limit):
            return [f"{limit:g} or more"]
        case Lt(lt=limit):
            return [f"below {limit:g}"]
        case Le(le=limit):
            return [f"{limit:g} or less"]
    return []


def _one(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(option) for option in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(str(option.value) for option in kind)
    if _is_list(kind):
        inner = _items(kind)
        many = f"{len(inner)} values" if _has_fixed_length(kind) else "a list"
        what = wording(inner[0]) if inner else "text"
        return f"{many}, separated by commas (each {what})"
    return _PLAIN.get(kind, "text")


def _is_list(kind: Any) -> bool:
    return kind in _LISTS or get_origin(kind) in _LISTS


def _items(kind: Any) -> list[Any]:
    return [inner for inner in get_args(kind) if inner is not Ellipsis]


def _has_fixed_length(annotation: Any) -> bool:
    return any(
        get_origin(kind) is tuple and Ellipsis not in get_args(kind)
        for kind in _choices(annotation)
    )


def _choices(annotation: Any) -> list[Any]:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in (Union, UnionType):
        return [annotation]
    return [kind for inner in get_args(annotation) for kind in _choices(inner)]
