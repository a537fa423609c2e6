"""Images of a run's frame queue, from its videos or as saved, in a folder of labels."""

import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.frame_selection import (
    appearance,
    cover,
    image_path,
    write_images,
)
from deeplabstream.pose.image_files import read_image
from deeplabstream.recording.frame_queue import QueuedFrame, read_queue
from deeplabstream.recording.recorded_frames import video_frames
from deeplabstream.recording.run_folder import RunFolder, stem
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.training.data.label_folder import write_uncertain
from deeplabstream.training.data.labels import LABELED_DATA
from deeplabstream.video.video_reader import open_video


@dataclass(frozen=True, slots=True)
class TakenImages:
    """Numbers of queued images in a folder of labels."""

    queued: int
    new: int
    """Images written now; the others existed or have no image."""
    without_image: int
    """Frames that were neither recorded nor saved."""


def take_queue(run: Path, into: Path, per_hour: int | None = None) -> TakenImages:
    """Write the images of a run's queue into a folder of labels, with their reasons.

    First those that represent many uncertain ones (`cover`). Images that are there
    stay. DeepLabStreamError: nothing is queued.
    """
    folder = open_run_folder(run, lambda _: None)
    frames = read_queue(folder, per_hour)
    if not frames:
        raise DeepLabStreamError(f"{run}: no uncertain frame is queued")
    places = _places(folder, frames)
    by_video: dict[Path, dict[int, QueuedFrame]] = defaultdict(dict)
    paths: dict[QueuedFrame, Path] = {}
    new = 0
    for frame in frames:
        if frame in places:
            video, row = places[frame]
            by_video[video][row] = frame
        elif frame.image:
            source = folder.queue_path.parent / frame.image
            own = f"{run.resolve().name}_{stem(frame.camera)}_queue"
            paths[frame] = path = into / LABELED_DATA / own / source.name
            if not path.exists():
                with atomic_file(path) as draft:
                    shutil.copyfile(source, draft)
                new += 1
    for video, queued in by_video.items():
        rows = open_video(video)
        own_folder = into / LABELED_DATA / f"{run.resolve().name}_{video.stem}"
        new += len(write_images(rows, np.array(sorted(queued), np.int64), own_folder))
        for row, frame in queued.items():
            if (path := image_path(rows, row, own_folder)).exists():
                paths[frame] = path
    if not paths:
        raise DeepLabStreamError(
            f"{run} contains no image of its uncertain frames: record a video to label them"
        )
    write_uncertain(
        into,
        {
            paths[frame].relative_to(into).as_posix(): frame.reason
            for frame in ordered([frame for frame in frames if frame in paths], paths)
        },
    )
    return TakenImages(len(frames), new, len(frames) - len(paths))


def ordered(
    frames: list[QueuedFrame], paths: dict[QueuedFrame, Path]
) -> list[QueuedFrame]:
    """Return frames, those that represent many uncertain ones first; unreadable ones last."""
    images = {frame: read_image(paths[frame]) for frame in frames}
    seen = [frame for frame in frames if images[frame] is not None]
    values = [appearance(image) for image in images.values() if image is not None]
    if not seen:
        return frames
    weight = np.array([frame.uncertainty for frame in seen])
    order = cover(np.array(values, np.float32), weight, len(seen)).tolist()
    return [seen[n] for n in order] + [f for f in frames if images[f] is None]


def _places(
    folder: RunFolder, frames: list[QueuedFrame]
) -> dict[QueuedFrame, tuple[Path, int]]:
    """Return the video and the row in it of each frame that was recorded."""
    found = {}
    for camera in dict.fromkeys(frame.camera for frame in frames):
        listed = video_frames(folder, camera)
        own = {(f.frame, f.exposed_ns): f for f in frames if f.camera == camera}
        columns = listed[["frame", "exposed_ns", "video", "video_frame"]]
        chosen = columns[columns["frame"].isin([number for number, _ in own])]
        for number, exposed_ns, video, row in chosen.itertuples(index=False):
            if (frame := own.get((int(number), int(exposed_ns)))) is not None:
                found[frame] = folder.path / str(video), int(row)
    return found
