"""Decision whether frames of several cameras are estimated as one batch."""

import time
from collections.abc import Sequence

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.pose.estimator import PoseEstimator, WarmsUp
from deeplabstream.pose.per_camera import own_of

WORTH = 1.5
"""Batches are used if two frames take less than this multiple of the time of one.

One after the other, the poses are ready after t and 2 t, 1.5 t on average. As a batch,
both are ready at the end. No frame is waited for.
"""


def batches(estimator: PoseEstimator, cameras: int) -> bool:
    """Return whether frames of several cameras are batched; warms up if so."""
    if cameras < 2 or not worth_batching(estimator):
        return False
    if isinstance(estimator, WarmsUp):
        for count in range(2, cameras + 1):
            estimator.warm_up(count)
    return True


def worth_batching(estimator: PoseEstimator, calls: int = 5) -> bool:
    """Return whether a batch of two is faster, by the shortest of a few calls."""
    image: Image = np.full((480, 640, 3), 127, np.uint8)
    one, two = [image], [image, image]
    _seconds(estimator, two)  # warm-up run
    times = [(_seconds(estimator, one), _seconds(estimator, two)) for _ in range(calls)]
    return min(both for _, both in times) < WORTH * min(single for single, _ in times)


def frame_seconds(
    estimator: PoseEstimator, cameras: Sequence[str], together: bool, calls: int = 3
) -> dict[str, float]:
    """Return the time for a frame of each camera, by the shortest of a few calls.

    `together`: frames of all cameras are one batch.
    """
    image: Image = np.full((480, 640, 3), 127, np.uint8)

    # Cameras may share a network: each is measured once.
    own, count = own_of(estimator), len(cameras) if together else 1
    taken: dict[int, float] = {}
    for camera in cameras:
        network = own.get(camera, estimator)
        if id(network) not in taken:
            times = [_seconds(network, [image] * count) for _ in range(calls)]
            taken[id(network)] = min(times) / count
    return {camera: taken[id(own.get(camera, estimator))] for camera in cameras}


def _seconds(estimator: PoseEstimator, images: Sequence[Image]) -> float:
    began = time.perf_counter()
    estimator.estimate(images)
    return time.perf_counter() - began
