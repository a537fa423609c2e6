"""Prediction of points in images, and their distances to labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.ensemble import NetworkEnsemble, aligned, median
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.image_files import SUFFIXES, read_image
from deeplabstream.pose.tracking.pose_matching import animal_length
from deeplabstream.startup.progress import progress
from deeplabstream.training.data.labels import Labels, LabelsError

TOGETHER = 8
"""Images per call of the network."""


@dataclass(frozen=True, slots=True, eq=False)
class ImagePredictions:
    """Points that a network predicts in images."""

    bodyparts: tuple[str, ...]
    names: tuple[str, ...]
    points: NDArray[np.float32]
    """(image, bodypart, 2), px of the images; of several animals (image, animal ·
    bodypart, 2), one's body parts after the other's."""
    confidence: NDArray[np.float32]
    """(image, bodypart)"""
    animals: int = 1

    @property
    def by_animal(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Points (image, animal, bodypart, 2), and their confidences."""
        shape = len(self.points), self.animals, len(self.bodyparts)
        return self.points.reshape(*shape, 2), self.confidence.reshape(shape)

    def distance(self, labels: Labels) -> NDArray[np.float32]:
        """Return (image, bodypart) in px; NaN where the label is missing.

        LabelsError when there are several animals: see
        `deeplabstream.training.evaluation.animal_matching`.
        """
        if labels.animals > 1 or self.animals > 1:
            raise LabelsError(
                [
                    f"{labels.file} labels up to {labels.animals} animals, the network "
                    f"finds {self.animals}: such a comparison needs several animals in both"
                ]
            )
        distance = np.full(self.confidence.shape, np.nan, np.float32)
        for place, name in enumerate(self.bodyparts):
            if name in labels.skeleton.bodyparts:
                truth = labels.points[:, labels.skeleton.bodyparts.index(name)]
                distance[:, place] = np.linalg.norm(
                    self.points[:, place] - truth, axis=1
                )
        return distance


def find_images(path: Path) -> tuple[Path, ...]:
    """Return the images of a folder, in order, or the image at `path`."""
    found = (
        [file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES]
        if path.is_dir()
        else [path]
    )
    if not found:
        raise LabelsError([f"{path} holds no image ({', '.join(SUFFIXES)})"])
    return tuple(found)


def predict_images(
    estimator: PoseEstimator, images: Sequence[Path], names: Sequence[str]
) -> ImagePredictions:
    """Return the points in images; LabelsError names every image that can't be read."""
    problems, points, confidence = [], [], []
    starts = range(0, len(images), TOGETHER)
    for start in progress(starts, "predicting images", len(starts), "batches"):
        some = []
        for file in images[start : start + TOGETHER]:
            image = read_image(file)
            if image is None:
                problems.append(f"the image {file} can't be read")
            else:
                some.append(image)
        if not problems:
            for pose in estimator.estimate(some):
                points.append(pose.points.reshape(-1, 2))
                confidence.append(pose.confidence.ravel())
    if problems:
        raise LabelsError(problems)
    return ImagePredictions(
        estimator.skeleton.bodyparts,
        tuple(names),
        np.stack(points),
        np.stack(confidence),
        len(points[0]) // len(estimator.skeleton.bodyparts),
    )


def predict_by_network(
    estimator: PoseEstimator, images: Sequence[Path], names: Sequence[str]
) -> list[ImagePredictions]:
    """Return the predictions of each network of an ensemble, or of the one network."""
    networks = (
        estimator.estimators if isinstance(estimator, NetworkEnsemble) else (estimator,)
    )
    return [predict_images(network, images, names) for network in networks]


def together(members: Sequence[ImagePredictions]) -> ImagePredictions:
    """Return the prediction of an ensemble: the median of its points, the mean confidence.

    LabelsError: the networks find other body parts.
    """
    first = members[0]
    if len(members) == 1:
        return first
    members = alike(members)
    points = median(np.stack([member.points for member in members]))
    sure = np.mean([member.confidence for member in members], axis=0)
    return replace(members[0], points=points, confidence=sure.astype(np.float32))


def check_alike(first: ImagePredictions, others: Sequence[ImagePredictions]) -> None:
    """Raise LabelsError unless all networks have the same body parts and number of animals."""
    for other in others:
        if other.bodyparts != first.bodyparts:
            raise LabelsError(
                [f"an ensemble needs the same body parts: {', '.join(other.bodyparts)} "
                 f"are not {', '.join(first.bodyparts)}"]
            )  # fmt: skip
        if other.animals != first.animals:
            raise LabelsError(
                [f"an ensemble needs networks of equal numbers of animals: one finds "
                 f"{other.animals}, the first of {first.animals}"]
            )  # fmt: skip


def alike(members: Sequence[ImagePredictions]) -> list[ImagePredictions]:
    """Return the predictions of several networks, with the same animals in the same rows.

    LabelsError: the networks differ in body parts, or in the number of animals.
    """
    first = members[0]
    check_alike(first, members[1:])
    by_image = (zip(*member.by_animal, strict=True) for member in members)
    poses = [aligned(image) for image in zip(*by_image, strict=True)]
    points = np.stack([image_points for image_points, _ in poses], axis=1)
    sure = np.stack([image_confidence for _, image_confidence in poses], axis=1)
    count, animals = points.shape[1:3]
    return [
        ImagePredictions(
            first.bodyparts, first.names, own.reshape(count, -1, 2),
            confidence.reshape(count, -1), animals,
        )
        for own, confidence in zip(points, sure, strict=True)
    ]  # fmt: skip


def spread(members: Sequence[ImagePredictions]) -> NDArray[np.float64]:
    """Return (image, bodypart): root mean square distance to the members' mean, px.

    NaN: fewer than two members found it. Several animals must be in the same rows: see
    `alike`.
    """
    points = np.stack([member.points for member in members]).astype(np.float64)
    found: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=-1))
    count = np.maximum(found.sum(axis=0), 1)
    filled = np.where(found[..., None], points, 0.0)
    offset = filled - filled.sum(axis=0) / count[..., None]
    squares = np.where(found, (offset**2).sum(axis=-1), 0.0).sum(axis=0)
    return np.asarray(np.where(found.sum(axis=0) > 1, np.sqrt(squares / count), np.nan))


def disagreement(members: Sequence[ImagePredictions]) -> NDArray[np.float64]:
    """Return (image,): disagreement of an ensemble, px; the mean over all points.

    A point that some networks find and others do not counts as apart by an animal's
    length; one that none finds does not count.
    """
    members = alike(members)
    found = np.stack([np.isfinite(member.points).all(axis=-1) for member in members])
    length = animal_length(np.concatenate([member.by_animal[0] for member in members]))
    apart = np.where(found.all(axis=0), np.nan_to_num(spread(members)), length)

    by_any = found.any(axis=0)
    total = np.where(by_any, np.nan_to_num(apart), 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(by_any.sum(axis=1), 1))
