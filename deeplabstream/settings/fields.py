"""Fields: a section of settings.ini and the dataclass that it fills."""

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from deeplabstream.core.errors import SettingsError
from deeplabstream.settings.ini_reading import SectionTexts
from deeplabstream.settings.validation_messages import (
    complaint,
    guess,
    is_list,
    leaves,
    takes_nothing,
)

_PASSWORD = re.compile(r"((?:^|//)[^\s:@/]+):(?!//).*@")
"""User and password in an address, even if it is mistyped."""
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Maker(Generic[T_co]):
    """A class and its values; each call makes a new object."""

    kind: type[T_co]
    values: Mapping[str, Any]

    def __call__(self) -> T_co:
        """Return a new object."""
        return self.kind(**self.values)


@dataclass
class Section(Generic[T]):
    """One section while it is being read; collects its faults."""

    title: str
    kind: type[T]
    texts: SectionTexts
    folder: Path
    problems: list[str] = field(default_factory=list)
    bad: set[str] = field(default_factory=set)
    """Keys that have a problem."""

    def maker(self, moved: Callable[[str], str | None]) -> Maker[T] | None:
        """Return a `Maker` of the object; None, with `problems`, after an error.

        `moved` returns the key that replaces one of version 1.
        """
        if own := missing_settings_decorator(self.kind):
            self.problems.append(f"[{self.title}] KIND = {self.kind.__name__}: {own}")
            return None
        known, former = keys_of(self.kind), former_keys(self.kind)
        values: dict[str, Any] = {}
        for key, word in self.texts.items():
            if key in known:
                value = self.cut(word, known[key][1])
                if _finite(value, known[key][1]):
                    values[known[key][0]] = value
                else:
                    self.complain(key, "expected a finite number")
            elif word in former.get(key, ()):
                continue
            elif place := moved(key):
                self.complain(key, place)
            else:
                self.complain(key, f"unknown{guess(key, known)}")
        maker = Maker(self.kind, values)
        made = self.made(maker)
        return maker if made is not None and not self.problems else None

    def complain(self, key: str, sentence: str) -> None:
        """Add a problem of one key."""
        self.bad.add(key)
        word = self.texts.get(key)
        shown = _PASSWORD.sub(r"\1:…@", word or "")
        value = "" if word is None else f" = {shorten(shown, 80) or '(empty)'}"
        self.problems.append(f"[{self.title}] {key}{value}: {sentence}")

    def cut(self, word: str, info: FieldInfo) -> Any:
        """Return the value as pydantic expects it: None, a text, or a list of texts."""
        annotation = info.annotation
        if not word and takes_nothing(annotation):
            return None
        parts = [part.strip() for part in word.split(",")] if word else []
        if leaves(annotation) == {Path}:
            parts = [str(self.folder / part) for part in parts]
            word = str(self.folder / word) if word else word
        return parts if is_list(annotation) else word

    def made(self, maker: Maker[T]) -> T | None:
        """Return the object; None, with `problems`, after an error."""
        try:
            return maker()
        except ValidationError as error:
            self._explain(error.errors(include_url=False))
        except Exception as error:  # a lab's own class can raise any exception
            self.problems.append(
                f"[{self.title}]: {str(error) or type(error).__name__}"
            )
        return None

    def _explain(self, errors: Sequence[ErrorDetails]) -> None:
        known = keys_of(self.kind)
        by_field: dict[str, list[ErrorDetails]] = {}
        for error in errors:
            place = str(error["loc"][0]) if error["loc"] else ""
            by_field.setdefault(place, []).append(error)
        for name, found in by_field.items():
            key = name.upper()
            if not name:
                whole = complaint(found, str)
                self.problems.append(f"[{self.title}] {whole}")
            elif key not in self.texts:
                about = known[key][1].description if key in known else None
                self.complain(key, "is missing" + (f" ({about})" if about else ""))
            elif found[0]["type"] != "missing" or len(found[0]["loc"]) > 1:
                problem = complaint(found, known[key][1].annotation)
                if found[0]["type"] == "string_pattern_mismatch":
                    problem = f"wrong format; expected {known[key][1].description}"
                self.complain(key, problem)


def keys_of(kind: type) -> dict[str, tuple[str, FieldInfo]]:
    """Return the keys of a settings class: KEY to the field's name and description."""
    infos = cast("dict[str, FieldInfo]", getattr(kind, "__pydantic_fields__", {}))
    return {
        name.upper(): (name, info)
        for name, info in infos.items()
        if info.init is not False and not name.startswith("_")
    }


def about_kind(kind: type) -> str:
    """Return the first line of the docstring of a KIND."""
    lines = (kind.__doc__ or "").strip().splitlines()
    return lines[0].replace("`", "") if lines else ""


_UNITS = {
    "S": "s",
    "MS": "ms",
    "US": "µs",
    "MINUTES": "min",
    "HZ": "Hz",
    "PX": "px",
    "MM": "mm",
    "MB": "MB",
    "V": "V",
    "PERCENT": "%",
}
"""Suffixes of keys that name a unit."""
_CAPITALS = {"URL", "UDP", "CTI", "PWM", "MJPG"}


def label_of(key: str, info: FieldInfo) -> str:
    """Return the label of a key: `title` of its field, else made from the key.

    >>> from pydantic import Field
    >>> label_of("MAX_ON_S", Field(60.0))
    'Max on (s)'
    >>> label_of("PATIENCE_S", Field(0.5, title="Camera time-out (s)"))
    'Camera time-out (s)'
    """
    if info.title:
        return info.title
    parts = key.split("_")
    unit = _UNITS.get(parts[-1]) if len(parts) > 1 else None
    shown = [word if word in _CAPITALS else word.lower() for word in parts]
    text = " ".join(shown[:-1] if unit else shown)
    return f"{text[:1].upper()}{text[1:]}{f' ({unit})' if unit else ''}"


def is_advanced(kind: type, name: str, info: FieldInfo) -> bool:
    """Return whether most users leave a field at its default.

    `json_schema_extra={"advanced": …}` of the field says so; else these are the optional
    fields that all kinds of a family share.
    """
    extra = info.json_schema_extra
    if isinstance(extra, dict) and "advanced" in extra:
        return bool(extra["advanced"])
    return is_shared(kind, name) and not info.is_required()


def is_basic(kind: type, name: str, info: FieldInfo) -> bool:
    """Return whether a first rig needs a value: required, or declared as not advanced."""
    extra = info.json_schema_extra
    declared = isinstance(extra, dict) and extra.get("advanced") is False
    return info.is_required() or (declared and not is_shared(kind, name))


def is_shared(kind: type, name: str) -> bool:
    """Return whether a field belongs to all kinds of a family."""
    owner = next(
        (base for base in kind.__mro__ if name in inspect.get_annotations(base)), kind
    )
    return owner.__module__.startswith("deeplabstream.plugins.")


def former_keys(kind: type) -> Mapping[str, frozenset[str]]:
    """Return keys of earlier versions, and the values with which they are ignored."""
    keys: Mapping[str, frozenset[str]] = getattr(kind, "former_keys", {})
    return keys


def with_changed_key(thing: T, title: str, key: str, word: str) -> T:
    """Return settings with another value of one key; SettingsError: it is invalid."""
    kind: type[T] = type(thing)
    section = Section(title, kind, {key: word}, Path())
    known = keys_of(kind)
    if key not in known:
        raise SettingsError([f"[{title}] {key}: {kind.__name__} has no such setting"])
    now = {name: getattr(thing, name) for name, _ in known.values()}
    value = section.cut(word, known[key][1])
    made = section.made(Maker(kind, {**now, known[key][0]: value}))
    if made is None:
        raise SettingsError(section.problems)
    return made


def missing_settings_decorator(kind: type) -> str | None:
    """Return a sentence if a class lacks the decorator `@settings`; else None."""
    own = {
        name
        for name, what in inspect.get_annotations(kind).items()
        if name[0] != "_" and "ClassVar" not in str(what)
    }
    if own and "__pydantic_fields__" not in vars(kind):
        return (
            "its class needs @settings above it "
            "(from pydantic.dataclasses import dataclass as settings)"
        )
    return None


def _finite(value: Any, info: FieldInfo) -> bool:
    if isinstance(value, list):
        return all(_finite(part, info) for part in value)
    if value is None or float not in leaves(info.annotation):
        return True
    try:
        return math.isfinite(float(value))
    except ValueError:
        return True  # pydantic reports the error
