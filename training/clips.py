"""Stretches of unlabelled video, decoded on the processor, brought to the network's size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from pose.fitting import Fitting
from training.augmentation import Augmentation, augment_clip


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Consecutive frames of one video as the network sees them."""

    pictures: NDArray[np.uint8]
    """(frame, height, width, 3), BGR, changed by `matrix`."""
    matrix: NDArray[np.float64]
    """(2, 3): where a pixel of the unchanged input is in `pictures`."""
    scale: tuple[float, float]
    """Input pixels per camera pixel, along x and y."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video and how long it is."""

    file: Path
    frames: int
    shape: tuple[int, int]
    """Height and width."""


def look_at(files: Sequence[Path], length: int) -> tuple[Video, ...]:
    """Return the videos that hold `length` frames; ModelError names what is no video."""
    import cv2

    videos = []
    for file in files:
        capture = cv2.VideoCapture(str(file))
        try:
            there, image = capture.read()
            frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        finally:
            capture.release()
        if not there:
            raise ModelError(f"{file} is no video that can be read")
        if frames >= length:
            height, width = np.asarray(image).shape[:2]
            videos.append(Video(file, frames, (height, width)))
    if not videos:
        names = ", ".join(file.name for file in files) or "none"
        raise ModelError(f"no video has {length} frames; there is {names}")
    return tuple(videos)


def draw_clip(
    videos: Sequence[Video],
    length: int,
    fitting: Fitting,
    how: Augmentation,
    rng: np.random.Generator,
) -> Clip:
    """Return `length` frames from anywhere, longer videos more often."""
    room = np.array([video.frames - length + 1 for video in videos])
    video = videos[int(rng.choice(len(videos), p=room / room.sum()))]
    start = int(rng.integers(video.frames - length + 1))
    pictures = read_clip(video, start, length, fitting)
    columns, rows = fitting.extent(video.shape)
    scale = (columns / video.shape[1], rows / video.shape[0])
    changed, matrix = augment_clip(how, pictures, None, rng)
    return Clip(changed, matrix, scale)


def read_clip(
    video: Video, start: int, length: int, fitting: Fitting
) -> NDArray[np.uint8]:
    """Return frames (frame, height, width, 3) as the network sees them.

    A container that promises more frames than it holds gives its last one again.
    """
    import cv2

    pictures = np.empty((length, fitting.height, fitting.width, 3), np.uint8)
    capture = cv2.VideoCapture(str(video.file))
    try:
        capture.set(cv2.CAP_PROP_POS_FRAMES, start)
        for place in range(length):
            there, image = capture.read()
            if there:
                fitting.place(np.asarray(image, np.uint8), pictures[place])
            elif place:
                pictures[place] = pictures[place - 1]
            else:
                raise ModelError(f"{video.file} has no frame {start}")
    finally:
        capture.release()
    return pictures
