"""CSV tables of a run: append-only, unbuffered, each row written when it happens.

After `write` returns, a killed process loses nothing; rows between `hold` and `release`
are on the disk after `release`, and in the journal until then. `sync` (from any thread)
saves the rows from a power cut too. Numbers are written so that they read back exactly; a
table does not depend on when it was written.
"""

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from math import isnan, nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Skeleton
from deeplabstream.ipc.ring import Stamp
from deeplabstream.recording.cell_formats import FLAG_CELLS, flags_cell, text_cell
from deeplabstream.recording.run_schema import (
    BEHAVIOUR,
    INPUT,
    TRIGGER_STATE,
    camera_columns,
    keypoint_columns,
)


class CsvTable:
    """An append-only CSV file that is never opened over an older one."""

    def __init__(self, path: Path, columns: Iterable[str]) -> None:
        self.path = path
        self.columns = tuple(columns)
        self._file = path.open("xb", buffering=0)
        self._held: list[bytes] | None = None
        self._last = 0
        self.write(",".join(text_cell(column) for column in self.columns))

    def write_cells(self, cells: Mapping[str, object]) -> None:
        """Append one row of cells by column; columns that are left out are empty."""
        self.write(",".join([str(cells.get(name, "")) for name in self.columns]))

    def write(self, row: str) -> None:
        """Append one row as text; OSError when it is not written completely."""
        data = f"{row}\n".encode()
        if self._held is None:
            self._append(data)
        else:
            self._held.append(data)

    def hold(self) -> None:
        """Collect rows until `release`, which writes them in one call, for slow disks."""
        self._held = []

    def release(self) -> None:
        """Write the collected rows."""
        held, self._held = self._held, None
        if held:
            self._append(b"".join(held))

    def remove_last(self) -> None:
        """Remove the row that `write` has appended last; OSError when the disk fails."""
        size = self._file.tell() - self._last
        self._file.seek(self._file.truncate(size))
        self._last = 0

    def _append(self, data: bytes) -> None:
        self._last = len(data)
        if (written := self._file.write(data)) != len(data):
            # only complete rows stay
            whole = data.rfind(b"\n", 0, written) + 1
            with suppress(OSError):
                size = self._file.tell() - written + whole
                self._file.seek(self._file.truncate(size))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def sync(self) -> None:
        """Write all rows to the disk (fsync); OSError also when the file was deleted."""
        try:
            os.fsync(self._file.fileno())
            self.path.stat()
        except (OSError, ValueError):
            if not self._file.closed:  # otherwise `close` has already synced it
                raise

    def close(self) -> OSError | None:
        """Sync and close; return the error of a disk that may not have the last rows."""
        errors = []
        for action in (self.sync, self._file.close):
            try:
                action()
            except OSError as error:
                errors.append(error)
        return errors[0] if errors else None


class CameraTable:
    """`CAMERA.csv`: one row per delivered frame of an analysed camera; see `run_schema`."""

    def __init__(
        self,
        path: Path,
        skeleton: Skeleton,
        triggers: Sequence[str],
        start_ns: int,
        behaviours: Sequence[str] = (),
        inputs: Sequence[str] = (),
        optional: Sequence[str] = (),
    ) -> None:
        self.table = CsvTable(
            path, camera_columns(skeleton, triggers, behaviours, inputs, optional)
        )
        self._optional = tuple(optional)
        self._keypoints = keypoint_columns(skeleton)
        self._triggers = tuple(triggers)
        self._behaviours, self._inputs = tuple(behaviours), tuple(inputs)
        self._start_ns = start_ns
        shape = skeleton.count, len(skeleton.bodyparts), 3
        self._values: NDArray[np.float32] = np.empty(shape, np.float32)

    def step(self, step: Step) -> None:
        """Write the row of an analysed frame; ValueError when the pose has another shape."""
        values, pose = self._values, step.pose
        if pose.points.shape[:2] != values.shape[:2]:
            raise ValueError(
                f"the pose has {pose.points.shape[:2]} animals and body parts, "
                f"the table has {values.shape[:2]}"
            )
        # One buffer for all rows: this runs for each frame of each camera.
        values[..., :2] = pose.points
        values[..., 2] = pose.confidence

        cells: dict[str, object] = {
            **self._arrival(step.index, step.exposed_ns, step.arrived_ns),
            "posed_ns": step.posed_ns,
            "decided_ns": step.decided_ns,
            "written_ns": step.written_ns or "",
            "analysed": FLAG_CELLS[True],
            **dict(zip(self._keypoints, values.ravel(), strict=True)),
            "status": text_cell(step.status),
            "lost": FLAG_CELLS[step.lost],
            "too_old": FLAG_CELLS[step.too_old],
            "flags": flags_cell({**pose.flags, **step.flags}),
        }

        for name in self._triggers:
            state = FLAG_CELLS[step.triggers.get(name)]
            cells[TRIGGER_STATE.prefix + name] = state
        for name in self._behaviours:
            cells[BEHAVIOUR.prefix + name] = _number(step.behaviours.get(name, nan))
        for name in self._inputs:
            cells[INPUT.prefix + name] = _number(step.inputs.get(name, nan))
        for name in self._optional:
            cells[name] = text_cell(getattr(step, name))
        self.table.write_cells(cells)

    def skipped(self, stamp: Stamp) -> None:
        """Write the row of a frame that was delivered and not analysed."""
        arrival = self._arrival(stamp.index, stamp.time_ns, stamp.arrived_ns)
        self.table.write_cells({**arrival, "analysed": FLAG_CELLS[False]})

    def _arrival(
        self, index: int, exposed_ns: int, arrived_ns: int
    ) -> dict[str, object]:
        """Return the cells that the rows of all frames have."""
        return {
            "frame": index,
            "time_s": time_cell(exposed_ns, self._start_ns),
            "exposed_ns": exposed_ns,
            "arrived_ns": arrived_ns,
        }


def time_cell(time_ns: int, start_ns: int) -> str:
    """Return a cell of the column `time_s`: seconds since `start_ns`."""
    return f"{(time_ns - start_ns) / 1e9:.6f}"


def _number(value: float) -> str:
    return "" if isnan(value) else repr(value)
