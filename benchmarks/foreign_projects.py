"""First tries of projects and files of other programs: done, refused, or failed.

Files are written as DeepLabCut, SLEAP, Lightning Pose, JABS, COCO, EthoVision, BORIS and
others write them (benchmarks/support/foreign_files.py), some of them damaged or in the wrong
place; then the documented commands are typed. A try is done when the command ends with 0,
its files are there, and poses that it reads are where they were written. It is refused
rightly when the command ends with a sentence that names the way out. A traceback, another
sentence, or silence is a failure.

    python benchmarks/foreign_projects.py
    python benchmarks/foreign_projects.py --quick              one of each kind
    python benchmarks/foreign_projects.py --data shared/data   also real recordings there
    python benchmarks/foreign_projects.py --only JABS --json tries.json
"""

import argparse
import importlib
import io
import json
import re
import shlex
import sys
import traceback
from collections.abc import Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from benchmarks.support.foreign_files import PARTS, WRITERS, truth
from benchmarks.support.foreign_tries import TRIES, Try
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.pose_file_reading import read_poses


@dataclass(frozen=True)
class Tried:
    """What became of a try."""

    number: int
    of: str
    typed: str
    outcome: str
    """done, refused, or failed."""
    said: str
    """The last line of the program, or what was wrong with its result."""
    seconds: float


def main(argv: Sequence[str] | None = None) -> int:
    """Try all and print the table; return 1 when a try failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="one try of each kind, none that trains")
    add("--only", default="", metavar="TEXT", help="tries whose row contains TEXT")
    add("--data", type=Path, help="folder of real recordings, for the tries of these")
    add("--first", type=int, default=1, help="number of the first try (1)")
    add("--json", type=Path, metavar="FILE", help="write the table")
    options = parser.parse_args(argv)
    chosen = [
        (number, one)
        for number, one in enumerate(TRIES, 1)
        if number >= options.first
        and options.only in f"{one.of} {one.typed}"
        and (one.quick or not options.quick)
        and (options.data or "{data}" not in one.typed)
    ]

    with TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = Path(place)
        for write in WRITERS:
            write(folder)
        tried = [
            shown(attempt(number, one, folder, options.data)) for number, one in chosen
        ]

    failed = [row for row in tried if row.outcome == "failed"]
    done = sum(row.outcome == "done" for row in tried)
    print(
        f"{len(tried)} tries: {done} done, {len(tried) - done - len(failed)} refused with "
        f"the way out, {len(failed)} failed"
    )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in tried], indent=1))
    return bool(failed)


def attempt(number: int, one: Try, folder: Path, data: Path | None) -> Tried:
    """Type the commands of one try in the folder of foreign files."""
    out = f"out/{number}"
    typed = one.typed.format(out=out, data=data.resolve().as_posix() if data else "")
    start = SystemClock().now_ns()
    for command in typed.split(" && "):
        program, *words = shlex.split(command)
        words = [name for word in words for name in expanded(word)]
        ended = run_program(program, words, folder)
        if ended.code:
            break

    fault = wrong(one, ended, folder / out)
    lines = (ended.text if one.refused or fault else ended.printed).strip().splitlines()
    outcome = "failed" if fault else "refused" if one.refused else "done"
    said = lines[-1] if lines else ""
    seconds = round((SystemClock().now_ns() - start) / 1e9, 1)
    return Tried(
        number, one.of, typed, outcome, f"{fault}: {said}" if fault else said, seconds
    )


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    printed: str
    """Its standard output."""
    text: str
    """Its standard output, then its standard error."""


def run_program(program: str, words: Sequence[str], folder: Path) -> Ended:
    """Run a program of utils/ in this process, in a folder: packages are loaded once."""
    module = importlib.import_module(f"utils.{program}")
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), chdir(folder):
        try:
            code = module.main(words)
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):
                err.write(code)
        except Exception:
            traceback.print_exc()
            code = 1
    text = f"{out.getvalue()}\n{err.getvalue()}"
    return Ended(
        int(code) if isinstance(code, int) else bool(code), out.getvalue(), text
    )


def wrong(one: Try, ended: Ended, out: Path) -> str:
    """Return what is wrong with the end of a try; empty: nothing."""
    if "Traceback" in ended.text:
        return "ends with a traceback"
    if one.refused:
        right = ended.code and re.search(one.refused, ended.text)
        return "" if right else f"expected a refusal with {one.refused!r}"
    return f"ends with {ended.code}" if ended.code else unlike(one, out)


def expanded(word: str) -> list[str]:
    """Return the files that an absolute pattern stands for, as a shell does."""
    path = Path(word)
    if "*" not in word or not path.is_absolute():
        return [word]
    return sorted(map(str, path.parent.glob(path.name))) or [word]


def unlike(one: Try, out: Path) -> str:
    """Return what is wrong with the files of a command that ended well; empty: nothing."""
    for pattern in one.made:
        if not [*out.parent.glob(f"{out.name}{pattern}")]:
            return f"there is no {out.name}{pattern}"
    if not one.poses:
        return ""
    try:
        table = read_poses(next(out.parent.glob(f"{out.name}{one.poses}")))
    except (DeepLabStreamError, StopIteration) as error:
        return f"its poses are not read: {error}"
    animals, parts = table.points.shape[1:3]
    names = table.skeleton.bodyparts
    order = [names.index(name) for name in (PARTS if {*names} == {*PARTS} else names)]
    away = np.abs(table.points[:, :, order] - truth(animals, parts))
    return "" if np.nanmax(away) <= 1 else f"poses are {np.nanmax(away):.0f} px off"


def shown(row: Tried) -> Tried:
    """Print a row as soon as it is there."""
    print(
        f"{row.number:3} {row.outcome:8} {row.of}: {row.typed}\n      {row.said}",
        flush=True,
    )
    return row


if __name__ == "__main__":
    sys.exit(main())
