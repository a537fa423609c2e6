"""Start and Stop of everything, and the words of [Session] on the live page."""

from pathlib import Path

import pytest
from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Action, Failed
from deeplabstream.gui.main_window import MainWindow
from tests.gui.main_windows import answer, opened, rig_of

LEFT = Qt.MouseButton.LeftButton
ALL = [Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT]


@pytest.fixture
def window(qtbot: QtBot, file: Path) -> MainWindow:
    made = opened(qtbot, file)
    QApplication.setActiveWindow(made)
    return made


def tick(window: MainWindow, times: int = 10) -> None:
    for _ in range(times):
        window.bridge.tick()


def type_in(window: MainWindow, qtbot: QtBot, key: str, word: str) -> None:
    line = window.live.subject.lines[key]
    line.setFocus()
    line.clear()
    qtbot.keyClicks(line, word)


def test_start_brings_up_stream_analysis_and_experiment(
    window: MainWindow, qtbot: QtBot
) -> None:
    controls = window.live.controls
    qtbot.mouseClick(controls.start, LEFT)
    tick(window)
    assert rig_of(window).asked == ALL
    assert rig_of(window).state.experimenting
    assert not controls.start.isEnabled()
    assert controls.stop.isEnabled()
    window.end()


def test_start_starts_only_what_does_not_run(window: MainWindow, qtbot: QtBot) -> None:
    window.bridge.do(Action.START_STREAM)
    tick(window)
    assert window.live.controls.start.toolTip() == "starts analysis, experiment"
    qtbot.mouseClick(window.live.controls.start, LEFT)
    tick(window)
    assert rig_of(window).asked == ALL
    window.end()


def test_without_an_experiment_start_ends_with_analysis(
    window: MainWindow, qtbot: QtBot
) -> None:
    window.document.set_value("Experiment", "EXP_NAME", "")
    qtbot.mouseClick(window.live.controls.start, LEFT)
    tick(window)
    assert rig_of(window).asked == ALL[:2]
    assert not window.live.controls.start.isEnabled(), "all of it runs"
    window.end()


def test_after_a_failure_nothing_more_is_started(
    window: MainWindow, qtbot: QtBot
) -> None:
    window.bridge.begin()
    rig_of(window).news.append(Failed("the camera is gone"))
    tick(window)
    assert ALL[2] not in rig_of(window).asked
    window.end()


def test_a_faulty_file_is_not_started(window: MainWindow, qtbot: QtBot) -> None:
    window.document.set_value("Experiment", "PATIENCE_S", "soon")
    assert not window.live.controls.start.isEnabled()
    window.bridge.begin()
    tick(window)
    assert rig_of(window).asked == []
    window.end()


def test_stop_asks_only_while_an_experiment_runs(
    window: MainWindow, qtbot: QtBot
) -> None:
    window.bridge.begin()
    tick(window)
    answer("Keep running")
    qtbot.mouseClick(window.live.controls.stop, LEFT)
    assert rig_of(window).state.experimenting
    answer("Stop")
    qtbot.mouseClick(window.live.controls.stop, LEFT)
    tick(window)
    assert rig_of(window).asked[-1] is Action.STOP_STREAM
    window.bridge.do(Action.START_STREAM)
    tick(window)
    qtbot.mouseClick(window.live.controls.stop, LEFT)
    assert rig_of(window).asked[-1] is Action.STOP_STREAM
    window.end()


def test_animal_and_group_are_typed_before_a_start_and_not_saved_by_it(
    window: MainWindow, qtbot: QtBot, file: Path
) -> None:
    before = file.read_bytes()
    type_in(window, qtbot, "ANIMAL", "mouse 7")
    line = window.live.subject.lines["ANIMAL"]
    qtbot.keyClick(line, Qt.Key.Key_Tab)
    group = window.live.subject.lines["GROUP"]
    assert QApplication.focusWidget() is group, "the page was not made again"
    qtbot.keyClicks(group, "control")
    qtbot.mouseClick(window.live.controls.start, LEFT)  # takes the field with the focus
    tick(window)
    subject = rig_of(window).settings.subject
    assert (subject.animal, subject.group) == ("mouse 7", "control")
    assert not window.document.unsaved
    assert " *" not in window.windowTitle()
    window.document.save()
    assert file.read_bytes() == before
    window.end()


def test_the_settings_have_the_animal_to_begin_with(
    window: MainWindow, qtbot: QtBot
) -> None:
    document, line = window.document, window.live.subject.lines["ANIMAL"]
    document.set_value("Session", "ANIMAL", "mouse 1")  # an edit of the settings
    assert line.text() == "mouse 1"
    type_in(window, qtbot, "ANIMAL", "mouse 2")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    text = document.text
    document.set_value("Experiment", "EXP_TIME_S", "60")
    document.undo()
    assert document.text == text
    assert line.text() == rig_of(window).settings.subject.animal == "mouse 2"
    document.set_value("Session", "ANIMAL", "mouse 3")
    assert line.text() == rig_of(window).settings.subject.animal == "mouse 3"
    window.document.undo()
    window.document.undo()
    assert not window.document.unsaved
    window.end()


def test_the_animal_can_be_changed_until_the_experiment_starts(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    rig, panel = rig_of(window), window.live.subject
    for action in ALL[:2]:
        window.bridge.do(action)
        tick(window)
    rig._controls.run_open = True  # the recorder was asked for the folder
    rig.update(run_folder=tmp_path)
    type_in(window, qtbot, "ANIMAL", "mouse 8")
    qtbot.keyClick(panel.lines["ANIMAL"], Qt.Key.Key_Return)
    assert rig.state.used_settings is not None
    assert rig.state.used_settings.subject.animal == "mouse 8"
    assert "ANIMAL = mouse 8" in rig.state.used_settings.text
    assert not window.banner.isVisible(), "no restart is needed for it"
    type_in(window, qtbot, "GROUP", "control")
    window.live.request(ALL[2])  # takes the field with the focus
    tick(window)
    assert rig.state.experimenting
    assert rig.state.used_settings.subject.group == "control"
    assert panel.lines["ANIMAL"].isReadOnly()
    assert panel.fixed.isVisible()
    assert panel.fixed.text() == "Stop the stream to change"
    assert "Stop the stream to change" in panel.lines["GROUP"].toolTip()
    qtbot.keyClicks(panel.lines["ANIMAL"], "mouse 10")
    assert panel.lines["ANIMAL"].text() == "mouse 8"
    window.document.set_value("Session", "ANIMAL", "mouse 9")  # on the page Settings
    assert rig.state.used_settings.subject.animal == "mouse 8"
    assert window.banner.isVisible(), "it is that of the next run"
    window.bridge.do(Action.STOP_STREAM)
    tick(window)
    assert not window.live.subject.lines["ANIMAL"].isReadOnly(), "for the next run"
    assert not window.live.subject.fixed.isVisible()
    assert rig.settings.subject.animal == "mouse 9"
    window.end()


def test_what_names_the_run_folder_is_fixed_when_the_folder_is_made(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    window.document.set_value("Session", "RUN_NAME", "{animal}_{date}")
    rig, panel = rig_of(window), window.live.subject
    window.bridge.do(ALL[0])
    tick(window)
    assert not panel.lines["ANIMAL"].isReadOnly()
    rig._controls.run_open = True
    window.bridge.do(ALL[1])
    tick(window)
    assert panel.lines["ANIMAL"].isReadOnly()
    assert not panel.lines["GROUP"].isReadOnly()
    window.end()


def test_undo_in_a_field_of_the_session_takes_back_typing_then_the_settings(
    window: MainWindow, qtbot: QtBot
) -> None:
    window.document.set_value("Session", "ANIMAL", "mouse 7")
    type_in(window, qtbot, "GROUP", "con")
    line = window.live.subject.lines["GROUP"]
    ctrl = Qt.KeyboardModifier.ControlModifier
    while line.isUndoAvailable():
        qtbot.keyClick(line, Qt.Key.Key_Z, ctrl)
    assert line.text() == ""
    assert window.document.values["Session"]["ANIMAL"] == "mouse 7"
    window.live.subject.lines["EXPERIMENTER"].setFocus()
    qtbot.keyClick(window.live.subject.lines["EXPERIMENTER"], Qt.Key.Key_Z, ctrl)
    assert window.document.values["Session"]["ANIMAL"] == ""
    window.end()
