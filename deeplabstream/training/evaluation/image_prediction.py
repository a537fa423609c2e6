"""Prediction of points in images, and their distances to labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.ensemble import Ensemble, aligned, median
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.image_files import SUFFIXES, read_image
from deeplabstream.pose.tracking.pose_matching import animal_length
from deeplabstream.startup.progress import progress
from deeplabstream.training.data.labels import Labels, LabelsError

TOGETHER = 8
"""Images per call of the network."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Points that a network found in some images."""

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
        """Points (image, animal, bodypart, 2), and confidences likewise."""
        shape = len(self.points), self.animals, len(self.bodyparts)
        return self.points.reshape(*shape, 2), self.confidence.reshape(shape)

    def distance(self, labels: Labels) -> NDArray[np.float32]:
        """Return (image, bodypart) in px; NaN where there is no such label.

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
        away = np.full(self.confidence.shape, np.nan, np.float32)
        for place, name in enumerate(self.bodyparts):
            if name in labels.skeleton.bodyparts:
                own = labels.points[:, labels.skeleton.bodyparts.index(name)]
                away[:, place] = np.linalg.norm(self.points[:, place] - own, axis=1)
        return away


def find_images(path: Path) -> tuple[Path, ...]:
    """Return the images of a folder, in order, or the one that `path` is."""
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
) -> Found:
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
    return Found(
        estimator.skeleton.bodyparts,
        tuple(names),
        np.stack(points),
        np.stack(confidence),
        len(points[0]) // len(estimator.skeleton.bodyparts),
    )


def predict_by_each(
    estimator: PoseEstimator, images: Sequence[Path], names: Sequence[str]
) -> list[Found]:
    """Return what each network of an ensemble finds in images; of one network, its own."""
    own = estimator.estimators if isinstance(estimator, Ensemble) else (estimator,)
    return [predict_images(each, images, names) for each in own]


def together(members: Sequence[Found]) -> Found:
    """Return the prediction of an ensemble: the median of its points, the mean confidence.

    LabelsError: the networks find other body parts.
    """
    first = members[0]
    if len(members) == 1:
        return first
    each = alike(members)
    points = median(np.stack([found.points for found in each]))
    sure = np.mean([found.confidence for found in each], axis=0)
    return replace(each[0], points=points, confidence=sure.astype(np.float32))


def check_alike(first: Found, others: Sequence[Found]) -> None:
    """Raise LabelsError unless all find the same body parts, and as many animals."""
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


def alike(members: Sequence[Found]) -> list[Found]:
    """Return what networks found, with the same animals in the same rows.

    LabelsError: they know other body parts, or tell of more or fewer animals.
    """
    first = members[0]
    check_alike(first, members[1:])
    images = zip(*(zip(*each.by_animal, strict=True) for each in members), strict=True)
    told = [aligned(image) for image in images]
    points = np.stack([each for each, _ in told], axis=1)
    sure = np.stack([each for _, each in told], axis=1)
    count, animals = points.shape[1:3]
    return [
        Found(
            first.bodyparts, first.names, own.reshape(count, -1, 2),
            confidence.reshape(count, -1), animals,
        )
        for own, confidence in zip(points, sure, strict=True)
    ]  # fmt: skip


def spread(members: Sequence[Found]) -> NDArray[np.float64]:
    """Return (image, bodypart): root mean square distance to the members' mean, px.

    NaN: fewer than two members found it. Several animals must be in the same rows: see
    `alike`.
    """
    points = np.stack([each.points for each in members]).astype(np.float64)
    there: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=-1))
    count = np.maximum(there.sum(axis=0), 1)
    kept = np.where(there[..., None], points, 0.0)
    away = kept - kept.sum(axis=0) / count[..., None]
    squares = np.where(there, (away**2).sum(axis=-1), 0.0).sum(axis=0)
    apart = np.sqrt(squares / count)
    return np.asarray(np.where(there.sum(axis=0) > 1, apart, np.nan))


def disagreement(members: Sequence[Found]) -> NDArray[np.float64]:
    """Return (image,): how far networks are apart, px; the mean over all points.

    A point that some networks find and others do not counts as apart by an animal's
    length; one that none finds does not count.
    """
    each = alike(members)
    there = np.stack([np.isfinite(found.points).all(axis=-1) for found in each])
    length = animal_length(np.concatenate([found.by_animal[0] for found in each]))
    apart = np.where(there.all(axis=0), np.nan_to_num(spread(each)), length)
    told = there.any(axis=0)
    total = np.where(told, np.nan_to_num(apart), 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(told.sum(axis=1), 1))
