"""SLEAP's labels files (`.slp`): poses beside their video, and labels placed by a user.

The file is HDF5: `frames` names ranges of `instances`, these name ranges of `pred_points`
(found by a network) or `points` (placed by a user). Read from SLEAP's and sleap-io's
code; version 1.2 of the format, in which the centre of the left upper pixel is 0, 0.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.pose.image_files import image_size, read_image
from deeplabstream.recording.exporters.export_files import ExportFile
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.recorded_frames import RecordedFrames, recorded_parts
from deeplabstream.recording.run_folder import RunFolder

if TYPE_CHECKING:
    import h5py

FORMAT = 1.2
SLEAP = ".slp"
"""Ending of a labels file."""
PACKAGE = ".pkg.slp"
"""Ending of a labels file that contains its images."""
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
        yield ExportFile(into / f"{name}.slp", partial(_write, frames))


def _write(frames: RecordedFrames, path: Path) -> None:
    analysed = str(frames.folder.facts.get("video") or "")
    if not analysed or frames.rows["video"].any():
        write_slp(path, frames.poses, frames.video)
        return
    # The run was computed from a video: its frames have the video's numbers.
    numbers = frames.rows["frame"].to_numpy(np.int64)
    write_slp(path, frames.poses, Path(analysed).resolve(), numbers)


def write_slp(
    path: Path,
    poses: PoseTable,
    video: Path,
    numbers: NDArray[np.int64] | None = None,
) -> None:
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
    numbers : array, optional
        (row,): frame of the video that each row is; default: the rows are all its frames.

    Raises
    ------
    ImportError
        h5py is not installed.
    """
    import h5py

    points, confidence = poses.points, poses.confidence
    frames, instances, at = _tables(points)
    count = len(points)
    if numbers is not None:
        frames["frame_idx"] = numbers[frames["frame_idx"].astype(np.intp)]
        count = int(numbers.max(initial=-1)) + 1
    visible, sure = np.isfinite(points).all(axis=-1)[at], confidence[at]

    # SLEAP's score of an instance is the mean of those of its visible points.
    instances["instance_type"] = PREDICTED
    instances["score"] = (sure * visible).sum(axis=1) / np.maximum(
        1, visible.sum(axis=1)
    )

    placed = _placed(points[at], _PREDICTED_POINT)
    placed["score"] = np.nan_to_num(sure).reshape(-1)
    none = np.zeros(0, _POINT)
    with h5py.File(path, "w") as file:
        _save(file, frames, instances, none, placed, poses.skeleton, poses.animals)
        file["videos_json"] = _lines([_video(video, count, poses.size)])


def write_slp_labels(
    path: Path,
    skeleton: Skeleton,
    points: NDArray[np.floating],
    images: Sequence[Path],
    tracks: Sequence[str] = (),
) -> int:
    """Write labels placed by a user as SLEAP's file; return the number of frames in it.

    The images of a folder that have one size are a video. A package (`.pkg.slp`) contains
    them, any other file names them. A frame without an animal is only in its video.

    Parameters
    ----------
    path : pathlib.Path
        The file to write, whole or not at all.
    skeleton : Skeleton
        Body parts and edges.
    points : array
        (image, animal, bodypart, 2), px; NaN: not visible.
    images : sequence of pathlib.Path
        The file of each image.
    tracks : sequence of str
        Name of each animal; none: the animals have no tracks.

    Raises
    ------
    ValueError
        An image can't be read.
    ImportError
        h5py is not installed.
    """
    import h5py

    # A video of SLEAP has one size of images.
    groups: dict[tuple[Path, tuple[int, int]], list[int]] = {}
    for number, file in enumerate(images):
        if (size := image_size(file)) is None:
            raise ValueError(f"the image {file} can't be read")
        groups.setdefault((file.parent, size), []).append(number)

    # Frames are sorted by video, and numbered from 0 within each.
    order = [number for own in groups.values() for number in own]
    place_of = np.array([n for own in groups.values() for n in range(len(own))])
    video_of = np.array([n for n, own in enumerate(groups.values()) for _ in own])

    points = np.asarray(points)[order]
    frames, instances, at = _tables(points)
    shown = frames["frame_idx"].astype(np.intp)
    frames["video"], frames["frame_idx"] = video_of[shown], place_of[shown]
    if not tracks:
        instances["track"] = -1

    placed = _placed(points[at], _POINT)
    placed["complete"] = placed["visible"]
    none = np.zeros(0, _PREDICTED_POINT)
    with atomic_file(path) as draft, h5py.File(draft, "w") as file:
        _save(file, frames, instances, placed, none, skeleton, tracks)

        notes = []
        for video, ((_, size), own) in enumerate(groups.items()):
            source = _image_video([images[number] for number in own], size)
            if path.name.lower().endswith(PACKAGE):
                group = file.create_group(f"video{video}")
                notes.append(_embedded(group, [images[n] for n in own], size, source))
            else:
                notes.append(source)
        file["videos_json"] = _lines(notes)
    return len(frames)


def _tables(
    points: NDArray[np.floating],
) -> tuple[NDArray[Any], NDArray[Any], tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return rows for the frames of a video and their animals, and which these are.

    `points` are (frame, animal, bodypart, 2). Animals and frames without a point are left
    out; the last two arrays are frame and animal of each row.
    """
    parts = points.shape[2]
    shown, animals = np.nonzero(np.isfinite(points).all(axis=-1).any(axis=2))
    rows, first = np.unique(shown, return_index=True)
    ends = np.append(first[1:], len(shown))

    # Tables refer to each other by ranges of rows: frame → instances → points.
    frames = np.zeros(len(rows), _FRAME)
    frames["frame_id"], frames["frame_idx"] = np.arange(len(rows)), rows
    frames["instance_id_start"], frames["instance_id_end"] = first, ends

    instances = np.zeros(len(shown), _INSTANCE)
    instances["instance_id"] = places = np.arange(len(shown))
    instances["frame_id"] = np.repeat(np.arange(len(rows)), ends - first)
    instances["track"], instances["from_predicted"] = animals, -1
    instances["point_id_start"] = places * parts
    instances["point_id_end"] = (places + 1) * parts
    return frames, instances, (shown, animals)


def _placed(points: NDArray[np.floating], kind: list[tuple[str, str]]) -> NDArray[Any]:
    """Return rows for points (animal, bodypart, 2)."""
    flat = points.reshape(-1, 2)
    placed = np.zeros(len(flat), kind)
    placed["x"], placed["y"] = flat.T
    placed["visible"] = np.isfinite(flat).all(axis=1)
    return placed


def _save(
    file: "h5py.File",
    frames: NDArray[Any],
    instances: NDArray[Any],
    points: NDArray[Any],
    predicted: NDArray[Any],
    skeleton: Skeleton,
    tracks: Sequence[str],
) -> None:
    """Write a labels file, except its videos."""
    for name, table in (
        ("frames", frames),
        ("instances", instances),
        ("points", points),
        ("pred_points", predicted),
    ):
        file.create_dataset(name, data=table, compression="gzip", maxshape=(None,))
    file["tracks_json"] = _lines([[0, name] for name in tracks])
    file["suggestions_json"] = file["sessions_json"] = np.zeros(0, "S1")
    about = file.create_group("metadata").attrs
    about["format_id"] = FORMAT
    about["json"] = np.bytes_(json.dumps(_metadata(skeleton)))


def _image_video(images: Sequence[Path], size: tuple[int, int]) -> dict[str, object]:
    """Return the entry for images (height, width) that are the frames of a video."""
    names = [file.resolve().as_posix() for file in images]
    backend = {"type": "ImageVideo", "filename": names[0], "filenames": names,
               "shape": [len(names), *size, 3], "height_": size[0], "width_": size[1],
               "channels_": 3, "grayscale": None}  # fmt: skip
    return {"filename": names, "backend": backend}


def _embedded(
    group: "h5py.Group",
    images: Sequence[Path],
    size: tuple[int, int],
    source: dict[str, object],
) -> dict[str, object]:
    """Write images into the group of a video, as PNG; return its entry in the file."""
    import h5py

    stored = group.create_dataset(
        "video", (len(images),), h5py.vlen_dtype(np.dtype("int8"))
    )
    for place, file in enumerate(images):
        stored[place] = np.frombuffer(_png(file), np.int8)
    about = {"format": "png", "channel_order": "RGB", "frames": len(images),
             "height": size[0], "width": size[1], "channels": 3}  # fmt: skip
    stored.attrs.update(about)
    group["frame_numbers"] = np.arange(len(images))
    group.create_group("source_video").attrs["json"] = json.dumps(source)
    backend = {"type": "HDF5Video", "filename": ".", "dataset": f"{stored.name[1:]}",
               "shape": [len(images), *size, 3], "input_format": "channels_last",
               "convert_range": False, "has_embedded_images": True}  # fmt: skip
    return {"filename": ".", "backend": backend}


def _png(file: Path) -> bytes:
    """Return an image as PNG; ValueError: it can't be read."""
    import cv2

    if file.suffix.lower() == ".png":
        return file.read_bytes()
    image = read_image(file)
    done, data = (False, None) if image is None else cv2.imencode(".png", image)
    if not done or data is None:
        raise ValueError(f"the image {file} can't be read")
    return bytes(data.tobytes())


def _lines(entries: Sequence[object]) -> NDArray[np.bytes_]:
    return np.array([json.dumps(entry).encode() for entry in entries])


def _video(video: Path, frames: int, size: tuple[int, int]) -> dict[str, object]:
    name = str(video.resolve())
    shape = [frames, *size, 3]
    backend = {"type": "MediaVideo", "filename": name, "shape": shape, "bgr": True}
    more = {"grayscale": None, "dataset": "", "input_format": ""}
    return {"filename": name, "backend": {**backend, **more}}


def _metadata(skeleton: Skeleton) -> dict[str, object]:
    """Return names and edges; kinds of edges are written once and then referred to."""
    # SLEAP reads this by jsonpickle: an enumeration in full once, then by its number.
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
