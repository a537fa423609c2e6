"""Options of a program: errors, docstring and command line of a settings dataclass.

All come from its fields, so that an option is declared once.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from textwrap import wrap
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.settings.validation_messages import complaint

T = TypeVar("T")
_LIMIT_ERRORS = ("greater_than_equal", "less_than_equal")


def option_fields(kind: type) -> dict[str, FieldInfo]:
    """Return the fields of a settings dataclass by name: default, limits, description."""
    return cast("dict[str, FieldInfo]", getattr(kind, "__pydantic_fields__", {}))


def limits(info: FieldInfo) -> tuple[float | None, float | None]:
    """Return the smallest and the largest value of a number; None: no limit."""
    low = (getattr(note, "ge", None) for note in info.metadata)
    high = (getattr(note, "le", None) for note in info.metadata)
    return (
        next((limit for limit in low if limit is not None), None),
        next((limit for limit in high if limit is not None), None),
    )


def raises(fault: type[DeepLabStreamError]) -> Callable[[type[T]], type[T]]:
    """Decorate a settings dataclass: `fault` names each bad option; docs list the fields."""

    def decorate(kind: type[T]) -> type[T]:
        validate = cast("Callable[..., None]", kind.__init__)

        @wraps(validate)
        def checked(self: T, *args: Any, **values: Any) -> None:
            try:
                validate(self, *args, **values)
            except ValidationError as error:
                problems = error.errors(include_url=False)
                raise fault("; ".join(_sentences(kind, problems))) from None

        kind.__init__ = checked  # type: ignore[method-assign, assignment]
        kind.__doc__ = _docstring(kind, fault)
        return kind

    return decorate


def _sentences(kind: type, problems: list[ErrorDetails]) -> list[str]:
    """Return a sentence for each option with a problem: value given, and value expected."""
    by_name: dict[str, list[ErrorDetails]] = {}
    for problem in problems:
        name = str(problem["loc"][0]) if problem["loc"] else ""
        by_name.setdefault(name, []).append(problem)

    sentences = []
    for name, own in by_name.items():
        info = option_fields(kind).get(name)
        if own[0]["type"] == "missing" or info is None:
            sentences.append(f"{name}: {'is missing' if info else 'unknown option'}")
            continue
        if own[0]["type"] in _LIMIT_ERRORS:
            expected = f"expected {limits_text(info)}"
        else:
            expected = complaint(own, info.annotation)
        sentences.append(f"{name} = {own[0]['input']!r}: {expected}")
    return sentences


def limits_text(info: FieldInfo) -> str:
    """Return the limits of a number: `a number from 0 to 1`, `1 or more`; empty: none."""
    low, high = limits(info)
    if low is not None and high is not None:
        return f"a number from {low:g} to {high:g}"
    if low is not None:
        return f"{low:g} or more"
    return "" if high is None else f"{high:g} or less"


def _docstring(kind: type, fault: type[DeepLabStreamError]) -> str:
    """Return the docstring with the sections Attributes and Raises, from the fields."""
    lines = [(kind.__doc__ or "").rstrip(), "", "    Attributes", "    ----------"]
    for name, info in option_fields(kind).items():
        text = info.description or ""
        if None not in limits(info):  # "0 or more" alone would say little
            text += f"; {limits_text(info)}"
        lines.append(f"    {name} : {_type_name(info)}")
        lines += wrap(
            f"{text[:1].upper()}{text[1:]}.",
            width=88,
            initial_indent=" " * 8,
            subsequent_indent=" " * 8,
            break_long_words=False,
            break_on_hyphens=False,
        )
    lines += ["", "    Raises", "    ------", f"    {fault.__name__}"]
    lines += ["        A value is not possible; the message names the option.", "    "]
    return "\n".join(lines)


def _type_name(info: FieldInfo) -> str:
    """Return the type as numpydoc writes it: `pathlib.Path, optional`, `tuple of int`."""
    choices = _choices(info)
    optional = ", optional" if NoneType in choices else ""
    return " or ".join(_plain_name(c) for c in choices if c is not NoneType) + optional


def _plain_name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "{" + ", ".join(f'"{choice}"' for choice in get_args(kind)) + "}"
    if get_origin(kind) is Annotated:
        return _plain_name(kind.__origin__)
    if get_origin(kind) is tuple:
        return f"tuple of {_plain_name(get_args(kind)[0])}"
    return "pathlib.Path" if kind is Path else str(kind.__name__)


def add_options(
    parser: argparse._ActionsContainer, kind: type, *, without: Sequence[str] = ()
) -> None:
    """Add an option for each field of a settings dataclass to a parser.

    Values stay text: the dataclass converts and checks them, as for a Python user. Entries
    of `json_schema_extra` that count: `group` (heading of the options in the help),
    `aliases` (other names of an option), `metavar`, `choices`, `separator` (a list is
    one text).
    """
    groups: dict[str, argparse._ActionsContainer] = {"": parser}
    for name, info in option_fields(kind).items():
        if name in without:
            continue
        extra = info.json_schema_extra
        extra = extra if isinstance(extra, dict) else {}
        group = str(extra.get("group", ""))
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        names = [_option(name), *map(str, cast("list[str]", extra.get("aliases", [])))]
        given = _action(info) | {"dest": name, "help": _help(info)}
        if info.default is True:
            names = [_option(f"no_{name}")]
        if "separator" in extra:
            given.pop("nargs", None)
        given |= {key: extra[key] for key in ("choices", "metavar") if key in extra}
        groups[group].add_argument(*names, **given)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _action(info: FieldInfo) -> dict[str, Any]:
    """Return what argparse needs to read a field: action, number of values, choices."""
    kinds = [choice for choice in _choices(info) if choice is not NoneType]
    required = info.is_required()
    given: dict[str, Any] = (
        {"required": True} if required else {"default": info.default}
    )
    if kinds == [bool]:
        if info.default is None:  # three answers: yes, no, automatic
            return given | {"action": argparse.BooleanOptionalAction}
        return given | {"action": "store_false" if info.default else "store_true"}
    if get_origin(kinds[0]) is Literal:
        return given | {"choices": get_args(kinds[0])}
    if get_origin(kinds[0]) is tuple:
        return given | {"nargs": "+" if required else "*"}
    return given


def _choices(info: FieldInfo) -> tuple[Any, ...]:
    """Return the types of a union, or the one type of a field."""
    union = get_origin(info.annotation) in (Union, UnionType)
    return get_args(info.annotation) if union else (info.annotation,)


def _help(info: FieldInfo) -> str:
    """Return the help of an option: description, limits, default."""
    text = re.sub(r"`(\w+)`", lambda name: _option(name[1]), info.description or "")
    notes = [limits_text(info)] if None not in limits(info) else []
    if info.default and isinstance(info.default, str | int | float):
        notes += [] if info.default is True else [f"default: {info.default}"]
    return (text + (f" ({'; '.join(notes)})" if notes else "")).replace("%", "%%")
