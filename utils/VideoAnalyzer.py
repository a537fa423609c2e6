"""Analyse a video with network and experiment, at its own rate or as fast as possible.

The same video with the same settings gives the same poses, triggers and events, byte for byte.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from deeplabstream.startup.arguments import ProgramParser, rig_settings
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.startup.progress import progress
from deeplabstream.engine.replay.rerun import rerun
from deeplabstream.engine.network_loading import (
    network_ready_message,
    open_network,
    outdated_networks,
)
from deeplabstream.settings.ready_made import load_with
from deeplabstream.engine.replay.video_replay import new_folder, replay
from deeplabstream.settings.text_rewriting import with_drawn_seeds
from deeplabstream.settings.loading import Settings
from deeplabstream.engine.trigger_shapes import Outline, trigger_shapes_of
from deeplabstream.video.video_reader import VideoReader, open_video
from deeplabstream.offline.video_inference import PrecomputedEstimator, remembers
from deeplabstream.offline.parallel import open_parallel
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.per_camera import thresholds_of
from deeplabstream.pose.runtimes.gpu_use import gpu_remarks
from deeplabstream.recording.frame_accounts import FrameCounts
from deeplabstream.recording.overlay import draw_overlay
from deeplabstream.recording.run_folder import LABELLED, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.recording.video_writer import VideoWriter

MOST_SHOWN = 50


@ending("stopped by Ctrl-C; the run folder contains the results so far")
def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return 0, or 2 when something that the user can mend is wrong.

    With --run, 1 says that something else would have been asked for now.
    """
    asked = _parser().parse_args(argv)
    if asked.run is not None:
        return _decide_again(asked)
    rig = asked.settings or rig_settings()
    return _analyse(with_drawn_seeds(load_with(rig, asked.experiment)), asked)


def _parser() -> ProgramParser:
    parser = ProgramParser(description=__doc__)
    add = parser.add_argument
    add("--settings", type=Path, metavar="FILE", help="default: of the rig folder")
    add(
        "--run",
        type=Path,
        metavar="FOLDER",
        help=(
            "re-run the decisions of a recorded run from its poses and compare; "
            "with its own settings, or those given"
        ),
    )
    add(
        "--experiment",
        metavar="FILE",
        help=(
            "experiment of this file, or of this name in experiments/configs, on "
            "the rig of the settings; with --run, from the first frame on"
        ),
    )
    add(
        "--video",
        type=Path,
        help="video, instead of [Video] VIDEO_SOURCE of the settings",
    )
    add("--output", type=Path, metavar="FOLDER", help="new run folder")
    add("--fast", action="store_true", help="as fast as possible, without a window")
    add(
        "--differences",
        type=Path,
        metavar="FILE",
        help="with --run: write all frames with different decisions to a table (CSV)",
    )
    add(
        "--corrected",
        action="store_true",
        help="with --run: decide on the poses with the corrections of the run",
    )
    add_overwrite(parser)
    add("--no-experiment", action="store_true", help="poses and triggers only")
    add("--no-labels", action="store_true", help="write no labelled video")
    return parser


def _decide_again(asked: argparse.Namespace) -> int:
    check_free([asked.differences] if asked.differences else [], asked.overwrite)
    found = rerun(asked.run, asked.settings, asked.experiment, print, asked.corrected)
    for line in found.lines(MOST_SHOWN):
        print(line)
    if asked.differences is not None:
        found.write(asked.differences)
        print(f"all differences: {asked.differences}")
    return 0 if found.same else 1


def _analyse(settings: Settings, asked: argparse.Namespace) -> int:
    source = asked.video or settings.video.video_source
    if source is None:
        raise DeviceError("[Video] VIDEO_SOURCE: no video. Name one, or use --video")
    source = source if asked.video else settings.folder / source
    rows = open_video(source)
    for sentence in outdated_networks(settings):
        print(f"Warning: {sentence}", file=sys.stderr)
    estimator = _opened(settings, asked.fast)
    for sentence in gpu_remarks():
        print(f"Warning: {sentence}", file=sys.stderr)
    analysis = Analysis(settings, rows, estimator, not asked.no_experiment)
    with ExitStack() as files:
        folder = analysis.make_folder(asked.output)
        writer = files.enter_context(RunWriter(folder, 0))
        drawn = None
        if not asked.no_labels:
            path = folder.path / f"{analysis.camera}{LABELLED}"
            drawn = files.enter_context(VideoWriter(path, analysis.labelled_format))
        shown = analysis.images(writer, drawn)
        whole = _exhaust(shown, analysis) if asked.fast else _watch(shown, analysis)
    analysis.finish(folder, whole)
    for line in analysis.summary():
        print(line)
    print(f"run folder: {folder.path}")
    return 0


def _opened(settings: Settings, fast: bool) -> PoseEstimator:
    if not fast:
        return open_network(settings)
    alone = partial(remembers, camera=settings.deciding_camera)
    return open_parallel(partial(open_network, settings), settings.pose.threads, alone)


@dataclass
class Analysis:
    """One video on its way through the loop."""

    settings: Settings
    rows: VideoReader
    estimator: PoseEstimator
    experiment: bool
    frames: int = 0
    last: int = -1
    """Row of the last frame that was analysed."""
    visits: dict[str, list[list[int | None]]] = field(default_factory=dict)
    _inside: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.camera = self.settings.deciding_camera
        self.source, self.form = self.rows.path, self.rows.form
        self.zones = trigger_shapes_of(self.settings, self.camera)
        self.threshold = thresholds_of(self.estimator).of(self.camera)

    @property
    def labelled_format(self) -> ImageFormat:
        """The labelled video is in colour, whatever the video was."""
        return ImageFormat((self.form.height, self.form.width, 3), self.form.rate)

    def make_folder(self, path: Path | None) -> RunFolder:
        """Make the run folder: `path`, or a new one under OUTPUT_DIRECTORY."""
        settings, more = self.settings, {"video": str(self.source)}
        known = network_ready_message(self.estimator, settings)
        return new_folder(settings, path, self.form, known, more)

    def images(
        self, writer: RunWriter, drawn: VideoWriter | None
    ) -> Iterator[tuple[Frame, Step]]:
        """Yield each frame with what happened to it, after everything was written."""
        held: list[Frame] = []

        foreseen = PrecomputedEstimator(self.estimator)

        def frames() -> Iterator[Frame]:
            for frame in foreseen.frames(self.rows.images(), self.camera):
                held[:] = [frame]
                yield frame

        steps = replay(self.settings, frames(), foreseen, writer, self.experiment)
        for step in steps:
            self._count(step)
            if drawn is not None:
                image = draw_overlay(
                    held[0].image,
                    step.as_seen(self.threshold),
                    self._drawn(step),
                    f"{step.index}  {step.status}",
                )
                drawn.write(image, step.index, step.exposed_ns, step.arrived_ns)
            yield held[0], step

    def _drawn(self, step: Step) -> dict[str, tuple[Outline, bool | None]]:
        answers = step.triggers
        return {
            zone.trigger: (zone.outline, answers.get(zone.trigger))
            for zone in self.zones
            if len(zone.outline) > 1
        }

    def _count(self, step: Step) -> None:
        """Keep the visits: from the first yes to the first no; unknown is neither."""
        self.frames += 1
        self.last = step.index
        for name, answer in step.triggers.items():
            inside = self._inside.get(name, False)
            if answer is True and not inside:
                self.visits.setdefault(name, []).append([step.index, None])
            elif answer is False and inside:
                self.visits[name][-1][1] = step.index
            if answer is not None:
                self._inside[name] = answer

    def finish(self, folder: RunFolder, whole: bool) -> None:
        """Say in the record how it ended."""
        accounts = FrameCounts(
            self.camera,
            "analysis",
            delivered=self.frames,
            lost=self.last + 1 - self.frames,
            analysed=self.frames,
            skipped=0,
        )
        how = "end of the video" if whole else "stopped"
        folder.finish(datetime.now().astimezone(), how, [accounts])

    def summary(self) -> Iterator[str]:
        """Yield what a person wants to know at the end."""
        yield f"{self.frames} frames analysed by {self.estimator.provider}"
        if lost := self.last + 1 - self.frames:
            yield f"{lost} frames could not be decoded and have no row"
        for name, visits in self.visits.items():
            yield f"[Trigger {name}] was true {len(visits)} times, first to last frame:"
            for start, end in visits:
                last = "the end" if end is None else str(end - 1)
                yield f"  {start} to {last}"


def _exhaust(shown: Iterator[tuple[Frame, Step]], analysis: Analysis) -> bool:
    for _ in progress(shown, analysis.source.name, len(analysis.rows)):
        pass
    return True


def _watch(shown: Iterator[tuple[Frame, Step]], analysis: Analysis) -> bool:
    """Show the analysis at the video's pace; return whether it came to its end."""
    from deeplabstream.core.clock import Pacer
    from deeplabstream.gui.qt_environment import why_no_window

    rate = analysis.form.rate or 30.0
    reason = why_no_window()
    if not reason:
        from deeplabstream.gui.preview import run_feed

        return run_feed(
            lambda: next(shown, None),
            analysis.camera,
            analysis.zones,
            threshold=analysis.threshold,
            rate=rate,
            title=analysis.source.name,
        )
    print(f"{reason} The video is analysed at its own rate, without a window.")
    pacer = Pacer(rate)
    for index, _ in enumerate(shown):
        pacer.wait(index)
    return True


if __name__ == "__main__":
    sys.exit(main())
