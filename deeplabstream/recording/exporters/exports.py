"""Exports of a run for other programs, written from the run folder's tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.overwriting import check_free
from deeplabstream.recording.exporters.labelled_video import labelled_video
from deeplabstream.recording.exporters.nwb import nwb
from deeplabstream.recording.exporters.planned_file import PlannedFile
from deeplabstream.recording.exporters.run_poses import dlc_csv, dlc_h5, predecessor_csv
from deeplabstream.recording.exporters.sleap_analysis import sleap
from deeplabstream.recording.exporters.slp import slp
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import opened_run
from deeplabstream.recording.table_reader import events_table
from deeplabstream.recording.timeline import analysed_cameras, timeline

Export = Callable[[RunFolder, Path], Iterator[PlannedFile]]
"""Returns the files that it will write into a folder."""


def parquet(folder: RunFolder, into: Path) -> Iterator[PlannedFile]:
    """Plan each camera's frames with all their columns, and the events."""
    for camera in analysed_cameras(folder):
        path = into / f"{folder.table_path(camera).stem}.parquet"
        yield PlannedFile(path, partial(_write_frames, folder, camera))
    yield PlannedFile(into / "events.parquet", partial(_write_events, folder))


def _write_frames(folder: RunFolder, camera: str, path: Path) -> None:
    timeline(folder, camera).rows.to_parquet(path, index=False)


def _write_events(folder: RunFolder, path: Path) -> None:
    table = events_table(folder.events_path)
    words = ("kind", "camera", "name", "cause", "text")
    events = table.frame(
        dtype={name: "string" for name in table.columns if name in words}
    )
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
    "labelled-video": labelled_video,
}


EXPORTED_BEFORE = 3
"""What ExportRun.py ends with after an ExportedBeforeError: the window then asks."""


class ExportedBeforeError(DeepLabStreamError):
    """A file of the export is there already, and replacing it was not asked for."""


def export(
    path: Path,
    kinds: Sequence[str],
    into: Path | None = None,
    say: Callable[[str], object] = lambda sentence: None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a run into `PATH/export/`, or another folder; return the files.

    DeepLabStreamError says why the run can't be exported; ExportedBeforeError names
    a file that is there, and nothing is written. A run that was killed is repaired first.
    `say` gets what was repaired, and each file when it is written.
    """
    folder = opened_run(path, say)
    if not analysed_cameras(folder):
        raise DeepLabStreamError(f"nothing was analysed in {path}")
    into = into or path / "export"
    planned = [file for kind in kinds for file in EXPORTS[kind](folder, into)]
    check_free([file.path for file in planned], overwrite, fault=ExportedBeforeError)
    into.mkdir(parents=True, exist_ok=True)
    for file in planned:
        file.write(file.path)
        say(str(file.path))
    return [file.path for file in planned]
