"""The measures so far on the page Live: a row for each, a column for each animal."""

from dataclasses import replace
from math import nan
from pathlib import Path

import pytest
from PyQt5.QtCore import QEvent, QObject
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.core.journal_entries import Measured
from deeplabstream.engine.session.session_state import Action, SessionState
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.live_panels import MeasuresPanel
from tests.gui.fake_session import FakeSession


def measured(
    *animals: str, seconds: float = 12.34, experiment: str = "light"
) -> Measured:
    own = [
        value
        for animal in animals
        for value in (
            (animal, "duration", "", 20.0),
            (animal, "distance", "", 1234.5),
            (animal, "region_time", "left", seconds),
            (animal, "region_entries", "left", 3.0),
            (animal, "region_latency", "left", nan),
        )
    ]
    outputs = ("", "stimuli", "laser", 2.0), ("", "on_time", "laser", 1.25)
    return Measured("arena", 0, 20 * 10**9, experiment, "mm", (*own, *outputs))


def test_each_measure_has_its_unit(qtbot: QtBot) -> None:
    panel = MeasuresPanel()
    qtbot.addWidget(panel)
    panel.show_measures(measured("anna", "bob"))
    texts = {key: label.text() for key, label in panel.values.items()}
    assert texts["anna", "region_time", "left"] == "12.3 s"
    assert texts["bob", "region_entries", "left"] == "3"
    assert texts["bob", "region_latency", "left"] == "–"
    assert texts["anna", "distance", ""] == "1234 mm"
    assert texts["", "stimuli", "laser"] == "2"
    assert texts["", "on_time", "laser"] == "1.2 s"
    assert ("anna", "duration", "") not in texts
    labels = dict(panel.values)
    panel.show_measures(measured("anna", "bob", seconds=13.0))
    assert panel.values == labels, "the same rows are kept"
    assert labels["anna", "region_time", "left"].text() == "13.0 s"


def test_the_page_live_shows_those_of_an_experiment(qtbot: QtBot) -> None:
    session = FakeSession("arena")
    window = MainWindow(Bridge(session), Document(Path("rig.ini"), ""))
    qtbot.addWidget(window)
    window.show()
    panel = window.live.measures
    assert not panel.isVisible()
    session.do(Action.START_STREAM)
    session.state = session.state.after(measured("animal1", experiment=""))
    window.bridge.tick()
    assert not panel.isVisible(), "no experiment runs"
    session.state = session.state.after(measured("animal1"))
    window.bridge.tick()
    assert panel.isVisible()
    assert panel.values["animal1", "region_time", "left"].text() == "12.3 s"
    session.update(measured=None)
    window.bridge.tick()
    assert not panel.isVisible()


def test_the_state_keeps_the_last_measures() -> None:
    state = SessionState().after(measured("a")).after(measured("a", seconds=15.0))
    assert state.measured is not None
    assert ("a", "region_time", "left", pytest.approx(15.0)) in state.measured.values


def test_measures_of_two_animals_have_a_row_for_each_other_one(qtbot: QtBot) -> None:
    panel = MeasuresPanel()
    qtbot.addWidget(panel)
    values = (
        ("anna", "contact_time", "bob", 4.0),
        ("anna", "animal_min_distance", "bob", 9.0),
        ("bob", "contact_time", "anna", 5.0),
    )
    panel.show_measures(Measured("arena", 0, 10**9, "light", "mm", values))
    texts = {key: label.text() for key, label in panel.values.items()}
    assert texts == {
        ("anna", "contact_time", "bob"): "4.0 s",
        ("bob", "contact_time", "anna"): "5.0 s",
    }


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_the_measures_of_any_number_of_animals_fit_beside_the_image(
    qtbot: QtBot, count: int
) -> None:
    """A wider panel would cut the right end of all panels of the page."""
    panel = MeasuresPanel()
    qtbot.addWidget(panel)
    panel.show_measures(measured(*(f"animal{n}" for n in range(1, count + 1))))
    assert panel.minimumSizeHint().width() <= 300
    panel.resize(300, 900)
    panel.show()

    def ends() -> list[int]:
        """Return where the values end, px from the left."""
        values = panel.values.values()
        return [it.mapTo(panel, it.rect().topRight()).x() for it in values]

    qtbot.waitUntil(lambda: max(ends()) < 300)
    if count > 2:
        names = [it for it in panel.findChildren(Elided) if "latency" in it.toolTip()]
        assert names
        for name in names:
            assert name.width() >= name.fontMetrics().horizontalAdvance(name.text())


class Heights(QObject):
    """Notes the heights that a widget gets."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.seen: list[int] = []
        widget.installEventFilter(self)

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        if isinstance(event, QResizeEvent):
            self.seen.append(event.size().height())
        return False


def test_measures_of_many_arenas_that_appear_never_squash_the_outputs(
    qtbot: QtBot,
) -> None:
    session = FakeSession("plate")
    (output,) = session.settings.outputs.values()
    wells = [f"{row}{column}" for row in "ABCDEF" for column in range(1, 9)]
    outputs = {f"light.{well}": output for well in wells}
    session.settings = replace(session.settings, outputs=outputs)
    window = MainWindow(Bridge(session), Document(Path("rig.ini"), ""))
    qtbot.addWidget(window)
    window.resize(1280, 740)
    window.show()
    window.bridge.tick()
    QApplication.processEvents()
    panel = window.live.outputs
    least = panel.minimumSizeHint().height()
    assert panel.height() >= least > 48 * 30
    heights = Heights(panel)
    session.do(Action.START_STREAM)
    for seconds in (1.0, 2.0):
        session.state = session.state.after(measured(*wells, seconds=seconds))
        window.bridge.tick()
        QApplication.processEvents()
    assert window.live.measures.isVisible()
    assert min(heights.seen, default=least) >= least
    plates = [*panel.plates.values()]
    assert min(it.height() for it in plates) >= plates[0].minimumSizeHint().height()
