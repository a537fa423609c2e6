"""Run the boxes of a rack file, each in processes of its own: in a window, or headless.

    python utils/RunRack.py rack.ini
    python utils/RunRack.py rack.ini --headless
    python utils/RunRack.py rack.ini --capacity

Headless, it starts all boxes and ends when their experiments have ended. Ctrl-C stops all
boxes: outputs off, records closed. While it runs, it reads the commands `start NAME`,
`restart NAME`, `stop NAME`, `stop` (all boxes), `mark NAME TEXT` and `status`, one a line.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.core.visible_text import visible
from deeplabstream.engine.processes.termination import termination
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.paths import ROOT
from deeplabstream.plugins.remote import read_token
from deeplabstream.rack.alarms.address_file import read_addresses
from deeplabstream.rack.alarms.sender_process import SenderProcess
from deeplabstream.rack.bounded_output import BoundedOutput
from deeplabstream.rack.box_input import BoxInput
from deeplabstream.rack.box_load import StoppedError
from deeplabstream.rack.box_run import run_box
from deeplabstream.rack.box_status import EARLIER, box_folder
from deeplabstream.rack.capacity import (
    ARENA_RULE,
    RULE,
    RatedLoad,
    arena_sentence,
    sentence,
    table_head,
)
from deeplabstream.rack.capacity_run import CapacityRun
from deeplabstream.rack.page_process import PageProcess
from deeplabstream.rack.rack_check import check_box, checked_rigs
from deeplabstream.rack.rack_commands import CommandInput, CommandQueue
from deeplabstream.rack.rack_run import chosen_boxes, run_rack
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.rack_file import RackFile, load_rack
from deeplabstream.settings.sections import Settings
from deeplabstream.startup.standard_streams import outlive_full_disk

_STDIN, _STDOUT = 0, 1


@program_options
class RackOptions:
    """The rack file, and which of its boxes run."""

    file: Path = option(positional=True, metavar="FILE")
    """Rack file."""
    headless: bool = option(default=False)
    """No window: start the boxes and print their states."""
    only: tuple[str, ...] = option(default=(), metavar="NAME")
    """Start only these boxes; all are checked."""
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
    animal: str = option(default="", metavar="NAME")
    """With --box: the one of its ANIMALS that is in the box."""
    resume: bool = option(default=False)
    """With --headless: do not start boxes whose last run is over or that a user has stopped;
    a service starts the rack by this, such as after a power cut."""
    by_window: bool = option(default=False)
    """With --headless: start boxes on command only, and wait until standard input ends. The
    window starts the rack by this."""
    simulated: bool = option(default=False)
    """With --box: no device is opened; cameras and outputs are simulated."""
    arenas: int = option(default=0, ge=0, metavar="N")
    """With --simulated: use only so many of its arenas; 0: all."""
    capacity: bool = option(default=False)
    """Run nothing; measure how many of these boxes, and of the arenas of each, this computer
    carries, with simulated cameras and outputs. Ends with 1 if it carries fewer boxes than are
    chosen."""
    most: int = option(default=16, ge=1, le=100, metavar="N")
    """With --capacity: try at most so many boxes, copies of those of the file."""
    seconds: float = option(default=5.0, ge=1, le=3600, metavar="S")
    """With --capacity: measure each number of boxes so long."""
    json: Path | None = option(default=None, metavar="FILE")
    """With --capacity: write all figures there."""

    def __post_init__(self) -> None:
        if self.by_window and not self.headless:
            raise DeepLabStreamError(
                "by_window is for a rack without one: add headless"
            )
        if self.simulated and not self.box:
            raise DeepLabStreamError("simulated is for a single box: add box")
        if self.arenas and not self.simulated:
            raise DeepLabStreamError("arenas is for a simulated box: add simulated")
        if self.animal and not self.box:
            raise DeepLabStreamError("animal is for a single box: add box")
        if self.json is not None and not self.capacity:
            raise DeepLabStreamError(
                "json is for the figures of capacity: add capacity"
            )
        if self.token_file is not None and self.page is None:
            raise DeepLabStreamError("token_file is for the page: add page")


def run_headless_rack(options: RackOptions) -> int:
    """Run the rack without a window, or one of its boxes; return the exit code."""
    rack = load_rack(options.file)
    if options.box:
        (name,) = chosen_boxes(rack, [options.box])
        if not options.simulated:  # copies of a box share its devices, and open none
            check_box(rack, name)
        output = BoundedOutput(_STDOUT, box_folder(rack.path, name) / EARLIER)
        box = rack.boxes[name].with_arenas(options.arenas)
        if options.animal:
            box = box.with_animal(options.animal)
        given, simulated = BoxInput(_STDIN), options.simulated
        return run_box(rack.path, box, given, _print, output, simulated)

    names = chosen_boxes(rack, options.only)
    rigs = checked_rigs(rack)
    if options.capacity:
        return _measure_capacity(options, rack, {name: rigs[name] for name in names})
    outlive_full_disk()
    program = program_of("RunRack", rack.path)
    with (
        termination() as requests,
        _alarms(rack) as alarms,
        _page(options, rack, alarms) as commands,
    ):
        lines = CommandInput(_STDIN, commands)
        failures = run_rack(
            rack,
            () if options.by_window else names,
            lambda name: [*program, "--box", name],
            _print,
            requests,
            commands,
            alarms,
            lines if options.by_window else None,
            options.resume,
        )
    return requests.exit_code(1 if failures else 0, ctrl_c=1 if failures else 0)


def _measure_capacity(
    options: RackOptions, rack: RackFile, rigs: Mapping[str, Settings]
) -> int:
    """Print how many boxes and arenas this computer carries; return the exit code."""
    facts: dict[str, Any] = {"rule": RULE, "cores": os.cpu_count()}
    too_few = True
    with termination() as requests:

        def command(file: Path, name: str, arenas: int) -> list[str]:
            box = [*program_of("RunRack", file), "--box", name, "--simulated"]
            return [*box, "--arenas", str(arenas)] if arenas else box

        run = CapacityRun(
            rack,
            rigs,
            command,
            options.seconds,
            SystemClock(),
            lambda: requests.requested,
        )
        try:
            _print_table("boxes", run.measure(options.most), facts)
            _print(sentence(facts["carried"], options.most))
            too_few = facts["carried"] < len(rigs)
            for box in run.boxes_with_arenas():
                number = len(rigs[box].arenas)
                of_box: dict[str, Any] = {"rule": ARENA_RULE, "arenas": number}
                facts.setdefault("arenas", {})[box] = of_box
                tried = _print_table("arenas", run.measure_arenas(box), of_box)
                full = next(load for load in tried if load.arenas == number)
                _print(arena_sentence(box, of_box["carried"], full))
        except StoppedError:
            _print(f"Stopped: {requests.reason}.")

    if options.json is not None:
        write_json(options.json, facts)
    return requests.exit_code(int(too_few), ctrl_c=1)


def _print_table(
    what: str, found: Iterator[tuple[int, RatedLoad]], facts: dict[str, Any]
) -> list[RatedLoad]:
    """Print each measurement and add it to the facts, with the number that is carried."""
    tried: list[RatedLoad] = []
    facts["carried"], facts["tried"] = 0, []
    _print(table_head(what))
    for number, load in found:
        tried.append(load)
        facts["carried"] = number
        facts["tried"].append(load.facts())
        _print(load.row())
    return tried


def window_command(options: RackOptions, rack: RackFile) -> list[str]:
    """Return the command by which a window runs the rack."""
    command = [*program_of("RunRack", rack.path), "--headless", "--by-window"]
    if options.page is not None:
        command += ["--page", str(options.page)]
    if options.token_file is not None:
        command += ["--token-file", str(options.token_file.resolve())]
    return command


def program_of(name: str, rack: Path) -> list[str]:
    """Return the command that runs a program of `utils/` on a rack."""
    return [sys.executable, str(ROOT / "utils" / f"{name}.py"), str(rack)]


@contextmanager
def _page(
    options: RackOptions, rack: RackFile, alarms: SenderProcess | None
) -> Iterator[CommandQueue]:
    """Show the rack in the browser, if that is requested; yield what users request."""

    def lost(text: str) -> None:
        _print(text)
        if alarms is not None:
            alarms.raise_alarm("", text, urgent=False)

    commands = CommandQueue()
    if options.page is None:
        yield commands
        return

    check_packages("the page", ["starlette", "uvicorn", "httpx"])
    read_token(options.token_file)  # its problems are shown before a box starts
    command = [
        *program_of("ServePage", rack.path),
        "--by-rack",
        "--port",
        str(options.page),
    ]
    if options.token_file is not None:
        command += ["--token-file", str(options.token_file.resolve())]
    with closing(PageProcess(command, commands, _print, lost)):
        yield commands


@contextmanager
def _alarms(rack: RackFile) -> Iterator[SenderProcess | None]:
    """Send the alarms of the rack, if it says to whom; None: it does not."""
    if rack.alarms is None:
        yield None
        return

    check_packages("sending alarms", ["apprise"])
    # its problems are shown before a box starts
    addresses = read_addresses(rack.alarms.address_file)
    _print(f"Alarms are sent to {', '.join(addresses.names)}.")
    command = [*program_of("SendAlarms", rack.path), "--by-rack"]
    with SenderProcess(command, _print, SystemClock()) as sender:
        yield sender


def _print(text: str) -> None:
    print(visible(text, keep="\n"), flush=True)
