"""File dialogs: Qt's own, with room for names of places and for all columns."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt5.QtCore import QTimer
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import (
    QApplication,
    QDialogButtonBox,
    QLineEdit,
    QListView,
    QTreeView,
    QWidget,
)
from pytestqt.qtbot import QtBot

from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.dialog_input import dialog_in_front


@pytest.mark.parametrize(
    "choose",
    [
        lambda window, folder: file_dialogs.open_file(window, "A video", folder),
        lambda window, folder: file_dialogs.save_file(window, "A plot", folder),
        lambda window, folder: file_dialogs.new_folder(window, "Rig", Path(folder)),
    ],
    ids=["open", "save", "new folder"],
)
def test_names_of_places_and_all_columns_are_whole(
    qtbot: QtBot, tmp_path: Path, choose: Callable[[QWidget, str], object]
) -> None:
    (tmp_path / "a_file.txt").touch()
    window, room = QWidget(), []
    qtbot.addWidget(window)
    window.show()

    def look() -> None:
        dialog = dialog_in_front()
        assert dialog is not None
        places = dialog.findChild(QListView, "sidebar")
        files = dialog.findChild(QTreeView, "treeView")
        if places is not None and files is not None:
            room.append(places.viewport().width() - places.sizeHintForColumn(0))
            room.append(files.viewport().width() - files.header().length())
        dialog.reject()

    QTimer.singleShot(200, look)
    choose(window, str(tmp_path))
    assert len(room) == 2
    assert min(room) >= 0, room


def test_a_path_can_be_typed_while_the_names_that_complete_it_are_shown(
    qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    window, typed = QWidget(), []
    qtbot.addWidget(window)
    window.show()

    def type_into_the_dialog() -> None:
        dialog = dialog_in_front()
        assert dialog is not None
        line = dialog.findChild(QLineEdit, "fileNameEdit")
        assert line is not None
        line.clear()
        QTest.keyClicks(line, "v")
        names = QApplication.activePopupWidget()
        # keys go to the list of names, which gives them to the field
        if names is not None:
            QTest.keyClicks(names, "ideos")
            typed.append(line.text())
            names.close()
        dialog.reject()

    QTimer.singleShot(200, type_into_the_dialog)
    file_dialogs.save_file(window, "A plot", str(tmp_path))
    assert typed == ["videos"]


def test_a_new_folder_whose_name_is_suggested_or_typed_can_be_chosen_with_the_button(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_dialogs, "show_question", lambda *words: words[2])
    window, enabled = QWidget(), []
    qtbot.addWidget(window)
    window.show()

    def choose() -> None:
        dialog = dialog_in_front()
        assert dialog is not None
        line = dialog.findChild(QLineEdit, "fileNameEdit")
        buttons = dialog.findChild(QDialogButtonBox)
        assert line is not None and buttons is not None
        button = buttons.button(QDialogButtonBox.Open)
        assert button is not None
        enabled.append(button.isEnabled())
        line.setText("my_wells_2")
        button.click()
        if dialog.isVisible():
            dialog.reject()

    QTimer.singleShot(200, choose)
    made = file_dialogs.new_folder(window, "Rig", tmp_path / "my_wells")
    assert enabled == [True]
    assert made == tmp_path / "my_wells_2" and made.is_dir()
