"""Page of the documentation on all programs and their options, from their settings classes.

python -m tools.program_docs docs/program_options.md
"""

import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from deeplabstream.cli import TASKS, Command
from deeplabstream.files.paths import ROOT
from deeplabstream.programs.program import Program, ProgramGroup
from deeplabstream.settings.option_fields import (
    choices_of,
    extra_of,
    limits,
    limits_text,
    option_fields,
    option_name,
    option_text,
)

BEGINNING = """# Options of the programs

Each program is a file in `utils/` and a sub-command of `deeplabstream`. All take `--help`, and
`--rig FOLDER`: the rig folder with settings, plug-ins and networks; `--trust` runs its
plug-ins without a question.
[programs.md](programs.md) has examples by task.

This page is written by `python -m tools.program_docs docs/program_options.md` from the settings
classes of the programs.
"""


def page() -> str:
    """Return docs/program_options.md."""
    parts = [BEGINNING]
    for task, commands in TASKS.items():
        parts.append(f"## {task}\n")
        for name, command in commands.items():
            parts += _program(name, command)
    return "\n".join(parts)


def _program(name: str, command: Command) -> Iterator[str]:
    """Yield the section of a program: what it does, and its options."""
    program = _program_of(command)
    if program is None:
        return
    summary = (program.about or "").partition("\n\n")[0]
    yield f"### {name}\n"
    file = f"{command.module.replace('.', '/')}.py"
    yield f"`{file}`. {' '.join(summary.split())}\n"
    if isinstance(program, ProgramGroup):
        for word, part in program.programs.items():
            yield f"`{word}`: {' '.join((part.about or '').split())}\n"
            yield from options_table(part.options)
    else:
        yield from options_table(program.options)


def _program_of(command: Command) -> Program[Any] | ProgramGroup | None:
    """Return the program of a sub-command; None: it has no settings class."""
    stub = ROOT / f"{command.module.replace('.', '/')}.py"
    module = re.search(r'main_of\("([\w.]+)"\)', stub.read_text("utf-8"))
    if module is None:
        return None
    program: Program[Any] | ProgramGroup = import_module(module[1]).PROGRAM
    return program


def options_table(kind: type) -> Iterator[str]:
    """Yield the table of the options of a settings class."""
    rows = [
        _row(name, info)
        for name, info in option_fields(kind).items()
        if not extra_of(info).get("internal") and name not in ("command", "progress")
    ]
    if rows:
        yield "| option | value | default | |\n|---|---|---|---|"
        yield "\n".join(rows) + "\n"


def _row(name: str, info: FieldInfo) -> str:
    """Return the row of an option: its names, value, default and description."""
    details = extra_of(info)
    names = [name] if details.get("positional") else [option_name(name, info)]
    names += details.get("aliases", ())
    default = "required" if info.is_required() else _default(info.default)
    cells = [
        ", ".join(f"`{name}`" for name in names),
        _value(info),
        default,
        option_text(info),
    ]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(value: object) -> str:
    if value in (None, "", (), False, True):
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _value(info: FieldInfo) -> str:
    """Return what an option takes: a number with its limits, one of the choices."""
    if choices := choices_of(info):
        return ", ".join(map(str, choices))
    if isinstance(info.default, bool):
        return ""
    if limits(info) != (None, None):
        return limits_text(info)
    metavar = extra_of(info).get("metavar", "")
    return " ".join(metavar) if isinstance(metavar, tuple) else metavar


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page to the file that is named."""
    (name,) = sys.argv[1:] if argv is None else argv
    Path(name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
