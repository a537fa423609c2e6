"""The latency test with a screen patch, on real processes and a camera that sees the screen."""

import json
import shutil
import sys
import time
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.latency_test.led_rig import Wiring, wiring_of
from deeplabstream.latency_test.measurement import run_latency_test
from deeplabstream.settings.loading import load
from outputs import helper_process
from tests.engine.patient_engine import use_patient_engine
from tests.engine.patient_guards import use_patient_guards
from tests.engine.screen_rig import screen_rig, watched_patch
from tests.firmware.emulation import HERTZ, needs_simavr
from tests.firmware.led_rig import ANSWER_PIN, OUTPUT_PIN
from tests.firmware.powered import powered
from utils.MeasureLatency import main

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        sys.platform != "linux" or not shutil.which("Xvfb"), reason="needs Xvfb"
    ),
]
HALF = Wiring(screen=0)
LATE_S = 0.05


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a loaded computer the window takes its time, and so do engine and board."""
    use_patient_guards(monkeypatch)
    use_patient_engine(monkeypatch)
    monkeypatch.setattr(helper_process, "OPENING_S", 120.0)
    monkeypatch.setattr(helper_process, "HANG_S", 60.0)


def test_half_the_loop_is_measured_without_a_board_and_a_run_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rig's output is at a board that is not there: no output is opened."""
    log = tmp_path / "log.txt"
    with screen_rig(tmp_path / "rig", f"LOG = {log}") as rig:
        words = ["--settings", str(rig.settings), "--screen", "0", "--flashes", "20"]
        assert main([*words, "--every", "1", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "The patch is at " in said
    assert "HALF THE LOOP" in said and "No output was switched" in said
    (path,) = (rig.folder / "latency").iterdir()
    found = json.loads(path.read_text("utf-8"))
    rows = [dict(zip(found["columns"], row, strict=True)) for row in found["flashes"]]
    lines = [line.split() for line in log.read_text("utf-8").splitlines()]
    shown = {int(index): (int(at_ns), lit) for index, at_ns, lit in lines}
    for row in rows:
        assert shown[row["frame"]] == (row["exposed_ns"], "1")
        assert row["answer_ns"] == row["acted_ns"] == 0
    parts = found["ms"]
    assert [*parts] == [
        "exposure_to_decision",
        "led_to_decision",
        "led_to_exposure",
        "transport",
        "network",
        "decision",
    ]
    assert 20 <= parts["network"]["p50"] <= parts["led_to_decision"]["max"]
    assert found["output"] == found["board"]["port"] == ""
    assert found["clock_error_ms"] == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("LEFT = 500", r"does not see the patch on screen 0: .* top left corner"),
        ("FLOOR = 255", r"is saturated: \d+% of the pixels.*EXPOSURE_US"),
        ("EXPOSURE_US =", r"has automatic exposure on.* patch is lit.*EXPOSURE_US"),
    ],
)
def test_a_camera_that_cannot_see_the_patch_is_a_sentence(
    tmp_path: Path, more: str, said: str
) -> None:
    with screen_rig(tmp_path / "rig", more) as rig:
        settings = load(rig.settings)
        with pytest.raises(DeviceError, match=rf"\[Camera top\] {said}"):
            run_latency_test(settings, wiring_of(settings, HALF))


def test_a_monitor_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with screen_rig(tmp_path / "rig") as rig:
        settings = load(rig.settings)
        said = "the patch on screen 3: MONITOR = 3: this computer has 1"
        with pytest.raises(DeviceError, match=said):
            run_latency_test(settings, wiring_of(settings, Wiring(screen=3)))


@needs_simavr
def test_a_photodiode_tells_when_the_patch_was_lit(tmp_path: Path) -> None:
    """It takes the place of the LED: the board's clock alone measures the whole loop.

    An emulated board that gets too little of the processor sees the light late, or has a
    clock that runs late, as no real one does.
    """
    lags_s, behind_s = [0.0], list[float]()
    with powered(prompt=True) as board:
        board.catch_up(5.0)
        board.wire(OUTPUT_PIN, ANSWER_PIN)

        def see(lit: int) -> None:
            board.pin("D3", 1 - lit)
            asked_ns = time.perf_counter_ns()
            board.now()
            now_ns = time.perf_counter_ns()
            lags_s.append((now_ns - asked_ns) / 1e9)
            behind_s.append(now_ns / 1e9 - board.cycle / HERTZ)

        with (
            screen_rig(tmp_path / "rig", port=board.port) as rig,
            watched_patch(rig.file, see),
        ):
            settings = load(rig.settings)
            asked = Wiring(output="laser", screen=0, photodiode_pin=3)
            wiring = wiring_of(settings, asked)
            result = problem = None
            try:
                result = run_latency_test(settings, wiring, flashes=20, every_s=1.0)
            except DeviceError as error:
                problem = error
        board.now()
        assert board.level(OUTPUT_PIN) == 0
        edges = board.edges_of(OUTPUT_PIN)
    behind_s += [edge.wall_ns / 1e9 - edge.cycle / HERTZ for edge in edges]
    late_s = max(*lags_s, max(behind_s, default=0) - min(behind_s, default=0))
    late = f"the emulated board was up to {late_s:.2f} s late"
    if result is None and late_s > LATE_S:
        pytest.skip(f"{late}: {problem}")
    assert result is not None, problem
    assert result.output == "laser" and "exposure_to_output" in result.ms
    assert len(result.flashes) == 20
    said = "\n".join(result.lines())
    assert "light to output is by the board's clock alone" in said
    if late_s > LATE_S:
        pytest.skip(late)
    assert result.board["photodiode_low"] is True
    assert "screen to light" in said
    assert result.patch_ms is not None and result.patch_ms["p50"] < 100


@needs_simavr
def test_a_photodiode_that_sees_nothing_is_a_sentence(tmp_path: Path) -> None:
    with (
        powered(prompt=True) as board,
        screen_rig(tmp_path / "rig", port=board.port) as rig,
    ):
        board.pin("D3", 0)
        settings = load(rig.settings)
        wiring = wiring_of(settings, Wiring(screen=0, photodiode_pin=3))
        said = r"pin 3 of the board at .* detected no edge of the photodiode"
        with pytest.raises(DeviceError, match=said):
            run_latency_test(settings, wiring)
