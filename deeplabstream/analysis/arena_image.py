"""Arena image: the median of frames of a run's video, in which the animal disappears."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.analysis.run_data import RunData
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.recording.recorded_frames import video_frames
from deeplabstream.video.video_reader import open_video

FRAMES = 9
"""Number of frames for the median, evenly spread over the video."""


def arena_image(data: RunData) -> Image | None:
    """Return the image of the arena.

    Parameters
    ----------
    data : RunData
        The run. Its recorded video counts, or the video that it was computed from.

    Returns
    -------
    numpy.ndarray of uint8, shape (height, width) or (height, width, 3)
        Blue, green, red. None: there is no readable video of the frames' size.
    """
    video = _video_of(data)
    if video is None:
        return None
    try:
        reader = open_video(video)
        numbers = np.unique(np.linspace(0, len(reader) - 1, FRAMES).astype(np.int64))
        found = [frame.image for frame in reader.images_at(numbers)]
    except (DeepLabStreamError, OSError):
        return None
    images = [
        image for image in found if image is not None and image.shape[:2] == data.size
    ]
    if not images:
        return None
    stack: NDArray[np.uint8] = np.stack(images)
    return np.asarray(np.median(stack, axis=0), np.uint8)


def _video_of(data: RunData) -> Path | None:
    """Return the first recorded video of the camera, or the video of the run."""
    listed = video_frames(data.folder, data.camera)
    names = [data.folder.path / str(name) for name in listed["video"].unique()]
    source = data.facts.get("video")
    if isinstance(source, str) and source:
        names.append(Path(source))
    return next((path for path in names if path.is_file()), None)
