"""The tools beside the label canvas."""

from PyQt5.QtWidgets import QListWidget
from pytestqt.qtbot import QtBot

from deeplabstream.gui.widgets.label_tools import LabelTools


def rows_shown(parts: QListWidget) -> int:
    return parts.viewport().height() // parts.sizeHintForRow(0)


def test_body_parts_have_room_on_a_small_screen(qtbot: QtBot) -> None:
    """The list of mouse and keys left room for one of them in a window 720 px high."""
    tools = LabelTools()
    qtbot.addWidget(tools)
    tools.parts.addItems(["snout", "leftear", "rightear", "tailbase"])
    tools.animals.hide()  # as the page does for one animal
    tools.resize(tools.width(), 590)
    tools.show()
    assert not tools.keys.isVisible()
    assert tools.where_keys.text() == "Mouse and keys: F2"
    qtbot.waitUntil(lambda: rows_shown(tools.parts) >= 4)

    tools.resize(tools.width(), 870)
    qtbot.waitUntil(tools.keys.isVisible)
    assert not tools.where_keys.isVisible()
    qtbot.waitUntil(lambda: rows_shown(tools.parts) >= 4)
