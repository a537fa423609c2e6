"""Rack: latency beside other boxes, kills of one box's processes, and of what controls it.

    python benchmarks/rack.py                        1, 2, 4, 8 boxes; each kind of process
    python benchmarks/rack.py --quick                1 and 2 boxes, one kill, each policy once
    python benchmarks/rack.py --boxes --kills --rounds 1000 --minutes 600
    python benchmarks/rack.py --boxes --rounds 0 --kills session none --repeats 20 --seconds 6
    python benchmarks/rack.py --json FILE

Boxes have a simulated camera of 320×240 at 30/s. Latencies are those from exposure to decision
or write, of the records. Each kill is that of kill -9, of a box whose output, a
pseudo-terminal, is on; another box runs beside it, and its p99 is that of equal times before
and after the kill, of the frames of all kills; its ratio has a 95 % interval (kills resampled);
`none` kills nothing. Then what controls a rack is killed, by turns: the window, with each value
of IF_WINDOW_LOST, and the rack itself, whose boxes must stop. Linux only.
"""

import argparse
import json
import os
import platform
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from benchmarks.support.rack_kills import Kill

ROOT = Path(__file__).resolve().parents[1]
BOXES = (1, 2, 4, 8)
AIM_RATIO, AIM_OFF_MS, AIM_P99 = 1.5, 150.0, 1.1
"""Largest p50 relative to one box, time to the off, and p99 beside a kill."""


def box_command(rack: Path, box: str) -> list[str]:
    """Return the command that runs a box of a rack."""
    return [sys.executable, str(ROOT / "utils/RunRack.py"), str(rack), "--box", box]


def measure_boxes(numbers: list[int], seconds: float) -> list[dict[str, Any]]:
    """Print and return the load of so many boxes that run together."""
    from benchmarks.rack_page import RIG
    from deeplabstream.core.clock import SystemClock
    from deeplabstream.rack.box_load import LoadMeasurement
    from deeplabstream.rack.capacity import rated, table_head

    found: list[dict[str, Any]] = []
    alone = 0.0
    print(table_head("boxes"), flush=True)
    for number in numbers:
        with TemporaryDirectory(prefix="rack-") as folder:
            place = Path(folder)
            rig = RIG.replace("RATE = 60", "RATE = 30")
            (place / "settings.ini").write_text(rig, "utf-8")
            names = [f"box {n}" for n in range(number)]
            rack = place / "rack.ini"
            sections = (
                f"[Box {name}]\nRIG = settings.ini\nOUTPUT_DIRECTORY = {name}\n"
                for name in names
            )
            rack.write_text("".join(sections), "utf-8")
            command = partial(box_command, rack)
            run = LoadMeasurement(rack, command, seconds, SystemClock())
            load = run.measure(names)
        alone = alone or median(it.p50_ms for it in load.cameras)
        row = rated(load, {(it.box, it.camera): alone for it in load.cameras})
        print(row.row(), flush=True)
        found.append(row.facts())
    return found


def measure_kills(
    kinds: list[str], seconds: float, repeats: int
) -> list[dict[str, Any]]:
    """Print and return what followed the kills of each kind of process."""
    from benchmarks.support.rack_kills import kill_processes

    kills = kill_processes(kinds, seconds, repeats) if kinds else []
    by_kind: dict[str, list[Kill]] = {kind: [] for kind in kinds}
    for kill in kills:
        by_kind[kill.process].append(kill)
    print(
        "killed        times  off ms  restarted s  gap s  other's p99 ms before / after  "
        "ratio"
    )
    for kind, done in by_kind.items():
        print(_kills_row(kind, done), flush=True)
    return [vars(kill) for kill in kills]


def _kills_row(kind: str, kills: "list[Kill]") -> str:
    """Return a row of the table: the worst off, medians of times, p99 of all frames."""
    from benchmarks.support.rack_kills import p99_of, pooled_ratio

    def middle(values: list[float | None]) -> str:
        known = [it for it in values if it is not None]
        return f"{median(known):.1f}" if known else "–"

    offs = [kill.off_ms for kill in kills]
    off = "–" if None in offs else f"{max(filter(None, offs), default=0.0):.0f}"
    restarted = middle([kill.restarted_s for kill in kills])
    gap = middle([kill.gap_s for kill in kills])
    before = p99_of([it for kill in kills for it in kill.before_ms])
    after = p99_of([it for kill in kills for it in kill.after_ms])
    ratio, low, high = pooled_ratio(kills)
    return (
        f"{kind:13} {len(kills):5}  {off:>6}  {restarted:>11}  {gap:>5}  "
        f"{before:18.2f} / {after:<8.2f}  {ratio:.2f} ({low:.2f} to {high:.2f})"
    )


def measure_rounds(rounds: int, minutes: float) -> list[dict[str, Any]]:
    """Kill what controls a rack; print and return whether the policy was held."""
    from benchmarks.support.rack_kills import POLICIES, kill_controller

    found: list[dict[str, Any]] = []
    began_s = perf_counter()
    for number in range(rounds):
        if perf_counter() - began_s > 60 * minutes:
            print(f"{minutes:g} minutes are over")
            break
        done = kill_controller(POLICIES[number % len(POLICIES)])
        found.append(vars(done))
        if done.problem:
            print(f"FAILED: round {number}, {done.policy}: {done.problem}", flush=True)

    for policy in POLICIES:
        times = [
            it["off_ms"] for it in found if it["policy"] == policy and it["off_ms"]
        ]
        tried = Counter(it["policy"] for it in found)[policy]
        held = Counter(it["policy"] for it in found if not it["problem"])[policy]
        off = ""
        if times:
            off = f"; off after {median(times):.0f} ms, at most {max(times):.0f}"
        print(f"{policy}: held in {held} of {tried} rounds{off}", flush=True)
    return found


def main(argv: list[str] | None = None) -> int:
    """Return 1 when an output stayed on, or a policy was not held."""
    from benchmarks.support.rack_kills import KINDS, NONE, POLICIES

    parser = argparse.ArgumentParser(prog="rack.py", description="boxes of a rack")
    add = parser.add_argument
    add("--quick", action="store_true", help="the smallest case")
    add("--boxes", type=int, nargs="*", default=BOXES, help="boxes that run together")
    add(
        "--kills",
        nargs="*",
        default=KINDS,
        choices=(*KINDS, NONE),
        help="processes that are killed",
    )
    add("--repeats", type=int, default=1, help="kills of each kind of process")
    add(
        "--rounds",
        type=int,
        default=len(POLICIES),
        help="kills of what controls a rack",
    )
    add("--seconds", type=float, default=10.0, help="of each measurement")
    add("--minutes", type=float, default=15.0, help="start no round after that")
    add("--json", type=Path, metavar="FILE", help="write everything there")
    asked = parser.parse_args(argv)
    if asked.quick:
        asked.boxes, asked.kills, asked.seconds = (1, 2), ("engine",), 1.0

    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    boxes = measure_boxes([*asked.boxes], asked.seconds)
    kills = measure_kills([*asked.kills], asked.seconds, max(asked.repeats, 1))
    rounds = measure_rounds(asked.rounds, asked.minutes)
    print(
        f"aims: p50 at most {AIM_RATIO:g} times that of one box; off within "
        f"{AIM_OFF_MS:g} ms; p99 of the other box at most {AIM_P99:g} times that before"
    )
    if asked.json:
        about = {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
        }
        everything = {"about": about, "boxes": boxes, "kills": kills, "rounds": rounds}
        asked.json.write_text(json.dumps(everything, indent=2) + "\n", "utf-8")
    held = sum(not it["problem"] for it in rounds)
    print(f"policies held in {held} of {len(rounds)} rounds")
    bad = any(it["problem"] for it in (*boxes, *rounds))
    return int(bad or any(it["off_ms"] is None for it in kills))


if __name__ == "__main__":
    sys.exit(main())
