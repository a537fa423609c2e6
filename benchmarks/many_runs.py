"""How long it takes to index, list and analyse very many runs, and how much memory.

One simulated run is written and its tables are linked into all others, which have their own
run.json: the tables are read from the disk's cache. Printed are the seconds of a new index,
of a list from the index, and of one table of results with a row per minute, and the peak
memory of the program and of its largest child.

    python benchmarks/many_runs.py                  1,000 runs of 10 minutes
    python benchmarks/many_runs.py --quick          20 runs of 10 seconds
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

T = TypeVar("T")


def main(argv: Sequence[str] | None = None) -> int:
    """Make the runs, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--runs", type=int, default=1000)
    add("--minutes", type=float, default=10.0, help="of each run")
    add("--quick", action="store_true", help="20 runs of 10 seconds")
    add("--processes", type=int, default=0, help="0: one per core")
    add("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(argv)
    # The processes that analyse import this file anew: they need nothing of it.
    from deeplabstream.analysis.options import AnalysisOptions
    from deeplabstream.analysis.study import analyse_runs
    from deeplabstream.core.clock import SystemClock
    from deeplabstream.recording.run_catalogue import RunCatalogue

    def timed(call: Callable[[], T]) -> tuple[float, T]:
        start_ns = SystemClock().now_ns()
        found = call()
        return (SystemClock().now_ns() - start_ns) / 1e9, found

    count, minutes = (20, 1 / 6) if asked.quick else (asked.runs, asked.minutes)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "output")
        frames = make_runs(output, count, minutes)
        index_s, _ = timed(RunCatalogue(output).runs)
        list_s, runs = timed(RunCatalogue(output).runs)
        before_mb = peak_memory_mb()[0]
        table_s, study = timed(
            lambda: analyse_runs(
                [run.path for run in runs],
                AnalysisOptions(bin_s=60 if minutes > 1 else 5),
                processes=asked.processes,
            )
        )
        assert len(runs) == count and not study.failed, study.failed  # noqa: S101
    own_mb, child_mb = peak_memory_mb()
    found = {
        "runs": count,
        "minutes": minutes,
        "frames": frames,
        "cores": asked.processes or os.cpu_count(),
        "index_s": index_s,
        "list_s": list_s,
        "table_s": table_s,
        "rows": len(study.table),
        "columns": len(study.table.columns),
        "own_mb": own_mb,
        "own_before_mb": before_mb,
        "child_mb": child_mb,
    }
    print(
        f"{count} runs of {minutes * 60:.0f} s ({frames} frames each)\n"
        f"  index made          {index_s:8.2f} s\n"
        f"  listed              {list_s:8.2f} s\n"
        f"  table of all        {table_s:8.2f} s  {found['cores']} processes, "
        f"{len(study.table)} rows, {len(study.table.columns)} columns\n"
        f"  peak memory         {own_mb:8.0f} MB (before the table {before_mb:.0f}), "
        f"one process {child_mb:.0f}"
    )
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0


def make_runs(output: Path, count: int, minutes: float) -> int:
    """Make run folders; return the number of frames of each."""
    from deeplabstream.engine.replay.rehearsal import rehearse
    from deeplabstream.recording.run_folder import RunFolder
    from deeplabstream.settings.loading import parse
    from deeplabstream.settings.ready_made import CONFIGS

    file = CONFIGS / "place_avoidance.ini"
    settings = parse(file.read_text("utf-8"), file)
    first = output / "run0000"
    rehearse(settings, first, seconds=minutes * 60, flees=["laser"])
    table = next(first.glob("*.csv"), first)
    for each in sorted(first.glob("*.csv")):
        table = each if each.stat().st_size > table.stat().st_size else table
    with table.open("rb") as lines:
        frames = sum(1 for _ in lines) - 1
    start = datetime(2026, 1, 1, 9, tzinfo=UTC)
    for number in range(count):
        path = output / f"run{number:04}"
        if number:
            path.mkdir()
            for each in first.iterdir():
                if each.name == "run.json":
                    shutil.copy(each, path)
                else:
                    link(each, path / each.name)
        began = start + timedelta(hours=number)
        RunFolder(path).update(
            rehearsal=False,
            session={
                "animal": f"M{number % 40}",
                "group": ("control", "treated")[number % 2],
            },
            started=began.isoformat(),
            ended=(began + timedelta(minutes=minutes)).isoformat(),
            how="stopped",
        )
    return frames


def link(source: Path, target: Path) -> None:
    """Link a file, or copy it where the file system has no links."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy(source, target)


def peak_memory_mb() -> tuple[float, float]:
    """Return the peak memory of this process, and of its largest ended child."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 1e6, 0.0
    import resource

    unit = 1e6 if sys.platform == "darwin" else 1e3
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return own / unit, children / unit


if __name__ == "__main__":
    sys.exit(main())
