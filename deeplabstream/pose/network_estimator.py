"""Pose estimation with one network: fitting of frames, decoding, mapping of points."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.image_fitting import Placement
from deeplabstream.pose.model.model_folder import ModelFolder


class Network(Protocol):
    """A network loaded in a runtime: images in, output arrays out."""

    @property
    def provider(self) -> str:
        """Name of the execution provider, for example `CPUExecutionProvider`."""
        ...

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU computes."""
        ...

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the output (n, *shape) of `images` (n, height, width, 3), uint8 BGR.

        The result is valid until the next call. The first call with a new shape can take
        seconds. A convolutional network takes any size that is a multiple of its coarsest
        cell.

        Raises
        ------
        ModelError
            When the network does not take this size.
        """
        ...


class NetworkEstimator:
    """A model folder whose network is loaded in one of the runtimes.

    Images are brought to the network's size straight into the memory that it reads,
    which is kept from call to call.
    """

    def __init__(self, model: ModelFolder, network: Network) -> None:
        self.model = model
        self.network = network
        self._inputs: dict[tuple[int, ...], NDArray[np.uint8]] = {}
        self._placements: dict[tuple[int, ...], Placement] = {}

    @property
    def skeleton(self) -> Skeleton:
        """The body parts that the network knows."""
        return self.model.skeleton

    @property
    def threshold(self) -> float:
        """The confidence below which a point counts as not seen."""
        return self.model.threshold

    @property
    def provider(self) -> str:
        """What really computes, as the runtime itself tells."""
        return self.network.provider

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU computes."""
        return self.network.on_gpu

    @property
    def sha256(self) -> str:
        """The fingerprint of the network's file."""
        return self.model.sha256

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per image; nothing is thresholded."""
        if not images:
            return []
        placements = [self._placement(image.shape) for image in images]
        first = placements[0].fitting
        if len(images) == 1 or all(each.fitting is first for each in placements):
            return self._of_one_size(images, placements)
        return [
            self._of_one_size([image], [placement])[0]
            for image, placement in zip(images, placements, strict=True)
        ]

    def _placement(self, shape: tuple[int, ...]) -> Placement:
        """Return how frames of a shape are brought to the network's size."""
        placement = self._placements.get(shape)
        if placement is None:
            placement = self.model.fitting.of(shape).placement(shape)
            self._placements[shape] = placement
        return placement

    def _of_one_size(
        self, images: Sequence[Image], placements: Sequence[Placement]
    ) -> list[Pose]:
        """Return the poses of images that are brought to one size.

        A single image that has the network's size is not copied.
        """
        if len(images) == 1 and placements[0].takes_as_it_is(images[0]):
            fitted: NDArray[np.uint8] = images[0][None]
        else:
            fitting = placements[0].fitting
            fitted = self.memory(len(images), fitting.height, fitting.width)
            for place, image in enumerate(images):
                placements[place].place(image, fitted[place])
        points, confidence = self.model.decode(self.network.run(fitted))
        skeleton = self.model.skeleton
        return [
            Pose(skeleton, placement.to_image(xy), sure)
            for xy, sure, placement in zip(points, confidence, placements, strict=True)
        ]

    def warm_up(self, batch: int = 1) -> None:
        """Run once on `batch` grey images, so that the first real ones are not slow."""
        size = (self.model.fitting.height, self.model.fitting.width)
        self.estimate([np.full(size, 127, np.uint8)] * batch)

    def memory(self, count: int, height: int, width: int) -> NDArray[np.uint8]:
        """Return what images are written into: the same each time for a shape."""
        shape = count, height, width, 3
        if shape not in self._inputs:
            self._inputs[shape] = np.empty(shape, np.uint8)
        return self._inputs[shape]
