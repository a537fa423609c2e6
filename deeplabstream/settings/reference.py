"""Every key that settings.ini may have, written from the fields themselves."""

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from deeplabstream.plugins.debounce import Debounce
from deeplabstream.plugins.discovery import discover
from deeplabstream.plugins.output import Output
from deeplabstream.settings.fields import keys_of
from deeplabstream.settings.loading import FAMILIES, FIXED, NAMED
from deeplabstream.settings.validation_messages import wording

_HEAD = """\
# settings.ini, key by key

This page is written by `python utils/CheckSettings.py --describe docs/settings.md --overwrite` from
the classes themselves; a test sees to it that it stays true. `settings.ini` as it comes is
an example with comments, and `python utils/CheckSettings.py` lists all that is wrong with
yours.

* A comment has a line of its own, starting with `#` or `;`.
* Keys may be written in any case. *needed*: there is no default.
* Lists have commas between their values. Relative paths start at the folder of
  `settings.ini`.
* `[Streaming]` RESOLUTION, FRAMERATE and STREAMS count for each camera that does not say its
  own; what `[Camera NAME]` says wins.
"""
_FAMILY = """\
`KIND` is a class in the folder `{folder}/`; the keys depend on it. There may be as many of
these sections as you like, each with its own NAME.
"""
_EVERY = """\
All of this goes by the frames' times, and is off unless said. Seconds of dwell and delay
begin afresh once the animal was lost for more than HOLD_MS.
"""


def describe() -> str:
    """Return docs/settings.md."""
    parts = [_HEAD]
    for title, kind in FIXED.items():
        parts += [f"## [{title}]\n", _first_line(kind), _table(kind)]
    for family, kind in NAMED.items():
        if family not in FIXED:
            parts += [f"## [{family} NAME]\n", _first_line(kind), _table(kind)]
    for family, (folder, contract) in FAMILIES.items():
        parts += [f"## [{family} NAME]\n", _FAMILY.format(folder=folder.__name__)]
        shared = keys_of(Debounce) if issubclass(contract, Debounce) else {}
        if shared:
            parts += ["### Whatever the KIND\n", _EVERY, _table(Debounce)]
        elif contract is Output:
            shared = keys_of(Output)
            parts += ["### Whatever the KIND\n", _table(Output)]
        for name, kind in sorted(discover(folder, contract).classes.items()):
            parts += [f"### KIND = {name}\n", _first_line(kind), _table(kind, shared)]
    return "\n".join(parts)


def written(value: object) -> str:
    """Return a value as it is written behind KEY =."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list | set | frozenset):
        return ", ".join(written(part) for part in value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, Path):
        return value.as_posix()
    return "" if value is None else str(value)


def _first_line(kind: type) -> str:
    lines = (kind.__doc__ or "").strip().splitlines() or [""]
    return f"{lines[0]}\n"


def _table(kind: type, without: Container[str] = ()) -> str:
    rows = ["| key | what it says | value | default |", "|---|---|---|---|"]
    rows += _rows(
        (key, what) for key, what in keys_of(kind).items() if key not in without
    )
    return "\n".join(rows) + "\n"


def _rows(keys: Any) -> Iterator[str]:
    for key, (_, info) in keys:
        value = wording(info.annotation, info.metadata)
        cells = (key, info.description or "", value, _default(info))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "*needed*"
    value = written(info.get_default(call_default_factory=True, validated_data={}))
    return f"`{value}`" if value else "empty"
