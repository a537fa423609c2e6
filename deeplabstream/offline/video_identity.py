"""Identity of several animals in a video: tracked frame by frame, and its table.

`NAME_identity.csv` lies beside a table of poses `NAME.csv`: one row per frame, one column
per animal with its word of `Pose.identity`; empty: the identity is known.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import AMBIGUOUS, Pose, Skeleton
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.tracking.identity_tracker import (
    IdentitySettings,
    IdentityTracker,
)
from deeplabstream.pose.tracking.shelters import Shelter
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.video.video_reader import VideoImage, VideoReader

_COLUMNS = ["frame", "time_s"]


@dataclass(frozen=True, slots=True)
class VideoAnimals:
    """The animals of a video, and how they are identified."""

    names: Sequence[str] = ()
    """Empty: animal1, animal2 and so on, as many as the network finds."""
    rules: IdentitySettings = field(default_factory=IdentitySettings)
    shelters: Sequence[Shelter] = ()
    """In px of the video."""


class VideoIdentityTracker:
    """Identity tracker of one video: orders the animals of each frame by name."""

    def __init__(
        self, skeleton: Skeleton, threshold: float, animals: VideoAnimals
    ) -> None:
        self.skeleton = skeleton
        self._identity = IdentityTracker(
            skeleton, threshold, animals.rules, shelters=animals.shelters
        )
        self.names: list[tuple[str, ...]] = []
        """`Pose.identity` of each row; of one without an image, that of a known identity."""

    @property
    def ambiguous(self) -> int:
        """Rows with an ambiguous identity."""
        return sum(any(map(is_ambiguous, names)) for names in self.names)

    @property
    def swapped(self) -> int:
        """Identity switches that were found and corrected."""
        return sum(names.count("exchanged") for names in self.names)

    def update(self, image: VideoImage, pose: Pose | None) -> Pose | None:
        """Return the pose of the next frame in the order of names; None: no pose."""
        if pose is None or image.image is None:
            self.names.append(("",) * self.skeleton.count)
            return None
        named = self._identity.update(image.image, pose, image.time_ns / 1e9)
        self.names.append(tuple(named.identity) or ("",) * self.skeleton.count)
        return named


def is_ambiguous(word: str) -> bool:
    """Return whether a flag of `Pose.identity` means an ambiguous identity."""
    return word.startswith(AMBIGUOUS)


def identity_tracker_for(
    rows: VideoReader, estimator: PoseEstimator, animals: VideoAnimals
) -> VideoIdentityTracker | None:
    """Return the identity tracker for a network of several animals; None: of one animal.

    DeepLabStreamError: there are more names than animals.
    """
    grey = np.full(rows.form.shape, 127, rows.form.dtype)
    count, names = len(estimator.estimate([grey])[0].points), animals.names
    if len(names) > count:
        found = "one animal" if count == 1 else f"{count} animals at most"
        raise DeepLabStreamError(
            f"{len(names)} names, but the network finds {found}: {', '.join(names)}"
        )
    if count == 1:
        return None
    skeleton = estimator.skeleton
    named = replace(skeleton, animals=tuple(names) or skeleton.named(count))
    return VideoIdentityTracker(named, estimator.threshold, animals)


def identity_file(poses: Path) -> Path:
    """Return where the identities of a table of poses are."""
    return poses.with_name(f"{poses.stem}_identity.csv")


def write_identity(table: PoseTable, path: Path) -> None:
    """Write `table.identity`: a row for each frame, a column for each animal."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*_COLUMNS, *table.animals])
        for frame, time_s, names in zip(
            table.frames.tolist(), table.times_s.tolist(), table.identity, strict=True
        ):
            rows.writerow([frame, f"{time_s:.6f}", *names])


def with_identity(table: PoseTable) -> PoseTable:
    """Return the table with the identities of the file beside it, if there is one.

    DeepLabStreamError: the file does not belong to the table.
    """
    path = identity_file(table.source)
    if not path.is_file():
        return table
    try:
        with path.open(encoding="utf-8", newline="") as file:
            head, *rows = csv.reader(file)
    except (OSError, ValueError, csv.Error) as error:
        raise DeepLabStreamError(f"Can't read {path}: {error}") from error
    animals = len(table.animals)
    fits = len(head) == len(_COLUMNS) + animals and len(rows) == len(table)
    if head[:2] != _COLUMNS or not fits or any(len(row) != len(head) for row in rows):
        raise DeepLabStreamError(
            f"{path} does not belong to {table.source.name}: expected {len(table)} rows and "
            f"{animals} animals. Remove it, or predict the video again"
        )
    return replace(table, identity=[tuple(row[len(_COLUMNS) :]) for row in rows])
