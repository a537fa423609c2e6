"""Faults planted in a rack: time until outputs are off, other boxes, alarms and records.

    python benchmarks/alarms.py                      36 faults, one after another
    python benchmarks/alarms.py --only "kill engine" those whose name contains the text
    python benchmarks/alarms.py --at-once 2 --json FILE
    python benchmarks/alarms.py --quick              one fault

A rack of two boxes with simulated cameras, each with an output that is on (a pseudo-terminal),
sends its alarms to an HTTP server on this computer. A fault is planted in the left box, the
rack or the way of the alarm. Times begin with the fault, or with the stop of the box whose
files are then changed. The limits of the rigs are long, for busy computers: a suspended
process does not switch an output off at once. Linux only.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from benchmarks.support.rack_faults import Fault, OffWatch
    from tests.rack.test_rack_run import Rack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.clock import rest
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_repair import repair

LIMIT_S = 60.0
"""Time within which a fault has to be alarmed."""
SETTLE_S = 60.0
"""How long to wait for what outputs and boxes do after the alarm."""
HARMLESS_S = 15.0
"""How long a fault is watched that is not an alarm."""
QUICK = "kill all processes of a box"


@dataclass
class Outcome:
    """What came of one fault."""

    fault: str
    seconds: float | None = None
    """Until the alarm has arrived; None: it has not."""
    alarm: str = ""
    output: str = ""
    """Output of the left box afterwards: on, off."""
    off_ms: float | None = None
    """Until the first off; None: there was none."""
    other: str = ""
    """What the right box did."""
    record: str = ""
    """Record of the left box."""
    expected: bool = False
    """Whether that is what was expected: see `Fault`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Plant the faults and print the matrix; return 1 if something was not as expected."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--only", default="", metavar="TEXT", help="faults whose name contains TEXT")
    add("--at-once", type=int, default=1, help="racks that run together")
    add("--quick", action="store_true", help=f"only: {QUICK}")
    add("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(argv)
    from benchmarks.support.rack_faults import FAULTS

    names = [name for name in FAULTS if asked.only in name]
    if asked.quick or asked.only in FAULTS:
        names = [QUICK if asked.quick else asked.only]

    outcomes: list[Outcome] = []
    columns = "fault", "outputs", "off after ms", "other box", "alarm after s"
    print(f"| {' | '.join([*columns, 'first alarm', 'record', 'as expected'])} |")
    print("|---" * 8 + "|")
    with ThreadPoolExecutor(asked.at_once) as pool:
        for outcome in pool.map(try_fault, names):
            outcomes.append(outcome)
            print(_row(outcome), flush=True)
            if asked.json is not None:
                facts = [asdict(each) for each in outcomes]
                asked.json.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    told = [it for it in outcomes if it.seconds is not None and it.seconds <= LIMIT_S]
    alarms = [name for name in names if FAULTS[name].alarmed]
    print(f"{len(told)} of {len(alarms)} faults alarmed within {LIMIT_S:g} s")
    expected = sum(outcome.expected for outcome in outcomes)
    print(f"{expected} of {len(outcomes)} faults as expected")
    return int(expected < len(outcomes))


def try_fault(name: str) -> Outcome:
    """Plant a fault in a new rack, and return what came of it."""
    from benchmarks.support.rack_faults import FAULTS, OffWatch, Trial, stage
    from tests.rack.alarms.alarm_services import (
        address_file,
        http_service,
        json_address,
    )
    from tests.rack.test_rack_run import two_boxes

    outcome, fault = Outcome(name), FAULTS[name]
    with ExitStack() as stack:
        place = tempfile.TemporaryDirectory(
            prefix="alarms-", ignore_cleanup_errors=True
        )
        folder = Path(stack.enter_context(place))
        service = stack.enter_context(http_service())
        second = stack.enter_context(http_service())
        rack = stack.enter_context(two_boxes(folder))
        stage(folder)
        address_file(folder, json_address(service), json_address(second))
        with rack.file.open("a", encoding="utf-8") as file:
            file.write("[Alarms]\nADDRESS_FILE = addresses.txt\n")
        _start(rack, fault)
        closing = stack.enter_context(ExitStack())
        trial = Trial(rack, service, second, closing)
        stack.callback(trial.resume)
        rack.wait_until_on("left", "right")
        rack.wait(lambda: bool(trial.status.run_folder))
        run = Path(trial.status.run_folder)
        before = len(service.texts)

        watch = OffWatch(rack.boards["left"])
        fault.plant(trial)
        limit_s = LIMIT_S if fault.alarmed else HARMLESS_S
        while len(service.texts) == before and perf_counter() - watch.began_s < limit_s:
            rest(0.01)
        if len(service.texts) > before:
            outcome.seconds = perf_counter() - watch.began_s
            outcome.alarm = service.texts[before]
        _look(rack, fault, watch, outcome)
        watch.end()
        closing.close()
        trial.resume()
        _end(rack)
        outcome.record = _record(run)
    outcome.expected = _as_expected(outcome, fault)
    return outcome


def _start(rack: "Rack", fault: "Fault") -> None:
    """Start the rack, with a clock that can be set."""
    rack.start(*fault.words, clock=rack.file.with_name("clock"))
    if "--by-window" in fault.words:
        rack.type("start left")
        rack.type("start right")


def _look(rack: "Rack", fault: "Fault", watch: "OffWatch", outcome: Outcome) -> None:
    """Note what output and other box do after the alarm."""
    give_up_s = perf_counter() + SETTLE_S
    while fault.output == "off" and not watch.is_off and perf_counter() < give_up_s:
        rest(0.01)
    number = rack.number("right")
    give_up_s = perf_counter() + SETTLE_S

    def settled() -> bool:
        status = rack.status("right")
        ended = status is not None and status.ended
        return ended if fault.other == "ended" else rack.number("right") >= number + 2

    while not settled() and perf_counter() < give_up_s:
        rest(0.05)
    status = rack.status("right")
    ended = status is not None and status.ended
    goes_on = rack.number("right") >= number + 2 and not ended
    on = rack.boards["right"].listen().endswith(b"H")
    outcome.other = "ended" if ended else "goes on" if goes_on and on else "silent"
    outcome.output = "off" if watch.is_off else "on"
    outcome.off_ms = None if watch.off_s is None else 1000 * watch.off_s


def _as_expected(outcome: Outcome, fault: "Fault") -> bool:
    told = outcome.seconds is not None and outcome.seconds <= LIMIT_S
    return (
        told == fault.alarmed
        and fault.output in ("either", outcome.output)
        and outcome.other == fault.other
    )


def _end(rack: "Rack") -> None:
    """Stop the rack; wait until the left box has ended as well."""
    with suppress(OSError, ValueError):
        rack.type("stop")
        rack.end_input()
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
    off = "–" if outcome.off_ms is None else f"{outcome.off_ms:.0f}"
    alarm = " ".join(outcome.alarm.replace("|", "/").split())[:90]
    cells = (
        outcome.fault,
        outcome.output,
        off,
        outcome.other,
        seconds,
        alarm,
        outcome.record,
        "yes" if outcome.expected else "NO",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
