"""An estimator with named animals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.background.background_detector import BackgroundDetector
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator, WarmsUp
from deeplabstream.pose.filters.arena_crops import ArenaCrops


@dataclass(frozen=True, eq=False)
class NamedEstimator(EstimatorWrapper):
    """An estimator whose skeleton has the animals' names, in no particular order.

    Its poses are the network's: `deeplabstream.pose.tracking.identity_tracker` brings the
    animals into the names' order.
    """

    estimator: PoseEstimator
    animals: tuple[str, ...]

    @cached_property
    def skeleton(self) -> Skeleton:
        """The network's body parts, and the names."""
        return replace(self.estimator.skeleton, animals=self.animals)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per image, as the network gives it."""
        poses = self.estimator.estimate(images, cameras)
        return [replace(pose, skeleton=self.skeleton, identity=()) for pose in poses]

    def warm_up(self, batch: int = 1) -> None:
        """Warm the network up, if it needs that."""
        if isinstance(self.estimator, WarmsUp):
            self.estimator.warm_up(batch)


def animals_of(estimator: PoseEstimator) -> int:
    """Return the largest number of animals that an estimator finds."""
    if isinstance(estimator, BackgroundDetector | ArenaCrops):
        return estimator.animals
    grey = np.full((480, 640, 3), 127, np.uint8)
    return len(estimator.estimate([grey])[0].points)
