"""Multi-view inference: poses of several cameras' videos of the same moments.

A multi-view network has the frames of all its views as input. The videos of a session
have one frame of each moment. A video's name ends with the name of its view, or has it as a
word: `day1_left_2.mp4` is the view left of `day1_2`, the second part of a recording.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.offline.frame_windows import batch_for, batches
from deeplabstream.offline.prefetch import ahead
from deeplabstream.offline.video_inference import (
    PartialRows,
    VideoPoses,
    Watch,
    poses_of,
    values_of,
    video_facts,
)
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.video.decoding import Decoder
from deeplabstream.video.video_reader import VideoImage, VideoReader, open_video

LOST = 127
"""Grey value of the image that replaces a frame that could not be decoded."""


def sessions(
    videos: Sequence[Path], views: Sequence[str]
) -> dict[str, dict[str, Path]]:
    """Return the videos of each session by view, in the order of `views`.

    A session's name is that of its files without the view, or of their folder.

    Raises
    ------
    DeepLabStreamError
        A name does not tell the view, or a view of a session is missing or twice there.

    >>> found = sessions(
    ...     [Path("day1_left.mp4"), Path("day1_right.mp4")], ["left", "right"]
    ... )
    >>> {name: [str(video) for video in of.values()] for name, of in found.items()}
    {'day1': ['day1_left.mp4', 'day1_right.mp4']}
    """
    known = f"the network's views are {', '.join(views)}"
    found: dict[Path, dict[str, Path]] = {}
    for video in videos:
        place = _view_in(video.stem, views)
        if place is None:
            raise DeepLabStreamError(
                f"{video}: its name must end with that of its view, or have it as a word; "
                f"{known}"
            )
        begin, end = place
        view = video.stem[begin:end]
        session = video.stem[:begin].rstrip("_-. ") or video.absolute().parent.name
        own = found.setdefault(video.with_name(session + video.stem[end:]), {})
        if view in own:
            raise DeepLabStreamError(f"{video} and {own[view]} are the same view")
        own[view] = video
    for path, own in found.items():
        if missing := [view for view in views if view not in own]:
            raise DeepLabStreamError(
                f"{path}: there is no video of the view {missing[0]}; {known}"
            )
    return {path.name: {v: own[v] for v in views} for path, own in found.items()}


def _view_in(stem: str, views: Sequence[str]) -> tuple[int, int] | None:
    """Return where a name has a view: at its end, or as the only view that is a word.

    >>> _view_in("day1_left_2", ["left", "right"]), _view_in("mouse", ["left", "right"])
    ((5, 9), None)
    """
    ends = max((view for view in views if stem.endswith(view)), key=len, default="")
    if ends:
        return len(stem) - len(ends), len(stem)
    words = [
        match.span()
        for view in views
        for match in re.finditer(rf"(?<![^_\-. ]){re.escape(view)}(?=[_\-. ])", stem)
    ]
    return words[0] if len(words) == 1 else None


def predict_views(
    videos: Mapping[str, Path],
    estimator: PoseEstimator,
    scorer: str,
    *,
    batch: int = 0,
    decoder: Decoder = "cpu",
    partial: Path | None = None,
    watch: Watch = lambda done, rows: None,
) -> dict[str, VideoPoses]:
    """Return the poses of every frame of each view's video; see `video_inference.predict`.

    `videos` are in the order of the network's views. A frame that could not be decoded has
    no pose; the other views of its moment are estimated with a grey image instead.

    Raises
    ------
    DeepLabStreamError
        The videos differ in their number of frames, or have none.
    """
    readers = [open_video(video) for video in videos.values()]
    counts = {len(rows) for rows in readers}
    if len(counts) > 1 or not max(counts):
        lengths = ", ".join(f"{rows.path}: {len(rows)}" for rows in readers)
        raise DeepLabStreamError(
            f"the videos of all views need the same number of frames ({lengths})"
        )
    parts = len(estimator.skeleton.bodyparts)
    shape = len(readers), parts, 3
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        facts = {
            "views": [video_facts(rows.path, len(rows), estimator) for rows in readers]
        }
        with PartialRows(partial or Path(folder, "rows"), facts, shape) as kept:
            resumed = kept.rows
            watch(resumed, len(readers[0]))
            moments = _moments(readers, resumed, decoder)
            size = batch or batch_for(estimator)
            with ahead(batches(moments, size), most=2) as decoded:
                for some in decoded:
                    kept.append(_estimated(some, estimator, shape))
                    watch(kept.rows, len(readers[0]))
            values = kept.read()
    return {
        view: poses_of(
            rows, estimator.skeleton, values[:, place, None], scorer, resumed
        )
        for place, (view, rows) in enumerate(zip(videos, readers, strict=True))
    }


def _moments(
    readers: Sequence[VideoReader], start: int, decoder: Decoder
) -> Iterator[tuple[VideoImage, ...]]:
    """Yield the images of all views, moment by moment."""
    yield from zip(*(rows.images(start, decoder) for rows in readers), strict=True)


def _estimated(
    moments: Sequence[tuple[VideoImage, ...]],
    estimator: PoseEstimator,
    shape: tuple[int, int, int],
) -> NDArray[np.float32]:
    """Return (moment, view, bodypart, 3): x, y, confidence; NaN: not decoded."""
    images = [frame.image for moment in moments for frame in moment]
    grey: Image = np.full((64, 64, 3), LOST, np.uint8)
    poses = estimator.estimate([grey if image is None else image for image in images])
    values = [
        values_of(None if image is None else pose, (1, *shape[1:]))[0]
        for image, pose in zip(images, poses, strict=True)
    ]
    return np.stack(values).reshape(-1, *shape)
