"""Live crop of several animals: one window for each, all of them in one batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.numerics.assignment import assign
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator, WarmsUp
from deeplabstream.pose.filters.live_crop import (
    BOX,
    MARGIN,
    Points,
    Track,
    detected,
    look,
    tracked,
)
from deeplabstream.pose.image_fitting import ImageWindow, zoomed
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.tracking.pose_matching import NEAR, animal_length, distances

EVERY = 30
"""Frames between two runs of the detector while all animals are followed."""
SEARCH_EVERY = 5
"""The same while some animals are not found."""


@dataclass(slots=True)
class _Camera:
    """State of one camera."""

    tracks: dict[int, Track] = field(default_factory=dict)
    """Tracks by the animal's index in the pose."""
    since_whole_frame: int = 0
    """Frames since the detector ran."""


class AnimalCrops(EstimatorWrapper):
    """Estimator of several animals with a network for one animal.

    The detector finds the animals in whole frames; the network gets an enlarged window
    around each (cropzoom). With `cameras`, windows follow the animals; the detector runs
    again when one of them is lost, when two windows show the same animal, and every
    `full_every` frames, more often while animals are missing. Without, it runs on every
    frame. An animal keeps its place in the pose while it is followed; identities over
    time are the identity tracker's, as with any network of several animals.
    """

    estimator: NetworkEstimator

    def __init__(
        self,
        estimator: NetworkEstimator,
        detector: PoseEstimator,
        animals: int,
        margin: float = MARGIN,
        full_every: int = EVERY,
    ) -> None:
        self.estimator = estimator
        self.animals = animals
        """Most animals in a pose."""
        self._detector = detector
        self._margin = margin
        self._full_every = full_every
        self._boxes = detector.skeleton.bodyparts == BOX
        self._cameras: dict[str, _Camera] = {}
        self.windows: dict[str, dict[int, ImageWindow]] = {}
        """The last windows, by camera and index in the pose."""

    @property
    def provider(self) -> str:
        """Execution provider, and that windows are used."""
        how = f"live crop of {self.animals} animals by {self._detector.sha256[:8]}"
        return f"{self.estimator.provider}, {how} in {self._detector.provider}"

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per frame, in pixels of the whole frame.

        An animal that is not found is NaN, with confidence 0. Without `cameras`, nothing
        is remembered.
        """
        names = list(cameras) or [""] * len(images)
        windows = [
            self._following(image, name)
            for image, name in zip(images, names, strict=True)
        ]

        # First the windows that follow the animals. The detector runs if one animal is
        # lost or found in two windows, because windows do not show where it is now.
        near = [i for i, own in enumerate(windows) if own]
        kept: list[dict[int, Pose]] = [{} for _ in images]
        for i, poses in zip(near, self._look(images, windows, near), strict=True):
            good = self._good(poses)
            if len(good) == len(poses):
                kept[i] = good

        # Then the detector, in the whole frames of the others.
        far = [i for i, good in enumerate(kept) if not good]
        for i, boxes in zip(far, self._whole(images, far), strict=True):
            windows[i] = self._placed(images[i], boxes, names[i])
        for i, poses in zip(far, self._look(images, windows, far), strict=True):
            kept[i] = self._good(poses)

        for i, name in enumerate(names):
            if name:
                self._remember(name, windows[i], kept[i], i in far)
        return [self._pose(good) for good in kept]

    def warm_up(self, batch: int = 1) -> None:
        """Run every number of windows once, so that the first frames are not slow."""
        if isinstance(self._detector, WarmsUp):
            self._detector.warm_up(batch)
        for count in range(1, batch * self.animals + 1):
            self.estimator.warm_up(count)

    def _following(self, image: Image, camera: str) -> dict[int, ImageWindow]:
        """Return the expected windows of the animals; none: the detector has to run."""
        known = self._cameras.get(camera) if camera else None
        if known is None:
            return {}
        complete = len(known.tracks) >= self.animals
        every = self._full_every if complete else SEARCH_EVERY
        if every and known.since_whole_frame >= every:
            return {}
        fitting = self.estimator.model.fitting
        return {
            animal: zoomed(*track.expected, image.shape, fitting)
            for animal, track in known.tracks.items()
        }

    def _whole(
        self, images: Sequence[Image], places: Sequence[int]
    ) -> list[list[tuple[Points, Points]]]:
        """Return the boxes of the animals in whole frames."""
        if not places:
            return []
        found = self._detector.estimate([images[i] for i in places])
        return [
            detected(self._detector, pose, self._margin)[: self.animals]
            for pose in found
        ]

    def _placed(
        self, image: Image, boxes: Sequence[tuple[Points, Points]], camera: str
    ) -> dict[int, ImageWindow]:
        """Return a window for each box; animals that were followed keep their places."""
        known = self._cameras.get(camera) if camera else None
        tracks = known.tracks if known is not None else {}

        # A box belongs to the animal that was nearest to it.
        rows: dict[int, int] = {}
        if tracks and boxes:
            followed = list(tracks)
            before = np.array([sum(tracks[animal].expected) for animal in followed]) / 2
            middles = np.array([(low + high) / 2 for low, high in boxes])
            away = np.linalg.norm(middles[:, None] - before[None], axis=2)
            rows = {box: followed[place] for box, place in assign(away)}

        free = [animal for animal in range(self.animals) if animal not in rows.values()]
        fitting = self.estimator.model.fitting
        return {
            rows[place] if place in rows else free.pop(0): zoomed(
                low, high, image.shape, fitting
            )
            for place, (low, high) in enumerate(boxes)
        }

    def _look(
        self,
        images: Sequence[Image],
        windows: Sequence[Mapping[int, ImageWindow]],
        places: Sequence[int],
    ) -> list[dict[int, Pose]]:
        """Return the poses in the windows of the frames at `places`."""
        views = [(images[i], window) for i in places for window in windows[i].values()]
        poses = iter(look(self.estimator, views) if views else ())
        return [{animal: next(poses) for animal in windows[i]} for i in places]

    def _good(self, poses: Mapping[int, Pose]) -> dict[int, Pose]:
        """Return the visible animals without duplicates: of two windows, the more confident one."""
        visible = {n: pose for n, pose in poses.items() if self._believed(pose).any()}
        order = sorted(visible, key=lambda n: -float(visible[n].confidence.sum()))
        kept: list[int] = []
        for animal in order:
            own = self._seen(visible[animal])
            length = animal_length(own)
            # Nearer than this, two poses are of one animal.
            others = [self._seen(visible[other]) for other in kept]
            away = [float(distances(own, other)[0, 0]) for other in others]
            if not any(px < NEAR * length for px in away):
                kept.append(animal)
        return {animal: visible[animal] for animal in poses if animal in kept}

    def _believed(self, pose: Pose) -> NDArray[np.bool_]:
        return np.asarray(pose.confidence[0] >= self.threshold)

    def _seen(self, pose: Pose) -> Points:
        """Return (1, bodypart, 2): NaN below the threshold."""
        known = self._believed(pose)[:, None]
        return np.where(known, pose.points[0], np.float32(np.nan))[None]

    def _remember(
        self,
        camera: str,
        windows: Mapping[int, ImageWindow],
        good: Mapping[int, Pose],
        full: bool,
    ) -> None:
        before = self._cameras.get(camera, _Camera())
        now = _Camera(since_whole_frame=0 if full else before.since_whole_frame + 1)
        for animal, pose in good.items():
            seen = pose.points[0][self._believed(pose)]
            box = windows[animal] if full and self._boxes else None
            last = before.tracks.get(animal)
            now.tracks[animal] = tracked(last, seen, self._margin, box)
        self._cameras[camera] = now
        self.windows[camera] = {animal: windows[animal] for animal in good}

    def _pose(self, good: Mapping[int, Pose]) -> Pose:
        """Return one pose of all animals."""
        shape = self.animals, len(self.skeleton.bodyparts)
        points = np.full((*shape, 2), np.nan, np.float32)
        sure = np.zeros(shape, np.float32)
        for animal, pose in good.items():
            points[animal], sure[animal] = pose.points[0], pose.confidence[0]
        return Pose(self.skeleton, points, sure)
