"""SLEAP's label packages (`.pkg.slp`), unpacked into images and `CollectedData.csv`.

The file is HDF5: `frames` has ranges of `instances`, these have ranges of `points`, and
`videoN/video` holds the encoded images. Only manual labels are taken.
"""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.hdf5 import open_hdf5, whole
from deeplabstream.core.image_header import too_large
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.pictures import decode
from deeplabstream.training.data.labels import LabelsError

if TYPE_CHECKING:
    import h5py

USER = 0
"""The kind of instance that was labelled by hand."""
SINCE_CENTRES = 1.1
"""Before this format, pixel centres lay at halves."""


def unpack_sleap(file: Path, folder: Path) -> Skeleton:
    """Write `CollectedData.csv` and its pictures into `folder`; return the skeleton.

    Where an image has several animals, the table has `individuals`. LabelsError names
    every fault: images that are not in the file (a plain `.slp` has none), several
    skeletons.
    """
    try:
        with open_hdf5(file) as content:
            return _unpack(file, content, folder)
    except ValueError as error:
        raise LabelsError([f"{file} is not a SLEAP file: {error}"]) from error
    except OSError as error:
        raise LabelsError([f"{file} can't be unpacked: {error}"]) from error


def _unpack(file: Path, content: "h5py.File", folder: Path) -> Skeleton:
    attributes = content["metadata"].attrs
    words = json.loads(attributes["json"])
    if len(words["skeletons"]) != 1:
        raise LabelsError(
            [f"{file} holds {len(words['skeletons'])} skeletons, not one"]
        )
    skeleton = _skeleton(words)
    shift = 0.5 if float(attributes.get("format_id", 1.2)) < SINCE_CENTRES else 0.0
    instances, points = whole(content["instances"]), whole(content["points"])
    rows: list[list[object]] = []
    problems: list[str] = []
    for frame in whole(content["frames"]):
        video, index = int(frame["video"]), int(frame["frame_idx"])
        start, stop = int(frame["instance_id_start"]), int(frame["instance_id_end"])
        placed = [i for i in instances[start:stop] if i["instance_type"] == USER]
        where = f"{file.name}, video {video}, frame {index}"
        if not placed:
            continue
        picture = _picture(content, video, index)
        if picture is None:
            problems.append(f"{where}: its image is not in the file; export a .pkg.slp")
            continue
        name = f"labeled-data/video{video}/img{index:08}.png"
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(picture)
        cells: list[object] = []
        for animal in placed:
            first, last = (int(animal[f"point_id_{end}"]) for end in ("start", "end"))
            cells += _cells(points[first:last], shift)
        rows.append([name, *cells])
    if not rows and not problems:
        problems.append(f"{file} holds no frame that a user labelled")
    if problems:
        raise LabelsError(problems)
    _write(folder / "CollectedData.csv", skeleton, rows)
    return skeleton


def _cells(points: NDArray[Any], shift: float) -> list[object]:
    """Return x and y of each point, empty where it was not visible."""
    cells: list[object] = []
    for point in points:
        there = bool(point["visible"]) and np.isfinite(point["x"])
        xy = [float(point["x"]) - shift, float(point["y"]) - shift]
        cells += xy if there else ["", ""]
    return cells


def _picture(content: "h5py.File", video: int, index: int) -> bytes | None:
    """Return the frame as PNG, or None when the file does not hold it."""
    import cv2

    group = content.get(f"video{video}")
    if group is None or "video" not in group or "frame_numbers" not in group:
        return None
    places = np.flatnonzero(whole(group["frame_numbers"]) == index)
    if not len(places):
        return None
    stored = np.asarray(group["video"][int(places[0])])
    if stored.ndim == 1:  # encoded, as signed bytes
        encoded = stored.view(np.uint8).tobytes()
        if reason := too_large(encoded):
            raise ValueError(f"the image {index} of {group.name} {reason}")
        read = decode(encoded, cv2.IMREAD_UNCHANGED)
        if read is None:
            return None
        image = read
    else:
        image = stored
    done, png = cv2.imencode(".png", image)
    return png.tobytes() if done else None


def _skeleton(words: dict[str, Any]) -> Skeleton:
    names = [node["name"] for node in words["nodes"]]
    own = words["skeletons"][0]
    bodyparts = tuple(str(names[int(node["id"])]) for node in own["nodes"])
    doubles = [name for name, times in Counter(bodyparts).items() if times > 1]
    if doubles:
        raise LabelsError([f"the skeleton names {', '.join(doubles)} twice"])
    bones, kinds = [], []
    for link in own.get("links", []):
        kind = link.get("type", {})
        if "py/reduce" in kind:
            kinds.append(int(kind["py/reduce"][1]["py/tuple"][0]))
            is_bone = kinds[-1] == 1
        else:  # a reference to a kind that came before
            is_bone = kinds[int(kind["py/id"]) - 1] == 1 if "py/id" in kind else True
        if is_bone:
            bones.append((str(names[link["source"]]), str(names[link["target"]])))
    return Skeleton(bodyparts, tuple(bones))


def _write(file: Path, skeleton: Skeleton, rows: list[list[object]]) -> None:
    """Write the table; who is which animal in an image is not said."""
    own = 2 * len(skeleton.bodyparts)
    animals = max(len(row) - 1 for row in rows) // own
    columns = own * animals
    double = [name for name in skeleton.bodyparts for _ in "xy"] * animals
    with file.open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(["scorer", *["sleap"] * columns])
        if animals > 1:
            names = [f"animal{n}" for n in range(1, animals + 1) for _ in range(own)]
            table.writerow(["individuals", *names])
        table.writerow(["bodyparts", *double])
        table.writerow(["coords", *["x", "y"] * (columns // 2)])
        for row in rows:
            table.writerow([*row, *[""] * (columns + 1 - len(row))])
