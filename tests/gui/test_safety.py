"""What the window never does unasked: stop, start or replace something. Real keys."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtWidgets import QAbstractButton, QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Action, Phase
from deeplabstream.files import rig_folder
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.dialog_input import dialog_in_front
from deeplabstream.gui.dialogs.program_window import FormWindow, ProgramWindow
from deeplabstream.gui.dialogs.questions import place_to_write
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.experiment_page import ExperimentPage
from deeplabstream.gui.pages.health_page import LatencyTestButton
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.pages.settings_page import SettingsPage
from deeplabstream.gui.pages.training_tab import TrainingTab
from deeplabstream.gui.program_process import ProgramProcess
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.field_editors import TextEditor
from deeplabstream.gui.widgets.stop_button import StopButton
from deeplabstream.settings import example_rig
from deeplabstream.settings.example_rig import make_rig
from deeplabstream.settings.loading import load
from deeplabstream.training.data.simulated_labels import draw_labels
from tests.gui.fake_session import FakeSession
from tests.gui.main_windows import STARTS, answer, rig_of
from tests.gui.uncut import cut_texts

ROOT = Path(__file__).resolve().parents[2]
LEFT = Qt.MouseButton.LeftButton
PRESSING = (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)


@pytest.fixture
def window(qtbot: QtBot, file: Path) -> Iterator[MainWindow]:
    rig = FakeSession()
    rig.settings = load(file)
    made = MainWindow(Bridge(rig), Document(file))
    qtbot.addWidget(made)
    made.show()
    QApplication.setActiveWindow(made)
    yield made
    made.end()  # without a question


def click(window: MainWindow, qtbot: QtBot, actions: Sequence[Action]) -> None:
    for action in actions:
        qtbot.mouseClick(window.live.controls.buttons[action], LEFT)
        window.bridge.tick()


def press_everything(window: MainWindow, qtbot: QtBot) -> None:
    for key in PRESSING:
        qtbot.keyClick(QApplication.focusWidget() or window, key)
        window.bridge.tick()


def test_space_and_enter_after_start_experiment_stop_nothing(
    window: MainWindow, qtbot: QtBot
) -> None:
    started = (*STARTS[:2], Action.START_RECORDING, STARTS[2])
    click(window, qtbot, started)
    press_everything(window, qtbot)
    assert rig_of(window).asked == [*started]
    window.end()


def test_keys_that_go_from_button_to_button_never_come_to_a_stop_button(
    window: MainWindow, qtbot: QtBot
) -> None:
    button = window.live.controls.buttons[Action.START_STREAM]
    button.setFocus()
    for start in (*STARTS, Action.START_RECORDING):  # by keys alone
        window.live.controls.buttons[start].setFocus()
        qtbot.keyClick(window.live.controls.buttons[start], Qt.Key.Key_Space)
        window.bridge.tick()
        assert not isinstance(QApplication.focusWidget(), StopButton)
        press_everything(window, qtbot)
    for _ in range(60):
        qtbot.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Tab)
        assert not isinstance(QApplication.focusWidget(), StopButton)
    asked = rig_of(window).asked
    assert {*asked} == {*STARTS, Action.START_RECORDING}
    window.end()


def test_a_click_on_a_button_never_makes_it_react_to_space(
    window: MainWindow, qtbot: QtBot
) -> None:
    click(window, qtbot, STARTS)
    before = window.document.text
    for name in window.navigation.pages:
        window.show_page(name)
        page = window.live if name == "Live" else window.page(name)
        clickable = [
            button
            for button in [
                *page.findChildren(QAbstractButton),
                *window.navigation.findChildren(QAbstractButton),
            ]
            if button.focusPolicy() & Qt.FocusPolicy.ClickFocus
        ]
        assert not clickable, name
    window.show_page("Experiment")
    experiment = window.page("Experiment")
    assert isinstance(experiment, ExperimentPage)
    experiment.add("Optogenetic")
    qtbot.mouseClick(experiment.use, LEFT)
    changed = window.document.text
    assert changed != before
    press_everything(window, qtbot)
    assert window.document.text == changed
    assert rig_of(window).asked == [*STARTS]
    window.end()


def test_a_click_on_a_button_takes_the_field_that_is_being_edited(
    window: MainWindow, qtbot: QtBot
) -> None:
    window.show_page("Settings")
    page = window.page("Settings")
    assert isinstance(page, SettingsPage)
    page.show_section("Output left stimulus")
    assert page.form is not None
    editor = page.form.editors["MAX_ON_S"]
    assert isinstance(editor, TextEditor)
    editor.line.setFocus()
    qtbot.keyClicks(editor.line, "7")
    qtbot.mouseClick(window.navigation.pages["Live"], LEFT)
    assert window.document.values["Output left stimulus"]["MAX_ON_S"] == "7"
    window.end()


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (Action.START_EXPERIMENT, "an experiment"),
        (Action.START_RECORDING, "a recording"),
    ],
)
def test_closing_asks_while_something_runs(
    window: MainWindow, qtbot: QtBot, action: Action, word: str
) -> None:
    click(window, qtbot, (*STARTS[:2], action))
    said: list[str] = []

    def press_enter() -> None:
        box = dialog_in_front()
        assert isinstance(box, QMessageBox)
        said.append(box.text())
        qtbot.keyClick(box, Qt.Key.Key_Return)

    QTimer.singleShot(0, press_enter)
    assert not window.close(), "Enter stays"
    assert word in said[0]
    assert window.isVisible()
    assert not rig_of(window).closed
    answer("End and close")
    assert window.close()
    assert rig_of(window).closed


def test_closing_asks_while_a_program_of_the_window_works(
    window: MainWindow, qtbot: QtBot
) -> None:
    program = ProgramWindow("Export", "ExportRun.py", ["--help"], window)
    assert program.program.running
    answer("Stay")
    assert not window.close()
    program.program.stop()
    window.end()


@pytest.fixture
def latency_test(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> FormWindow:
    """A latency test that was begun on page Health; its program only waits."""
    monkeypatch.setattr(
        ProgramProcess,
        "start",
        lambda self, *_: self.process.start(sys.executable, ["-c", "input()"]),
    )
    window.show_page("Health")
    (button,) = window.page("Health").findChildren(LatencyTestButton)
    button.click()
    (form,) = button.findChildren(FormWindow)
    form.panel.form.show_values({"--yes": ["yes"], "--port": ["COM3"]})
    form.panel.begin.click()
    assert form.view.running
    return form


def _press_escape(window: MainWindow, form: FormWindow, qtbot: QtBot) -> None:
    QApplication.setActiveWindow(form)
    qtbot.keyClick(form, Qt.Key.Key_Escape)


@pytest.mark.parametrize(
    "way",
    [
        lambda window, _form, qtbot: qtbot.mouseClick(window.navigation.stop, LEFT),
        _press_escape,
        lambda window, _form, _qtbot: window.outputs_off(),
    ],
    ids=["STOP", "Esc", "Ctrl-Z"],
)
def test_a_latency_test_ends_where_all_outputs_go_off(
    window: MainWindow,
    latency_test: FormWindow,
    qtbot: QtBot,
    way: Callable[[MainWindow, FormWindow, QtBot], object],
) -> None:
    assert window.stop_window.process is not None
    way(window, latency_test, qtbot)
    assert not latency_test.view.running
    assert window.stop_window.process is None
    assert latency_test.isVisible(), "its output can be read"
    assert latency_test.view.state.text() == "Stopped."
    assert latency_test.panel.begin.isEnabled()


@pytest.mark.parametrize("way", ["Stop", "ends by itself", "close"])
def test_no_stream_starts_during_a_latency_test(
    window: MainWindow, latency_test: FormWindow, qtbot: QtBot, way: str
) -> None:
    told: list[str] = []
    window.bridge.failed.connect(told.append)
    window.bridge.do(Action.START_STREAM)
    window.bridge.begin()
    assert told == 2 * [
        "Can't start: Measure latency runs. Wait until it ends, or stop it."
    ]
    assert window.bridge.session.state.phase is Phase.IDLE
    with qtbot.waitSignal(window.bridge.blockers_changed, timeout=60_000):
        if way == "Stop":
            latency_test.view.stop.click()
        elif way == "close":
            latency_test.close()
        else:
            latency_test.view.program.process.write(b"\n")
    qtbot.waitUntil(lambda: window.bridge.blocked == "", timeout=60_000)


def test_stop_leaves_programs_that_switch_no_output(
    window: MainWindow, qtbot: QtBot
) -> None:
    program = ProgramWindow("Export", "ExportRun.py", ["--help"], window)
    qtbot.mouseClick(window.navigation.stop, LEFT)
    assert program.view.running
    program.program.stop()


def test_a_faulty_file_starts_nothing(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    faulty = tmp_path / "old.ini"
    faulty.write_text("[Camera arena]\nKIND = NoSuchCamera\n", encoding="utf-8")
    window.menu.open_file(faulty)
    controls = window.live.controls
    assert window.windowTitle().startswith("old.ini")
    assert "Fix this before you start" in window.banner.text()
    assert "old.ini has" in controls.message.text()
    assert not controls.buttons[Action.START_STREAM].isEnabled()
    window.bridge.do(Action.START_STREAM)  # whoever else asks
    window.bridge.tick()
    assert rig_of(window).asked == []
    assert not any(each.isEnabled() for each in window.live.outputs.tests.values())
    window.menu.open_file(tmp_path / "rig.ini")
    assert controls is not window.live.controls or not window.banner.isVisible()
    assert window.live.controls.buttons[Action.START_STREAM].isEnabled()
    window.end()


def test_no_other_file_is_opened_while_the_rig_runs(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    click(window, qtbot, STARTS[:1])
    other = tmp_path / "other.ini"
    other.write_bytes((ROOT / "settings.ini").read_bytes())
    QTimer.singleShot(0, _press_ok)
    window.menu.open_file(other)
    assert window.document.path.name == "rig.ini"
    window.end()


def _press_ok() -> None:
    box = dialog_in_front()
    assert isinstance(box, QMessageBox)
    box.accept()


@pytest.fixture
def shipped(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> MainWindow:
    """A window on a program folder's own settings.ini, as it was shipped."""
    file = tmp_path / "settings.ini"
    file.write_text(example_rig.example_text(), encoding="utf-8", newline="")
    monkeypatch.setattr(example_rig, "EXAMPLE", file)
    monkeypatch.setenv(rig_folder.VARIABLE, str(tmp_path))
    rig = FakeSession()
    rig.settings = load(file)
    made = MainWindow(Bridge(rig), Document(file))
    qtbot.addWidget(made)
    made.show()
    return made


def test_the_example_that_is_kept_is_the_one_that_is_shipped() -> None:
    kept = ROOT / "deeplabstream" / "settings" / "example_settings.ini"
    assert kept.read_bytes() == (ROOT / "settings.ini").read_bytes()
    assert example_rig.is_example(ROOT / "settings.ini", example_rig.example_text())
    assert not example_rig.is_example(ROOT / "mine.ini", example_rig.example_text())


def test_saving_the_example_rig_asks_for_a_name(
    shipped: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped.document.set_value("Session", "ANIMAL", "mouse 1")
    answer("Cancel")
    assert not shipped.menu.save()
    proposed: list[str] = []

    def choose(_parent: object, _title: str, path: str, _kinds: str) -> str:
        proposed.append(path)
        return str(tmp_path / "mouse")

    monkeypatch.setattr(file_dialogs, "save_file", choose)
    answer("Save as …")
    assert shipped.menu.save()
    assert Path(proposed[0]).name == "my_rig.ini"
    assert shipped.document.path.name == "mouse.ini", "Open would hide it without .ini"
    text = (tmp_path / "settings.ini").read_text(encoding="utf-8")
    assert text.splitlines() == example_rig.example_text().splitlines()
    shipped.document.set_value("Session", "ANIMAL", "mouse 2")
    assert shipped.menu.save(), "the user's own file is saved without a question"
    shipped.end()


def test_a_write_protected_file_is_replaced_only_after_a_question(
    shipped: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.ini"
    shipped.document.save(mine)
    shipped.document.set_value("Session", "ANIMAL", "mouse 1")
    monkeypatch.setattr(os, "access", lambda path, *_, **__: path != mine)
    answer("Cancel")
    assert not shipped.menu.save()
    assert "mouse 1" not in mine.read_text(encoding="utf-8")
    answer("Overwrite")
    assert shipped.menu.save()
    assert "mouse 1" in mine.read_text(encoding="utf-8")
    shipped.end()


def test_the_example_can_be_restored_and_the_present_file_is_kept(
    shipped: MainWindow, tmp_path: Path
) -> None:
    shipped.document.set_value("Session", "ANIMAL", "mouse 1")
    answer("Save here anyway")
    assert shipped.menu.save()
    mine = shipped.document.text
    answer("Cancel")
    shipped.menu.restore_example()
    assert shipped.document.path.read_text(encoding="utf-8") == mine
    answer("Restore")
    shipped.menu.restore_example()
    expected = example_rig.example_text(tmp_path)
    assert shipped.document.text.splitlines() == expected.splitlines()
    backup = tmp_path / "settings.before_example.ini"
    assert backup.read_text(encoding="utf-8") == mine
    shipped.end()


def test_the_example_is_restored_in_the_rig_in_use(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = (ROOT / "settings.ini").read_bytes()
    rig = make_rig(tmp_path / "left")
    (rig / "settings.ini").write_text("# mine\n", encoding="utf-8")
    monkeypatch.setenv(rig_folder.VARIABLE, str(rig))
    answer("Restore")
    window.menu.restore_example()
    assert window.document.path == rig / "settings.ini"
    text = (rig / "settings.ini").read_text(encoding="utf-8")
    assert text.splitlines() == example_rig.example_text(rig).splitlines()
    backup = rig / "settings.before_example.ini"
    assert backup.read_text(encoding="utf-8") == "# mine\n"
    assert (ROOT / "settings.ini").read_bytes() == shipped
    window.end()


def test_save_as_over_another_file_proposes_a_free_name(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs.ini"
    theirs.write_text("# theirs\n", encoding="utf-8")
    monkeypatch.setattr(file_dialogs, "save_file", lambda *_: str(theirs))
    answer("Cancel")
    assert not window.menu.save_as()
    answer("Write theirs_2.ini")
    assert window.menu.save_as()
    assert theirs.read_text(encoding="utf-8") == "# theirs\n"
    assert window.document.path.name == "theirs_2.ini"
    window.end()


def test_save_as_adds_the_ending_that_open_shows(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = str(tmp_path / "mouse")
    monkeypatch.setattr(file_dialogs, "save_file", lambda *_: typed)
    assert window.menu.save_as()
    assert window.document.path == tmp_path / "mouse.ini"
    assert not (tmp_path / "mouse").exists()
    window.end()


def test_a_long_question_is_shown_whole_and_enter_loses_nothing(
    window: MainWindow, tmp_path: Path
) -> None:
    taken = tmp_path / "labels.csv"
    taken.write_text("theirs", encoding="utf-8")
    what = f"{taken} already exists: it has labels of 400 frames. " * 6
    seen: list[tuple[str, list[str]]] = []

    def look() -> None:
        box = dialog_in_front()
        assert isinstance(box, QMessageBox)
        chosen = box.defaultButton()
        assert chosen is not None
        seen.append((chosen.text(), list(cut_texts(box))))
        chosen.click()

    QTimer.singleShot(0, look)
    assert place_to_write(window, taken, what) == tmp_path / "labels_2.csv"
    assert seen == [("Write labels_2.csv", [])]
    window.end()


@pytest.fixture
def training(window: MainWindow, tmp_path: Path) -> TrainingTab:
    """The Train step over labels of a project, whose name a network has already."""
    draw_labels(
        tmp_path / "projects/first_loop/labels", (96, 128, 3), frames=4, walks=2, seed=1
    )
    window.show_page("Network")
    page = window.page("Network")
    assert isinstance(page, NetworkPage)
    page.open(tmp_path / "projects/first_loop/labels")
    page.show_step("Train")
    network = tmp_path / "models" / "first_loop" / "model.json"
    network.parent.mkdir(parents=True)
    network.write_text("theirs", encoding="utf-8")
    return page.training


def test_train_asks_before_it_replaces_a_network_and_proposes_a_free_name(
    window: MainWindow,
    training: TrainingTab,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[list[str]] = []
    monkeypatch.setattr(
        training.program, "start", lambda _program, words: begun.append(list(words))
    )
    network = window.document.path.parent / "models" / "first_loop" / "model.json"
    assert training.name.text() == "first_loop", "the project's, not one for all"
    answer("Cancel")
    qtbot.mouseClick(training.train, LEFT)
    assert begun == []
    answer("Write first_loop_2")
    qtbot.mouseClick(training.train, LEFT)
    assert begun[0][begun[0].index("--output") + 1].endswith("first_loop_2")
    assert "--overwrite" not in begun[0]
    training.name.setText("first_loop")
    answer("Replace it")
    qtbot.mouseClick(training.train, LEFT)
    assert begun[1][begun[1].index("--output") + 1].endswith("first_loop")
    assert "--overwrite" in begun[1]
    assert network.read_text(encoding="utf-8") == "theirs"
    window.end()


def test_train_never_replaces_the_network_that_the_settings_use(
    window: MainWindow, training: TrainingTab, qtbot: QtBot
) -> None:
    window.document.set_value("Pose Estimation", "MODEL", "first_loop")
    offered: list[str] = []

    def press_enter() -> None:
        box = dialog_in_front()
        assert isinstance(box, QMessageBox)
        offered.extend(button.text() for button in box.buttons())
        qtbot.keyClick(box, Qt.Key.Key_Escape)

    QTimer.singleShot(0, press_enter)
    qtbot.mouseClick(training.train, LEFT)
    assert "Write first_loop_2" in offered
    assert "Replace it" not in offered
    assert not training.running
    window.end()


def test_train_takes_no_name_that_leads_elsewhere(
    window: MainWindow, training: TrainingTab
) -> None:
    for name in ("../../bad", "bad name?*", "a/b", "", "C:x"):
        training.name.setText("a_good_one")
        assert training.train.isEnabled()
        training.name.setText(name)
        assert not training.train.isEnabled(), name
        assert training.model.parent == window.document.path.parent / "models"
    window.end()
