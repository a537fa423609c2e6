"""Analysis of one video: its frames through the loop, labelled video and summary."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.journal_entries import Step, TagRead
from deeplabstream.engine.network_loading import network_ready_message
from deeplabstream.engine.plate_watch import PlateKnown
from deeplabstream.engine.replay.video_replay import new_folder, replay
from deeplabstream.engine.trigger_shapes import Outline, trigger_shapes_of
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.per_camera import thresholds_of
from deeplabstream.recording.frame_accounts import FrameCounts
from deeplabstream.recording.overlay import draw_overlay
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.settings.loading import Settings
from deeplabstream.video.video_reader import VideoReader


@dataclass
class VideoAnalysis:
    """Analysis of one video by the loop."""

    settings: Settings
    rows: VideoReader
    estimator: PoseEstimator
    experiment: bool
    """Whether the experiment runs; else poses and triggers only."""
    tags: Sequence[TagRead] = ()
    """What RFID readers read while the video was recorded, by the times of the video."""
    analysis_starts: Sequence[int] = ()
    """Times of the video, ns, at which the run that recorded it started its analysis."""
    plate: PlateKnown | None = None
    """Knows when the plate of the arenas was away; None: always in place."""
    frames: int = 0
    last: int = -1
    """Row of the last analysed frame."""
    visits: dict[str, list[list[int | None]]] = field(default_factory=dict)
    """By trigger: first row at which it was true, and first at which it was false again."""
    _inside: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.camera = self.settings.deciding_camera
        self.form = self.rows.form
        self.zones = trigger_shapes_of(self.settings, self.camera)
        self.threshold = thresholds_of(self.estimator).of(self.camera)

    @property
    def labelled_format(self) -> ImageFormat:
        """Format of the labelled video, always in colour."""
        return ImageFormat((self.form.height, self.form.width, 3), self.form.rate)

    def make_folder(self, path: Path | None) -> RunFolder:
        """Make the run folder: `path`, or a new one under OUTPUT_DIRECTORY."""
        network = network_ready_message(self.estimator, self.settings)
        video = {"video": str(self.rows.path)}
        return new_folder(self.settings, path, self.form, network, video)

    def steps(
        self,
        frames: Iterable[Frame],
        estimator: PoseEstimator,
        writer: RunWriter,
        labelled: VideoWriter | None,
    ) -> Iterator[tuple[Frame, Step]]:
        """Yield each frame and its step, after both were written.

        `estimator` estimates the `frames`; it may have computed their poses before.
        """
        current: list[Frame] = []

        def noted() -> Iterator[Frame]:
            for frame in frames:
                current[:] = [frame]
                yield frame

        for step in replay(
            self.settings,
            noted(),
            estimator,
            writer,
            self.experiment,
            tags=self.tags,
            analysis_starts=self.analysis_starts,
            plate=self.plate,
        ):
            self._count(step)
            if labelled is not None:
                image = draw_overlay(
                    current[0].image,
                    step.as_seen(self.threshold),
                    self._outlines(step),
                    f"{step.index}  {step.status}",
                )
                labelled.write(image, step.index, step.exposed_ns, step.arrived_ns)
            yield current[0], step

    def finish(self, folder: RunFolder, whole: bool) -> None:
        """Write the end into the run folder; `whole`: all frames were analysed."""
        accounts = FrameCounts(
            self.camera,
            "analysis",
            delivered=self.frames,
            lost=self.last + 1 - self.frames,
            analysed=self.frames,
            skipped=0,
        )
        reason = "end of the video" if whole else "stopped"
        folder.finish(datetime.now().astimezone(), reason, [accounts])

    def summary(self) -> Iterator[str]:
        """Yield sentences on the frames, and on the visits of each trigger."""
        yield f"{self.frames} frames analysed by {self.estimator.provider}"
        if lost := self.last + 1 - self.frames:
            yield f"{lost} frames could not be decoded and have no row"
        for name, visits in self.visits.items():
            yield f"[Trigger {name}] was true {len(visits)} times, first to last frame:"
            for start, end in visits:
                last = "the end" if end is None else str(end - 1)
                yield f"  {start} to {last}"

    def _outlines(self, step: Step) -> dict[str, tuple[Outline, bool | None]]:
        return {
            zone.trigger: (zone.outline, step.answers.get(zone.trigger))
            for zone in self.zones
            if len(zone.outline) > 1
        }

    def _count(self, step: Step) -> None:
        """Count visits: from the first true to the first false; unknown is neither."""
        self.frames += 1
        self.last = step.index
        for name, answer in step.answers.items():
            inside = self._inside.get(name, False)
            if answer is True and not inside:
                self.visits.setdefault(name, []).append([step.index, None])
            elif answer is False and inside:
                self.visits[name][-1][1] = step.index
            if answer is not None:
                self._inside[name] = answer
