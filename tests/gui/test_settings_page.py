"""The settings page as a person uses it: click, type, see, save."""

from pathlib import Path

import pytest
from PyQt5.QtCore import Qt
from pytestqt.qtbot import QtBot

from deeplabstream.gui.dialogs.settings_repair import MendingWindow
from deeplabstream.gui.pages.settings_page import SettingsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.field_editors import Choice, Line
from deeplabstream.gui.widgets.settings_form import problems_of
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
    assert isinstance(editor, Line)
    editor.line.selectAll()
    qtbot.keyClicks(editor.line, word)
    qtbot.keyClick(editor.line, Qt.Key.Key_Return)


def choose(page: SettingsPage, key: str, word: str) -> None:
    assert page.form is not None
    editor = page.form.editors[key]
    assert isinstance(editor, Choice)
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
    assert isinstance(editor, Line)
    editor.line.clear()
    qtbot.keyClick(editor.line, Qt.Key.Key_Return)
    assert "PATIENCE_S" not in page.document.words["Experiment"]
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
    assert "Trigger running" not in page.document.words
    page.document.undo()
    assert "Trigger running" in page.document.words


def test_another_kind_has_another_form(page: SettingsPage) -> None:
    page.show_section("Camera arena")
    choose(page, "KIND", "Webcam")
    assert page.form is not None
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
    window = MendingWindow(Document(file))
    qtbot.addWidget(window)
    window.show()
    assert "[Camera arena] SEED = one" in window.words.text()
    assert not window.go_on.isEnabled()
    window.page.show_section("Camera arena")
    write(qtbot, window.page, "SEED", "3")
    window.go_on.click()
    assert window.going_on
    assert window.document.settings is not None
