"""Test-time augmentation: poses of changed copies of an image, as an ensemble.

A mirrored or rotated copy is used only if the network was trained with such images: a network
that never saw an animal upside down, or mirrored, would be wrong in all of them. Where no
upside-down copies suit, shifted ones are used too. A point of the result is where most copies
agree (`best_supported`). Which copies help was measured: docs/training_measurements.md.
Source: Radosavovic et al., Data distillation, CVPR 2018.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.body_sides import mirrored
from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.ensemble import NetworkEnsemble, median, members
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import find_model, opened, views_of
from deeplabstream.pose.network_estimator import LEAST, RIGHT_PX
from deeplabstream.pose.tracking.pose_matching import animal_lengths

SMALL_TURN_DEG = 8.0
"""Rotation of a copy where the network was trained with that, not with more or mirrored."""
SHIFTS = (0.01, 0.004), (-0.01, -0.007)
"""Shifts of copies: about three pixels of a network's input, less than a cell of its maps."""
AGREEING = 0.05
"""Largest distance at which two copies support each other, as a share of an animal's length."""
Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ImageCopy:
    """A copy of an image: mirrored if `mirror`, then rotated, then shifted."""

    mirror: bool = False
    turn_deg: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    """Along x and y, as shares of the image's longer side."""

    def matrix(self, height: int, width: int) -> NDArray[np.float64]:
        """Return (2, 3): pixels of the image to pixels of the copy."""
        sign = -1.0 if self.mirror else 1.0
        turn = math.radians(self.turn_deg)
        linear = np.array(
            [
                [sign * math.cos(turn), math.sin(turn)],
                [-sign * math.sin(turn), math.cos(turn)],
            ]
        )
        centre, other = (
            np.array([columns - 1, rows - 1]) / 2
            for rows, columns in ((height, width), self.size(height, width))
        )
        moved = other + np.array(self.shift) * max(height, width)
        return np.column_stack([linear, moved - linear @ centre])

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the copy; not shifted, it contains the whole image."""
        turn = math.radians(self.turn_deg)
        along, across = abs(math.cos(turn)), abs(math.sin(turn))
        rows, columns = (
            height * along + width * across,
            width * along + height * across,
        )
        return math.ceil(rows - 1e-6), math.ceil(columns - 1e-6)

    def image(self, image: Image) -> Image:
        """Return the copy; outside of the image its border is repeated, as in training."""
        height, width = image.shape[:2]
        rows, columns = self.size(height, width)
        copy = cv2.warpAffine(
            image,
            self.matrix(height, width),
            (columns, rows),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(copy, np.uint8)

    def original_points(
        self, points: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.float32]:
        """Return points (..., 2) of the copy in pixels of the image."""
        matrix = self.matrix(height, width)
        linear = np.linalg.inv(matrix[:, :2])
        return np.asarray((points - matrix[:, 2]) @ linear.T, np.float32)

    def part_order(self, skeleton: Skeleton) -> list[int]:
        """Return which body part of the copy is each one: a mirror image swaps the sides."""
        return mirrored(skeleton) if self.mirror else [*range(len(skeleton.bodyparts))]


class CopyEstimator(EstimatorWrapper):
    """Estimates the poses of images in copies of them."""

    def __init__(self, estimator: PoseEstimator, copy: ImageCopy) -> None:
        self.estimator = estimator
        self.copy = copy

    @property
    def sha256(self) -> str:
        """Checksum of the network and the copy: poses of other copies differ."""
        text = f"{self.estimator.sha256} {self.copy}"
        return hashlib.sha256(text.encode()).hexdigest()

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per image, in its pixels."""
        copies = [self.copy.image(image) for image in images]
        poses = self.estimator.estimate(copies, cameras)
        order = self.copy.part_order(self.skeleton)
        found = []
        for pose, image in zip(poses, images, strict=True):
            points = self.copy.original_points(pose.points, *image.shape[:2])
            found.append(
                Pose(self.skeleton, points[:, order], pose.confidence[:, order])
            )
        return found


class CopyEnsemble(NetworkEnsemble):
    """Ensemble of copies, and of networks: the points that most of them support."""

    def __init__(self, estimators: Sequence[PoseEstimator], folder: Path) -> None:
        super().__init__(estimators, folder)
        # Poses of the same copies, combined by the median, have another checksum.
        self.sha256 = hashlib.sha256(f"supported {self.sha256}".encode()).hexdigest()

    def combined(self, points: Points, sure: Points) -> tuple[Points, Points]:
        """Return the best-supported points, and their support as confidence."""
        return best_supported(points, sure)


def best_supported(points: Points, sure: Points) -> tuple[Points, Points]:
    """Return the points on which most copies agree, and how much they do.

    Each copy supports the points of the others that lie within `AGREEING` of an animal's
    length of its own, with its confidence. The best-supported point and those that support it
    are averaged; the confidence is the support, divided by the number of copies. Where copies
    find two places, the result is one of them and not between, and its confidence is low.

    Parameters
    ----------
    points
        (copy, animal, bodypart, 2), px; NaN: not found.
    sure
        (copy, animal, bodypart), 0 to 1.
    """
    length = animal_lengths(median(points))
    near = np.where(length > 0, AGREEING * length, RIGHT_PX)[..., None]
    known = np.isfinite(points).all(axis=-1)
    weight = np.where(known, np.maximum(sure, LEAST), 0)

    # Comparisons with NaN are false.
    supports = np.linalg.norm(points[:, None] - points[None], axis=-1) <= near
    support = (supports * weight[None]).sum(axis=1)
    best = support.argmax(axis=0)[None, None]
    agreeing = np.take_along_axis(supports, best, axis=0)[0] * weight
    total = agreeing.sum(axis=0)
    middle = (agreeing[..., None] * np.nan_to_num(points)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        found = middle / total[..., None]
    confidence = total / len(points) * known.any(axis=0)
    return np.asarray(found, np.float32), np.asarray(confidence, np.float32)


def copies_of(about: Mapping[str, object]) -> list[ImageCopy]:
    """Return the copies that suit a network, from the settings of its training.

    `about` is that of `model.json`. Only shifted ones where the training is not known, as
    that of an imported network.
    """
    settings = about.get("settings")
    trained = settings.get("augmentation") if isinstance(settings, dict) else None
    if not isinstance(trained, dict):
        trained = {}
    rotation_deg = trained.get("rotation_deg", 0)
    if not isinstance(rotation_deg, int | float):
        rotation_deg = 0

    mirror = trained.get("mirror") is True
    sides = (False, True) if mirror else (False,)
    if rotation_deg >= 180:
        return [ImageCopy(side, turn) for side in sides for turn in (0.0, 180.0)][1:]

    shifted = [ImageCopy(side, shift=shift) for side in sides for shift in SHIFTS]
    if mirror:
        return [ImageCopy(mirror=True), *shifted]
    turns = (SMALL_TURN_DEG, -SMALL_TURN_DEG) if rotation_deg >= SMALL_TURN_DEG else ()
    return [*(ImageCopy(turn_deg=turn) for turn in turns), *shifted]


def open_with_copies(
    name: str | Path, runtime: str = "auto", threads: int = 0
) -> CopyEnsemble:
    """Return the network or ensemble of that name, which also estimates copies of the images.

    ModelError: it takes the images of several cameras.
    """
    folder = find_model(name)
    if views_of(name):
        raise ModelError(
            f"{folder}: --best is not available for a network of several cameras"
        )
    estimators: list[PoseEstimator] = []
    for own in members(folder) or (folder,):
        model = load_model_folder(own)
        estimators += _with_copies(model, opened(model, runtime, threads))
    return CopyEnsemble(estimators, folder)


def _with_copies(model: ModelFolder, network: PoseEstimator) -> list[PoseEstimator]:
    """Return the network, and itself for each copy that suits it."""
    copies = copies_of(model.about)
    return [network, *(CopyEstimator(network, copy) for copy in copies)]
