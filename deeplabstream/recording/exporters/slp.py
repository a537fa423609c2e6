"""SLEAP export: poses as labels file (`.slp`), which SLEAP opens beside the video.

The file is HDF5: `frames` names ranges of `instances`, these name ranges of `pred_points`.
Read from SLEAP's and sleap-io's code; version 1.2 of the format, in which the centre of the
left upper pixel is 0, 0.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.exporters.export_files import ExportFile
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.recorded_frames import RecordedFrames, recorded_parts
from deeplabstream.recording.run_folder import RunFolder

FORMAT = 1.2
PREDICTED = 1
"""The kind of instance that a network placed."""
_FRAME = [("frame_id", "u8"), ("video", "u4"), ("frame_idx", "u8"),
          ("instance_id_start", "u8"), ("instance_id_end", "u8")]  # fmt: skip
_INSTANCE = [("instance_id", "i8"), ("instance_type", "u1"), ("frame_id", "u8"),
             ("skeleton", "u4"), ("track", "i4"), ("from_predicted", "i8"),
             ("score", "f4"), ("point_id_start", "u8"), ("point_id_end", "u8"),
             ("tracking_score", "f4")]  # fmt: skip
_POINT = [("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")]
_PREDICTED_POINT = [*_POINT, ("score", "f8")]


def slp(folder: RunFolder, into: Path) -> Iterator[ExportFile]:
    """Plan `NAME.slp` for each video: frame n is the video's frame n."""
    for name, frames in recorded_parts(folder):
        video = folder.path / f"{name}.mkv"
        yield ExportFile(into / f"{name}.slp", partial(_write, frames, video))


def _write(frames: RecordedFrames, video: Path, path: Path) -> None:
    write_slp(path, frames.poses, video)


def write_slp(path: Path, poses: PoseTable, video: Path) -> None:
    """Write poses as SLEAP's labels file.

    As SLEAP does, it leaves out animals that are not seen in a frame, and frames without
    any animal.

    Parameters
    ----------
    path : pathlib.Path
        The file to write.
    poses : PoseTable
        Points that are NaN are marked as not visible.
    video : pathlib.Path
        The video that SLEAP shows.

    Raises
    ------
    ImportError
        h5py is not installed.
    """
    import h5py

    points, confidence = poses.points, poses.confidence
    skeleton = poses.skeleton
    seen = np.isfinite(points).all(axis=-1)
    shown, animals = np.nonzero(seen.any(axis=2))
    parts = len(skeleton.bodyparts)
    rows, first = np.unique(shown, return_index=True)
    ends = np.append(first[1:], len(shown))
    frames = np.zeros(len(rows), _FRAME)
    frames["frame_id"], frames["frame_idx"] = np.arange(len(rows)), rows
    frames["instance_id_start"], frames["instance_id_end"] = first, ends
    instances = np.zeros(len(shown), _INSTANCE)
    instances["instance_id"] = places = np.arange(len(shown))
    instances["instance_type"] = PREDICTED
    instances["frame_id"] = np.repeat(np.arange(len(rows)), ends - first)
    instances["track"], instances["from_predicted"] = animals, -1
    there, sure = seen[shown, animals], confidence[shown, animals]
    instances["score"] = (sure * there).sum(axis=1) / np.maximum(1, there.sum(axis=1))
    instances["point_id_start"] = places * parts
    instances["point_id_end"] = (places + 1) * parts
    placed = np.zeros(len(shown) * parts, _PREDICTED_POINT)
    placed["x"], placed["y"] = points[shown, animals].reshape(-1, 2).T
    placed["visible"] = there.reshape(-1)
    placed["score"] = np.nan_to_num(sure).reshape(-1)
    tracks = [[0, name] for name in poses.animals]
    with h5py.File(path, "w") as file:
        for name, table in (
            ("frames", frames),
            ("instances", instances),
            ("points", np.zeros(0, _POINT)),
            ("pred_points", placed),
        ):
            file.create_dataset(name, data=table, compression="gzip", maxshape=(None,))
        file["videos_json"] = _lines([_video(video, len(points), poses.size)])
        file["tracks_json"] = _lines(tracks)
        file["suggestions_json"] = file["sessions_json"] = np.zeros(0, "S1")
        about = file.create_group("metadata").attrs
        about["format_id"] = FORMAT
        about["json"] = np.bytes_(json.dumps(_metadata(skeleton)))


def _lines(entries: Sequence[object]) -> NDArray[np.bytes_]:
    return np.array([json.dumps(entry).encode() for entry in entries])


def _video(video: Path, frames: int, size: tuple[int, int]) -> dict[str, object]:
    name = str(video.resolve())
    shape = [frames, *size, 3]
    backend = {"type": "MediaVideo", "filename": name, "shape": shape, "bgr": True}
    more = {"grayscale": None, "dataset": "", "input_format": ""}
    return {"filename": name, "backend": {**backend, **more}}


def _metadata(skeleton: Skeleton) -> dict[str, object]:
    """Return names and edges; kinds of edges are written once, then referred to."""
    first = {"py/reduce": [_EDGE, {"py/tuple": [1]}]}
    links = [
        {
            "edge_insert_idx": place,
            "key": 0,
            "source": skeleton.bodyparts.index(start),
            "target": skeleton.bodyparts.index(end),
            "type": {"py/id": 1} if place else first,
        }
        for place, (start, end) in enumerate(skeleton.edges)
    ]
    return {
        "version": "2.0.0",
        "skeletons": [
            {
                "directed": True,
                "graph": {"name": "Skeleton-0", "num_edges_inserted": len(links)},
                "links": links,
                "multigraph": True,
                "nodes": [{"id": place} for place in range(len(skeleton.bodyparts))],
            }
        ],
        "nodes": [{"name": part, "weight": 1.0} for part in skeleton.bodyparts],
        "videos": [],
        "tracks": [],
        "suggestions": [],
        "negative_anchors": {},
        "provenance": {"by": "DeepLabStream"},
    }


_EDGE = {"py/type": "sleap.skeleton.EdgeType"}
