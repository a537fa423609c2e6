"""Faults planted in a rack: how soon each is alarmed, what goes on, what the record says.

    python benchmarks/alarms.py                      22 faults, one after another
    python benchmarks/alarms.py --only "kill engine" those whose name contains the text
    python benchmarks/alarms.py --at-once 2 --json FILE

A rack of two boxes with simulated cameras, each with an output that is on, sends its alarms
to an HTTP server on this computer. A fault is planted in the left box, the rack or the way of
the alarm. Seconds are those until the alarm has arrived. The limits of the rigs are long, for
busy computers: a suspended process does not switch an output off at once. Linux only.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.clock import rest
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.rack.box_status import BoxStatus
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_repair import repair
from tests.rack.alarms.alarm_services import (
    Service,
    address_file,
    http_service,
    json_address,
)
from tests.rack.test_rack_run import OFF, Rack, two_boxes

LIMIT_S = 60.0
"""Time within which a fault has to be alarmed."""
CAMERA = "camera arena"


@dataclass
class Outcome:
    """What came of one fault."""

    fault: str
    seconds: float | None = None
    """Until the alarm has arrived; None: it has not."""
    alarm: str = ""
    output: str = ""
    """Output of the left box afterwards."""
    other: str = ""
    """What the right box did."""
    record: str = ""
    """Record of the left box."""


@dataclass
class Trial:
    """A rack that a fault is planted in."""

    rack: Rack
    service: Service
    second: Service
    """Where a second address of the same rack leads."""
    suspended: list[int] = field(default_factory=list)

    @property
    def status(self) -> BoxStatus:
        """The last report of the left box."""
        status = self.rack.status("left")
        if status is None:
            raise RuntimeError("the left box has not reported")
        return status

    def kill(self, *names: str) -> None:
        """Kill processes of the left box."""
        for name in names or [*self.status.processes]:
            with suppress(ProcessLookupError):
                os.kill(self.status.processes[name], signal.SIGKILL)

    def suspend(self, *names: str) -> None:
        """Suspend processes of the left box."""
        for name in names or [*self.status.processes]:
            self.suspend_process(self.status.processes[name])

    def suspend_process(self, pid: int) -> None:
        """Suspend a process until the end of the trial."""
        self.suspended.append(pid)
        os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let all suspended processes go on."""
        for pid in self.suspended:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def sender(self) -> psutil.Process:
        """Return the process that sends the alarms."""
        children = psutil.Process(self.rack.running.pid).children()
        return next(it for it in children if "SendAlarms" in " ".join(it.cmdline()))

    def fill_disk(self) -> None:
        """Let the recorder of the left box write nothing more."""
        limit = resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY)
        resource.prlimit(self.status.processes["recorder"], *limit)

    def delete_run(self) -> None:
        """Delete the run folder of the left box."""
        shutil.rmtree(self.status.run_folder, ignore_errors=True)

    def cut_line(self) -> None:
        """Close the other end of the output's line."""
        os.close(self.rack.boards["left"].ours)

    def refuse_once(self) -> None:
        """Kill the engine while the address refuses; it accepts later."""
        self.service.refuses = True
        self.kill("engine")
        rest(5)
        self.service.refuses = False

    def hang_second(self) -> None:
        """Kill the engine while another address hangs."""
        self.second.hangs.clear()
        self.kill("engine")

    def kill_sender_too(self) -> None:
        """Kill the process that sends the alarms, then the engine."""
        self.sender().kill()
        self.kill("engine")

    def suspend_sender_too(self) -> None:
        """Suspend the process that sends the alarms, kill it, and the engine."""
        self.suspend_process(self.sender().pid)
        self.kill("engine")
        rest(5)
        self.resume()

    def ruin_settings(self) -> None:
        """Stop the left box, break its settings, and start it again."""
        self.rack.type("stop left")
        self.rack.wait(lambda: "[Box left] ended" in self.rack.told.read_text())
        (self.rack.file.parent / "left" / "settings.ini").write_text("broken", "utf-8")
        self.rack.type("start left")


def _kill(*names: str) -> Callable[[Trial], object]:
    return lambda trial: trial.kill(*names)


def _suspend(*names: str) -> Callable[[Trial], object]:
    return lambda trial: trial.suspend(*names)


FAULTS: dict[str, Callable[[Trial], object]] = {
    "kill session": _kill("session"),
    "kill engine": _kill("engine"),
    "kill recorder": _kill("recorder"),
    "kill camera": _kill(CAMERA),
    "kill guard": _kill("guard"),
    "kill engine and guard": _kill("engine", "guard"),
    "kill all processes of a box": _kill(),
    "suspend session": _suspend("session"),
    "suspend engine": _suspend("engine"),
    "suspend recorder": _suspend("recorder"),
    "suspend camera": _suspend(CAMERA),
    "suspend all processes of a box": _suspend(),
    "full disk": Trial.fill_disk,
    "run folder deleted": Trial.delete_run,
    "line of the output cut": Trial.cut_line,
    "settings broken": Trial.ruin_settings,
    "rack killed": lambda trial: trial.rack.running.kill(),
    "rack suspended": lambda trial: trial.suspend_process(trial.rack.running.pid),
    "address refuses at first": Trial.refuse_once,
    "another address hangs": Trial.hang_second,
    "sender killed": Trial.kill_sender_too,
    "sender suspended": Trial.suspend_sender_too,
}
"""What is planted, by name; the last four also kill the engine."""


def main(argv: Sequence[str] | None = None) -> int:
    """Plant the faults and print the matrix; return 1 if one was not alarmed in time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--only", default="", metavar="TEXT", help="faults whose name contains TEXT")
    add("--at-once", type=int, default=1, help="racks that run together")
    add("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(argv)
    names = [name for name in FAULTS if asked.only in name]
    if asked.only in FAULTS:
        names = [asked.only]

    with ThreadPoolExecutor(asked.at_once) as pool:
        outcomes = []
        print("| fault | alarm after s | first alarm | output | other box | record |")
        print("|---|---|---|---|---|---|")
        for outcome in pool.map(try_fault, names):
            outcomes.append(outcome)
            print(_row(outcome), flush=True)
    soon = [it for it in outcomes if it.seconds is not None and it.seconds <= LIMIT_S]
    print(f"{len(soon)} of {len(outcomes)} faults alarmed within {LIMIT_S:g} s")
    if asked.json is not None:
        facts = [asdict(outcome) for outcome in outcomes]
        asked.json.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    return int(len(soon) < len(outcomes))


def try_fault(name: str) -> Outcome:
    """Plant a fault in a new rack, and return what came of it."""
    outcome = Outcome(name)
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="alarms-"))
        )
        service = stack.enter_context(http_service())
        second = stack.enter_context(http_service())
        rack = stack.enter_context(two_boxes(folder))
        address_file(folder, json_address(service), json_address(second))
        with rack.file.open("a", encoding="utf-8") as file:
            file.write("[Alarms]\nADDRESS_FILE = addresses.txt\n")
        rack.start()
        trial = Trial(rack, service, second)
        stack.callback(trial.resume)
        rack.wait_until_on("left", "right")
        rack.wait(lambda: bool(trial.status.run_folder))
        run = Path(trial.status.run_folder)
        before = len(service.texts)

        began_s = perf_counter()
        FAULTS[name](trial)
        while len(service.texts) == before and perf_counter() - began_s < LIMIT_S:
            rest(0.01)
        if len(service.texts) > before:
            outcome.seconds = perf_counter() - began_s
            outcome.alarm = service.texts[before]
        _look(trial, outcome)
        trial.resume()
        _end(rack)
        outcome.record = _record(run)
    return outcome


def _look(trial: Trial, outcome: Outcome) -> None:
    """Note what output and other box do after the alarm."""
    rack = trial.rack
    give_up_s = perf_counter() + 20
    with suppress(OSError):  # its line was cut
        while perf_counter() < give_up_s:
            outcome.output = (
                "off" if rack.boards["left"].listen().endswith(OFF) else "on"
            )
            if outcome.output == "off":
                break
            rest(0.01)
    number = rack.number("right")
    give_up_s = perf_counter() + 20
    while perf_counter() < give_up_s and rack.number("right") < number + 2:
        rest(0.05)
    goes_on = rack.number("right") >= number + 2
    status = rack.status("right")
    ended = status is not None and status.ended
    outcome.other = (
        "goes on" if goes_on and not ended else "ended" if ended else "silent"
    )


def _end(rack: Rack) -> None:
    """Stop the rack; wait until the left box has ended as well."""
    with suppress(OSError):
        rack.type("stop")
    rack.running.wait(120)
    give_up_s = perf_counter() + 60
    while perf_counter() < give_up_s:
        status = rack.status("left")
        alive = (
            [pid for pid in status.processes.values() if _runs(pid)] if status else []
        )
        if not alive:
            return
        rest(0.1)


def _runs(pid: int) -> bool:
    with suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def _record(run: Path) -> str:
    if not (run / "run.json").exists():
        return "deleted"
    try:
        done = bool(repair(run).done)
    except (DeepLabStreamError, ValueError) as error:
        return f"can't be repaired: {error}"
    facts = RunFolder(run).facts
    closes = all(span["closes"] for span in facts["accounting"])
    account = "every frame accounted for" if closes else "frames not accounted for"
    return f"{'repaired' if done else 'complete'}; {account}"


def _row(outcome: Outcome) -> str:
    seconds = "–" if outcome.seconds is None else f"{outcome.seconds:.1f}"
    alarm = " ".join(outcome.alarm.replace("|", "/").split())[:90]
    cells = (
        outcome.fault,
        seconds,
        alarm,
        outcome.output,
        outcome.other,
        outcome.record,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
