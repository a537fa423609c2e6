"""48 wells of one live camera: frames captured and decided, and what a decision takes.

The real program runs headless: the recording of `benchmarks/arenas.py` is played at its rate, as
a camera; without it, wells are simulated. Each well has a trigger, an output and an experiment,
and the run is recorded. CPU time is that of all processes, of playing the video too. On a computer
with other work, only the CPU time and the counts say something.

    python benchmarks/live_arenas.py                 a minute
    python benchmarks/live_arenas.py --quick         5 s of small simulated wells
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.arenas import rig_text
from benchmarks.support.fly_wells import COLUMNS, ROWS, VIDEO, recorded, simulated

ROOT = Path(__file__).resolve().parents[1]
RATE = 30
WARM_UP_S = 1.0
"""Not counted: the rig has just started."""
PLAYED = f"KIND = VideoFile\nSOURCE = {VIDEO}\nREPEAT = yes\n"
SIMULATED = """\
KIND = SimulatedWells
HEIGHT = {height}
WIDTH = {width}
ROWS = {rows}
COLUMNS = {columns}
"""


def rig(*, quick: bool) -> tuple[str, str]:
    """Return what the camera shows, and the settings."""
    wells = None if quick else recorded(1)
    camera = PLAYED
    if wells is None:
        wells = simulated(1, (240, 320) if quick else (960, 1280))
        height, width = wells.shape
        camera = SIMULATED.format(
            height=height, width=width, rows=ROWS, columns=COLUMNS
        )
    streaming = "[Streaming]\nOUTPUT_DIRECTORY = runs\n"
    text = rig_text(wells).replace("KIND = SimulatedWells\n", camera, 1)
    return wells.name, streaming + text


def measured(folder: Path) -> dict[str, Any]:
    """Return what became of the frames of a run."""
    table = pd.read_csv(folder / "top.csv")
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    table = table[table.arrived_ns >= table.arrived_ns.iloc[0] + WARM_UP_S * 1e9]
    decided = table[table.analysed == 1]
    arrived_ms = (decided.decided_ns - decided.arrived_ns) / 1e6
    return {
        "seconds": float((table.arrived_ns.iloc[-1] - table.arrived_ns.iloc[0]) / 1e9),
        "delivered": len(table),
        "decided": len(decided),
        "p50_ms": float(arrived_ms.median()),
        "p99_ms": float(arrived_ms.quantile(0.99)),
        "arenas": len(facts["arenas"]),
        "how": facts["how"],
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 when the program failed or a frame was not decided."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--quick", action="store_true", help="5 s, simulated")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(argv)
    seconds = min(5.0, options.seconds) if options.quick else options.seconds
    name, text = rig(quick=options.quick)

    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.ini"
        settings.write_text(text, encoding="utf-8")
        program = [sys.executable, str(ROOT / "DeepLabStream.py"), "--headless"]
        program += ["--dlc-enabled", "--recording-enabled", "--experiment"]
        program += [
            "--frames",
            str(round((seconds + WARM_UP_S) * RATE)),
            "--settings",
            str(settings),
        ]
        before = os.times()
        ran = subprocess.run(program, capture_output=True, text=True, check=False)
        after = os.times()
        runs = sorted((Path(folder) / "runs").glob("*/run.json"))
        if not runs:
            print(ran.stdout, ran.stderr, sep="\n", file=sys.stderr)
            return 1
        result = measured(runs[0].parent)

    frames = round((seconds + WARM_UP_S) * RATE)
    used_s = (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
    result |= {"wells": name, "cpu_s": used_s}
    print(f"{result['arenas']} arenas, {name}, run {result['how']}")
    print(
        f"{result['delivered']} frames delivered in {result['seconds']:.1f} s, "
        f"{result['decided']} decided"
    )
    print(
        f"arrival to decision p50 {result['p50_ms']:.1f} ms, p99 {result['p99_ms']:.1f} ms"
    )
    print(
        f"CPU time of all processes {used_s:.1f} s, "
        f"{1e3 * used_s / frames:.1f} ms a frame with start and end"
    )
    print(
        *(it for it in ran.stdout.splitlines() if it.startswith("Problem:")), sep="\n"
    )
    if options.json:
        options.json.write_text(json.dumps(result, indent=2), encoding="utf-8")
    return int(ran.returncode != 0 or result["decided"] < result["delivered"])


if __name__ == "__main__":
    sys.exit(main())
