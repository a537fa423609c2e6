"""Tables on disk: append-only CSV, each row given to the system as it happens.

Files are opened unbuffered: after `write` returns, a killed process loses nothing, and
`sync` (from any thread) saves it from a power cut too. Numbers are written so that they
read back exactly; nothing in a table depends on when it was written.
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
from deeplabstream.core.pose import Skeleton, part_names
from deeplabstream.ipc.ring import Stamp

FRAME_COLUMNS = (
    *("frame", "time_s", "exposed_ns", "arrived_ns"),
    *("posed_ns", "decided_ns", "written_ns", "analysed"),
)
"""What stands before the body parts in a camera's table."""
STATUS_COLUMNS = ("status", "lost", "too_old", "doubts")
"""What stands after the triggers in a camera's table."""
TRIGGER_COLUMNS = ("camera", "frame", "time_s", "trigger", "answer")
EVENT_COLUMNS = (
    *("time_s", "kind", "camera", "frame", "name", "level", "cause"),
    *("exposed_ns", "arrived_ns", "posed_ns", "decided_ns", "written_ns"),
    *("acted_ns", "acked_ns", "text"),
)
VIDEO_COLUMNS = ("video_frame", "frame", "exposed_ns", "arrived_ns", "device_id")

ANSWERS = {True: "1", False: "0", None: "unknown"}
_CELLS = {True: "1", False: "0", None: ""}


def cell(text: str) -> str:
    """Return free text as one cell on one line."""
    line = " ".join(text.splitlines())
    if any(sign in line for sign in ',"'):
        return '"' + line.replace('"', '""') + '"'
    return line


class Table:
    """An append-only CSV file that is never opened over an older one."""

    def __init__(self, path: Path, columns: Iterable[str]) -> None:
        self.path = path
        self._file = path.open("xb", buffering=0)
        self._held: list[bytes] | None = None
        self.write(",".join(cell(column) for column in columns))

    def write(self, row: str) -> None:
        """Append one row; OSError when the disk does not take all of it."""
        data = f"{row}\n".encode()
        if self._held is None:
            self._append(data)
        else:
            self._held.append(data)

    def hold(self) -> None:
        """Gather rows until `release`, which writes them at once: a disk may be slow."""
        self._held = []

    def release(self) -> None:
        """Append the rows that were gathered."""
        held, self._held = self._held, None
        if held:
            self._append(b"".join(held))

    def _append(self, data: bytes) -> None:
        if self._file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def sync(self) -> None:
        """Have the disk itself take all rows; OSError also when the file vanished."""
        with suppress(ValueError):  # closed meanwhile: `close` has synced it
            os.fsync(self._file.fileno())
            self.path.stat()

    def close(self) -> None:
        """Sync and close, whatever the disk says."""
        with suppress(OSError):
            self.sync()
        self._file.close()


class CameraTable:
    """`CAMERA.csv`: one row per delivered frame of a camera that is analysed.

    A skipped frame's row has analysed = 0 and ends there. Points are px, x right, y down,
    as the network gave them; a trigger is 1, 0 or, when unknown, empty, and so are
    probabilities of behaviours, and levels and counts of inputs.
    """

    def __init__(
        self,
        path: Path,
        skeleton: Skeleton,
        triggers: Sequence[str],
        start_ns: int,
        behaviours: Sequence[str] = (),
        inputs: Sequence[str] = (),
    ) -> None:
        animals = skeleton.count
        values = [
            f"{name}_{what}"
            for name in part_names(skeleton, animals)
            for what in ("x", "y", "confidence")
        ]
        asked = [f"trigger_{name}" for name in triggers]
        classes = [f"behaviour_{name}" for name in behaviours]
        seen = [f"input_{name}" for name in inputs]
        columns = [*FRAME_COLUMNS, *values, *asked, *STATUS_COLUMNS, *classes, *seen]
        self.table = Table(path, columns)
        self._triggers = tuple(triggers)
        self._behaviours, self._inputs = tuple(behaviours), tuple(inputs)
        self._start_ns = start_ns
        shape = animals, len(skeleton.bodyparts), 3
        self._values: NDArray[np.float32] = np.empty(shape, np.float32)
        self._blank = "," * (len(columns) - len(FRAME_COLUMNS))

    def step(self, step: Step) -> None:
        """Write the row of an analysed frame; ValueError when the pose has another shape."""
        values, pose = self._values, step.pose
        if pose.points.shape[:2] != values.shape[:2]:
            raise ValueError(
                f"a pose of shape {pose.points.shape[:2]} came, "
                f"the table was made for {values.shape[:2]} animals and body parts"
            )
        values[..., :2] = pose.points
        values[..., 2] = pose.confidence
        numbers = ",".join(map(str, values.ravel()))
        asked = [_CELLS[step.triggers.get(name)] for name in self._triggers]
        classes = [_number(step.behaviours.get(name, nan)) for name in self._behaviours]
        state = [cell(step.status), _CELLS[step.lost], _CELLS[step.too_old]]
        seen = [_number(step.inputs.get(name, nan)) for name in self._inputs]
        doubts = _doubts({**pose.doubts, **step.doubts})
        rest = ",".join([*asked, *state, doubts, *classes, *seen])
        self.table.write(
            f"{step.index},{(step.exposed_ns - self._start_ns) / 1e9:.6f},"
            f"{step.exposed_ns},{step.arrived_ns},{step.posed_ns},{step.decided_ns},"
            f"{step.written_ns or ''},1,{numbers},{rest}"
        )

    def skipped(self, stamp: Stamp) -> None:
        """Write the row of a frame that was delivered and not analysed."""
        self.table.write(
            f"{stamp.index},{(stamp.time_ns - self._start_ns) / 1e9:.6f},"
            f"{stamp.time_ns},{stamp.arrived_ns},,,,0{self._blank}"
        )


def _number(value: float) -> str:
    return "" if isnan(value) else repr(value)


def _doubts(doubts: Mapping[str, str]) -> str:
    return cell("; ".join(f"{name} {what}" for name, what in doubts.items()))
