"""Evaluation of a network: distances to labels, reliability, confidence threshold."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.decoder import DecodedPoses, Decoder
from deeplabstream.pose.model.confidence_calibration import RIGHT_PX
from deeplabstream.training.data.dataset import Dataset
from deeplabstream.training.evaluation.animal_matching import claims, match
from deeplabstream.training.networks.context import ContextNetwork
from deeplabstream.training.networks.pose_network import PoseNetwork

Points: TypeAlias = NDArray[np.float32]
Predict: TypeAlias = Callable[[NDArray[np.uint8]], tuple[Points, Points]]


@dataclass(frozen=True, slots=True)
class PartError:
    """Errors of one body part."""

    bodypart: str
    pictures: int  # the name in model.json
    """Number of images in which it was labelled."""
    median_px: float
    """Distance to the label, pixels of the original images."""
    p95_px: float
    below_threshold: float
    """Share of those images in which it is below the threshold."""


def predict(
    network: PoseNetwork, decoder: Decoder, images: NDArray[np.uint8]
) -> DecodedPoses:
    """Return the poses that a network finds.

    Parameters
    ----------
    network
        In evaluation mode.
    decoder
        Converts its output to poses.
    images
        (n, height, width, 3), uint8 BGR, or (n, 5, height, width, 3): consecutive frames
        around the one in which a context network finds the pose.

    Returns
    -------
    points
        (n, animal, bodypart, 2), pixels of the network's input.
    confidences
        (n, animal, bodypart), 0 to 1.
    """
    found = [decoder.decode(output) for output in network_outputs(network, images)]
    return np.concatenate([p for p, _ in found]), np.concatenate([c for _, c in found])


def network_outputs(
    network: PoseNetwork, images: NDArray[np.uint8]
) -> Iterator[NDArray[np.float32]]:
    """Yield the output (n, *shape) of a network for 16 images at a time; see `predict`."""
    run = network.maps
    if isinstance(network, ContextNetwork) and images.ndim == 5:
        run = network.surest  # a multiview network's `maps` takes all views anyway
    with torch.inference_mode():
        for start in range(0, len(images), 16):
            yield run(torch.from_numpy(images[start : start + 16])).float().numpy()


def choose_variant(network: PoseNetwork, data: Dataset, decoder: Decoder) -> Decoder:
    """Return the variant of a decoder that finds the animals in `data` best.

    The best has the highest harmonic mean of recall and precision; of equal ones the last.
    Part affinity fields are the weaker, the less sure the network is of an edge.
    """
    variants = decoder.variants()
    if len(variants) < 2 or not len(data):
        return decoder
    labels = data.points.reshape(len(data), data.animals, -1, 2)
    outputs = list(network_outputs(network, data.images))
    best, most = decoder, 0.0
    for variant in variants:
        each = [variant.decode(output) for output in outputs]
        found = match(
            np.concatenate([points for points, _ in each]),
            np.concatenate([sure for _, sure in each]),
            labels,
        ).counted
        sums = found.labelled.sum() + found.told.sum()
        good = 2 * int(found.found.sum()) / max(1, int(sums))
        if good >= most and good > 0:
            best, most = variant, good
    return best


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutPoints:
    """Points that a network finds in labelled images."""

    distance: Points
    """(image, animal · bodypart), px of the original images; NaN: no label, or of
    several animals not found."""
    confidence: Points
    points: Points
    """(image, animal · bodypart, 2), px of the original images. Several animals stand in
    the order of the labels' as `match` finds it; what was not found is NaN, with 0."""
    claimed: tuple[Points, Points, NDArray[np.bool_]]
    """What calibration learns from, (image, …): distances and confidences of what the
    network told, found or not, and of which of it is known whether it is right."""


def held_out_error(
    network: PoseNetwork,
    data: Dataset,
    decoder: Decoder,
    known: NDArray[np.bool_] | None = None,
    near_px: float | None = None,
) -> HeldOutPoints:
    """Return the distances of a network's points to the labels.

    Parameters
    ----------
    network
        In evaluation mode.
    data
        Images and labels.
    decoder
        Converts the network's output to poses.
    known
        (image, animal · bodypart): True where the label says where a point is, or that
        it is not visible; default: `data.known`.
    near_px
        See `match`.
    """
    labels = data.in_camera_px(data.points)
    known = data.known if known is None else known
    images = data.images if data.context is None else data.context
    given, sure = predict(network, decoder, images)
    flat = data.points.shape
    found = data.in_camera_px(given.reshape(flat))
    if decoder.animals == 1:
        sure = sure.reshape(flat[:2])
        away = np.linalg.norm(found - labels, axis=2).astype(np.float32)
        return HeldOutPoints(away, sure, found, (away, sure, known))
    found, truth = found.reshape(given.shape), labels.reshape(given.shape)
    ordered = match(found, sure, truth, near_px=near_px)
    claimed = claims(found, sure, truth, known.reshape(sure.shape), near_px)
    return HeldOutPoints(
        ordered.distance.reshape(flat[:2]),
        ordered.confidence.reshape(flat[:2]),
        ordered.points.reshape(flat),
        claimed,
    )


def summary(
    skeleton: Skeleton,
    distance: Points,
    confidence: Points,
    threshold: float,
    labelled: NDArray[np.bool_] | None = None,
) -> tuple[PartError, ...]:
    """Return one `PartError` per body part; NaN where it was never labelled.

    `labelled` says where there is a label although nothing was found, which several
    animals allow; otherwise it is where there is a distance.
    """
    parts = []
    if labelled is None:
        labelled = np.isfinite(distance)
    for name, away, sure, own in zip(
        skeleton.bodyparts, distance.T, confidence.T, labelled.T, strict=True
    ):
        there = np.isfinite(away)
        median, p95 = (
            np.percentile(away[there], [50, 95]) if there.any() else (np.nan, np.nan)
        )
        below = float(np.mean(sure[own] < threshold)) if own.any() else np.nan
        parts.append(PartError(name, int(own.sum()), float(median), float(p95), below))
    return tuple(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Reliability of confidences: one row per tenth of confidence."""

    points: NDArray[np.int64]
    """Number of points with such a confidence."""
    confidence: NDArray[np.float64]
    """Their mean; NaN where there are none."""
    right: NDArray[np.float64]
    """Share of them that was right."""
    radius_px: float
    """A point is right within this distance."""

    def error(self) -> float:
        """Return the expected calibration error, 0 to 1."""
        there = self.points > 0
        gap = np.abs(self.confidence - self.right)[there] * self.points[there]
        return float(gap.sum() / max(1, self.points.sum()))

    def write(self, file: Path) -> None:
        """Write the rows as CSV."""
        lines = ["points,confidence,right"]
        rows = zip(self.points, self.confidence, self.right, strict=True)
        lines += [f"{n},{c:.4g},{r:.4g}" for n, c, r in rows]
        file.write_text("\n".join(lines).replace("nan", "") + "\n", encoding="utf-8")


def reliability(
    distance: Points,
    confidence: Points,
    known: NDArray[np.bool_] | None = None,
    within_px: float = RIGHT_PX,
    tenths: int = 10,
) -> Reliability:
    """Return how often points (image, bodypart) of each confidence were right.

    A point is right when it is within `within_px` of its label. One without a label is
    wrong: there was nothing to be found. What is not `known` does not count.
    """
    asked = np.ones(distance.shape, bool) if known is None else known
    good = (np.isfinite(distance) & (distance <= within_px))[asked].astype(float)
    sure = confidence[asked]
    which = np.clip((sure * tenths).astype(int), 0, tenths - 1)
    counts = np.bincount(which, minlength=tenths)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(which, sure, tenths) / counts
        right = np.bincount(which, good, tenths) / counts
    return Reliability(counts, mean, right, within_px)


def share_within(distance: Points, radius_px: float) -> float:
    """Return the share of labelled points within `radius_px` (PCK); NaN: none."""
    there = distance[np.isfinite(distance)]
    return float(np.mean(there <= radius_px)) if len(there) else float("nan")


def choose_threshold(
    distance: Points, confidence: Points, known: NDArray[np.bool_] | None = None
) -> float:
    """Return the confidence from which a point counts as visible, 0.1 to 0.6.

    Half of what 98 in 100 labelled points reach; higher, if body parts known to be
    absent reach that: then halfway between the two. Where absent ones reach more than
    labelled ones, the confidence that tells most of both correctly.
    """
    there = np.isfinite(distance)
    asked = np.ones(distance.shape, bool) if known is None else known
    if not there.any():
        return 0.5
    sure = float(np.percentile(confidence[there], 2))
    absent = confidence[~there & asked]
    absent_confidence = float(np.percentile(absent, 98)) if absent.size else 0.0
    if absent_confidence > sure:
        tried = np.arange(10, 61) / 100
        wrong = (confidence[there] < tried[:, None]).sum(axis=1)
        wrong += (absent >= tried[:, None]).sum(axis=1)
        return float(tried[wrong.argmin()])
    threshold = max(
        sure / 2,
        (sure + absent_confidence) / 2 if absent_confidence > sure / 2 else 0.0,
    )
    return round(float(np.clip(threshold, 0.1, 0.6)), 2)
