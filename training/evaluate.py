"""How far off a network's points are, and how sure it must be to be believed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from core.pose import Skeleton
from pose.heatmaps import Heatmaps
from training.context import ContextNetwork
from training.dataset import Dataset
from training.heads import STRIDE
from training.networks import PoseNetwork

Points: TypeAlias = NDArray[np.float32]
Predict: TypeAlias = Callable[[NDArray[np.uint8]], tuple[Points, Points]]


@dataclass(frozen=True, slots=True)
class PartError:
    """How one body part fared."""

    bodypart: str
    pictures: int
    """In how many pictures it was labelled."""
    median_px: float
    """Of the distance to the label, in pixels of the original pictures."""
    p95_px: float
    below_threshold: float
    """Share of those pictures in which it would count as not seen."""


def predict(
    network: PoseNetwork, heatmaps: Heatmaps, pictures: NDArray[np.uint8]
) -> tuple[Points, Points]:
    """Return points (picture, bodypart, 2), px of the input, and confidences.

    Pictures are (n, height, width, 3), or (n, 5, height, width, 3) for what a context
    network says of the middle ones.
    """
    found = []
    run = network.maps
    if isinstance(network, ContextNetwork) and pictures.ndim == 5:
        run = network.surest
    with torch.inference_mode():
        for start in range(0, len(pictures), 16):
            batch = torch.from_numpy(pictures[start : start + 16])
            found.append(run(batch).numpy())
    maps = np.concatenate(found)
    points, confidence = heatmaps.decode(maps.reshape(-1, *maps.shape[2:]))
    return points.reshape(*maps.shape[:2], 2), confidence.reshape(maps.shape[:2])


def held_out_error(network: PoseNetwork, data: Dataset) -> tuple[Points, Points]:
    """Return distances (picture, bodypart) to the labels, and confidences.

    Distances are in pixels of the original pictures, NaN where there is no label.
    """
    heatmaps = Heatmaps(STRIDE, network.how.sigma)
    pictures = data.pictures if data.context is None else data.context
    points, confidence = predict(network, heatmaps, pictures)
    away = data.in_camera_px(points) - data.in_camera_px(data.points)
    return np.linalg.norm(away, axis=2).astype(np.float32), confidence


def summary(
    skeleton: Skeleton, distance: Points, confidence: Points, threshold: float
) -> tuple[PartError, ...]:
    """Return one `PartError` per body part; NaN where it was never labelled."""
    parts = []
    for name, away, sure in zip(
        skeleton.bodyparts, distance.T, confidence.T, strict=True
    ):
        there = np.isfinite(away)
        median, p95 = (
            np.percentile(away[there], [50, 95]) if there.any() else (np.nan, np.nan)
        )
        below = float(np.mean(sure[there] < threshold)) if there.any() else np.nan
        parts.append(
            PartError(name, int(there.sum()), float(median), float(p95), below)
        )
    return tuple(parts)


def choose_threshold(distance: Points, confidence: Points) -> float:
    """Return the confidence from which a point is believed, 0.1 to 0.6.

    Half of what 98 in 100 labelled points reach; higher, if absent body parts
    reach that: then halfway between the two.
    """
    there = np.isfinite(distance)
    if not there.any():
        return 0.5
    sure = float(np.percentile(confidence[there], 2))
    absent = confidence[~there]
    doubtful = float(np.percentile(absent, 98)) if absent.size else 0.0
    threshold = max(sure / 2, (sure + doubtful) / 2 if doubtful > sure / 2 else 0.0)
    return round(float(np.clip(threshold, 0.1, 0.6)), 2)
