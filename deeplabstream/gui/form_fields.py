"""Fields of a program's form, made from the fields of its settings dataclass."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, cast, get_args, get_origin

from pydantic.fields import FieldInfo

from deeplabstream.settings.option_fields import (
    Editor,
    OptionExtra,
    choices_of,
    extra_of,
    limits,
    option_fields,
    option_name,
    option_text,
    types_of,
)

_SHOWN = (
    "advanced", "initial", "decimals", "scale", "unit", "empty", "filter", "folders",
)  # fmt: skip
"""Entries of `OptionExtra` that a FormField takes as they are."""
_LARGEST = 100_000
"""Limit of a number that has no limit of its own: a box in the form needs one."""


@dataclass(frozen=True)
class FormField:
    """An option of a program, and how a user fills it in."""

    option: str
    """`--steps`; empty: arguments without an option before them."""
    label: str
    hint: str
    kind: Editor
    required: bool = False
    advanced: bool = False
    """Folded at first."""
    default: str = ""
    """The argument that the program uses where the option is left out."""
    initial: str = ""
    """Initial value of a number without a default."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """Arguments for the program, by label."""
    lowest: float = 0
    highest: float = _LARGEST
    decimals: int = 0
    scale: float = 1
    """A number is shown multiplied by this."""
    unit: str = ""
    empty: str = "none"
    """Text shown if no network is selected."""
    filter: str = ""
    """Editors of files to choose from, as Qt writes them."""
    folders: bool = False
    """Whether a folder can be chosen in place of a file."""
    free: bool = False
    """Whether a value that is not among the choices can be typed."""

    @property
    def key(self) -> str:
        """Its name among the fields of a program."""
        return self.option or self.label

    def arguments(self, values: Sequence[str]) -> list[str]:
        """Return the command-line arguments for these values."""
        if not values or list(values) == self.default.split():
            return []
        if self.kind == "flag":
            return [self.option]
        return [self.option, *values] if self.option else [*values]


def form_fields(kind: type, *, without: Collection[str] = ()) -> tuple[FormField, ...]:
    """Return the fields of a settings dataclass that have a title, required ones first."""
    fields = [
        form_field(name, info)
        for name, info in option_fields(kind).items()
        if info.title and name not in without
    ]
    return tuple(sorted(fields, key=lambda field: not field.required))


def form_field(name: str, info: FieldInfo) -> FormField:
    """Return the field of a form for a field of a settings dataclass."""
    details = extra_of(info)
    kind = _kind(info, details)
    low, high = limits(info)
    shown_as = {
        key: details[key]
        for key in (
            "advanced",
            "initial",
            "decimals",
            "scale",
            "unit",
            "empty",
            "filter",
            "folders",
        )
        if key in details
    }
    return FormField(
        option="" if details.get("positional") else option_name(name, info),
        label=info.title or name,
        hint=option_text(info).replace("`", ""),
        kind=kind,
        required=info.is_required() or details.get("needed", False),
        default=_default(info, kind),
        choices=_choices(info, details, kind),
        lowest=0 if low is None else low,
        highest=_LARGEST if high is None else high,
        **cast("dict[str, Any]", shown_as),
    )


def _kind(info: FieldInfo, details: OptionExtra) -> Editor:
    """Return what edits a field: as declared, else by its type."""
    if "editor" in details:
        return details["editor"]
    if details.get("presets"):
        return "choice"

    types = [one for one in types_of(info) if one is not NoneType]
    listed = get_origin(types[0]) is tuple
    inner = get_args(types[0])[0] if listed else types[0]
    if choices_of(info):
        return "several" if listed else "choice"
    if inner is bool:
        return "flag"
    if inner is Path:
        return "paths" if listed else "path"
    if inner in (int, float) and not listed and info.default is not None:
        return "number"
    return "texts" if listed else "text"


def _default(info: FieldInfo, kind: Editor) -> str:
    """Return the argument that an option has where it is left out."""
    value = info.default
    if info.is_required() or value is None or kind == "flag":
        return ""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:.12g}" if isinstance(value, int | float) else str(value)


def _choices(info: FieldInfo, details: OptionExtra, kind: Editor) -> Mapping[str, str]:
    """Return the arguments that can be chosen, by label."""
    if kind == "device":
        return {"CPU": "cpu"}
    if kind not in ("choice", "several"):
        return {}
    if presets := details.get("presets"):
        return presets
    choices = {str(choice): str(choice) for choice in choices_of(info)}
    # without an entry for "left out", a form would always give the first choice
    left_out = {"default": ""} if kind == "choice" and info.default == "" else {}
    return left_out | choices
