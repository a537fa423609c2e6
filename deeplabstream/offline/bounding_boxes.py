"""Boxes around an animal, as Lightning Pose's `create_bbox` writes them, and images cut out.

A table of boxes has the columns x, y, h, w (left upper corner and size, whole pixels) and a
row for each frame of a video, or for each labelled image by its path.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.files.delimited_text import read_delimited

COLUMNS = ("x", "y", "h", "w")
MOST_PX = 1e6
"""Largest plausible coordinate in an image."""
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Table of boxes."""

    names: tuple[str, ...]
    """Names of the rows: frame numbers, or paths of images."""
    values: Whole
    """(row, 4): x, y, h, w."""

    @property
    def of_video(self) -> bool:
        """Whether its rows are frames, not images."""
        return all(name.isdigit() for name in self.names)

    def size(self) -> tuple[int, int]:
        """Return height and width of all cropped frames of a video: even medians."""
        high, wide = (int(side) for side in np.median(self.values[:, 2:], axis=0))
        return high + high % 2, wide + wide % 2


def boxes_around(
    names: Sequence[str],
    points: NDArray[np.floating],
    ratio: float | None = None,
    side: int | None = None,
) -> Boxes:
    """Return square boxes around the mean of `points` (row, body part, 2).

    Their side is the larger extent of the points times `ratio`, or `side` px; made even.
    Where no point is there, the box before stays; DeepLabStreamError: there never is one.
    """
    visible = np.isfinite(points).all(axis=2)
    rows = np.flatnonzero(visible.any(axis=1))
    if not len(rows):
        raise DeepLabStreamError("no point to compute a box from")
    values = np.zeros((len(points), 4), np.int64)
    last: Whole | None = None
    for row in range(len(points)):
        own = points[row][visible[row]]
        if len(own):
            span = float(np.ptp(own, axis=0).max()) if ratio is not None else 0.0
            length = side if ratio is None else max(2, int(np.ceil(span * ratio)))
            length = int(length or 2)
            length += length % 2
            corner = np.floor(own.mean(axis=0) - length // 2).astype(np.int64)
            last = np.array([*corner, length, length])
        if last is not None:
            values[row] = last
    values[: rows[0]] = values[rows[0]]
    return Boxes(tuple(names), values)


def smoothed(boxes: Boxes, frames: int) -> Boxes:
    """Return medians over `frames` rows, around each row; fewer at the ends."""
    reach = frames // 2
    rows = [
        np.median(boxes.values[max(0, row - reach) : row + reach + 1], axis=0)
        for row in range(len(boxes.values))
    ]
    return Boxes(boxes.names, np.rint(rows).astype(np.int64))


def read_boxes(file: Path) -> Boxes:
    """Return the table; DeepLabStreamError gives the reason."""
    import pandas as pd

    try:
        source = read_delimited(file)
        table = pd.read_csv(
            source.checked(), index_col=0,
            sep=source.separator, decimal=source.decimal,
        )  # fmt: skip
        values = np.stack([table[name].to_numpy() for name in COLUMNS], axis=1)
        numbers = values.astype(np.float64)
        if not (np.abs(numbers) <= MOST_PX).all():
            raise ValueError("a cell is empty, or too large for an image")
        whole = np.rint(numbers).astype(np.int64)
    except (OSError, ValueError, KeyError) as error:
        raise DeepLabStreamError(
            f"{file} is not a table of boxes with the columns x, y, h, w: {error}"
        ) from error
    if not len(whole) or (whole[:, 2:] < 1).any():
        raise DeepLabStreamError(f"{file}: every box needs a height and a width")
    return Boxes(tuple(str(name) for name in table.index), whole)


def write_boxes(boxes: Boxes, file: Path) -> None:
    """Write the table as Lightning Pose does."""
    lines = [",x,y,h,w"]
    rows = zip(boxes.names, boxes.values.tolist(), strict=True)
    lines += [f"{name},{x},{y},{h},{w}" for name, (x, y, h, w) in rows]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")


def cut(image: Image, box: Whole) -> Image:
    """Return the part of an image in a box (x, y, h, w); black beyond the border."""
    x, y, high, wide = box.tolist()
    shape = high, wide, *image.shape[2:]
    out: Image = np.zeros(shape, np.uint16 if image.dtype == np.uint16 else np.uint8)
    top, left = max(0, y), max(0, x)
    bottom, right = min(image.shape[0], y + high), min(image.shape[1], x + wide)
    if top < bottom and left < right:
        out[top - y : bottom - y, left - x : right - x] = image[top:bottom, left:right]
    return out


def to_size(image: Image, height: int, width: int) -> Image:
    """Return the cropped image at the size of all frames of a video."""
    import cv2

    if image.shape[:2] == (height, width):
        return image
    if image.dtype == np.uint16:
        return np.asarray(cv2.resize(image, (width, height)), np.uint16)
    return np.asarray(cv2.resize(image, (width, height)), np.uint8)


def back(points: NDArray[np.floating], boxes: Boxes) -> NDArray[np.float64]:
    """Return `points` (row, body part, 2) of cropped images in coordinates of the whole images.

    Frames of a video were resized to one size: that is undone, pixel centres being whole
    numbers. Images were only cut out.
    """
    if len(points) != len(boxes.values):
        raise DeepLabStreamError(
            f"{len(points)} rows of points, but {len(boxes.values)} boxes"
        )
    exact = points.astype(np.float64)
    if boxes.of_video:
        high, wide = boxes.size()
        scale = boxes.values[:, [3, 2]] / np.array([wide, high])
        exact = (exact + 0.5) * scale[:, None] - 0.5
    return np.asarray(exact + boxes.values[:, None, :2])


def crop_video(
    video: Path, boxes: Boxes, into: Path, watch: Callable[[int], object]
) -> None:
    """Write the cropped frames as H.264, by number instead of time.

    DeepLabStreamError: there is not one box for each frame.
    """
    import av

    from deeplabstream.video.decoding import as_bgr
    from deeplabstream.video.video_reader import open_video

    rows = open_video(video)
    if len(rows) != len(boxes.values):
        raise DeepLabStreamError(
            f"{video} has {len(rows)} frames, but there are {len(boxes.values)} boxes"
        )
    high, wide = boxes.size()
    with av.open(str(into), "w") as container:
        rate = round(rows.rate) or 30
        stream = container.add_stream("libx264", rate=rate, options={"crf": "15"})
        stream.height, stream.width, stream.pix_fmt = high, wide, "yuv420p"
        still = np.zeros((high, wide, 3), np.uint8)
        for image in rows.images():
            if image.image is not None:
                part = cut(image.image, boxes.values[image.row])
                still = np.ascontiguousarray(
                    as_bgr(to_size(part, high, wide)), np.uint8
                )
            frame = av.VideoFrame.from_ndarray(still, format="bgr24")
            frame.pts = image.row
            container.mux(stream.encode(frame))
            watch(image.row + 1)
        container.mux(stream.encode())
