"""The latency test on real processes and an emulated board whose LED the camera sees."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.latency_test.led_rig import wiring_of
from deeplabstream.latency_test.measurement import run_latency_test
from deeplabstream.settings.loading import load
from tests.engine.patient_engine import use_patient_engine
from tests.engine.patient_guards import use_patient_guards
from tests.engine.tolerant import ROOT
from tests.firmware.emulation import needs_simavr
from tests.firmware.led_rig import ANSWER_PIN, LED_PIN, OUTPUT_PIN, led_rig
from utils.MeasureLatency import main

pytestmark = [needs_simavr, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a loaded computer, engine and board take their time."""
    use_patient_guards(monkeypatch)
    use_patient_engine(monkeypatch)


def test_the_delay_is_measured_and_kept_and_a_run_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with led_rig(tmp_path / "rig") as rig:
        rig.board.wire(OUTPUT_PIN, ANSWER_PIN)
        words = ["--settings", str(rig.settings), "--flashes", "20", "--every", "1"]
        assert main([*words, "--yes"]) == 0
        said = capsys.readouterr().out
        assert "The LED is at 33, 23 px" in said and "20 flashes" in said
        (path,) = (rig.folder / "latency").iterdir()
        assert f"written: {path}" in said
        rig.board.now()
        assert rig.board.level(OUTPUT_PIN) == rig.board.level(LED_PIN) == 0
        found = json.loads(path.read_text("utf-8"))
        parts = found["ms"]
        assert 20 <= parts["network"]["p50"] <= parts["exposure_to_output"]["max"]
        assert found["board"]["port"] == rig.board.port
        assert found["settings"]["[Camera top]"]["RATE"] == 50
        assert sorted(each.name for each in rig.folder.iterdir()) == [
            "cameras",
            "latency",
            "led.bin",
            "settings.ini",
        ]
        monkeypatch.setattr("sys.stdin", StringIO("no\n"))
        assert main(words) == 1
        assert "Nothing was switched on." in capsys.readouterr().out
        app = [sys.executable, ROOT / "app.py", "--headless", "--start", "analysis"]
        app += ["--seconds", "0.5", "--settings", rig.settings]
        subprocess.run(app, check=True, timeout=300, stdout=subprocess.DEVNULL)
    (folder,) = (rig.folder / "output").iterdir()
    (timing,) = json.loads((folder / "run.json").read_text("utf-8"))["timing"]
    assert timing["file"] == f"latency/{path.name}" and timing["changed"] == []
    assert timing["exposure_to_output_ms"] == parts["exposure_to_output"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("LED = 60", r"\[Camera top\] does not see the LED at pin 13"),
        (
            "FLOOR = 255",
            r"\[Camera top\] is saturated: \d+% of the pixels.*EXPOSURE_US",
        ),
        ("EXPOSURE_US =", r"\[Camera top\] has automatic exposure on.*EXPOSURE_US"),
    ],
)
def test_a_camera_that_cannot_see_the_led_is_a_sentence(
    tmp_path: Path, more: str, said: str
) -> None:
    with led_rig(tmp_path / "rig", more) as rig:
        rig.board.wire(OUTPUT_PIN, ANSWER_PIN)
        settings = load(rig.settings)
        with pytest.raises(DeviceError, match=said):
            run_latency_test(settings, wiring_of(settings))
        rig.board.now()
        assert rig.board.level(OUTPUT_PIN) == 0


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "",
            r"was switched on \d+ times, but pin 2 .* detected no edge: connect the output",
        ),
        (LED_PIN, r"pin 2 .* changed \d+ times while .* was off: it follows the LED"),
    ],
)
def test_a_wrong_pin_is_a_sentence(tmp_path: Path, source: str, said: str) -> None:
    with led_rig(tmp_path / "rig") as rig:
        if source:
            rig.board.wire(source, ANSWER_PIN)
        else:
            rig.board.pin(ANSWER_PIN, 0)
        settings = load(rig.settings)
        with pytest.raises(DeviceError, match=said):
            run_latency_test(settings, wiring_of(settings))
        rig.board.now()
        assert rig.board.level(OUTPUT_PIN) == 0


def test_a_line_that_is_active_while_the_output_is_off_is_a_sentence(
    tmp_path: Path,
) -> None:
    with led_rig(tmp_path / "rig") as rig:
        rig.board.pin(ANSWER_PIN, 1)
        settings = load(rig.settings)
        with pytest.raises(DeviceError, match=r"pin 2 .* is active while .* is off"):
            run_latency_test(settings, wiring_of(settings))
