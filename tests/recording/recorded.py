"""A small recorded run of which everything is known."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from deeplabstream.core.command import Mark
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Edge, Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.ipc.ring import Stamp
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.recording.video_writer import VideoWriter

FORM = ImageFormat((48, 64), 10.0)
SKELETON = Skeleton(("nose", "tail"), (("nose", "tail"),))
START_NS = 1_000_000_000
STARTED = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
FRAMES, SKIPPED, UNFILMED = 40, 7, 30
"""Frames in all, ten a second; one not analysed; the last ten were not filmed."""
SETTINGS = """\
[Camera top]
KIND = SimulatedCamera
[Trigger in]
KIND = InsideRegion
BODYPARTS = nose
REGION = circle 20 20 9
"""


def exposed_ns(frame: int) -> int:
    return START_NS + frame * 100_000_000


def brightness(frame: int) -> int:
    return 20 + 5 * frame


def answer(frame: int) -> bool | None:
    """Inside from frame 10 to 19, unknown from 20 to 24."""
    return None if 20 <= frame < 25 else 10 <= frame < 20


def step(frame: int) -> Step:
    points = np.array([[[frame, 10.0], [frame + 5.0, 30.0]]], np.float32)
    pose = Pose(SKELETON, points, np.array([[0.9, 0.2]], np.float32))
    at = exposed_ns(frame)
    marks = (Mark("entry"),) if frame == 10 else ()
    return Step(
        "top", frame, at, at + 1, at + 2, at + 3, 0, pose, {"in": answer(frame)}, marks
    )


def record(path: Path, filmed: range = range(UNFILMED)) -> Path:
    """Write the run to a new folder; the light is on at half from 1.05 s to 2.05 s.

    `filmed` are the frames that the video has; without any there is no video.
    """
    model = ModelFacts("arena", "0" * 64, 0.5, "CPUExecutionProvider")
    facts = RunFacts(START_NS, {"top": FORM}, SKELETON, model)
    folder = RunFolder.create_at(path, STARTED, SETTINGS, facts)
    with RunWriter(folder, START_NS) as run:
        run.begin("top", SKELETON, ("in",))
        run.entry(Edge("light", 0.0, "open", START_NS, START_NS))
        for frame in range(FRAMES):
            if frame == SKIPPED:
                at = exposed_ns(frame)
                run.skipped("top", Stamp(frame, at, at + 1))
            else:
                run.step(step(frame))
        for at_s, level, cause in ((1.05, 0.5, "plan"), (2.05, 0.0, "lost")):
            at = START_NS + round(at_s * 1e9)
            run.entry(Edge("light", level, cause, at, at))
    if filmed:
        with VideoWriter(folder.new_video_path("top"), FORM) as film:
            for frame in filmed:
                image = np.full(FORM.shape, brightness(frame), np.uint8)
                film.write(image, frame, exposed_ns(frame), exposed_ns(frame) + 1)
    folder.finish(STARTED, "stopped", [])
    return path
