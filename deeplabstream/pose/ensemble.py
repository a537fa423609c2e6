"""Several networks of the same body parts, asked together."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.ensemble_consensus import aligned, median
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.model.model_folder import DESCRIPTION


def members(folder: Path) -> tuple[Path, ...]:
    """Return the model folders of an ensemble's folder; none where it is something else.

    An ensemble is a folder with two model folders or more in it, and no network itself.
    """
    if (folder / DESCRIPTION).is_file():
        return ()
    found = tuple(sorted(file.parent for file in folder.glob(f"*/{DESCRIPTION}")))
    return found if len(found) > 1 else ()


class Ensemble:
    """Says the median of its networks' points and the mean of their confidences.

    Of several animals those are one that all networks tell at about the same place; who is
    not told by a network is told by it with no confidence. It takes as long as all of them
    together.
    """

    def __init__(self, estimators: Sequence[PoseEstimator], folder: Path) -> None:
        first = estimators[0]
        for other in estimators[1:]:
            if other.skeleton.bodyparts != first.skeleton.bodyparts:
                raise ModelError(
                    f"{folder} is no ensemble: its networks know different body parts; "
                    "name one of the model folders in it"
                )
        self.estimators = tuple(estimators)
        self.skeleton: Skeleton = first.skeleton
        self.threshold = float(np.mean([each.threshold for each in estimators]))
        self.provider = first.provider
        names = "".join(each.sha256 for each in estimators)
        self.sha256 = hashlib.sha256(names.encode()).hexdigest()

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per picture."""
        told = [each.estimate(images, cameras) for each in self.estimators]
        return [self._together(poses) for poses in zip(*told, strict=True)]

    def _together(self, poses: Sequence[Pose]) -> Pose:
        each = [(pose.points, pose.confidence) for pose in poses]
        points, sure = aligned(each)
        return Pose(self.skeleton, median(points), sure.mean(axis=0))
