"""Test-time augmentation: poses of mirrored and rotated copies of an image, as an ensemble.

A copy is used only if the network was trained with such images: a network that never saw an
animal upside down, or mirrored, would be wrong in all of them. The points of the copies are
combined like those of several networks (`NetworkEnsemble`): the median, and the mean confidence.
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
from deeplabstream.pose.ensemble import NetworkEnsemble, members
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import find_model, opened, views_of

SMALL_TURN_DEG = 8.0
"""Rotation of a copy where the network was trained with that and less than half a turn."""


@dataclass(frozen=True, slots=True)
class ImageCopy:
    """A copy of an image: rotated by `turn_deg`, and mirrored before that if `mirror`."""

    mirror: bool = False
    turn_deg: float = 0.0

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
        return np.column_stack([linear, other - linear @ centre])

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the copy, which contains the whole image."""
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


def copies_of(about: Mapping[str, object]) -> list[ImageCopy]:
    """Return the copies that suit a network, from the settings of its training.

    `about` is that of `model.json`. Empty: the training is not known, as that of an imported
    network, or used no such images.
    """
    settings = about.get("settings")
    trained = settings.get("augmentation") if isinstance(settings, dict) else None
    if not isinstance(trained, dict):
        return []
    rotation_deg = trained.get("rotation_deg", 0)
    if not isinstance(rotation_deg, int | float):
        return []

    turns = [0.0]
    if rotation_deg >= 180:
        turns.append(180.0)
    elif rotation_deg >= SMALL_TURN_DEG:
        turns += [SMALL_TURN_DEG, -SMALL_TURN_DEG]
    sides = (False, True) if trained.get("mirror") is True else (False,)
    copies = [ImageCopy(side, turn) for side in sides for turn in turns]
    return copies[1:]


def open_with_copies(
    name: str | Path, runtime: str = "auto", threads: int = 0
) -> NetworkEnsemble:
    """Return the network or ensemble of that name, which also estimates copies of the images.

    ModelError: the network was not trained with mirrored or rotated images, or it takes the
    images of several cameras.
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
    if len(estimators) < 2:
        raise ModelError(
            f"{folder}: --best needs a network that was trained by this program with "
            "mirrored or rotated images, or an ensemble; leave --best out"
        )
    return NetworkEnsemble(estimators, folder)


def _with_copies(model: ModelFolder, network: PoseEstimator) -> list[PoseEstimator]:
    """Return the network, and itself for each copy that suits it."""
    copies = copies_of(model.about)
    return [network, *(CopyEstimator(network, copy) for copy in copies)]
