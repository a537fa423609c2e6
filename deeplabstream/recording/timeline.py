"""Everything known of a camera's frames in one table: one row per frame, always.

Rows are the frames of its table and of its videos, in order; where a frame was not posed
its points are NaN.
"""

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.path_containment import inside
from deeplabstream.core.pose import Skeleton, part_names
from deeplabstream.recording.csv_tables import VIDEO_COLUMNS
from deeplabstream.recording.run_folder import RunFolder, stem
from deeplabstream.recording.table_reader import (
    camera_table,
    framed,
    picture_rows,
    pictures_table,
)

if TYPE_CHECKING:
    from pandas import DataFrame

_KEY = ["frame", "exposed_ns", "arrived_ns"]
_WORDS = ("status", "doubts")


@dataclass(frozen=True)
class Timeline:
    """The frames of one camera; `rows` has the columns of its table, and its videos'."""

    camera: str
    rows: "DataFrame"
    """CAMERA.csv's columns, and video (its name, or empty) and video_frame."""
    skeleton: Skeleton

    @property
    def bodyparts(self) -> tuple[str, ...]:
        """The body parts of each animal."""
        return self.skeleton.bodyparts

    @property
    def animals(self) -> int:
        """How many animals have poses."""
        return self.skeleton.count

    @property
    def points(self) -> NDArray[np.float64]:
        """(row, animal, body part, 2): px, x right, y down; NaN where nothing was seen."""
        return self._values("x", "y")

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(row, animal, body part); 0 where nothing was seen."""
        return np.nan_to_num(self._values("confidence")[..., 0])

    def row_at(self, time_s: float) -> int:
        """Return the row of the last frame at a moment; the first one before it."""
        times = self.rows["time_s"].to_numpy(np.float64)
        after = np.searchsorted(times, np.float64(time_s + 1e-9), side="right")
        return max(0, int(after) - 1)

    def picture_of(self, folder: Path, row: int) -> tuple[Path, int] | None:
        """Return the video and the frame in it of a row; None: it was not recorded."""
        video = self.rows["video"].iat[row]
        if not video:
            return None
        return inside(folder, str(video)), int(self.rows["video_frame"].iat[row])

    def of_video(self, video: str) -> "Timeline":
        """Return the frames of one video, a row for each of its pictures."""
        rows = self.rows[self.rows["video"] == video].sort_values("video_frame")
        return Timeline(self.camera, rows, self.skeleton)

    def parts(self) -> "dict[str, Timeline]":
        """Return by file name without ending: each video, or the table without videos."""
        videos = [name for name in dict.fromkeys(self.rows["video"]) if name]
        if not videos:
            return {stem(self.camera): self}
        return {name.removesuffix(".mkv"): self.of_video(name) for name in videos}

    def _values(self, *what: str) -> NDArray[np.float64]:
        columns = [
            f"{name}_{each}"
            for name in part_names(self.skeleton, self.animals)
            for each in what
        ]
        values: NDArray[np.float64] = self.rows[columns].to_numpy(np.float64)
        shape = len(self.rows), self.animals, len(self.bodyparts), len(what)
        return values.reshape(shape)


def analysed_cameras(folder: RunFolder) -> list[str]:
    """Return the cameras that have poses; a table may have none below its header."""
    tables = {name: folder.table_path(name) for name in folder.facts["cameras"]}
    return [name for name, table in tables.items() if table.exists() and _filled(table)]


def _filled(table: Path) -> bool:
    with table.open("rb") as lines:
        return len(list(islice(lines, 2))) > 1


def video_frames(
    folder: RunFolder, camera: str, table: "DataFrame | None" = None
) -> "DataFrame":
    """Return the frames of a camera's videos: `VIDEO_COLUMNS` and video, its file name.

    `table` is the camera's own, if it has one: it completes broken lines.
    """
    import pandas as pd

    known = pd.DataFrame(columns=_KEY) if table is None else table
    of_camera = re.compile(re.escape(stem(camera)) + r"(_\d+)?\.frames\.csv")
    videos = []
    for path in sorted(folder.path.glob("*.frames.csv")):
        if of_camera.fullmatch(path.name):
            listed = _pictures_of(path, known)
            listed["video"] = path.name.replace(".frames.csv", ".mkv")
            videos.append(listed)
    if not videos:
        return pd.DataFrame(columns=[*VIDEO_COLUMNS, "video"])
    return pd.concat(videos)


def timeline(folder: RunFolder, camera: str) -> Timeline:
    """Read a camera's table and the tables of its videos."""
    import pandas as pd

    skeleton = folder.skeleton
    written = camera_table(folder.table_path(camera), skeleton)
    known = part_names(skeleton, skeleton.count)
    points = [f"{name}_{what}" for name in known for what in ("x", "y", "confidence")]
    if lacking := {*points, "status"} - {*written.columns}:
        raise DeviceError(
            f"{written.path} and run.json do not agree: the table has no column "
            f"{min(lacking)!r}; a broken header is line 1"
        )
    table = written.frame(
        dtype={
            **dict.fromkeys(points, np.float64),
            **{name: "string" for name in written.columns if name in _WORDS},
            "posed_ns": "Int64",
            "decided_ns": "Int64",
        },
        converters={"written_ns": lambda cell: int(cell or 0)},
    ).drop_duplicates(_KEY, ignore_index=True)
    if "doubts" not in table:  # tables of earlier versions
        table["doubts"] = ""
    filmed = video_frames(folder, camera, table)
    if len(filmed):
        rows = table.merge(filmed, on=_KEY, how="outer")
    else:
        rows = table.assign(video="", video_frame=pd.NA, device_id=pd.NA)
    rows = rows.sort_values(["exposed_ns", "frame"], ignore_index=True)
    rows["video"] = rows["video"].fillna("")
    numbers = ["video_frame", "device_id"]
    rows[numbers] = rows[numbers].astype("Int64")
    rows["analysed"] = rows["analysed"].fillna(0).astype(bool)
    rows["written_ns"] = rows["written_ns"].fillna(0).astype("int64")
    start_ns = folder.facts["start_ns"]
    rows["time_s"] = (rows["exposed_ns"] - start_ns) / 1e9
    return Timeline(camera, rows, skeleton)


def _pictures_of(path: Path, table: "DataFrame") -> "DataFrame":
    """Return the table of a video with a row for each picture, up to the last known one.

    A picture whose line is broken takes its frame from the camera's table, by its number;
    where that does not tell, its times lie between those of its neighbours.
    """
    read = pictures_table(path)
    found = picture_rows(read)
    listed = framed(
        read.columns, (line for _, line in found.values()), dtype={"device_id": "Int64"}
    ).reindex(columns=list(VIDEO_COLUMNS))
    count = max(found, default=-1) + 1
    if len(found) == count:
        return listed
    whole = listed.set_index("video_frame").reindex(range(count))
    at, missing = np.array([*found]), np.setdiff1d(np.arange(count), [*found])
    for name in _KEY:
        known = listed[name].to_numpy(np.int64)
        base = known[0]
        guess = base + np.interp(missing, at, (known - base).astype(np.float64))
        column = np.zeros(count, np.int64)
        column[at], column[missing] = known, np.rint(guess).astype(np.int64)
        whole[name] = column
    certain = table.drop_duplicates("frame").set_index("frame")
    for picture in missing:
        frame = int(whole["frame"].iat[picture])
        if frame in certain.index:
            for name in _KEY[1:]:
                whole.loc[picture, name] = certain.at[frame, name]
    return whole.rename_axis("video_frame").reset_index()
