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
package ensemble-kalman-smoother does it; --paws follows version 3.0.0, as iblvideo does. For
videos, the poses of each network are written too, as `mouse.seed0.csv`, and the smoothed
poses as `mouse_eks.csv`: position, mean confidence, median and variance of the networks, and
the smoother's variance.
A stopped command continues where it stopped when it is repeated.
`--tables` reads existing predictions of this program or another: once per camera, with one
table per network.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.ibl.alf import read_times
from deeplabstream.offline.ibl.pupil import places_of_sides
from deeplabstream.offline.parallel import open_parallel
from deeplabstream.offline.smoothing.camera_smoothing import (
    Smoothed,
    smooth_both_paws,
    smooth_cameras,
    smooth_eye,
    smooth_mirrored,
    views_by_ending,
    write_smoothed,
)
from deeplabstream.offline.smoothing.ensemble_members import Members, read_members
from deeplabstream.offline.video_files import (
    VIDEO_FILTER,
    overall_progress,
    stems,
    video_files,
)
from deeplabstream.offline.video_inference import VideoPoses, predict
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model, open_estimator
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import (
    mirrored,
    overwrite,
    runtime,
    threads,
)
from deeplabstream.recording.exporters.pose_files import WRITERS
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.startup.progress import Overall


@program_options
class SmoothEnsemble:
    """Videos and an ensemble, or tables of its networks, and how they are smoothed."""

    videos: tuple[Path, ...] = option(
        default=(),
        title="Videos",
        needed=True,
        positional=True,
        filter=VIDEO_FILTER,
        folders=True,
    )
    """Videos, or folders of videos."""
    model: str = option(default="", title="Network", needed=True, editor="ensemble")
    """Folder of an ensemble (trained with several seeds)."""
    tables: tuple[tuple[Path, ...], ...] = option(
        default=(), metavar="TABLE", repeated=True
    )
    """Existing poses: .csv, .h5 or .parquet of each network."""
    output: tuple[Path, ...] = option(
        default=(),
        title="Output folder",
        metavar="PATH",
        repeated=True,
        editor="folder",
    )
    """Output folder; default: beside each video; for `tables` a .csv file."""
    mirrored: tuple[str, ...] = mirrored()
    views: bool = option(default=False, title="Several cameras", advanced=True)
    """All cameras recorded the same moments, frame by frame."""
    pupil: bool = option(default=False, title="Pupil", advanced=True)
    """Pupil_top…, _bottom…, _right…, _left… move as a circle."""
    paws: bool = option(default=False)
    """Paw_l and paw_r of IBL's left and right camera."""
    times: tuple[Path, Path] | None = option(default=None, metavar=("LEFT", "RIGHT"))
    """With `paws`: .npy files with the time of each frame in s, on one clock."""
    s: float | None = option(
        default=None, gt=0, title="Smoothing", advanced=True, decimals=2
    )
    """Smoothing parameter: smaller is smoother; default: maximum likelihood; with `paws`
    2."""
    calibration: Path | None = option(default=None)
    """Not supported: `views` relates the cameras by what their points share."""
    overwrite: bool = overwrite()
    runtime: str = runtime()
    threads: int = threads()

    def __post_init__(self) -> None:
        """Check the options together."""
        ways = ("mirrored", "views", "pupil", "paws")
        chosen = [f"--{way}" for way in ways if getattr(self, way)]
        tables, outputs = len(self.tables), len(self.output)
        if self.calibration is not None:
            problem = (
                f"--calibration {self.calibration}: calibrated cameras are not supported. "
                "Leave it out: --views then relates the cameras by what their points "
                "share, as `eks multicam` without a calibration does"
            )
        elif len(chosen) > 1:
            problem = f"{' and '.join(chosen)} can't be used together"
        elif bool(self.videos) == bool(self.tables):
            problem = "name videos and --model, or --tables"
        elif self.tables and outputs != tables:
            problem = (
                f"{tables} times --tables, but {outputs} times --output: each camera needs "
                "its own output file"
            )
        elif self.videos and (not self.model or outputs > 1):
            problem = "videos need exactly one --model and at most one --output"
        elif self.paws and (tables != 2 or self.times is None):
            problem = (
                "--paws needs --tables twice, the left camera's first, and --times LEFT "
                "RIGHT"
            )
        elif self.times is not None and not self.paws:
            problem = "--times needs --paws"
        elif self.s is not None and self.pupil:
            problem = "--s can't be used with --pupil"
        else:
            return
        raise DeepLabStreamError(problem)


def smooth_ensemble(options: SmoothEnsemble) -> int:
    """Smooth each camera, or all cameras together."""
    cameras = _from_tables(options) if options.tables else _from_videos(options)
    if options.views or options.paws:
        together = list(cameras)
        both = [camera for camera, _ in together]
        found = (
            _paws(both, options) if options.paws else smooth_cameras(both, options.s)
        )
        for (_, file), smoothed in zip(together, found, strict=True):
            _write(file, smoothed)
    else:
        for camera, file in cameras:
            if options.pupil:
                smoothed = smooth_eye(camera)
            else:
                smoothed = smooth_mirrored(camera, options.mirrored, options.s)
            _write(file, smoothed)

    if options.videos:
        # kept until now to resume a stopped command
        names = [network.name for network in members(find_model(options.model))]
        for place in _places(options, video_files(options.videos)):
            for name in names:
                _rows(place, name).unlink(missing_ok=True)
    return 0


def _from_tables(options: SmoothEnsemble) -> Iterator[tuple[Members, Path]]:
    """Yield the ensemble of each camera, and the file of its smoothed poses."""
    inputs = {table.resolve() for tables in options.tables for table in tables}
    outputs = [file.resolve() for file in options.output]
    for file, path in zip(options.output, outputs, strict=True):
        if file.suffix.lower() != ".csv" or file.is_dir():
            raise DeepLabStreamError(f"--output {file}: expected a .csv file")
        if path in inputs or outputs.count(path) > 1:
            raise DeepLabStreamError(f"--output {file} would replace another table")
    check_free(options.output, options.overwrite)

    for tables, file in zip(options.tables, options.output, strict=True):
        yield read_members(tables), file


def _from_videos(options: SmoothEnsemble) -> Iterator[tuple[Members, Path]]:
    """Yield the ensemble of each video, and the file of its smoothed poses."""
    folder = _ensemble(options)
    names = [network.name for network in members(folder)]
    videos = video_files(options.videos)
    places = _places(options, videos)
    begun = [any(_rows(place, n).exists() for n in names) for place in places]
    new = [place for place, is_begun in zip(places, begun, strict=True) if not is_begun]
    ends = [*(f".{name}.csv" for name in names), "_eks.csv"]
    check_free((_with(place, end) for place in new for end in ends), options.overwrite)

    networks = {
        network.name: open_parallel(
            partial(open_estimator, network, options.runtime), options.threads
        )
        for network in members(folder)
    }
    if options.views and len(videos) < 2:
        raise DeepLabStreamError(f"{videos[0]}: several views need two cameras")
    bodyparts = next(iter(networks.values())).skeleton.bodyparts
    if options.mirrored:  # checked before the predictions, which take long
        views_by_ending(bodyparts, options.mirrored)
    if options.pupil:
        places_of_sides(bodyparts)

    overall = overall_progress([[video] for video in videos for _ in names])
    for number, (video, place) in enumerate(zip(videos, places, strict=True)):
        smoothed = _with(place, "_eks.csv")
        done = begun[number] and smoothed.exists() and not options.views
        if done and not options.overwrite:
            print(f"{video} is already smoothed; use --overwrite to smooth it again")
            continue
        first_piece = number * len(names)
        yield _predicted(video, networks, place, overall, first_piece), smoothed


def _with(place: Path, end: str) -> Path:
    return place.with_name(f"{place.name}{end}")


def _rows(place: Path, network: str) -> Path:
    """Return where the rows of a network are kept until all videos are smoothed."""
    return _with(place, f".{network}.partial")


def _places(options: SmoothEnsemble, videos: Sequence[Path]) -> list[Path]:
    """Return the path that the names of each video's tables begin with."""
    if options.output:
        names = stems(videos)
        return [options.output[0] / names[video] for video in videos]
    folders = {video.parent for video in videos}
    names = {}
    for folder in folders:
        names |= stems([video for video in videos if video.parent == folder])
    return [video.with_name(names[video]) for video in videos]


def _ensemble(options: SmoothEnsemble) -> Path:
    """Return the folder of the networks."""
    folder = find_model(options.model)
    if not members(folder):
        raise ModelError(
            f"{folder} is not an ensemble: it needs two or more model folders, "
            "as made by TrainNetwork --seeds 0,1,2"
        )
    if any(load_model_folder(network).animals > 1 for network in members(folder)):
        raise ModelError(
            f"{folder} finds several animals. Smoothing follows one animal, and "
            "each network assigns identities independently. Use PredictVideos, "
            "which takes the median of the networks"
        )
    return folder


def _predicted(
    video: Path,
    networks: dict[str, PoseEstimator],
    place: Path,
    overall: Overall,
    first_piece: int,
) -> Members:
    """Predict with each network and write its poses."""
    found: list[VideoPoses] = []
    place.parent.mkdir(parents=True, exist_ok=True)
    for piece, (network, estimator) in enumerate(networks.items(), start=first_piece):
        rows = _rows(place, network)
        with overall.bar(piece, f"{video.name}, {network}") as bar:
            poses = predict(video, estimator, network, partial=rows, watch=bar.show)
        if poses.resumed:
            print(f"{video}, {network}: continued at frame {poses.resumed}")
        with atomic_file(_with(place, f".{network}.csv")) as making:
            WRITERS["csv"](poses.table, making)
        found.append(poses)
    return Members(
        video,
        found[0].table.skeleton.bodyparts,
        np.stack([poses.table.points[:, 0] for poses in found]),
        np.stack([poses.table.confidence[:, 0] for poses in found]),
    )


def _paws(cameras: Sequence[Members], options: SmoothEnsemble) -> list[Smoothed]:
    files = options.times or ()
    left, right = (
        read_times(file, len(camera))
        for file, camera in zip(files, cameras, strict=True)
    )
    for file, times in zip(files, (left, right), strict=True):
        if not (np.diff(times) > 0).all():
            raise DeepLabStreamError(f"{file}: times must increase")
    return smooth_both_paws(cameras[0], cameras[1], (left, right), options.s)


def _write(file: Path, smoothed: Smoothed) -> None:
    write_smoothed(file, smoothed)
    print(file)


PROGRAM = Program(
    SmoothEnsemble,
    smooth_ensemble,
    __doc__,
    "SmoothEnsemble",
    stopped="stopped; repeat the command to continue",
)
