"""A rig whose poses come from background subtraction."""

from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.engine.checks.settings_check import rig_problems
from deeplabstream.engine.network_loading import network_ready_message, open_network
from deeplabstream.engine.replay.video_replay import new_folder, replay
from deeplabstream.offline.video_inference import remembers
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import Settings, parse
from tests.pose.fly_images import SHAPE, image_of

RIG = """
[Pose Estimation]
MODEL = background
[Background Subtraction]
LENGTH_PX = 20
[Camera top]
KIND = SimulatedCamera
[Trigger left]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle 0 0 100 120
[Output light]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = example
[Experiment example]
KIND = ExampleExperiment
REGIONS = left
STIMULI = light
"""


def decided(settings: Settings, folder: Path) -> tuple[bytes, list[bool | None]]:
    """Return the recorded poses and the trigger's answers of a fly that walks right."""
    estimator = open_network(settings)
    form = ImageFormat(SHAPE, 30.0)
    network = network_ready_message(estimator, settings)
    answers = []
    run = new_folder(settings, folder, form, network, {})
    frames = (
        Frame(
            "top", n, n * 33_000_000, n * 33_000_000, image_of([(60.5 + n, 60, 0)], n)
        )
        for n in range(80)
    )
    with RunWriter(run, 0) as writer:
        for step in replay(settings, frames, estimator, writer):
            answers.append(step.triggers["left"])
    return (folder / "top.csv").read_bytes(), answers


def test_triggers_decide_on_its_poses_and_equal_frames_give_equal_files(
    tmp_path: Path,
) -> None:
    settings = parse(RIG, tmp_path)
    assert rig_problems(settings) == []
    poses, answers = decided(settings, tmp_path / "one")
    again, _ = decided(settings, tmp_path / "two")
    assert poses == again
    assert answers == [60.5 + n <= 100 for n in range(80)]


def test_a_body_part_that_it_does_not_find_is_a_problem_of_the_settings(
    tmp_path: Path,
) -> None:
    settings = parse(RIG.replace("BODYPARTS = centre", "BODYPARTS = front"), tmp_path)
    (problem,) = rig_problems(settings)
    assert "[Trigger left] BODYPARTS: the network has no body part 'front'" in problem
    with pytest.raises(SettingsError):
        open_network(settings)
    axis = RIG.replace("LENGTH_PX = 20", "POINTS = axis")
    assert rig_problems(parse(axis, tmp_path)) == []


def test_named_animals_are_as_many_objects(tmp_path: Path) -> None:
    names = "[Animals]\nNAMES = anna, bob\n"
    estimator = open_network(parse(RIG + names, tmp_path))
    assert estimator.skeleton.animals == ("anna", "bob")
    (pose,) = estimator.estimate([image_of([(60, 60, 0), (140, 60, 0)])])
    assert np.isfinite(pose.points).all()


def test_one_copy_sees_all_frames_of_a_video_in_their_order(tmp_path: Path) -> None:
    names = "[Animals]\nNAMES = anna, bob\n"
    for text in (RIG, RIG + names):
        assert remembers(open_network(parse(text, tmp_path)), "top")
