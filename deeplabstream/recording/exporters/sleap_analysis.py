"""SLEAP export: poses as analysis HDF5, which SLEAP, sleap-io and movement read."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.exporters.export_files import ExportFile
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.recorded_frames import RecordedFrames, recorded_parts
from deeplabstream.recording.run_folder import RunFolder


def sleap(folder: RunFolder, into: Path) -> Iterator[ExportFile]:
    """Plan `NAME.analysis.h5` for each video: frame n is the video's frame n.

    Axes are in SLEAP's own order (MATLAB's). SLEAP counts frames and has no times. The
    extra datasets `time_s` (from Start Stream), `exposed_ns` and `frame` (the count of the
    camera) have one value for each frame.
    """
    for name, frames in recorded_parts(folder):
        write = partial(_write_part, folder, frames)
        yield ExportFile(into / f"{name}.analysis.h5", write)


def _write_part(folder: RunFolder, frames: RecordedFrames, path: Path) -> None:
    video = frames.video
    extras = {n: frames.rows[n].to_numpy() for n in ("time_s", "exposed_ns", "frame")}
    shown = video if video.exists() else None
    write_sleap(path, frames.poses, shown, extras, folder.path.name)


def write_sleap(
    path: Path,
    poses: PoseTable,
    video: Path | None,
    extras: Mapping[str, NDArray[np.generic]],
    run: str,
) -> None:
    """Write poses as SLEAP's analysis HDF5.

    Parameters
    ----------
    path : pathlib.Path
        The file to write.
    poses : PoseTable
        Confidences that are NaN become 0.
    video : pathlib.Path or None
        The video that SLEAP shows.
    extras : mapping of str to numpy.ndarray, shape (frame,)
        Further datasets.
    run : str
        Origin of the poses.

    Raises
    ------
    ImportError
        h5py is not installed.
    """
    import h5py

    points, confidence = poses.points, np.nan_to_num(poses.confidence)
    skeleton = poses.skeleton
    seen = ~np.isnan(points).all(axis=(2, 3))
    scores = np.where(seen, confidence.mean(axis=2), np.nan)
    parts = skeleton.bodyparts

    # The file format is that of MATLAB, whose axes are in reverse order.
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

        file["track_names"] = np.array([name.encode() for name in poses.animals])
        file["node_names"] = np.array([part.encode() for part in parts])
        pairs = [[end.encode() for end in edge] for edge in skeleton.edges]
        file["edge_names"] = np.array(pairs, "S").reshape(-1, 2)
        ends = [[parts.index(end) for end in edge] for edge in skeleton.edges]
        file["edge_inds"] = np.array(ends, int).reshape(-1, 2)

        file["labels_path"] = ""
        file["video_path"] = "" if video is None else str(video.resolve())
        file["video_ind"] = 0
        file["provenance"] = json.dumps({"run": run, "by": "DeepLabStream"})
        file.attrs["preset"], file.attrs["format"] = "matlab", "analysis"
