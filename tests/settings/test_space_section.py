"""Points in space: cameras, calibration, and what does not fit them."""

from dataclasses import replace
from pathlib import Path

import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.calibrations.aniposelib_toml import write_aniposelib
from deeplabstream.settings.loading import Settings, check_against, parse
from deeplabstream.settings.sections import effective
from deeplabstream.settings.space_checks import read_space_cameras, size_problems
from tests.space.cameras import four_cameras

RIG = """
[Camera top]
KIND = SimulatedCamera
ANALYSE = no
[Camera left]
KIND = SimulatedCamera
[Camera right]
KIND = SimulatedCamera
[Space]
CALIBRATION = cameras.toml
[Trigger near]
KIND = InsideRegion
BODYPARTS = snout
REGION = circle 100 100 9
[Trigger both]
KIND = AllOf
TRIGGERS = near
[Output light]
KIND = SimulatedOutput
[Experiment light]
KIND = Conditional
TRIGGER = both
OUTPUT = light
[Experiment]
EXP_NAME = light
"""
IN_SPACE = RIG.replace("KIND = AllOf", "KIND = AllOf\nCAMERA = space")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_aniposelib(four_cameras(), tmp_path / "cameras.toml")
    return tmp_path


def problems(text: str, folder: Path) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        parse(text, folder)
    return list(raised.value.problems)


def rig(text: str, folder: Path) -> Settings:
    return parse(text, folder)


def test_the_cameras_are_the_analysed_ones_unless_they_are_named(folder: Path) -> None:
    assert read_space_cameras(rig(RIG, folder)).names == ("left", "right")
    named = RIG.replace("cameras.toml", "cameras.toml\nCAMERAS = right, left")
    assert read_space_cameras(rig(named, folder)).names == ("right", "left")


def test_an_experiment_decides_in_space_if_it_uses_a_trigger_in_space(
    folder: Path,
) -> None:
    assert not rig(RIG, folder).decides_in_space
    in_space = rig(IN_SPACE, folder)
    assert in_space.decides_in_space
    assert in_space.space_triggers == ("both",)
    assert in_space.deciding_camera == "left"
    assert in_space.triggers_by_camera() == {"left": ("near",), "right": ()}


def test_cameras_matched_by_pulses_must_follow_pulses_or_lead(folder: Path) -> None:
    by_pulses = RIG.replace("cameras.toml", "cameras.toml\nMATCH = pulses")
    assert [text[:43] for text in problems(by_pulses, folder)] == [
        "[Space] MATCH = pulses: [Camera left] follo",
        "[Space] MATCH = pulses: [Camera right] foll",
    ]
    follower = "KIND = Basler\nTRIGGER = line\nLEADER = right"
    leader = "KIND = Basler\nSERIAL = 2\nLEADS = yes"
    camera = "[Camera {}]\nKIND = SimulatedCamera\n"
    triggered = by_pulses.replace(
        camera.format("left") + camera.format("right"),
        f"[Camera left]\n{follower}\nSERIAL = 1\n[Camera right]\n{leader}\n",
    )
    assert rig(triggered, folder).space.match == "pulses"


def test_the_deciding_camera_can_be_named(folder: Path) -> None:
    chosen = "EXP_NAME = light\nCAMERA = {}"
    space = rig(RIG.replace("EXP_NAME = light", chosen.format("space")), folder)
    assert space.decides_in_space
    # a combination without a camera is evaluated where the experiment decides
    assert space.space_triggers == ("both",)
    text = IN_SPACE.replace("EXP_NAME = light", chosen.format("right"))
    assert not rig(text, folder).decides_in_space


def test_a_rig_without_calibration_has_no_space(tmp_path: Path) -> None:
    text = IN_SPACE.replace("CALIBRATION = cameras.toml", "")
    (problem,) = problems(text, tmp_path)
    assert problem.startswith("[Trigger both] CAMERA = space: needs points in space")


def test_a_camera_named_space_of_earlier_settings_decides(tmp_path: Path) -> None:
    text = IN_SPACE.replace("CALIBRATION = cameras.toml", "")
    text = text.replace("[Camera right]", "[Camera space]")
    found = rig(text + "CAMERA = space\n", tmp_path)
    assert found.deciding_camera == "space"
    assert not found.decides_in_space
    assert found.space_triggers == ()
    assert found.triggers_by_camera() == {"space": ("near", "both"), "left": ()}


@pytest.mark.parametrize(
    ("was", "becomes", "expected"),
    [
        ("cameras.toml", "lost.toml", "[Space] CALIBRATION = "),
        (
            "cameras.toml",
            "cameras.toml\nCAMERAS = left, attic",
            "CAMERAS = attic: no section",
        ),
        ("cameras.toml", "cameras.toml\nCAMERAS = left", "two cameras or more"),
        ("cameras.toml", "cameras.toml\nCAMERAS = left, left", "each once"),
        (
            "cameras.toml",
            "cameras.toml\nCAMERAS = left, top",
            "[Camera top] has ANALYSE = no",
        ),
        ("[Camera right]", "[Camera other]", "has no camera other"),
        ("[Space]", "[Animals]\nNAMES = a, b\n[Space]", "one animal"),
        (
            "[Space]",
            "[Arena A]\nREGION = circle 9 9 5\n[Space]",
            "arenas are in the image",
        ),
        (
            "REGION = circle 100 100 9",
            "REGION = circle 1 1 1\nCAMERA = space",
            "in an image",
        ),
    ],
)
def test_what_does_not_fit_is_reported(
    folder: Path, was: str, becomes: str, expected: str
) -> None:
    found = problems(RIG.replace(was, becomes, 1), folder)
    assert any(expected in problem for problem in found), found


def test_images_must_have_the_size_of_the_calibration() -> None:
    cameras = four_cameras()
    assert not [*size_problems(cameras, {"left": (640, 480)})]
    (problem,) = size_problems(cameras, {"left": (640, 480), "right": (1280, 960)})
    assert "[Camera right]: its images have 1280 × 960 px" in problem
    unknown = replace(cameras.cameras[0], size=(0, 0))
    of_unknown = replace(cameras, cameras=(unknown, *cameras.cameras[1:]))
    assert not [*size_problems(of_unknown, {"left": (1280, 960)})]


def test_a_network_of_several_animals_is_refused(folder: Path) -> None:
    skeleton = Skeleton(("snout",), animals=("a", "b"))
    (problem,) = check_against(rig(RIG, folder), skeleton)
    assert "the network finds 2" in problem


def test_the_run_states_the_values(folder: Path) -> None:
    space = effective(rig(RIG, folder))["space"]
    assert isinstance(space, dict) and space["LIMIT_PX"] == 10.0
    without = RIG.replace("[Space]\nCALIBRATION = cameras.toml\n", "")
    assert "space" not in effective(rig(without, folder))
