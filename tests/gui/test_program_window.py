"""Programs in a window: progress, remaining time, output, cancel."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from PyQt5.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.core.clock import SystemClock
from deeplabstream.gui.dialogs import program_window
from deeplabstream.gui.dialogs.program_window import ProgramWindow
from deeplabstream.gui.dialogs.questions import REPLACE
from deeplabstream.gui.program_process import ProgramProcess
from deeplabstream.gui.programs import PREDICT
from deeplabstream.gui.widgets import program_view
from deeplabstream.gui.widgets.program_form import ProgramPanel
from deeplabstream.gui.widgets.program_view import ProgramView
from deeplabstream.startup.progress import MARK, OVERALL
from tests.offline.films import write_film

ROOT = Path(__file__).resolve().parents[2]
SOON = 300_000  # ms


@pytest.fixture
def above(qtbot: QtBot) -> Iterator[QWidget]:
    made = QWidget()
    qtbot.addWidget(made)
    yield made
    made.close()


def test_progress_is_a_bar_and_a_remaining_time_not_text(
    above: QWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = ProgramWindow("Nothing", "CheckSettings.py", ["--help"], above)
    now_s = 100.0
    monkeypatch.setattr(SystemClock, "now_ns", lambda _: round(now_s * 1e9))
    view = window.view
    view._read(f"before\n{MARK}0 100 film\n")
    now_s += 10
    view._read(f"{MARK}20 10")
    view._read("0 film\nafter\n")
    assert window.bar.value() == 20
    assert window.bar.maximum() == 100
    assert window.state.text() == "film: 20 of 100, 40 s left"
    assert "before\nafter" in window.page.toPlainText()
    assert "progress" not in window.page.toPlainText().partition("usage")[0]
    view._read(f"{OVERALL}0.25\n{MARK}20 100 film\n")
    assert window.state.text().endswith("left; 25% of all")
    now_s += 60
    view._read(f"{OVERALL}0.5\n{MARK}30 100 film\n")
    assert window.state.text().endswith("; 50% of all, 2 min left")
    view._read(f"{MARK}3 0 another\n")
    assert window.bar.maximum() == 0, "how many there are is not known"
    window.close()


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["read 9 files\r", "\nwritten\n"], "read 9 files\nwritten\n"),
        (["10 %\r", "20 %\r", "30 %\n"], "30 %\n"),
        (["10 %\r20 %", "\r", "30 %\n"], "30 %\n"),
        ([f"{MARK}20 100 film\r", "\nwritten\n"], "written\n"),
    ],
)
def test_output_is_shown_the_same_however_it_is_cut_in_pieces(
    qtbot: QtBot, pieces: list[str], shown: str
) -> None:
    """Lines end with a return and a new line on Windows; a return alone begins one anew."""
    view = ProgramView()
    qtbot.addWidget(view)
    for piece in pieces:
        view._read(piece)
    assert view.page.toPlainText() == shown


def test_a_letter_that_comes_in_two_pieces_is_whole(qtbot: QtBot) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    program, said = ProgramProcess(parent), []
    program.output_received.connect(said.append)
    pieces = ["Mäuse".encode()[:2], "Mäuse".encode()[2:]]
    program.process = SimpleNamespace(readAllStandardOutput=lambda: pieces.pop(0))  # type: ignore[assignment]
    program._read()
    program._read()
    assert "".join(said) == "Mäuse"


def test_pick_frames_tells_its_progress_and_can_be_cancelled(
    above: QWidget, qtbot: QtBot, tmp_path: Path
) -> None:
    film = str(write_film(tmp_path / "film.mkv"))
    words = [film, "--into", str(tmp_path / "labels"), "--count", "3"]
    window = ProgramWindow("Pick frames", "PickFrames.py", words, above)
    states: list[str] = []
    show = window.view.show_progress

    def listen(done: int, total: int, what: str) -> None:
        states.append(f"{what} {done} {total}")
        show(done, total, what)

    window.view.show_progress = listen  # type: ignore[method-assign]
    with qtbot.waitSignal(window.ended, timeout=SOON):
        pass
    assert "comparing frames 0 20" in states
    assert "writing frames 3 3" in states
    assert window.state.text() == "done"
    window.close()
    again = ProgramWindow("Pick frames", "PickFrames.py", words, above)
    again.stop.click()
    assert not again.program.running


def test_closing_asks_once_a_program_has_worked_for_long(
    above: QWidget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    film = str(write_film(tmp_path / "film.mkv"))
    window = ProgramWindow("Predict", "PredictVideos.py", [film], above)
    asked: list[str] = []
    replies = ["Continue", "Stop it"]

    def ask(_window: QWidget, question: str, *_answers: str, until: object) -> str:
        asked.append(question)
        return replies.pop(0)

    monkeypatch.setattr(program_window, "show_question", ask)
    window.view.started_ns -= 60 * 10**9
    window.close()
    assert window.program.running, "the user wants it to continue"
    window.close()
    assert not window.program.running
    assert asked == ["Predict is still running. Stop it?"] * 2


def test_a_program_that_replaces_files_runs_as_if_it_was_started_by_its_button(
    above: QWidget, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = ProgramWindow("Nothing", "CheckSettings.py", ["--help"], above)
    panel = ProgramPanel(PREDICT, tmp_path)
    qtbot.addWidget(panel)
    views = window.view, panel.view
    qtbot.waitUntil(lambda: window.stop.text() == "Close", timeout=SOON)
    started: list[Sequence[str]] = []
    monkeypatch.setattr(
        ProgramProcess, "start", lambda _self, _program, words: started.append(words)
    )
    monkeypatch.setattr(ProgramProcess, "running", True)
    monkeypatch.setattr(program_view, "show_question", lambda *_, **__: REPLACE)
    for view in views:
        view._replace()
    assert [list(words)[-1] for words in started] == ["--overwrite"] * 2
    assert window.stop.text() == "Stop"
    assert not panel.form.isEnabled()
    assert not panel.begin.isEnabled()
    monkeypatch.undo()
    window.close()


def test_a_program_that_cannot_be_started_is_told(
    above: QWidget, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = str(tmp_path / "no_python")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", missing)
        window = ProgramWindow("Nothing", "CheckSettings.py", ["--help"], above)
    qtbot.waitUntil(lambda: window.stop.text() == "Close", timeout=SOON)
    assert window.state.text().startswith(f"{missing} can't be started: ")
    assert window.bar.isHidden()
    window.close()


def test_a_bug_is_not_told_as_an_outcome(above: QWidget) -> None:
    window = ProgramWindow("Nothing", "CheckSettings.py", ["--help"], above)
    view = window.view
    view.program.stop()
    view._outcomes = {1: "No student meets both limits: see the table above."}
    view._ended(1, killed=False)
    assert view.state.text().startswith("No student meets both limits")
    view._read("Traceback (most recent call last):\n  File ...\nTypeError: too many\n")
    view._ended(1, killed=False)
    assert view.state.text() == "failed because of a bug: TypeError: too many"
    window.close()
