"""Space table: points of one animal in space, one row per moment, with their errors."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.files.delimited_text import plain_cell

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SpaceTable:
    """Points of one animal in space, one row per moment.

    Attributes
    ----------
    bodyparts : tuple of str
        Names of the body parts.
    cameras : tuple of str
        Names of the cameras that the points were computed from.
    frames : numpy.ndarray of int64, shape (moment,)
        Number of each moment: of the frame in the videos, of a run the count of moments.
    times_s : numpy.ndarray of float64, shape (moment,)
        Seconds: of a run since Start Stream. NaN: not known.
    points : numpy.ndarray of float64, shape (moment, body part, 3)
        x, y, z in mm, in the axes of the calibration. NaN: not known.
    error_mm : numpy.ndarray of float64, shape (moment, body part)
        Standard error of each point (`space.triangulation`).
    left_out_mm : numpy.ndarray of float64, shape (moment, body part)
        Farthest that the point moves when one camera is left out. NaN: fewer than three
        cameras were used.
    reprojection_px : numpy.ndarray of float64, shape (moment, body part)
        Root mean square distance of the used views from the point's projections.
    views : numpy.ndarray of int64, shape (moment, body part)
        Number of cameras that were used.
    confidence : numpy.ndarray of float64, shape (moment, body part)
        Mean confidence of the used views. NaN where the point is.
    """

    bodyparts: tuple[str, ...]
    cameras: tuple[str, ...]
    frames: NDArray[np.int64]
    times_s: Floats
    points: Floats
    error_mm: Floats
    left_out_mm: Floats
    reprojection_px: Floats
    views: NDArray[np.int64]
    confidence: Floats

    def __len__(self) -> int:
        return len(self.points)


def write_space_csv(table: SpaceTable, path: Path) -> None:
    """Write frame, time_s and, for each body part, position, errors and number of views."""
    columns: dict[str, Floats | NDArray[np.int64]] = {
        "frame": table.frames,
        "time_s": table.times_s,
    }
    for place, part in enumerate(table.bodyparts):
        columns |= {
            f"{part}_x_mm": table.points[:, place, 0],
            f"{part}_y_mm": table.points[:, place, 1],
            f"{part}_z_mm": table.points[:, place, 2],
            f"{part}_error_mm": table.error_mm[:, place],
            f"{part}_left_out_mm": table.left_out_mm[:, place],
            f"{part}_reprojection_px": table.reprojection_px[:, place],
            f"{part}_views": table.views[:, place],
            f"{part}_confidence": table.confidence[:, place],
        }
    _write_columns(columns, path)


def write_anipose_csv(table: SpaceTable, path: Path) -> None:
    """Write the table of Anipose, which movement reads too: `error` is in px."""
    columns: dict[str, Floats | NDArray[np.int64]] = {}
    for place, part in enumerate(table.bodyparts):
        columns |= {
            f"{part}_x": table.points[:, place, 0],
            f"{part}_y": table.points[:, place, 1],
            f"{part}_z": table.points[:, place, 2],
            f"{part}_error": table.reprojection_px[:, place],
            f"{part}_ncams": table.views[:, place],
            f"{part}_score": table.confidence[:, place],
        }

    # Anipose writes by which rotation and origin it has turned the points: none here.
    count = len(table)
    for row, column in np.ndindex(3, 3):
        columns[f"M_{row}{column}"] = np.full(count, float(row == column))
    for axis in range(3):
        columns[f"center_{axis}"] = np.zeros(count)
    _write_columns({**columns, "fnum": table.frames}, path)


def _write_columns(
    columns: Mapping[str, Floats | NDArray[np.int64]], path: Path
) -> None:
    """Write columns as CSV; NaN is an empty cell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([plain_cell(name) for name in columns])
        cells = [[_cell(value) for value in own.tolist()] for own in columns.values()]
        rows.writerows(zip(*cells, strict=True))


def _cell(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if np.isnan(value) else f"{value:.6f}"


SPACE_WRITERS: Mapping[str, Callable[[SpaceTable, Path], None]] = {
    "csv": write_space_csv,
    "anipose.csv": write_anipose_csv,
}
"""Functions that write a file, by its ending."""
