"""Detections of several animals without identities, and the truth: sets for tracking.py.

Simulated mice, and where the data are there: three mice that look alike (MABe22) and two flies
(SLEAP).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.pose.tracking.pose_matching import animal_length
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena
from deeplabstream.video.video_reader import open_video

DATA = Path(__file__).resolve().parents[3] / "shared/data"
Points = NDArray[np.float64]

MICE = (
    ("nose", "neck"),
    ("neck", "center back"),
    ("center back", "tail base"),
    ("tail base", "tail middle"),
    ("tail middle", "tail tip"),
)
"""Edges of the three mice: their file has none."""


@dataclass(frozen=True)
class Truth:
    """Animals of a video, with identity."""

    name: str
    points: Points
    """(frame, animal, body part, 2), px; NaN: not labelled."""
    skeleton: Skeleton
    rate: float
    video: Path | None = None
    arena: Arena | None = None
    length: float | None = None

    @property
    def length_px(self) -> float:
        """Length of an animal; the median of the points, if it is not given."""
        return self.length or animal_length(self.points.astype(np.float32))

    def images(self, first: int, last: int) -> Iterator[Image]:
        """Yield the images of the frames from `first` on, before `last`."""
        if self.arena is not None:
            for index in range(first, last):
                image: Image = np.empty(self.arena.shape, np.uint8)
                self.arena.draw(image, index / self.rate, index)
                yield image
            return
        rows = open_video(self.video) if self.video is not None else None
        for index, shown in enumerate(rows.images() if rows else ()):
            if index >= last:
                return
            if index >= first and shown.image is not None:
                yield shown.image


@dataclass(frozen=True)
class Found:
    """What a detector finds in each frame, in no order."""

    points: list[Points]
    """By frame: (detection, body part, 2), px; NaN: not found."""
    confidence: list[NDArray[np.float64]]
    """By frame: (detection, body part)."""

    def pose(self, frame: int, skeleton: Skeleton, animals: int) -> Pose:
        """Return a frame as a network gives it, with empty rows for missing animals."""
        points, sure = self.points[frame], self.confidence[frame]
        count = max(animals, len(points))
        padded = np.full((count, *points.shape[1:]), np.nan, np.float32)
        confidence = np.zeros(padded.shape[:2], np.float32)
        padded[: len(points)], confidence[: len(points)] = points, sure
        return Pose(skeleton, padded, confidence)


@dataclass(frozen=True)
class Disturbance:
    """How detections differ from the truth."""

    name: str
    noise: float = 0.0
    """Standard deviation of a point, animal lengths."""
    parts: float = 0.0
    """Share of body parts that are not found."""
    animals: float = 0.0
    """Share of frames in which an animal is not found, in gaps of `gap` frames."""
    gap: float = 5.0
    """Mean length of such a gap, frames."""
    merged: float = 0.0
    """Two animals whose middles are nearer, in lengths, are one detection, half of each."""
    seed: int = 0

    def found(self, truth: Truth) -> Found:
        """Return the detections of all frames."""
        random = np.random.default_rng(self.seed)
        length = truth.length_px
        missing = self._missing(truth.points.shape[:2], random)
        points, confidence = [], []
        for frame, now in enumerate(truth.points):
            one, sure = self._frame(now, missing[frame], length, random)
            points.append(one)
            confidence.append(sure)
        return Found(points, confidence)

    def _missing(
        self, shape: Sequence[int], random: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Return (frame, animal): not found, in gaps of geometric length."""
        missing = np.zeros(shape, bool)
        ends = 1 / self.gap
        begins = self.animals * ends / max(1e-9, 1 - self.animals)
        for frame in range(1, len(missing)):
            draw = random.random(shape[1])
            stays = missing[frame - 1] & (draw > ends)
            missing[frame] = stays | (~missing[frame - 1] & (draw < begins))
        return missing

    def _frame(
        self,
        truth: Points,
        missing: NDArray[np.bool_],
        length: float,
        random: np.random.Generator,
    ) -> tuple[Points, NDArray[np.float64]]:
        points = truth + random.normal(0, 1, truth.shape) * self.noise * length
        points[random.random(truth.shape[:2]) < self.parts] = np.nan
        points[missing] = np.nan

        middles = np.array([_middle(animal) for animal in truth])
        for one, other in combinations(range(len(truth)), 2):
            apart = float(np.linalg.norm(middles[one] - middles[other]))
            if apart < self.merged * length and not (missing[one] or missing[other]):
                half = random.random(truth.shape[1]) < 0.5
                points[other, half] = points[one, half]
                points[one] = np.nan

        there = np.isfinite(points[..., 0])
        points = points[random.permutation(np.flatnonzero(there.any(axis=1)))]
        there = np.isfinite(points[..., 0])
        sure = np.where(there, random.uniform(0.7, 1.0, there.shape), 0.0)
        return points, sure


def _middle(points: Points) -> Points:
    known = points[np.isfinite(points[:, 0])]
    return known.mean(axis=0) if len(known) else np.full(2, np.nan)


DISTURBANCES = (
    Disturbance("shuffled"),
    Disturbance("noisy", 0.03, 0.05, 0.03, merged=0.2, seed=1),
    Disturbance("poor", 0.06, 0.15, 0.10, gap=10, merged=0.35, seed=2),
)


def simulated_mice(frames: int = 600, animals: int = 3) -> Truth:
    """Return drawn mice that look alike and walk through each other."""
    arena = Arena((240, 320, 3), 3, shelter=False, animals=animals)
    rate = 30.0
    points = np.stack([arena.truth(index / rate) for index in range(frames)])
    return Truth("simulated", points.astype(float), ARENA_SKELETON, rate, arena=arena)


def recorded_sets() -> list[Truth]:
    """Return the recorded animals whose files are there."""
    sets = []
    if (poses := DATA / "three-mice/poses.csv").is_file():
        table = read_poses(poses)
        skeleton = Skeleton(table.skeleton.bodyparts, MICE)
        points = np.asarray(table.points, float)
        sets.append(
            Truth("three-mice", points, skeleton, 30.0, poses.with_name("video.mp4"))
        )
    if (poses := DATA / "sleap/clip.slp").is_file():
        table = read_poses(poses)
        skeleton = replace(table.skeleton, animals=())
        points = np.asarray(table.points, float)
        sets.append(Truth("flies", points, skeleton, 25.0, poses.with_suffix(".mp4")))
    return sets
