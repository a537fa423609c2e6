"""How long a frame takes from image to points, beside the bare call of the same network.

Every runtime that is there × EfficientNet-Lite0, ResNet-50 and a small U-Net × 256², 384²
and 640×480, and the networks that are shipped. A frame is 640×480 in colour and is brought
to the network's size; *added* is what that, reading the points and mapping them back cost
beyond the bare call, measured in turns. The bare call is the runtime's own with the network
as it is (`session.run` itself where ONNX Runtime computes on the processor): an image of
the network's size in, maps out, no operation rewritten. *Of it* is what bringing a frame to
size takes alone, after a call too: the network has driven image and programs out of the
processor's caches. *Live crop* follows
the simulated mouse. How far poses are from the fp32 reference is said in pixels where the
network was trained: run `drawn_networks.py` once (some minutes); untrained ones have random
weights, and the largest difference of any of their values is said. The aims are printed
with what was reached. Figures taken while other programs compute mean little.

    python benchmarks/drawn_networks.py                once: some minutes
    python benchmarks/inference.py                     all, some nine minutes
    python benchmarks/inference.py --quick             the small ones, a minute and a half
    python benchmarks/inference.py --networks arena --runtimes cpu openvino --json it.json
    python benchmarks/inference.py --gpu --json gpu.json       on an NVIDIA GPU
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

from benchmarks.drawn_networks import SIZES, kept
from benchmarks.support.followed import follow, in_words
from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import (
    DESCRIPTION,
    ModelFolder,
    load_model_folder,
)
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.pose.network_estimator import Network, NetworkEstimator
from deeplabstream.pose.runtimes.onnx_runtime import OnnxNetwork, nvidia_gpu_name
from deeplabstream.pose.runtimes.openvino_runtime import OpenVinoNetwork
from deeplabstream.pose.runtimes.runtime_comparison import compare, images_of, outputs
from deeplabstream.pose.runtimes.runtime_list import (
    REFERENCE,
    Runtime,
    check_runtime,
    load_network,
    present,
)
from deeplabstream.simulation.arena import Arena

BACKBONES = {"efficientnet": "efficientnet_lite0"} | {
    n: n for n in ("resnet50", "unet")
}
SHIPPED = ("arena", "arena_animals", "openfield")
ON_GPU: tuple[Runtime, ...] = ("cuda", "tensorrt")
BATCH = 8
FRAME = (480, 640, 3)
COMPARED = 6
"""Pictures on which poses are compared."""
ADDED_MS, ADDED_SHARE, CROP_FPS, CARD_MS, CARD_FPS = 0.2, 0.02, 100.0, 2.0, 2500.0
"""The aims: added by everything around the network; live crop on two cores; ResNet-50 at
256² on a GPU, one frame, and frames/s in batches."""
HEADER = (
    f"{'network':>13} {'size':>8} {'runtime':<16}{'loading':>8} | {'p50 ms':>7}{'p99':>8}"
    f" | {'bare':>7}{'p99':>8} | {'added':>7}{'':>7}{'of it':>7} | {f'{BATCH} at once':>10} | "
    f"{'from the fp32 reference'}"
)
Row = dict[str, Any]


def models(
    names: Sequence[str], sizes: Sequence[tuple[int, int]], folder: Path
) -> Iterator[tuple[str, ModelFolder]]:
    """Yield the networks: shipped ones, trained ones, and else with random weights."""
    for name in names:
        if name not in BACKBONES:
            yield name, load_model_folder(MODELS / name)
            continue
        for height, width in sizes:
            trained = kept(BACKBONES[name], height, width)
            if (trained / DESCRIPTION).is_file():
                yield name, load_model_folder(trained)
                continue
            where = folder / f"{name}-{width}x{height}"
            yield name, random_network(BACKBONES[name], height, width, where)


def measure(
    model: ModelFolder,
    reference: NDArray[np.float32],
    runtime: str,
    threads: int,
    seconds: float,
) -> Row:
    """Return how a network does in a runtime; times in ms.

    `reference` is what full precision gives for the images of `_compared`.
    """
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
    bare = _bare_call(model, runtime, threads, network, ready)
    spent = _in_turns(
        {"frame": lambda: estimator.estimate([frame]), "bare": bare}, seconds
    )
    added = np.array(spent["frame"]) - np.array(spent["bare"])
    place = lambda: model.fitting.place(frame, ready[0])  # noqa: E731
    placed = _in_turns({"bare": bare, "place": place}, seconds / 3)["place"]
    many = [frame] * BATCH
    estimator.estimate(many)  # the first of a shape is slow
    batch = _in_turns({"batch": lambda: estimator.estimate(many)}, seconds / 3)
    full = np.array(spent["frame"])
    images, own = _compared(model)
    far = compare(model, reference, outputs(network, images))
    return {
        "provider": network.provider,
        "loading_s": loading_s,
        "p50_ms": float(np.median(full)),
        "p99_ms": float(np.percentile(full, 99)),
        "bare_p50_ms": float(np.median(spent["bare"])),
        "bare_p99_ms": float(np.percentile(spent["bare"], 99)),
        "added_ms": float(np.median(added)),
        "placed_ms": float(np.median(placed)),
        "batched_fps": BATCH * 1e3 / float(np.median(batch["batch"])),
        "calls": len(full),
        "trained": own,
        "median_px": far.median_px if own else None,
        "p95_px": far.p95_px if own else None,
        "seen_otherwise": far.seen_otherwise if own else None,
        "output": far.output,
    }


def line(name: str, model: ModelFolder, runtime: str, row: Row) -> str:
    """Return a row of the table."""
    size = f"{model.fitting.width}x{model.fitting.height}"
    start = f"{name:>13} {size:>8} {runtime:<16}"
    if "problem" in row:
        return f"{start}{row['problem']}"
    if row["trained"]:
        far = f"median {row['median_px']:.3f} px, p95 {row['p95_px']:.3f} px"
        far += f", {row['seen_otherwise']:.1%} with changed visibility"
    else:
        far = f"largest difference of a value {row['output']:.1e}"
    share = row["added_ms"] / row["bare_p50_ms"]
    return (
        f"{start}{row['loading_s']:7.2f}s | {row['p50_ms']:7.2f}{row['p99_ms']:8.2f} | "
        f"{row['bare_p50_ms']:7.2f}{row['bare_p99_ms']:8.2f} | {row['added_ms']:7.3f}"
        f"{share:7.1%}{row['placed_ms']:7.3f} | {row['batched_fps']:8.1f}/s | {far}"
    )


def aims(rows: Sequence[Row], crops: Sequence[Row]) -> Iterator[tuple[str, bool]]:
    """Yield each aim with what was reached, in words, and whether it was met."""
    done = [row for row in rows if "problem" not in row]
    on_cpu = [row for row in done if row["runtime"] not in ON_GPU]
    few = [row for row in on_cpu if row["added_ms"] <= ADDED_MS]
    little = [
        row for row in on_cpu if row["added_ms"] <= ADDED_SHARE * row["bare_p50_ms"]
    ]
    if on_cpu:
        most = max(row["added_ms"] for row in on_cpu)
        share = max(row["added_ms"] / row["bare_p50_ms"] for row in on_cpu)
        words = f"in {len(few)} of {len(on_cpu)} rows, at most {most:.3f} ms"
        yield f"added <= {ADDED_MS} ms: {words}", len(few) == len(on_cpu)
        words = f"in {len(little)} of {len(on_cpu)} rows, at most {share:.1%}"
        yield f"added <= {ADDED_SHARE:.0%}: {words}", len(little) == len(on_cpu)
    for crop in crops:
        words = (
            f"{crop['network']} in {crop['runtime']}: {crop['crop_fps']:.0f} frames/s"
        )
        yield (
            f"live crop >= {CROP_FPS:g} frames/s: {words}",
            crop["crop_fps"] >= CROP_FPS,
        )
    for row in done:
        if row["runtime"] not in ON_GPU or row["size"] != [256, 256]:
            continue
        if row["network"] == "resnet50":
            name = f"ResNet-50 256x256 in {row['runtime']} on {nvidia_gpu_name()}"
            words = f"{name}: p50 {row['p50_ms']:.2f} ms"
            yield f"<= {CARD_MS:g} ms: {words}", row["p50_ms"] <= CARD_MS
            fps = row["batched_fps"]
            yield f">= {CARD_FPS:g} frames/s: {name}: {fps:.0f}", fps >= CARD_FPS


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write everything as JSON."""
    parser = argparse.ArgumentParser(description="From picture to points.")
    add = parser.add_argument
    add("--quick", action="store_true", help="arena, efficientnet and unet at 256²")
    add(
        "--gpu",
        "--card",
        action="store_true",
        help="only the runtimes of an NVIDIA GPU",
    )
    add("--networks", nargs="*", help=", ".join((*SHIPPED, *BACKBONES)))
    add("--runtimes", nargs="*", help="by the names that RUNTIME takes")
    add("--threads", type=int, default=0, help="of the processor; 0: all cores")
    add("--seconds", type=float, help="for each row (3, or 1 with --quick)")
    add("--json", type=Path, help="write everything there")
    options = parser.parse_args(argv)
    seconds = options.seconds or (1.0 if options.quick else 3.0)
    usual = ("arena", "efficientnet", "unet") if options.quick else None
    names = options.networks or usual or (*SHIPPED, *BACKBONES)
    sizes = SIZES[:1] if options.quick else SIZES
    wanted = ON_GPU if options.gpu else options.runtimes
    rows: list[Row] = []
    crops: list[Row] = []
    facts: Row = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "gpu": nvidia_gpu_name(),
        "threads": options.threads,
        "load_before": _load(),
        "rows": rows,
        "live_crop": crops,
    }
    where = f"{facts['cores']} cores, {nvidia_gpu_name() or 'no NVIDIA GPU'}, load {_load():.1f}"
    print(f"{where}; a frame is 640x480 in colour")
    print(HEADER)
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models(names, sizes, Path(folder)):
            full = load_network(model, REFERENCE, options.threads)
            reference = outputs(full, _compared(model)[0])
            del full
            for runtime in wanted or present(model):
                row = measure(model, reference, runtime, options.threads, seconds)
                size = [model.fitting.width, model.fitting.height]
                rows.append({"network": name, "size": size, "runtime": runtime} | row)
                print(line(name, model, runtime, row), flush=True)
            if name not in BACKBONES and not options.gpu:
                for runtime in ("cpu", "openvino"):
                    images = 100 + int(50 * seconds)
                    told = follow(model, runtime, options.threads, images)
                    crops.append({"network": name, "runtime": runtime} | told)
                    print(f"{name:>13} live crop in {runtime}: {in_words(told)}")
    facts["aims"] = dict(aims(rows, crops))
    for words, met in facts["aims"].items():
        print(f"{'met   ' if met else 'MISSED'}  {words}")
    facts["load_after"] = _load()
    print(f"load at the end: {_load():.1f}")
    if options.json:
        options.json.write_text(json.dumps(facts, indent=2), "utf-8")
    return 0


def _bare_call(
    model: ModelFolder,
    runtime: str,
    threads: int,
    network: Network,
    ready: NDArray[np.uint8],
) -> Callable[[], object]:
    """Return the call of the network as it is; rewritten ones are loaded once more."""
    if isinstance(network, OpenVinoNetwork) and not network.on_gpu:
        file, precision = network.file, network.provider.split()[-1]
        plain = OpenVinoNetwork(model, file, threads, precision, as_it_is=True)
        return lambda: plain.run(ready)
    if isinstance(network, OnnxNetwork) and not network.on_gpu:
        session = network.session
        if runtime == REFERENCE:
            session = OnnxNetwork(model, "cpu", threads, as_it_is=True).session
        names = [session.get_outputs()[0].name]
        return lambda: session.run(names, {"images": ready})
    return lambda: network.run(ready)


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


def _compared(model: ModelFolder) -> tuple[NDArray[np.uint8], bool]:
    images, own = images_of(model)
    return images[:: max(1, len(images) // COMPARED)][:COMPARED], own


def random_network(backbone: str, height: int, width: int, folder: Path) -> ModelFolder:
    """Return a network with random weights as a model folder."""
    import torch

    from deeplabstream.training.model_export import ModelMetadata, export
    from deeplabstream.training.networks.heads import STRIDE
    from deeplabstream.training.networks.pose_network import Architecture, PoseNetwork

    torch.manual_seed(0)
    network = PoseNetwork(8, Architecture(backbone=backbone)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr, operator]
    parts = Skeleton(tuple(f"part{n}" for n in range(8)))
    metadata = ModelMetadata(
        parts, Fitting(height, width), Heatmaps(STRIDE, 1.25), 0.5, {}
    )
    none: NDArray[np.uint8] = np.zeros((1, height, width, 3), np.uint8)
    model = export(network, metadata, none, folder)
    (folder / "pictures.jpg").unlink(missing_ok=True)
    return model


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


if __name__ == "__main__":
    raise SystemExit(main())
