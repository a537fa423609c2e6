"""Whether pictures of two cameras are faster posed together than one after the other."""

import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.pose.estimator import PoseEstimator

WORTH = 1.5
"""Two in one batch must take less than so many times one alone.

One after the other, the first pose is there after t and the second after 2 t, 1.5 t on the
mean; together, both are there when the batch is done. Nothing is ever waited for: frames
that are not there yet are posed when they come.
"""


@runtime_checkable
class WarmsUp(Protocol):
    """An estimator whose first call of each kind is slow."""

    def warm_up(self, batch: int = 1) -> None:
        """Do everything once that is slow the first time, for batches of that size."""
        ...


def batches(estimator: PoseEstimator, cameras: int) -> bool:
    """Return whether frames of several cameras are to be batched; all is warm then."""
    if cameras < 2 or not worth_batching(estimator):
        return False
    if isinstance(estimator, WarmsUp):
        for count in range(2, cameras + 1):
            estimator.warm_up(count)
    return True


def worth_batching(estimator: PoseEstimator, calls: int = 5) -> bool:
    """Return whether a batch of two pays, by the shortest of a few calls."""
    image: Image = np.full((480, 640, 3), 127, np.uint8)
    one, two = [image], [image, image]
    _seconds(estimator, two)  # the first warms up
    times = [(_seconds(estimator, one), _seconds(estimator, two)) for _ in range(calls)]
    return min(both for _, both in times) < WORTH * min(single for single, _ in times)


def _seconds(estimator: PoseEstimator, images: Sequence[Image]) -> float:
    began = time.perf_counter()
    estimator.estimate(images)
    return time.perf_counter() - began
