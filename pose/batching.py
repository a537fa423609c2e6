"""Whether pictures of two cameras are faster posed together than one after the other."""

import time
from collections.abc import Sequence

import numpy as np

from core.frame import Image
from pose.estimator import PoseEstimator

WORTH = 1.5
"""Two in one batch must take less than so many times one alone.

One after the other, the first pose is there after t and the second after 2 t, 1.5 t on the
mean; together, both are there when the batch is done. Nothing is ever waited for: frames
that are not there yet are posed when they come.
"""


def worth_batching(estimator: PoseEstimator, calls: int = 5) -> bool:
    """Return whether a batch of two pays, by the shortest of a few calls."""
    image: Image = np.full((480, 640, 3), 127, np.uint8)
    return _seconds(estimator, [image] * 2, calls) < WORTH * _seconds(
        estimator, [image], calls
    )


def _seconds(estimator: PoseEstimator, images: Sequence[Image], calls: int) -> float:
    times = []
    for _ in range(calls + 1):  # the first warms up
        began = time.perf_counter()
        estimator.estimate(images)
        times.append(time.perf_counter() - began)
    return min(times[1:])
