"""Repeated videos of the cameras in space: of one length, or the settings have a problem."""

from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.checks.settings_check import rig_problems
from deeplabstream.recording.calibrations.aniposelib_toml import write_aniposelib
from deeplabstream.settings.loading import parse
from deeplabstream.video.decoding import stated_length
from tests.cameras.videos import write_video
from tests.space.cameras import four_cameras

RIG = """
[Pose Estimation]
MODEL = stand-in:0
[Camera left]
KIND = VideoFile
SOURCE = left.mkv
REPEAT = yes
[Camera right]
KIND = VideoFile
SOURCE = right.mkv
REPEAT = yes
"""
SPACE = "[Space]\nCALIBRATION = cameras.toml\n"


def problems(folder: Path, text: str) -> list[str]:
    return [it for it in rig_problems(parse(text, folder)) if "drift apart" in it]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_aniposelib(four_cameras(), tmp_path / "cameras.toml")
    write_video(tmp_path / "left.mkv", frames=30)
    return tmp_path


def test_repeated_videos_of_unequal_length_are_a_problem(folder: Path) -> None:
    write_video(folder / "right.mkv", frames=20)
    (problem,) = problems(folder, RIG + SPACE)
    assert "[Camera left] 0.30 s, [Camera right] 0.20 s" in problem
    # without points in space, or played once, they need not fit
    assert problems(folder, RIG) == []
    assert problems(folder, RIG.replace("REPEAT = yes", "", 1) + SPACE) == []
    # a changed file is read again
    write_video(folder / "right.mkv", frames=30)
    assert problems(folder, RIG + SPACE) == []


def test_a_video_that_can_not_be_read_is_not_compared(folder: Path) -> None:
    (folder / "right.mkv").write_bytes(b"no video")
    assert problems(folder, RIG + SPACE) == []


def test_a_file_that_states_no_length_is_named(folder: Path) -> None:
    seconds, frame_s = stated_length(folder / "left.mkv")
    assert seconds == pytest.approx(0.3, abs=0.011)
    assert frame_s == pytest.approx(0.01)
    with pytest.raises(DeviceError, match=r"nothing\.mkv"):
        stated_length(folder / "nothing.mkv")
