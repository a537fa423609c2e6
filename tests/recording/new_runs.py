"""Run folders that are written by a test."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from deeplabstream.core.command import OutputName
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder

SKELETON = Skeleton(("nose", 'left ear, "upper"', "tail"), (("nose", "tail"),))


STARTED = datetime(2026, 11, 21, 10, 58, 55, tzinfo=UTC)


FACTS = RunFacts(
    start_ns=1_000_000_000,
    cameras={"top": ImageFormat((48, 64), 30.0)},
    skeleton=SKELETON,
    model=ModelFacts("openfield", "ab" * 32, 0.5, "CPUExecutionProvider"),
    more={"seed": 3},
)


LASER = OutputName("laser, blue")


def new_run(root: Path, facts: RunFacts = FACTS) -> RunFolder:
    return RunFolder.create(root, STARTED, "[Streaming]\n", facts)


def step(index: int, *, pose: Pose | None = None, **more: object) -> Step:
    exposed = 1_000_000_000 + index * 33_333_333
    times = [exposed + plus for plus in (0, 500_000, 9_000_000, 9_100_000, 9_200_000)]
    if pose is None:
        points = np.arange(6, dtype=np.float32).reshape(1, 3, 2) / 3 + index
        pose = Pose(SKELETON, points, np.full((1, 3), 0.9, np.float32))
    told = {"triggers": {"in corner": None}, "commands": (), **more}
    return Step("top", index, *times, pose, **told)  # type: ignore[arg-type]
