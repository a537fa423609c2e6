"""Reading of SLEAP's predictions: analysis HDF5 and CSV (`.analysis.h5`, `.csv`), and `.slp`.

In an analysis file each track is an animal. In a labels file, too; without tracks, there must
be one animal in each frame. Where a frame was also labelled by hand, these points count. A
manual label without a track, which SLEAP writes by default, has the track of the prediction
that it was made from, else the only one of the file if every prediction has it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.delimited_text import read_delimited
from deeplabstream.files.foreign_files import parse_json
from deeplabstream.files.hdf5 import open_hdf5, whole
from deeplabstream.recording.pose_table import PoseTable, pose_table
from deeplabstream.training.data.sleap_packages import (
    USER,
    centre_shift,
    sleap_skeleton,
    track_names,
)

if TYPE_CHECKING:
    import h5py

SCORER = "SLEAP"
_AXES = ("frame", "track", "node", "xy")
_MATLAB = ("track", "xy", "node", "frame")
_MOST_NAMES, _MOST_FRAMES, _MOST_TRACKS = 10_000, 10**8, 1000


def read_analysis_file(file: Path) -> PoseTable:
    """Return the poses of an analysis file; ValueError, OSError: it can't be read."""
    with open_hdf5(file) as content:
        tracks = content["tracks"]
        dims = tracks.attrs.get("dims")
        order = tuple(parse_json(dims)) if dims is not None else _MATLAB
        if sorted(order) != sorted(_AXES) or tracks.ndim != len(_AXES):
            raise ValueError("its tracks have no axes track, xy, node and frame")
        axes = [order.index(name) for name in _AXES]
        points = np.asarray(whole(tracks), np.float64).transpose(axes)
        seen = np.asarray(np.isfinite(points).all(axis=-1))
        confidence = np.asarray(seen, np.float64)
        if "point_scores" in content:
            three = [name for name in order if name != "xy"]
            stored = np.asarray(whole(content["point_scores"]), np.float64)
            scores = stored.transpose([three.index(name) for name in _AXES[:3]])
            confidence = np.where(seen, _as_confidence(scores), 0.0)
        parts, names = _names(content["node_names"]), _names(content["track_names"])
        pairs = _names(content["edge_names"]) if "edge_names" in content else ()
    edges = tuple(zip(pairs[::2], pairs[1::2], strict=True))
    animals = names if points.shape[1] > 1 else ()
    return _named(file, Skeleton(parts, edges, animals), points, confidence)


def read_analysis_csv(file: Path) -> PoseTable:
    """Return the poses of an analysis CSV, which has a row for each animal of a frame.

    ValueError, OSError: it can't be read. DeepLabStreamError: it has several animals in a
    frame without tracks.
    """
    head, *rows = read_delimited(file).rows()
    if any(len(row) != len(head) for row in rows):
        raise ValueError("its rows do not have as many columns as its first one")
    parts = [
        name[:-2] for name in head if name.endswith(".x") and f"{name[:-2]}.y" in head
    ]
    names = list(dict.fromkeys(row[head.index("track")] for row in rows))
    if not parts or not rows:
        raise DeepLabStreamError(f"{file} contains no poses")
    frames = np.array([_frame_number(row[head.index("frame_idx")]) for row in rows])
    places = np.array([names.index(row[head.index("track")]) for row in rows])
    count = int(frames.max()) + 1
    if frames.min() < 0 or count > _MOST_FRAMES or len(names) > _MOST_TRACKS:
        raise ValueError(f"it declares {count} frames and {len(names)} tracks")
    tracks = np.array([-1 if name == "" else n for n, name in enumerate(names)])
    _check_once(file, frames, places, tracks[places])

    def numbers(axis: str) -> NDArray[np.float64]:
        columns = [head.index(f"{part}.{axis}") for part in parts]
        cells = [[row[column] or "nan" for column in columns] for row in rows]
        return np.array(cells, np.float64)

    points = np.full((count, len(names), len(parts), 2), np.nan)
    points[frames, places] = np.stack([numbers("x"), numbers("y")], axis=-1)
    seen = np.asarray(np.isfinite(points).all(axis=-1))
    confidence = seen.astype(np.float64)
    if all(f"{part}.score" in head for part in parts):
        confidence[frames, places] = _as_confidence(numbers("score"))
    known = [name or f"track_{n}" for n, name in enumerate(names)]
    skeleton = Skeleton(tuple(parts), animals=tuple(known) if len(known) > 1 else ())
    return _named(file, skeleton, points, np.where(seen, confidence, 0.0))


def _frame_number(cell: str) -> int:
    """Return the number of a frame, which other programs may write as 2.0."""
    if not float(cell).is_integer():
        raise ValueError(f"{cell!r} is not the number of a frame")
    return int(float(cell))


def read_labels_file(file: Path) -> PoseTable:
    """Return the poses of a labels file; ValueError, OSError: it can't be read.

    DeepLabStreamError: it has several skeletons, several videos, or several animals in a
    frame without tracks.
    """
    with open_hdf5(file) as content:
        if "metadata" not in content:
            raise ValueError("it has no metadata")
        metadata = parse_json(content["metadata"].attrs["json"])
        if len(metadata["skeletons"]) != 1:
            raise DeepLabStreamError(
                f"{file} has {len(metadata['skeletons'])} skeletons; save the instances of "
                "each as a file of its own"
            )
        skeleton = sleap_skeleton(metadata)
        names = track_names(content, metadata)
        points, confidence, used = _placed(file, content, len(skeleton.bodyparts))
    known = [
        names[n] if 0 <= n < len(names) and names[n] else f"track_{n}" for n in used
    ]
    animals = tuple(known) if len(known) > 1 else ()
    whole_skeleton = Skeleton(skeleton.bodyparts, skeleton.edges, animals)
    return _named(file, whole_skeleton, points, confidence)


def _placed(
    file: Path, content: "h5py.File", parts: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    """Return points, confidences, and the numbers of the tracks that have any."""
    frames, instances = whole(content["frames"]), whole(content["instances"])
    if len({int(video) for video in frames["video"]}) > 1:
        raise DeepLabStreamError(
            f"{file} has poses of several videos; save one of them"
        )
    if not len(frames):
        raise DeepLabStreamError(f"{file} contains no poses")
    count = 1 + int(frames["frame_idx"].max())
    fields = instances.dtype.names or ()
    given = instances["track"] if "track" in fields else np.full(len(instances), -1)
    tracks = _with_manual(instances, given.astype(np.int64))
    used = sorted({int(track) for track in tracks})
    if count > _MOST_FRAMES or len(used) > _MOST_TRACKS:
        raise ValueError(f"it declares {count} frames and {len(used)} tracks")
    points = np.full((count, len(used), parts, 2), np.nan)
    confidence = np.zeros((count, len(used), parts))
    starts, ends = (
        frames[f"instance_id_{end}"].astype(np.int64) for end in ("start", "end")
    )
    sizes = np.maximum(ends - starts, 0)
    if sizes.sum() > len(instances):
        raise ValueError("its frames share animals")
    own = np.concatenate(
        [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
    )
    rows = np.repeat(frames["frame_idx"].astype(np.int64), sizes)
    places = np.searchsorted(used, tracks[own])
    by_user = instances["instance_type"][own] == USER
    _check_once(file, rows, np.where(by_user, -1 - places, places), given[own])
    unknown = by_user & (tracks[own] < 0)
    if unknown.any() and used[-1] >= 0:
        raise DeepLabStreamError(
            f"{file}: frame {rows[unknown][0]} has a manual label without a track, and the "
            "file has several animals; set its track in SLEAP, or delete the label"
        )
    shift = centre_shift(content)
    # manual labels last, because they replace predictions of the same track
    for is_user, name in ((False, "pred_points"), (True, "points")):
        chosen = by_user == is_user
        first = instances["point_id_start"][own][chosen].astype(np.int64)
        last = instances["point_id_end"][own][chosen].astype(np.int64)
        if (last - first != parts).any():
            raise ValueError(f"not every animal has {parts} body parts")
        table = whole(content[name])[first[:, None] + np.arange(parts)]
        visible = table["visible"] & np.isfinite(table["x"])
        scores = np.ones(visible.shape) if is_user else _as_confidence(table["score"])
        at = rows[chosen], places[chosen]
        for axis, word in enumerate("xy"):
            values = np.where(visible, table[word] - shift, np.nan)
            points[(*at, slice(None), axis)] = values
        confidence[at] = np.where(visible, scores, 0.0)
    return points, confidence, used


def _with_manual(
    instances: NDArray[Any], tracks: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return tracks (instance,) with those of manual labels that have none; -1: not known."""
    lacking = (instances["instance_type"] == USER) & (tracks < 0)
    if not lacking.any():
        return tracks
    tracks = tracks.copy()
    if "from_predicted" in (instances.dtype.names or ()):
        sources = instances["from_predicted"].astype(np.int64)
        of = dict(zip(instances["instance_id"].tolist(), tracks.tolist(), strict=True))
        for row in np.flatnonzero(lacking & (sources >= 0)).tolist():
            tracks[row] = of.get(int(sources[row]), -1)
    names = np.unique(tracks[~lacking])
    if len(names) == 1:
        tracks[lacking & (tracks < 0)] = names[0]
    return tracks


def _check_once(
    file: Path,
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    tracks: NDArray[np.int64],
) -> None:
    """Raise DeepLabStreamError where a track has two animals in a frame."""
    order = np.lexsort((places, rows))
    same = (np.diff(rows[order]) == 0) & (np.diff(places[order]) == 0)
    if same.any():
        at = order[np.flatnonzero(same)[0]]
        raise DeepLabStreamError(_untracked(file, int(rows[at]), int(tracks[at])))


def _untracked(file: Path, row: int, track: int) -> str:
    if track < 0:
        return (
            f"{file}: frame {row} has several animals without a track, so it is not known "
            "which is which; track them in SLEAP first"
        )
    return f"{file}: frame {row} has two animals in one track"


def _as_confidence(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return scores from 0 to 1; those of manual labels are NaN and become 1."""
    return np.clip(np.nan_to_num(np.asarray(scores, np.float64), nan=1.0), 0.0, 1.0)


def _names(dataset: "h5py.Dataset") -> tuple[str, ...]:
    """Return the words of an array of fixed or variable length, in order."""
    import h5py

    if dataset.size > _MOST_NAMES:
        raise ValueError(f"{dataset.name} has {dataset.size} names")
    if not dataset.size:
        return ()
    is_text = h5py.check_string_dtype(dataset.dtype) is not None
    texts = dataset[:] if is_text else whole(dataset)
    return tuple(
        word.decode("utf-8") if isinstance(word, bytes) else str(word)
        for word in np.asarray(texts).ravel().tolist()
    )


def _named(
    file: Path,
    skeleton: Skeleton,
    points: NDArray[np.float64],
    confidence: NDArray[np.float64],
) -> PoseTable:
    frames, animals, parts, _ = points.shape
    if not (frames and animals):
        raise DeepLabStreamError(f"{file} contains no poses")
    if parts != len(skeleton.bodyparts) or len({*skeleton.bodyparts}) != parts:
        raise ValueError("its names of body parts do not fit its points")
    if animals > 1 and len({*skeleton.animals}) != animals:
        raise ValueError("its names of tracks do not fit its points")
    return pose_table(file, skeleton, points, confidence, SCORER)
