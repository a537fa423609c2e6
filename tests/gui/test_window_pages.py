"""The window around its pages: settings that change, the big stop, memory, leaving."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt5.QtCore import QPoint, QRect, QSettings, Qt, QTimer
from PyQt5.QtWidgets import (
    QApplication,
    QLabel,
    QMessageBox,
    QTableWidget,
    QWidget,
)
from pytestqt.qtbot import QtBot

from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.session.request_queue import RequestQueue
from deeplabstream.engine.session.session_state import (
    Action,
    Alarm,
    Failed,
    SessionState,
)
from deeplabstream.files.paths import ROOT
from deeplabstream.gui import menu
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.camera_controls_window import CameraWindow
from deeplabstream.gui.dialogs.dialog_input import dialog_in_front
from deeplabstream.gui.dialogs.help_window import KeysWindow
from deeplabstream.gui.dialogs.new_rig.wizard import NewRigWizard
from deeplabstream.gui.dialogs.output_test_dialog import OutputTest
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.pages.page_stack import PAGES
from deeplabstream.gui.pages.regions_page import RegionsPage
from deeplabstream.gui.pages.runs_page import RunsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import GREEN, LIGHT, palette
from deeplabstream.gui.widgets.problem_notice import ProblemNotice
from deeplabstream.plugins.camera import CameraControl
from deeplabstream.settings.loading import load
from deeplabstream.training.data import label_book
from deeplabstream.training.data.label_book import open_book
from tests.gui.fake_session import FakeSession
from tests.gui.main_windows import STARTS, answer, opened, rig_of, start


def test_changed_settings_are_the_rigs_while_it_is_idle(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    window.document.edit(window.document.text.replace("Trigger left", "Trigger nest"))
    problem = window.banner.text()
    assert "left" in problem, "the experiment still names it"
    window.document.edit(window.document.text.replace("= left, right", "= nest, right"))
    assert not window.banner.isVisible()
    assert list(window.live.triggers.lamps) == ["nest", "right"]
    assert list(rig_of(window).settings.triggers) == ["nest", "right"]
    window.end()


def test_a_running_rig_keeps_its_settings_until_the_next_start(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    window.live.controls.buttons[Action.START_STREAM].click()
    window.bridge.tick()
    used = rig_of(window).settings
    window.document.set_value("Experiment", "PATIENCE_S", "0.2")
    assert rig_of(window).settings is used
    assert "restart the stream" in window.banner.text()
    window.live.controls.buttons[Action.STOP_STREAM].click()
    window.bridge.tick()
    assert rig_of(window).settings.experiment.patience_s == 0.2
    assert not window.banner.isVisible()
    window.end()


def test_restart_now_uses_the_changed_settings(qtbot: QtBot, file: Path) -> None:
    window = opened(qtbot, file)
    start(window, STARTS[:2])
    assert not window.banner.restart.isVisible()
    window.document.set_value("Experiment", "PATIENCE_S", "0.2")
    window.bridge.do(Action.START_EXPERIMENT)
    window.bridge.tick()
    assert window.banner.restart.isVisible()
    assert not window.banner.restart.isEnabled(), "it would end the experiment"
    window.bridge.do(Action.STOP_EXPERIMENT)
    window.bridge.tick()
    qtbot.mouseClick(window.banner.restart, Qt.MouseButton.LeftButton)
    for _ in range(4):
        window.bridge.tick()
    rig = rig_of(window)
    assert rig.state.analysing
    assert rig.settings.experiment.patience_s == 0.2
    assert not window.banner.isVisible()
    window.end()


def test_a_problem_that_ends_as_a_question_gets_no_full_stop(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    window.document.set_value("Experiment", "CAMERA", "aren")
    assert "did you mean arena? Fix this" in window.banner.text()
    window.end()


@pytest.mark.parametrize("page", ["Live", "Settings"])
def test_stop_is_everywhere_and_so_is_esc(qtbot: QtBot, file: Path, page: str) -> None:
    window = opened(qtbot, file)
    rig = rig_of(window)
    start(window)
    window.show_page(page)
    QApplication.setActiveWindow(window)
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert rig.asked[-1] is Action.STOP_EXPERIMENT
    window.bridge.do(Action.START_EXPERIMENT)
    window.navigation.stop.click()
    assert rig.asked[-1] is Action.STOP_EXPERIMENT
    assert "STOP" in window.log.page.toPlainText()
    window.end()


@pytest.mark.parametrize("size", [(960, 720), (1280, 720), (1600, 1000)])
def test_stop_is_in_reach_in_every_size(
    qtbot: QtBot, file: Path, size: tuple[int, int]
) -> None:
    window = opened(qtbot, file)
    rig_of(window).update(alarms=(Alarm("[Camera arena] is lost", 0),))
    stop = window.navigation.stop
    for name in window.navigation.pages:
        window.show_page(name)
        window.live.controls.unfold.setChecked(True)
        window.resize(*size)
        QApplication.processEvents()
        window.bridge.tick()
        assert window.rect().contains(_place_in(window, stop)), name
        centre = _place_in(window, stop).center()
        assert window.childAt(centre) is stop, name
    window.end()


def _place_in(window: MainWindow, widget: QWidget) -> QRect:
    return QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())


def test_esc_disarms_a_rig_that_remotes_may_start(qtbot: QtBot, file: Path) -> None:
    window = opened(qtbot, file)
    window.show_page("Regions")
    page = window.page("Regions")
    assert isinstance(page, RegionsPage)
    page.tools["polygon"].click()
    rig_of(window).update(armed=True)
    QApplication.setActiveWindow(window)
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert rig_of(window).asked[-1] is Action.DISARM
    assert not rig_of(window).state.armed
    assert page.tools["polygon"].isChecked(), "the second Esc is for the drawing"
    window.end()


def test_esc_closes_a_dialog_or_cancels_a_drawing_only_while_nothing_is_on(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    window.menu.actions["Keyboard shortcuts"].trigger()
    keys = window.findChild(KeysWindow)
    assert keys is not None
    QApplication.setActiveWindow(keys)
    qtbot.keyClick(keys, Qt.Key.Key_Escape)
    assert not keys.isVisible()
    window.show_page("Regions")
    page = window.page("Regions")
    assert isinstance(page, RegionsPage)
    QApplication.setActiveWindow(window)
    page.tools["polygon"].click()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert not page.tools["polygon"].isChecked()
    assert "STOP" not in window.log.page.toPlainText()
    start(window)
    page.tools["polygon"].click()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert rig_of(window).asked[-1] is Action.STOP_EXPERIMENT
    assert page.tools["polygon"].isChecked(), "the second Esc is for the drawing"
    window.end()


def test_esc_in_a_dialog_stops_the_experiment_and_the_next_one_closes_it(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    rig = rig_of(window)
    whole = CameraControl("crop", (0, 0, 160, 100), None, (0, 0, 160, 100))
    rig.update(controls={"arena": (whole,)})
    start(window)
    window.live.adjusting["arena"].click()
    (adjusting,) = window.findChildren(CameraWindow)
    QApplication.setActiveWindow(adjusting)
    line = adjusting.lines["crop"]
    line.setFocus()
    qtbot.keyClick(line, Qt.Key.Key_Escape)
    window.bridge.tick()
    assert rig.asked[-1] is Action.STOP_EXPERIMENT
    assert adjusting.isVisible()
    asked = list(rig.asked)
    qtbot.keyClick(line, Qt.Key.Key_Escape)
    assert not adjusting.isVisible()
    assert rig.asked == asked
    window.end()


def test_leaving_asks_about_unsaved_settings(qtbot: QtBot, file: Path) -> None:
    window = opened(qtbot, file)
    window.document.set_value("Camera arena", "SEED", "9")
    assert window.windowTitle().startswith("rig.ini *")
    answer("Cancel")
    assert not window.close()
    assert window.isVisible()
    answer("Save")
    assert window.close()
    assert load(file).text == window.document.text
    assert rig_of(window).closed


def test_leaving_asks_about_labels_that_a_full_disk_refused(
    qtbot: QtBot, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = file.parent / "labels/labeled-data/film"
    labels.mkdir(parents=True)
    cv2.imwrite(str(labels / "img0.png"), np.zeros((48, 64), np.uint8))
    window = opened(qtbot, file)
    window.show_page("Network")
    page = window._pages["Network"]
    assert isinstance(page, NetworkPage)
    page.parts_line.setText("nose")
    page.open(file.parent / "labels")
    assert page.book is not None

    def full(*given: object, **named: object) -> None:
        raise OSError(28, "No space left on device", "CollectedData.csv")

    with monkeypatch.context() as patched:
        patched.setattr(label_book, "write_labels", full)
        page.book.place(0, 0, 10, 20)
        answer("Cancel")
        assert not window.close()
        assert window.isVisible()
    assert window.close(), "saved on the way, without a question"
    assert open_book(labels.parents[1]).points[0, 0].tolist() == [10, 20]


def test_a_file_that_another_program_changed_is_not_lost_unasked(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    window.document.set_value("Camera arena", "SEED", "9")
    file.write_text("# mine\n", encoding="utf-8")
    answer("Cancel")
    assert not window.menu.save()
    assert file.read_text(encoding="utf-8") == "# mine\n"
    answer("Overwrite")
    assert window.menu.save()
    window.end()


def test_a_signal_ends_without_a_question_and_keeps_a_draft(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    window.document.set_value("Camera arena", "SEED", "9")
    window.end()
    assert rig_of(window).closed
    draft = file.with_name("rig.unsaved.ini")
    assert draft.read_text(encoding="utf-8") == window.document.text
    again = opened(qtbot, file)
    assert again.document.lost, "it is offered when the window is shown"
    again.end()


def test_style_and_size_are_remembered(
    qtbot: QtBot, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MainWindow, "screen", lambda window: None)  # large enough
    memory = QSettings(str(tmp_path / "memory.ini"), QSettings.Format.IniFormat)
    window = opened(qtbot, file, memory)
    window.menu.actions["Light style"].trigger()
    window.resize(1340, 700)
    window.end()
    again = opened(qtbot, file, memory)
    assert palette() is LIGHT
    assert (again.width(), again.height()) == (1340, 700)
    again.menu.actions["Dark style"].trigger()
    again.end()


def test_everything_fits_a_small_screen(qtbot: QtBot, file: Path) -> None:
    window = opened(qtbot, file)
    for page in window.navigation.pages:
        window.show_page(page)
        assert window.minimumSizeHint().width() <= 1280
        assert window.minimumSizeHint().height() <= 700
    window.end()


def test_a_window_of_a_larger_screen_fits_this_one(
    qtbot: QtBot, file: Path, tmp_path: Path
) -> None:
    memory = QSettings(str(tmp_path / "memory.ini"), QSettings.Format.IniFormat)
    window = opened(qtbot, file, memory)
    window.resize(4000, 3000)
    memory.setValue("geometry", window.saveGeometry())
    again = opened(qtbot, file, memory)
    screen, least = again.screen(), again.minimumSizeHint()
    assert screen is not None
    room = screen.availableSize()
    assert again.width() <= max(room.width(), least.width())
    assert again.height() <= max(room.height(), least.height())
    again.resize(again.minimumSizeHint())
    again.move(0, room.height() - 50)
    again._fit_screen()
    bottom = again.frameGeometry().bottom()
    assert bottom <= screen.availableGeometry().bottom(), "moved onto the screen"
    again.move(-150, -80)
    again._fit_screen()
    corner = again.frameGeometry().topLeft()
    assert screen.availableGeometry().contains(corner), "the title bar can be reached"
    again.end()
    window.end()


@pytest.mark.parametrize("word", ["Restore", "Discard", "Not now"])
def test_unsaved_changes_of_a_killed_program_are_offered(
    qtbot: QtBot, file: Path, word: str
) -> None:
    killed = Document(file)
    killed.set_value("Session", "ANIMAL", "mouse 7")
    killed.keep_draft()
    window = opened(qtbot, file)
    answer(word)
    window.offer_draft()
    animal = window.document.values["Session"]["ANIMAL"]
    assert animal == ("mouse 7" if word == "Restore" else "")
    assert killed.draft.exists() == (word != "Discard")
    window.end()


def test_a_start_by_command_line_is_shown_on_the_live_page(
    qtbot: QtBot, file: Path, tmp_path: Path
) -> None:
    memory = QSettings(str(tmp_path / "memory.ini"), QSettings.Format.IniFormat)
    memory.setValue("page", "Health")
    rig = FakeSession()
    rig.settings = load(file)
    for queue, page in ((RequestQueue(), "Health"), (RequestQueue(STARTS), "Live")):
        window = MainWindow(Bridge(rig, queue), Document(file), memory)
        qtbot.addWidget(window)
        assert window.navigation.page == page
        window.end()
        memory.setValue("page", "Health")


def test_each_page_shows_stream_experiment_and_outputs(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    texts = window.navigation.state.texts
    assert [text.text() for text in texts.values()] == [
        "Stream", "Experiment", "Outputs",
    ]  # fmt: skip
    window.show_page("Settings")
    start(window)
    rig_of(window).update(levels={"laser": 1.0})
    window.bridge.tick()
    assert texts["Outputs"].text() == "On: laser"
    assert texts["Outputs"].isVisible()
    rig_of(window).update(levels={"left laser": 1.0, "right laser": 0.5, "cue": 0.0})
    window.bridge.tick()
    assert texts["Outputs"].text() == "2 outputs on"
    assert texts["Outputs"].toolTip() == "On: left laser, right laser"
    assert window.navigation.state.lamps["Experiment"].colour == GREEN
    assert window.navigation.state.lamps["Stream"].colour == GREEN
    window.end()


def test_a_window_is_named_after_its_rig_folder(qtbot: QtBot, tmp_path: Path) -> None:
    rig = tmp_path / "my_rig" / "settings.ini"
    rig.parent.mkdir()
    rig.write_bytes((ROOT / "settings.ini").read_bytes())
    window = opened(qtbot, rig)
    assert window.windowTitle() == "my_rig – DeepLabStream"
    window.end()


def test_a_refusal_is_not_shown_any_more_after_stop(qtbot: QtBot, file: Path) -> None:
    window = opened(qtbot, file)
    start(window, STARTS[:2])
    rig_of(window).news.append(Failed("Cannot start because the disk is full"))
    window.bridge.tick()
    message = window.live.controls.message
    assert message.text() == "Cannot start because the disk is full"
    window.live.end()
    window.bridge.tick()
    assert message.text() == "Nothing is running."
    window.end()


def test_another_rig_shows_nothing_of_the_last_one(
    qtbot: QtBot, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "settings.ini"
    other.parent.mkdir()
    other.write_bytes(file.read_bytes())
    window = opened(qtbot, file)
    pages = {}
    for name in PAGES:
        window.show_page(name)
        pages[name] = window.page(name)
    live, old = window.live, tmp_path / "output" / "old_run"
    window.log.add_line("the last rig")
    alarm = Alarm("[Camera arena] is lost", 0)
    rig_of(window).update(run_folder=old, alarms=(alarm,), failed_outputs={"x": "gone"})
    window.open_run(old)
    window.menu.open_file(other)
    assert window.windowTitle().startswith("other ")
    assert window.bridge.session.state == SessionState()
    assert window.log.page.toPlainText() == ""
    assert window.live is not live
    for name, page in pages.items():
        window.show_page(name)
        assert window.page(name) is not page
    runs = window.page("Runs")
    assert isinstance(runs, RunsPage)
    assert runs.chosen is None
    window.end()


def test_a_rig_whose_settings_have_problems_is_not_the_last_rig(
    qtbot: QtBot, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "settings.ini"
    other.parent.mkdir()
    other.write_text("[Camera]\nKIND = Webcam\n[Experiment]\nEXP_TIME_S = soon\n")
    window = opened(qtbot, file)
    rig = rig_of(window)
    window.show_page("Health")
    window.menu.open_file(other)
    problems = len(window.document.problems)
    assert problems > 1
    assert rig.settings.folder == other.parent
    assert rig.cameras == ()
    assert not rig.settings.outputs
    texts = [label.text() for label in window.live.findChildren(QLabel)]
    assert f"settings.ini has {problems} problems: the rig can't be used." in texts
    assert not window.live.display.grid.views
    for name in window.navigation.pages:
        window.show_page(name)
        window.bridge.tick()
        assert not [text for text in cells_of(window) if "arena" in text], name

    controls = window.live.controls
    assert not controls.start.isEnabled()
    assert not controls.buttons[Action.START_STREAM].isEnabled()
    why = f"settings.ini has {problems} problems. Fix them on the page Settings."
    assert controls.message.text() == f"Can't start: {why}"
    window.bridge.begin()
    window.bridge.do(Action.START_STREAM)
    window.bridge.tick()
    assert rig.asked == []

    window.show_page("Live")
    notice = window.live.findChild(ProblemNotice)
    assert notice is not None
    notice.show_settings.click()
    assert window.navigation.page == "Settings"
    window.document.edit(file.read_text(encoding="utf-8"))
    assert rig.cameras == ("arena",)
    assert [*window.live.display.grid.views] == ["arena"]
    assert controls is not window.live.controls
    assert window.live.controls.start.isEnabled()
    window.show_page("Health")
    assert "arena (SimulatedCamera): analysed, recorded" in cells_of(window)
    window.end()


def cells_of(window: MainWindow) -> list[str]:
    """Return the texts of the visible labels and of the headers of visible tables."""
    labels = window.findChildren(QLabel)
    texts = [label.text() for label in labels if label.isVisible()]
    for table in window.findChildren(QTableWidget):
        heads = [table.verticalHeaderItem(row) for row in range(table.rowCount())]
        if table.isVisible():
            texts += [head.text() for head in heads if head is not None]
    return texts


def test_no_other_rig_is_opened_while_a_training_runs(
    qtbot: QtBot, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, shown = opened(qtbot, file), list[str]()
    window.show_page("Network")
    monkeypatch.setattr(NetworkPage, "running", "training of mouse")
    monkeypatch.setattr(menu, "show_message", lambda _, text: shown.append(text))
    window.menu.open_file(tmp_path / "other.ini")
    assert shown == [
        "Still running for rig.ini: training of mouse. Stop it or wait, then open "
        "another file."
    ]
    window.end()


def test_stop_ends_the_output_test_of_the_wizard(
    qtbot: QtBot, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, stopped = opened(qtbot, file), list[object]()
    wizard = NewRigWizard(tmp_path / "new", window)
    monkeypatch.setattr(OutputTest, "stop", lambda test: stopped.append(test))
    window.navigation.stop.click()
    assert stopped == [window.test, wizard.test.test]
    wizard.reject()
    window.end()


def test_a_second_window_of_a_rig_leaves_the_draft_of_the_first(
    qtbot: QtBot, file: Path
) -> None:
    first, shown = opened(qtbot, file), list[str]()
    first.offer_draft()
    first.document.set_value("Session", "ANIMAL", "mouse 7")
    first.document.keep_draft()
    draft = file.with_name("rig.unsaved.ini")

    def read() -> None:
        box = dialog_in_front()
        assert isinstance(box, QMessageBox)
        shown.append(box.text())
        box.close()

    QTimer.singleShot(0, read)
    second = opened(qtbot, file)
    second.offer_draft()
    assert "This rig is open in another window" in shown[0]
    second.end()
    assert draft.exists()
    first.end()

    third = opened(qtbot, file)
    answer("Restore")
    third.offer_draft()
    assert third.document.values["Session"]["ANIMAL"] == "mouse 7"
    third.end()


def test_changes_that_were_discarded_on_closing_leave_no_draft(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    window.document.set_value("Session", "ANIMAL", "mouse 7")
    window.document.keep_draft()
    answer("Discard")
    assert window.close()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_network_that_is_not_there_is_shown_before_the_start(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    window.document.set_value("Pose Estimation", "MODEL", "arenas")
    window.document.check()
    assert "there is no model 'arenas'" in window.banner.text()
    assert window.live.controls.buttons[Action.START_STREAM].isEnabled()
    window.document.undo()
    window.document.check()
    assert not window.banner.isVisible()
    window.end()


def test_good_findings_of_the_pre_flight_check_are_one_line(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    log = window.log.page.toPlainText
    good = [Note("preflight", f"[Output {n}] acknowledges", 0) for n in range(9)]
    rig_of(window).news += good
    window.bridge.tick()
    assert log() == "Pre-flight OK: 9 checks, see the page Health"
    slow = "warning: [Camera arena] gives 20.0 frames/s and not 30"
    rig_of(window).news += [*good, Note("preflight", slow, 0)]
    window.bridge.tick()
    assert log().splitlines()[1:] == [
        "Pre-flight: 1 of 10 checks, see the page Health",
        slow,
    ]
    window.end()


def test_full_screen_shows_the_images_and_stop(qtbot: QtBot, file: Path) -> None:
    window = opened(qtbot, file)
    QApplication.setActiveWindow(window)
    qtbot.keyClick(window, Qt.Key.Key_F11)
    assert window.isFullScreen()
    assert not window.live.controls.isVisible()
    assert window.navigation.stop.isVisible()
    assert window.alarms.parentWidget() is window.overlay
    window.document.set_value("Experiment", "PATIENCE_S", "0.2")  # another live page
    assert not window.live.controls.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert window.isFullScreen(), "Esc is STOP"
    qtbot.keyClick(window, Qt.Key.Key_F11)
    assert not window.isFullScreen()
    assert window.live.controls.isVisible()
    window.end()
