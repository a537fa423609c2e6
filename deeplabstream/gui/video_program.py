"""Analyse a video with network and experiment, at its own rate or as fast as possible.

The same video with the same settings gives the same poses, triggers and events, byte for byte.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from deeplabstream.core.clock import Pacer
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Step, TagRead
from deeplabstream.engine.network_loading import open_network, outdated_networks
from deeplabstream.engine.replay.recorded_plate import RecordedPlate, recorded_plate
from deeplabstream.engine.replay.recorded_tags import recorded_tags
from deeplabstream.engine.replay.recorded_video import (
    recorded_analysis_starts,
    recorded_video_start,
)
from deeplabstream.engine.replay.rerun import rerun
from deeplabstream.engine.replay.video_analysis import VideoAnalysis
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.parallel import open_parallel
from deeplabstream.offline.video_files import VIDEO_FILTER
from deeplabstream.offline.video_inference import PrecomputedEstimator, remembers
from deeplabstream.plugins.input import TagInput
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.runtimes.gpu_use import gpu_remarks
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.recording.run_folder import LABELLED
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.settings.loading import Settings
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.ready_made import load_with
from deeplabstream.settings.text_rewriting import with_drawn_seeds
from deeplabstream.startup.arguments import rig_settings
from deeplabstream.startup.progress import progress
from deeplabstream.startup.qt_environment import why_no_window
from deeplabstream.video.video_reader import VideoReader, open_video

_MOST_SHOWN = 50
"""Lines of differences that are printed."""


@program_options
class VideoAnalyzer:
    """A video or a recorded run, and the settings that analyse it."""

    settings: Path | None = option(
        default=None, metavar="FILE", filter="Settings (*.ini)"
    )
    """Settings file; default: of the rig folder; with `run`, of the run."""
    run: Path | None = option(default=None, metavar="FOLDER", folders=True)
    """Re-run the decisions of a recorded run from its poses and compare; with its own
    settings, or those given."""
    experiment: str | None = option(default=None, metavar="FILE")
    """Experiment of this file, or of this name in experiments/configs, on the rig of the
    settings; with `run`, from the first frame on."""
    video: Path | None = option(default=None, filter=VIDEO_FILTER)
    """Video, instead of [Video] VIDEO_SOURCE of the settings."""
    output: Path | None = option(default=None, metavar="FOLDER")
    """New run folder."""
    fast: bool = option(default=False)
    """As fast as possible, without a window."""
    differences: Path | None = option(default=None, metavar="FILE")
    """With `run`: write all frames with different decisions to a table (CSV)."""
    corrected: bool = option(default=False)
    """With `run`: decide on the poses with the corrections of the run."""
    overwrite: bool = overwrite()
    no_experiment: bool = option(default=False)
    """Poses and triggers only."""
    no_labels: bool = option(default=False)
    """Write no labelled video."""


def analyse_video(options: VideoAnalyzer) -> int:
    """Analyse a video, or re-run the decisions of a run; return 1 if they differ."""
    if options.run is not None:
        return _rerun_decisions(options.run, options)
    rig = options.settings or rig_settings()
    return _analyse(with_drawn_seeds(load_with(rig, options.experiment)), options)


def _rerun_decisions(run: Path, options: VideoAnalyzer) -> int:
    table = options.differences
    check_free([table] if table else [], options.overwrite)
    differences = rerun(
        run, options.settings, options.experiment, print, options.corrected
    )
    for line in differences.lines(_MOST_SHOWN):
        print(line)
    if table is not None:
        differences.write(table)
        print(f"all differences: {table}")
    return 0 if differences.same else 1


def _analyse(settings: Settings, options: VideoAnalyzer) -> int:
    video = options.video
    if video is None and settings.video.video_source is not None:
        video = settings.folder / settings.video.video_source
    if video is None:
        raise DeviceError("[Video] VIDEO_SOURCE: no video. Name one, or use --video")
    if settings.pose.infrared_model:
        raise DeviceError(
            f"[Pose Estimation] INFRARED_MODEL = {settings.pose.infrared_model}: a video is "
            "analysed with one network; remove this key for its analysis"
        )
    rows = open_video(video)
    for sentence in outdated_networks(settings):
        print(f"Warning: {sentence}", file=sys.stderr)
    estimator = _opened(settings, options.fast)
    for sentence in gpu_remarks():
        print(f"Warning: {sentence}", file=sys.stderr)

    tags, settings = _tags(settings, rows), _with_start(settings, rows)
    several = estimator.skeleton.count > 1 and not settings.arenas
    starts = (
        recorded_analysis_starts(rows, settings.deciding_camera, print)
        if several
        else ()
    )
    plate = RecordedPlate(())
    if settings.plate.markers:
        plate = recorded_plate(rows, settings.deciding_camera, print)
    decides = not options.no_experiment
    analysis = VideoAnalysis(settings, rows, estimator, decides, tags, starts, plate)
    with ExitStack() as files:
        folder = analysis.make_folder(options.output)
        writer = files.enter_context(RunWriter(folder, 0))
        labelled = None
        if not options.no_labels:
            path = folder.path / f"{analysis.camera}{LABELLED}"
            labelled = files.enter_context(VideoWriter(path, analysis.labelled_format))

        # poses are computed in batches, ahead of the frame that is decided
        precomputed = PrecomputedEstimator(estimator)
        frames = precomputed.frames(
            rows.images(), analysis.camera, left_out=plate.is_away
        )
        steps = analysis.steps(frames, precomputed, writer, labelled)
        if options.fast:
            for _ in progress(steps, video.name, len(rows)):
                pass
        whole = options.fast or _watch(steps, analysis)
    analysis.finish(folder, whole)

    for line in analysis.summary():
        print(line)
    print(f"run folder: {folder.path}")
    return 0


def _tags(settings: Settings, video: VideoReader) -> Sequence[TagRead]:
    """Return what the RFID readers of a rig read while a video was recorded."""
    placed = [
        name
        for name, device in settings.inputs.items()
        if isinstance(device, TagInput) and device.at
    ]
    if not placed:
        return ()
    tags = recorded_tags(video, print)
    if tags is None:
        print(
            f"Warning: [Input {placed[0]}]: {video.path.name} is not in the folder of the run "
            "that recorded it, so no tags are read and animals keep the names that they get "
            "without",
            file=sys.stderr,
        )
        return ()
    print(f"tags that were read during the video: {len(tags)}")
    return tags


def _with_start(settings: Settings, video: VideoReader) -> Settings:
    """Return the settings with the local time of the video, if they have a light cycle."""
    if settings.light.lit is None:
        return settings
    started = recorded_video_start(video, print)
    if started is None:
        print(
            f"Warning: [Light Cycle]: {video.path.name} is not in the folder of the run that "
            "recorded it, so light and dark phase are not known",
            file=sys.stderr,
        )
    return replace(settings, started=started)


def _opened(settings: Settings, fast: bool) -> PoseEstimator:
    if not fast:
        return open_network(settings)
    alone = partial(remembers, camera=settings.deciding_camera)
    return open_parallel(partial(open_network, settings), settings.pose.threads, alone)


def _watch(steps: Iterator[tuple[Frame, Step]], analysis: VideoAnalysis) -> bool:
    """Show the analysis at the video's rate; return whether it has ended."""
    rate = analysis.form.rate or 30.0
    if reason := why_no_window():
        print(f"{reason} The video is analysed at its own rate, without a window.")
        pacer = Pacer(rate)
        for index, _ in enumerate(steps):
            pacer.wait(index)
        return True

    from deeplabstream.gui.preview import run_feed

    return run_feed(
        lambda: next(steps, None),
        analysis.camera,
        analysis.zones,
        threshold=analysis.threshold,
        rate=rate,
        title=analysis.rows.path.name,
    )


PROGRAM = Program(
    VideoAnalyzer,
    analyse_video,
    __doc__,
    "VideoAnalyzer",
    stopped="stopped by Ctrl-C; the run folder contains the results so far",
)
