"""File dialogs: Qt's own, with room for names of places and for all columns."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt5.QtCore import QTimer
from PyQt5.QtWidgets import QListView, QTreeView, QWidget
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
