"""Program: its command line is made from its settings dataclass."""

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.settings.option_fields import (
    add_options,
    option_fields,
    with_option_names,
)
from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.startup.program import ending

Options = TypeVar("Options")


@dataclass(frozen=True)
class Program(Generic[Options]):
    """A program: the dataclass of its options, and what it does with them."""

    options: type[Options]
    run: Callable[[Options], int]
    """Does the work; returns the exit code. DeepLabStreamError: a sentence for the user."""
    about: str | None
    """Docstring of the module: what the program does, with examples."""
    name: str
    """Name of the file in `utils/`, without .py."""
    stopped: str = "stopped"
    """Sentence after Ctrl-C."""
    uses_rig: bool = True
    """Whether `--rig` chooses a rig folder."""

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Read the command line, do the work and return the exit code."""
        return ending(self.stopped)(self._main)(argv)

    def parser(self) -> ProgramParser:
        """Return the parser of the command line."""
        fields = option_fields(self.options)
        parser = ProgramParser(
            prog=f"{self.name}.py",
            rig=self.uses_rig and "rig" not in fields,
            trust="trust" not in fields,
            description=self.about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        set_here = [name for name in ("command", "progress") if name in fields]
        add_options(parser, self.options, without=set_here)
        if "progress" in set_here:
            _add_progress(parser)
        return parser

    def read(self, argv: Sequence[str] | None = None) -> Options:
        """Return the options of a command line; SystemExit: they are not possible."""
        given = sys.argv[1:] if argv is None else list(argv)
        parser = self.parser()
        return self.made(parser, vars(parser.parse_args(given)), given)

    def made(
        self, parser: ProgramParser, values: dict[str, Any], given: Sequence[str]
    ) -> Options:
        """Return the options with these values; the parser reports what is not possible."""
        fields = option_fields(self.options)
        if "rig" not in fields:
            values.pop("rig", None)  # the rig folder has already been applied
        if "command" in fields:
            values["command"] = shlex.join(["python", f"utils/{self.name}.py", *given])
        try:
            return self.options(**values)
        except DeepLabStreamError as error:
            parser.error(with_option_names(str(error), self.options))

    def _main(self, argv: Sequence[str] | None) -> int:
        return self.run(self.read(argv))


@dataclass(frozen=True)
class ProgramGroup:
    """A program with sub-commands: each has options of its own."""

    programs: Mapping[str, Program[Any]]
    """By sub-command."""
    about: str | None
    name: str
    options: type | None = None
    """Options before the sub-command, which the options of each program include."""
    stopped: str = "stopped"

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Read the command line, do the work and return the exit code."""
        return ending(self.stopped)(self._main)(argv)

    def parser(self) -> ProgramParser:
        """Return the parser of the command line."""
        parser = ProgramParser(
            prog=f"{self.name}.py",
            description=self.about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        shared = () if self.options is None else tuple(option_fields(self.options))
        if self.options is not None:
            add_options(parser, self.options)
        commands = parser.add_subparsers(
            dest="sub_command", required=True, metavar="|".join(self.programs)
        )
        for name, program in self.programs.items():
            about = program.about
            own = commands.add_parser(name, rig=False, help=about, description=about)
            add_options(own, program.options, without=shared)
        return parser

    def _main(self, argv: Sequence[str] | None) -> int:
        given = sys.argv[1:] if argv is None else list(argv)
        parser = self.parser()
        values = vars(parser.parse_args(given))
        program = self.programs[values.pop("sub_command")]
        return program.run(program.made(parser, values, given))


def _add_progress(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose how progress is shown: the field `progress`."""
    parser.add_argument(
        "--quiet", action="store_const", const="none", dest="progress", default="bar",
        help="No progress bar",
    )  # fmt: skip
    parser.add_argument(
        "--tell", action="store_const", const="json", dest="progress",
        help="Report progress as lines of JSON",
    )  # fmt: skip
