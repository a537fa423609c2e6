"""Pick frames for labelling: python utils/PickFrames.py VIDEO-OR-RUN --into labels.

By default the frames differ as much as possible: in their pixels, or with --poses in posture
and position. With --unsure the program picks frames with low confidences and jumping points,
from a run's poses or those of --model; where --model is an ensemble, frames in which its
networks differ. Of uncertain frames that look alike, or like one picked before, it picks one.
Where the network is uncertain in most frames, it picks frames that differ instead.
With --queue it picks the uncertain frames that a run has queued ([Recording] QUEUE_PER_HOUR):
low confidences, jumps, points that [Tracking] rejected, ambiguous identities, networks of an
ensemble that differ. The frames are saved as PNG files in `labels/labeled-data/VIDEO/`, the
folder of the window's Network page and of DeepLabCut. --model also pre-labels them.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.offline.frame_selection import (
    candidates,
    image_path,
    pick,
    write_images,
)
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.queued_images import take_queue
from deeplabstream.offline.uncertain_frames import (
    FrameUncertainty,
    of_run,
    of_video,
)
from deeplabstream.pose.ensemble import NetworkEnsemble
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.programs.program import Program
from deeplabstream.recording.frame_queue import PER_HOUR
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.training.data.label_proposals import propose, propose_tracks
from deeplabstream.training.data.labels import LABELED_DATA
from deeplabstream.video.video_reader import VideoReader, open_video


@program_options
class PickFrames:
    """Videos or runs, the folder of labels, and which frames are picked."""

    videos: tuple[Path, ...] = option(positional=True, metavar="VIDEO")
    """Video, or run folder."""
    into: Path = option(metavar="FOLDER")
    """Folder of labels."""
    count: int = option(default=20, ge=1)
    """Frames per source."""
    poses: Path | None = option(default=None, metavar="TABLE")
    """Poses of the video (from PredictVideos or ExportRun): pick frames that differ in
    posture and position."""
    unsure: bool = option(default=False)
    """Pick frames with the least certain poses."""
    queue: bool = option(default=False)
    """Pick the uncertain frames that a run has queued, with the reason of each."""
    per_hour: int | None = option(
        default=None,
        ge=1,
        description="with `queue`: most frames of each hour and camera; default: as many "
        f"as the run queued; {PER_HOUR} where it has no queue",
        metavar="N",
    )
    model: str = option(default="", metavar="NAME")
    """Network that pre-labels the frames."""
    tracks: Path | None = option(default=None, metavar="TABLE")
    """Poses of the video with identities (PredictVideos --animals), which pre-label the
    frames instead of the network."""
    seed: int = option(default=0)
    """Seed of the choice among frames that differ."""

    def __post_init__(self) -> None:
        """Check the options together."""
        if self.tracks and (len(self.videos) > 1 or self.videos[0].is_dir()):
            raise DeepLabStreamError(
                "--tracks belong to one video: name one video file"
            )


def pick_frames(options: PickFrames) -> int:
    """Write the frames as images, and pre-label them."""
    estimator = open_estimator(options.model) if options.model else None
    for source in options.videos:
        if options.queue:
            _pick_queued(source, options)
        else:
            _pick(source, options, estimator)

    if options.tracks:
        video = options.videos[0].stem
        count = propose_tracks(options.into, video, read_poses(options.tracks))
        print(f"{counted(count, 'frame')} pre-labelled with tracks, awaiting review")
    elif estimator is not None:
        count = propose(options.into, estimator)
        print(f"{counted(count, 'frame')} pre-labelled, awaiting review")
    return 0


def _pick_queued(run: Path, options: PickFrames) -> None:
    """Write the queued frames of a run, and the reason of each for the window."""
    taken = take_queue(run, options.into, options.per_hour)
    print(
        f"{taken.new} of {taken.queued} uncertain frames of {run.name} are new in "
        f"{options.into}"
    )
    if taken.without_image:
        print(f"{taken.without_image} of them were neither recorded nor saved")


def _pick(source: Path, options: PickFrames, estimator: PoseEstimator | None) -> None:
    """Write frames of the videos of a source."""
    videos = list(_videos(source, options.unsure, estimator))
    count = -(-options.count // len(videos))
    for name, rows, uncertainty in videos:
        folder = options.into / LABELED_DATA / name
        points = _points(rows, options.poses) if options.poses else None
        exists = [image_path(rows, row, folder).exists() for row in range(len(rows))]
        written_before = np.flatnonzero(exists)

        if uncertainty is None:
            among = np.setdiff1d(candidates(rows), written_before)
            picked = pick(rows, count, options.seed, among, points)
        else:
            picked = uncertainty.pick(rows, count, written_before, points)
            if uncertainty.mostly_uncertain:
                print(
                    f"the network is uncertain in most frames of {rows.path.name}: "
                    "frames that differ are picked"
                )
        written = write_images(rows, picked, folder)
        print(
            f"{len(written)} of {len(rows)} frames of {rows.path.name} are in {folder}"
        )


def _videos(
    source: Path, unsure: bool, estimator: PoseEstimator | None
) -> Iterator[tuple[str, VideoReader, FrameUncertainty | None]]:
    """Yield the folder's name, the rows and the uncertainty of each video of a source."""
    if not source.exists():
        raise DeepLabStreamError(f"{source}: there is no such video or run folder")
    if not source.is_dir():
        if unsure and estimator is None:
            raise DeepLabStreamError(
                "--unsure: choose a network for the video with --model"
            )
        rows = open_video(source)
        found = of_video(rows, estimator) if unsure and estimator else None
        yield source.stem, rows, found
        return

    ensemble = estimator if isinstance(estimator, NetworkEnsemble) else None
    if unsure and ensemble is None:
        for own in list(of_run(source)):
            yield f"{source.name}_{own.video.stem}", open_video(own.video), own
        return
    videos = RunFolder(source).videos
    if not videos:
        raise DeepLabStreamError(f"{source} contains no video")
    for video in videos:
        rows = open_video(video)
        uncertainty = of_video(rows, ensemble) if unsure and ensemble else None
        yield f"{source.name}_{video.stem}", rows, uncertainty


def _points(rows: VideoReader, table: Path) -> NDArray[np.float64]:
    """Return (row, animal, body part, 2), px; raise if the table does not fit."""
    points = read_poses(table).points.astype(np.float64)
    if len(points) != len(rows):
        raise DeepLabStreamError(
            f"{table} has {len(points)} rows, but {rows.path} has {len(rows)} frames"
        )
    return points


PROGRAM = Program(PickFrames, pick_frames, __doc__, "PickFrames")
