"""Pose file reading: tables of poses that this program and others write."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pandas_hdf5 import read_hdf5_table
from deeplabstream.core.pose import Skeleton
from deeplabstream.offline.sleap_pose_reading import (
    is_analysis_file,
    read_analysis_file,
    read_labels_file,
)
from deeplabstream.recording.pose_table import PoseTable, pose_table

if TYPE_CHECKING:
    from pandas import DataFrame

_COORDS = ("x", "y", "likelihood")


def read_poses(file: Path) -> PoseTable:
    """Read a table of poses of DeepLabCut, Lightning Pose, SLEAP or this program.

    Parameters
    ----------
    file : pathlib.Path
        CSV or HDF5 of DeepLabCut or Lightning Pose, analysis HDF5 or `.slp` of SLEAP, or a
        Parquet table.

    Returns
    -------
    PoseTable
        Its times are NaN. The confidence is 1 where the file has none, as with labels.

    Raises
    ------
    DeepLabStreamError
        The file is missing, damaged, or no table of poses.
    """
    import pandas as pd

    if not file.is_file():
        raise DeepLabStreamError(f"{file}: file not found")
    ending = file.suffix.lower()
    try:
        if ending == ".csv":
            table = pd.read_csv(file, header=_levels(file), index_col=0)
            named = [tuple(map(str, column)) for column in table.columns]
            return _deeplabcut(file, named, table.to_numpy())
        if ending == ".slp":
            return read_labels_file(file)
        if ending in (".h5", ".hdf5"):
            if is_analysis_file(file):
                return read_analysis_file(file)
            held = read_hdf5_table(file)
            return _deeplabcut(file, held.columns, held.values)
        if ending in (".parquet", ".pqt"):
            return _flat(file, pd.read_parquet(file))
    except DeepLabStreamError:
        raise
    except Exception as error:  # pandas, pyarrow and tables have no common ancestor
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DeepLabStreamError(f"Can't read {file}: {reason}") from error
    raise DeepLabStreamError(
        f"{file} is not a table of poses: use .csv, .h5, .slp, .parquet or .pqt"
    )


def _levels(file: Path) -> list[int]:
    with file.open(encoding="utf-8-sig") as lines:
        starts = [next(lines, "").split(",")[0].strip() for _ in range(4)]
    if starts[:3] == ["scorer", "bodyparts", "coords"]:
        return [0, 1, 2]
    if starts == ["scorer", "individuals", "bodyparts", "coords"]:
        return [0, 1, 2, 3]
    raise DeepLabStreamError(
        f"{file} does not begin with the rows scorer, bodyparts and coords"
    )


def _deeplabcut(
    file: Path, named: Sequence[tuple[str, ...]], values: NDArray[Any]
) -> PoseTable:
    """Make poses of values (row, column), whose columns are named level by level."""
    columns: dict[tuple[str, str, str], NDArray[np.float64]] = {}
    scorer = named[0][0] if named else ""
    for place, (_, *animal, part, coord) in enumerate(named):
        if coord in _COORDS:
            own = values[:, place].astype(np.float64)
            columns["".join(animal), part, coord] = own
    return _poses(file, columns, len(values), scorer)


def _flat(file: Path, table: "DataFrame") -> PoseTable:
    columns: dict[tuple[str, str, str], NDArray[np.float64]] = {}
    for name in table:
        part, _, coord = str(name).rpartition("_")
        coord = {"confidence": "likelihood"}.get(coord, coord)
        if part and coord in _COORDS and f"{part}_x" in table and f"{part}_y" in table:
            columns["", part, coord] = table[name].to_numpy(np.float64)
    return _poses(file, columns, len(table))


def _poses(
    file: Path,
    columns: dict[tuple[str, str, str], NDArray[np.float64]],
    rows: int,
    scorer: str = "",
) -> PoseTable:
    animals = list(dict.fromkeys(key[0] for key in columns))
    parts = list(dict.fromkeys(key[1] for key in columns))
    if not parts:
        raise DeepLabStreamError(f"{file} contains no poses")
    nothing = np.full(rows, np.nan)
    points = [
        [
            [columns.get((animal, part, axis), nothing) for axis in "xy"]
            for part in parts
        ]
        for animal in animals
    ]
    ones = np.ones(rows)
    sure = [
        [columns.get((animal, part, "likelihood"), ones) for part in parts]
        for animal in animals
    ]
    return pose_table(
        file,
        Skeleton(tuple(parts), animals=tuple(animals) if len(animals) > 1 else ()),
        np.moveaxis(np.array(points), 3, 0),
        np.moveaxis(np.array(sure), 2, 0),
        scorer,
    )
