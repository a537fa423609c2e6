"""Faults injected into a running rig: is the laser off, how soon, and what was lost.

Kills of single processes, of pairs, of all children and of the whole process group;
suspensions, also of the main process and of the whole group; a slow and a full disk; a
starved processor; signals to `app.py --headless` in a terminal of its own. The laser is a
serial line on a pseudo-terminal, and the experiment keeps it on. After the rigs, damaged files
of other programs are read (benchmarks/support/reader_fuzz.py). Linux only; nothing else
should run meanwhile. With `--json FILE` a run that was ended continues: what FILE holds is
not tried again.

    python benchmarks/faults.py --quick                          each fault once, 500 files
    python benchmarks/faults.py --long --json long.json          1,000 kills, 100,000 files
    python benchmarks/faults.py --only kill --rounds 25          300 kills
    python benchmarks/faults.py --only signal --rounds 20        100 signals
    python benchmarks/faults.py --rounds 0 --files 100000        damaged files alone
    python benchmarks/faults.py --rounds 0 --files 900 --readers SLEAP    of one program
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.support.fault_trials import Outcome
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
    add(
        "--readers",
        default="",
        metavar="TEXT",
        help="damage files of the kinds whose name contains TEXT only",
    )
    add("--minutes", type=float, help="start no more rigs after that (15; --long: 600)")
    add("--at-once", type=int, default=4, help="rigs that are started together")
    add("--seed", type=int, default=1)
    add("--json", type=Path, metavar="FILE", help="results; continue those of FILE")
    asked = parser.parse_args(argv)
    # The rig's processes import this file anew: what is heavy is imported by this one only.
    from benchmarks.support.fault_trials import FAULTS, run
    from benchmarks.support.reader_fuzz import KINDS, fuzz_readers

    names = [name for name in FAULTS if asked.only in name]
    if asked.only in FAULTS:
        names = [asked.only]
    rounds = 1 if asked.quick else LONG_ROUNDS if asked.long else asked.rounds
    minutes = asked.minutes or (600.0 if asked.long else 15.0)
    files = asked.files
    if files is None:
        files = 0 if asked.only else 500 if asked.quick else 100_000 * asked.long
    results = Results(asked.seed, asked.json)
    try:
        results.load()
    except ValueError as error:
        parser.error(str(error))
    wanted = [(name, f"{asked.seed} {n}") for n in range(rounds) for name in names]
    trials = [trial for trial in wanted if trial not in results.tried()]
    print(
        f"{rounds} rounds of {len(names)} faults; seed {asked.seed}; "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    began_s = time.perf_counter()
    for first in range(0, len(trials), asked.at_once):
        if time.perf_counter() - began_s > 60 * minutes:
            print(f"{minutes:g} minutes are over")
            break
        for name, outcome in run(trials[first : first + asked.at_once]):
            results.outcomes.setdefault(name, []).append(outcome)
            if outcome.problem:
                print(f"{name}, seed {outcome.seed}: {outcome.problem}", flush=True)
        results.save()
        rigs = [each for rows in results.outcomes.values() for each in rows]
        print(
            f"{len(rigs)} tried, {sum(each.ms is not None for each in rigs)} off; "
            f"{len(wanted)} in all, {time.perf_counter() - began_s:.0f} s",
            flush=True,
        )
    if results.outcomes:
        print("\n".join(_table(results.outcomes)), flush=True)
    if files:
        say = partial(print, flush=True)
        kinds = [kind for kind in KINDS if asked.readers in kind]
        fuzz_readers(files, asked.seed, say, kinds, results.files, results.save)
        print("\n".join(_table_of_files(results.files)), flush=True)
    return int(results.bad())


@dataclass
class Results:
    """What became of all trials, kept in a file."""

    seed: int
    path: Path | None
    outcomes: "dict[str, list[Outcome]]" = field(default_factory=dict)
    """By fault."""
    files: "dict[str, Fuzzed]" = field(default_factory=dict)
    """By kind of file."""

    def load(self) -> None:
        """Take over what the file holds; ValueError: it has another seed."""
        from benchmarks.support.fault_trials import Outcome
        from benchmarks.support.reader_fuzz import Fuzzed

        if self.path is None or not self.path.exists():
            return
        held = json.loads(self.path.read_text("utf-8"))
        if held["seed"] != self.seed:
            raise ValueError(f"{self.path} was written with --seed {held['seed']}")
        for name, rows in held["faults"].items():
            self.outcomes[name] = [Outcome(**row) for row in rows]
        for kind, found in held["files"].items():
            self.files[kind] = Fuzzed(**found)

    def save(self) -> None:
        """Write all results, if there is a file for them."""
        if self.path is None:
            return
        faults = {name: list(map(vars, rows)) for name, rows in self.outcomes.items()}
        files = {kind: vars(found) for kind, found in self.files.items()}
        facts = {"seed": self.seed, "faults": faults, "files": files}
        draft = self.path.with_name(f"{self.path.name}.new")
        draft.write_text(json.dumps(facts, indent=2), encoding="utf-8")
        draft.replace(self.path)

    def tried(self) -> set[tuple[str, str]]:
        """Return fault and seed of all trials."""
        return {(n, each.seed) for n, rows in self.outcomes.items() for each in rows}

    def bad(self) -> bool:
        """Return whether a laser stayed on, or a reader failed."""
        rigs = [each for rows in self.outcomes.values() for each in rows]
        stayed_on = any(each.ms is None for each in rigs)
        return stayed_on or any(found.faults for found in self.files.values())


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
