"""The list of uncertain places keeps the chosen one in view."""

from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplabstream.gui.widgets.uncertain_place_list import UncertainPlaceList
from deeplabstream.recording.uncertain_places import UncertainPlace


def test_the_chosen_place_stays_in_view_after_a_resize(qtbot: QtBot) -> None:
    view = UncertainPlaceList((40, 600))
    qtbot.addWidget(view)
    view.show_places(
        [
            UncertainPlace(
                reason="missing",
                frames=(n, n),
                start_s=n / 30,
                duration_s=1 / 30,
                animals=("anna",),
            )
            for n in range(60)
        ]
    )
    view.resize(400, 600)
    view.show()
    view.list.setCurrentRow(25)
    item = view.list.item(25)
    for height in (120, 600, 90):
        view.resize(400, height)
        QApplication.processEvents()
        visible = view.list.viewport()
        assert visible is not None
        assert visible.rect().intersects(view.list.visualItemRect(item)), height
