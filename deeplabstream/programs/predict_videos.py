"""Predict poses of whole videos: one row per frame.

    python utils/PredictVideos.py videos/ --model models/mine --to csv h5

Reads files, and folders, of all containers and codecs that FFmpeg supports. An interrupted
prediction continues where it stopped. Finished videos are skipped. A multi-view network gets
the videos of all views of a session together: names have the view (day1_left.mp4, left_2.mkv).
"""

import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.engine.identity_reporting import shelters_of
from deeplabstream.offline.labelled_poses import known_poses
from deeplabstream.offline.multiview_inference import predict_views, sessions
from deeplabstream.offline.parallel import open_parallel
from deeplabstream.offline.prediction_files import PredictionFiles
from deeplabstream.offline.smoothing.track_smoothing import smoothed_table
from deeplabstream.offline.video_files import (
    VIDEO_FILTER,
    overall_progress,
    stems,
    video_files,
)
from deeplabstream.offline.video_identity import VideoAnimals
from deeplabstream.offline.video_inference import VideoPoses, is_begun, predict
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.image_copies import open_with_copies
from deeplabstream.pose.model.model_opening import (
    open_for_videos,
    open_for_views,
    outdated,
    views_of,
)
from deeplabstream.pose.runtimes.gpu_use import gpu_remarks
from deeplabstream.pose.tracking.identity_tracker import IdentitySettings
from deeplabstream.pose.tracking.shelters import Shelter
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import (
    best,
    decoder,
    mirrored,
    model,
    output_folder,
    overwrite,
    runtime,
    threads,
)
from deeplabstream.recording.exporters.pose_files import PACKAGES, WRITERS
from deeplabstream.settings.loading import load
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.startup.progress import Bar
from deeplabstream.video.decoding import Decoder


@program_options
class PredictVideos:
    """Videos, a network, and the files to write."""

    videos: tuple[Path, ...] = option(
        title="Videos", positional=True, filter=VIDEO_FILTER, folders=True
    )
    """Videos, or folders of videos."""
    model: str = model("ensemble")
    best: bool = best()
    to: tuple[str, ...] = option(
        default=("csv",), title="Formats", choices=list(WRITERS)
    )
    """Output formats; csv, h5: as DeepLabCut; slp: as SLEAP; nwb: ndx-pose."""
    output: Path | None = output_folder()
    overwrite: bool = overwrite(
        "predict finished videos again, and replace existing files",
        title="Predict again",
        advanced=True,
    )
    animals: tuple[str, ...] = option(
        default=(), title="Animals", metavar="NAME", advanced=True
    )
    """Names of the animals, for a network of several; default: animal1, animal2 …."""
    first: Literal["leftmost", "darkest"] = option(default="leftmost")
    """Order of the first names: left to right where the animals were first found; or dark
    to pale, once all were seen apart."""
    believe_after_s: float = option(default=0.0, ge=0, metavar="SECONDS")
    """Time after which motion alone resolves an ambiguous identity of animals that look
    alike; 0: never."""
    shelters: Path | None = option(
        default=None,
        title="Shelters",
        metavar="SETTINGS",
        advanced=True,
        filter="Settings (*.ini)",
    )
    """Settings of the rig or run of the videos, with shelters of its deciding camera."""
    metrics: bool = option(default=True)
    """Write metrics beside the poses: jumps, and PCA errors with `labels`."""
    labels: Path | None = option(
        default=None,
        title="Labels",
        metavar="CSV",
        advanced=True,
        filter="Labels (*.csv)",
    )
    """Labels of the network's training (CollectedData.csv), for PCA reprojection errors."""
    columns: tuple[str, ...] = option(default=(), metavar="PART")
    """Body parts of the single-view PCA error; default: all."""
    mirrored: tuple[str, ...] = mirrored()
    batch: int = option(
        default=0,
        ge=0,
        le=1024,
        title="Batch",
        metavar="IMAGES",
        advanced=True,
        unit="frames",
    )
    """Frames per batch; 0: 1, on a GPU 8."""
    runtime: str = runtime()
    decoder: Decoder = decoder()
    threads: int = threads()


@dataclass(frozen=True)
class _Group:
    """Videos that are predicted together: one video, or all views of a session."""

    name: str
    partial: Path
    """Rows of an unfinished prediction."""
    files: Mapping[str, PredictionFiles]
    """By view."""

    @property
    def videos(self) -> dict[str, Path]:
        return {view: file.video for view, file in self.files.items()}

    def write(self, poses: Mapping[str, VideoPoses]) -> list[Path]:
        written = [
            path for view, own in poses.items() for path in self.files[view].write(own)
        ]
        self.partial.unlink(missing_ok=True)
        return written


def predict_videos(options: PredictVideos) -> int:
    """Predict and write the poses of all videos; return 1 if one could not be predicted."""
    needed = [name for kind in options.to for name in PACKAGES.get(kind, ())]
    check_packages(f"--to {' '.join(options.to)}", needed)
    animals = _animals(options)
    groups, estimator = _groups(options)
    for sentence in (*outdated(options.model), *gpu_remarks()):
        print(f"Warning: {sentence}", file=sys.stderr)

    overall = overall_progress([list(group.videos.values()) for group in groups])
    failed = False
    with ThreadPoolExecutor(1) as writing:
        # tables are written while the network predicts the next video
        ends: list[Future[list[Path]]] = []
        for number, group in enumerate(groups):
            place = f" ({number + 1} of {len(groups)})" if len(groups) > 1 else ""
            try:
                if _needed(options, group, estimator):
                    with overall.bar(number, f"{Path(group.name).name}{place}") as bar:
                        poses = _predicted(options, group, estimator, animals, bar)
                    ends.append(writing.submit(group.write, poses))
            except DeepLabStreamError as error:
                print(error, file=sys.stderr)
                failed = True

        for end in ends:
            try:
                print(*end.result(), sep="\n")
            except DeepLabStreamError as error:
                print(error, file=sys.stderr)
                failed = True
    return int(failed)


def _groups(options: PredictVideos) -> tuple[list[_Group], PoseEstimator]:
    """Return the videos that are predicted together, and the opened network."""
    videos = video_files(options.videos)
    names = stems(videos)
    labels = None
    if options.labels is not None:
        labels = known_poses(options.labels, options.mirrored, options.columns)

    views = views_of(options.model)
    if options.best:
        estimator = open_parallel(
            partial(open_with_copies, options.model, options.runtime), options.threads
        )
    elif views:
        estimator = open_for_views(options.model, options.runtime, options.threads)
    else:
        open_one = partial(open_for_videos, options.model, options.runtime)
        estimator = open_parallel(open_one, options.threads)
    if labels is not None:
        labels.check(estimator.skeleton.bodyparts)

    def group(name: str, stem: str, videos: Mapping[str, Path]) -> _Group:
        files = {
            view: PredictionFiles(
                video,
                options.output or video.parent,
                names[video],
                options.model,
                estimator,
                options.to,
                options.metrics,
                labels,
            )
            for view, video in videos.items()
        }
        folder = next(iter(files.values())).folder
        return _Group(name, folder / f"{stem}.partial", files)

    if views:
        together = sessions(videos, views)
        groups = [group(session, session, own) for session, own in together.items()]
    else:
        groups = [group(str(video), names[video], {"": video}) for video in videos]
    return groups, estimator


def _needed(options: PredictVideos, group: _Group, estimator: PoseEstimator) -> bool:
    """Return whether videos were not predicted yet; raise if files would be replaced."""
    files = list(group.files.values())
    if not options.overwrite and all(file.complete() for file in files):
        print(
            f"{group.name} is already predicted ({files[0].facts}); use --overwrite to "
            "predict it again"
        )
        return False
    if not is_begun(group.partial, list(group.videos.values()), estimator):
        for file in files:
            file.check_free(options.overwrite)
    return True


def _animals(options: PredictVideos) -> VideoAnimals:
    """Return the animals' names, and how they are identified."""
    rules = IdentitySettings(options.first, options.believe_after_s)
    shelters = _shelters(options.shelters) if options.shelters else ()
    return VideoAnimals(options.animals, rules, shelters)


def _shelters(file: Path) -> tuple[Shelter, ...]:
    """Return the shelters of the deciding camera; DeepLabStreamError: it has none."""
    settings = load(file)
    camera = settings.deciding_camera
    found = shelters_of(settings).get(camera, ())
    if not found:
        raise DeepLabStreamError(
            f"{file}: [Animals] SHELTERS names no region of [Camera {camera}], the deciding "
            "camera. Mark one on the page Regions, or leave out --shelters"
        )
    return found


def _predicted(
    options: PredictVideos,
    group: _Group,
    estimator: PoseEstimator,
    animals: VideoAnimals,
    bar: Bar,
) -> dict[str, VideoPoses]:
    """Return the poses of the videos by view."""
    network = Path(options.model).name
    folder = group.partial.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if "" not in group.files:
            return predict_views(
                group.videos, estimator, network,
                batch=options.batch, decoder=options.decoder,
                partial=group.partial, watch=bar.show,
            )  # fmt: skip
        poses = predict(
            group.videos[""], estimator, network,
            batch=options.batch, decoder=options.decoder,
            partial=group.partial, watch=bar.show, animals=animals,
        )  # fmt: skip
    except OSError as error:
        raise DeepLabStreamError(f"Can't write {folder}: {error}") from error

    frames = len(poses.rows)
    if poses.identities is not None and poses.identities.ambiguous:
        count = poses.identities.ambiguous
        print(f"{group.name}: identities are ambiguous in {count} of {frames} frames")
    if poses.resumed:
        print(f"{group.name}: continued at frame {poses.resumed}")
    if poses.lost:
        print(
            f"{group.name}: {poses.lost} of {frames} frames could not be decoded; their "
            "rows are empty"
        )
    if options.best:
        poses = replace(poses, table=smoothed_table(poses.table))
    return {"": poses}


PROGRAM = Program(
    PredictVideos,
    predict_videos,
    __doc__,
    "PredictVideos",
    stopped="stopped; repeat the command to continue",
)
