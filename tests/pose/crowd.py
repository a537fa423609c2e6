"""Animals as a network would find them: in no order, noisy, with gaps, merged, mixed."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.files.hdf5 import open_hdf5, whole
from deeplabstream.numerics.assignment import assign
from deeplabstream.pose.tracking.pose_matching import distances
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena
from deeplabstream.video.video_reader import open_video

THRESHOLD = 0.5
SLEAP = Path(__file__).parents[3] / "shared/data/sleap"
"""SLEAP's two flies, where there are any."""


@dataclass
class Crowd:
    """Yields pictures, what a network might say of them, and who was in which row."""

    arena: Arena
    seed: int = 0
    rate: float = 30.0
    noise_px: float = 1.5
    dropouts: float = 0.03
    """Share of body parts, and of whole animals, that are not seen."""
    merge_px: float = 16.0
    """Two animals whose middles are nearer are one detection, half of each."""
    start_s: float = 0.0
    hides: bool = True
    """Whether what lies under another animal is mostly not seen."""
    draws: bool = True
    """False: the pictures are black, which takes no time."""
    covered: int = field(default=0, init=False)
    merged: int = field(default=0, init=False)

    def frames(self, count: int) -> Iterator[tuple[float, Image, Pose, list[int]]]:
        """Yield time, picture, the raw pose, and whose each of its rows is; -1: nobody's.

        A merged detection is nobody's.
        """
        random = np.random.default_rng(self.seed)
        image: Image = np.zeros(self.arena.shape, np.uint8)
        for index in range(count):
            time_s = self.start_s + index / self.rate
            if self.draws:
                self.arena.draw(image, time_s, index)
            pose, whose = self._pose(time_s, random)
            yield time_s, image, pose, whose

    def _pose(
        self, time_s: float, random: np.random.Generator
    ) -> tuple[Pose, list[int]]:
        truth = self.arena.truth(time_s)
        points = truth + random.normal(0, self.noise_px, truth.shape).astype(np.float32)
        shape = truth.shape[:2]
        sure = random.uniform(0.7, 1.0, shape).astype(np.float32)
        unseen = random.random(shape) < self.dropouts
        unseen |= (random.random(shape[0]) < self.dropouts)[:, None]
        under = self.arena.covered(time_s)
        if self.hides:
            unseen |= under & (random.random(shape) < 0.8)
        self.covered += int(under.any())
        whose = list(range(shape[0]))
        middles = truth.mean(axis=1)
        for one in range(shape[0]):
            for two in range(one):
                apart = float(np.linalg.norm(middles[one] - middles[two]))
                if apart < self.merge_px:
                    mixed = random.random(shape[1]) < 0.5
                    points[two, mixed] = points[one, mixed]
                    unseen[two] &= unseen[one]
                    unseen[one] = True
                    whose[one] = whose[two] = -1
                    self.merged += 1
        sure[unseen | np.isnan(points[..., 0])] = 0
        points[sure == 0] = np.nan
        for row, seen in enumerate((sure > 0).any(axis=1)):
            whose[row] = whose[row] if seen else -1
        order = random.permutation(shape[0])
        pose = Pose(ARENA_SKELETON, points[order], sure[order])
        return pose, [whose[row] for row in order]


@dataclass
class Found:
    """What a network might find of animals of known truth, frame by frame.

    In no order, with noise and gaps. Near each other, parts of one kind are assigned to
    the wrong animal at times, as grouping does with legs that overlap.
    """

    truth: NDArray[np.float32]
    """(frame, animal, bodypart, 2), px; NaN: not labelled."""
    skeleton: Skeleton
    images: Callable[[], Iterable[Image]]
    seed: int = 0
    rate: float = 30.0
    noise_px: float = 2.0
    dropouts: float = 0.05
    """Share of body parts that are not found."""
    missing: float = 0.005
    """Share of whole animals that are not found."""
    mixed: float = 0.1
    """Share of pairs of parts nearer than `mixed_px` that are exchanged."""
    mixed_px: float = 60.0

    def frames(self, count: int) -> Iterator[tuple[float, Image, Pose, list[int]]]:
        """Yield time, image, the raw pose, and whose each of its rows is; -1: nobody's."""
        random = np.random.default_rng(self.seed)
        for index, image in zip(range(count), self.images(), strict=False):
            pose, whose = self._pose(self.truth[index], random)
            yield index / self.rate, image, pose, whose

    def _pose(
        self, truth: NDArray[np.float32], random: np.random.Generator
    ) -> tuple[Pose, list[int]]:
        points = truth + random.normal(0, self.noise_px, truth.shape)
        shape = truth.shape[:2]
        for one, other in combinations(range(shape[0]), 2):
            away = np.linalg.norm(truth[one] - truth[other], axis=-1)
            mixed = (away < self.mixed_px) & (random.random(shape[1]) < self.mixed)
            points[one, mixed], points[other, mixed] = (
                points[other, mixed],
                points[one, mixed],
            )
        unseen = random.random(shape) < self.dropouts
        unseen |= (random.random(shape[0]) < self.missing)[:, None]
        points[unseen] = np.nan
        there = np.isfinite(points[..., 0])
        sure = np.where(there, random.uniform(0.7, 1.0, shape), 0.0)
        order = random.permutation(shape[0])
        points, sure = points[order].astype(np.float32), sure[order].astype(np.float32)
        found = there[order].any(axis=1)
        whose = [
            int(row) if seen else -1 for row, seen in zip(order, found, strict=True)
        ]
        return Pose(self.skeleton, points, sure), whose


_LEGS = tuple(f"{leg}leg{side}" for leg in ("fore", "mid", "hind") for side in "LR")
FLY = Skeleton(
    ("head", "thorax", "abdomen", "wingL", "wingR", *_LEGS),
    (
        ("head", "thorax"),
        ("thorax", "abdomen"),
        ("thorax", "wingL"),
        ("thorax", "wingR"),
        *(("thorax", leg) for leg in _LEGS),
    ),
)
_FLY = np.array(
    [[42, 0], [20, 0], [-20, 0], [-55, 10], [-55, -10]]
    + [[x, y] for x in (60, 10, -50) for y in (45, -45)],
    np.float32,
)
"""FLY's parts, px from its middle."""


def flies(
    frames: int = 300,
    parts: Sequence[str] = FLY.bodyparts,
    apart_px: float = 67.0,
    swing_px: float = 60.0,
    **changes: Any,
) -> Found:
    """Return two drawn flies that walk past each other, legs upon legs, nearly alike.

    Their legs are never far apart; at 67 px their bodies always are, so that motion
    alone tells them apart. At 0 px they walk through each other.
    """
    seconds = np.arange(frames)[:, None] / 30
    swing = swing_px * np.cos(2 * np.pi * seconds / 1.5)
    steps = 8 * np.sin(2 * np.pi * (3 * seconds + np.arange(6) / 2))
    truth = np.tile(_FLY, (frames, 2, 1, 1))
    truth[:, :, 5:, 0] += steps[:, None]
    for animal, (side, lies) in enumerate(((1, -apart_px / 2), (-1, apart_px / 2))):
        truth[:, animal, :, 0] += 256 + side * swing
        truth[:, animal, :, 1] += 256 + lies
    random = np.random.default_rng(0)

    def images() -> Iterator[Image]:
        for both in truth:
            light = random.normal(0, 4)
            image = np.full((512, 512), 200 + light, np.uint8)
            for fly, shade in zip(both, (90, 102), strict=True):
                here = [tuple(int(v) for v in part) for part in fly]
                for leg in here[5:]:
                    cv2.line(image, here[1], leg, shade, 3)
                middle = np.mean(fly[:3], axis=0)
                cv2.ellipse(
                    image,
                    (int(middle[0]), int(middle[1])),
                    (45, 18), 0, 0, 360, shade + light, -1,
                )  # fmt: skip
            yield image

    at = FLY.indices(parts)
    edges = tuple(edge for edge in FLY.edges if set(edge) <= set(parts))
    return Found(truth[:, :, at], Skeleton(tuple(parts), edges), images, **changes)


class Nearest:
    """Plain tracking: each frame's animals are those nearest to the last positions."""

    def __init__(self, animals: int) -> None:
        self._last: NDArray[np.float32] | None = None
        self._animals = animals

    def update(self, image: Image, pose: Pose, time_s: float) -> Pose:
        """Return the pose with each animal in the row of the nearest one before."""
        del image, time_s
        seen = np.isfinite(pose.points[..., 0])
        points = np.full((self._animals, *pose.points.shape[1:]), np.nan, np.float32)
        sure = np.zeros(points.shape[:2], np.float32)
        if self._last is None:
            if seen.any(axis=1).sum() < self._animals:
                return Pose(pose.skeleton, points, sure)
            pairs = [(n, n) for n in range(self._animals)]
            self._last = points.copy()
        else:
            pairs = assign(distances(self._last, pose.points))
        for animal, row in pairs:
            points[animal], sure[animal] = pose.points[row], pose.confidence[row]
        self._last = np.where(np.isfinite(points), points, self._last)
        return Pose(pose.skeleton, points, sure)


def sleap_flies(**changes: Any) -> Found:
    """Return SLEAP's two flies: 1500 labelled frames of which no two bodies touch."""
    with open_hdf5(SLEAP / "clip.slp") as file:
        words = json.loads(file["metadata"].attrs["json"])
        frames, instances = whole(file["frames"]), whole(file["instances"])
        points = whole(file["points"])
    nodes, own = [node["name"] for node in words["nodes"]], words["skeletons"][0]
    parts = tuple(nodes[node["id"]] for node in own["nodes"])
    edges = tuple(
        (nodes[link["source"]], nodes[link["target"]]) for link in own["links"]
    )
    truth = np.full((len(frames), 2, len(parts), 2), np.nan, np.float32)
    for one in instances:
        placed = points[one["point_id_start"] : one["point_id_end"]]
        there = placed[placed["visible"]]
        row = truth[frames["frame_idx"][one["frame_id"]], one["track"]]
        row[placed["visible"]] = np.stack([there["x"], there["y"]], axis=-1)

    def images() -> Iterator[Image]:
        rows = open_video(SLEAP / "clip.mp4")
        return (shown.image for shown in rows.images() if shown.image is not None)

    return Found(truth, Skeleton(parts, edges), images, rate=25.0, **changes)


def skeleton(animals: int) -> Skeleton:
    """Return the drawn animals' skeleton with names for so many."""
    return replace(ARENA_SKELETON, animals=("anna", "bob", "carl", "dora")[:animals])


@dataclass
class Tally:
    """What became of the names, counted over animals and pictures."""

    told: int = 0
    """Animals that were seen, once all had their names."""
    doubted: int = 0
    wrong: int = 0
    """Under another's name, in doubt."""
    silent: int = 0
    """Under another's name, and nobody said so."""
    switches: int = 0
    """How often a name went from one animal to another."""
    frames: int = 0
    """Frames in which an identity was in doubt, those before the names included."""
    named: int = -1
    """The frame in which all had their names."""
    exchanged: int = 0
    believed: int = 0


class Crowded(Protocol):
    """Animals whose truth is known."""

    def frames(self, count: int) -> Iterator[tuple[float, Image, Pose, list[int]]]:
        """Yield time, image, the raw pose, and whose each of its rows is."""


class Tracker(Protocol):
    """What brings animals into the order of their names."""

    def update(self, image: Image, pose: Pose, time_s: float) -> Pose:
        """Return the pose of a frame in the order of names."""


def followed(crowd: Crowded, identity: Tracker, pictures: int) -> Tally:
    """Have the names told, and compare them with those that were given first."""
    tally, owners, before = Tally(), list[int](), dict[int, int]()
    for index, (time_s, image, pose, whose) in enumerate(crowd.frames(pictures)):
        out = identity.update(image, pose, time_s)
        now = [owner_of(points, pose, whose) for points in out.points]
        doubted = [out.is_ambiguous(animal) for animal in range(len(now))]
        tally.exchanged += out.identity.count("exchanged")
        tally.believed += out.identity.count("believed")
        tally.frames += any(doubted)
        if not owners and not any(doubted) and min(now) >= 0:
            owners, tally.named = now, index
        for animal, owner in enumerate(now):
            if owners and owner >= 0:
                tally.switches += before.get(animal, owner) != owner
                before[animal] = owner
        for owner, first, doubt in zip(now, owners, doubted, strict=False):
            if owner >= 0:
                tally.told += 1
                tally.doubted += doubt
                tally.wrong += owner != first and doubt
                tally.silent += owner != first and not doubt
    return tally


def owner_of(points: NDArray[np.float32], pose: Pose, whose: list[int]) -> int:
    """Return the number of the animal that the points are of; -1: they are all unknown."""
    if np.isnan(points).all():
        return -1
    for row, owner in enumerate(whose):
        if np.array_equal(points, pose.points[row], equal_nan=True):
            return owner
    raise AssertionError("a pose that the network never gave")
