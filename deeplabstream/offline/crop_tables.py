"""Boxes of a table of points; labelled images and points, cropped by boxes."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.overwriting import check_free
from deeplabstream.files.path_containment import inside, inside_for_writing
from deeplabstream.offline.bounding_boxes import (
    MOST_PX,
    Boxes,
    back,
    boxes_around,
    cut,
)
from deeplabstream.offline.pose_file_reading import read_dlc_csv
from deeplabstream.pose.image_files import read_image
from deeplabstream.training.data.dataset import neighbour

if TYPE_CHECKING:
    from pandas import DataFrame

_BESIDE = (-2, -1, 0, 1, 2)
"""Frames around a labelled one, for context networks."""


def boxes_of_points(
    file: Path, anchors: Sequence[str], ratio: float | None, side: int | None
) -> Boxes:
    """Return the boxes around the body parts `anchors` of a table; by default around all."""
    table = table_of_points(file)
    parts = list(dict.fromkeys(str(key[1]) for key in table.columns))
    chosen = anchors or [part for part in parts if part]
    if unknown := [part for part in chosen if part not in parts]:
        raise DeepLabStreamError(
            f"{file} has no body part {unknown[0]}; available: {', '.join(parts)}"
        )
    columns = {
        (str(key[1]), str(key[2])): table.iloc[:, place].to_numpy(np.float64)
        for place, key in enumerate(table.columns)
        if str(key[2]) in "xy"
    }
    points = np.stack(
        [np.stack([columns[part, axis] for axis in "xy"], axis=1) for part in chosen],
        axis=1,
    )
    return boxes_around([str(name) for name in table.index], points, ratio, side)


def crop_images(table: Path, boxes: Boxes, folder: Path, overwrite: bool) -> Path:
    """Cut out labelled images and their neighbours; write the labels that fit them.

    All paths are checked before the first file is written. Returns the file of labels.
    """
    import cv2

    labels = table_of_points(table)
    places = {name: place for place, name in enumerate(boxes.names)}
    if missing := [str(name) for name in labels.index if str(name) not in places]:
        raise DeepLabStreamError(f"no box for the image {missing[0]}")
    file = folder / f"cropped_{table.name}"
    planned = list(_planned(table.parent, labels.index, boxes, folder))
    check_free([file, *(target for _, target, _ in planned)], overwrite)

    for source, target, name in planned:
        image = read_image(source)
        if image is None and source == inside(table.parent, name):
            raise DeepLabStreamError(f"Can't read the image {source}")
        if image is None:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        done, encoded = cv2.imencode(".png", cut(image, boxes.values[places[name]]))
        if done:
            target.write_bytes(encoded.tobytes())

    order = [places[str(name)] for name in labels.index]
    for place, key in enumerate(labels.columns):
        axis = {"x": 0, "y": 1}.get(str(key[2]))
        if axis is not None:
            labels.isetitem(place, labels.iloc[:, place] - boxes.values[order, axis])
    with atomic_file(file) as making:
        labels.to_csv(making, lineterminator="\n")
    return file


def points_of_frames(file: Path, boxes: Boxes) -> "DataFrame":
    """Return a table of points in cropped images, with points in whole frames."""
    table = table_of_points(file)
    if not boxes.of_video:
        places = {name: place for place, name in enumerate(boxes.names)}
        order = [places[str(name)] for name in table.index]
        boxes = Boxes(tuple(boxes.names[i] for i in order), boxes.values[order])

    x_columns = [i for i, key in enumerate(table.columns) if str(key[2]) == "x"]
    for place in x_columns:
        pair = table.iloc[:, place : place + 2].to_numpy(np.float64)
        mapped = back(pair[:, None], boxes)[:, 0]
        table.isetitem(place, mapped[:, 0])
        table.isetitem(place + 1, mapped[:, 1])
    return table


def table_of_points(file: Path) -> "DataFrame":
    """Return a table with three header rows, in which a column y follows each column x."""
    table = read_dlc_csv(file)
    axes = [key[2] for key in table.columns] if table.columns.nlevels == 3 else []
    x_columns = [place for place, axis in enumerate(axes) if axis == "x"]
    paired = all(axes[place + 1 : place + 2] == ["y"] for place in x_columns)
    if not x_columns or not paired or axes.count("y") != len(x_columns):
        raise DeepLabStreamError(
            f"{file} is not a table of points: it needs the rows scorer, bodyparts and "
            "coords, and a column y after each column x"
        )
    for place in (column for x in x_columns for column in (x, x + 1)):
        where = f"{file}: the column {axes[place]} of {table.columns[place][1]}"
        if table.dtypes.iloc[place].kind not in "fiu":
            raise DeepLabStreamError(f"{where} does not hold numbers alone")
        if (table.iloc[:, place].abs() > MOST_PX).any():
            raise DeepLabStreamError(f"{where} has a value too large for an image")
    return table


def _planned(
    root: Path, names: Iterable[object], boxes: Boxes, folder: Path
) -> Iterator[tuple[Path, Path, str]]:
    """Yield each image to crop, its destination, and the row of its box.

    A neighbour that is labelled itself is cut by its own box.
    """
    labelled = {inside(root, name) for name in boxes.names}
    for name in map(str, names):
        image = inside(root, name)
        if not image.is_file():
            raise DeepLabStreamError(f"image not found: {image}")
        for away in _BESIDE:
            file = neighbour(image, away) if away else image
            if away and (file in labelled or not file.is_file()):
                continue
            own = file.relative_to(root).as_posix()
            yield file, inside_for_writing(folder, own), name
