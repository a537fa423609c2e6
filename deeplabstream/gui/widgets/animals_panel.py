"""Animals panel: identities of several animals, ambiguities, and corrections by the user."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations

from PyQt5.QtCore import QPoint, pyqtSignal
from PyQt5.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QScrollArea,
    QWidget,
)

from deeplabstream.core.pose import Thresholds
from deeplabstream.engine.identity_reporting import IdentityState
from deeplabstream.gui.theme import GREY, animal_colour
from deeplabstream.gui.widgets.buttons import Lamp
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.panels import Panel

_LEAST = 64  # px


class AnimalsPanel(Panel):
    """A row for each animal, and buttons by which a person says who is who."""

    said = pyqtSignal(str, object)
    """The camera, and tuple[str, ...]: the two whose names are to be exchanged, or none:
    the names are right."""

    def __init__(self, cameras: Sequence[str]) -> None:
        super().__init__("Animals")
        self.camera = QComboBox()
        self.camera.addItems(list(cameras))
        if len(cameras) < 2:  # shown without a parent it would be a window
            self.camera.hide()
        self.camera.setMinimumWidth(100)  # a long name must not make the panel wider
        self.camera.setToolTip("camera with the animals")
        self.exchange = QPushButton("Swap")
        self.right = QPushButton("Confirm names")
        self.lamps: dict[str, Lamp] = {}
        self.words: dict[str, QLabel] = {}
        self._menu = QMenu(self)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.exchange, 1)
        buttons.addWidget(self.right, 1)
        self.column.addWidget(self.camera)
        self.column.addWidget(self._area)
        self.column.addLayout(buttons)
        self.exchange.clicked.connect(self.ask_exchange)
        self.right.clicked.connect(self.confirm)
        self.right.setToolTip(
            "confirms the names as they are; ends all ambiguities (Ctrl+R)"
        )
        self.show_names(())

    def show_names(self, names: Sequence[str]) -> None:
        """Have a row for each of so many animals; fewer than two are not shown."""
        self.setVisible(len(names) > 1)
        if tuple(self.lamps) == tuple(names):
            return
        self.lamps = {name: Lamp() for name in names}
        self.words = {name: QLabel("–") for name in names}
        rows = QWidget()
        rows.setObjectName("clear")
        grid = QGridLayout(rows)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        for row, name in enumerate(names):
            grid.addWidget(self.lamps[name], row, 0)
            grid.addWidget(Elided(name), row, 1)
            grid.addWidget(self.words[name], row, 2)
        self._area.setWidget(rows)
        height = rows.sizeHint().height()
        self._area.setMaximumHeight(height)
        self._area.setMinimumHeight(min(height, _LEAST))
        self._menu.clear()
        for pair in combinations(names, 2):
            if (action := self._menu.addAction(" and ".join(pair))) is not None:
                action.triggered.connect(partial(self._emit_correction, pair))
        several = len(names) > 2
        self.exchange.setText("Swap …" if several else "Swap")
        tip = "of two animals" if several else f"of {' and '.join(names)}"
        self.exchange.setToolTip(f"swap the names {tip} (Ctrl+E)")

    def show_who(
        self, known: Mapping[str, IdentityState], thresholds: Thresholds
    ) -> None:
        """Show how it stands with the animals before the chosen camera."""
        camera = self.camera.currentText()
        who = known.get(camera)
        told = {} if who is None else who.states(thresholds.of(camera))
        for number, (name, lamp) in enumerate(self.lamps.items()):
            word = told.get(name, "–")
            colour = animal_colour(number).name() if word == "known" else ""
            lamp.show_colour(GREY if word.endswith("?") else colour)
            self.words[name].setText(word)
        self.exchange.setEnabled(who is not None)
        self.right.setEnabled(who is not None and who.ambiguous)

    def ask_exchange(self) -> None:
        """Exchange the names of two; of more animals a menu asks which two."""
        if not self.exchange.isEnabled() or not self.isVisible():
            return
        if len(self.lamps) == 2:
            self._emit_correction(tuple(self.lamps))
        else:
            below = QPoint(0, self.exchange.height())
            self._menu.popup(self.exchange.mapToGlobal(below))

    def confirm(self) -> None:
        """Say that the names are right."""
        if self.right.isEnabled() and self.isVisible():
            self._emit_correction(())

    def _emit_correction(
        self, exchanged: tuple[str, ...], _checked: bool = False
    ) -> None:
        self.said.emit(self.camera.currentText(), exchanged)
