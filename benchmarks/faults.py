"""Faults injected into a running rig: is the laser off, how soon, and what was lost.

Kills of single processes, of pairs, of all children and of the whole process group;
suspensions, also of the main process and of the whole group; a slow and a full disk; a
starved processor; signals to `app.py --headless` in a terminal of its own. The laser is a
serial line on a pseudo-terminal, and the experiment keeps it on. After the rigs, damaged files
of other programs are read (benchmarks/support/reader_fuzz.py). Linux only; nothing else
should run meanwhile.

    python benchmarks/faults.py --quick                          each fault once, 500 files
    python benchmarks/faults.py --long                           1,000 kills, 100,000 files
    python benchmarks/faults.py --only kill --rounds 25          300 kills
    python benchmarks/faults.py --only signal --rounds 20        100 signals
    python benchmarks/faults.py --rounds 0 --files 100000        damaged files alone
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.support.reader_fuzz import Fuzzed

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
LONG_ROUNDS = 84
"""Of 12 kinds of kills: 1,008 kills."""


def main(argv: Sequence[str] | None = None) -> int:
    """Inject faults and print the table; return 1 when a laser stayed on."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="how often each fault is tried")
    add("--quick", action="store_true", help="once each, and 500 damaged files")
    add("--long", action="store_true", help="84 rounds, and 100,000 damaged files")
    add(
        "--only",
        default="",
        metavar="TEXT",
        help="the fault TEXT, or all whose name contains it",
    )
    add(
        "--files",
        type=int,
        help="damaged files to read (0; --quick: 500; --long: 100000)",
    )
    add("--minutes", type=float, help="start no more rigs after that (15; --long: 600)")
    add("--at-once", type=int, default=4, help="rigs that are started together")
    add("--seed", type=int, default=1)
    add("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(argv)
    # The rig's processes import this file anew: what is heavy is imported by this one only.
    from benchmarks.support.fault_trials import FAULTS, Outcome, run
    from benchmarks.support.reader_fuzz import fuzz_readers

    names = [name for name in FAULTS if asked.only in name]
    if asked.only in FAULTS:
        names = [asked.only]
    rounds = 1 if asked.quick else LONG_ROUNDS if asked.long else asked.rounds
    minutes = asked.minutes or (600.0 if asked.long else 15.0)
    files = asked.files
    if files is None:
        files = 0 if asked.only else 500 if asked.quick else 100_000 * asked.long
    trials = [(name, f"{asked.seed} {n}") for n in range(rounds) for name in names]
    print(
        f"{rounds} rounds of {len(names)} faults; seed {asked.seed}; "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    began_s = time.perf_counter()
    outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
    for first in range(0, len(trials), asked.at_once):
        if time.perf_counter() - began_s > 60 * minutes:
            print(f"{minutes:g} minutes are over")
            break
        for name, outcome in run(trials[first : first + asked.at_once]):
            outcomes[name].append(outcome)
            if outcome.problem:
                print(f"{name}, seed {outcome.seed}: {outcome.problem}", flush=True)
        tried = [each for rows in outcomes.values() for each in rows]
        print(
            f"{len(tried)} of {len(trials)} tried, "
            f"{sum(each.ms is not None for each in tried)} off, "
            f"{time.perf_counter() - began_s:.0f} s",
            flush=True,
        )
    if trials:
        print("\n".join(_table(outcomes)), flush=True)
    read = (
        fuzz_readers(files, asked.seed, lambda line: print(line, flush=True))
        if files
        else {}
    )
    if read:
        print("\n".join(_table_of_files(read)), flush=True)
    if asked.json:
        facts: dict[str, object] = {
            name: [vars(e) for e in rows] for name, rows in outcomes.items()
        }
        facts |= {f"file: {kind}": vars(found) for kind, found in read.items()}
        asked.json.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    stayed_on = any(each.ms is None for rows in outcomes.values() for each in rows)
    return int(stayed_on or any(found.faults for found in read.values()))


def _table(outcomes: Mapping[str, Sequence[object]]) -> list[str]:
    """Return the lines of a table as documents have it."""
    lines = [
        "| fault | tried | off | ms, median | ms, most | within 100 ms | off is recorded "
        "| accounts close | rows lost | left behind |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in outcomes.items():
        rows = [vars(each) for each in found]
        times = [row["ms"] for row in rows if row["ms"] is not None]
        middle, most = (
            (f"{median(times):.0f}", f"{max(times):.0f}") if times else ("–", "–")
        )
        soon = sum(ms <= 100 for ms in times)
        sums = [sum(row[key] for row in rows) for key in _COUNTED]
        cells = [name, len(rows), len(times), middle, most, soon, *sums]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _table_of_files(read: "Mapping[str, Fuzzed]") -> list[str]:
    """Return the lines of a table, and one line for each fault with its seed."""
    lines = [
        "",
        "| damaged file | tried | read | refused with a sentence | faults |",
        "|---|---|---|---|---|",
    ]
    for kind, found in read.items():
        cells = [kind, found.tried, found.read, found.refused, len(found.faults)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    for kind, found in read.items():
        for seed, text in found.faults:
            last = text.strip().splitlines()[-1]
            lines.append(f"{kind}, seed {seed!r}: {last}")
    return lines


_COUNTED = ("recorded", "closed", "rows_lost", "left")


if __name__ == "__main__":
    sys.exit(main())
