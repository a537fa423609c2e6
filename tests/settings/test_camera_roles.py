"""Leaders and followers in the settings: a follower has a source of pulses, or a sentence."""

from pathlib import Path

import pytest

from cameras.realsense.camera import RealSense
from deeplabstream.core.errors import SettingsError
from deeplabstream.settings.loading import parse
from deeplabstream.settings.text_rewriting import with_name

FOLDER = Path("rig").absolute()


def camera(name: str, *keys: str, kind: str = "GenICam") -> str:
    return "\n".join((f"[Camera {name}]", f"KIND = {kind}", *keys, ""))


TOP = camera("top", "LEADS = yes", "RATE = 100", kind="Basler")


def problems(*sections: str) -> list[str]:
    try:
        parse("\n".join(sections), FOLDER)
    except SettingsError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize("kind", ["Basler", "GenICam", "RealSense"])
def test_every_kind_follows_a_camera_that_leads(kind: str) -> None:
    side = camera("side", "TRIGGER = line", "LEADER = top", kind=kind)
    rig = parse(TOP + side, FOLDER)
    assert rig.cameras["side"].leader == "top"  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["Basler", "GenICam"])
def test_a_generator_needs_no_leader(kind: str) -> None:
    keys = "TRIGGER = line", "LINE = Line3", "EDGE = falling", "RATE = 100"
    assert problems(camera("side", *keys, kind=kind)) == []
    assert problems(camera("side", "TRIGGER = software", kind=kind)) == []


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        (
            (TOP, camera("side", "TRIGGER = line", "LEADER = tob")),
            "[Camera side] LEADER = tob: no section [Camera tob]; did you mean top?",
        ),
        (
            (camera("top"), camera("side", "TRIGGER = line", "LEADER = top")),
            "[Camera side] LEADER = top: that camera gives no pulses, so this one would "
            "wait without end. Set LEADS = yes in [Camera top], or choose another",
        ),
        (
            (
                camera("top", kind="SimulatedCamera"),
                camera("side", "TRIGGER = line", "LEADER = top"),
            ),
            "[Camera side] LEADER = top: that camera gives no pulses, so this one would "
            "wait without end. Set LEADS = yes in [Camera top], or choose another",
        ),
        (
            (TOP, camera("side", "LEADER = top")),
            "[Camera side] LEADER = top needs TRIGGER = line: with TRIGGER = free no "
            "pulses are followed",
        ),
        (
            (camera("side", "TRIGGER = line", "LEADER = side", "LEADS = yes"),),
            "[Camera side] LEADER = side: a camera cannot follow its own pulses",
        ),
        (
            (TOP, camera("side", "TRIGGER = line", "LEADER = top", "RATE = 50")),
            "[Camera side] RATE = 50: its LEADER top gives 100 pulses per second. Enter "
            "the same RATE in both",
        ),
        (
            (camera("a", "TRIGGER = line", "LEADS = yes", "LINE = Line2"),),
            "[Camera a] LINE and OUTPUT_LINE are both Line2: enter two different lines",
        ),
        (
            (camera("a", "TRIGGER = pulse"),),
            "[Camera a] TRIGGER = pulse: expected one of free, line, software",
        ),
    ],
)
def test_a_follower_without_pulses_is_one_sentence(
    sections: tuple[str, ...], sentence: str
) -> None:
    assert problems(*sections) == [sentence]


def test_a_leader_that_is_switched_off_gives_no_pulses() -> None:
    side = camera("side", "TRIGGER = line", "LEADER = top")
    assert problems(side, TOP, "[Streaming]\nMULTIPLE_DEVICES = no") == [
        "[Camera side] LEADER = top: is off by [Streaming] MULTIPLE_DEVICES = no"
    ]


def test_cameras_that_follow_each_other_are_reported() -> None:
    def link(name: str, leader: str) -> str:
        return camera(name, "TRIGGER = line", "LEADS = yes", f"LEADER = {leader}")

    found = problems(link("a", "b"), link("b", "c"), link("c", "a"))
    assert len(found) == 3
    assert all(
        "follow each other, so none gives the first pulse" in each for each in found
    )
    assert problems(TOP, link("a", "top"), link("b", "a")) == [], "a chain is fine"


def test_a_renamed_leader_keeps_its_followers() -> None:
    side = camera("side", "TRIGGER = line", "LEADER = top")
    text = with_name(TOP + side, "Camera top", "north")
    assert "LEADER = north" in text
    assert parse(text, FOLDER).cameras["side"].leader == "north"  # type: ignore[attr-defined]


def test_old_settings_of_a_triggered_basler_stay_valid() -> None:
    keys = "TRIGGER = line", "LINE = Line1", "EDGE = rising", "RATE = 100"
    assert problems(camera("top", *keys, kind="Basler")) == []


def test_a_realsense_has_a_fixed_pin() -> None:
    assert not {"line", "edge", "output_line"} & RealSense.__dataclass_fields__.keys()
