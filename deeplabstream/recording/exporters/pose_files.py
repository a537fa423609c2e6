"""Pose files: the poses of one camera or video in the formats of other programs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pose import part_names
from deeplabstream.files.pandas_hdf5 import write_hdf5_table
from deeplabstream.recording.exporters.nwb import NwbPoses, NwbSession, write_nwb
from deeplabstream.recording.exporters.sleap_analysis import write_sleap
from deeplabstream.recording.exporters.slp import write_slp
from deeplabstream.recording.pose_table import PoseTable

if TYPE_CHECKING:
    from pandas import DataFrame


def deeplabcut(poses: PoseTable) -> "DataFrame":
    """Return poses as DeepLabCut's table.

    Parameters
    ----------
    poses : PoseTable
        NaN stays NaN.

    Returns
    -------
    pandas.DataFrame
        Column levels scorer, individuals (of several animals), bodyparts and coords: x, y
        in pixels, likelihood. The index counts the rows from 0.
    """
    import pandas as pd

    values = np.concatenate([poses.points, poses.confidence[..., None]], axis=-1)
    levels = [[poses.scorer], list(poses.animals), list(poses.skeleton.bodyparts)]
    names = ["scorer", "individuals", "bodyparts", "coords"]
    columns = pd.MultiIndex.from_product(
        [*levels, ["x", "y", "likelihood"]], names=names
    )
    if len(poses.animals) == 1:
        columns = columns.droplevel("individuals")
    return pd.DataFrame(values.reshape(len(values), -1), columns=columns)


def write_dlc_csv(poses: PoseTable, path: Path) -> None:
    """Write DeepLabCut's CSV."""
    deeplabcut(poses).to_csv(path, lineterminator="\n")


def write_dlc_h5(poses: PoseTable, path: Path) -> None:
    """Write DeepLabCut's HDF5."""
    write_hdf5_table(deeplabcut(poses), path, "table")


def _parquet(table: PoseTable, path: Path) -> None:
    """Write time_s and, for each body part, _x, _y and _likelihood.

    Which animal a column belongs to is in the file's attributes: names may contain a `_`.
    """
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
    made = pd.DataFrame(columns)
    if animals > 1:
        made.attrs = {
            "animals": list(table.animals),
            "bodyparts": list(table.skeleton.bodyparts),
        }
    made.to_parquet(path, index=False)


def _nwb(table: PoseTable, path: Path) -> None:
    name = table.source.name
    about = f"poses of {name}, predicted by DeepLabStream"
    identifier = f"{name} {table.scorer}"
    session = NwbSession(about, identifier, table.started)
    write_nwb(path, session, [NwbPoses(table, {name: None})])


def _sleap(table: PoseTable, path: Path) -> None:
    extras = {"time_s": table.times_s, "frame": table.frames}
    write_sleap(path, table, table.source, extras, table.source.name)


def _slp(table: PoseTable, path: Path) -> None:
    write_slp(path, table, table.source)


WRITERS: Mapping[str, Callable[[PoseTable, Path], None]] = {
    "csv": write_dlc_csv,
    "h5": write_dlc_h5,
    "parquet": _parquet,
    "nwb": _nwb,
    "analysis.h5": _sleap,
    "slp": _slp,
}
"""Functions that write a file, by its ending."""
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "csv": ("pandas",),
    "h5": ("pandas",),
    "parquet": ("pandas", "pyarrow"),
    "nwb": ("pynwb", "ndx_pose"),
}
"""Modules that a format needs besides those that every rig has."""
