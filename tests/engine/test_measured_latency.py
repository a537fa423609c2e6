"""Results of latency tests: kept with the rig, named by runs, valid for their settings."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Acknowledged, Sensed
from deeplabstream.core.pose import Skeleton
from deeplabstream.engine.measured_latency import (
    FOLDER,
    differences_of_run,
    timing_facts,
    timing_sentence,
    timing_settings,
)
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.session_state import Action, Phase
from deeplabstream.latency_test import measurement as latency_test
from deeplabstream.latency_test.flashes import Events, pair
from deeplabstream.latency_test.latency_result import LatencyResult
from deeplabstream.latency_test.led_rig import (
    NO_OUTPUT,
    Wiring,
    settings_for_loop,
    wiring_of,
)
from deeplabstream.pose.led_detector import Led
from deeplabstream.recording.run_folder import ModelFacts, NetworkFacts
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.settings.loading import Settings, parse
from tests.engine.fake_processes import FakeProcesses, session_of
from tests.latency_test.test_latency_flashes import rig

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


SIDE = "the network of [Camera side] did not run in the test"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(TEXT, tmp_path)


def result(
    settings: Settings,
    measured: str,
    delay_ms: float = 10.0,
    asked: Wiring | None = None,
) -> LatencyResult:
    wiring = wiring_of(settings, asked)
    return LatencyResult(
        measured=measured,
        camera="top",
        output=wiring.output,
        board=vars(wiring),
        network="stand-in:5",
        network_sha256="abc",
        exposure_known=True,
        unseen=0,
        unanswered=0,
        clock_error_ms=0.3,
        settings=timing_settings(settings, wiring.output),
        flashes=pair(rig([delay_ms] * 20, wiring=wiring)).flashes,
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
    assert facts["flashes"] == 20 and facts["changed"] == [SIDE]
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
        SIDE,
    ]
    assert "changed since: [Camera top] RATE" in timing_sentence(facts)
    text = TEXT.replace("[Camera side]", "[Camera back]")
    (facts,) = timing_facts(parse(text, tmp_path), "abc")
    assert facts["changed"] == [
        "[Camera side] was removed",
        "[Camera back] was added",
        SIDE.replace("side", "back"),
    ]


@pytest.mark.parametrize("own", [True, False])
def test_a_run_compares_the_network_of_the_deciding_camera(
    settings: Settings, own: bool
) -> None:
    """The test runs that one: the camera's own, else the one of all cameras."""
    result(settings, "2026-11-01T10:00:00+00:00").save(settings.folder)
    used = NetworkFacts("used", "abc", 0.5, "CPUExecutionProvider")
    facts = ModelFacts("usual", "def", 0.5, "CPUExecutionProvider", {"top": used})
    if not own:
        facts = replace(facts, sha256="abc", cameras={"side": replace(used, sha256="")})
    fake = FakeProcesses()
    session = session_of(fake, settings.folder, settings.text)
    session.do(Action.START_STREAM)
    network = messages.NetworkReady(Skeleton(("snout",)), facts)
    session.state = replace(session.state, phase=Phase.STREAMING, network=network)
    session.do(Action.START_RECORDING)
    (message,) = (each for each in fake.recorder if isinstance(each, messages.OpenRun))
    (timing,) = message.facts["timing"]
    assert timing["changed"] == [SIDE]


def test_what_did_not_run_in_the_test_is_named(tmp_path: Path) -> None:
    """A test of a rig without these is a test of the rig."""
    alone = TEXT.replace("MODEL = stand-in:9", "ANALYSE = no")
    result(parse(alone, tmp_path), "2026-11-01T10:00:00+00:00").save(tmp_path)
    (facts,) = timing_facts(parse(alone, tmp_path), "abc")
    assert facts["changed"] == []
    more = parse(alone + "[Classifier gait]\nFOLDER = gait\n", tmp_path)
    (facts,) = timing_facts(more, "abc")
    assert facts["changed"] == ["[Classifier gait] did not run in the test"]


def test_a_run_folder_has_the_settings_of_the_rig(tmp_path: Path) -> None:
    """Relative paths are the same files, and keys of later versions are no changes."""
    text = TEXT.replace(
        "KIND = SimulatedCamera\nRATE = 60", "KIND = VideoFile\nSOURCE = a.mkv"
    )
    rig = parse(text, tmp_path / "rig")
    (tmp_path / "rig").mkdir()
    path = result(rig, "2026-11-01T10:00:00+00:00").save(rig.folder)
    assert str(rig.folder) in str(timing_settings(rig, "laser")["[Camera top]"])
    in_run = parse(text, tmp_path / "run")
    assert differences_of_run(path, in_run, "abc") == [SIDE]
    other = parse(text.replace("a.mkv", "ba.mkv"), tmp_path / "run")
    changed, *_ = differences_of_run(path, other, "def")
    assert changed.startswith("[Camera top] SOURCE = ")
    found = json.loads(path.read_text("utf-8"))
    del found["settings"]["[Output laser]"]["PORT"]
    path.write_text(json.dumps(found), "utf-8")
    assert differences_of_run(path, in_run, "abc") == [SIDE]
    del found["settings"]
    path.write_text(json.dumps(found), "utf-8")
    (said,) = differences_of_run(path, in_run, "abc")
    assert said == "the settings of the test can't be read"


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
    wiring = wiring_of(settings, Wiring(led_pin=12))
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
        ({"led_pin": 2}, "--led-pin and --answer-pin are both pin 2"),
        (
            {"output": "laser", "screen": 0, "photodiode_pin": 4},
            r"pin 4 .* is that of \[Input lick\].*--photodiode-pin",
        ),
        (
            {"output": "laser", "screen": 0, "photodiode_pin": 2},
            "--photodiode-pin and --answer-pin are both pin 2",
        ),
        ({"photodiode_pin": 5}, "a photodiode sees a patch: give its screen"),
        ({"full_screen": True}, "--full-screen needs a screen for the patch"),
    ],
)
def test_wrong_wiring_is_a_sentence(
    settings: Settings, more: dict[str, object], said: str
) -> None:
    with pytest.raises(DeviceError, match=said):
        wiring_of(settings, Wiring(**more))  # type: ignore[arg-type]


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
    assert wiring_of(settings, Wiring(led_pin=12, answer_pin=4)).port == "COM3"
    said = r"pin 13 .* is that of \[Input trigger\].*--led-pin"
    with pytest.raises(DeviceError, match=said):
        wiring_of(settings)
    said = r"pin 2 .* is that of \[Input exposures\].*--answer-pin"
    with pytest.raises(DeviceError, match=said):
        wiring_of(settings, Wiring(led_pin=12))


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
    assert wiring_of(settings, Wiring(port="COM4")).port == "COM4"


def test_the_error_of_the_clocks_is_known_only_of_the_board_of_the_led(
    settings: Settings, tmp_path: Path
) -> None:
    wiring = wiring_of(settings)
    events = Events(wiring)
    assert latency_test.clock_error_ms(events, settings, wiring) is None
    for length_ns in (900_000, 600_000):
        events.take(Acknowledged("laser", 1, 0, length_ns // 2, length_ns))
    assert latency_test.clock_error_ms(events, settings, wiring) == 0.3
    elsewhere = replace(wiring, port="COM7")
    assert latency_test.clock_error_ms(events, settings, elsewhere) is None
    unknown = replace(
        result(settings, "2026-11-01T10:00:00+00:00"), clock_error_ms=None
    )
    assert json.loads(unknown.save(tmp_path).read_text())["clock_error_ms"] is None
    said = "\n".join(unknown.lines())
    assert "the error between the clocks of board and computer is not known" in said


def test_a_noisy_answer_without_the_led_is_not_judged(settings: Settings) -> None:
    """The sentence about the LED, which the board did not flash, follows."""
    noise = [Sensed("", n % 2 == 1, n, n, n, n) for n in range(9)]
    latency_test.check_answer(wiring_of(settings), [], noise)
    with pytest.raises(DeviceError, match="changed 8 times while"):
        latency_test.check_answer(wiring_of(settings), noise[:2], noise)


def test_half_the_loop_needs_no_board_and_leaves_the_outputs_closed(
    settings: Settings, tmp_path: Path
) -> None:
    wiring = wiring_of(settings, Wiring(screen=1))
    assert wiring.half and wiring.port == "" and wiring.pins == {}
    led = Led(30, 20, 4, 4, 120.0)
    test = settings_for_loop(settings, wiring, led, tmp_path / "runs", 0.6, True)
    assert [*test.outputs] == [NO_OUTPUT]
    assert {*test.inputs} == {"lick"}
    wiring = wiring_of(settings, Wiring(screen=1, photodiode_pin=7))
    assert wiring.port == "COM3"
    test = settings_for_loop(settings, wiring, led, tmp_path / "runs", 0.6, True)
    assert {*test.inputs} == {"lick", "latency led"}


def test_a_window_of_an_output_does_not_cover_the_patch(tmp_path: Path) -> None:
    text = TEXT + "[Output stimulus]\nKIND = Screen\nMONITOR = 1\n"
    settings = parse(text, tmp_path)
    asked = Wiring("laser", screen=1)
    with pytest.raises(DeviceError, match=r"screen 1 is that of \[Output stimulus\]"):
        wiring_of(settings, asked)
    assert wiring_of(settings, replace(asked, screen=0)).screen == 0
    assert wiring_of(settings, replace(asked, output="")).half


def test_half_the_loop_is_a_certificate_of_its_own(
    settings: Settings, tmp_path: Path
) -> None:
    half = Wiring(screen=0)
    result(settings, "2026-11-03T10:00:00+00:00", asked=half).save(tmp_path)
    (alone,) = timing_facts(settings, "abc")
    result(settings, "2026-11-01T10:00:00+00:00").save(tmp_path)
    whole, again = timing_facts(settings, "abc")
    assert whole["output"] == "laser" and again == alone
    assert alone["output"] == "" and "exposure_to_output_ms" not in alone
    said = timing_sentence(alone)
    assert said.startswith(
        "half the delay, from [Camera top] to the decision, was 13.2 "
    )
    assert "ms from the screen" in said
    assert "timing" not in validate_facts({"timing": [alone]})[1]
    for name in ("exposure_to_decision_ms", "flash_to_decision_ms"):
        assert "timing" in validate_facts({"timing": [{**alone, name: None}]})[1]
    changed = parse(TEXT.replace("PIN = 9", "PIN = 10"), tmp_path)
    whole, again = timing_facts(changed, "abc")
    assert len(whole["changed"]) == 2
    assert again["changed"] == [SIDE], "it depends on no output"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Wiring(), "led to output is by the board's clock alone"),
        (Wiring(screen=0), "HALF THE LOOP: from the painting of the patch"),
        (Wiring(screen=0, photodiode_pin=7), "HALF THE LOOP: from the light to"),
        (Wiring("laser", screen=0), "screen to output is from painting"),
        (
            Wiring("laser", screen=0, photodiode_pin=7),
            "light to output is by the board's clock alone",
        ),
    ],
)
def test_the_result_says_what_it_contains(
    settings: Settings, asked: Wiring, said: str
) -> None:
    made = result(settings, "2026-11-01T10:00:00+00:00", asked=asked)
    assert said in "\n".join(made.lines())


def edges(times_ms: list[int], first: bool = True) -> list[Sensed]:
    """Return edges that go up and down in turn."""
    return [
        Sensed("", n % 2 == (not first), n // 2 + 1, ms * 10**6, ms * 10**6, ms * 1000)
        for n, ms in enumerate(times_ms)
    ]


PAINTED = [500 * n for n in range(1, 13)]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (
            [],
            "detected no edge of the photodiode while the patch on screen 0 was painted 12",
        ),
        (range(500, 6500, 100), "changed 60 times while .*: the screen's backlight"),
        (PAINTED[:4], "changed only 4 times while .* in the middle of the patch"),
    ],
)
def test_a_photodiode_that_is_no_use_is_a_sentence(
    settings: Settings, seen: list[int], said: str
) -> None:
    asked = Wiring(screen=0, photodiode_pin=7)
    wiring, painted = wiring_of(settings, asked), edges(PAINTED)
    with pytest.raises(DeviceError, match=f"pin 7 of the board at COM3 {said}"):
        latency_test.check_photodiode(wiring, painted, edges([*seen]))


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("delay_ms", [-2, 0, 60])
def test_the_polarity_of_a_photodiode_is_found(
    settings: Settings, inverted: bool, delay_ms: int
) -> None:
    wiring = wiring_of(settings, Wiring(screen=0, photodiode_pin=7))
    seen = edges([ms + delay_ms for ms in PAINTED], first=not inverted)
    found = latency_test.check_photodiode(wiring, edges(PAINTED), seen)
    assert found is inverted


def test_a_photodiode_at_the_answers_pin_is_a_sentence(settings: Settings) -> None:
    wiring = wiring_of(settings, Wiring("laser", screen=0))
    answers = edges([0, *(ms + 30 for ms in PAINTED)])
    with pytest.raises(DeviceError, match=r"it follows the patch; .*--photodiode-pin"):
        latency_test.check_answer(wiring, edges(PAINTED), answers)
