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

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.startup.arguments import ProgramParser, at_least
from deeplabstream.video.video_reader import VideoReader, open_video
from deeplabstream.offline.frame_selection import (
    candidates,
    pick,
    image_path,
    write_images,
)
from deeplabstream.offline.queued_images import take_queue
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.uncertain_frames import (
    FrameUncertainty,
    of_run,
    of_video,
)
from deeplabstream.pose.ensemble import NetworkEnsemble
from deeplabstream.recording.frame_queue import PER_HOUR
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.training.data.labels import LABELED_DATA
from deeplabstream.training.data.label_proposals import propose, propose_tracks


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0, or 2 when something that the user can mend is wrong."""
    parser = _parser()
    asked = parser.parse_args(argv)
    if asked.tracks and (len(asked.videos) > 1 or asked.videos[0].is_dir()):
        parser.error("--tracks belong to one video: name one video file")
    estimator = open_estimator(asked.model) if asked.model else None
    for source in asked.videos:
        if asked.queue:
            _take_queue(source, asked.into, asked.per_hour)
            continue
        parts = list(_parts(source, asked.unsure, estimator))
        count = -(-asked.count // len(parts))
        for name, rows, found in parts:
            folder = asked.into / LABELED_DATA / name
            points = _points(rows, asked.poses) if asked.poses else None
            there = np.array(
                [n for n in range(len(rows)) if image_path(rows, n, folder).exists()],
                np.int64,
            )
            if found is None:
                among = np.setdiff1d(candidates(rows), there)
                picked = pick(rows, count, asked.seed, among, points)
            else:
                picked = found.pick(rows, count, there, points)
                if found.mostly_uncertain:
                    print(
                        f"the network is uncertain in most frames of {rows.path.name}: "
                        "frames that differ are picked"
                    )
            written = write_images(rows, picked, folder)
            print(
                f"{len(written)} of {len(rows)} frames of {rows.path.name} are "
                f"in {folder}"
            )
    if asked.tracks:
        video = asked.videos[0].stem
        count = propose_tracks(asked.into, video, read_poses(asked.tracks))
        print(f"{counted(count, 'frame')} pre-labelled with tracks, awaiting review")
    elif estimator is not None:
        count = propose(asked.into, estimator)
        print(f"{counted(count, 'frame')} pre-labelled, awaiting review")
    return 0


def _take_queue(run: Path, into: Path, per_hour: int | None) -> None:
    """Write the queued frames of a run, and the reason of each for the window."""
    taken = take_queue(run, into, per_hour)
    print(
        f"{taken.new} of {taken.queued} uncertain frames of {run.name} are new in {into}"
    )
    if taken.without_image:
        print(f"{taken.without_image} of them were neither recorded nor saved")


def _points(rows: VideoReader, table: Path) -> NDArray[np.float64]:
    """Return (row, animal, body part, 2), px; a table that does not fit is refused."""
    points = read_poses(table).points.astype(np.float64)
    if len(points) != len(rows):
        raise DeepLabStreamError(
            f"{table} has {len(points)} rows, but {rows.path} has {len(rows)} frames"
        )
    return points


def _parts(
    source: Path, unsure: bool, estimator: PoseEstimator | None
) -> Iterator[tuple[str, VideoReader, FrameUncertainty | None]]:
    """Yield the folder's name, the rows and the uncertainty of each video of a source."""
    if not source.is_dir():
        if unsure and estimator is None:
            raise DeepLabStreamError(
                "--unsure: choose a network for the video with --model"
            )
        rows = open_video(source)
        unsure_of = of_video(rows, estimator) if unsure and estimator else None
        yield source.stem, rows, unsure_of
        return
    ensemble = estimator if isinstance(estimator, NetworkEnsemble) else None
    if unsure and ensemble is None:
        for each in list(of_run(source)):
            yield f"{source.name}_{each.video.stem}", open_video(each.video), each
        return
    videos = RunFolder(source).videos
    if not videos:
        raise DeepLabStreamError(f"{source} contains no video")
    for video in videos:
        rows = open_video(video)
        doubt = of_video(rows, ensemble) if unsure and ensemble else None
        yield f"{source.name}_{video.stem}", rows, doubt


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="PickFrames.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("videos", nargs="+", type=Path, metavar="VIDEO", help="video, or run folder")
    add("--into", type=Path, required=True, metavar="FOLDER")
    add("--count", type=at_least(1), default=20, help="frames per source (default: 20)")
    add(
        "--poses",
        type=Path,
        metavar="TABLE",
        help=(
            "poses of the video (from PredictVideos or ExportRun): pick frames "
            "that differ in posture and position"
        ),
    )
    add(
        "--unsure", action="store_true", help="pick frames with the least certain poses"
    )
    add(
        "--queue",
        action="store_true",
        help="pick the uncertain frames that a run has queued, with the reason of each",
    )
    add(
        "--per-hour",
        type=at_least(1),
        metavar="N",
        help=f"with --queue: most frames of each hour and camera (default: as many as the "
        f"run queued; {PER_HOUR} where it has no queue)",
    )
    add("--model", metavar="NAME", help="network that pre-labels the frames")
    add(
        "--tracks",
        type=Path,
        metavar="TABLE",
        help=(
            "poses of the video with identities (PredictVideos --animals), which "
            "pre-label the frames instead of the network"
        ),
    )
    add("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
