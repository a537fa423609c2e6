"""Exports of a run for other programs, written from the run folder's tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.overwriting import check_free
from deeplabstream.recording.exporters.boris import boris
from deeplabstream.recording.exporters.export_files import ExportFile, write_files
from deeplabstream.recording.exporters.labelled_video import labelled_video
from deeplabstream.recording.exporters.nwb import NwbSubject
from deeplabstream.recording.exporters.nwb_run import nwb
from deeplabstream.recording.exporters.pose_files import (
    PACKAGES,
    write_dlc_csv,
    write_dlc_h5,
)
from deeplabstream.recording.exporters.sleap_analysis import sleap
from deeplabstream.recording.exporters.slp import slp
from deeplabstream.recording.pose_corrections import poses_in_use
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.recorded_frames import (
    RecordedFrames,
    analysed_cameras,
    read_frames,
    recorded_parts,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.table_reader import events_table

Export = Callable[[RunFolder, Path], Iterator[ExportFile]]
"""Returns the files that it will write into a folder."""


def dlc_csv(folder: RunFolder, into: Path) -> Iterator[ExportFile]:
    """Plan a DeepLabCut CSV for each video: one row per frame."""
    for name, frames in recorded_parts(folder):
        write = partial(_write_deeplabcut, write_dlc_csv, frames)
        yield ExportFile(into / f"{name}.dlc.csv", write)


def dlc_h5(folder: RunFolder, into: Path) -> Iterator[ExportFile]:
    """Plan a DeepLabCut HDF5 for each video: one row per frame."""
    for name, frames in recorded_parts(folder):
        write = partial(_write_deeplabcut, write_dlc_h5, frames)
        yield ExportFile(into / f"{name}.dlc.h5", write)


def predecessor_csv(folder: RunFolder, into: Path) -> Iterator[ExportFile]:
    """Plan the table that DeepLabStream 1 wrote: the analysed frames, without confidence.

    `Frame` counts them from 1; `Time` counts seconds from the first one. Points below the
    threshold are empty. There were no trials unless an experiment had them: 0.
    """
    for camera in analysed_cameras(folder):
        path = into / f"DataOutput{folder.table_path(camera).stem}.csv"
        yield ExportFile(path, partial(_write_predecessor, folder, camera))


def _write_predecessor(folder: RunFolder, camera: str, path: Path) -> None:
    import pandas as pd

    frames = read_frames(folder, camera).of_analysis()
    rows = frames.rows
    points = frames.poses.seen(folder.thresholds.of(camera))
    columns: dict[tuple[str, ...], object] = {}
    for animal in range(frames.skeleton.count):
        for part, bodypart in enumerate(frames.skeleton.bodyparts):
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


def _write_deeplabcut(
    write: Callable[[PoseTable, Path], object], frames: RecordedFrames, path: Path
) -> None:
    """Write poses with confidence 0 where the frame was not analysed."""
    poses = frames.poses
    write(replace(poses, confidence=np.nan_to_num(poses.confidence)), path)


def parquet(folder: RunFolder, into: Path) -> Iterator[ExportFile]:
    """Plan each camera's frames with all their columns, and the events."""
    for camera in analysed_cameras(folder):
        path = into / f"{folder.table_path(camera).stem}.parquet"
        yield ExportFile(path, partial(_write_frames, folder, camera))
    yield ExportFile(into / "events.parquet", partial(_write_events, folder))


def _write_frames(folder: RunFolder, camera: str, path: Path) -> None:
    read_frames(folder, camera).rows.to_parquet(path, index=False)


def _write_events(folder: RunFolder, path: Path) -> None:
    events = events_table(folder.events_path).frame()
    whole = [name for name in events if name == "frame" or name.endswith("_ns")]
    events.astype(dict.fromkeys(whole, "Int64")).to_parquet(path, index=False)


EXPORTS: Mapping[str, Export] = {
    "dlc-csv": dlc_csv,
    "dlc-h5": dlc_h5,
    "predecessor-csv": predecessor_csv,
    "sleap": sleap,
    "slp": slp,
    "parquet": parquet,
    "nwb": nwb,
    "boris": boris,
    "labelled-video": labelled_video,
}
EXPORT_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "dlc-csv": PACKAGES["csv"],
    "dlc-h5": PACKAGES["h5"],
    "predecessor-csv": ("pandas",),
    "sleap": ("pandas",),
    "slp": ("pandas",),
    "parquet": PACKAGES["parquet"],
    "nwb": ("pandas", *PACKAGES["nwb"]),
    "boris": ("pandas",),
    "labelled-video": ("pandas",),
}
"""Modules that an export needs besides those that every rig has."""

EXPORTED_BEFORE = 3
"""Exit status of ExportRun.py after an ExportedBeforeError; the window then asks."""


class ExportedBeforeError(DeepLabStreamError):
    """A file of the export exists, and `overwrite` was not given."""


def export(
    path: Path,
    kinds: Sequence[str],
    into: Path | None = None,
    report: Callable[[str], object] = lambda sentence: None,
    overwrite: bool = False,
    subject: NwbSubject | None = None,
    raw: bool = False,
) -> list[Path]:
    """Export a run to `PATH/export/`, or another folder; return the files.

    DeepLabStreamError gives the reason why the run can't be exported. ExportedBeforeError
    names a file that exists already; then nothing is written. A run that was killed is
    repaired first. Each file gets its name when it is complete. `report` gets the
    repairs, and each file when it is written. `subject` is the animal, for NWB. The poses
    have the corrections of the run; with `raw`, they are those that were recorded.
    """
    folder = open_run_folder(path, report)
    folder.corrected = not raw
    if not analysed_cameras(folder):
        raise DeepLabStreamError(f"no poses in {path}")

    # All files are planned first: an existing one is reported before any is written.
    into = into or path / "export"
    exports: dict[str, Export] = {**EXPORTS, "nwb": partial(nwb, subject=subject)}
    planned = [file for kind in kinds for file in exports[kind](folder, into)]
    check_free([file.path for file in planned], overwrite, fault=ExportedBeforeError)

    if sentence := poses_in_use(path, folder.corrected):
        report(sentence)
    into.mkdir(parents=True, exist_ok=True)
    write_files(planned, report)
    return [file.path for file in planned]
