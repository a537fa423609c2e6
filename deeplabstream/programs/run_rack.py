"""Run the boxes of a rack file, each in processes of its own, until their experiments end.

    python utils/RunRack.py rack.ini --headless

Ctrl-C stops all boxes: outputs off, records closed. While it runs, it reads the commands
`start NAME`, `stop NAME`, `stop` (all boxes) and `status`, one a line.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.core.visible_text import visible
from deeplabstream.engine.processes.termination import termination
from deeplabstream.files.paths import ROOT
from deeplabstream.plugins.remote import read_token
from deeplabstream.programs.program import Program
from deeplabstream.rack.bounded_output import BoundedOutput
from deeplabstream.rack.box_run import run_box
from deeplabstream.rack.box_status import EARLIER, box_folder
from deeplabstream.rack.page_process import PageProcess
from deeplabstream.rack.rack_check import checked_rigs
from deeplabstream.rack.rack_commands import CommandInput, CommandQueue
from deeplabstream.rack.rack_run import chosen_boxes, run_rack
from deeplabstream.rack.stop_line import StopLine
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.rack_file import RackFile, load_rack

_STDIN, _STDOUT = 0, 1


@program_options
class RackOptions:
    """The rack file, and which of its boxes run."""

    file: Path = option(positional=True, metavar="FILE")
    """Rack file."""
    headless: bool = option(default=False)
    """No window; required, as a rack has none yet."""
    only: tuple[str, ...] = option(default=(), metavar="NAME")
    """Run only these boxes; all are checked."""
    page: int | None = option(
        default=None, without_value="8080", ge=0, le=65535, metavar="PORT"
    )
    """Show the rack on a page in the browser at this port of this computer; 0: any that is
    free."""
    token_file: Path | None = option(default=None, metavar="FILE")
    """File with the token by which viewers of the page may start and stop boxes; without one
    they can look only."""
    box: str = option(default="", metavar="NAME")
    """Run this box alone, in this process, until its standard input ends; the rack starts
    its boxes by this."""

    def __post_init__(self) -> None:
        if not (self.headless or self.box):
            raise DeepLabStreamError("a rack has no window yet: add --headless")
        if self.token_file is not None and self.page is None:
            raise DeepLabStreamError("token_file is for the page: add page")


def run(options: RackOptions) -> int:
    """Run the rack, or one of its boxes; return the exit code."""
    rack = load_rack(options.file)
    if options.box:
        (name,) = chosen_boxes(rack, [options.box])
        output = BoundedOutput(_STDOUT, box_folder(rack.path, name) / EARLIER)
        box = rack.boxes[name]
        return run_box(rack.path, box, StopLine(_STDIN), _print, output)

    names = chosen_boxes(rack, options.only)
    checked_rigs(rack)
    program = _program("RunRack", rack)
    with termination() as requests, _page(options, rack) as commands:
        CommandInput(_STDIN, commands)
        failures = run_rack(
            rack,
            names,
            lambda name: [*program, "--box", name],
            _print,
            requests,
            commands,
        )
    return requests.exit_code(1 if failures else 0, ctrl_c=1 if failures else 0)


def _program(name: str, rack: RackFile) -> list[str]:
    return [sys.executable, str(ROOT / "utils" / f"{name}.py"), str(rack.path)]


@contextmanager
def _page(options: RackOptions, rack: RackFile) -> Iterator[CommandQueue]:
    """Show the rack in the browser, if that is requested; yield what users request."""
    commands = CommandQueue()
    if options.page is None:
        yield commands
        return

    check_packages("the page", ["starlette", "uvicorn"])
    read_token(options.token_file)  # its problems are shown before a box starts
    command = [*_program("ServePage", rack), "--by-rack", "--port", str(options.page)]
    if options.token_file is not None:
        command += ["--token-file", str(options.token_file.resolve())]
    with closing(PageProcess(command, commands, _print)):
        yield commands


def _print(text: str) -> None:
    print(visible(text, keep="\n"), flush=True)


PROGRAM = Program(RackOptions, run, __doc__, "RunRack", uses_rig=False)
