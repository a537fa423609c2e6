"""An ensemble: the median of the points of several networks."""

import hashlib
from collections.abc import Sequence
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.decoders.decoder import DecodedPoses
from deeplabstream.pose.estimator import PoseEstimator, runs_on_gpu
from deeplabstream.pose.model.model_folder import DESCRIPTION
from deeplabstream.pose.tracking.pose_matching import NEAR, animal_lengths, same_animals

Points = NDArray[np.float32]


def members(folder: Path) -> tuple[Path, ...]:
    """Return the model folders in an ensemble's folder; empty: it is not an ensemble.

    An ensemble is a folder with two model folders or more in it, and no network itself.
    """
    if (folder / DESCRIPTION).is_file():
        return ()
    found = tuple(sorted(file.parent for file in folder.glob(f"*/{DESCRIPTION}")))
    return found if len(found) > 1 else ()


class NetworkEnsemble:
    """Ensemble of networks: median of their points, mean of their confidences.

    With several animals, detections of the networks at about the same place are one animal;
    a network without a detection there counts with confidence 0. It takes as long as all
    networks together.
    """

    def __init__(self, estimators: Sequence[PoseEstimator], folder: Path) -> None:
        first = estimators[0]
        for other in estimators[1:]:
            if other.skeleton.bodyparts != first.skeleton.bodyparts:
                raise ModelError(
                    f"{folder} is not an ensemble: its networks find different body parts; "
                    "name one of the model folders in it"
                )
        self.estimators = tuple(estimators)
        self.skeleton: Skeleton = first.skeleton
        self.threshold = float(np.mean([network.threshold for network in estimators]))
        self.provider = first.provider
        self.on_gpu = any(map(runs_on_gpu, estimators))
        names = "".join(network.sha256 for network in estimators)
        self.sha256 = hashlib.sha256(names.encode()).hexdigest()

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per image."""
        estimates = [network.estimate(images, cameras) for network in self.estimators]
        return [self._combine(poses) for poses in zip(*estimates, strict=True)]

    def _combine(self, poses: Sequence[Pose]) -> Pose:
        points, sure = aligned([(pose.points, pose.confidence) for pose in poses])
        middle, confidence = self.combined(points, sure)

        apart = np.hypot(*np.moveaxis(points - middle, -1, 0))
        known = apart[np.isfinite(apart)]
        spread_px = float(known.mean()) if known.size else nan
        return Pose(self.skeleton, middle, confidence, spread_px=spread_px)

    def combined(self, points: Points, sure: Points) -> DecodedPoses:
        """Return one pose of those of all networks; see `aligned` for the shapes."""
        # The median is robust against one network that is wrong.
        return median(points), np.asarray(sure.mean(axis=0), np.float32)


def aligned(poses: Sequence[DecodedPoses]) -> DecodedPoses:
    """Return the poses of several networks in one image, with the animals in the same rows.

    `poses` are points (animal, bodypart, 2) and confidences (animal, bodypart) of each
    network, in any order; the result is (network, animal, bodypart, 2) and (network, animal,
    bodypart), with the largest number of animals of any network. An animal that a network
    did not find is NaN, with confidence 0. The order is by the sum of confidences, so an
    animal that only one network found is left out first.
    """
    most = max(len(points) for points, _ in poses)
    if most == 1:
        return np.stack([points for points, _ in poses]), np.stack(
            [c for _, c in poses]
        )
    parts = poses[0][0].shape[1]
    longest = animal_lengths(np.concatenate([points for points, _ in poses])).max()
    near = NEAR * longest if longest > 0 else np.inf
    room = sum(len(points) for points, _ in poses)
    points = np.full((len(poses), room, parts, 2), np.nan, np.float32)
    sure = np.zeros((len(poses), room, parts), np.float32)
    middles = np.full((0, parts, 2), np.nan, np.float32)
    for network, (own, confidence) in enumerate(poses):
        detected = np.flatnonzero(np.isfinite(own).any(axis=(1, 2))).tolist()
        pairs = dict(same_animals(own[detected], middles, near))
        free = len(middles)
        for place, animal in enumerate(detected):
            row = pairs.get(place, free)
            free += row == free
            points[network, row] = own[animal]
            sure[network, row] = np.nan_to_num(confidence[animal])
        middles = median(points[: network + 1, :free])
    order = np.argsort(-sure.sum(axis=(0, 2)), kind="stable")[:most]
    return points[:, order], sure[:, order]


def median(points: Points) -> Points:
    """Return the median over networks (network, …, 2) of those with a point."""
    known = np.isfinite(points)
    ranked = np.sort(points, axis=0)  # NaN comes last
    count = known.sum(axis=0)
    low = np.maximum(count - 1, 0) // 2
    high = np.maximum(count // 2, low)
    ends = [np.take_along_axis(ranked, n[None], 0)[0] for n in (low, high)]
    return np.asarray((ends[0] + ends[1]) / 2, np.float32)
