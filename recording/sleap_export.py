"""Poses as SLEAP's analysis HDF5, which SLEAP, sleap-io and movement read."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recording.run_folder import RunFolder
from recording.timeline import Timeline, analysed_cameras, timeline


def sleap(folder: RunFolder, into: Path) -> Iterator[Path]:
    """Write `NAME.analysis.h5` for each video: frame n is the video's picture n.

    Axes are in SLEAP's own order (MATLAB's). SLEAP counts frames and knows no times; the
    extra datasets `time_s` (from Start Stream), `exposed_ns` and `frame` (the device's own
    count) have one value for each frame.
    """
    for camera in analysed_cameras(folder):
        for name, frames in timeline(folder, camera).parts().items():
            path = into / f"{name}.analysis.h5"
            video = folder.path / f"{name}.mkv"
            _write(path, folder, frames, video if video.exists() else None)
            yield path


def _write(path: Path, folder: RunFolder, frames: Timeline, video: Path | None) -> None:
    import h5py

    # (frame, animal, part, xy) and (frame, animal, part)
    points, confidence = frames.points, frames.confidence
    seen = ~np.isnan(points).all(axis=(2, 3))
    scores = np.where(seen, confidence.mean(axis=2), np.nan)
    parts, bones = folder.skeleton.bodyparts, folder.skeleton.bones
    animals = [f"animal{n + 1}" for n in range(frames.animals)]
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
        for column in ("time_s", "exposed_ns", "frame"):
            file[column] = frames.rows[column].to_numpy()
        file["track_names"] = np.array([name.encode() for name in animals])
        file["node_names"] = np.array([part.encode() for part in parts])
        pairs = [[end.encode() for end in bone] for bone in bones]
        file["edge_names"] = np.array(pairs, "S").reshape(-1, 2)
        ends = [[parts.index(end) for end in bone] for bone in bones]
        file["edge_inds"] = np.array(ends, int).reshape(-1, 2)
        file["labels_path"] = ""
        file["video_path"] = "" if video is None else str(video.resolve())
        file["video_ind"] = 0
        file["provenance"] = json.dumps(
            {"run": folder.path.name, "by": "DeepLabStream"}
        )
        file.attrs["preset"], file.attrs["format"] = "matlab", "analysis"
