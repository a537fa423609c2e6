"""How long it takes from typing `app.py` to the first pose, and what was loaded for it."""

import argparse
import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("libtorch", "torch/_C")
GIVE_UP_S = 600.0
"""A busy computer takes minutes for the start; 60 s were too few on one with a load of 24."""


def time_to_first_pose(
    window: bool, starts: int = 2, compiled: bool = False
) -> dict[str, Any]:
    """Start the application as it is shipped, headless and with its window; print.

    `compiled`: Python's compiled files of this checkout are used, not made again.
    """
    headless = ("--headless", "--seconds", str(GIVE_UP_S))
    results = {"headless": _start(starts, compiled, *headless)}
    if window:
        results["window"] = _start(starts, compiled)
    for how, result in results.items():
        if result["problem"]:
            print(f"First pose, {how}: {result['problem']}")
            continue
        torch = ", ".join(result["torch_in"]) or "no process"
        print(
            f"First pose, {how}: {result['seconds']:.2f} s after starting app.py with "
            f"{result['model']} ({starts}. start); torch is loaded in {torch}"
        )
    return results


def _start(starts: int, compiled: bool, *how: str) -> dict[str, Any]:
    """Start it so many times; from the second on, the disk is warm, everything compiled."""
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(starts):
            with tempfile.TemporaryDirectory() as folder:
                result = _started(Path(folder), how, None if compiled else Path(cache))
    return result


def _started(folder: Path, how: tuple[str, ...], cache: Path | None) -> dict[str, Any]:
    settings, model = _settings(folder)
    words = [sys.executable, str(ROOT / "app.py"), "--settings", str(settings)]
    words += ["--start", "analysis", *how]
    environment = dict(os.environ)
    if cache is not None:
        environment["PYTHONPYCACHEPREFIX"] = str(cache)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start_ns = time.perf_counter_ns()
    app = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    try:
        posed_ns = None
        while posed_ns is None and app.poll() is None:
            if time.perf_counter_ns() - start_ns > GIVE_UP_S * 1e9:
                break
            time.sleep(0.1)
            posed_ns = _first_posed_ns(folder)
        torch_in = _loading_torch(app.pid) if posed_ns else []
    finally:
        app.send_signal(signal.SIGTERM)
        said = app.communicate()[0].decode(errors="replace")
    if posed_ns is None:
        waited_s = (time.perf_counter_ns() - start_ns) / 1e9
        return {"problem": f"no pose within {waited_s:.0f} s. app.py printed:\n{said}"}
    seconds = (posed_ns - start_ns) / 1e9
    return {"problem": "", "seconds": seconds, "model": model, "torch_in": torch_in}


def _settings(folder: Path) -> tuple[Path, str]:
    """Copy the shipped settings; a stand-in where the shipped network is missing."""
    text = (ROOT / "settings.ini").read_text("utf-8")
    line = next(each for each in text.splitlines() if each.startswith("MODEL ="))
    model = line.partition("=")[2].strip()
    if not (ROOT / "models" / model).is_dir():
        model = "stand-in:0"
    path = folder / "settings.ini"
    path.write_text(text.replace(line, f"MODEL = {model}"), "utf-8")
    return path, model


def _first_posed_ns(folder: Path) -> int | None:
    """Return when the first pose of the run was there; None: there is none yet.

    The table is being written: a line without its end is not complete.
    """
    for table in folder.glob("output/*/arena.csv"):
        lines = table.read_text("utf-8").splitlines(keepends=True)
        for row in csv.DictReader(line for line in lines if line.endswith("\n")):
            if row["posed_ns"]:
                return int(row["posed_ns"])
    return None


def _loading_torch(pid: int) -> list[str]:
    """Return the processes of the application that have torch in their memory."""
    app = psutil.Process(pid)
    found = []
    for process in (app, *app.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            paths = [each.path.replace(os.sep, "/") for each in process.memory_maps()]
            if any(word in path for path in paths for word in HEAVY):
                found.append(" ".join(process.cmdline()[-3:]))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--window", action="store_true", help="with the window, too: it needs a screen"
    )
    parser.add_argument(
        "--starts", type=int, default=2, help="the last is measured (default: 2)"
    )
    parser.add_argument(
        "--compiled",
        action="store_true",
        help="use the compiled files of this checkout, instead of compiling all at the "
        "first start",
    )
    given = parser.parse_args()
    found = time_to_first_pose(given.window, given.starts, given.compiled)
    raise SystemExit(any(each["problem"] for each in found.values()))
