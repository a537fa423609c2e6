"""The settings page as a person uses it: click, type, see, save."""

from pathlib import Path

import pytest
from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from serial.tools.list_ports_common import ListPortInfo

from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.settings_repair import SettingsRepairWindow
from deeplabstream.gui.pages import settings_page
from deeplabstream.gui.pages.settings_page import SettingsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.field_editors import ChoiceEditor, TextEditor
from deeplabstream.gui.widgets.settings_form import (
    FileProblems,
    problems_of,
    unplaced_problems,
)
from deeplabstream.plugins.camera import Device
from deeplabstream.settings.fields import keys_of
from deeplabstream.settings.loading import FAMILIES, FIXED, kinds_of, load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def page(tmp_path: Path, qtbot: QtBot) -> SettingsPage:
    file = tmp_path / "rig.ini"
    file.write_bytes((ROOT / "settings.ini").read_bytes())
    made = SettingsPage(Document(file))
    qtbot.addWidget(made)
    made.show()
    return made


def write(qtbot: QtBot, page: SettingsPage, key: str, word: str) -> None:
    assert page.form is not None
    editor = page.form.editors[key]
    assert isinstance(editor, TextEditor)
    editor.line.selectAll()
    qtbot.keyClicks(editor.line, word)
    qtbot.keyClick(editor.line, Qt.Key.Key_Return)


def choose(page: SettingsPage, key: str, word: str) -> None:
    assert page.form is not None
    editor = page.form.editors[key]
    assert isinstance(editor, ChoiceEditor)
    place = editor.box.findText(word)
    editor.box.setCurrentIndex(place)
    editor.box.activated.emit(place)


def test_typing_a_wrong_value_shows_why_at_its_field(
    page: SettingsPage, qtbot: QtBot
) -> None:
    page.show_section("Trigger left")
    write(qtbot, page, "REGION", "circle 160")
    assert page.form is not None
    problem = page.form.problems["REGION"]
    assert problem.isVisibleTo(page)
    assert problem.text() == "expected circle X Y R"
    chosen = page.list.currentItem()
    assert chosen is not None
    assert chosen.text().endswith("●")
    write(qtbot, page, "REGION", "circle 160 240 90")
    assert not problem.isVisibleTo(page)
    assert not page.document.problems


def test_what_was_typed_and_chosen_is_in_the_saved_file(
    page: SettingsPage, qtbot: QtBot
) -> None:
    page.show_section("Recording")
    choose(page, "CODEC", "ffv1")
    write(qtbot, page, "SPLIT_MINUTES", "10")
    page.show_section("Experiment")
    choose(page, "RECORD_EXP", "no")
    page.document.save()
    settings = load(page.document.path)
    assert settings.recording.codec == "ffv1"
    assert settings.recording.split_minutes == 10
    assert settings.experiment.record_exp is False


def test_an_emptied_field_goes_back_to_its_default(
    page: SettingsPage, qtbot: QtBot
) -> None:
    page.show_section("Experiment")
    assert page.form is not None
    editor = page.form.editors["PATIENCE_S"]
    assert isinstance(editor, TextEditor)
    editor.line.clear()
    qtbot.keyClick(editor.line, Qt.Key.Key_Return)
    assert "PATIENCE_S" not in page.document.values["Experiment"]
    assert editor.line.placeholderText() == "0.5"


def test_a_section_is_added_filled_in_and_removed(
    page: SettingsPage, qtbot: QtBot
) -> None:
    page.add_section("Trigger", "Speed", "running")
    assert page.form is not None
    assert page.form.title == "Trigger running"
    assert page.form.problems["BODYPARTS"].isVisibleTo(page), "it is needed"
    write(qtbot, page, "BODYPARTS", "snout")
    for key, label in page.form.problems.items():
        if label.isVisibleTo(page):
            write(qtbot, page, key, "100")
    assert not page.document.problems
    page.remove.click()
    assert "Trigger running" not in page.document.values
    page.document.undo()
    assert "Trigger running" in page.document.values


def test_another_kind_has_another_form(page: SettingsPage) -> None:
    page.show_section("Camera arena")
    choose(page, "KIND", "Webcam")
    assert page.form is not None
    assert "SOURCE" in page.form.editors


def test_another_kind_removes_the_keys_that_only_the_old_one_had(
    page: SettingsPage,
) -> None:
    before = page.document.text
    page.show_section("Camera arena")
    page.document.set_value("Camera arena", "RATE", "25")
    page.document.set_value("Camera arena", "ANALYSE", "no")
    page.document.set_value("Camera arena", "NONSENSE", "1")
    choose(page, "KIND", "VideoFile")
    # a key that is unknown to both stays: it may be a spelling mistake
    assert page.document.values["Camera arena"] == {
        "KIND": "VideoFile",
        "ANALYSE": "no",
        "NONSENSE": "1",
    }
    for _ in range(4):
        page.document.undo()
    assert page.document.text == before


def test_another_kind_is_chosen_from_the_open_list(
    page: SettingsPage, qtbot: QtBot
) -> None:
    """The form with the list is replaced while the list still handles the event."""
    page.show_section("Camera arena")
    assert page.form is not None
    editor = page.form.editors["KIND"]
    assert isinstance(editor, ChoiceEditor)
    editor.box.showPopup()
    view = editor.box.view()
    assert view is not None
    model = view.model()
    assert model is not None
    view.setCurrentIndex(model.index(editor.box.findText("VideoFile"), 0))
    qtbot.keyClick(view, Qt.Key.Key_Return)
    QApplication.processEvents()
    assert page.document.values["Camera arena"]["KIND"] == "VideoFile"
    assert "SOURCE" in page.form.editors


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_has_a_form_with_all_its_keys(
    page: SettingsPage, family: str
) -> None:
    for kind in kinds_of(family):
        page.add_section(family, kind, f"new {kind}")
        assert page.form is not None
        assert page.form.kind is kinds_of(family)[kind]
        assert "KIND" in page.form.editors


def test_every_fixed_section_is_there(page: SettingsPage) -> None:
    for title in FIXED:
        page.show_section(title)
        assert page.form is not None
        assert page.form.title == title


def test_problems_find_their_fields() -> None:
    problems = [
        "[Trigger a] REGION = circle 1: expected circle X Y R",
        "[Trigger a] BODYPARTS: is missing (body parts)",
        "[Trigger a] one must be larger",
        "[Trigger ab] REGION: is missing",
        "[Trigger a]: needs a name: any",
    ]
    assert problems_of(problems, "Trigger a") == {
        "REGION": "expected circle X Y R",
        "BODYPARTS": "is missing (body parts)",
        "": "one must be larger; needs a name: any",
    }


def test_a_broken_file_is_mended_before_the_rig_starts(
    tmp_path: Path, qtbot: QtBot
) -> None:
    file = tmp_path / "rig.ini"
    text = (ROOT / "settings.ini").read_text(encoding="utf-8")
    file.write_text(text.replace("SEED = 1", "SEED = one"), encoding="utf-8")
    window = SettingsRepairWindow(Document(file))
    qtbot.addWidget(window)
    window.show()
    assert "[Camera arena] SEED = one" in window.message.text()
    assert not window.proceed.isEnabled()
    window.page.show_section("Camera arena")
    write(qtbot, window.page, "SEED", "3")
    window.proceed.click()
    assert window.continued
    assert window.document.settings is not None


def offered(editor: TextEditor) -> list[str]:
    """Return the words of the menu beside a line, found now."""
    editor.menu.aboutToShow.emit()
    return [action.text() for action in editor.menu.actions()]


def line_of(page: SettingsPage, key: str) -> TextEditor:
    assert page.form is not None
    editor = page.form.editors[key]
    assert isinstance(editor, TextEditor)
    return editor


def test_labels_are_words_and_the_key_is_their_hint(page: SettingsPage) -> None:
    page.show_section("Experiment")
    assert page.form is not None
    label = page.form.labels["PATIENCE_S"]
    assert (label.text(), label.toolTip()) == ("Camera time-out (s)", "PATIENCE_S")
    assert "PATIENCE_S" in page.form.editors["PATIENCE_S"].toolTip()
    for title in FIXED:
        page.show_section(title)
        for key, label in page.form.labels.items():
            assert "_" not in label.text(), key


@pytest.mark.parametrize("family", FAMILIES)
def test_required_keys_come_first_and_advanced_ones_are_folded(
    page: SettingsPage, family: str
) -> None:
    for kind, what in kinds_of(family).items():
        page.add_section(family, kind, f"new {kind}")
        form = page.form
        assert form is not None
        keys = [key for key in form.editors if key != "KIND"]
        needed = [key for key, (_, info) in keys_of(what).items() if info.is_required()]
        assert {*keys[: len(needed)]} == {*needed}
        assert not {*form.folded} & {*needed}
        for key in keys:
            folded = key in form.folded
            assert form.editors[key].isVisibleTo(form) != folded
        form.more.setChecked(True)
        assert all(form.editors[key].isVisibleTo(form) for key in form.folded)


def test_an_advanced_key_that_the_file_has_is_not_folded(page: SettingsPage) -> None:
    page.document.set_value("Pose Estimation", "CROP_MARGIN", "0.7")
    page.show_section("Pose Estimation")
    assert page.form is not None
    assert page.form.editors["CROP_MARGIN"].isVisibleTo(page.form)
    assert "TOLERANCE_PX" in page.form.folded
    page.document.set_value("Pose Estimation", "TOLERANCE_PX", "much")
    assert page.form.editors["TOLERANCE_PX"].isVisibleTo(page.form), "it is wrong"


def test_known_words_are_offered_beside_a_line(
    page: SettingsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.show_section("Pose Estimation")
    assert "arena" in offered(line_of(page, "MODEL"))
    page.show_section("Trigger left")
    parts = line_of(page, "BODYPARTS")
    assert offered(parts) == ["snout", "leftear", "rightear", "tailbase"]
    parts.menu.actions()[3].trigger()
    assert page.document.values["Trigger left"]["BODYPARTS"] == "snout, tailbase"
    offered(parts)
    assert [action.isChecked() for action in parts.menu.actions()][::3] == [True, True]
    parts.menu.actions()[0].trigger()
    assert page.document.values["Trigger left"]["BODYPARTS"] == "tailbase"
    page.show_section("Experiment")
    assert offered(line_of(page, "EXP_NAME")) == ["ExampleExperiment"]
    assert offered(line_of(page, "CAMERA")) == ["arena"]
    page.show_section("Experiment ExampleExperiment")
    assert offered(line_of(page, "STIMULI")) == ["left stimulus", "right stimulus"]


def test_ports_and_cameras_are_looked_for_when_the_menu_opens(
    page: SettingsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = ListPortInfo("/dev/ttyACM7")
    board.description = "Arduino Uno"
    ports = [board]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)
    page.add_section("Output", "SerialLine", "laser")
    port = line_of(page, "PORT")
    assert offered(port) == ["/dev/ttyACM7   Arduino Uno"]
    port.menu.actions()[0].trigger()
    assert page.document.values["Output laser"]["PORT"] == "/dev/ttyACM7"
    ports.clear()
    assert offered(port) == ["nothing found"]
    webcam = kinds_of("Camera")["Webcam"]
    found = (Device("Webcam", "A1", "SOURCE = usb-cam-A1", "C920"),)
    monkeypatch.setattr(webcam, "connected_devices", classmethod(lambda _cls: found))
    page.add_section("Camera", "Webcam", "top")
    assert offered(line_of(page, "SOURCE")) == ["usb-cam-A1   C920"]


def test_an_unknown_key_section_and_double_line_can_be_removed(
    page: SettingsPage,
) -> None:
    good = page.document.text
    bad = good.replace("SEED = 1", "SEED = 1\nSEED = 2\nFOO = 3\nnonsense", 1)
    page.document.edit(f"{bad}\n[Nonsense]\nA = 1\n\n[Trigger left]\nKIND = Speed\n")
    assert page.list.item(1).text().startswith("File")  # type: ignore[union-attr]
    page.show_section("Camera arena")
    assert page.form is not None
    assert page.form.problems.keys().isdisjoint({"FOO"})
    page.form.removing["FOO"].click()
    page.show_section("Nonsense")
    page.remove.click()
    for _ in range(3):
        page.show_section("File")
        lines = page._area.widget()
        assert isinstance(lines, FileProblems)
        lines.buttons[0].click()
    assert not page.document.problems
    assert [line for line in page.document.text.splitlines() if line] == [
        line for line in good.splitlines() if line
    ]


def test_every_problem_is_shown_somewhere(page: SettingsPage) -> None:
    page.document.edit("[Camera]\nKIND = Webcam\n\n[Tracking top]\nHOLD_MS = x\n")
    assert page.document.problems
    for problem in page.document.problems:
        titles = [*FIXED, *page.document.values]
        placed = [title for title in titles if problems_of([problem], title)]
        assert placed or problem in unplaced_problems(page.document), problem
    shown = [page.list.item(row).text() for row in range(page.list.count())]  # type: ignore[union-attr]
    assert sum("●" in text for text in shown) == 3


def test_removing_the_experiment_in_use_leaves_no_problem(page: SettingsPage) -> None:
    page.show_section("Experiment ExampleExperiment")
    page.remove.click()
    assert page.document.values["Experiment"]["EXP_NAME"] == ""
    assert not page.document.problems
    page.document.undo()
    assert page.document.values["Experiment"]["EXP_NAME"] == "ExampleExperiment"


def test_sections_are_renamed_and_duplicated_with_what_names_them(
    page: SettingsPage,
) -> None:
    page.show_section("Trigger left")
    page.rename_section("nest")
    words = page.document.values
    assert words["Experiment ExampleExperiment"]["REGIONS"] == "nest, right"
    assert page.chosen == "Trigger nest"
    page.show_section("Experiment ExampleExperiment")
    page.rename_section("habituation")
    words = page.document.values
    assert words["Experiment"]["EXP_NAME"] == "habituation"
    assert words["Experiment habituation"]["KIND"] == "ExampleExperiment"
    page._duplicate()
    assert page.chosen == "Experiment habituation 2"
    assert not page.document.problems
    page.show_section("Output left stimulus")
    page._duplicate()
    assert page.document.values["Output left stimulus 2"]["KIND"] == "SimulatedOutput"


def test_a_name_that_is_taken_is_refused_with_a_sentence(
    page: SettingsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    typed = ["Left", " "]
    monkeypatch.setattr(
        settings_page, "show_message", lambda _, text: said.append(text)
    )
    monkeypatch.setattr(settings_page, "input_text", lambda *_: typed.pop(0))
    page._name_new_section("Trigger", "InsideRegion")
    page.show_section("Trigger right")
    page._rename()
    page.rename_section("left")
    assert said == [
        "left is the name of another trigger.",
        "A trigger needs a name.",
        "left is the name of another trigger.",
    ]
    assert not page.document.history.can_undo


def test_a_folder_is_chosen_where_a_folder_is_needed(
    page: SettingsPage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(file_dialogs, "open_folder", lambda *_: str(tmp_path / "runs"))
    monkeypatch.setattr(file_dialogs, "open_file", lambda *_: str(tmp_path / "a.mp4"))
    for title, key, chosen in (
        ("Streaming", "OUTPUT_DIRECTORY", "runs"),
        ("Video", "VIDEO_SOURCE", "a.mp4"),
    ):
        page.show_section(title)
        line_of(page, key)._browse()
        assert page.document.values[title][key] == str(tmp_path / chosen)
