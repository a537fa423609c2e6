"""Cell formats of run tables: text, trigger states, point flags and commands.

Each format is written and parsed here, so that what was written is read back equal.
"""

import re
from collections.abc import Mapping

from deeplabstream.core.command import Command, Mark, OutputName, Pulse, Set, Train
from deeplabstream.core.pose import Skeleton

STATES = {True: "1", False: "0", None: "unknown"}
"""Cells of `triggers.csv`, column `answer`."""
STATE_NAMES = {True: "true", False: "false", None: "unknown"}
"""Names of the states in exports and in audits."""
FLAG_CELLS = {True: "1", False: "0", None: ""}
"""Cells of true, false and unknown in `CAMERA.csv`."""
_STATE_OF = {"1": True, "0": False}

_DECIMAL = r"-?\d{1,12}(?:\.\d{0,20})?(?:e[-+]?\d\d?)?"
_COMMAND = re.compile(rf"set|pulse {_DECIMAL}|train {_DECIMAL} {_DECIMAL} \d{{1,9}}")


def text_cell(text: str) -> str:
    """Return free text as one cell on one line, quoted where needed."""
    line = " ".join(text.splitlines())
    if any(sign in line for sign in ',"'):
        return '"' + line.replace('"', '""') + '"'
    return line


def parse_state(cell: str) -> bool | None:
    """Return the trigger state of a cell: True, False, or None when it is unknown."""
    return _STATE_OF.get(cell)


def flags_text(flags: Mapping[str, str]) -> str:
    """Return flags by name as one text: `snout jump; tail jump+held`."""
    return "; ".join(f"{name} {flag}" for name, flag in flags.items())


def flags_cell(flags: Mapping[str, str]) -> str:
    """Return flags by name as one cell."""
    return text_cell(flags_text(flags))


def parse_flags(cell: object) -> dict[str, str]:
    """Return the flags of a cell by name; empty for a missing cell."""
    if not isinstance(cell, str):
        return {}
    pairs = (entry.rpartition(" ") for entry in cell.split("; ") if entry)
    return {name: flag for name, _, flag in pairs}


def identity_of(skeleton: Skeleton, flags: Mapping[str, str]) -> tuple[str, ...]:
    """Return `Pose.identity`: the flag of each animal by its name."""
    return tuple([flags.get(name, "") for name in skeleton.animals])


def command_cells(command: Command) -> tuple[str, str, str]:
    """Return name, level and text of a command as cells."""
    match command:
        case Mark(text):
            return "", "", text_cell(text)
        case Pulse(_, seconds, _):
            what = f"pulse {seconds!r}"
        case Train(_, frequency, width_s, count, _):
            what = f"train {frequency!r} {width_s!r} {count}"
        case Set():
            what = "set"
    return text_cell(command.output), repr(float(command.level)), what


def is_command(text: str) -> bool:
    """Return whether `parse_command` can read the text of a command's row."""
    return _COMMAND.fullmatch(text) is not None


def parse_command(row: Mapping[str, str]) -> Command:
    """Return the command of a row of `events.csv`, kind `command` or `mark`."""
    if row["kind"] == "mark":
        return Mark(row["text"])
    output, level = OutputName(row["name"]), float(row["level"])
    if row["text"] == "set":
        return Set(output, level)
    what, *numbers = row["text"].split()
    if what == "train":
        frequency, width_s, count = numbers
        return Train(output, float(frequency), float(width_s), int(count), level)
    return Pulse(output, float(numbers[0]), level)
