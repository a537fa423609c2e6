"""Stretches of unlabelled video, brought to the network's size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from core.frame import Image
from pose.fitting import Fitting
from pose.window import Window, whole, zoomed
from training.augmentation import Augmentation, augment_clip

Find: TypeAlias = Callable[[Sequence[Image]], NDArray[np.float32] | None]
"""From pictures to the box (2, 2) around the animal in all of them, px; None: not seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Consecutive frames of one video as the network sees them."""

    pictures: NDArray[np.uint8]
    """(frame, height, width, 3), BGR, changed by `matrix`."""
    matrix: NDArray[np.float64]
    """(2, 3): where a pixel of the unchanged input is in `pictures`."""
    window: Window
    """What part of the video's pictures the input shows."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video and how long it is."""

    file: Path
    frames: int
    shape: tuple[int, int]
    """Height and width."""


Read: TypeAlias = Callable[[Video, int, int], list[Image]]
"""From a video, a frame's number and a count to so many consecutive frames, BGR."""


def look_at(files: Sequence[Path], length: int) -> tuple[Video, ...]:
    """Return the videos that hold `length` frames; ModelError names what is no video."""
    import cv2

    videos = []
    for file in files:
        capture = cv2.VideoCapture(str(file))
        try:
            there, image = capture.read()
            frames = _count(capture)
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


def _count(capture: Any) -> int:
    """Return how many frames there are: some containers promise more than they hold."""
    import cv2

    promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.set(cv2.CAP_PROP_POS_FRAMES, promised - 1)
    if promised > 0 and capture.grab():
        return promised
    capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
    frames = 0
    while capture.grab():
        frames += 1
    return frames


def read_clip(video: Video, start: int, length: int) -> list[Image]:
    """Return consecutive frames, BGR, decoded on the processor.

    A container that promises more frames than it holds gives its last one again.
    """
    import cv2

    images: list[Image] = []
    capture = cv2.VideoCapture(str(video.file))
    try:
        capture.set(cv2.CAP_PROP_POS_FRAMES, start)
        while len(images) < length:
            there, image = capture.read()
            if there:
                images.append(np.asarray(image, np.uint8))
            elif images:
                images.append(images[-1])
            else:
                raise ModelError(f"{video.file} has no frame {start}")
    finally:
        capture.release()
    return images


def draw_clip(
    videos: Sequence[Video],
    length: int,
    fitting: Fitting,
    how: Augmentation,
    rng: np.random.Generator,
    find: Find | None = None,
    read: Read = read_clip,
) -> Clip:
    """Return `length` frames from anywhere, longer videos more often.

    `find` tells from the first and the last frame where the animal is (cropzoom); the
    whole clip then shows that part of the pictures, enlarged. `read` decodes.
    """
    room = np.array([video.frames - length + 1 for video in videos])
    video = videos[int(rng.choice(len(videos), p=room / room.sum()))]
    start = int(rng.integers(video.frames - length + 1))
    images = read(video, start, length)
    box = find([images[0], images[-1]]) if find else None
    window = (
        whole(video.shape, fitting)
        if box is None
        else zoomed(box[0], box[1], video.shape, fitting)
    )
    pictures = np.empty((length, fitting.height, fitting.width, 3), np.uint8)
    for image, picture in zip(images, pictures, strict=True):
        window.place(image, picture)
    changed, matrix = augment_clip(how, pictures, None, rng)
    return Clip(changed, matrix, window)
