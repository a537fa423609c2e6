"""Comparison of a runtime's poses with the reference runtime's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.decoders.decoder import DecodedPoses
from deeplabstream.pose.image_files import read_image
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.network_estimator import Network, decode_poses
from deeplabstream.pose.tracking.pose_matching import match_animals

SAMPLE_IMAGES = "pictures.jpg"
"""File in a model folder: images of the network's input size, stacked vertically."""
MOST_MAP = 0.002
"""Largest difference of any output value, when there are no typical images."""
MOST_OTHERWISE = 0.01
"""Share of points that may be visible for one network and not for the other.

One point may always: rounding moves a confidence at the threshold to the other side, and
few images have less than 100 points.
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of a network's poses to the reference's, on the same images."""

    compared: int
    """Number of points in all images, visible or not."""
    points: int
    """Number of points that are visible for the reference."""
    median_px: float
    """Distance to the reference's points, px of the input; NaN: there are none."""
    p95_px: float
    max_px: float
    seen_otherwise: float
    """Share of all points that are visible for one of the two only."""
    output: float
    """Largest difference of any value of the output."""

    def within(self, tolerance_px: float, own_images: bool) -> bool:
        """Return whether it agrees with the reference.

        On images of the right kind: 95 in 100 points within `tolerance_px`, and at most
        1 in 100, or one, visible for one only. On other images, points may be
        meaningless: only full precision agrees.
        """
        if not own_images or not self.points:
            return self.output <= MOST_MAP
        allowed = max(MOST_OTHERWISE, 1 / self.compared)
        return self.p95_px <= tolerance_px and self.seen_otherwise <= allowed


def images_of(model: ModelFolder) -> tuple[NDArray[np.uint8], bool]:
    """Return test images (n, height, width, 3), and whether they are the model folder's.

    Without any in the model folder, they are synthetic: noise with dark and bright
    shapes.
    """
    import cv2

    file = model.path / SAMPLE_IMAGES
    height, width = model.fitting.height, model.fitting.width
    if file.is_file():
        tall = read_image(file)
        if tall is None or tall.shape[1] != width or tall.shape[0] % height:
            raise ModelError(
                f"{file} is damaged: it must hold images {width} wide and {height} high"
            )
        return np.asarray(tall, np.uint8).reshape(-1, height, width, 3), True

    # The seed is fixed: a network has the same test images each time.
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(6):
        coarse = rng.integers(60, 200, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
        image = np.ascontiguousarray(cv2.resize(coarse, (width, height)))
        for shade in (20, 230, 60):
            at = (int(rng.integers(0, width)), int(rng.integers(0, height)))
            axes = (max(2, width // 8), max(2, height // 16))
            turn = float(rng.integers(0, 180))
            cv2.ellipse(image, at, axes, turn, 0, 360, (shade,) * 3, -1)
        drawn.append(image)
    return np.asarray(drawn, np.uint8), False


def save_images(model: ModelFolder, images: NDArray[np.uint8]) -> None:
    """Write `images` (n, height, width, 3) into the model folder."""
    import cv2

    tall = images.reshape(-1, *images.shape[2:])
    _, content = cv2.imencode(".jpg", tall, [cv2.IMWRITE_JPEG_QUALITY, 92])
    (model.path / SAMPLE_IMAGES).write_bytes(content.tobytes())


def outputs(network: Network, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a network's output for each of `images`, one at a time."""
    return np.concatenate(
        [network.run(np.ascontiguousarray(one[None])).copy() for one in images]
    )


def compare(
    model: ModelFolder, reference: NDArray[np.float32], other: NDArray[np.float32]
) -> Difference:
    """Return the differences of the poses in one output from those in the reference's."""
    if reference.shape != other.shape or not np.isfinite(other).all():
        return Difference(1, 1, np.inf, np.inf, np.inf, 1.0, np.inf)

    # Poses are compared, not outputs: rounding changes maps without moving a peak.
    (points, sure), (theirs, their_confidence) = (
        decode_poses(model, reference),
        decode_poses(model, other),
    )
    if model.animals > 1:
        theirs, their_confidence = _in_order(points, theirs, their_confidence)

    seen, also = sure >= model.threshold, their_confidence >= model.threshold
    away = np.linalg.norm(theirs - points, axis=-1)[seen]
    # Points that the other did not find count as changed visibility, not as distances.
    away = away[np.isfinite(away)]
    median, p95, most = (
        np.percentile(away, [50, 95, 100]) if away.size else [np.nan] * 3
    )
    return Difference(
        seen.size,
        int(away.size),
        float(median),
        float(p95),
        float(most),
        float(np.mean(seen != also)),
        float(np.abs(reference - other).max()),
    )


def _in_order(
    points: NDArray[np.float32],
    theirs: NDArray[np.float32],
    their_confidence: NDArray[np.float32],
) -> DecodedPoses:
    """Return the other's animals in the order of the reference's, image by image.

    All arrays are (n, animal, bodypart, …). The animal with the highest confidence comes
    first in each, and rounding can change that order.
    """
    order = [match_animals(*pair) for pair in zip(points, theirs, strict=True)]
    rows = np.arange(len(points))[:, None]
    return theirs[rows, order], their_confidence[rows, order]
