"""How long frames take with live crop, beside whole images, on the simulated mouse."""

import time
from typing import Any

import numpy as np

from deeplabstream.pose.filters.live_crop import LiveCrop
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.runtimes.runtime_list import check_runtime, load_network
from deeplabstream.simulation.arena import Arena

FRAME = (480, 640, 3)


def follow(model: ModelFolder, runtime: str, threads: int, frames: int) -> Any:
    """Return how long frames take with live crop, beside whole images; ms."""
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


def in_words(told: dict[str, float]) -> str:
    """Return what `follow` found, whole images in brackets."""
    return (
        f"{told['crop_fps']:.1f} frames/s ({told['whole_fps']:.1f}), "
        f"p50 {told['crop_p50_ms']:.2f} ({told['whole_p50_ms']:.2f}) ms, "
        f"p99 {told['crop_p99_ms']:.2f} ({told['whole_p99_ms']:.2f}) ms, "
        f"median error {told['crop_error_px']:.2f} ({told['whole_error_px']:.2f}) px"
    )
