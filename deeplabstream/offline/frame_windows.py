"""Windows of a video for a network, with the neighbours that some networks need."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TypeVar

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.offline.parallel import reach_of
from deeplabstream.pose.estimator import PoseEstimator, runs_on_gpu
from deeplabstream.video.video_reader import VideoImage

GPU_BATCH = 8
"""Images per batch on a GPU."""
HANDED = 4
"""Fewest images passed between threads at once, because each transfer has a cost."""
FOLLOWING = 16
"""Images per window of a network that needs neighbouring frames, which is slower."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Consecutive images; poses are estimated of those from `start` to `stop`."""

    images: Sequence[VideoImage]
    start: int
    stop: int

    @property
    def selected(self) -> Sequence[VideoImage]:
        """The images whose poses are estimated; the others are context."""
        return self.images[self.start : self.stop]


def batch_for(estimator: PoseEstimator) -> int:
    """Return the number of images per batch.

    On a CPU one: the layers' results of several would not fit its cache.
    """
    return GPU_BATCH if runs_on_gpu(estimator) else 1


def size_for(estimators: Iterable[PoseEstimator], batch: int = 0) -> tuple[int, int]:
    """Return the images that a window estimates, and its reach, for all the networks."""
    several = list(estimators)
    batch = batch or max(map(batch_for, several), default=1)
    reach = max(map(reach_of, several), default=0)
    least = FOLLOWING if reach else HANDED
    return batch * -(-least // batch), reach


def windows(images: Iterable[VideoImage], size: int, reach: int) -> Iterator[Window]:
    """Yield windows of `size` estimated images (the last: fewer), in order.

    Each has up to `reach` images more on both sides; at the ends there are none.
    """
    held: list[VideoImage] = []
    start = 0
    for image in images:
        held.append(image)
        if len(held) == start + size + reach:
            yield Window(held, start, start + size)
            kept = start + size - reach
            start, held = min(reach, start + size), held[max(0, kept) :]
    if len(held) > start:
        yield Window(held, start, len(held))


def estimated(
    images: Sequence[Image | None],
    window: Window,
    estimator: PoseEstimator,
    batch: int = 0,
    camera: str = "",
) -> list[Pose | None]:
    """Return the poses of the selected images; None: there is no image.

    `images` are those of the window, as the network gets them. A lost image ends a
    sequence of consecutive images, as the ends of the video do.
    """
    if not reach_of(estimator):
        chosen = images[window.start : window.stop]
        return _singly(chosen, estimator, batch or batch_for(estimator), camera)
    poses: list[Pose | None] = []
    for decoded, row in groupby(images, lambda image: image is not None):
        following = list(row)
        shown = [image for image in following if image is not None]
        poses += estimator.estimate(shown) if decoded else [None] * len(following)
    return poses[window.start : window.stop]


def _singly(
    images: Sequence[Image | None], estimator: PoseEstimator, batch: int, camera: str
) -> list[Pose | None]:
    whole = [image for image in images if image is not None]
    poses: list[Pose] = []
    for some in batches(whole, batch):
        poses += estimator.estimate(some, [camera] * len(some) if camera else ())
    found = iter(poses)
    return [None if image is None else next(found) for image in images]


def batches(pieces: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`, the last one shorter."""
    iterator = iter(pieces)
    while batch := list(islice(iterator, size)):
        yield batch
