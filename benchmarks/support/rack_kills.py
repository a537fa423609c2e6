"""Kills in a rack: of one box's processes beside another box, and of what controls the rack."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, perf_counter_ns

import numpy as np

from benchmarks.support.fault_trials import OFF_S, off_ms
from deeplabstream.core.clock import rest
from deeplabstream.rack.box_load import latencies_ns
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.table_reader import read_events
from tests.rack.test_rack_run import RIG, ROOT, Board, Rack, exists, lasting

KINDS = ("camera arena", "engine", "recorder", "guard", "session")
"""Processes of a box; `session` is its main process."""
NONE = "none"
"""Nothing is killed: how much p99 differs between two such times by itself."""
KILLS_A_START = 2
"""The pause before a restart doubles; after so many kills the box is stopped and started, so
that each restart falls into the time that is measured."""
POLICIES = ("window lost, stop", "window lost, go on", "rack lost, stop")
"""What is killed, and what must follow: `IF_WINDOW_LOST`; a killed rack stops its boxes."""
HIT, OTHER = "hit", "other"
CONFIDENCE, RESAMPLED = 0.95, 1000
"""Of the interval of a ratio, and samples of a bootstrap."""
END_S = 60.0
"""Time in which the processes of boxes that are stopped must have ended."""
_CAMERA = "arena"
_OFF = b"L"
_GAP = re.compile(r"restarted after a gap of ([0-9.]+) s")
_CONTROLLER = """
import subprocess, sys
rack = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)
rack.stdin.write(b"start hit\\n")
rack.stdin.flush()
print(rack.pid, flush=True)
rack.wait()
"""
"""Stands for the window: it starts the rack, holds its input, and is killed."""


@dataclass
class Kill:
    """What followed the kill of one process, or of none."""

    process: str
    off_ms: float | None
    """From the kill until the output was off; None: it stayed on."""
    restarted_s: float | None
    """From the kill until the output was on again."""
    gap_s: float | None
    """Time without a record, as the new run states it; None: it does not."""
    killed_ns: int
    before_ms: list[float] = field(default_factory=list)
    """Latencies of the other box, in the time before the kill."""
    after_ms: list[float] = field(default_factory=list)
    """The same in as much time after it."""


def p99_of(latencies_ms: Sequence[float]) -> float:
    """Return the 99th percentile of latencies."""
    return float(np.percentile(latencies_ms, 99))


def pooled_ratio(kills: Sequence[Kill]) -> tuple[float, float, float]:
    """Return p99 of all frames after the kills, relative to that before, and its interval.

    The interval is that of a bootstrap over the kills: the frames of one kill are not
    independent.
    """
    rng = np.random.default_rng(0)
    places = rng.integers(0, len(kills), (RESAMPLED, len(kills)))

    def ratio(some: Sequence[int]) -> float:
        before, after = (
            p99_of([ms for place in some for ms in getattr(kills[place], name)])
            for name in ("before_ms", "after_ms")
        )
        return after / before

    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile([ratio(some) for some in places], [outside, 1 - outside])
    return ratio(range(len(kills))), float(low), float(high)


@dataclass
class Round:
    """A kill of what controls a rack."""

    policy: str
    off_ms: float | None
    problem: str
    """How the policy was not held; empty: it was."""


@contextmanager
def rack_with(*names: str, head: str = "") -> Iterator[Rack]:
    """Make a rack of boxes of 320×240 whose outputs are pseudo-terminals; end it afterwards."""
    import tty

    rig = (
        # longer than a whole measurement: the other box must not end before it
        lasting(RIG)
        .replace("160", "320")
        .replace("120", "240")
        .replace("RATE = 20", "RATE = 30")
    )
    boards: dict[str, Board] = {}
    opened: list[int] = []
    with TemporaryDirectory(prefix="rack-") as folder:
        text = head
        for name in names:
            ours, theirs = os.openpty()
            tty.setraw(theirs)
            opened += [ours, theirs]
            boards[name] = Board(ours, os.ttyname(theirs))
            place = Path(folder) / name
            place.mkdir()
            settings = rig.format(port=boards[name].port)
            (place / "settings.ini").write_text(settings, "utf-8")
            text += f"[Box {name}]\nRIG = {name}\nRESTARTS = 100\nBACKOFF_S = 1\n"
        rack = Rack(Path(folder) / "rack.ini", boards)
        rack.file.write_text(text, "utf-8")
        try:
            yield rack
        finally:
            if rack.process is not None:
                rack.process.send_signal(signal.SIGTERM)
                rack.process.communicate(timeout=END_S)
            for end in opened:
                os.close(end)


def kill_processes(
    kinds: Sequence[str], seconds: float, repeats: int = 1
) -> list[Kill]:
    """Kill processes of a box one after the other; the latencies are those of another box."""
    with rack_with(HIT, OTHER) as rack:
        rack.start()
        kills: list[Kill] = []
        since_start = 0
        for kind in [*kinds] * repeats:
            if since_start == KILLS_A_START:
                _start_again(rack)
                since_start = 0
            kills.append(_kill(rack, kind, seconds))
            since_start += kind != NONE
        status = rack.status(OTHER)
        rack.type("stop")
        rack.running.wait(END_S)

        run = RunFolder(Path(status.run_folder if status else ""))
        length_ns = round(seconds * 1e9)
        for kill in kills:
            at_ns = kill.killed_ns
            before = latencies_ns(run, _CAMERA, (at_ns - length_ns, at_ns))
            after = latencies_ns(run, _CAMERA, (at_ns, at_ns + length_ns))
            kill.before_ms = [taken / 1e6 for taken in before]
            kill.after_ms = [taken / 1e6 for taken in after]
    return kills


def _start_again(rack: Rack) -> None:
    """Stop the box that is killed, and start it."""

    def ends() -> int:
        return rack.told.read_text("utf-8").count(f"[Box {HIT}] ended")

    before = ends()
    rack.type(f"stop {HIT}")
    rack.wait_until_off(HIT)
    rack.wait(lambda: ends() > before)
    rack.type(f"start {HIT}")


def _kill(rack: Rack, kind: str, seconds: float) -> Kill:
    board = rack.boards[HIT]
    rack.wait_until_on(HIT, OTHER)
    rack.wait(lambda: bool(_run_of(rack)))
    before, status = _run_of(rack), rack.status(HIT)
    rest(seconds)
    board.listen()

    killed_ns = perf_counter_ns()
    if kind == NONE:
        rest(seconds)
        return Kill(kind, 0.0, None, None, killed_ns)
    os.kill(status.processes[kind] if status else 0, signal.SIGKILL)
    off = off_ms(board.ours, killed_ns / 1e9, OFF_S)
    board.heard = _OFF

    rack.wait_until_on(HIT, OTHER)
    restarted_s = (perf_counter_ns() - killed_ns) / 1e9
    rack.wait(lambda: _run_of(rack) not in ("", before))
    # the other box is measured until then
    while perf_counter_ns() - killed_ns < seconds * 1e9:
        rest(0.1)
    return Kill(kind, off, restarted_s, _gap_s(Path(_run_of(rack))), killed_ns)


def _run_of(rack: Rack) -> str:
    status = rack.status(HIT)
    return status.run_folder if status else ""


def _gap_s(run: Path) -> float | None:
    texts = [row["text"] for row in read_events(run / "events.csv")]
    found = [gap for text in texts if (gap := _GAP.search(text))]
    return float(found[0][1]) if found else None


def kill_controller(policy: str) -> Round:
    """Kill what controls a rack whose output is on; return whether the policy was held."""
    what, _, does = policy.partition(", ")
    head = f"[Rack]\nIF_WINDOW_LOST = {does}\n"
    with rack_with(HIT, head=head) as rack:
        board = rack.boards[HIT]
        program = [sys.executable, str(ROOT / "utils/RunRack.py"), str(rack.file)]
        with subprocess.Popen(
            [sys.executable, "-c", _CONTROLLER, *program, "--headless", "--by-window"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as controller:
            pid = int(controller.stdout.readline() if controller.stdout else 0)
            try:
                rack.told = rack.file  # there is no printed text
                rack.wait(lambda: board.listen().endswith(b"H") and bool(_run_of(rack)))
                status = rack.status(HIT)
                pids = [pid, *(status.processes.values() if status else ())]
                began_s = perf_counter()
                os.kill(pid if what == "rack lost" else controller.pid, signal.SIGKILL)
                if does == "go on":
                    problem = _goes_on(rack, pid)
                    began_s = perf_counter()
                    os.kill(pid, signal.SIGTERM)
                    return Round(policy, None, problem or _ended(rack, pids)[1])
                off, problem = _ended(rack, pids, began_s)
                return Round(policy, off, problem)
            finally:
                controller.kill()
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
                _await_end([pid])


def _goes_on(rack: Rack, pid: int) -> str:
    """Return a problem if the box or its rack does not go on."""
    rack.wait_for_reports(HIT, 2)
    if not exists(pid):
        return "the rack has ended"
    if not rack.boards[HIT].listen().endswith(b"H"):
        return "the output is off"
    return ""


def _ended(
    rack: Rack, pids: Sequence[int], began_s: float | None = None
) -> tuple[float | None, str]:
    """Wait for the end of all; return the time to the off, and a problem."""
    off = off_ms(rack.boards[HIT].ours, began_s or perf_counter(), OFF_S)
    if off is None:
        return None, "the output stayed on"
    if left := _await_end(pids):
        return off, f"{left} processes are left"
    if not RunFolder(Path(_run_of(rack))).facts["ended"]:
        return off, "the record is not closed"
    return off, ""


def _await_end(pids: Sequence[int]) -> int:
    """Wait until processes have ended; return how many have not."""
    give_up_s = perf_counter() + END_S
    while (left := sum(map(exists, pids))) and perf_counter() < give_up_s:
        rest(0.05)
    return left
