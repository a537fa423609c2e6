"""Replays of a video decide on an absent plate as the run that recorded it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.plate_watch import AWAY_FLAG, PlateKnown
from deeplabstream.engine.replay.recorded_plate import RecordedPlate, recorded_plate
from deeplabstream.engine.replay.video_replay import replay
from deeplabstream.offline.video_inference import PrecomputedEstimator
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.settings.loading import parse
from deeplabstream.video.video_reader import VideoReader, open_video

RIG = """
[Camera arena]
KIND = SimulatedCamera
WIDTH = 64
HEIGHT = 64
[Trigger inside]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle 0 0 32 64
"""
FORM = ImageFormat((64, 64, 3), 20.0)
FLY = Skeleton(("centre",))
FRAMES, INTERVAL_NS, STARTED_NS = 40, 50_000_000, 7 * 10**9
EVERY = 3
"""One in this many frames is analysed during the run."""
LOST, BACK = 10, 25


@dataclass
class Standing:
    """A detector that finds a fly, and counts the images that it was given."""

    skeleton, threshold, provider, sha256 = FLY, 0.5, "drawn", ""
    images: list[int] = field(default_factory=list)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        self.images += [int(image[0, 0, 0]) for image in images]
        point = np.array([[[12, 20]]], np.float32)
        return [Pose(FLY, point, np.ones((1, 1), np.float32)) for _ in images]


def image_of(frame: int) -> Image:
    return np.full(FORM.shape, 4 * frame, np.uint8)


def folder_of(path: Path) -> RunFolder:
    facts = RunFacts(0, {"arena": FORM}, FLY, ModelFacts("drawn", "", 0.5, "drawn"))
    return RunFolder.create_at(path, datetime(2026, 1, 1, tzinfo=UTC), RIG, facts)


def replayed(
    folder: RunFolder,
    frames: Iterator[Frame],
    estimator: Standing | PrecomputedEstimator,
    plate: PlateKnown,
) -> list[Step]:
    settings = parse(RIG, folder.path)
    with RunWriter(folder, 0) as writer:
        return [*replay(settings, frames, estimator, writer, False, plate=plate)]


def run_with_video(path: Path) -> list[Step]:
    """Return the steps of a run of every third frame, whose video has all."""
    folder = folder_of(path)
    times_ns = [STARTED_NS + n * INTERVAL_NS for n in range(FRAMES)]
    plate = RecordedPlate([(times_ns[LOST], True), (times_ns[BACK], False)])

    def frames() -> Iterator[Frame]:
        for n in range(0, FRAMES, EVERY):
            yield Frame("arena", n, times_ns[n], times_ns[n], image_of(n))

    steps = replayed(folder, frames(), Standing(), plate)
    with VideoWriter(path / "arena.mkv", FORM) as file:
        for n, time_ns in enumerate(times_ns):
            file.write(image_of(n), n, time_ns, time_ns)
    folder.finish(datetime(2026, 1, 1, tzinfo=UTC), "stopped", [])
    return steps


def video_of(path: Path) -> VideoReader:
    return open_video(path / "arena.mkv")


def test_a_replay_of_the_video_decides_as_the_run(tmp_path: Path) -> None:
    run = run_with_video(tmp_path / "run")
    assert {step.triggers["inside"] for step in run} == {True, None}
    video = video_of(tmp_path / "run")
    plate = recorded_plate(video, "arena", print)

    network = Standing()
    precomputed = PrecomputedEstimator(network)
    frames = precomputed.frames(video.images(), "arena", left_out=plate.is_away)
    again = replayed(folder_of(tmp_path / "replay"), frames, precomputed, plate)
    assert [step.index for step in again] == [*range(FRAMES)]
    same = {step.index: (step.triggers, step.flags) for step in again}
    assert [same[step.index] for step in run] == [(it.triggers, it.flags) for it in run]

    # frames that the run has not analysed are as those before them
    away = [step.index for step in again if step.flags == AWAY_FLAG]
    assert away == [*range(12, 27)]
    assert len(network.images) == FRAMES - len(away)
    events = (tmp_path / "replay" / "events.csv").read_text("utf-8")
    assert "All arenas are unknown from frame 12 on" in events


def test_a_plate_is_never_away_in_a_video_that_no_run_has_recorded(
    tmp_path: Path,
) -> None:
    run_with_video(tmp_path / "run")
    (tmp_path / "run" / "arena.mkv").rename(tmp_path / "arena.mkv")
    video = video_of(tmp_path)
    plate = recorded_plate(video, "arena", print)
    assert not any(plate.problem_at(int(time)) for time in video.times_ns)
