"""Options of a program: errors, docstring and command line of a settings dataclass.

All come from its fields, so that an option is declared once.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import get_annotations
from pathlib import Path
from textwrap import wrap
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeAlias,
    TypedDict,
    TypeVar,
    Union,
    Unpack,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
)

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.settings.validation_messages import complaint

T = TypeVar("T")
_LIMIT_ERRORS = ("greater_than_equal", "less_than_equal")


Editor: TypeAlias = Literal[
    "model", "ensemble", "path", "paths", "folder", "save", "name", "choice", "several",
    "number", "texts", "text", "flag", "device",
]  # fmt: skip
"""Kind of the editor of a field in the window's form.

model, ensemble: a network of the lab, or several trained with different seeds. path, paths:
existing files or folders. folder: one to write into. save: a file to write. name: a new
folder in `models/`. several: some of the choices. texts: separated by spaces. device: CPU
or one of the GPUs on which torch can train.
"""


class OptionExtra(TypedDict, total=False):
    """Metadata of an option besides type, limits, title and description.

    A field with a title is shown in the window's form of the program.
    """

    group: str
    """Heading of the option in the help."""
    aliases: Sequence[str]
    """Other names of the option."""
    metavar: str | tuple[str, ...]
    choices: Sequence[str]
    separator: str
    """The values of a list are one text, separated by this."""
    positional: bool
    """The value has no option name before it."""
    repeated: bool
    """The option may be given several times: one value of the list each time."""
    without_value: str
    """The value where the option is given without one."""
    internal: bool
    """The field has no option: the program sets it."""
    editor: Editor
    """Editor of the value in the form, where the type does not determine it."""
    needed: bool
    """The form needs a value, although the option may be left out."""
    advanced: bool
    """The form shows it below "More options"."""
    presets: Mapping[str, str]
    """Values that the form offers, by label."""
    unit: str
    decimals: int
    scale: float
    """The form shows a number multiplied by this."""
    initial: str
    """Value of a required number that the form shows first."""
    empty: str
    """Text in the form where no network is selected."""
    filter: str
    """Kinds of files that can be chosen, as Qt writes them."""
    folders: bool
    """Whether a folder can be chosen in place of a file."""


def option_fields(kind: type) -> dict[str, FieldInfo]:
    """Return the fields of a settings dataclass by name: default, limits, description.

    Fields that the class inherits come after its own.
    """
    fields = cast("dict[str, FieldInfo]", getattr(kind, "__pydantic_fields__", {}))
    own = [name for name in get_annotations(kind) if name in fields]
    return {name: fields[name] for name in (*own, *fields)}


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
            if wrong := _not_offered(self):
                raise fault("; ".join(wrong))

        kind.__init__ = checked  # type: ignore[method-assign, assignment]
        kind.__doc__ = _docstring(kind, fault)
        return kind

    return decorate


def option(
    *,
    title: str | None = None,
    description: str | None = None,
    default: Any = ...,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    **details: Unpack[OptionExtra],
) -> Any:
    """Return a field that is an option; its description is the string below the field."""
    return Field(
        default=default,
        title=title,
        description=description,
        ge=ge,
        gt=gt,
        le=le,
        lt=lt,
        json_schema_extra=cast("dict[str, Any]", details),
    )


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(option, Field)
)
def program_options(
    kind: type[T] | None = None, *, fault: type[DeepLabStreamError] = DeepLabStreamError
) -> Any:
    """Decorate the settings dataclass of a program: frozen, checked, keywords only.

    The string below a field describes its option. `fault` is raised for bad values.
    """

    def decorate(plain: type[T]) -> type[T]:
        settings = pydantic_dataclass(
            frozen=True,
            kw_only=True,
            config=ConfigDict(extra="forbid", use_attribute_docstrings=True),
        )
        made = cast("type[T]", settings(plain))
        for base in plain.__mro__[1:]:
            for name, info in option_fields(base).items():
                own = option_fields(made)[name]
                own.description = own.description or info.description
        for info in option_fields(made).values():
            text = " ".join((info.description or "").split())
            info.description = text.removesuffix(".")
        return raises(fault)(made)

    return decorate if kind is None else decorate(kind)


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
        if own[0]["type"] in _LIMIT_ERRORS and limits_text(info):
            expected = f"expected {limits_text(info)}"
        else:
            expected = complaint(own, info.annotation)
        sentences.append(f"{name} = {own[0]['input']!r}: {expected}")
    return sentences


def _not_offered(settings: object) -> list[str]:
    """Return a sentence for each value that is not among the choices of its field."""
    sentences = []
    for name, info in option_fields(type(settings)).items():
        choices, value = extra_of(info).get("choices"), getattr(settings, name)
        if choices is None or value == info.default:
            continue
        for part in value if isinstance(value, tuple) else (value,):
            if part not in choices:
                offered = f"expected one of {', '.join(choices)}"
                sentences.append(f"{name} = {part!r}: {offered}")
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
        if None not in limits(info):  # "0 or more" alone would not be informative
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
    choices = types_of(info)
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


def extra(**values: Unpack[OptionExtra]) -> dict[str, Any]:
    """Return `json_schema_extra` of a field that is an option of a program."""
    return dict(values)


def extra_of(info: FieldInfo) -> OptionExtra:
    """Return the option metadata of a field: OptionExtra."""
    known = info.json_schema_extra
    return cast("OptionExtra", known if isinstance(known, dict) else {})


def add_options(
    parser: argparse._ActionsContainer, kind: type, *, without: Sequence[str] = ()
) -> None:
    """Add an option for each field of a settings dataclass to a parser.

    Values stay text: the dataclass converts and checks them, as for a Python user. An option
    that is not given is not in the namespace, so the dataclass has the only default. A class
    may name the heading of the fields that it declares: `option_group`.
    """
    groups: dict[str, argparse._ActionsContainer] = {"": parser}
    for name, info in option_fields(kind).items():
        details = extra_of(info)
        if name in without or details.get("internal"):
            continue

        group = details.get("group", _group(kind, name))
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        arguments = _arguments(info, details) | {"help": _help(info)}
        if details.get("positional"):
            groups[group].add_argument(name, **arguments)
        else:
            names = [option_name(name, info), *details.get("aliases", ())]
            groups[group].add_argument(*names, dest=name, **arguments)


def _group(kind: type, name: str) -> str:
    """Return the `option_group` of the class that declares a field; empty: it has none."""
    declared = (c for c in kind.__mro__ if name in vars(c).get("__annotations__", {}))
    return str(vars(next(declared, kind)).get("option_group", ""))


def option_name(name: str, info: FieldInfo) -> str:
    """Return the name of a field's option: `--at-most-ms`, `--no-metrics`."""
    return _option(f"no_{name}" if info.default is True else name)


def with_option_names(text: str, kind: type) -> str:
    """Return the sentences of an error with names of options: `--at-most-ms = ...`."""
    for name, info in option_fields(kind).items():
        if not extra_of(info).get("positional"):
            text = re.sub(
                rf"(^|; ){name}(?= = |: )", rf"\1{option_name(name, info)}", text
            )
    return text


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _arguments(info: FieldInfo, details: OptionExtra) -> dict[str, Any]:
    """Return what argparse needs to read a field: action, number of values, choices."""
    kinds = [choice for choice in types_of(info) if choice is not NoneType]
    required, positional = info.is_required(), details.get("positional", False)
    given: dict[str, Any] = {"default": argparse.SUPPRESS}
    if required and not positional:
        given = {"required": True}
    if kinds[0] in (int, float) and not positional:
        given["metavar"] = "N"
    if "metavar" in details:
        given["metavar"] = details["metavar"]

    if kinds == [bool]:
        if info.default is None:  # three values: yes, no, automatic
            return given | {"action": argparse.BooleanOptionalAction}
        return given | {"action": "store_false" if info.default else "store_true"}
    if choices := choices_of(info):
        given["choices"] = choices
    if "without_value" in details:
        return given | {"nargs": "?", "const": details["without_value"]}
    if get_origin(kinds[0]) is not tuple or "separator" in details:
        return given | ({"nargs": "?"} if positional and not required else {})

    items = get_args(kinds[0])
    if details.get("repeated"):
        inner = get_args(items[0]) if get_origin(items[0]) is tuple else ()
        many: Any = "+" if inner[-1:] == (Ellipsis,) else len(inner)
        return given | {"action": "append"} | ({"nargs": many} if inner else {})
    if items[-1] is not Ellipsis:
        return given | {"nargs": len(items)}
    return given | {"nargs": "*" if positional and not required else "+"}


def types_of(info: FieldInfo) -> tuple[Any, ...]:
    """Return the types of a union, or the one type of a field."""
    union = get_origin(info.annotation) in (Union, UnionType)
    return get_args(info.annotation) if union else (info.annotation,)


def choices_of(info: FieldInfo) -> tuple[Any, ...]:
    """Return the values that an option accepts; empty: any of its type."""
    if choices := extra_of(info).get("choices"):
        return tuple(choices)
    for kind in types_of(info):
        inner = get_args(kind)[0] if get_origin(kind) is tuple else kind
        if get_origin(inner) is Literal:
            return get_args(inner)
    return ()


def option_text(info: FieldInfo) -> str:
    """Return the description of an option, with the names of other options in it."""
    text = re.sub(
        r"`(\w+)`", lambda name: f"`{_option(name[1])}`", info.description or ""
    )
    text = f"{text[:1].upper()}{text[1:]}"
    return f"Not: {text[:1].lower()}{text[1:]}" if info.default is True else text


def _help(info: FieldInfo) -> str:
    """Return the help of an option: description, limits, default."""
    text = option_text(info).replace("`", "")
    notes = [limits_text(info)] if None not in limits(info) else []
    if info.default and isinstance(info.default, str | int | float | tuple):
        values = info.default if isinstance(info.default, tuple) else (info.default,)
        shown = " ".join(map(str, values))
        notes += [] if info.default is True else [f"default: {shown}"]
    return (text + (f" ({'; '.join(notes)})" if notes else "")).replace("%", "%%")
