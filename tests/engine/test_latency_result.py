"""Results of latency tests: kept with the rig, named by runs, valid for their settings."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Acknowledged, Sensed
from deeplabstream.engine.latency_test import latency_test
from deeplabstream.engine.latency_test.flashes import Events, pair
from deeplabstream.engine.latency_test.latency_result import (
    FOLDER,
    LatencyResult,
    timing_facts,
    timing_sentence,
    timing_settings,
)
from deeplabstream.engine.latency_test.settings_of_test import (
    settings_for_loop,
    wiring_of,
)
from deeplabstream.pose.led_detector import Led
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.settings.loading import Settings, parse
from tests.engine.test_latency_flashes import rig

TEXT = """
[Pose Estimation]
MODEL = stand-in:5
LIVE_CROP = no
[Camera top]
KIND = SimulatedCamera
RATE = 60
[Camera side]
KIND = SimulatedCamera
MODEL = stand-in:9
[Output laser]
KIND = BoardPin
PORT = COM3
PIN = 9
MAX_ON_S = 2
THEN = pump
[Output pump]
KIND = BoardPin
PORT = COM3
PIN = 8
[Input lick]
KIND = BoardInput
PORT = COM3
PIN = 4
[Trigger left]
KIND = InsideRegion
BODYPARTS = snout
REGION = circle 10 10 5
[Remote ephys]
KIND = OpenEphysRecorder
[Tracking]
HOLD_MS = 100
[Experiment]
EXP_NAME = stay
STOP_TRIGGER = left
[Experiment stay]
KIND = Conditional
TRIGGER = left
OUTPUT = laser
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(TEXT, tmp_path)


def result(settings: Settings, measured: str, delay_ms: float = 10.0) -> LatencyResult:
    return LatencyResult(
        measured=measured,
        camera="top",
        output="laser",
        board=vars(wiring_of(settings)),
        network="stand-in:5",
        network_sha256="abc",
        exposure_known=True,
        unseen=0,
        unanswered=0,
        clock_error_ms=0.3,
        settings=timing_settings(settings, "laser"),
        flashes=pair(rig([delay_ms] * 20)).flashes,
    )


def test_the_newest_result_counts_and_older_ones_stay(settings: Settings) -> None:
    for day, delay_ms in (("01", 30.0), ("03", 10.0), ("02", 50.0)):
        measured = f"2026-11-{day}T10:00:00+00:00"
        path = result(settings, measured, delay_ms).save(settings.folder)
        assert path.parent == settings.folder / FOLDER
    assert len([*(settings.folder / FOLDER).iterdir()]) == 3
    (facts,) = timing_facts(settings, "abc")
    assert facts["file"] == "latency/2026-11-03_10-00-00.json"
    assert facts["exposure_to_output_ms"]["p50"] == pytest.approx(14, abs=0.01)
    assert facts["flashes"] == 20 and facts["changed"] == []
    assert "14.0 ms (median)" in timing_sentence(facts)


def test_a_changed_setting_is_named(settings: Settings, tmp_path: Path) -> None:
    result(settings, "2026-11-01T10:00:00+00:00").save(tmp_path)
    text = TEXT.replace("RATE = 60", "RATE = 30").replace(
        "MAX_ON_S = 2", "MAX_ON_S = 9"
    )
    (facts,) = timing_facts(parse(text, tmp_path), "other network")
    assert facts["changed"] == [
        "[Camera top] RATE = 30.0 (was 60.0)",
        "the network's file was changed",
    ]
    assert "changed since: [Camera top] RATE" in timing_sentence(facts)
    text = TEXT.replace("[Camera side]", "[Camera back]")
    (facts,) = timing_facts(parse(text, tmp_path), "abc")
    assert facts["changed"] == ["[Camera side] was removed", "[Camera back] was added"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"output": "laser"}', "\0"])
def test_a_damaged_result_is_none(settings: Settings, content: str) -> None:
    assert timing_facts(settings, "") == []
    result(settings, "2026-11-01T10:00:00+00:00").save(settings.folder)
    (settings.folder / FOLDER / "2026-11-09_10-00-00.json").write_text(content)
    (facts,) = timing_facts(settings, "abc")
    assert facts["file"] == "latency/2026-11-01_10-00-00.json"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ms", {"exposure_to_output": {"p50": 12.0}}),
        ("ms", {"exposure_to_output": {"p50": "12", "p99": 15.0}}),
        ("ms", {"exposure_to_output": {"p50": 10**400, "p99": float("nan")}}),
        ("ms", {"exposure_to_output": [["p50", 1.0], ["p99", 2.0]]}),
        ("camera", ["top"]),
        ("camera", "\ud800"),
        ("measured", None),
    ],
)
def test_a_result_that_was_edited_wrongly_is_none(
    settings: Settings, name: str, value: object
) -> None:
    path = result(settings, "2026-11-01T10:00:00+00:00").save(settings.folder)
    found = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**found, name: value}), "utf-8")
    assert timing_facts(settings, "abc") == []


def test_a_result_of_endless_brackets_is_none(settings: Settings) -> None:
    path = result(settings, "2026-11-01T10:00:00+00:00").save(settings.folder)
    path.write_text("[" * 200_000, "utf-8")
    assert timing_facts(settings, "abc") == []


@pytest.mark.parametrize("damage", ["file", "measured", "camera", "flashes"])
def test_an_entry_of_run_json_is_valid_only_when_it_can_be_said(
    settings: Settings, damage: str
) -> None:
    result(settings, "2026-11-01T10:00:00+00:00").save(settings.folder)
    (entry,) = timing_facts(settings, "abc")
    assert "timing" not in validate_facts({"timing": [entry]})[1]
    for changed in ({damage: None}, {"exposure_to_output_ms": {"p50": 1.0}}):
        facts, bad = validate_facts({"timing": [{**entry, **changed}]})
        assert "timing" in bad and "timing" not in facts


def test_a_result_holds_every_flash(settings: Settings) -> None:
    made = result(settings, "2026-11-01T10:00:00+00:00")
    facts = json.loads(made.save(settings.folder).read_text("utf-8"))
    rows = [dict(zip(facts["columns"], row, strict=True)) for row in facts["flashes"]]
    assert len(rows) == 20 and rows[3]["led_us"] == made.flashes[3].led_us
    assert facts["ms"] == made.ms and facts["board"]["answer_pin"] == 2
    assert any("exposure to output" in line for line in made.lines())


def test_the_test_keeps_the_rig_and_replaces_what_is_done_with_animals(
    settings: Settings, tmp_path: Path
) -> None:
    wiring = wiring_of(settings, led_pin=12)
    led = Led(30, 20, 4, 4, 120.0)
    test = settings_for_loop(settings, wiring, led, tmp_path / "runs", 0.6, True)
    assert test.pose.model == "led:30 20 4 4 120:stand-in:5"
    assert test.cameras["top"] == settings.cameras["top"]
    assert not test.cameras["side"].analyse, "it has a network of its own"
    assert test.outputs["laser"] == replace(settings.outputs["laser"], then=None)
    assert test.outputs["pump"] == settings.outputs["pump"]
    assert {*test.inputs} == {"lick", "latency led", "latency answer"}
    assert [*test.triggers] == ["latency led"]
    assert test.experiment.stop_trigger is None
    assert settings.remotes
    assert not test.remotes, "no other recorder records the test"
    alone = settings_for_loop(settings, wiring, led, tmp_path / "runs", 0.6, False)
    assert alone.pose.model == "led:30 20 4 4 120:"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"output": "lamp"}, r"no section \[Output lamp\]; there are: laser, pump"),
        ({"answer_pin": 9}, r"pin 9 .* is that of \[Output laser\].*--answer-pin"),
        ({"led_pin": 4}, r"pin 4 .* is that of \[Input lick\].*--led-pin"),
        ({"led_pin": 2}, "both at pin 2"),
    ],
)
def test_wrong_wiring_is_a_sentence(
    settings: Settings, more: dict[str, object], said: str
) -> None:
    with pytest.raises(DeviceError, match=said):
        wiring_of(settings, **more)  # type: ignore[arg-type]


def test_pulses_of_a_board_name_its_port_and_use_their_pins(tmp_path: Path) -> None:
    text = """
[Camera top]
KIND = Basler
SERIAL = 1
TRIGGER = line
[Output laser]
KIND = SimulatedOutput
[Input trigger]
KIND = BoardTrigger
PORT = COM3
PIN = 13
RATE = 50
[Input exposures]
KIND = BoardPulses
PORT = COM3
PIN = 2
"""
    settings = parse(text, tmp_path)
    assert wiring_of(settings, led_pin=12, answer_pin=4).port == "COM3"
    said = r"pin 13 .* is that of \[Input trigger\].*--led-pin"
    with pytest.raises(DeviceError, match=said):
        wiring_of(settings)
    said = r"pin 2 .* is that of \[Input exposures\].*--answer-pin"
    with pytest.raises(DeviceError, match=said):
        wiring_of(settings, led_pin=12)


def test_a_rig_without_a_board_needs_its_port(tmp_path: Path) -> None:
    text = """
[Camera top]
KIND = SimulatedCamera
[Output laser]
KIND = SimulatedOutput
"""
    settings = parse(text, tmp_path)
    with pytest.raises(DeviceError, match="name no board with our firmware"):
        wiring_of(settings)
    assert wiring_of(settings, port="COM4").port == "COM4"


def test_the_error_of_the_clocks_is_known_only_of_the_board_of_the_led(
    settings: Settings, tmp_path: Path
) -> None:
    events, wiring = Events("laser"), wiring_of(settings)
    assert latency_test._clock_error_ms(events, settings, wiring) is None
    for length_ns in (900_000, 600_000):
        events.take(Acknowledged("laser", 1, 0, length_ns // 2, length_ns))
    assert latency_test._clock_error_ms(events, settings, wiring) == 0.3
    elsewhere = replace(wiring, port="COM7")
    assert latency_test._clock_error_ms(events, settings, elsewhere) is None
    unknown = replace(
        result(settings, "2026-11-01T10:00:00+00:00"), clock_error_ms=None
    )
    assert json.loads(unknown.save(tmp_path).read_text())["clock_error_ms"] is None
    said = "\n".join(unknown.lines())
    assert "the error between the clocks of board and computer is not known" in said


def test_a_noisy_answer_without_the_led_is_not_judged(settings: Settings) -> None:
    """The sentence about the LED, which the board did not flash, follows."""
    noise = [Sensed("", n % 2 == 1, n, n, n, n) for n in range(9)]
    latency_test._check_answer(wiring_of(settings), [], noise)
    with pytest.raises(DeviceError, match="changed 8 times while"):
        latency_test._check_answer(wiring_of(settings), noise[:2], noise)
