"""How long a frame takes from picture to points, beside the bare call of the same network.

Every runtime that is there × EfficientNet-Lite0, ResNet-50 and a small U-Net × 256², 384²
and 640×480, and the networks that are shipped. A frame is 640×480 in colour and is brought
to the network's size; *added* is what that, reading the points and mapping them back cost
beyond the bare call, measured in turns. *Live crop* follows the simulated mouse. How far
poses are from full precision is said where the network was trained; those with random
weights say by how much any of their values differs. Nothing is asserted: figures taken
while other programs compute mean little.

    python benchmarks/inference.py                     all, about half an hour
    python benchmarks/inference.py --quick             the small ones, two minutes
    python benchmarks/inference.py --networks arena --runtimes cpu openvino --json it.json
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from cameras.arena import Arena
from core.errors import ModelError
from core.pose import Skeleton
from pose.comparing import compare, outputs, pictures_of
from pose.fitting import Fitting
from pose.live_crop import LiveCrop
from pose.model_folder import ModelFolder, load_model_folder
from pose.network_estimator import NetworkEstimator
from pose.opening import MODELS
from pose.runtimes import REFERENCE, check_runtime, load_network, present

RANDOM = {"efficientnet": "efficientnet_lite0", "resnet50": "resnet50", "unet": "unet"}
SIZES = ((256, 256), (384, 384), (480, 640))
BATCH = 8
FRAME = (480, 640, 3)
HEADER = (
    f"{'network':>13} {'size':>8} {'runtime':<15}{'loading':>8} | {'p50 ms':>7}{'p99':>8}"
    f" | {'bare':>7}{'p99':>8} | {'added':>7}{'':>7} | {f'{BATCH} at once':>10} | "
    f"{'from full precision'}"
)


def models(
    names: Sequence[str], sizes: Sequence[tuple[int, int]], folder: Path
) -> Iterator[tuple[str, ModelFolder]]:
    """Yield the networks: shipped ones, and those with random weights, made here."""
    for name in names:
        if name not in RANDOM:
            yield name, load_model_folder(MODELS / name)
            continue
        for height, width in sizes:
            where = folder / f"{name}-{width}x{height}"
            yield name, _random(RANDOM[name], height, width, where)


def measure(
    model: ModelFolder, runtime: str, threads: int, seconds: float
) -> dict[str, Any]:
    """Return how a network does in a runtime; times in ms."""
    began = time.perf_counter()
    try:
        network = load_network(model, check_runtime(runtime), threads)
        estimator = NetworkEstimator(model, network)
        estimator.warm_up()
    except ModelError as error:
        return {"problem": str(error)}
    loading_s = time.perf_counter() - began
    arena = Arena(FRAME, seed=1)
    frame = np.empty(FRAME, np.uint8)
    arena.draw(frame, 3.0)
    ready = estimator.memory(1, model.fitting.height, model.fitting.width)
    model.fitting.place(frame, ready[0])
    calls = {
        "frame": lambda: estimator.estimate([frame]),
        "bare": lambda: network.run(ready),
    }
    spent = _in_turns(calls, seconds)
    added = np.array(spent["frame"]) - np.array(spent["bare"])
    many = [frame] * BATCH
    batch = _in_turns({"batch": lambda: estimator.estimate(many)}, seconds / 2)
    full = np.array(spent["frame"])
    return {
        "provider": network.provider,
        "loading_s": loading_s,
        "p50_ms": float(np.median(full)),
        "p99_ms": float(np.percentile(full, 99)),
        "bare_p50_ms": float(np.median(spent["bare"])),
        "bare_p99_ms": float(np.percentile(spent["bare"], 99)),
        "added_ms": float(np.median(added)),
        "added_best_ms": float(min(spent["frame"]) - min(spent["bare"])),
        "batched_fps": BATCH * 1e3 / float(np.median(batch["batch"])),
        "calls": len(full),
        **_difference(model, runtime, threads),
    }


def follow(model: ModelFolder, runtime: str, threads: int, frames: int) -> Any:
    """Return how long frames take with live crop, beside whole pictures; ms."""
    network = load_network(model, check_runtime(runtime), threads)
    estimator = NetworkEstimator(model, network)
    crop = LiveCrop(NetworkEstimator(model, network))
    crop.warm_up()
    arena = Arena(FRAME, seed=3, shelter=False)
    frame = np.empty(FRAME, np.uint8)
    spent: dict[str, list[float]] = {"whole": [], "crop": []}
    away: dict[str, list[float]] = {"whole": [], "crop": []}
    for index in range(frames):
        arena.draw(frame, index / 30, index)
        truth = arena.truth(index / 30)[0]
        for name, call in (
            ("whole", lambda: estimator.estimate([frame])),
            ("crop", lambda: crop.estimate([frame], ["top"])),
        ):
            began = time.perf_counter()
            (pose,) = call()
            spent[name].append((time.perf_counter() - began) * 1e3)
            if truth.shape == pose.points[0].shape:
                away[name] += np.linalg.norm(pose.points[0] - truth, axis=1).tolist()
    facts: dict[str, float] = {}
    for name, times in spent.items():
        facts[f"{name}_p50_ms"] = float(np.median(times))
        facts[f"{name}_p99_ms"] = float(np.percentile(times, 99))
        facts[f"{name}_fps"] = 1e3 / float(np.mean(times))
        facts[f"{name}_error_px"] = float(np.nanmedian(away[name]))
    return facts


def line(name: str, model: ModelFolder, runtime: str, row: dict[str, Any]) -> str:
    """Return a row of the table."""
    size = f"{model.fitting.width}x{model.fitting.height}"
    start = f"{name:>13} {size:>8} {runtime:<15}"
    if "problem" in row:
        return f"{start}{row['problem']}"
    share = row["added_ms"] / row["bare_p50_ms"]
    return (
        f"{start}{row['loading_s']:7.2f}s | {row['p50_ms']:7.2f}{row['p99_ms']:8.2f} | "
        f"{row['bare_p50_ms']:7.2f}{row['bare_p99_ms']:8.2f} | {row['added_ms']:7.3f}"
        f"{share:7.1%} | {row['batched_fps']:7.1f}/s | {row['difference']}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write everything as JSON."""
    parser = argparse.ArgumentParser(description="From picture to points.")
    add = parser.add_argument
    add("--quick", action="store_true", help="arena, efficientnet and unet at 256²")
    add("--networks", nargs="*", help=f"arena, openfield, {', '.join(RANDOM)}")
    add("--runtimes", nargs="*", help="by the names that RUNTIME takes")
    add("--threads", type=int, default=0, help="of the processor; 0: all cores")
    add("--seconds", type=float, help="for each row (6, or 1 with --quick)")
    add("--json", type=Path, help="write everything there")
    options = parser.parse_args(argv)
    seconds = options.seconds or (1.0 if options.quick else 6.0)
    usual = ("arena", "efficientnet", "unet") if options.quick else None
    names = options.networks or usual or ("arena", "openfield", *RANDOM)
    sizes = SIZES[:1] if options.quick else SIZES
    facts: dict[str, Any] = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "load_before": _load(),
        "rows": [],
        "live_crop": [],
    }
    print(f"{facts['cores']} cores, load {_load():.1f}; a frame is 640x480 in colour")
    print(HEADER)
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models(names, sizes, Path(folder)):
            for runtime in options.runtimes or present(model):
                row = measure(model, runtime, options.threads, seconds)
                size = [model.fitting.width, model.fitting.height]
                about = {"network": name, "size": size, "runtime": runtime}
                facts["rows"].append(about | row)
                print(line(name, model, runtime, row), flush=True)
            if name not in RANDOM:
                for runtime in ("cpu", "openvino"):
                    frames = 100 if options.quick else 600
                    told = follow(model, runtime, options.threads, frames)
                    facts["live_crop"].append(
                        {"network": name, "runtime": runtime} | told
                    )
                    print(
                        f"{name:>13} live crop in {runtime}: {told['crop_fps']:.1f} frames/s "
                        f"({told['whole_fps']:.1f} whole), p50 {told['crop_p50_ms']:.2f} "
                        f"({told['whole_p50_ms']:.2f}) ms, p99 {told['crop_p99_ms']:.2f} "
                        f"({told['whole_p99_ms']:.2f}) ms, median error "
                        f"{told['crop_error_px']:.2f} ({told['whole_error_px']:.2f}) px"
                    )
    facts["load_after"] = _load()
    print(f"load at the end: {_load():.1f}")
    if options.json:
        options.json.write_text(json.dumps(facts, indent=2), "utf-8")
    return 0


def _in_turns(
    calls: dict[str, Callable[[], object]], seconds: float
) -> dict[str, list[float]]:
    """Return ms per call, the calls taking turns; at least three each."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    while len(next(iter(spent.values()))) < 3 or time.perf_counter() < end:
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            spent[name].append((time.perf_counter() - began) * 1e3)
    return spent


def _difference(model: ModelFolder, runtime: str, threads: int) -> dict[str, Any]:
    pictures, own = pictures_of(model)
    pictures = pictures[:8]
    reference = outputs(load_network(model, REFERENCE, threads), pictures)
    network = load_network(model, check_runtime(runtime), threads)
    far = compare(model, reference, outputs(network, pictures))
    if not own:
        words = f"largest difference of a value {far.output:.1e}"
    else:
        words = f"median {far.median_px:.3f} px, p95 {far.p95_px:.3f} px"
    return {"difference": words, "output": far.output, "p95_px": far.p95_px}


def _random(backbone: str, height: int, width: int, folder: Path) -> ModelFolder:
    """Return a network with random weights as a model folder."""
    import torch

    from training.export import Recipe, export
    from training.networks import Architecture, PoseNetwork

    torch.manual_seed(0)
    network = PoseNetwork(8, Architecture(backbone=backbone)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr, operator]
    parts = Skeleton(tuple(f"part{n}" for n in range(8)))
    recipe = Recipe(parts, Fitting(height, width), 1.25, 0.5, {})
    none: NDArray[np.uint8] = np.zeros((1, height, width, 3), np.uint8)
    model = export(network, recipe, none, folder)
    (folder / "pictures.jpg").unlink(missing_ok=True)
    return model


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


if __name__ == "__main__":
    raise SystemExit(main())
