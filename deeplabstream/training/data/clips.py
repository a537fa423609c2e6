"""Clips of unlabelled videos, at the network's input size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError, ModelError
from deeplabstream.core.frame import Image
from deeplabstream.pose.image_fitting import Fitting, ImageWindow, whole, zoomed
from deeplabstream.training.data.augmentation import Augmentation, augment_clip
from deeplabstream.video.decoding import as_bgr
from deeplabstream.video.video_reader import VideoReader, open_video

Find: TypeAlias = Callable[[Sequence[Image]], NDArray[np.float32] | None]
"""From images to the box (2, 2) around the animal in all of them, px; None: not found."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Consecutive frames of one video as input of the network."""

    images: NDArray[np.uint8]
    """(frame, height, width, 3), BGR, changed by `matrix`."""
    matrix: NDArray[np.float64]
    """(2, 3): maps a pixel of the unchanged input to `images`."""
    window: ImageWindow
    """The part of the video's images that the input shows."""


@dataclass(frozen=True, slots=True)
class ClipVideo:
    """A video from which clips are taken."""

    reader: VideoReader

    @property
    def file(self) -> Path:
        """The video file."""
        return self.reader.path

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.reader)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.reader.form.height, self.reader.form.width


Read: TypeAlias = Callable[[ClipVideo, int, int], list[Image]]
"""Reader: video, first frame and count to consecutive frames, BGR."""


def open_clip_videos(files: Sequence[Path], length: int) -> tuple[ClipVideo, ...]:
    """Return the videos with at least `length` frames; ModelError: one can't be read.

    It also checks whether seeking is possible: see `deeplabstream.video.seeking`.
    """
    videos = []
    for file in files:
        try:
            reader = open_video(file)
        except DeviceError as error:
            raise ModelError(
                f"{file} is not a video that can be read: {error}"
            ) from error
        if len(reader) >= length:
            reader.prepare_jumps()
            videos.append(ClipVideo(reader))
    if not videos:
        names = ", ".join(file.name for file in files) or "none"
        raise ModelError(f"no video has {length} frames; there is {names}")
    return tuple(videos)


def read_clip(video: ClipVideo, start: int, length: int) -> list[Image]:
    """Return consecutive frames, BGR, decoded on the CPU.

    A frame that can't be decoded is replaced by the one before it, or at the beginning
    by the first that can. So are frames beyond the end. The reader warns of them.
    """
    images: list[Image | None] = []
    for frame in video.reader.images(start):
        images.append(None if frame.image is None else as_bgr(frame.image))
        if len(images) == length:
            break
    last = next((image for image in images if image is not None), None)
    if last is None:
        raise ModelError(f"no frame of {video.file} from {start} on can be decoded")
    whole: list[Image] = []
    for image in [*images, *[None] * (length - len(images))]:
        last = last if image is None else image
        whole.append(last)
    return whole


def draw_clip(
    videos: Sequence[ClipVideo],
    length: int,
    fitting: Fitting,
    how: Augmentation,
    rng: np.random.Generator,
    find: Find | None = None,
    read: Read = read_clip,
) -> Clip:
    """Return `length` frames from a random position; longer videos are drawn more often.

    `find` gives the position of the animal in the first and the last frame (cropzoom);
    the whole clip then shows that part of the frames, enlarged. `read` decodes.
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
    fitted = np.empty((length, fitting.height, fitting.width, 3), np.uint8)
    for image, target in zip(images, fitted, strict=True):
        window.place(image, target)
    changed, matrix = augment_clip(how, fitted, None, rng)
    return Clip(changed, matrix, window)
