"""Other programs with their own networks, beside ours with the same weights.

DeepLabCut-Live with DeepLabCut's ResNet-50, and SLEAP-NN with a small U-Net, each run by
its own Python on one thread, from a picture in memory to points. Their network is then
exported, imported with utils/ImportModel.py, and timed here on the same pictures in every
runtime, on one thread too. How far our points are from theirs is said for each. Weights
are random, so eight bits and bf16 may put peaks elsewhere: trained networks say what that
costs. Nothing is asserted; figures taken while other programs compute mean little.

    python benchmarks/rivals.py --dlc-live DLC_ENVIRONMENT/bin/python \
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
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from pose.comparing import save_pictures
from pose.importers.exported import SCRIPTS, import_exported
from pose.importers.sleap_nn import import_sleap_nn
from pose.model_folder import ModelFolder
from pose.network_estimator import NetworkEstimator
from pose.quantising import quantise
from pose.runtimes import load_network, present

SIZES = ((256, 256), (640, 480))
WORKER = Path(__file__).with_name("rival_worker.py")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def frames(width: int, height: int) -> NDArray[np.uint8]:
    """Return grey pictures as colour (12, height, width, 3): blobs on noise."""
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(12):
        coarse = rng.integers(60, 200, (height // 16, width // 16), np.uint8)
        fine = rng.integers(0, 30, (height, width), np.uint8)
        drawn.append(coarse.repeat(16, 0).repeat(16, 1) + fine)
    return np.repeat(np.stack(drawn)[..., None], 3, axis=3)


def theirs(rival: str, python: str, folder: Path, seconds: float) -> dict[str, Any]:
    """Run the rival; return what its worker tells."""
    command = [python, str(WORKER), rival, str(folder), str(seconds)]
    done = _run(command)
    told: dict[str, Any] = json.loads(done.splitlines()[-1])
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
    _run(
        [
            program,
            "export",
            str(folder),
            "-o",
            str(exported),
            "--format",
            "onnx",
            *sides,
        ]
    )
    return import_sleap_nn(exported, size, folder / "model", "")


def ours(
    model: ModelFolder, pictures: NDArray[np.uint8], seconds: float
) -> dict[str, dict[str, Any]]:
    """Return ms and points for each runtime, on one thread."""
    save_pictures(model, pictures)
    try:
        quantise(model, pictures, tolerance_px=1e6)
    except ModelError as error:
        print(f"{'':>10} no eight bits: {error}")
    rows: dict[str, dict[str, Any]] = {}
    for runtime in present(model):
        estimator = NetworkEstimator(model, load_network(model, runtime, 1))
        points = [estimator.estimate([one])[0].points[0] for one in pictures]
        spent: list[float] = []
        end = time.perf_counter() + seconds
        while len(spent) < 3 or time.perf_counter() < end:
            began = time.perf_counter()
            estimator.estimate([pictures[len(spent) % len(pictures)]])
            spent.append((time.perf_counter() - began) * 1e3)
        rows[runtime] = {"ms": spent, "points": np.stack(points).tolist()}
    return rows


def row(name: str, told: dict[str, Any], beside: dict[str, Any]) -> dict[str, Any]:
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
    }
    print(
        f"{name:>16} {facts['p50_ms']:9.2f}{facts['p99_ms']:9.2f} ms | "
        f"{facts['times_as_fast']:5.2f} times as fast | median {facts['median_px']:.3f} px, "
        f"95 % below {facts['p95_px']:.3f} px",
        flush=True,
    )
    return facts


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the rivals that are given; print and write what came out."""
    parser = argparse.ArgumentParser(description="Other programs beside ours.")
    add = parser.add_argument
    add("--dlc-live", default="", help="Python with deeplabcut 3 and deeplabcut-live")
    add("--sleap-nn", default="", help="Python with sleap-nn")
    add("--quick", action="store_true", help="256x256 alone, two seconds each")
    add("--json", type=Path, help="write everything there")
    options = parser.parse_args(argv)
    seconds, sizes = (2.0, SIZES[:1]) if options.quick else (15.0, SIZES)
    facts: dict[str, Any] = {"cores": os.cpu_count(), "rows": []}
    for rival in ("dlc-live", "sleap-nn"):
        python = vars(options)[rival.replace("-", "_")]
        for size in sizes if python else ():
            print(f"{rival}, {size[0]}x{size[1]}, one thread: p50, p99")
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                pictures = frames(*size)
                np.save(folder / "frames.npy", pictures)
                beside = theirs(rival, python, folder, seconds)
                rows = {rival: beside}
                rows |= ours(imported(rival, python, folder, size), pictures, seconds)
            about = {"rival": rival, "size": list(size)}
            facts["rows"] += [
                about | row(name, it, beside) for name, it in rows.items()
            ]
    if options.json:
        options.json.write_text(json.dumps(facts, indent=2), "utf-8")
    return 0


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | ONE_THREAD
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
