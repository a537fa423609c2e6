"""Documentation of the settings: every key of settings.ini, from the fields."""

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from deeplabstream.plugins.discovery import discover
from deeplabstream.plugins.output import Output
from deeplabstream.plugins.trigger import DebounceSettings
from deeplabstream.settings.alarm_section import AlarmSection
from deeplabstream.settings.computer_section import ComputerSection
from deeplabstream.settings.fields import keys_of
from deeplabstream.settings.loading import FAMILIES, FIXED, NAMED
from deeplabstream.settings.rack_file import BoxSection, RackSection
from deeplabstream.settings.subject import Subject
from deeplabstream.settings.validation_messages import wording

_HEAD = (
    "# Settings reference\n\n`python utils/CheckSettings.py --describe "
    "docs/settings.md --overwrite` writes this page from\nthe classes; a test "
    "keeps it up to date. The shipped `settings.ini` is an example with\n"
    "comments. `python utils/CheckSettings.py` lists all problems of your "
    "file.\n\n* A comment needs its own line, starting with `#` or `;`.\n* Keys "
    "may be written in upper or lower case. *needed*: no default.\n* "
    "Values of a list are separated by commas. Relative paths start at the "
    "folder of\n  `settings.ini`.\n* `[Streaming]` RESOLUTION and FRAMERATE "
    "apply to each camera whose KIND has RESOLUTION\n  (or WIDTH and HEIGHT) or RATE, "
    "and that has no own value.\n"
)
_FAMILY = (
    "`KIND` is a class in the folder `{folder}/`; the keys depend on it. There "
    "may be several of\nthese sections, each with a different NAME.\n"
)
_RACK_FILE = (
    "A file of its own, which names the rigs of a rack; relative paths start at its "
    "folder.\n"
)
_EVERY = (
    "All times are measured on the frames' time stamps. All limits are off by "
    "default. Minimum\ndwell and exit delay start again after the animal was "
    "lost for more than HOLD_MS.\n"
)


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
        shared = (
            keys_of(DebounceSettings) if issubclass(contract, DebounceSettings) else {}
        )
        if shared:
            parts += ["### All kinds\n", _EVERY, _table(DebounceSettings)]
        elif contract is Output:
            shared = keys_of(Output)
            parts += ["### All kinds\n", _table(Output)]
        for name, kind in sorted(discover(folder, contract).classes.items()):
            parts += [f"### KIND = {name}\n", _first_line(kind), _table(kind, shared)]
    parts += ["## Rack file\n", _RACK_FILE]
    parts += ["### [Rack]\n", _first_line(RackSection), _table(RackSection)]
    parts += ["### [Box NAME]\n", _first_line(BoxSection)]
    parts += [_table(BoxSection, without=keys_of(Subject))]
    parts += ["### [Alarms]\n", _first_line(AlarmSection), _table(AlarmSection)]
    parts += ["### [Computer NAME]\n", _first_line(ComputerSection)]
    parts += [_table(ComputerSection)]
    return "\n".join(parts)


def format_value(value: object) -> str:
    """Return a value as written after KEY =."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list | set | frozenset):
        return ", ".join(format_value(part) for part in value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, Path):
        return value.as_posix()
    return "" if value is None else str(value)


def _first_line(kind: type) -> str:
    lines = (kind.__doc__ or "").strip().splitlines() or [""]
    return f"{lines[0]}\n"


def _table(kind: type, without: Container[str] = ()) -> str:
    rows = ["| key | meaning | value | default |", "|---|---|---|---|"]
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
    value = format_value(info.get_default(call_default_factory=True, validated_data={}))
    return f"`{value}`" if value else "empty"
