"""Measure a network against points placed by hand in frames of a video.

    python utils/CheckNetwork.py --model openfield --video mouse.mp4 --labels check.csv

`--labels` has the format of DeepLabCut's `CollectedData.csv`. The number at the end of each
image name is the frame of the video, from 0. The images themselves are not needed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError, counted
from deeplabstream.core.frame import Image
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.startup.arguments import ProgramParser, at_least
from deeplabstream.core.pose import Pose
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.pose.runtimes.runtime_list import RUNTIMES
from deeplabstream.offline.checked_points import frame_numbers
from deeplabstream.training.data.labels import LabelsError, read_labels
from deeplabstream.video.video_reader import open_video

COLOURS = ((60, 60, 255), (60, 220, 60), (255, 120, 60), (40, 220, 255), (255, 80, 255))
JUMP_PX = 40


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Print the errors."""
    arguments = _parser().parse_args(argv)
    check_free([arguments.sheet] if arguments.sheet else [], arguments.overwrite)
    _check(arguments)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    estimator = open_estimator(arguments.model, arguments.device, arguments.threads)
    labels = read_labels(arguments.labels, with_images=False)
    wanted = frame_numbers(labels)
    unknown = set(labels.skeleton.bodyparts) - set(estimator.skeleton.bodyparts)
    if unknown:
        raise LabelsError(
            [f"the network has no body part {name}" for name in sorted(unknown)]
        )
    order = estimator.skeleton.indices(labels.skeleton.bodyparts)
    poses: list[Pose] = []
    tiles = []
    reader = open_video(arguments.video)
    for frame in reader.images():
        index, image = frame.row, frame.image
        if image is None:
            raise DeviceError(f"Can't decode frame {index} of {arguments.video}")
        pose = estimator.estimate([image])[0]
        if len(pose.points) > 1:
            raise LabelsError(
                [
                    f"the network finds {len(pose.points)} animals; this program "
                    "measures one. Use utils/EvaluateNetwork.py for several"
                ]
            )
        poses.append(pose)
        if arguments.sheet and index in wanted:
            label = labels.points[wanted.index(index)]
            tiles.append(_tile(image, pose, label, order, estimator.threshold, index))
    missing = [str(index) for index in wanted if index >= len(poses)]
    if missing:
        raise LabelsError(
            [f"{arguments.video} has {len(poses)} frames, but not {', '.join(missing)}"]
        )
    points = np.stack([pose.points[0, order] for pose in poses])
    confidence = np.stack([pose.confidence[0, order] for pose in poses])
    names = labels.skeleton.bodyparts
    print(
        f"{counted(len(wanted), 'frame')} with points placed by hand; runs on ", end=""
    )
    print(estimator.provider)
    away = np.linalg.norm(points[wanted] - labels.points, axis=2)
    _print_errors(names, away, confidence[wanted] < estimator.threshold)
    print(f"all {len(poses)} frames:")
    _print_course(names, points, confidence < estimator.threshold)
    if arguments.sheet:
        _write_sheet(arguments.sheet, tiles)


def _print_errors(
    names: Sequence[str], away: NDArray[np.float32], below: NDArray[np.bool_]
) -> None:
    columns = [*((n, away[:, [i]], below[:, [i]]) for i, n in enumerate(names))]
    for name, own, unseen in [*columns, ("together", away, below)]:
        there = np.isfinite(own)
        if not there.any():
            print(f"  {name:<12} not labelled")
            continue
        median, p95, worst = np.percentile(own[there], [50, 95, 100])
        print(
            f"  {name:<12} median {median:5.1f} px   95 % below {p95:5.1f} px   worst "
            f"{worst:5.1f} px   below threshold {unseen[there].mean():5.1%}"
        )


def _print_course(
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
    pose: Pose,
    label: NDArray[np.float32],
    order: Sequence[int],
    threshold: float,
    index: int,
) -> Image:
    """Return the image with filled dots (network) and rings (person)."""
    import cv2

    tile = np.array(image if image.ndim == 3 else np.stack([image] * 3, axis=2))
    seen = pose.confidence[0, order] >= threshold
    for place, point in enumerate(pose.points[0, order]):
        colour = COLOURS[place % len(COLOURS)]
        cross = cv2.MARKER_DIAMOND if seen[place] else cv2.MARKER_TILTED_CROSS
        at = (round(float(point[0])), round(float(point[1])))
        cv2.drawMarker(tile, at, colour, cross, 9, 2)
        if np.isfinite(label[place]).all():
            ring = (round(float(label[place][0])), round(float(label[place][1])))
            cv2.circle(tile, ring, 6, colour, 1, cv2.LINE_AA)
    cv2.putText(tile, str(index), (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 255))
    return np.asarray(tile, np.uint8)


def _write_sheet(file: Path, tiles: Sequence[Image]) -> None:
    import cv2

    across = 5
    blank = np.zeros_like(tiles[0])
    rest = [blank] * (-len(tiles) % across)
    filled = [*tiles, *rest]
    rows = [np.hstack(filled[i : i + across]) for i in range(0, len(filled), across)]
    _, content = cv2.imencode(".png", np.vstack(rows))
    try:
        file.write_bytes(content.tobytes())
    except OSError as error:
        raise DeviceError(f"Can't write {file}: {error.strerror}") from error


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="CheckNetwork", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--model", required=True, help="model folder, or its name in models/")
    add("--video", type=Path, required=True)
    add("--labels", type=Path, required=True, help=".csv file with the points")
    add("--device", choices=("auto", *RUNTIMES), default="auto")
    add("--threads", type=at_least(0), default=0, help="CPU threads; 0: all cores")
    add(
        "--sheet",
        type=Path,
        help=".png file to write: labelled frames with all points",
    )
    add_overwrite(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
