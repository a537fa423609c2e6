"""Faults injected into a running rig: is the laser off, how soon, and what was lost.

Kills of single processes, of pairs, of all children and of the whole process group;
suspensions, also of the main process and of the whole group; a slow disk; signals to
`app.py --headless` in a terminal of its own. The laser is a serial line on a pseudo-terminal,
and the experiment keeps it on. Linux only; nothing else should run meanwhile.

    python benchmarks/faults.py --quick                          each fault once
    python benchmarks/faults.py --only kill --rounds 25          300 kills
    python benchmarks/faults.py --only signal --rounds 20        100 signals
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def main(argv: Sequence[str] | None = None) -> int:
    """Inject faults and print the table; return 1 when a laser stayed on."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="how often each fault is tried")
    add("--quick", action="store_true", help="once each")
    add(
        "--only",
        default="",
        metavar="TEXT",
        help="the fault TEXT, or all whose name contains it",
    )
    add("--minutes", type=float, default=15.0, help="start no more rigs after that")
    add("--at-once", type=int, default=4, help="rigs that are started together")
    add("--seed", type=int, default=1)
    add("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(argv)
    # The rig's processes import this file anew: what is heavy is imported by this one only.
    from benchmarks.support.fault_trials import FAULTS, Outcome, run

    names = [name for name in FAULTS if asked.only in name]
    if asked.only in FAULTS:
        names = [asked.only]
    rounds = 1 if asked.quick else asked.rounds
    trials = [(name, f"{asked.seed} {n}") for n in range(rounds) for name in names]
    print(
        f"{rounds} rounds of {len(names)} faults; seed {asked.seed}; "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    began_s = time.perf_counter()
    outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
    for first in range(0, len(trials), asked.at_once):
        if time.perf_counter() - began_s > 60 * asked.minutes:
            print(f"{asked.minutes:g} minutes are over")
            break
        for name, outcome in run(trials[first : first + asked.at_once]):
            outcomes[name].append(outcome)
            if outcome.problem:
                print(f"{name}: {outcome.problem}", flush=True)
        tried = [each for rows in outcomes.values() for each in rows]
        print(
            f"{len(tried)} of {len(trials)} tried, "
            f"{sum(each.ms is not None for each in tried)} off, "
            f"{time.perf_counter() - began_s:.0f} s",
            flush=True,
        )
    print("\n".join(_table(outcomes)), flush=True)
    if asked.json:
        facts = {name: [vars(e) for e in rows] for name, rows in outcomes.items()}
        asked.json.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    return int(any(each.ms is None for rows in outcomes.values() for each in rows))


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


_COUNTED = ("recorded", "closed", "rows_lost", "left")


if __name__ == "__main__":
    sys.exit(main())
