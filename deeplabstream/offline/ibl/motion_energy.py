"""Motion energy: mean change of a region of a video between frames.

Published by the International Brain Laboratory (iblvideo): the mean over the region of
|grey(t + 1) − grey(t)|, stored at t; the last value repeats the one before.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.offline.video_inference import Watch
from deeplabstream.video.decoding import Converter, Decoder
from deeplabstream.video.video_reader import VideoReader, open_video

if TYPE_CHECKING:
    from av import VideoFrame

_BLOCK = 16
_EXACT = float(2**24)
"""Largest sum of integers that is exact in float32."""


@dataclass(frozen=True, slots=True)
class Box:
    """A region of an image, px: left upper corner, width and height."""

    x: int
    y: int
    width: int
    height: int

    def within(self, shape: Sequence[int]) -> "Box":
        """Return the part of it inside an image of `shape` (height, width, …)."""
        x, y = max(0, self.x), max(0, self.y)
        right = min(self.x + self.width, shape[1])
        bottom = min(self.y + self.height, shape[0])
        return Box(x, y, max(0, right - x), max(0, bottom - y))

    @property
    def wide(self) -> tuple[slice, slice]:
        """Slices of rows and columns, for indexing an image."""
        rows = slice(self.y, self.y + self.height)
        return rows, slice(self.x, self.x + self.width)


def motion_energies(
    video: Path | VideoReader,
    boxes: Mapping[str, Box],
    *,
    decoder: Decoder = "cpu",
    watch: Watch = lambda done, rows: None,
) -> dict[str, NDArray[np.float64]]:
    """Return (row,) for each region, in one pass; a region may reach over the border.

    Grey levels (0 to 255) per pixel. NaN where one of the two frames can't be decoded.
    DeepLabStreamError: a region lies outside of the image.
    """
    rows = video if isinstance(video, VideoReader) else open_video(video)
    cut = {name: box.within(rows.form.shape) for name, box in boxes.items()}
    for name, box in cut.items():
        if not box.width or not box.height:
            size = f"{rows.form.width}×{rows.form.height}"
            raise DeepLabStreamError(
                f"region {name} ({boxes[name]}) is outside {rows.path} ({size})"
            )
    energies = {name: np.full(len(rows), np.nan) for name in boxes}
    before: dict[str, Image] = {}
    last = -2
    converters = {name: Converter() for name in cut}
    with closing(rows.frames(0, decoder)) as decoded:  # FFmpeg's threads decode ahead
        for row, frame, _ in decoded:
            if frame.width != rows.form.width or frame.height != rows.form.height:
                continue
            for name, box in cut.items():
                grey = grey_of(frame, box, converters[name])
                if row == last + 1:
                    energies[name][last] = energy(before[name], grey)
                before[name] = grey
            last = row
            if not row % 64:
                watch(row, len(rows))
    for values in energies.values():
        if len(values) > 1:
            values[-1] = values[-2]
    watch(len(rows), len(rows))
    return energies


def energy(one: Image, other: Image) -> float:
    """Return the mean of |other − one| in float32 arithmetic."""
    import cv2

    apart = cv2.absdiff(one, other)
    total = float(cv2.sumElems(apart)[0])
    if total < _EXACT:
        return float(np.float32(total / one.size))
    rounded = np.asarray(apart, np.float32)[None]
    return float(np.mean(rounded, axis=(1, 2))[0])


def grey_of(frame: "VideoFrame", box: Box, converter: Converter) -> Image:
    """Return a region of a decoded frame, converted to BGR and then to grey as in OpenCV.

    Only the region is converted, where the pixel format allows it; `converter` is that
    region's own.
    """
    import cv2

    bgr = _region(frame, box, converter)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)


def _region(frame: "VideoFrame", box: Box, converter: Converter) -> Image:
    """Return a region of a frame as BGR, with the same pixels as in the whole frame."""
    import av

    if frame.format.name not in ("yuv420p", "yuvj420p") or frame.height % 2:
        return _cut(frame, box, converter)
    left, top = box.x // _BLOCK * _BLOCK, box.y // 2 * 2
    width = -(-(box.x + box.width - left) // _BLOCK) * _BLOCK
    height = -(-(box.y + box.height - top) // 2) * 2
    planes = [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        for plane in frame.planes
    ]
    if left + width > planes[0].shape[1] or (left + width) // 2 > planes[1].shape[1]:
        return _cut(frame, box, converter)
    half = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
    parts = [planes[0][top : top + height, left : left + width]]
    parts += [plane[half] for plane in planes[1:3]]
    flat = np.concatenate([part.ravel() for part in parts])
    near = av.VideoFrame.from_ndarray(flat.reshape(-1, width), format=frame.format.name)
    near.color_range, near.colorspace = frame.color_range, frame.colorspace
    inside = Box(box.x - left, box.y - top, box.width, box.height)
    return _cut(near, inside, converter)


def _cut(frame: "VideoFrame", box: Box, converter: Converter) -> Image:
    whole = converter.pixels(frame, "bgr24")
    return np.ascontiguousarray(whole[box.wide], np.uint8)
