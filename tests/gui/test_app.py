"""The application as a newcomer without a screen starts it."""

import signal
from pathlib import Path

import pytest
from PyQt5 import QtCore
from PyQt5.QtCore import QSettings
from pytestqt.qtbot import QtBot

import app
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Phase
from deeplabstream.gui import app_program, application
from deeplabstream.gui.main_window import MainWindow
from tests.engine.patient_guards import use_patient_guards
from tests.engine.tolerant import shipped_settings

SOON = 300_000  # ms


def test_all_problems_of_the_settings_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.ini"
    file.write_text("[Streamming]\n[Pose Estimation]\nTHREADS = -3\n", encoding="utf-8")
    assert app.main(["--settings", str(file), "--headless"]) == app_program.BAD_SETTINGS
    told = capsys.readouterr().out
    assert "[Streamming]" in told
    assert "THREADS" in told


@pytest.mark.parametrize(("model", "code"), [("stand-in:5", 0), ("nowhere", 1)])
def test_headless_ends_with_a_summary(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    code: int,
) -> None:
    use_patient_guards(monkeypatch)
    file = tmp_path / "rig.ini"
    file.write_text(shipped_settings(MODEL=model), encoding="utf-8")
    assert app.main(["--settings", str(file), "--headless", "--seconds", "1"]) == code
    *_, last = capsys.readouterr().out.splitlines()
    folders = [str(folder) for folder in tmp_path.glob("output/*")]
    assert (
        last == f"Run folder: {folders[0] if folders else 'none, nothing was recorded'}"
    )
    assert bool(folders) == (code == 0)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> QSettings:
    """What the application remembers, in place of what it remembers for the user."""
    memory = QSettings(str(tmp_path / "memory.ini"), QSettings.Format.IniFormat)
    monkeypatch.setattr(QtCore, "QSettings", lambda *_: memory)
    return memory


def test_signals_are_noted_until_the_rig_has_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: QSettings
) -> None:
    """A terminal that is closed sends SIGHUP more than once: the last comes while closing."""
    settings = tmp_path / "rig.ini"
    settings.write_text("[Camera arena]\nKIND = SimulatedCamera\n", "utf-8")
    before = signal.getsignal(signal.SIGTERM)
    handlers: list[object] = []
    memories: list[object] = []

    def run(window: MainWindow, *_: object) -> int:
        memories.append(window._memory)
        return 0

    def close(_: RigSession, how: str = "") -> None:
        handlers.append(signal.getsignal(signal.SIGTERM))

    monkeypatch.setattr(RigSession, "close", close)
    monkeypatch.setattr(application, "run_until_closed", run)
    assert app_program.run_window(settings, None, ()) == 0
    assert memories == [memory]
    assert handlers
    assert handlers[-1] != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_start_needs_not_wait_for_pages_that_follow_the_rig(
    tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, memory: QSettings
) -> None:
    """Their modules take seconds to import on a busy computer."""
    settings = tmp_path / "rig.ini"
    settings.write_text("[Camera arena]\nKIND = SimulatedCamera\n", "utf-8")

    def look(window: MainWindow, *_: object) -> int:
        assert window.bridge.session.state.phase is Phase.IDLE
        qtbot.waitUntil(
            lambda: {"Experiment", "Health"} <= {*window._pages}, timeout=SOON
        )
        assert window.navigation.page == "Live"
        window.end()
        return 0

    monkeypatch.setattr(application, "run_until_closed", look)
    assert app_program.run_window(settings, None, ()) == 0
