"""One camera's ensemble: poses of several networks in the same frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.smoothing.ensemble_kalman import EnsemblePoses, ensemble_of
from deeplabstream.recording.pose_table import PoseTable


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """Several networks' poses of one camera."""

    source: Path
    """The video, or the first table: what messages name."""
    bodyparts: tuple[str, ...]
    points: NDArray[np.floating]
    """(network, row, body part, 2), px; NaN: nothing there."""
    confidence: NDArray[np.floating]
    """(network, row, body part)."""

    def __len__(self) -> int:
        """Return how many rows there are."""
        return int(self.points.shape[1])

    def ensemble(self, bodyparts: Sequence[str]) -> EnsemblePoses:
        """Return the combined predictions of the networks for some body parts."""
        own = [self.bodyparts.index(name) for name in bodyparts]
        return ensemble_of(self.points[:, :, own], self.confidence[:, :, own])


def read_members(files: Sequence[Path]) -> Members:
    """Read one table for each network, as `read_poses` takes them.

    DeepLabStreamError: fewer than two, one is not like the first, or has several
    animals.
    """
    if len(files) < 2 or len({file.resolve() for file in files}) < len(files):
        raise DeepLabStreamError(
            f"{files[0]}: an ensemble needs two or more tables, each of a "
            "different network"
        )
    tables = [read_poses(file) for file in files]
    for poses in tables:
        _check(poses, tables[0])
    parts = tables[0].skeleton.bodyparts
    places = [[poses.skeleton.bodyparts.index(p) for p in parts] for poses in tables]
    return Members(
        files[0],
        parts,
        np.stack([p.points[:, 0, own] for p, own in zip(tables, places, strict=True)]),
        np.stack(
            [p.confidence[:, 0, own] for p, own in zip(tables, places, strict=True)]
        ),
    )


def _check(poses: PoseTable, first: PoseTable) -> None:
    if poses.points.shape[1] > 1:
        raise DeepLabStreamError(
            f"{poses.source} contains several animals. Each network assigns "
            "identities independently, so only tables of one animal can be "
            "smoothed"
        )
    if not len(poses):
        raise DeepLabStreamError(f"{poses.source} has no rows")
    if len(poses) != len(first):
        raise DeepLabStreamError(
            f"{poses.source} has {len(poses)} rows, but {first.source} has "
            f"{len(first)}: they are not of the same video"
        )
    names, others = set(poses.skeleton.bodyparts), set(first.skeleton.bodyparts)
    if names != others:
        raise DeepLabStreamError(
            f"{poses.source} and {first.source} have different body parts: only one "
            f"has {', '.join(sorted(names ^ others))}"
        )
