"""Poses of a film's pictures, in batches, while the next pictures are decoded."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from core.frame import Frame, Image
from core.pose import Pose
from offline.ahead import ahead, in_order
from offline.parallel import at_once
from offline.windows import Window, estimated, size_for, windows
from pose.estimator import PoseEstimator
from pose.front import Front
from pose.live_crop import LiveCrop
from pose.per_camera import PerCamera
from video.reading import Picture


def posed(
    pictures: Iterable[Picture],
    estimator: PoseEstimator,
    batch: int = 0,
    camera: str = "",
) -> Iterator[list[tuple[Picture, Pose | None]]]:
    """Yield the pictures, some at a time, each with its pose; None: no picture.

    Without the name of a `camera` each picture is looked at for itself; with it, an
    estimator that remembers where the animal was does so, a picture at a time.
    A network that looks at neighbours is shown them. Decoding, and whatever the caller
    does in between, go on beside the network. `batch` 0: see `batch_for`.
    """
    size, reach = size_for([estimator], batch)
    threads = at_once(estimator)

    def work(window: Window) -> list[tuple[Picture, Pose | None]]:
        images = [picture.image for picture in window.pictures]
        poses = estimated(images, window, estimator, batch, camera)
        return list(zip(window.asked, poses, strict=True))

    with (
        ahead(windows(pictures, size, reach), most=threads + 1) as decoded,
        in_order(work, decoded, threads) as ready,
    ):
        yield from ready


def remembers(estimator: PoseEstimator, camera: str) -> bool:
    """Return whether a pose of that camera depends on the ones before."""
    if isinstance(estimator, PerCamera):
        estimator = estimator.of(camera)
    return isinstance(estimator, LiveCrop)


@dataclass(frozen=True, slots=True, eq=False)
class Foreseen(Front):
    """An estimator that hands out poses which were estimated ahead, by picture.

    It is used in the place of the one that made them, by what wants a picture's pose
    when it comes to that picture.
    """

    estimator: PoseEstimator
    _poses: dict[int, Pose] = field(default_factory=dict)

    def frames(
        self, pictures: Iterable[Picture], camera: str, batch: int = 0
    ) -> Iterator[Frame]:
        """Yield a frame for each whole picture; its pose is known while it is out."""
        batch = 1 if remembers(self.estimator, camera) else batch
        for done in posed(pictures, self.estimator, batch, camera):
            for picture, pose in done:
                if picture.image is None or pose is None:
                    continue
                self._poses.clear()
                self._poses[id(picture.image)] = pose
                time_ns = picture.time_ns
                yield Frame(camera, picture.row, time_ns, time_ns, picture.image)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return the poses of the frame that is out."""
        return [self._poses[id(image)] for image in images]
