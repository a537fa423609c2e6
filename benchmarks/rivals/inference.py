"""Other programs with their own networks, beside ours with the same weights.

DeepLabCut-Live with DeepLabCut's ResNet-50, and SLEAP-NN with a small U-Net, each run by
its own Python on one thread, from an image in memory to points. The first time, each
network learns in its own program, for some minutes, where a simulated mouse is (--steps); the
weights stay in the user's cache. They are exported, imported with utils/ImportModel.py,
brought to eight bits, and timed here on the same images in every runtime, on one thread
too. A runtime counts for an aim when 95 in 100 of its points are within a pixel of those
of full precision, and no more than 1 in 100 are with changed visibility: the gate that RUNTIME =
auto has with TOLERANCE_PX = 1. The mouse is always in sight, so a point counts as seen
from half the median confidence on: rivals' own thresholds suit networks that learned for
longer. How far points are from the rival's is said too. Figures taken while other programs
compute mean little.

    python benchmarks/rivals/inference.py --dlc-live DLC_ENVIRONMENT/bin/python \
        --sleap-nn SLEAP_ENVIRONMENT/bin/python [--quick] [--json rivals.json]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.drawn import Drawn, crops, frames
from benchmarks.support.training_programs import existing
from deeplabstream.core.errors import ModelError
from deeplabstream.files.user_cache import cache_folder
from deeplabstream.pose.importers.script_export import SCRIPTS, import_exported
from deeplabstream.pose.importers.sleap_nn import import_sleap_nn
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.network_estimator import NetworkEstimator, decode_poses
from deeplabstream.pose.runtimes.quantisation import quantise
from deeplabstream.pose.runtimes.runtime_comparison import (
    compare,
    outputs,
    save_images,
)
from deeplabstream.pose.runtimes.runtime_list import REFERENCE, load_network, present

SIZES = ((256, 256), (640, 480))
FRAMES, CROPS, SIDE = 96, 512, 128
WORKER = Path(__file__).with_name("inference_worker.py")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
AIMS = {
    "dlc-live": {"fp32": 1.3, "bf16": 2.5, "int8": 5.0},
    "sleap-nn": {"fp32": 2.0, "bf16": 3.2, "int8": 5.0},
}
"""How many times as fast as the rival ours should be, by precision."""
GATE_PX = 1.0
Row = dict[str, Any]


def grey(drawn: Drawn) -> Drawn:
    """Return the images without colour, in three equal channels."""
    mean = drawn[0].mean(axis=3).astype(np.uint8)
    return np.repeat(mean[..., None], 3, axis=3), drawn[1]


def theirs(rival: str, python: str, folder: Path, seconds: float, steps: int) -> Row:
    """Run the rival, which learns first if it never did; return what its worker tells."""
    weights = cache_folder() / "benchmarks" / f"{rival}-{steps}.pt"
    command = [python, str(WORKER), rival, str(folder), str(seconds)]
    if not weights.is_file():
        pictures, points = grey(crops(CROPS, SIDE))
        np.savez(folder / "crops.npz", pictures=pictures, points=points)
        print(f"{rival} learns for {steps} steps, once", flush=True)
    done = _run([*command, str(weights), str(steps)], threads="")
    told: Row = json.loads(done.splitlines()[-1])
    return told


def imported(
    rival: str, python: str, folder: Path, size: tuple[int, int]
) -> ModelFolder:
    """Export the network that the rival ran, in its environment, and import it."""
    words, exported = f"{size[0]}x{size[1]}", folder / "exported"
    if rival == "dlc-live":
        script = str(SCRIPTS / "from_deeplabcut3.py")
        given = [
            str(folder / "exported.pt"),
            "--size",
            words,
            "--output",
            str(exported),
        ]
        _run([python, script, *given])
        return import_exported(exported, folder / "model", "")
    program = str(Path(python).with_name("sleap-nn"))
    sides = ["--input-height", str(size[1]), "--input-width", str(size[0])]
    given = ["export", str(folder), "-o", str(exported), "--format", "onnx"]
    _run([program, *given, *sides])
    return import_sleap_nn(exported, size, folder / "model", "")


def ours(
    model: ModelFolder, pictures: NDArray[np.uint8], seconds: float
) -> dict[str, Row]:
    """Return ms, points and the difference to full precision by runtime, on one thread."""
    save_images(model, pictures[:6])
    reference = outputs(load_network(model, REFERENCE, 1), pictures)
    model = replace(
        model, threshold=float(np.median(decode_poses(model, reference)[1])) / 2
    )
    try:
        quantise(model, pictures, GATE_PX)
    except ModelError as error:
        print(f"{'':>10} no eight bits: {error}")
    rows: dict[str, Row] = {}
    for runtime in present(model):
        network = load_network(model, runtime, 1)
        far = compare(model, reference, outputs(network, pictures))
        estimator = NetworkEstimator(model, network)
        points = [estimator.estimate([one])[0].points[0] for one in pictures]
        spent: list[float] = []
        end = time.perf_counter() + seconds
        while len(spent) < 3 or time.perf_counter() < end:
            began = time.perf_counter()
            estimator.estimate([pictures[len(spent) % len(pictures)]])
            spent.append((time.perf_counter() - began) * 1e3)
        rows[runtime] = {
            "ms": spent,
            "points": np.stack(points).tolist(),
            "from_fp32_p95_px": far.p95_px,
            "seen_otherwise": far.seen_otherwise,
            "accepted": far.within(GATE_PX, own_images=True),
        }
    return rows


def row(name: str, told: Row, beside: Row) -> Row:
    """Return the figures of one way, and print them."""
    away = np.linalg.norm(
        np.array(told["points"]) - np.array(beside["points"]), axis=-1
    )
    facts = {
        "who": name,
        "p50_ms": float(np.median(told["ms"])),
        "p99_ms": float(np.percentile(told["ms"], 99)),
        "times_as_fast": float(np.median(beside["ms"]) / np.median(told["ms"])),
        "median_px": float(np.nanmedian(away)),
        "p95_px": float(np.nanpercentile(away, 95)),
        "from_fp32_p95_px": told.get("from_fp32_p95_px"),
        "accepted": told.get("accepted", True),
    }
    gate = "" if told is beside else f", {told['from_fp32_p95_px']:.3f} px from fp32"
    print(
        f"{name:>16} {facts['p50_ms']:9.2f}{facts['p99_ms']:9.2f} ms | "
        f"{facts['times_as_fast']:5.2f} times as fast | median {facts['median_px']:.3f} px, "
        f"95 % below {facts['p95_px']:.3f} px{gate}"
        f"{'' if facts['accepted'] else ': refused'}",
        flush=True,
    )
    return facts


def aims(rival: str, rows: Sequence[Row]) -> dict[str, bool]:
    """Print and return, for each aim, what the fastest accepted runtime reached."""
    reached: dict[str, bool] = {}
    for precision, aim in AIMS[rival].items():
        fit = [
            row
            for row in rows
            if row["who"] != rival
            and row["accepted"]
            and precision == next((p for p in AIMS[rival] if p in row["who"]), "fp32")
        ]
        best = max(fit, key=lambda row: float(row["times_as_fast"]), default=None)
        words = f"{precision} >= {aim:g} times {rival}: "
        times = best["times_as_fast"] if best else 0.0
        words += f"{times:.2f} ({best['who']})" if best else "none passed the gate"
        reached[words] = times >= aim
        print(f"{'met   ' if reached[words] else 'MISSED'}  {words}", flush=True)
    return reached


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the rivals that are given; print and write what came out."""
    parser = argparse.ArgumentParser(description="Other programs beside ours.")
    add = parser.add_argument
    add("--dlc-live", type=existing, help="Python with deeplabcut 3, deeplabcut-live")
    add("--sleap-nn", type=existing, help="Python with sleap-nn")
    add("--quick", action="store_true", help="256x256 alone, two seconds each")
    add("--json", type=Path, help="write everything there")
    add("--steps", type=int, default=400, help="that their networks learn for, once")
    options = parser.parse_args(argv)
    if options.dlc_live is None and options.sleap_nn is None:
        parser.error("nothing to compare with: name --dlc-live or --sleap-nn")
    seconds, sizes = (2.0, SIZES[:1]) if options.quick else (8.0, SIZES)
    facts: Row = {"cores": os.cpu_count(), "rows": [], "aims": []}
    for rival in ("dlc-live", "sleap-nn"):
        python = str(vars(options)[rival.replace("-", "_")] or "")
        for size in sizes if python else ():
            print(f"{rival}, {size[0]}x{size[1]}, one thread: p50, p99")
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                pictures, _ = grey(frames(FRAMES, *size))
                np.save(folder / "frames.npy", pictures)
                beside = theirs(rival, python, folder, seconds, options.steps)
                rows = {rival: beside}
                rows |= ours(imported(rival, python, folder, size), pictures, seconds)
            about = {"rival": rival, "size": list(size)}
            found = [about | row(name, it, beside) for name, it in rows.items()]
            facts["rows"] += found
            facts["aims"].append(about | aims(rival, found))
    if options.json:
        options.json.write_text(json.dumps(facts, indent=2), "utf-8")
    return 0


def _run(command: Sequence[str], threads: str = "1") -> str:
    limits = dict.fromkeys(THREADS, threads) if threads else {}
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | limits
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
