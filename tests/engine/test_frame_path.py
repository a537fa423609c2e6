"""The files that a frame passes, from its image to the byte on the serial line."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from cameras.simulated import SimulatedCamera
from deeplabstream.analysis.live_measures import measuring
from deeplabstream.core.clock import ManualClock
from deeplabstream.core.frame import Frame, Image
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.network_loading import open_network
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.pose_filtering import pose_filter_of
from deeplabstream.pose.per_camera import thresholds_of
from deeplabstream.settings.loading import parse

if sys.platform != "win32":
    import tty

ROOT = Path(__file__).resolve().parents[2]
RIG = """
[Camera top]
KIND = SimulatedCamera
[Pose Estimation]
MODEL = models/arena
RUNTIME = cpu
[Trigger anywhere]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 640 480
[Output laser]
KIND = SerialLine
PORT = {port}
[Experiment light]
KIND = Conditional
TRIGGER = anywhere
OUTPUT = laser
[Experiment]
EXP_NAME = light
MAX_AGE_MS = 60000
"""
BESIDE = {
    "deeplabstream/core/clock.py": "times",
    "deeplabstream/core/command.py": "class of the command",
    "deeplabstream/core/errors.py": "section of an error",
    "deeplabstream/analysis/live_measures.py": "measures, after the write",
    "deeplabstream/engine/deferred_measures.py": "measures, after the write",
    "deeplabstream/engine/running_experiment.py": "permit of the plan",
    "deeplabstream/plugins/event_output.py": "events of other outputs, after the write",
}
"""Files that are called while a frame is processed, and do not pass its values on."""


def documented() -> dict[str, set[str]]:
    """Return the files that docs/architecture.md lists, by step."""
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    table = page.partition("To follow one frame from a webcam")[2].split("\n\n")[1]
    rows = {row.split("|")[1].strip(): row for row in table.splitlines() if "](" in row}
    return {
        step: set(re.findall(r"\]\(\.\./([\w/]+\.py)\)", row))
        for step, row in rows.items()
    }


@contextmanager
def called_files() -> Iterator[set[str]]:
    """Collect the files of the project whose functions are called in the block."""
    files: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        ours = path.is_relative_to(ROOT) and "site-packages" not in path.parts
        if event == "call" and ours and path != Path(__file__):
            files.add(path.relative_to(ROOT).as_posix())

    sys.setprofile(note)
    try:
        yield files
    finally:
        sys.setprofile(None)


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_a_frame_passes_the_files_that_the_documentation_lists() -> None:
    board, port = os.openpty()
    tty.setraw(board)
    settings = parse(RIG.format(port=os.ttyname(port)), ROOT)
    estimator, clock = open_network(settings), ManualClock()
    skeleton, thresholds = estimator.skeleton, thresholds_of(estimator)
    camera = SimulatedCamera(shelter=False)
    image: Image = np.empty(camera.shape, np.uint8)
    files: set[str] = set()
    with opened(settings.outputs, clock, lambda entry: None) as bank:
        loop = Loop(
            estimator,
            settings.experiment,
            "top",
            clock,
            lambda entry: None,
            0,
            pose_filter=pose_filter_of(settings, thresholds),
            measuring=measuring(settings, skeleton, thresholds),
        )
        loop.begin(settings.new_experiment(), settings.new_triggers(), bank)
        os.read(board, 100)
        for index in range(2):
            camera.arena.draw(image, index / 30, index)
            now_ns = round((1 + index / 30) * 1e9)
            clock.set(now_ns)
            with called_files() as files:
                step = loop.step(Frame("top", index, now_ns, now_ns, image))
        assert step.written_ns and os.read(board, 100) == b"H"
    os.close(board)
    os.close(port)

    steps = documented()
    # cameras fill the ring in processes of their own, and the engine process takes it to the loop
    of_other_processes = {
        *steps["capture"],
        "deeplabstream/engine/processes/engine_process.py",
    }
    assert files - BESIDE.keys() == set.union(*steps.values()) - of_other_processes
