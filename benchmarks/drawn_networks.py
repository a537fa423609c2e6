"""Train the networks of `inference.py` on simulated mice, and keep them for its next runs.

EfficientNet-Lite0, ResNet-50 and a small U-Net learn for some minutes what a simulated mouse
looks like, at all the scales that are measured: enough for clear maps, so that what bf16
and eight bits cost can be said in pixels. They stay in the user's cache.

    python benchmarks/drawn_networks.py

One thread computes unless `--threads` says otherwise: several wait for each other at every
layer, which costs more than it gives where other programs run too.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.drawn import crops, frames
from deeplabstream.core.errors import ModelError
from deeplabstream.files.user_cache import cache_folder
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import ModelFolder, network_hash
from deeplabstream.pose.runtimes.onnx_runtime import open_onnx
from deeplabstream.pose.runtimes.quantisation import describe_trial, quantise
from deeplabstream.pose.runtimes.quantised_network import (
    INT8,
    Quantised,
    save_quantised,
)
from deeplabstream.simulation.arena import ARENA_SKELETON

SIZES = ((256, 256), (384, 384), (480, 640))
"""Height and width of what the networks see."""
STEPS = {"efficientnet_lite0": 200, "resnet50": 200, "unet": 400}
BATCH, SIDE = 8, 128
THRESHOLD = 0.2
PICTURES = 48
"""Of each size, for the model folder: runtimes are compared on them."""


def kept(backbone: str, height: int, width: int) -> Path:
    """Return where that network is kept, once it was trained."""
    return cache_folder() / "benchmarks" / f"{backbone}-{width}x{height}"


def train(backbone: str, steps: int) -> None:
    """Train one network and keep it for each size, in eight bits too.

    What was kept before is there until all sizes are done.
    """
    import torch

    from deeplabstream.pose.decoders.heatmaps import Heatmaps
    from deeplabstream.training.losses.supervised import heatmap_loss
    from deeplabstream.training.model_export import ModelMetadata, export
    from deeplabstream.training.networks.heads import STRIDE
    from deeplabstream.training.networks.pose_network import Architecture, PoseNetwork

    torch.manual_seed(0)
    how = Architecture(backbone=backbone)
    network = PoseNetwork(len(ARENA_SKELETON.bodyparts), how).train()
    if backbone.startswith("efficientnet"):
        network.load_imagenet()
    maps = Heatmaps(STRIDE, how.sigma)
    images, points = crops(512, SIDE)
    targets = maps.encode(points[:, None], SIDE, SIDE)
    best = torch.optim.AdamW(network.parameters(), 1e-3)
    slower = torch.optim.lr_scheduler.OneCycleLR(best, 2e-3, steps + 1)
    rng, began, loss = np.random.default_rng(0), time.perf_counter(), 0.0
    for step in range(steps):
        some = rng.integers(0, len(images), BATCH)
        given = torch.from_numpy(images[some])
        each = heatmap_loss(network(given), torch.from_numpy(targets[some]))
        best.zero_grad()
        each.backward()  # type: ignore[no-untyped-call]
        best.step()
        slower.step()
        loss = 0.9 * loss + 0.1 * float(each.detach()) if step else float(each.detach())
        if step % 50 == 49:
            spent = time.perf_counter() - began
            print(f"{backbone:>28}: step {step + 1}, loss {loss:.2f}, {spent:.0f} s")
    network.eval()
    places = [kept(backbone, height, width) for height, width in SIZES]
    places[0].parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=places[0].parent) as making:
        first: ModelFolder | None = None
        for (height, width), place in zip(SIZES, places, strict=True):
            metadata = ModelMetadata(
                ARENA_SKELETON, Fitting(height, width), maps, THRESHOLD, {}
            )
            seen, truth = frames(PICTURES, width, height)
            model = export(network, metadata, seen, Path(making) / place.name)
            if first is None:
                first = model
                try:
                    trial = quantise(model, seen, tolerance_px=1.0)[0]
                    result = describe_trial(trial)
                except ModelError as error:
                    result = str(error)
                print(f"{model.path.name:>28}: eight bits: {result}")
            elif (first.path / INT8).is_file():
                _same_in_eight_bits(first, model)
            _say_error(model, seen, truth)
        for place in places:
            shutil.rmtree(place, ignore_errors=True)
            (Path(making) / place.name).replace(place)


def _same_in_eight_bits(first: ModelFolder, model: ModelFolder) -> None:
    """Give a network of another size the ranges that were found for the first."""
    import onnx

    graph = onnx.load(str(first.path / INT8))
    size = graph.graph.input[0].type.tensor_type.shape.dim
    size[1].dim_value, size[2].dim_value = model.fitting.height, model.fitting.width
    out = graph.graph.output[0].type.tensor_type.shape.dim
    for dim, cells in zip(list(out)[1:], model.output_shapes[0], strict=True):
        dim.dim_value = cells
    del graph.graph.value_info[:]
    onnx.save(graph, str(model.path / INT8))
    digest = network_hash(model.path / INT8)
    ranges = Quantised(model.sha256, digest, "as 256x256", 0, *[float("nan")] * 3)
    save_quantised(model, ranges)


def _say_error(
    model: ModelFolder, seen: NDArray[np.uint8], truth: NDArray[np.float32]
) -> None:
    poses = open_onnx(model, "cpu").estimate(list(seen))
    away = [
        np.linalg.norm(p.points[0] - xy, axis=1)
        for p, xy in zip(poses, truth, strict=True)
    ]
    sure = float(np.mean([p.confidence[0] >= model.threshold for p in poses]))
    print(
        f"{model.path.name:>28}: {np.median(away):.2f} px from the truth, "
        f"{sure:.0%} of the points believed",
        flush=True,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Train those that are asked for."""
    parser = argparse.ArgumentParser(description="Train the networks of inference.py.")
    parser.add_argument("backbones", nargs="*", default=list(STEPS))
    parser.add_argument(
        "--steps", type=int, help="instead of the usual number: for a try"
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch; default: one")
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded
    import torch

    torch.set_num_threads(options.threads)
    for backbone in options.backbones:
        train(backbone, options.steps or STEPS[backbone])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
