"""Recorded frames: poses and all other columns of one camera of a run, one row per frame.

Rows are the frames of `CAMERA.csv` and of the camera's videos, in order. Where a frame was
not analysed, its points are NaN.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Skeleton, part_names
from deeplabstream.files.path_containment import inside
from deeplabstream.recording.cell_formats import identity_of, parse_flags
from deeplabstream.recording.corrected_poses import ABSENT, apply_corrections
from deeplabstream.recording.pose_corrections import Correction, corrections_of
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_schema import VIDEO, keypoint_columns
from deeplabstream.recording.table_reader import camera_table, video_table

if TYPE_CHECKING:
    from pandas import DataFrame

_KEY = ["frame", "exposed_ns", "arrived_ns"]
"""Columns that `CAMERA.csv` and `CAMERA.frames.csv` share."""


@dataclass(frozen=True)
class RecordedFrames:
    """The frames of one camera of a run."""

    folder: RunFolder
    camera: str
    rows: "DataFrame"
    """Columns of `CAMERA.csv` and `CAMERA.frames.csv`; `video`: file name of the video,
    empty where the frame was not recorded."""
    skeleton: Skeleton
    warning: str = ""
    """Sentence about broken lines of `CAMERA.csv`; empty: there are none."""
    corrections: int = 0
    """Number of corrections in the points of `rows`, whose columns `corrected_KEYPOINT`
    mark them."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def video(self) -> Path:
        """Path of the first video; the file need not exist."""
        names = [name for name in self.rows["video"] if name]
        return self.folder.path / (
            names[0] if names else f"{self.folder.stem(self.camera)}.mkv"
        )

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Times of exposure (frame,), seconds since Start Stream."""
        return np.asarray(self.rows["time_s"].to_numpy(np.float64))

    @property
    def analysed(self) -> NDArray[np.bool_]:
        """Whether each frame (frame,) was analysed."""
        return np.asarray(self.rows["analysed"].to_numpy(bool))

    @cached_property
    def poses(self) -> PoseTable:
        """Poses, one row per frame; `source`: the video, or the table where it has none."""
        names = list(keypoint_columns(self.skeleton))
        values: NDArray[np.float64] = self.rows[names].to_numpy(np.float64)
        parts = len(self.skeleton.bodyparts)
        values = values.reshape(len(self.rows), self.skeleton.count, parts, 3)

        # 0: not found. NaN: no pose, because the frame was not analysed.
        confidence = np.nan_to_num(values[..., 2])
        confidence[~self.analysed] = np.nan

        facts = self.folder.facts
        shape = facts["cameras"][self.camera]["shape"]
        videos = [str(name) for name in self.rows["video"].unique() if name]
        source = (
            videos[0] if len(videos) == 1 else self.folder.table_path(self.camera).name
        )
        return PoseTable(
            source=self.folder.path / source,
            skeleton=self.skeleton,
            points=values[..., :2],
            confidence=confidence,
            frames=self.rows["frame"].to_numpy(np.int64),
            times_s=self.times_s,
            camera=self.camera,
            identity=[
                identity_of(self.skeleton, parse_flags(cell))
                for cell in self.rows["flags"]
            ]
            if self.skeleton.animals
            else (),
            scorer=(facts["model"] or {}).get("name") or "DeepLabStream",
            size=(int(shape[0]), int(shape[1])),
        )

    @property
    def corrected(self) -> NDArray[np.bool_]:
        """Whether a correction concerns each point (frame, animal, body part)."""
        shape = len(self.rows), self.skeleton.count, len(self.skeleton.bodyparts)
        if not self.corrections:
            return np.zeros(shape, np.bool_)
        names = part_names(self.skeleton, self.skeleton.count)
        columns = [f"corrected_{name}" for name in names]
        return np.asarray(self.rows[columns].to_numpy(bool).reshape(shape))

    def with_corrections(
        self, corrections: Mapping[int, Correction]
    ) -> "RecordedFrames":
        """Return the frames with corrections, by their numbers.

        DeepLabStreamError: one does not fit the run; the message names it.
        """
        import pandas as pd

        if not corrections:
            return self
        threshold = self.folder.thresholds.of(self.camera)
        flags = self.rows["flags"].tolist()
        found = apply_corrections(self.poses, flags, threshold, corrections)
        table, count = found.table, len(self.rows)
        changed = found.corrected.reshape(count, -1)
        rows = self.rows.assign(flags=found.flags)
        values = np.concatenate([table.points, table.confidence[..., None]], axis=-1)
        columns = keypoint_columns(self.skeleton)
        rows[list(columns)] = values.reshape(count, -1)
        names = part_names(self.skeleton, self.skeleton.count)
        marks = pd.DataFrame(
            changed, rows.index, [f"corrected_{name}" for name in names]
        )
        whole = pd.concat([rows, marks], axis=1)
        return replace(self, rows=whole, corrections=len(corrections))

    def without_absent_animals(self) -> "RecordedFrames":
        """Return the frames without the animals that a merge or a split emptied on all frames.

        An animal that was lost, but not merged or split, stays. Of several animals one always
        stays.
        """
        animals = self.skeleton.animals
        cells = self.rows["flags"][self.analysed] if self.corrections else ()
        states = [parse_flags(cell) for cell in cells]
        kept = tuple(
            name
            for name in animals
            if not states or any(flags.get(name) != ABSENT for flags in states)
        )
        if not kept or kept == animals:
            return self
        rows = self.rows
        if len(kept) == 1:  # the columns of a single animal have no name of it
            prefix = f"{kept[0]}_"
            parts = self.skeleton.bodyparts
            single = replace(self.skeleton, animals=kept)
            own = [
                *(f"corrected_{prefix}{part}" for part in parts),
                *(f"{prefix}{name}" for name in keypoint_columns(single)),
            ]
            plain = [
                *(f"corrected_{part}" for part in parts),
                *keypoint_columns(single),
            ]
            rows = rows.rename(columns=dict(zip(own, plain, strict=True)))
        skeleton = replace(self.skeleton, animals=kept)
        return replace(self, rows=rows, skeleton=skeleton)

    def row_at(self, time_s: float) -> int:
        """Return the row of the last frame at a time; the first one before it."""
        after = np.searchsorted(self.times_s, np.float64(time_s + 1e-9), side="right")
        return max(0, int(after) - 1)

    def video_frame_of(self, row: int) -> tuple[Path, int] | None:
        """Return the video of a row and the frame in it; None: it was not recorded.

        Of a run that was computed from a video: that video, if the file exists.
        """
        video = self.rows["video"].iat[row]
        if video:
            path = inside(self.folder.path, str(video))
            return path, int(self.rows["video_frame"].iat[row])
        if self._analysed_video is None:
            return None
        return self._analysed_video, int(self.rows["frame"].iat[row])

    @cached_property
    def has_image(self) -> NDArray[np.bool_]:
        """Whether each frame (frame,) has an image in a video whose file exists.

        That is a video of the run, or the one that it was computed from.
        """
        names = self.rows["video"].astype(str)
        there = {
            name: (self.folder.path / name).is_file() for name in names.unique() if name
        }
        there[""] = self._analysed_video is not None
        return np.asarray(names.map(there).to_numpy(bool))

    @cached_property
    def _analysed_video(self) -> Path | None:
        """The video that the run was computed from; None: none, or it does not exist."""
        analysed = str(self.folder.facts.get("video") or "")
        path = Path(analysed).resolve()
        return path if analysed and path.is_file() else None

    def of_video(self, video: str) -> "RecordedFrames":
        """Return the frames of one video by its file name, a row for each of them."""
        rows = self.rows[self.rows["video"] == video].sort_values("video_frame")
        return replace(self, rows=rows)

    def of_analysis(self) -> "RecordedFrames":
        """Return the frames that were analysed."""
        rows = self.rows[self.analysed]
        return replace(self, rows=rows)

    def parts(self) -> "dict[str, RecordedFrames]":
        """Return by file name without ending: each video, or the table without videos."""
        videos = [str(name) for name in self.rows["video"].unique() if name]
        if not videos:
            return {self.folder.stem(self.camera): self}
        return {Path(name).stem: self.of_video(name) for name in videos}


def analysed_cameras(folder: RunFolder) -> list[str]:
    """Return the cameras that have poses; a table may have no row."""
    tables = {name: folder.table_path(name) for name in folder.facts["cameras"]}
    return [name for name, table in tables.items() if table.exists() and _filled(table)]


def _filled(table: Path) -> bool:
    with table.open("rb") as lines:
        return len(list(islice(lines, 2))) > 1


def recorded_parts(folder: RunFolder) -> Iterator[tuple[str, RecordedFrames]]:
    """Yield file name without ending and frames of each video of the analysed cameras.

    A camera without videos is one part. Animals that corrections emptied are left out.
    """
    for camera in analysed_cameras(folder):
        frames = read_frames(folder, camera).without_absent_animals()
        yield from frames.parts().items()


def read_frames(folder: RunFolder, camera: str) -> RecordedFrames:
    """Read a camera's table and the tables of its videos; DeviceError: they can't be used.

    With `folder.corrected`, the frames have the corrections of the run.
    """
    import pandas as pd

    skeleton = folder.skeleton
    written = camera_table(folder.table_path(camera), skeleton)
    points = keypoint_columns(skeleton)
    if lacking := {*points, "status"} - {*written.columns}:
        raise DeviceError(
            f"{written.path} and run.json do not agree: the table has no column "
            f"{min(lacking)!r}; a broken header is line 1"
        )

    optional = ("posed_ns", "decided_ns", "written_ns")
    table = written.frame(
        dtype={**dict.fromkeys(points, np.float64), **dict.fromkeys(optional, "Int64")}
    )

    # A damaged table may have a frame twice.
    if not (np.diff(table["frame"].to_numpy(np.int64)) > 0).all():
        table = table.drop_duplicates(_KEY, ignore_index=True)
    if "flags" not in table:  # tables of earlier versions
        table["flags"] = ""

    # Frames may be analysed, recorded, or both: rows of both tables are kept.
    listed = video_frames(folder, camera, table)
    if len(listed):
        rows = table.merge(listed, on=_KEY, how="outer")
    else:
        rows = table.assign(video="", video_frame=pd.NA, device_id=pd.NA)
    rows = rows.sort_values(["exposed_ns", "frame"], ignore_index=True)

    # Columns of rows that only one of the tables has are empty: fill them by type.
    rows["video"] = rows["video"].fillna("")
    numbers = ["video_frame", "device_id"]
    rows[numbers] = rows[numbers].astype("Int64")
    rows["analysed"] = rows["analysed"].fillna(0).astype(bool)
    rows["written_ns"] = rows["written_ns"].fillna(0).astype("int64")
    rows["time_s"] = (rows["exposed_ns"] - folder.facts["start_ns"]) / 1e9

    frames = RecordedFrames(folder, camera, rows, skeleton, written.warning_of_read())
    if not folder.corrected:
        return frames
    return frames.with_corrections(corrections_of(folder.path, camera))


def steps_in_use(folder: RunFolder, camera: str) -> Iterator[Step]:
    """Yield the analysed frames of a camera as the engine received them.

    With `folder.corrected`, their poses have the corrections of the run. All else is as it
    was recorded, behaviours too.
    """
    if not folder.corrected:
        yield from folder.steps(camera)
        return
    frames = read_frames(folder, camera)
    changed = frames.corrected.any(axis=(1, 2))
    keys = frames.rows.loc[changed, _KEY].itertuples(index=False, name=None)
    rows = dict(zip(keys, np.flatnonzero(changed), strict=True))
    for step in folder.steps(camera):
        row = rows.get((step.index, step.exposed_ns, step.arrived_ns))
        yield step if row is None else replace(step, pose=frames.poses.pose(int(row)))


def video_frames(
    folder: RunFolder, camera: str, table: "DataFrame | None" = None
) -> "DataFrame":
    """Return the frames of a camera's videos: columns of their tables, and `video`.

    `table` is the camera's own, if it has one: it completes broken lines.
    """
    import pandas as pd

    known = pd.DataFrame(columns=_KEY) if table is None else table
    videos = []
    for path in folder.video_tables(camera):
        listed = _frames_of(path, known)
        listed["video"] = folder.video_of(path).name
        videos.append(listed)
    if not videos:
        return pd.DataFrame(columns=[*VIDEO.names, "video"])
    return pd.concat(videos)


def _frames_of(path: Path, table: "DataFrame") -> "DataFrame":
    """Return the table of a video with a row for each frame, up to the last known one.

    A frame whose line is broken gets its number from the camera's table by its place. Where
    that fails, its times are interpolated between its neighbours.
    """
    read = video_table(path)
    listed = read.frame(dtype={"device_id": "Int64"}).reindex(columns=list(VIDEO.names))
    at = listed["video_frame"].to_numpy(np.int64)
    count = int(at.max(initial=-1)) + 1
    if len(at) == count:
        return listed
    whole = listed.set_index("video_frame").reindex(range(count))
    missing = np.setdiff1d(np.arange(count), at)
    for name in _KEY:
        known = listed[name].to_numpy(np.int64)
        base = known[0]
        guess = base + np.interp(missing, at, (known - base).astype(np.float64))
        column = np.zeros(count, np.int64)
        column[at], column[missing] = known, np.rint(guess).astype(np.int64)
        whole[name] = column
    certain = table.drop_duplicates("frame").set_index("frame")
    for row in missing:
        frame = int(whole["frame"].iat[row])
        if frame in certain.index:
            for name in _KEY[1:]:
                whole.loc[row, name] = certain.at[frame, name]
    return whole.rename_axis("video_frame").reset_index()
