"""Poses of one video as tables and files of other programs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pandas_hdf5 import KEY
from deeplabstream.core.pose import Skeleton, part_names
from deeplabstream.recording.exporters.nwb import Track, write_nwb
from deeplabstream.recording.exporters.sleap_analysis import write_sleap
from deeplabstream.recording.exporters.slp import write_slp

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class PoseTable:
    """The poses of a video: one row per frame, always."""

    video: Path
    size: tuple[int, int]
    """height, width in pixels."""
    skeleton: Skeleton
    scorer: str
    """What gave the poses: the network's name."""
    times_s: NDArray[np.float64]
    """(row,) from the first frame on."""
    points: NDArray[np.float32]
    """(row, animal, body part, 2), px, x right, y down; NaN: nothing there."""
    confidence: NDArray[np.float32]
    """(row, animal, body part); NaN: there was no picture to look at."""
    started: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    """When the first frame was taken, if that is known."""


def deeplabcut(
    points: NDArray[np.floating],
    confidence: NDArray[np.floating],
    skeleton: Skeleton,
    scorer: str,
) -> "DataFrame":
    """Return scorer, (individuals,) bodyparts, coords; the index counts pictures from 0.

    `points` (row, animal, body part, 2), `confidence` (row, animal, body part).
    """
    import pandas as pd

    values = np.concatenate([points, confidence[..., None]], axis=-1)
    animals = list(skeleton.named(points.shape[1]))
    levels: list[list[str]] = [[scorer], animals, list(skeleton.bodyparts)]
    names = ["scorer", "individuals", "bodyparts", "coords"]
    columns = pd.MultiIndex.from_product(
        [*levels, ["x", "y", "likelihood"]], names=names
    )
    if len(animals) == 1:
        columns = columns.droplevel("individuals")
    return pd.DataFrame(values.reshape(len(values), -1), columns=columns)


def write_dlc_csv(table: "DataFrame", path: Path) -> None:
    """Write DeepLabCut's CSV."""
    table.to_csv(path, lineterminator="\n")


def write_dlc_h5(table: "DataFrame", path: Path) -> None:
    """Write DeepLabCut's HDF5."""
    table.to_hdf(path, key=KEY, format="table", mode="w")


def _csv(table: PoseTable, path: Path) -> None:
    write_dlc_csv(_deeplabcut(table), path)


def _h5(table: PoseTable, path: Path) -> None:
    write_dlc_h5(_deeplabcut(table), path)


def _deeplabcut(table: PoseTable) -> "DataFrame":
    return deeplabcut(table.points, table.confidence, table.skeleton, table.scorer)


def _parquet(table: PoseTable, path: Path) -> None:
    """Write time_s and, for each body part, _x, _y and _likelihood."""
    import pandas as pd

    columns: dict[str, NDArray[np.floating]] = {"time_s": table.times_s}
    animals, parts = table.points.shape[1:3]
    names = part_names(table.skeleton, animals)
    points = table.points.reshape(-1, animals * parts, 2)
    confidence = table.confidence.reshape(-1, animals * parts)
    for place, name in enumerate(names):
        columns[f"{name}_x"] = points[:, place, 0]
        columns[f"{name}_y"] = points[:, place, 1]
        columns[f"{name}_likelihood"] = confidence[:, place]
    pd.DataFrame(columns).to_parquet(path, index=False)


def _nwb(table: PoseTable, path: Path) -> None:
    names = table.skeleton.named(table.points.shape[1])
    tracks = [
        Track(
            name=f"video_{name}" if len(names) > 1 else "video",
            device="video",
            times_s=table.times_s,
            points=table.points[:, animal],
            confidence=np.nan_to_num(table.confidence[:, animal]),
            videos=[table.video.name],
            size=table.size,
            scorer=table.scorer,
        )
        for animal, name in enumerate(names)
    ]
    about = f"poses of {table.video.name}, predicted by DeepLabStream"
    identifier = f"{table.video.name} {table.scorer}"
    write_nwb(path, about, identifier, table.started, table.skeleton, tracks)


def _sleap(table: PoseTable, path: Path) -> None:
    extras = {"time_s": table.times_s, "frame": np.arange(len(table.times_s))}
    confidence = np.nan_to_num(table.confidence)
    run = table.video.name
    write_sleap(
        path, table.skeleton, table.points, confidence, table.video, extras, run
    )


def _slp(table: PoseTable, path: Path) -> None:
    poses = table.points, table.confidence
    write_slp(path, table.skeleton, *poses, table.video, table.size)


WRITERS: Mapping[str, Callable[[PoseTable, Path], None]] = {
    "csv": _csv,
    "h5": _h5,
    "parquet": _parquet,
    "nwb": _nwb,
    "analysis.h5": _sleap,
    "slp": _slp,
}
"""By the ending of the file."""
