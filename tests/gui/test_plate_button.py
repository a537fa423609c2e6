"""The live page offers to use a plate of arenas where it lies, after it was moved."""

from dataclasses import replace
from pathlib import Path

import pytest
from PyQt5.QtCore import Qt
from pytestqt.qtbot import QtBot

from deeplabstream.engine.plate_watch import AWAY_FLAG
from deeplabstream.engine.session.earlier_run import Resumption
from deeplabstream.engine.session.session_state import Action
from deeplabstream.gui.main_window import MainWindow
from tests.engine.test_resumed_runs import PULSES, RIG
from tests.gui.fake_session import make_step
from tests.gui.main_windows import STARTS, answer, opened, rig_of, start

LEFT = Qt.MouseButton.LeftButton
RUN = Path("runs/first")


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> MainWindow:
    file = tmp_path / "settings.ini"
    file.write_text(RIG.format(limits="", experiment=PULSES))
    return opened(qtbot, file)


def show(window: MainWindow, index: int, *, is_away: bool) -> None:
    """Show a frame, and the buttons that follow from it."""
    session = rig_of(window)
    camera = session.settings.deciding_camera
    flags = dict(AWAY_FLAG) if is_away else {}
    session.news.append(replace(make_step(index), camera=camera, flags=flags))
    for _ in range(10):
        window.bridge.tick()


def test_the_experiment_goes_on_in_a_new_run_with_the_plate_where_it_lies(
    qtbot: QtBot, window: MainWindow
) -> None:
    session, button = rig_of(window), window.live.controls.accept_plate
    start(window)
    session.update(run_folder=RUN)
    show(window, 1, is_away=False)
    assert not button.isVisible()
    show(window, 2, is_away=True)
    assert button.isVisible()

    answer("Wait for the plate")
    qtbot.mouseClick(button, LEFT)
    assert session.state.experimenting and session.resumes is None
    answer("Continue in a new run")
    qtbot.mouseClick(button, LEFT)
    assert session.resumes == Resumption(RUN, required=False)
    for _ in range(10):
        window.bridge.tick()
    assert session.asked[len(STARTS) :] == [Action.STOP_STREAM, *STARTS]
    assert not button.isVisible()
    window.end()


def test_without_an_experiment_the_analysis_starts_again(
    qtbot: QtBot, window: MainWindow
) -> None:
    session, button = rig_of(window), window.live.controls.accept_plate
    start(window, STARTS[:2])
    show(window, 1, is_away=True)
    qtbot.mouseClick(button, LEFT)
    for _ in range(10):
        window.bridge.tick()
    assert session.asked[2:] == [Action.STOP_STREAM, *STARTS[:2]]
    assert session.resumes is None
    window.end()


def test_a_plate_that_was_put_back_needs_no_button(window: MainWindow) -> None:
    start(window)
    show(window, 1, is_away=True)
    show(window, 2, is_away=False)
    assert not window.live.controls.accept_plate.isVisible()
    window.end()
