"""A drawn animal that rests and walks, and what a rig records of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import numpy as np

from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.replay.video_replay import replay
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import parse

RATE = 30
SKELETON = Skeleton(("snout", "leftear", "rightear", "tailbase"))
BODY = np.array([(30, 0), (15, -10), (15, 10), (-30, 0)])

RIG = """
[Camera top]
KIND = SimulatedCamera

[Experiment]
EXP_NAME = light

[Experiment light]
KIND = Conditional
TRIGGER = walking
OUTPUT = lamp
TRIALS = 1000
MAX_ON_S = 100
REST_S = 0

[Output lamp]
KIND = SimulatedOutput
"""
PLACE = """
[Trigger walking]
KIND = InsideRegion
BODYPARTS = snout
REGION = circle 0 0 10
"""


@dataclass
class Animal:
    """Rests for a while, walks for a while; what it does is known at every time."""

    seed: int
    skeleton: Skeleton = SKELETON
    threshold: float = 0.5
    provider: str = "drawn"
    sha256: str = ""

    def __post_init__(self) -> None:
        random, time_s = Random(self.seed), 0.0
        self.bouts: list[tuple[float, float, str]] = []
        while time_s < 120:
            name = ("rest", "walk")[len(self.bouts) % 2]
            end_s = round(time_s + random.uniform(1.5, 4), 3)
            self.bouts.append((time_s, end_s, name))
            time_s = end_s
        self._noise = np.random.default_rng(self.seed)
        self._index, self._x = -1, 100.0

    def does(self, time_s: float) -> str:
        return next(name for start, end, name in self.bouts if start <= time_s < end)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        self._index += 1
        time_s = self._index / RATE
        walking = self.does(time_s) == "walk"
        self._x += 120 / RATE * walking
        stretch = 1 + 0.1 * walking * np.sin(12 * time_s)
        body = BODY * (stretch, 1) + self._noise.normal(0, 0.7, BODY.shape)
        points = (body + np.array([self._x % 500, 200])).astype(np.float32)[None]
        return [Pose(SKELETON, points, np.ones((1, 4), np.float32))]


def run(
    text: str, path: Path, seed: int, seconds: float
) -> tuple[RunFolder, list[Step]]:
    """Return what a rig of these settings records of an animal."""
    animal = Animal(seed)
    settings = parse(text, path.parent)
    facts = RunFacts(
        0,
        {"top": ImageFormat((480, 640, 3), RATE)},
        SKELETON,
        ModelFacts("drawn", "", 0.5, "drawn"),
    )
    folder = RunFolder.create_at(path, datetime(2026, 1, 1, tzinfo=UTC), text, facts)

    def frames() -> Iterator[Frame]:
        for index in range(round(seconds * RATE)):
            time_ns = round(index * 1e9 / RATE)
            yield Frame("top", index, time_ns, time_ns, np.zeros((1, 1), np.uint8))

    with RunWriter(folder, 0) as writer:
        steps = list(replay(settings, frames(), animal, writer))
    folder.finish(datetime(2026, 1, 1, tzinfo=UTC), "stopped", [])
    return folder, steps
