"""Parallel inference: copies of a network on several CPU cores, each with whole images.

Images on one core each take less time in total than each image on all cores: no core
waits for another within an image, and the data of an image stays in a core's cache. The
time of a single image does not matter here.
"""

import os
from collections.abc import Callable, Sequence
from queue import LifoQueue

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.pose.estimator import (
    EstimatorWrapper,
    PoseEstimator,
    runs_on_gpu,
)
from deeplabstream.pose.network_estimator import NetworkEstimator

MOST = 8
"""Largest number of copies of a network; with more cores, each copy uses several."""


class Parallel(EstimatorWrapper):
    """Copies of the same network; each is used by one thread at a time.

    A call waits while all copies are in use. Estimators with a state, such as the last
    position of the animal, can't be used: each copy would have its own.
    """

    def __init__(self, copies: Sequence[PoseEstimator]) -> None:
        self.copies = tuple(copies)
        self.estimator = self.copies[0]
        self._idle: LifoQueue[PoseEstimator] = LifoQueue()
        for copy in self.copies:
            self._idle.put(copy)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per image, by a copy that is idle."""
        copy = self._idle.get()
        try:
            return copy.estimate(images, cameras)
        finally:
            self._idle.put(copy)


def open_parallel(
    open_one: Callable[[int], PoseEstimator],
    threads: int = 0,
    alone: Callable[[PoseEstimator], bool] = lambda estimator: False,
) -> PoseEstimator:
    """Return the network that `open_one(threads)` opens, for `threads` cores; 0: all.

    On a GPU it is opened once: a GPU computes a batch in parallel. It is also opened
    once, with all cores, if `alone` is true for the first copy, and where copies would
    wait for each other.
    """
    cores = threads or os.cpu_count() or 1
    count = min(cores, MOST)
    first = open_one(cores // count)
    if count == 1 or runs_on_gpu(first):
        return first
    if alone(first):
        return open_one(threads)
    return Parallel([first, *(open_one(cores // count) for _ in range(count - 1))])


def reach_of(estimator: PoseEstimator) -> int:
    """Return the number of neighbouring images on each side that an estimator uses."""
    if isinstance(estimator, Parallel):
        return reach_of(estimator.copies[0])
    if isinstance(estimator, NetworkEstimator):
        return estimator.model.frames // 2
    return 0


def at_once(estimator: PoseEstimator) -> int:
    """Return the number of threads that an estimator can be used in at the same time."""
    return len(estimator.copies) if isinstance(estimator, Parallel) else 1
