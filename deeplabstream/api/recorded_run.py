"""A recorded run opened in a notebook: poses, tables and frames of its videos."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deeplabstream.api.pose_arrays import PoseArrays, arrays_of, labelled
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.cell_formats import parse_state
from deeplabstream.recording.recorded_frames import (
    RecordedFrames,
    analysed_cameras,
    read_frames,
    video_frames,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.run_schema import keypoint_columns
from deeplabstream.recording.table_reader import (
    RecordedTable,
    events_table,
    triggers_table,
)
from deeplabstream.settings.loading import load
from deeplabstream.settings.sections import Settings
from deeplabstream.video.video_reader import VideoReader, open_video

if TYPE_CHECKING:
    from pandas import DataFrame


def open_run(path: str | Path, *, raw: bool = False) -> "RecordedRun":
    """Open the folder of a recorded run.

    A run that was killed is repaired first; the original of a changed file is kept as
    NAME.damaged. Nothing else is written.

    Parameters
    ----------
    path : str or pathlib.Path
        The run folder: it holds `run.json`.
    raw : bool
        Whether poses are those that were recorded, without the corrections of the run.

    Returns
    -------
    RecordedRun
        Its tables and videos are read on first use.

    Raises
    ------
    DeviceError
        `path` is not a run folder, the run is still being written, or it can't be repaired.

    Examples
    --------
    >>> run = dls.open_run("output/2026-11-21_10-58-55")
    >>> snout = run.poses.position.sel(keypoints="snout").squeeze()
    >>> laser_on = run.events.query("kind == 'edge' and name == 'laser' and level > 0")
    >>> image = run.frame("top", time_s=12.5)
    """
    folder = open_run_folder(Path(path), lambda text: None)
    folder.corrected = not raw
    return RecordedRun(folder)


class RecordedRun:
    """A recorded run; made by `open_run`.

    Attributes
    ----------
    path : pathlib.Path
        The run folder.
    info : dict
        Content of `run.json`: versions, network, cameras, when and how the run ended,
        where every frame went.
    settings_text : str
        The settings as used, word for word.
    settings : Settings
        The same, read and checked. SettingsError: this computer lacks something that they
        name.
    cameras : tuple of str
        All cameras of the run.
    analysed : tuple of str
        The cameras that have poses.
    poses : xarray.Dataset or PoseArrays
        Poses of the first camera of `analysed`; see `poses_of`. PoseArrays where xarray is
        not installed.
    poses_arrays : PoseArrays
        The same as plain arrays.
    frames : pandas.DataFrame
        One row per frame of every camera; see `frames_of`. The column `camera` comes first.
    events : pandas.DataFrame
        The rows of `events.csv`: `time_s` (seconds since Start Stream), `kind`, `camera`,
        `frame`, `name`, `level` (NaN: none), `cause`, the `_ns` times (missing: `<NA>`),
        `text`.
    triggers : pandas.DataFrame
        One row per change of a trigger: `time_s` (seconds), `camera`, `frame`, `trigger`,
        `answer` (boolean; `<NA>`: unknown).
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._readers: dict[Path, VideoReader] = {}
        self._frames: dict[str, RecordedFrames] = {}

    def __repr__(self) -> str:
        return f"RecordedRun({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._folder.path

    @cached_property
    def info(self) -> dict[str, Any]:
        """Content of `run.json`."""
        return self._folder.facts

    @property
    def settings_text(self) -> str:
        """The settings as used, verbatim."""
        return self._folder.settings_text

    @cached_property
    def settings(self) -> Settings:
        """The settings as used; SettingsError when they can't be used here."""
        return load(self.path / "settings.ini")

    @property
    def cameras(self) -> tuple[str, ...]:
        """All cameras of the run."""
        return tuple(self.info["cameras"])

    @cached_property
    def analysed(self) -> tuple[str, ...]:
        """The cameras that have poses."""
        return tuple(analysed_cameras(self._folder))

    @cached_property
    def poses(self) -> Any:
        """Poses of the first analysed camera; see `poses_of`."""
        return labelled(self.poses_arrays)

    @cached_property
    def poses_arrays(self) -> PoseArrays:
        """Poses of the first analysed camera as plain arrays; see `poses_arrays_of`."""
        if not self.analysed:
            raise DeviceError(f"no poses in {self.path}")
        return self.poses_arrays_of(self.analysed[0])

    def poses_of(self, camera: str) -> Any:
        """Return the poses of a camera in the layout of movement.

        Parameters
        ----------
        camera : str
            One of `analysed`.

        Returns
        -------
        xarray.Dataset or PoseArrays
            See `PoseArrays.to_xarray`; PoseArrays where xarray is not installed. One row
            per frame, as in `frames_of`.

        Raises
        ------
        DeviceError
            The run has no poses of such a camera, or its table can't be read.
        """
        return labelled(self.poses_arrays_of(camera))

    def poses_arrays_of(self, camera: str) -> PoseArrays:
        """Return the poses of a camera as plain arrays; see `poses_of`.

        Parameters
        ----------
        camera : str
            One of `analysed`.

        Returns
        -------
        PoseArrays
            One row per frame, as in `frames_of`.

        Raises
        ------
        DeviceError
            The run has no poses of such a camera, or its table can't be read.
        """
        if camera not in self.analysed:
            names = ", ".join(self.analysed) or "none"
            raise DeviceError(
                f"{self.path} has no poses of camera {camera!r}; cameras with poses: {names}"
            )
        fps = float(self.info["cameras"][camera].get("rate") or 0)
        threshold = self._folder.thresholds.of(camera)
        poses = self._recorded(camera).poses
        return arrays_of(poses, fps, threshold, str(self.path))

    @cached_property
    def frames(self) -> "DataFrame":
        """One row per frame of every camera."""
        import pandas as pd

        tables = {camera: self.frames_of(camera) for camera in self.cameras}
        for camera, table in tables.items():
            table.insert(0, "camera", camera)
        filled = [table for table in tables.values() if len(table)]
        if not filled:
            return next(iter(tables.values()), pd.DataFrame())
        return pd.concat(filled, ignore_index=True)

    def frames_of(self, camera: str) -> "DataFrame":
        """Return all data of each frame of a camera, except the points.

        Parameters
        ----------
        camera : str
            One of `cameras`.

        Returns
        -------
        pandas.DataFrame
            One row per frame, in order. `frame`: the camera's own count, a gap is a lost
            frame. `time_s`: seconds since Start Stream. `analysed`: False: the network was
            busy. `video`, `video_frame`: where its image is; empty and `<NA>`: not recorded.
            The other columns are those of `CAMERA.csv`; see docs/run_folder.md.

        Raises
        ------
        DeviceError
            The run has no such camera, or its table can't be read.
        """
        whole = self._recorded(camera)
        points = keypoint_columns(whole.skeleton)
        return whole.rows.drop(columns=list(points))

    @cached_property
    def events(self) -> "DataFrame":
        """The rows of `events.csv`."""
        import pandas as pd

        table = self._table(events_table(self._folder.events_path))
        for column in ("time_s", "level"):
            table[column] = pd.to_numeric(table[column])
        for column in ("frame", *(c for c in table if str(c).endswith("_ns"))):
            cells = table[column].replace("", None)
            table[column] = cells.map(int, na_action="ignore").astype("Int64")
        return table

    @cached_property
    def triggers(self) -> "DataFrame":
        """One row per change of a trigger."""
        import pandas as pd

        table = self._table(triggers_table(self._folder.triggers_path))
        table["time_s"] = pd.to_numeric(table["time_s"])
        table["frame"] = table["frame"].astype("Int64")
        table["answer"] = pd.array(
            [parse_state(word) for word in table["answer"]], dtype="boolean"
        )
        return table

    def frame(
        self, camera: str, *, index: int | None = None, time_s: float | None = None
    ) -> Image:
        """Return the image of a recorded frame.

        Give either `index` or `time_s`.

        Parameters
        ----------
        camera : str
            One of `cameras`.
        index : int, optional
            Row of `frames_of(camera)` and of its poses, from 0 on.
        time_s : float, optional
            Seconds since Start Stream: the last frame that was taken by then, the first
            one if none was.

        Returns
        -------
        numpy.ndarray of uint8, shape (height, width, 3) or (height, width)
            Colours are blue, green, red: `image[..., ::-1]` is what matplotlib shows. Grey
            cameras have two axes.

        Raises
        ------
        DeviceError
            The run has no such camera, the frame was not recorded, or it can't be decoded.
        IndexError
            There is no such row.
        TypeError
            Not exactly one of `index` and `time_s` is given.
        """
        if (index is None) == (time_s is None):
            raise TypeError("give either index or time_s")
        whole = self._recorded(camera)
        row = whole.row_at(time_s) if time_s is not None else int(index or 0)
        if not 0 <= row < len(whole.rows):
            raise IndexError(
                f"camera {camera!r} has the frames 0 to {len(whole.rows) - 1}, not {row}"
            )
        place = whole.video_frame_of(row)
        if place is None:
            raise DeviceError(f"frame {row} of camera {camera!r} was not recorded")
        video, number = place
        if video not in self._readers:
            self._readers[video] = open_video(video)
        for found in self._readers[video].images_at(np.array([number])):
            if found.image is not None:
                return found.image
        raise DeviceError(f"frame {number} of {video} can't be decoded")

    def _recorded(self, camera: str) -> RecordedFrames:
        if camera not in self.cameras:
            names = ", ".join(self.cameras) or "none"
            raise DeviceError(
                f"{self.path} has no camera {camera!r}; its cameras: {names}"
            )
        if camera not in self._frames:
            try:
                self._frames[camera] = self._read(camera)
            except (OSError, ValueError, KeyError) as error:
                raise DeviceError(f"{self.path} can't be read: {error}") from error
        return self._frames[camera]

    def _read(self, camera: str) -> RecordedFrames:
        if camera in self.analysed:
            return read_frames(self._folder, camera)
        table = video_frames(self._folder, camera).reset_index(drop=True)
        since_ns = int(self.info["start_ns"])
        table["time_s"] = (table["exposed_ns"].astype("int64") - since_ns) / 1e9
        table["analysed"] = False
        return RecordedFrames(self._folder, camera, table, Skeleton(()))

    def _table(self, table: RecordedTable) -> "DataFrame":
        """Return the cells of a table as they are written; broken lines are left out."""
        import pandas as pd

        try:
            return pd.DataFrame(list(table.rows()), columns=list(table.columns))
        except (OSError, ValueError) as error:
            raise DeviceError(f"{table.path} can't be read: {error}") from error
