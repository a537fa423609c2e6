"""A recorded run with a sync signal."""

from pathlib import Path

import numpy as np

from deeplabstream.core.journal_entries import Edge, Sensed, Step
from deeplabstream.core.pose import Pose
from deeplabstream.ipc.ring import Stamp
from deeplabstream.recording.alignment.sync_signals import Edges
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from tests.recording.recorded import FORM, SETTINGS, SKELETON, START_NS, STARTED

RATE = 2.0
INPUT = """\
[Input sync]
KIND = BoardSync
PORT = COM3
PIN = 8
"""


def frame_s(frame: int) -> float:
    return frame / RATE


def made(path: Path, line: Edges, seconds: float) -> Path:
    """Write a run: frames at `RATE`, the line as input `sync`, a light for 10 s."""
    model = ModelFacts("arena", "0" * 64, 0.5, "CPUExecutionProvider")
    facts = RunFacts(START_NS, {"top": FORM}, SKELETON, model)
    folder = RunFolder.create_at(path, STARTED, SETTINGS + INPUT, facts)
    with RunWriter(folder, START_NS) as run:
        run.begin("top", SKELETON, ("in",), inputs=("sync", "sync.count"))
        run.entry(Edge("light", 0.0, "open", START_NS, START_NS))
        count = 0
        times_ns = START_NS + np.round(line.times_s * 1e9).astype(np.int64)
        run.entry(Sensed("sync", False, 0, START_NS, START_NS))
        for at_ns, high in zip(times_ns.tolist(), line.rising.tolist(), strict=True):
            count += high
            run.entry(Sensed("sync", high, count, at_ns, at_ns + 1000))
        for frame in range(int(seconds * RATE)):
            at = START_NS + round(frame_s(frame) * 1e9)
            if frame % 7 == 3:
                run.skipped("top", Stamp(frame, at, at + 1))
                continue
            points = np.full((1, 2, 2), float(frame % 40), np.float32)
            pose = Pose(SKELETON, points, np.full((1, 2), 0.9, np.float32))
            inside = frame % 20 < 10
            run.step(
                Step(
                    "top",
                    frame,
                    at,
                    at + 1,
                    at + 2,
                    at + 3,
                    0,
                    pose,
                    {"in": inside},
                    (),
                )
            )
        for at_s, level in ((100.0, 1.0), (110.0, 0.0)):
            at = START_NS + round(at_s * 1e9)
            run.entry(Edge("light", level, "plan", at, at))
    folder.finish(STARTED, "stop", [])
    return path
