"""A video through the loop: the same twice, byte for byte."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.engine.replay.video_replay import replay
from deeplabstream.pose.placeholder_network import PlaceholderNetwork
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import parse

SETTINGS = """
[Pose Estimation]
MODEL = stand-in:0
[Experiment]
EXP_NAME = Conditional
[Camera top]
KIND = SimulatedCamera
[Trigger spot]
KIND = InsideRegion
BODYPARTS = snout
REGION = circle 60 30 25
[Output light]
KIND = SimulatedOutput
[Experiment Conditional]
TRIGGER = spot
OUTPUT = light
MAX_ON_S = 0.2
REST_S = 0.1
"""


def dark_spot(count: int) -> Iterator[Frame]:
    """Yield bright pictures with one dark spot that runs from left to right."""
    for index in range(count):
        image = np.full((60, 120), 200, np.uint8)
        column = 3 * (index % 40)
        image[27:33, column : column + 3] = 10
        time_ns = index * 33_333_333
        yield Frame("top", index, time_ns, time_ns, image)


def run_into(
    folder: Path, count: int = 90, text: str = SETTINGS, experiment: bool = True
) -> RunFolder:
    settings = parse(text, folder)
    network = PlaceholderNetwork()
    model = ModelFacts("stand-in:0", "", network.threshold, network.provider)
    form = ImageFormat((60, 120), 30.0)
    facts = RunFacts(0, {"top": form}, network.skeleton, model)
    made = RunFolder.create_at(folder, datetime.now(UTC), settings.text, facts)
    with RunWriter(made, 0) as writer:
        steps = list(replay(settings, dark_spot(count), network, writer, experiment))
    assert [step.index for step in steps] == list(range(count))
    return made


def test_two_replays_are_byte_identical(tmp_path: Path) -> None:
    one, two = run_into(tmp_path / "one"), run_into(tmp_path / "two")
    for name in ("top.csv", "triggers.csv", "events.csv"):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()


def test_the_light_is_on_inside_and_off_afterwards(tmp_path: Path) -> None:
    folder = run_into(tmp_path / "run")
    rows = folder.events()
    marks = [row["text"] for row in rows if row["kind"] == "mark"]
    # inside for 16 frames (0.53 s) of each pass: 0.2 s on, 0.1 s of rest, on again
    assert marks == ["trial 1", "trial 2", "trial 3", "trial 4"]
    levels = [float(row["level"]) for row in rows if row["kind"] == "edge"]
    assert levels[1:9] == [1, 0] * 4
    assert levels[-1] == 0


def test_every_pose_comes_back_bit_by_bit(tmp_path: Path) -> None:
    folder = run_into(tmp_path / "run")
    network = PlaceholderNetwork()
    for frame, step in zip(dark_spot(90), folder.steps("top"), strict=True):
        pose = network.estimate([frame.image])[0]
        assert np.array_equal(pose.points, step.pose.points)
