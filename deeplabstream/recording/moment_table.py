"""Moment table: poses in space of a run, and the states of the triggers in space."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.journal_entries import Step
from deeplabstream.core.space_pose import SpacePose
from deeplabstream.recording.cell_formats import FLAG_CELLS, parse_state, text_cell
from deeplabstream.recording.csv_tables import CsvTable, time_cell
from deeplabstream.recording.run_schema import (
    MOMENTS,
    POINT_COLUMNS,
    TRIGGER_STATE,
    members,
)
from deeplabstream.recording.table_reader import moments_table

Floats = NDArray[np.float32]


class MomentTable:
    """`space.moments.csv`: one row per moment; see `run_schema`."""

    def __init__(
        self, path: Path, first: SpacePose, triggers: Sequence[str], start_ns: int
    ) -> None:
        """Make the table for the cameras and body parts of the `first` pose."""
        self._triggers, self._start_ns = tuple(triggers), start_ns
        bodyparts = first.skeleton.bodyparts
        self._points = [
            column.name.format(bodypart=name)
            for name in bodyparts
            for column in POINT_COLUMNS
        ]
        self._left_out = [
            f"{camera}_{name}_left_out_px"
            for camera in first.cameras
            for name in bodyparts
        ]
        fixed = MOMENTS.fixed
        states = [TRIGGER_STATE.prefix + name for name in self._triggers]
        self.table = CsvTable(path, (*fixed, *states, *self._points, *self._left_out))
        self.rows = 0

    def step(self, step: Step, pose: SpacePose) -> None:
        """Write the moment that has ended with a step."""
        numbers = [
            pose.points,
            pose.error_mm[:, None],
            pose.reprojection_px[:, None],
            pose.used.sum(axis=0)[:, None],
            pose.confidence[:, None],
        ]
        values = np.concatenate(numbers, axis=1).astype(np.float32)
        cells: dict[str, object] = {
            "moment": self.rows,
            "time_s": time_cell(pose.time_ns, self._start_ns),
            "exposed_ns": pose.time_ns,
            "camera": text_cell(step.camera),
            "frame": step.index,
            **dict(zip(self._points, values.ravel(), strict=True)),
            **dict(zip(self._left_out, pose.left_out_px.ravel(), strict=True)),
        }
        for name in self._triggers:
            state = FLAG_CELLS[step.space_triggers.get(name)]
            cells[TRIGGER_STATE.prefix + name] = state
        self.table.write_cells(cells)
        self.rows += 1


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPoints:
    """Points in space of a run."""

    t: NDArray[np.float64]
    """(moment,): time of each moment, s since Start Stream, increasing."""
    points: NDArray[np.float64]
    """(moment, body part, 3): x, y, z in mm; NaN: not known."""
    warning: str = ""
    """On broken lines of the table."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordedMoment:
    """A row of `space.moments.csv`."""

    time_ns: int
    camera: str
    """Camera whose frame has ended the moment."""
    frame: int
    points: Floats
    """(body part, 3) in mm; NaN: not known."""
    triggers: dict[str, bool | None]


def read_points(path: Path, bodyparts: Sequence[str]) -> RecordedPoints | None:
    """Return the points of body parts of a run; None: it has no such table."""
    if not path.exists():
        return None
    table = moments_table(path)
    rows = table.frame().reindex(columns=["time_s", *_axes(bodyparts)])
    values = rows.to_numpy(np.float64, na_value=np.nan)

    t, points = values[:, 0], values[:, 1:].reshape(-1, len(bodyparts), 3)
    # a time that does not increase gives no interval
    keep = np.concatenate([[True], np.diff(t) > 0])[: len(t)]
    return RecordedPoints(t[keep], points[keep], table.warning_of_read())


def read_moments(path: Path, bodyparts: Sequence[str]) -> Iterator[RecordedMoment]:
    """Yield the moments of a run in order; none: it has no such table."""
    if not path.exists():
        return
    table = moments_table(path)
    triggers = members(table.columns, TRIGGER_STATE)
    axes = _axes(bodyparts)
    for row in table.rows():
        points = np.array([row.get(name) or "nan" for name in axes], np.float32)
        yield RecordedMoment(
            int(row["exposed_ns"]),
            row["camera"],
            int(row["frame"]),
            points.reshape(-1, 3),
            {name: parse_state(row[column]) for name, column in triggers.items()},
        )


def _axes(bodyparts: Sequence[str]) -> list[str]:
    """Return the columns of the coordinates of body parts."""
    return [f"{name}_{axis}_mm" for name in bodyparts for axis in "xyz"]
