"""The proof that a board's watchdog works, on the real firmware."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.device_manager import run_self_tests
from deeplabstream.settings.loading import parse
from outputs.board.output import BoardPin
from outputs.board.watchdog_check import WatchdogTestResult, run_watchdog_test
from tests.firmware.emulation import needs_simavr
from tests.firmware.powered import Powered, powered
from utils.TestBoard import main

pytestmark = needs_simavr


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Powered]:
    monkeypatch.setattr("outputs.board.watchdog_check._PATIENCE_S", 60.0)
    with powered() as board:
        yield board


@pytest.mark.parametrize("watchdog_ms", [100, 300])
def test_the_proof_is_what_the_pin_did(board: Powered, watchdog_ms: int) -> None:
    proof = run_watchdog_test(board.port, watchdog_ms=watchdog_ms)
    board.now()
    (width,) = board.widths_us("B5")
    assert abs(width / 1000 - proof.off_after_ms) < 0.1
    assert proof.holds and abs(proof.off_after_ms - watchdog_ms) < 1
    assert "Arduino Uno: pin 13 went off after" in str(proof)


@pytest.mark.parametrize(
    ("after_ms", "low"), [(160.0, True), (10.0, True), (100, False)]
)
def test_what_is_too_late_too_early_or_still_high_is_no_proof(
    after_ms: float, low: bool
) -> None:
    assert not WatchdogTestResult("Uno", 13, after_ms, low, 100).holds


def test_a_proof_that_is_stopped_switches_the_pin_off_at_once(board: Powered) -> None:
    asked: list[float] = []

    def stopped() -> bool:  # asked every 20 ms while the pin is high
        asked.append(0.0)
        return len(asked) > 5

    board.slow_down(10)
    with pytest.raises(DeviceError, match="was ended early"):
        run_watchdog_test(board.port, watchdog_ms=1000, stopped=stopped)
    board.now()
    (width,) = board.widths_us("B5")
    assert width / 1000 < 900


def test_a_board_in_use_is_let_alone(board: Powered) -> None:
    pin = BoardPin(port=board.port, pin=9)
    with pin.opened(), pytest.raises(DeviceError, match="is in use; stop the rig"):
        run_watchdog_test(board.port)
    board.now()
    assert board.edges_of("B5") == []


def test_the_program_asks_all_boards_of_the_settings(
    board: Powered, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.ini"
    words = "[Camera top]\nKIND = SimulatedCamera\n[Output laser]\nKIND = BoardPin\n"
    words += f"PORT = {board.port}\n"
    settings.write_text(words + "PIN = 9\nWATCHDOG_MS = 150\n")
    assert main(["--settings", str(settings)]) == 0
    assert "WATCHDOG_MS = 150), and reads low: right" in capsys.readouterr().out
    settings.write_text(words + "PIN = 13\n")
    assert main(["--settings", str(settings)]) == 2
    assert "pin 13 is [Output laser]: choose a --pin" in capsys.readouterr().err


def test_a_board_that_does_not_switch_off_by_itself_has_failed_the_check(
    board: Powered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outputs.board.watchdog_check._PATIENCE_S", 0.0)
    text = "[Camera top]\nKIND = SimulatedCamera\n[Output laser]\nKIND = BoardPin\n"
    text += f"PORT = {board.port}\nPIN = 9\nWATCHDOG_MS = 1000\n"
    rig = parse(text, Path("somewhere").resolve())
    (check,) = run_self_tests(rig.outputs, rig.inputs)
    assert check.passed is False
    assert "DOES NOT WORK" in check.text
    assert "did not switch pin 13 off by itself" in check.text


@pytest.mark.parametrize(
    "line",
    ["BoardInput", "BoardSync", "BoardPulses", "BoardTrigger\nRATE = 50\nWIDTH_MS = 1"],
)
def test_a_pin_in_use_is_not_switched_on_to_test_the_watchdog(line: str) -> None:
    text = "[Camera top]\nKIND = Basler\nSERIAL = 1\nTRIGGER = line\n"
    text += "[Output laser]\nKIND = BoardPin\nPORT = COM3\nPIN = 9\n"
    text += f"[Input line]\nPORT = COM3\nPIN = 13\nKIND = {line}\n"
    rig = parse(text, Path("somewhere").resolve())
    (check,) = run_self_tests(rig.outputs, rig.inputs)
    assert check.passed is None
    assert "pin 13 is that of [Input line]; give another PROOF_PIN" in check.text
