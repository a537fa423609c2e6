r"""Smooth the poses of an ensemble of networks.

    python utils/TrainNetwork.py --data labels --output runs/many --seeds 0,1,2
    python utils/SmoothEnsemble.py mouse.mp4 --model runs/many --output smoothed
    python utils/SmoothEnsemble.py mouse.mp4 --model runs/many --mirrored _top _bot
    python utils/SmoothEnsemble.py top.mp4 side.mp4 --model runs/many --views
    python utils/SmoothEnsemble.py --tables seed0.csv seed1.csv --output mouse_eks.csv
    python utils/SmoothEnsemble.py --tables eye0.csv eye1.csv --output eye_eks.csv --pupil
    python utils/SmoothEnsemble.py --tables left0.csv left1.csv --output left_eks.csv \
        --tables right0.csv right1.csv --output right_eks.csv \
        --paws --times left.times.npy right.times.npy

Ensemble Kalman smoothing (Biderman et al., Nature Methods 2024), as version 4.6.2 of the
package ensemble-kalman-smoother does it; --eks 3 follows version 3.0.0. For videos, the
poses of each network are written too, as `mouse.seed0.csv`, and the smoothed poses as
`mouse_eks.csv`: position, mean confidence, median and variance of the networks, and the
smoother's variance.
A stopped command continues where it stopped when it is repeated.
`--tables` reads existing predictions of this program or another: once per camera, with one
table per network.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.startup.arguments import ProgramParser, at_least
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.startup.progress import Overall
from deeplabstream.offline.ibl.alf import read_times
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.video_files import overall_progress, stems, video_files
from deeplabstream.offline.smoothing.ensemble_members import Members, read_members
from deeplabstream.offline.parallel import open_parallel
from deeplabstream.offline.video_inference import VideoPoses, predict
from deeplabstream.offline.ibl.pupil import places_of_sides
from deeplabstream.offline.smoothing.camera_smoothing import (
    VERSIONS,
    Smoothed,
    smooth_both_paws,
    smooth_cameras,
    smooth_eye,
    smooth_mirrored,
    write_smoothed,
)
from deeplabstream.offline.smoothing.camera_smoothing import views_by_ending
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model, open_estimator
from deeplabstream.pose.runtimes.runtime_list import RUNTIMES
from deeplabstream.pose.ensemble import members
from deeplabstream.recording.exporters.pose_files import WRITERS


@ending("stopped; repeat the command to continue")
def main(argv: Sequence[str] | None = None) -> int:
    """Smooth."""
    asked = _parser().parse_args(argv)
    _check(asked)
    cameras = _from_tables(asked) if asked.tables else _from_videos(asked)
    if asked.views or asked.paws:
        together = list(cameras)
        both = [members for members, _ in together]
        found = (
            _paws(both, asked)
            if asked.paws
            else smooth_cameras(both, asked.s, asked.eks)
        )
        for (_, file), smoothed in zip(together, found, strict=True):
            _write(file, smoothed)
        _forget_rows(asked)
        return 0
    smooth: Callable[[Members], Smoothed] = partial(smooth_eye, version=asked.eks)
    if not asked.pupil:
        smooth = partial(
            smooth_mirrored, endings=asked.mirrored, s=asked.s, version=asked.eks
        )
    for each, file in cameras:
        _write(file, smooth(each))
    _forget_rows(asked)
    return 0


def _forget_rows(asked: argparse.Namespace) -> None:
    """Remove the rows that were kept for a command that is stopped."""
    if asked.videos:
        folder = _ensemble(asked)
        for place in _places(asked, video_files(asked.videos)):
            for each in members(folder):
                _rows(place, each.name).unlink(missing_ok=True)


def _check(asked: argparse.Namespace) -> None:
    """Refuse what does not go together."""
    if asked.calibration is not None:
        raise DeepLabStreamError(
            f"--calibration {asked.calibration}: calibrated cameras are not supported. "
            "Leave it out: --views then relates the cameras by what their points share, as "
            "`eks multicam` without a calibration does"
        )
    outputs = len(asked.output)
    if bool(asked.videos) == bool(asked.tables):
        raise DeepLabStreamError("name videos and --model, or --tables")
    if asked.tables and outputs != len(asked.tables):
        raise DeepLabStreamError(
            f"{len(asked.tables)} times --tables, but {outputs} times --output: "
            "each camera needs its own output file"
        )
    if asked.videos and (asked.model is None or outputs > 1):
        raise DeepLabStreamError(
            "videos need exactly one --model and at most one --output"
        )
    if asked.paws and (len(asked.tables) != 2 or asked.times is None):
        raise DeepLabStreamError(
            "--paws needs --tables twice, the left camera's first, and --times LEFT RIGHT"
        )
    if asked.times is not None and not asked.paws:
        raise DeepLabStreamError("--times needs --paws")
    if asked.s is not None and (asked.pupil or not asked.s > 0):
        raise DeepLabStreamError("--s must be above 0, and can't be used with --pupil")


def _from_tables(asked: argparse.Namespace) -> Iterator[tuple[Members, Path]]:
    """Yield each camera's ensemble, and where it goes."""
    inputs = {table.resolve() for tables in asked.tables for table in tables}
    places = [file.resolve() for file in asked.output]
    for file, place in zip(asked.output, places, strict=True):
        if file.suffix.lower() != ".csv" or file.is_dir():
            raise DeepLabStreamError(f"--output {file}: expected a .csv file")
        if place in inputs or places.count(place) > 1:
            raise DeepLabStreamError(f"--output {file} would replace another table")
    check_free(asked.output, asked.overwrite)
    for tables, file in zip(asked.tables, asked.output, strict=True):
        yield read_members(tables), file


def _from_videos(asked: argparse.Namespace) -> Iterator[tuple[Members, Path]]:
    """Yield each video's ensemble, and where it goes."""
    folder = _ensemble(asked)
    videos = video_files(asked.videos)
    places = _places(asked, videos)
    names = [each.name for each in members(folder)]
    begun = {each for each in places if any(_rows(each, n).exists() for n in names)}
    tables = [
        place.with_name(f"{place.name}{end}.csv")
        for place in places
        for end in (*(f".{name}" for name in names), "_eks")
        if place not in begun
    ]
    check_free(tables, asked.overwrite)
    networks = _networks(folder, asked)
    if asked.views and len(videos) < 2:
        raise DeepLabStreamError(f"{videos[0]}: several views need two cameras")
    bodyparts = next(iter(networks.values())).skeleton.bodyparts
    if asked.mirrored:  # what can't be smoothed need not be predicted
        views_by_ending(bodyparts, asked.mirrored)
    if asked.pupil:
        places_of_sides(bodyparts)
    overall = overall_progress([[video] for video in videos for _ in names])
    for number, (video, place) in enumerate(zip(videos, places, strict=True)):
        smoothed = place.with_name(f"{place.name}_eks.csv")
        done = place in begun and smoothed.exists() and not asked.views
        if done and not asked.overwrite:
            print(f"{video} is already smoothed; use --overwrite to smooth it again")
        else:
            work = overall, number * len(names)
            yield _predicted(video, networks, place, work), smoothed


def _rows(place: Path, network: str) -> Path:
    """Return where the rows of a network are kept until all videos are smoothed."""
    return place.with_name(f"{place.name}.{network}.partial")


def _places(asked: argparse.Namespace, videos: Sequence[Path]) -> list[Path]:
    """Return the path that the names of each video's tables begin with."""
    folders = [asked.output[0] if asked.output else video.parent for video in videos]
    named = {
        folder: stems([v for v, f in zip(videos, folders, strict=True) if f == folder])
        for folder in folders
    }
    return [
        folder / named[folder][video]
        for video, folder in zip(videos, folders, strict=True)
    ]


def _ensemble(asked: argparse.Namespace) -> Path:
    """Return the folder of the networks."""
    folder = find_model(asked.model)
    if not members(folder):
        raise ModelError(
            f"{folder} is not an ensemble: it needs two or more model folders, "
            "as made by TrainNetwork --seeds 0,1,2"
        )
    if any(load_model_folder(each).animals > 1 for each in members(folder)):
        raise ModelError(
            f"{folder} finds several animals. Smoothing follows one animal, and "
            "each network assigns identities independently. Use PredictVideos, "
            "which takes the median of the networks"
        )
    return folder


def _networks(folder: Path, asked: argparse.Namespace) -> dict[str, PoseEstimator]:
    return {
        each.name: open_parallel(
            partial(open_estimator, each, asked.runtime), asked.threads
        )
        for each in members(folder)
    }


def _predicted(
    video: Path,
    networks: dict[str, PoseEstimator],
    place: Path,
    work: tuple[Overall, int],
) -> Members:
    """Predict with each network; `work` has the number of the first piece."""
    found: list[VideoPoses] = []
    place.parent.mkdir(parents=True, exist_ok=True)
    for number, (network, estimator) in enumerate(networks.items(), start=work[1]):
        with work[0].bar(number, f"{video.name}, {network}") as bar:
            each = predict(
                video,
                estimator,
                network,
                partial=_rows(place, network),
                watch=bar.show,
            )
        if each.resumed:
            print(f"{video}, {network}: continued at frame {each.resumed}")
        with atomic_file(place.with_name(f"{place.name}.{network}.csv")) as making:
            WRITERS["csv"](each.table, making)
        found.append(each)
    return Members(
        video,
        found[0].table.skeleton.bodyparts,
        np.stack([each.table.points[:, 0] for each in found]),
        np.stack([each.table.confidence[:, 0] for each in found]),
    )


def _paws(cameras: Sequence[Members], asked: argparse.Namespace) -> list[Smoothed]:
    left, right = (
        read_times(file, len(each))
        for file, each in zip(asked.times, cameras, strict=True)
    )
    for file, times in zip(asked.times, (left, right), strict=True):
        if not (np.diff(times) > 0).all():
            raise DeepLabStreamError(f"{file}: times must increase")
    return smooth_both_paws(cameras[0], cameras[1], (left, right), asked.s)


def _write(file: Path, smoothed: Smoothed) -> None:
    write_smoothed(file, smoothed)
    print(file)


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="SmoothEnsemble",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("videos", type=Path, nargs="*")
    add("--model", help="folder of the ensemble's networks")
    add("--tables", type=Path, nargs="+", action="append", default=[], metavar="TABLE",
        help="existing poses: .csv, .h5 or .parquet of each network")  # fmt: skip
    add("--output", type=Path, action="append", default=[], metavar="PATH",
        help="for videos a folder (default: beside each), for --tables a .csv")  # fmt: skip
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--mirrored", nargs="+", default=[], metavar="SUFFIX",
        help="suffixes of body part names by view, for example _top _bot")  # fmt: skip
    how.add_argument("--views", action="store_true",
        help="all cameras recorded the same moments, frame by frame")  # fmt: skip
    how.add_argument("--pupil", action="store_true",
        help="pupil_top…, _bottom…, _right…, _left… move as a circle")  # fmt: skip
    how.add_argument("--paws", action="store_true",
        help="paw_l and paw_r of IBL's left and right camera")  # fmt: skip
    add("--times", type=Path, nargs=2, metavar=("LEFT", "RIGHT"),
        help="with --paws: .npy files with the time of each frame in s, on one clock")  # fmt: skip
    add("--s", type=float, help="smoothing parameter: smaller is smoother (default: maximum "
        "likelihood; with --paws 2)")  # fmt: skip
    add("--eks", type=int, choices=VERSIONS, default=VERSIONS[-1],
        help="version of the package ensemble-kalman-smoother to follow: 4 (4.6.2) or 3 "
        "(3.0.0); --paws always follows 3")  # fmt: skip
    add("--calibration", type=Path, help=argparse.SUPPRESS)  # an option of EKS
    add_overwrite(parser)
    add("--runtime", choices=["auto", *RUNTIMES], default="auto")
    add("--threads", type=at_least(0), default=0, help="CPU threads; 0: all cores")
    return parser


if __name__ == "__main__":
    sys.exit(main())
