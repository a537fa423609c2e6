"""Command line of a program: the options that all programs share, and quoted arguments."""

import argparse
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files import rig_folder
from deeplabstream.files.plugin_trust import TRUST

COMMAND = "deeplabstream"
"""The installed command; `deeplabstream.cli` starts programs as `deeplabstream NAME`."""
NO_RIG = (
    "there is no rig folder: start inside one, name one by --rig FOLDER, or make one by "
    "`deeplabstream new FOLDER`"
)


def quoted(word: object) -> str:
    """Return an argument for display, in quotes where a shell needs them.

    On Windows these suit Command Prompt and PowerShell.
    """
    text = str(word)
    if sys.platform != "win32":
        return shlex.quote(text)
    if re.fullmatch(r"[\w.:\\/=+-]+", text):
        return text
    # programs read \" as a quotation mark, and \\ as a backslash before one
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)
    return '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'


class ProgramParser(argparse.ArgumentParser):
    """An argument parser with `--rig`, which chooses the rig folder, and `--trust`.

    `rig=False`: the program has an option `--rig` itself, or uses no rig. `trust=False`: it
    has an option `--trust` itself.
    """

    def __init__(
        self,
        *,
        prog: str | None = None,
        rig: bool = True,
        trust: bool = True,
        **more: Any,
    ) -> None:
        started = sys.argv[0].startswith(f"{COMMAND} ")
        # not the parser of a sub-command
        if started and not (prog or "").startswith(COMMAND):
            prog = sys.argv[0]
        super().__init__(prog=prog, add_help=False, **more)
        self.add_argument("-h", "--help", action="help", help="Show this help and exit")
        if rig:
            self.add_argument(
                "--rig",
                action=_UseRig,
                type=_rig,
                metavar="FOLDER",
                default=argparse.SUPPRESS,
                help="Rig folder: its settings, plug-ins and networks (default: this "
                "folder if it holds a settings.ini, else that of the program)",
            )
        if rig and trust:
            self.add_argument(
                "--trust",
                action=_Trust,
                nargs=0,
                default=argparse.SUPPRESS,
                help="Run the plug-ins of the rig folder although they are new to this "
                "computer, or have changed",
            )


class _UseRig(argparse.Action):
    """Option `--rig`: use a folder as the rig."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | Sequence[str] | None = None,
    ) -> None:
        rig_folder.use(values)


class _Trust(argparse.Action):
    """Option `--trust`: confirm the plug-ins of the rig."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | Sequence[str] | None = None,
    ) -> None:
        TRUST.answered = True


def _rig(word: str) -> Path:
    folder = Path(word)
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {word}")
    if not (folder / rig_folder.SETTINGS).is_file():
        raise argparse.ArgumentTypeError(
            f"{word} is not a rig folder: it has no settings.ini"
        )
    return folder


def rig_settings() -> Path:
    """Return the settings file of the rig folder; DeepLabStreamError: there is no rig."""
    path = rig_folder.settings_file()
    if path is None:
        raise DeepLabStreamError(NO_RIG)
    return path
