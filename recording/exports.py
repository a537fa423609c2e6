"""A run for other programs; always made anew from the run folder's tables."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from recording.labelled_export import labelled_video
from recording.nwb_export import nwb
from recording.pose_exports import dlc_csv, dlc_h5, predecessor_csv
from recording.run_folder import RunFolder
from recording.sleap_export import sleap
from recording.timeline import analysed_cameras, timeline

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
    "parquet": parquet,
    "nwb": nwb,
    "labelled-video": labelled_video,
}


def export(path: Path, kind: str) -> list[Path]:
    """Write a run into `PATH/export/`; ValueError says why it can't be exported."""
    folder = RunFolder(path)
    if not (path / "run.json").is_file():
        raise ValueError(f"{path} is no run folder: it has no run.json")
    if folder.facts["ended"] is None:
        raise ValueError(f"{path} was never closed: utils/RepairRun.py first")
    if not analysed_cameras(folder):
        raise ValueError(f"nothing was analysed in {path}")
    into = path / "export"
    into.mkdir(exist_ok=True)
    return list(EXPORTS[kind](folder, into))
