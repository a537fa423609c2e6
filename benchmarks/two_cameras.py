"""Two cameras of 848×480 at 30 frames/s, both posed: what the predecessor claimed.

The real program runs headless on two simulated cameras with a network of the application;
then the run folder says how many frames of each camera were delivered and posed, and how
long after its exposure a frame was decided. Drawing the images costs CPU time too:
real cameras bring them along.

    python benchmarks/two_cameras.py                 a minute
    python benchmarks/two_cameras.py --quick         5 s
    python benchmarks/two_cameras.py --json two.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
RATE = 30
WARM_UP_S = 2.0
"""Not counted: the rig has just started."""

SETTINGS = """\
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = {model}
RUNTIME = {runtime}
[Camera left]
KIND = SimulatedCamera
WIDTH = 848
HEIGHT = 480
RATE = {rate}
SEED = 1
[Camera right]
KIND = SimulatedCamera
WIDTH = 848
HEIGHT = 480
RATE = {rate}
SEED = 2
[Experiment]
EXP_NAME =
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 when the program failed or reported a problem."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--model", default="arena")
    add("--runtime", default="auto")
    add("--seconds", type=float, default=60)
    add("--quick", action="store_true", help="5 s")
    add("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(argv)
    seconds = 5.0 if asked.quick else asked.seconds
    words = SETTINGS.format(model=asked.model, runtime=asked.runtime, rate=RATE)
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.ini"
        settings.write_text(words, encoding="utf-8")
        frames = round((seconds + WARM_UP_S) * RATE)
        program = [sys.executable, str(ROOT / "DeepLabStream.py"), "--headless"]
        program += ["--dlc-enabled", "--recording-enabled", "--frames", str(frames)]
        ran = subprocess.run(
            [*program, "--settings", str(settings)],
            capture_output=True,
            text=True,
            check=False,
        )
        runs = sorted((Path(folder) / "runs").glob("*/run.json"))
        ended = [json.loads(run.read_text("utf-8"))["how"] for run in runs]
        if ended != ["stopped"]:
            print(ran.stdout, ran.stderr, sep="\n", file=sys.stderr)
            return 1
        result = {name: measured(runs[0].parent, name) for name in ("left", "right")}
    for name, row in result.items():
        print(
            f"{name:5} {row['delivered']} frames delivered in {row['seconds']:.1f} s, "
            f"{row['posed']} posed ({row['share']:.1%}); exposure to decision "
            f"p50 {row['p50_ms']:.1f} ms, p99 {row['p99_ms']:.1f} ms"
        )
    print(*(s for s in ran.stdout.splitlines() if s.startswith("Problem:")), sep="\n")
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2), encoding="utf-8")
    return ran.returncode


def measured(folder: Path, camera: str) -> dict[str, Any]:
    """Return what became of a camera's frames after the warm-up."""
    table = pd.read_csv(folder / f"{camera}.csv")
    times = table.exposed_ns.fillna(table.arrived_ns)
    table = table[times >= times.iloc[0] + WARM_UP_S * 1e9]
    posed = table[table.analysed == 1]
    late_ms = (posed.decided_ns - posed.exposed_ns.fillna(posed.arrived_ns)) / 1e6
    return {
        "seconds": float((table.arrived_ns.iloc[-1] - table.arrived_ns.iloc[0]) / 1e9),
        "delivered": len(table),
        "posed": len(posed),
        "share": len(posed) / len(table),
        "p50_ms": float(late_ms.median()),
        "p99_ms": float(late_ms.quantile(0.99)),
    }


if __name__ == "__main__":
    sys.exit(main())
