"""Where an imported network sees body parts, as live, and how exactly that is known."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from deeplabstream.pose.model.model_folder import (
    ModelFolder,
    load_model_folder,
    network_hash,
    save_description,
)
from deeplabstream.pose.network_estimator import Network, NetworkEstimator
from deeplabstream.pose.runtimes.runtime_list import load_network
from deeplabstream.pose.tracking.pose_matching import match_animals

SLEAP_NN_SIZE = ("--size", "128x96")
"""Words for ImportModel.py: networks of sleap-nn do not say the size of their images."""


def frames_of(reference: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return the frames of a `reference.npz`."""
    return [reference[f"frame{place}"] for place in range(len(reference["points"]))]


def estimated(
    folder: Path,
    pictures: Sequence[np.ndarray],
    load: Callable[[ModelFolder], Network] = lambda m: load_network(m, "cpu", 1),
) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, animal, part, 2) and confidences (n, animal, part)."""
    model = load_model_folder(folder)
    estimator = NetworkEstimator(model, load(model))
    found = [estimator.estimate([picture])[0] for picture in pictures]
    points = np.stack([pose.points for pose in found])
    return points, np.stack([pose.confidence for pose in found])


def poses(
    folder: Path, pictures: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, part, 2) and confidences (n, part), of one animal."""
    points, sure = estimated(folder, pictures)
    return points[:, 0], sure[:, 0]


ROUNDINGS = 32
"""Roundings that add up, of which the worst of `TRIES` tries shows one."""
TRIES = 3


def rounding(
    folder: Path, pictures: Sequence[np.ndarray], points: np.ndarray, sure: np.ndarray
) -> tuple[float, float]:
    """Return the px and the confidence by which another processor may differ.

    `points` and `sure` are what the network finds in the pictures.

    Processors add in another order and so round differently, everywhere in a network.
    What that does to a point depends on the network: of a detector whose boxes are
    exponentials of what it computes it is 1e-3 px, of maps 1e-5 px. So each weight is
    moved by its last bit, up or down at random: a network that is as right as the
    original. A processor rounds after each of some hundred layers, which adds up like
    the root of that, and the tries do not find the worst direction; `ROUNDINGS` is for both.
    The hundredth of a pixel and the thousandth are what nobody needs to know.
    """
    most_px = most = 0.0
    for seed in range(TRIES):
        with tempfile.TemporaryDirectory() as name:
            other = _in_last_bits(folder, Path(name) / folder.name, seed)
            there, said = estimated(other, pictures)
        for place in range(len(points)):
            order = match_animals(points[place], there[place])
            away = np.abs(there[place, order] - points[place])
            most_px = max(most_px, float(np.nanmax(away, initial=0)))
            most = max(most, float(np.abs(said[place, order] - sure[place]).max()))
    return 0.01 + ROUNDINGS * most_px, 1e-3 + ROUNDINGS * most


def _in_last_bits(folder: Path, other: Path, seed: int) -> Path:
    """Make the same network with every weight moved by its last bit."""
    shutil.copytree(folder, other)
    model = load_model_folder(other)
    graph, rng = onnx.load(str(model.network)), np.random.default_rng(seed)
    for weights in graph.graph.initializer:
        held = onnx.numpy_helper.to_array(weights)
        if held.dtype == np.float32 and held.size > 16:  # no size, scale or limit
            to = rng.choice(np.array([-np.inf, np.inf], np.float32), held.shape)
            moved = onnx.numpy_helper.from_array(np.nextafter(held, to), weights.name)
            weights.CopyFrom(moved)
    onnx.save(graph, str(model.network))
    save_description(replace(model, sha256=network_hash(model.network)))
    return other
