"""Evaluation of a network: distances to labels, PCK, reliability, confidence threshold."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.decoder import DecodedPoses, Decoder
from deeplabstream.pose.network_estimator import RIGHT_PX
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
    images: int
    """Number of images in which it was labelled."""
    median_px: float
    """Distance to the label, pixels of the original images."""
    p95_px: float
    below_threshold: float
    """Share of those images in which it is below the threshold."""

    def to_json(self) -> dict[str, object]:
        """Return the entry of `model.json`, with its key of earlier versions."""
        values = asdict(self)
        first = {"bodypart": values.pop("bodypart"), "pictures": values.pop("images")}
        return rounded(first | values)


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

    The best has the highest F1 score (harmonic mean of recall and precision); of equal
    ones the last. Part affinity fields are weaker where the network is less sure of an edge.
    """
    variants = decoder.variants()
    if len(variants) < 2 or not len(data):
        return decoder
    labels = data.points.reshape(len(data), data.animals, -1, 2)
    outputs = list(network_outputs(network, data.images))
    best, highest = decoder, 0.0
    for variant in variants:
        decoded = [variant.decode(output) for output in outputs]
        counts = match(
            np.concatenate([points for points, _ in decoded]),
            np.concatenate([sure for _, sure in decoded]),
            labels,
        ).counted
        total = int(counts.labelled.sum() + counts.predicted.sum())
        f1_score = 2 * int(counts.found.sum()) / max(1, total)
        if f1_score >= highest and f1_score > 0:
            best, highest = variant, f1_score
    return best


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutPoints:
    """Points that a network predicts in labelled images."""

    distance: Points
    """(image, animal · bodypart), px of the original images; NaN: no label, or of
    several animals not found."""
    confidence: Points
    points: Points
    """(image, animal · bodypart, 2), px of the original images. Several animals stand in
    the order of the labels' as `match` finds it; what was not found is NaN, with 0."""
    claimed: tuple[Points, Points, NDArray[np.bool_]]
    """Input of calibration, (image, …): distances and confidences of all predicted points,
    and whether the labels decide if a point is right; see `claims`."""


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
        (image, animal · bodypart): True where a point is labelled, also as not
        visible; default: `data.known`.
    near_px
        See `match`.
    """
    labels = data.in_camera_px(data.points)
    known = data.known if known is None else known
    images = data.images if data.context is None else data.context

    by_animal, sure = predict(network, decoder, images)
    flat = data.points.shape
    points = data.in_camera_px(by_animal.reshape(flat))
    if decoder.animals == 1:
        sure = sure.reshape(flat[:2])
        distance = np.linalg.norm(points - labels, axis=2).astype(np.float32)
        return HeldOutPoints(distance, sure, points, (distance, sure, known))

    # Networks do not identify animals: order those found as the labelled ones.
    points, truth = points.reshape(by_animal.shape), labels.reshape(by_animal.shape)
    ordered = match(points, sure, truth, near_px=near_px)
    claimed = claims(points, sure, truth, known.reshape(sure.shape), near_px)
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

    `labelled`: where there is a label; default: where there is a distance. With several
    animals a label may have no distance, as its animal was not found.
    """
    parts = []
    if labelled is None:
        labelled = np.isfinite(distance)
    columns = zip(skeleton.bodyparts, distance.T, confidence.T, labelled.T, strict=True)
    for name, part_distance, sure, has_label in columns:
        values = part_distance[np.isfinite(part_distance)]
        median, p95 = (
            np.percentile(values, [50, 95]) if len(values) else (np.nan, np.nan)
        )
        below = (
            float(np.mean(sure[has_label] < threshold)) if has_label.any() else np.nan
        )
        count = int(has_label.sum())
        parts.append(PartError(name, count, float(median), float(p95), below))
    return tuple(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Reliability of confidences: one row per tenth of confidence."""

    points: NDArray[np.int64]
    """Number of points with such a confidence."""
    confidence: NDArray[np.float64]
    """Mean confidence of these points; NaN: there are none."""
    right: NDArray[np.float64]
    """Share of correct points."""
    radius_px: float
    """Distance within which a point is correct."""

    def error(self) -> float:
        """Return the expected calibration error, 0 to 1."""
        filled = self.points > 0  # the means of empty bins are NaN
        gap = np.abs(self.confidence - self.right)[filled] * self.points[filled]
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
    """Return the reliability diagram: how often points of each confidence were right.

    Arrays are (image, bodypart). A point is right when it is within `within_px` of its
    label, and wrong where there is no label. Points that are not `known` do not count.
    """
    decidable = np.ones(distance.shape, bool) if known is None else known
    good = (np.isfinite(distance) & (distance <= within_px))[decidable].astype(float)
    sure = confidence[decidable]
    which = np.clip((sure * tenths).astype(int), 0, tenths - 1)
    counts = np.bincount(which, minlength=tenths)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(which, sure, tenths) / counts
        right = np.bincount(which, good, tenths) / counts
    return Reliability(counts, mean, right, within_px)


def share_within(distance: Points, radius_px: float) -> float:
    """Return the PCK: percentage of correct keypoints, within `radius_px`, as a share.

    NaN: no point is labelled.
    """
    labelled = distance[np.isfinite(distance)]
    return float(np.mean(labelled <= radius_px)) if len(labelled) else float("nan")


def choose_threshold(
    distance: Points, confidence: Points, known: NDArray[np.bool_] | None = None
) -> float:
    """Return the confidence from which a point counts as visible, 0.1 to 0.6.

    Half of what 98 in 100 labelled points reach; higher, if body parts known to be
    absent reach that: then halfway between the two. Where absent ones reach more than
    labelled ones, the confidence with the fewest errors for both together.
    """
    labelled = np.isfinite(distance)
    decidable = np.ones(distance.shape, bool) if known is None else known
    if not labelled.any():
        return 0.5

    # Percentiles, not extremes: a few wrong labels must not decide.
    sure = float(np.percentile(confidence[labelled], 2))
    absent = confidence[~labelled & decidable]
    absent_confidence = float(np.percentile(absent, 98)) if absent.size else 0.0
    if absent_confidence > sure:
        tried = np.arange(10, 61) / 100
        wrong = (confidence[labelled] < tried[:, None]).sum(axis=1)
        wrong += (absent >= tried[:, None]).sum(axis=1)
        return float(tried[wrong.argmin()])
    threshold = max(
        sure / 2,
        (sure + absent_confidence) / 2 if absent_confidence > sure / 2 else 0.0,
    )
    return round(float(np.clip(threshold, 0.1, 0.6)), 2)


def rounded(values: dict[str, object]) -> dict[str, object]:
    """Return rounded figures for JSON, with None for NaN."""
    short = {k: round(v, 3) if isinstance(v, float) else v for k, v in values.items()}
    return {k: None if v != v else v for k, v in short.items()}
