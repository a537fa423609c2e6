"""Inputs of numbered pulses and the cameras that expose on them, as settings.ini names them."""

from pathlib import Path

import pytest

from deeplabstream.plugins.input import PulseInput
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings, effective
from tests.engine.small_rig import problems

FREE = "[Camera top]\nKIND = Basler\nSERIAL = 1\n"
LINE = FREE + "TRIGGER = line\n"
SIDE = "[Camera side]\nKIND = GenICam\nSERIAL = 2\nTRIGGER = line\n"
TRIGGER = "[Input trigger]\nKIND = BoardTrigger\nPORT = COM3\nPIN = 8\nRATE = 100\n"
COUNTER = "[Input counter]\nKIND = BoardPulses\nPORT = COM3\nPIN = 2\n"


def rig(text: str) -> Settings:
    return parse(text, Path("somewhere").resolve())


def cameras(settings: Settings, name: str) -> tuple[str, ...]:
    device = settings.inputs[name]
    assert isinstance(device, PulseInput)
    return settings.cameras_of_pulses(device)


def test_a_generator_triggers_all_cameras_that_wait_for_pulses() -> None:
    follower = SIDE.replace("side", "below").replace("SERIAL = 2", "LEADER = side")
    settings = rig(
        LINE + SIDE + "LEADS = yes\nOUTPUT_LINE = Line2\n" + follower + TRIGGER
    )
    assert cameras(settings, "trigger") == ("top", "side", "below")
    some = rig(LINE + SIDE + TRIGGER + "CAMERAS = side\n")
    assert cameras(some, "trigger") == ("side",)


def test_a_counter_belongs_to_the_only_camera() -> None:
    assert cameras(rig(FREE + COUNTER), "counter") == ("top",)


def test_depth_and_infrared_of_a_realsense_follow_a_board() -> None:
    """With genlock, its own rate has to be above that of the pulses."""
    camera = "[Camera top]\nKIND = RealSense\nSTREAM = infrared\nTRIGGER = line\n"
    settings = rig(camera + "RATE = 60\n" + TRIGGER.replace("100", "50"))
    assert cameras(settings, "trigger") == ("top",)
    (said,) = problems(camera + "RATE = 30\n" + TRIGGER.replace("100", "50"))
    assert "[Camera top] RATE = 30: [Input trigger] gives 50 pulses per second" in said


def test_the_run_says_which_cameras_an_input_has() -> None:
    facts = effective(rig(LINE + TRIGGER + "MOST_DELAY_MS = 9\n"))["pulse_inputs"]
    assert facts == {
        "trigger": {
            "KIND": "BoardTrigger",
            "generates": True,
            "cameras": ["top"],
            "most_delay_ms": 9.0,
            "port": "COM3",
        }
    }
    assert "pulse_inputs" not in effective(rig(FREE))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FREE + TRIGGER, "CAMERAS: no camera waits for the pulses; set TRIGGER = line"),
        (
            "[Camera web]\nKIND = Webcam\n" + TRIGGER + "CAMERAS = web\n",
            "[Camera web] with KIND = Webcam has no trigger input",
        ),
        (
            FREE + SIDE + TRIGGER + "CAMERAS = top, side\n",
            "[Camera top] has TRIGGER = free, so it does not wait",
        ),
        (
            LINE + "RATE = 50\n" + TRIGGER,
            "[Camera top] RATE = 50: [Input trigger] gives 100 pulses per second",
        ),
        (
            LINE + TRIGGER + TRIGGER.replace("trigger]", "other]").replace("8", "9"),
            "[Camera top] has the pulses of [Input trigger] already",
        ),
        (FREE + SIDE + COUNTER, "CAMERAS: enter the camera whose pulses are counted"),
        (FREE + COUNTER + "CAMERAS = tip\n", "CAMERAS: there is no [Camera tip]"),
        (LINE + TRIGGER + "WIDTH_MS = 10\n", "WIDTH_MS: must be 9.79 or less"),
        (LINE + TRIGGER.replace("100", "1001"), "RATE"),
    ],
)
def test_what_can_not_be_is_a_sentence(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(text)), problems(text)
