"""A run for other programs; always made anew from the run folder's tables."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from deeplabstream.recording.exporters.labelled_video import labelled_video
from deeplabstream.recording.exporters.nwb import nwb
from deeplabstream.recording.exporters.run_poses import dlc_csv, dlc_h5, predecessor_csv
from deeplabstream.recording.exporters.sleap_analysis import sleap
from deeplabstream.recording.exporters.slp import slp
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import opened_run
from deeplabstream.recording.timeline import analysed_cameras, timeline

Export = Callable[[RunFolder, Path], Iterator[Path]]


def parquet(folder: RunFolder, into: Path) -> Iterator[Path]:
    """Write each camera's frames with all their columns, and the events."""
    import pandas as pd

    for camera in analysed_cameras(folder):
        path = into / f"{folder.table_path(camera).stem}.parquet"
        timeline(folder, camera).rows.to_parquet(path, index=False)
        yield path
    path = into / "events.parquet"
    events = pd.read_csv(
        folder.events_path, dtype={"text": "string", "name": "string"}, encoding="utf-8"
    )
    whole = [name for name in events if name == "frame" or name.endswith("_ns")]
    events.astype(dict.fromkeys(whole, "Int64")).to_parquet(path, index=False)
    yield path


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


def export(
    path: Path, kind: str, say: Callable[[str], object] = lambda sentence: None
) -> list[Path]:
    """Write a run into `PATH/export/`; DeviceError or ValueError says why it can't be.

    A run that was killed is made whole first; `say` hears what was done.
    """
    folder = opened_run(path, say)
    if not analysed_cameras(folder):
        raise ValueError(f"nothing was analysed in {path}")
    into = path / "export"
    into.mkdir(exist_ok=True)
    return list(EXPORTS[kind](folder, into))
