"""Poses as SLEAP's analysis HDF5, which SLEAP, sleap-io and movement read."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.exporters.planned_file import PlannedFile
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.timeline import Timeline, analysed_cameras, timeline


def sleap(folder: RunFolder, into: Path) -> Iterator[PlannedFile]:
    """Plan `NAME.analysis.h5` for each video: frame n is the video's frame n.

    Axes are in SLEAP's own order (MATLAB's). SLEAP counts frames and knows no times; the
    extra datasets `time_s` (from Start Stream), `exposed_ns` and `frame` (the device's own
    count) have one value for each frame.
    """
    for camera in analysed_cameras(folder):
        for name, frames in timeline(folder, camera).parts().items():
            write = partial(_write_part, folder, name, frames)
            yield PlannedFile(into / f"{name}.analysis.h5", write)


def _write_part(folder: RunFolder, name: str, frames: Timeline, path: Path) -> None:
    video = folder.path / f"{name}.mkv"
    extras = {n: frames.rows[n].to_numpy() for n in ("time_s", "exposed_ns", "frame")}
    shown = video if video.exists() else None
    poses = frames.points, frames.confidence
    write_sleap(path, folder.skeleton, *poses, shown, extras, folder.path.name)


def write_sleap(
    path: Path,
    skeleton: Skeleton,
    points: NDArray[np.floating],
    confidence: NDArray[np.floating],
    video: Path | None,
    extras: Mapping[str, NDArray[np.generic]],
    run: str,
) -> None:
    """Write poses (frame, animal, part, 2) and confidence (frame, animal, part).

    `extras` are further datasets, one value for each frame; `run` is where it is from.
    """
    import h5py

    seen = ~np.isnan(points).all(axis=(2, 3))
    scores = np.where(seen, confidence.mean(axis=2), np.nan)
    parts, bones = skeleton.bodyparts, skeleton.bones
    animals = skeleton.named(points.shape[1])
    arrays = {
        "tracks": (points.transpose(1, 3, 2, 0), ("track", "xy", "node", "frame")),
        "track_occupancy": (seen.astype(np.uint8), ("frame", "track")),
        "point_scores": (confidence.transpose(1, 2, 0), ("track", "node", "frame")),
        "instance_scores": (scores.T, ("track", "frame")),
        "tracking_scores": (np.full(scores.T.shape, np.nan), ("track", "frame")),
    }
    with h5py.File(path, "w") as file:
        for name, (array, axes) in arrays.items():
            stored = file.create_dataset(name, data=array, compression="gzip")
            stored.attrs["dims"] = json.dumps(axes)
        for column, values in extras.items():
            file[column] = values
        file["track_names"] = np.array([name.encode() for name in animals])
        file["node_names"] = np.array([part.encode() for part in parts])
        pairs = [[end.encode() for end in bone] for bone in bones]
        file["edge_names"] = np.array(pairs, "S").reshape(-1, 2)
        ends = [[parts.index(end) for end in bone] for bone in bones]
        file["edge_inds"] = np.array(ends, int).reshape(-1, 2)
        file["labels_path"] = ""
        file["video_path"] = "" if video is None else str(video.resolve())
        file["video_ind"] = 0
        file["provenance"] = json.dumps({"run": run, "by": "DeepLabStream"})
        file.attrs["preset"], file.attrs["format"] = "matlab", "analysis"
