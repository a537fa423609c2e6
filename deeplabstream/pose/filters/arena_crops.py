"""Arena crops: one animal in each arena, all crops of a frame in one batch of the network."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.core.regions import Region
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator, WarmsUp


class ArenaCrops(EstimatorWrapper):
    """Estimator of several animals with a network of one, as each lives in its own arena.

    All crops have the size of the largest arena, so that they are one batch. A point outside
    of the arena is another arena's and counts as not found: NaN, with confidence 0.
    """

    def __init__(self, estimator: PoseEstimator, arenas: Mapping[str, Region]) -> None:
        self.estimator = estimator
        self.animals = len(arenas)
        """Number of animals in a pose."""
        self._arenas = arenas
        outlines = [region.outline() for region in arenas.values()]
        low = np.array([outline.min(axis=0) for outline in outlines])
        high = np.array([outline.max(axis=0) for outline in outlines])
        self._size = np.ceil((high - low).max(axis=0)).astype(int) + 1
        """Width and height of each crop, px."""
        self._corners = np.round((low + high - self._size + 1) / 2).astype(int)
        """(arena, 2): x and y of the upper left pixel of each crop."""

    @property
    def provider(self) -> str:
        """Execution provider, and the number of crops."""
        return f"{self.estimator.provider}, {self.animals} arenas in one batch"

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per image, in pixels of the whole image, in the arenas' order.

        ModelError: an arena lies beside the image of a camera that `cameras` names.
        """
        places = [self._places(image.shape) for image in images]
        for image, own, camera in zip(images, places, cameras, strict=False):
            names = [
                name
                for name, place in zip(self._arenas, own, strict=True)
                if place is None
            ]
            if names:
                raise arenas_outside(names, camera, image)

        crops = [
            image[place]
            for image, own in zip(images, places, strict=True)
            for place in own
            if place is not None
        ]
        poses = iter(self.estimator.estimate(crops))
        return [
            self._joined([None if place is None else next(poses) for place in own], own)
            for own in places
        ]

    def warm_up(self, batch: int = 1) -> None:
        """Run the network once on as many crops as a batch of images has."""
        if isinstance(self.estimator, WarmsUp):
            self.estimator.warm_up(batch * self.animals)

    def _places(self, shape: tuple[int, ...]) -> list[tuple[slice, slice] | None]:
        """Return rows and columns of each crop; None: the arena lies beside the image."""
        image = np.array([shape[1], shape[0]])
        size = np.minimum(self._size, image)
        corners = self._corners
        beside = ((corners >= image) | (corners + self._size <= 0)).any(axis=1)
        # at a border of the image a crop is moved, not cut: all have one size
        inside = np.clip(corners, 0, image - size)
        return [
            None if out else (slice(y, y + size[1]), slice(x, x + size[0]))
            for out, (x, y) in zip(beside.tolist(), inside.tolist(), strict=True)
        ]

    def _joined(
        self,
        poses: Sequence[Pose | None],
        places: Sequence[tuple[slice, slice] | None],
    ) -> Pose:
        """Return the pose of the whole image from those of its crops."""
        parts = len(self.skeleton.bodyparts)
        points = np.full((self.animals, parts, 2), np.nan, np.float32)
        confidence = np.zeros((self.animals, parts), np.float32)
        regions = self._arenas.values()
        rows = zip(poses, places, regions, strict=True)
        for animal, (pose, place, region) in enumerate(rows):
            if pose is None or place is None:
                continue
            found = pose.points[0] + (place[1].start, place[0].start)
            inside: NDArray[np.bool_] = region.contains(found)
            points[animal, inside] = found[inside]
            confidence[animal, inside] = pose.confidence[0, inside]
        return Pose(self.skeleton, points, confidence)


def arenas_outside(names: Sequence[str], camera: str, image: Image) -> ModelError:
    """Return the error that arenas lie beside the image of a camera."""
    height, width = image.shape[:2]
    return ModelError(
        f"[Arenas] {', '.join(names)}: outside of the image of [Camera {camera}], "
        f"{width}×{height} px"
    )
