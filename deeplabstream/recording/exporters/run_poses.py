"""Poses as other programs want them: DeepLabCut's tables, DeepLabStream 1's table."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deeplabstream.recording.exporters.planned_file import PlannedFile
from deeplabstream.recording.exporters.pose_files import (
    deeplabcut,
    write_dlc_csv,
    write_dlc_h5,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.timeline import Timeline, analysed_cameras, timeline

if TYPE_CHECKING:
    from pandas import DataFrame


def dlc_csv(folder: RunFolder, into: Path) -> Iterator[PlannedFile]:
    """Plan a DeepLabCut CSV for each video: one row per frame."""
    for name, frames in _parts(folder):
        write = partial(_write_deeplabcut, write_dlc_csv, folder, frames)
        yield PlannedFile(into / f"{name}.dlc.csv", write)


def dlc_h5(folder: RunFolder, into: Path) -> Iterator[PlannedFile]:
    """Plan a DeepLabCut HDF5 for each video: one row per frame."""
    for name, frames in _parts(folder):
        write = partial(_write_deeplabcut, write_dlc_h5, folder, frames)
        yield PlannedFile(into / f"{name}.dlc.h5", write)


def predecessor_csv(folder: RunFolder, into: Path) -> Iterator[PlannedFile]:
    """Plan the table that DeepLabStream 1 wrote: the analysed frames, without confidence.

    `Frame` counts them from 1; `Time` counts seconds from the first one. Points below the
    threshold are empty. There were no trials unless an experiment had them: 0.
    """
    for camera in analysed_cameras(folder):
        path = into / f"DataOutput{folder.table_path(camera).stem}.csv"
        yield PlannedFile(path, partial(_write_predecessor, folder, camera))


def _write_predecessor(folder: RunFolder, camera: str, path: Path) -> None:
    import pandas as pd

    frames = timeline(folder, camera)
    rows = frames.rows[frames.rows["analysed"]]
    posed = Timeline(camera, rows, frames.skeleton)
    points = posed.points
    points[posed.confidence < folder.thresholds.of(camera)] = np.nan
    columns: dict[tuple[str, ...], object] = {}
    for animal in range(frames.animals):
        for part, bodypart in enumerate(frames.bodyparts):
            for axis, name in enumerate("xy"):
                key = f"Animal{animal + 1}", bodypart, name
                columns[key] = points[:, animal, part, axis]
    seconds = (rows["exposed_ns"] - rows["exposed_ns"].iloc[:1].sum()) / 1e9
    columns["Time", "", ""] = seconds.round(3).to_numpy()
    columns["Experiment", "Status", ""] = (rows["status"].fillna("") != "").to_numpy()
    columns["Experiment", "Trial", ""] = np.zeros(len(rows), int)
    table = pd.DataFrame(columns)
    table.index = pd.RangeIndex(1, len(rows) + 1, name="Frame")
    table.to_csv(path, sep=";", lineterminator="\n")


def _parts(folder: RunFolder) -> Iterator[tuple[str, Timeline]]:
    for camera in analysed_cameras(folder):
        yield from timeline(folder, camera).parts().items()


def _write_deeplabcut(
    write: Callable[["DataFrame", Path], object],
    folder: RunFolder,
    frames: Timeline,
    path: Path,
) -> None:
    scorer = (folder.facts["model"] or {}).get("name") or "DeepLabStream"
    table = deeplabcut(frames.points, frames.confidence, frames.skeleton, scorer)
    write(table, path)
