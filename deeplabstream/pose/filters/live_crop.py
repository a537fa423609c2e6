"""Live crop: the network runs on a window that follows the animal."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator
from deeplabstream.pose.image_fitting import (
    ImageWindow,
    around,
    levels,
    same_scale,
    whole,
    zoomed,
)
from deeplabstream.pose.network_estimator import NetworkEstimator, decode_poses

Points = NDArray[np.float32]
MARGIN = 0.5
"""Margin around the animal, as a share of its longer side, as in cropzoom training."""
BOX = ("box left top", "box right bottom")
"""Body parts of a detector of boxes. The boxes have their margin already."""
LEAST, MOST = 0.05, 1.0
"""Range of margins of a box around the visible points in it."""


@dataclass(slots=True)
class Track:
    """Last position of one animal of one camera."""

    low: Points
    """(2,) px: the upper left corner of the box around its points."""
    high: Points
    step: Points
    """(2,) px: movement of the box's centre since the frame before."""
    parts: int
    """Number of body parts above the threshold."""
    grown: int = 0
    """Levels by which the next window is larger, because confidence fell."""
    since_whole_frame: int = 0
    """Frames since a whole frame was used."""
    margin: float = MARGIN
    """Margin around the box of its points."""

    @property
    def expected(self) -> tuple[Points, Points]:
        """Expected box of the animal in the next frame, with its margin."""
        return around(self.low + self.step, self.high + self.step, self.margin)


def tracked(
    before: Track | None,
    seen: Points,
    margin: float,
    box: ImageWindow | None = None,
) -> Track:
    """Return the track of an animal after one more frame.

    Parameters
    ----------
    before
        The track in the frame before; None: there was none.
    seen
        (bodypart, 2), px: the points above the threshold, one at least.
    margin
        Margin of a new track.
    box
        The window, if it is the box of a detector of boxes; the track keeps its margin.
    """
    low, high = seen.min(axis=0), seen.max(axis=0)
    track = Track(low, high, np.zeros(2, np.float32), len(seen))

    track.margin = margin if before is None else before.margin
    if box is not None:
        longer = max(float((high - low).max()), 1.0)
        room = max(box.width, box.height) / longer
        track.margin = min(max((room - 1) / 2, LEAST), MOST)
    if before is not None:
        if len(seen) < before.parts:
            # A part that is not visible now is probably near its last position.
            track.low = np.minimum(low, before.low)
            track.high = np.maximum(high, before.high)
            track.grown = min(before.grown + 1, 3)
        track.step = (low + high - before.low - before.high) / np.float32(2)
        track.since_whole_frame = before.since_whole_frame + 1
    return track


def detected(
    detector: PoseEstimator, pose: Pose, margin: float
) -> list[tuple[Points, Points]]:
    """Return the boxes of the animals that a detector found, by confidence.

    Upper left and lower right corners (2,), px: of a detector of boxes its own, else
    those of the points above the threshold, with a margin.
    """
    boxes = detector.skeleton.bodyparts == BOX
    found: list[tuple[float, Points, Points]] = []
    for points, sure in zip(pose.points, pose.confidence, strict=True):
        seen = points[sure >= detector.threshold]
        if len(seen):
            low, high = seen.min(axis=0), seen.max(axis=0)
            if not boxes:
                low, high = around(low, high, margin)
            found.append((float(sure.sum()), low, high))
    found.sort(key=lambda box: -box[0])
    return [(low, high) for _, low, high in found]


def look(
    estimator: NetworkEstimator, views: Sequence[tuple[Image, ImageWindow]]
) -> list[Pose]:
    """Return the poses in windows, in pixels of the frames; equal sizes are one batch."""
    model = estimator.model
    found: dict[int, Pose] = {}
    sizes: dict[tuple[int, int], list[int]] = {}
    for place, (_, window) in enumerate(views):
        size = window.fitting.height, window.fitting.width
        sizes.setdefault(size, []).append(place)

    for size, members in sizes.items():
        fitted = estimator.memory(len(members), *size)
        for row, place in enumerate(members):
            image, window = views[place]
            window.place(image, fitted[row])

        points, sure = decode_poses(model, estimator.network.run(fitted))
        for place, xy, one in zip(members, points, sure, strict=True):
            window = views[place][1]
            found[place] = Pose(model.skeleton, window.to_image(xy), one)
    return [found[place] for place in range(len(views))]


class LiveCrop(EstimatorWrapper):
    """Estimator that keeps the last position of the animal for each camera.

    Without a `detector`, whole frames are used until the animal is found; then the
    network gets a window in fewer pixels at the same scale, which saves time. With one,
    the detector finds the animal in whole frames, and the window fills the network's
    input, at a larger scale (cropzoom). If the detector gives boxes, the window is the
    box, with its margin around the points. When fewer body parts are visible, the
    next window is larger; when none is, the same whole frame is used. Every
    `full_every` frames the whole frame is used, in case the window follows something
    else.
    """

    estimator: NetworkEstimator

    def __init__(
        self,
        estimator: NetworkEstimator,
        detector: PoseEstimator | None = None,
        margin: float = MARGIN,
        full_every: int = 100,
    ) -> None:
        self.estimator = estimator
        self._detector = detector
        self._margin = margin
        self._full_every = full_every
        self._boxes = detector is not None and detector.skeleton.bodyparts == BOX
        self._tracks: dict[str, Track] = {}
        self.windows: dict[str, ImageWindow] = {}
        """By camera: the last position."""

    @property
    def provider(self) -> str:
        """Execution provider, and that windows are used."""
        how = "live crop"
        if self._detector is not None:
            how += f" by {self._detector.sha256[:8]} in {self._detector.provider}"
        return f"{self.estimator.provider}, {how}"

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per frame, in pixels of the whole frame.

        Without `cameras`, nothing is remembered.
        """
        names = list(cameras) or [""] * len(images)
        windows = [
            self._following(image, name) if name else None
            for image, name in zip(images, names, strict=True)
        ]
        poses: list[Pose | None] = [None] * len(images)

        # First the windows that follow an animal. A pose without a visible part is
        # not used: the animal has left the window.
        near = [i for i, window in enumerate(windows) if window is not None]
        for i, pose in zip(near, self._look(images, windows, near), strict=True):
            if self._believed(pose).any():
                poses[i] = pose

        # Then the whole frame of all others, of the same moment.
        far = [i for i, pose in enumerate(poses) if pose is None]
        found_in = self._whole([images[i] for i in far])
        for i, found_window in zip(far, found_in, strict=True):
            windows[i] = found_window
        for i, pose in zip(far, self._look(images, windows, far), strict=True):
            poses[i] = pose

        found = [pose for pose in poses if pose is not None]
        for name, window, pose, i in zip(
            names, windows, found, range(len(found)), strict=True
        ):
            if name and window is not None:
                self._remember(name, window, pose, i in far)
        return found

    def warm_up(self, batch: int = 1) -> None:
        """Run every size of window once, so that the first frames are not slow."""
        self.estimator.warm_up(batch)
        if self._detector is None:
            for side in levels(self.estimator.model.fitting):
                blank = np.full((batch, side, side, 3), 127, np.uint8)
                self.estimator.network.run(blank)

    def _following(self, image: Image, camera: str) -> ImageWindow | None:
        """Return the expected position of the animal; None: the whole frame."""
        track = self._tracks.get(camera)
        if track is None or (
            self._full_every and track.since_whole_frame >= self._full_every
        ):
            return None
        low, high = track.expected
        fitting = self.estimator.model.fitting
        if self._detector is not None:
            return zoomed(low, high, image.shape, fitting)
        return same_scale(low, high, image.shape, fitting, track.grown)

    def _whole(self, images: Sequence[Image]) -> list[ImageWindow]:
        """Return windows for frames in which the animal must be detected first."""
        fitting = self.estimator.model.fitting
        windows = [whole(image.shape, fitting) for image in images]
        if self._detector is None or not images:
            return windows
        for i, pose in enumerate(self._detector.estimate(images)):
            for low, high in detected(self._detector, pose, self._margin)[:1]:
                windows[i] = zoomed(low, high, images[i].shape, fitting)
        return windows

    def _look(
        self,
        images: Sequence[Image],
        windows: Sequence[ImageWindow | None],
        places: Sequence[int],
    ) -> list[Pose]:
        """Return the poses of the frames at `places`."""
        views = [
            (images[i], window) for i in places if (window := windows[i]) is not None
        ]
        return look(self.estimator, views)

    def _believed(self, pose: Pose) -> NDArray[np.bool_]:
        return np.asarray(pose.confidence[0] >= self.threshold)

    def _remember(
        self, camera: str, window: ImageWindow, pose: Pose, full: bool
    ) -> None:
        self.windows[camera] = window
        seen = pose.points[0][self._believed(pose)]
        before = self._tracks.pop(camera, None)
        if not len(seen):
            return
        box = window if full and self._boxes else None
        track = tracked(before, seen, self._margin, box)
        if full:
            track.since_whole_frame = 0
        self._tracks[camera] = track
