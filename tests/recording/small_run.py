"""A small run whose every value is known."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Edge, Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.ipc.ring import Stamp
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.recording.video_writer import VideoWriter

FORM = ImageFormat((48, 64), 30.0)
SKELETON = Skeleton(("nose", "tail"), (("nose", "tail"),))
NAMES = ("anna", "bob")
START = 1_000_000_000_000_000_000  # as large as a clock's, so that rounding would show
STARTED = datetime(2026, 11, 21, 10, 0, 10, tzinfo=UTC)


def exposed(index: int) -> int:
    return START + index * 33_333_333 + index % 3


def point(index: int, animal: int, part: int) -> tuple[float, float]:
    return 100 * animal + 10.5 * part + index / 4, 200 * animal + index / 8


def skeleton(animals: int) -> Skeleton:
    return replace(SKELETON, animals=NAMES[:animals] if animals > 1 else ())


def step(index: int, animals: int) -> Step:
    points = np.array(
        [[point(index, a, p) for p in range(2)] for a in range(animals)], np.float32
    )
    confidence = np.full((animals, 2), 0.5 + index / 100, np.float32)
    pose, at = Pose(skeleton(animals), points, confidence), exposed(index)
    return Step("top", index, at, at + 1, at + 2, at + 3, 0, pose, {"in": True}, ())


def made(root: Path, animals: int = 1, video: bool = True) -> Path:
    """Frames 0 to 9; 2 to 8 were analysed, but for 5; 1 to 4 and 5 to 9 were filmed."""
    model = ModelFacts("arena", "0" * 64, 0.56, "CPUExecutionProvider")
    more = {"started_ns": START + 10_000_000_000}
    facts = RunFacts(START, {"top": FORM}, skeleton(animals), model, more)
    folder = RunFolder.create_at(root / "run", STARTED, "", facts)
    with RunWriter(folder, START) as run:
        run.begin("top", skeleton(animals), ("in",))
        for index in range(2, 9):
            if index == 5:
                run.skipped("top", Stamp(index, exposed(index), exposed(index) + 1))
            else:
                run.step(step(index, animals))
        run.entry(Edge("light", 1.0, "plan", START, START + 7))
    for frames in (range(1, 5), range(5, 10)) if video else ():
        with VideoWriter(folder.new_video_path("top"), FORM) as film:
            for index in frames:
                image = np.zeros(FORM.shape, np.uint8)
                film.write(image, index, exposed(index), exposed(index) + 1)
    folder.finish(STARTED, "stopped", [])
    return folder.path


def expected(frames: range, animals: int = 1) -> np.ndarray:
    """(frame, animal, part, 3): NaN and no confidence where nothing was seen."""
    values = np.full((len(frames), animals, 2, 3), np.nan)
    values[..., 2] = 0
    for row, index in enumerate(frames):
        if 2 <= index <= 8 and index != 5:
            for animal in range(animals):
                for part in range(2):
                    values[row, animal, part, :2] = point(index, animal, part)
            values[row, ..., 2] = np.float32(0.5 + index / 100)
    return values


def write_flags(run: Path, of_frames: Mapping[str, str]) -> None:
    """Write the column `flags`, by frame."""
    table = run / "top.csv"
    lines = [line.split(",") for line in table.read_text("utf-8").splitlines()]
    flags, frame = lines[0].index("flags"), lines[0].index("frame")
    for line in lines[1:]:
        line[flags] = of_frames.get(line[frame], "")
    table.write_text("".join(",".join(line) + "\n" for line in lines), "utf-8")
