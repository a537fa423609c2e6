"""Measure a network against points placed by hand in frames of a video.

    python utils/CheckNetwork.py --model openfield --video mouse.mp4 --labels check.csv

`--labels` has the format of DeepLabCut's `CollectedData.csv`. The number at the end of each
image name is the frame of the video, from 0. The images themselves are not needed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError, counted
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.checked_points import frame_numbers
from deeplabstream.offline.smoothing.track_smoothing import smoothed_track
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.image_copies import open_with_copies
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import best, overwrite, runtime, threads
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.training.data.labels import LabelsError, read_labels
from deeplabstream.video.image_sheet import write_sheet
from deeplabstream.video.video_reader import open_video

COLOURS = ((60, 60, 255), (60, 220, 60), (255, 120, 60), (40, 220, 255), (255, 80, 255))
JUMP_PX = 40
SHEET_COLUMNS = 5


@program_options
class CheckNetwork:
    """A network, a video and points placed by hand in its frames."""

    model: str = option()
    """Model folder, or its name in models/."""
    video: Path = option()
    """Video."""
    labels: Path = option()
    """.csv file with the points."""
    best: bool = best()
    device: str = runtime()
    threads: int = threads()
    sheet: Path | None = option(default=None, metavar="FILE")
    """.png file to write: labelled frames with all points."""
    overwrite: bool = overwrite()


def check_network(options: CheckNetwork) -> int:
    """Print the errors in the labelled frames, and jumps in all frames."""
    check_free([options.sheet], options.overwrite)
    open_network: Callable[[str, str, int], PoseEstimator] = (
        open_with_copies if options.best else open_estimator
    )
    estimator = open_network(options.model, options.device, options.threads)
    labels = read_labels(options.labels, with_images=False)
    names = labels.skeleton.bodyparts
    unknown = set(names) - set(estimator.skeleton.bodyparts)
    if unknown:
        raise LabelsError(
            [f"the network has no body part {name}" for name in sorted(unknown)]
        )

    labelled = frame_numbers(labels)
    order = estimator.skeleton.indices(names)
    poses: list[Pose] = []
    tiles: list[Image] = []
    for frame in open_video(options.video).images():
        if frame.image is None:
            raise DeviceError(f"Can't decode frame {frame.row} of {options.video}")
        pose = estimator.estimate([frame.image])[0]
        if len(pose.points) > 1:
            raise LabelsError(
                [
                    f"the network finds {len(pose.points)} animals; this program "
                    "measures one. Use utils/EvaluateNetwork.py for several"
                ]
            )
        poses.append(pose)
        if options.sheet and frame.row in labelled:
            label = labels.points[labelled.index(frame.row)]
            found = pose.points[0, order]
            seen = pose.confidence[0, order] >= estimator.threshold
            tiles.append(_tile(frame.image, found, seen, label, frame.row))
    missing = [str(row) for row in labelled if row >= len(poses)]
    if missing:
        raise LabelsError(
            [f"{options.video} has {len(poses)} frames, but not {', '.join(missing)}"]
        )

    points = np.stack([pose.points[0, order] for pose in poses])
    confidence = np.stack([pose.confidence[0, order] for pose in poses])
    if options.best:
        points = smoothed_track(points, confidence)
    below = confidence < estimator.threshold
    frames = counted(len(labelled), "frame")
    print(f"{frames} with points placed by hand; runs on {estimator.provider}")
    away = np.linalg.norm(points[labelled] - labels.points, axis=2)
    _print_errors(names, away, below[labelled])
    print(f"all {len(poses)} frames:")
    _print_jumps(names, points, below)
    if options.sheet:
        write_sheet(options.sheet, tiles, SHEET_COLUMNS)
    return 0


def _print_errors(
    names: Sequence[str], away: NDArray[np.float32], below: NDArray[np.bool_]
) -> None:
    columns = [*((n, away[:, [i]], below[:, [i]]) for i, n in enumerate(names))]
    for name, distances, unseen in [*columns, ("together", away, below)]:
        known = np.isfinite(distances)
        if not known.any():
            print(f"  {name:<12} not labelled")
            continue
        median, p95, worst = np.percentile(distances[known], [50, 95, 100])
        print(
            f"  {name:<12} median {median:5.1f} px   95 % below {p95:5.1f} px   worst "
            f"{worst:5.1f} px   below threshold {unseen[known].mean():5.1%}"
        )


def _print_jumps(
    names: Sequence[str], points: NDArray[np.float32], below: NDArray[np.bool_]
) -> None:
    steps = np.linalg.norm(np.diff(points, axis=0), axis=2)
    jumps = ((steps > JUMP_PX) & ~below[1:] & ~below[:-1]).sum(axis=0)
    for place, name in enumerate(names):
        print(
            f"  {name:<12} below threshold in {below[:, place].sum()}   moves of more than "
            f"{JUMP_PX} px from one frame to the next: {jumps[place]}"
        )


def _tile(
    image: Image,
    points: NDArray[np.float32],
    seen: NDArray[np.bool_],
    label: NDArray[np.float32],
    row: int,
) -> Image:
    """Return the image with filled dots (network) and rings (person)."""
    import cv2

    tile = np.array(image if image.ndim == 3 else np.stack([image] * 3, axis=2))
    for place, (x, y) in enumerate(points.tolist()):
        colour = COLOURS[place % len(COLOURS)]
        marker = cv2.MARKER_DIAMOND if seen[place] else cv2.MARKER_TILTED_CROSS
        cv2.drawMarker(tile, (round(x), round(y)), colour, marker, 9, 2)
        if np.isfinite(label[place]).all():
            x, y = label[place].tolist()
            cv2.circle(tile, (round(x), round(y)), 6, colour, 1, cv2.LINE_AA)
    cv2.putText(tile, str(row), (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 255))
    return np.asarray(tile, np.uint8)


PROGRAM = Program(CheckNetwork, check_network, __doc__, "CheckNetwork")
