"""The form of a rack: boxes are added, named and checked, and the file keeps its comments."""

from pathlib import Path

import pytest
from PyQt5.QtWidgets import QAction
from pytestqt.qtbot import QtBot

from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.gui import rack_menu
from deeplabstream.gui.dialogs import file_dialogs, rack_form
from deeplabstream.gui.dialogs.rack_form import EXAMPLES, RackForm
from deeplabstream.gui.rack_menu import RackMenu
from deeplabstream.rack.rack_check import rack_problems
from deeplabstream.settings.rack_draft import RackDraft
from deeplabstream.settings.rack_file import load_rack


def form_of(path: Path, qtbot: QtBot, opened: list[Path]) -> RackForm:
    form = RackForm(RackDraft(path), opened.append, opened.append)
    # hidden, it does not ask for unsaved changes
    qtbot.addWidget(form, before_close_func=lambda shown: shown.hide())
    form.show()
    return form


def entries(form: RackForm) -> dict[str, QAction]:
    """The entries of the menu of *Add box*, by their texts."""
    menu = form.add.menu()
    assert menu is not None
    return {action.text(): action for action in menu.actions()}


def write(form: RackForm, row: int, column: int, text: str) -> None:
    """Edit a cell."""
    item = form.table.item(row, column)
    assert item is not None
    item.setText(text)


def test_boxes_and_wells_are_set_up_without_a_file_dialog_and_open(
    tmp_path: Path, qtbot: QtBot
) -> None:
    opened: list[Path] = []
    file = tmp_path / "rack.ini"
    form = form_of(file, qtbot, opened)
    assert not form.save_and_open.isEnabled()
    mouse, wells = EXAMPLES
    for title in (mouse, mouse, wells):
        entries(form)[title].trigger()
    assert form.problems == []
    write(form, 0, 0, "left")
    write(form, 0, 1, "m1")
    write(form, 1, 2, "3")
    form.save_and_open.click()

    assert opened == [file]
    rack = load_rack(file)
    assert [*rack.boxes] == ["left", "box 2", "box 3"]
    assert rack.boxes["left"].subject == {"ANIMAL": "m1"}
    assert rack.boxes["box 2"].box.restarts == 3
    assert len(rack.boxes["box 3"].settings().outputs) == 48
    assert rack_problems(file) == []


def test_the_rig_of_a_selected_box_is_opened_to_be_set_up(
    tmp_path: Path, qtbot: QtBot
) -> None:
    opened: list[Path] = []
    file = tmp_path / "rack.ini"
    form = form_of(file, qtbot, opened)
    for title in EXAMPLES:
        entries(form)[title].trigger()
    assert not form.set_up.isEnabled()
    form.table.selectRow(1)
    form.set_up.click()
    assert opened == [tmp_path / "box2" / "settings.ini"]
    assert [*load_rack(file).boxes] == ["box 1", "box 2"]
    assert not form.isVisible()


def test_problems_of_boxes_and_rigs_are_listed_and_bar_the_opening(
    tmp_path: Path, qtbot: QtBot
) -> None:
    form = form_of(tmp_path / "rack.ini", qtbot, [])
    entries(form)["Simulated mouse"].trigger()
    write(form, 0, 2, "often")
    assert "[Box box 1] RESTARTS = often" in form.problem.text()
    assert not form.save_and_open.isEnabled()
    write(form, 0, 2, "")
    write(form, 0, 3, "nowhere")
    assert "does not exist" in form.problem.text()
    write(form, 0, 3, "box1")
    assert form.problem.text() == "No problems."
    assert form.save_and_open.isEnabled()


def test_a_wrong_or_used_name_is_refused(
    tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(
        rack_form, "show_message", lambda _form, text: told.append(text)
    )
    form = form_of(tmp_path / "rack.ini", qtbot, [])
    for _ in range(2):
        entries(form)["Simulated mouse"].trigger()
    write(form, 1, 0, "box 1")
    write(form, 1, 0, "a/b")
    assert [*form.draft.boxes] == ["box 1", "box 2"]
    assert "there already" in told[0] and "letters, digits" in told[1]


def test_an_edited_file_keeps_its_comments_and_other_sections(
    tmp_path: Path, qtbot: QtBot
) -> None:
    file = tmp_path / "rack.ini"
    first = form_of(file, qtbot, [])
    entries(first)["Simulated mouse"].trigger()
    first.write()
    text = file.read_text("utf-8")
    more = "\n[Rack]\n# ours\nIF_WINDOW_LOST = go on\n"
    file.write_text(f"# of room 5\n{text}{more}", "utf-8")

    form = form_of(file, qtbot, [])
    entries(form)["Simulated mouse"].trigger()
    form.table.selectRow(0)
    form.remove.click()
    assert form.write()
    kept = file.read_text("utf-8")
    assert kept.startswith("# of room 5\n") and more in kept
    assert [*load_rack(file).boxes] == ["box 2"]
    assert (tmp_path / "box1/settings.ini").exists()


def test_the_file_of_a_running_rack_is_not_changed(
    tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(
        rack_form, "show_message", lambda _form, text: told.append(text)
    )
    file = tmp_path / "rack.ini"
    form = form_of(file, qtbot, [])
    entries(form)["Simulated mouse"].trigger()
    assert form.write()
    text = file.read_text("utf-8")
    write(form, 0, 1, "m1")
    with exclusive(file):
        assert not form.write()
    assert told == [f"{file} runs as a rack: stop it, then save"]
    assert file.read_text("utf-8") == text
    assert form.write()


def test_the_menu_opens_rack_files_only(
    tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rack.ini"
    form = form_of(file, qtbot, [])
    entries(form)["Simulated mouse"].trigger()
    form.write()
    chosen = [str(tmp_path / "box1/settings.ini"), "", str(file)]
    told: list[str] = []
    monkeypatch.setattr(file_dialogs, "open_file", lambda *_: chosen.pop(0))
    monkeypatch.setattr(
        rack_menu, "show_message", lambda _window, text: told.append(text)
    )
    opened: list[Path] = []
    menu = RackMenu(form, lambda: tmp_path, opened.append, opened.append)
    for _ in range(3):
        menu.open()
    assert opened == [file]
    assert len(told) == 1 and "needs [Box NAME]" in told[0]
