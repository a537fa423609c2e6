"""Pose estimation with one network: letterbox, inference, decoding, confidence calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.decoders.decoder import DecodedPoses
from deeplabstream.pose.image_fitting import Placement

if TYPE_CHECKING:
    from deeplabstream.pose.model.model_folder import ModelFolder

RIGHT_PX = 5.0
"""Pixels of the original frame within which a point is correct, by default."""
LEAST = 1e-4
"""Confidences are limited to this and 1 less this."""


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


@dataclass(frozen=True, slots=True)
class ConfidenceScale:
    """Platt scaling of confidences: the share of similar points that are correct.

    The logit is multiplied by `slope` and shifted by `shift` (Platt 1999). The order of
    confidences stays. `training` fits both on held-out frames.
    """

    slope: float
    """Greater than 0."""
    shift: float
    within_px: float
    """A point is correct within this distance, pixels of the original frame."""

    def __call__(self, confidence: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return calibrated confidences, 0 to 1; NaN stays NaN.

        >>> ConfidenceScale(1.0, 0.0, 5.0)(np.array([0.25, 0.5])).tolist()
        [0.25, 0.5]
        """
        raised = self.slope * logit(confidence) + self.shift
        return np.asarray(1 / (1 + np.exp(-raised)), np.float32)

    def raw(self, confidence: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the confidence before calibration."""
        before = (logit(confidence, 1e-12) - self.shift) / self.slope
        return np.asarray(1 / (1 + np.exp(-before)), np.float32)


def decode_poses(model: "ModelFolder", output: NDArray[np.float32]) -> DecodedPoses:
    """Return the poses in a network's output, with calibrated confidences.

    Parameters
    ----------
    model
        The network's folder.
    output
        (n, *shape) with one of the model's `output_shapes`.

    Returns
    -------
    points
        (n, animal, bodypart, 2), pixels of the network's input; NaN: not found.
    confidences
        (n, animal, bodypart), 0 to 1; 0 where the point is NaN.
    """
    points, confidence = model.decoder.decode(output)
    if model.confidence is None:
        return points, confidence
    located = np.isfinite(points).all(axis=-1)
    return points, np.where(located, model.confidence(confidence), np.float32(0))


def logit(
    confidence: NDArray[np.floating], least: float = LEAST
) -> NDArray[np.float64]:
    """Return the logarithm of the odds."""
    kept = np.clip(np.asarray(confidence, np.float64), least, 1 - least)
    return np.asarray(np.log(kept / (1 - kept)))


class NetworkEstimator:
    """A model folder whose network is loaded in one of the runtimes.

    Images are fitted to the network's size in its input buffer, which is reused.
    """

    def __init__(self, model: "ModelFolder", network: Network) -> None:
        self.model = model
        self.network = network
        self._inputs: dict[tuple[int, ...], NDArray[np.uint8]] = {}
        self._placements: dict[tuple[int, ...], Placement] = {}

    @property
    def skeleton(self) -> Skeleton:
        """Body parts that the network finds."""
        return self.model.skeleton

    @property
    def threshold(self) -> float:
        """Confidence below which a point counts as not visible."""
        return self.model.threshold

    @property
    def provider(self) -> str:
        """Execution provider, as the runtime reports it."""
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
        if len(images) == 1 or all(
            placement.fitting is first for placement in placements
        ):
            return self._of_one_size(images, placements)
        return [
            self._of_one_size([image], [placement])[0]
            for image, placement in zip(images, placements, strict=True)
        ]

    def _placement(self, shape: tuple[int, ...]) -> Placement:
        """Return how frames of a shape are fitted to the network's size."""
        placement = self._placements.get(shape)
        if placement is None:
            placement = self.model.fitting.of(shape).placement(shape)
            self._placements[shape] = placement
        return placement

    def _of_one_size(
        self, images: Sequence[Image], placements: Sequence[Placement]
    ) -> list[Pose]:
        """Return the poses of images that are fitted to one size.

        A single image that has the network's size is not copied.
        """
        if len(images) == 1 and placements[0].takes_as_it_is(images[0]):
            fitted: NDArray[np.uint8] = images[0][None]
        else:
            fitting = placements[0].fitting
            fitted = self.memory(len(images), fitting.height, fitting.width)
            for place, image in enumerate(images):
                placements[place].place(image, fitted[place])
        points, confidence = decode_poses(self.model, self.network.run(fitted))
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
        """Return the buffer of the network's input; the same one for each shape."""
        shape = count, height, width, 3
        if shape not in self._inputs:
            self._inputs[shape] = np.empty(shape, np.uint8)
        return self._inputs[shape]
