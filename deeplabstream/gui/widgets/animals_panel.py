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
    """A row for each animal, and buttons to swap or confirm names."""

    identity_corrected = pyqtSignal(str, object)
    """Camera, and tuple[str, ...]: the two animals to swap; empty: the names are correct."""

    def __init__(self, cameras: Sequence[str]) -> None:
        super().__init__("Animals")
        self.camera = QComboBox()
        self.camera.addItems(list(cameras))
        if len(cameras) < 2:  # without a parent it would open as a window
            self.camera.hide()
        self.camera.setMinimumWidth(100)  # a long name must not make the panel wider
        self.camera.setToolTip("camera with the animals")
        self.swap = QPushButton("Swap")
        self.confirm_button = QPushButton("Confirm names")
        self.lamps: dict[str, Lamp] = {}
        self.states: dict[str, QLabel] = {}
        self._menu = QMenu(self)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.swap, 1)
        buttons.addWidget(self.confirm_button, 1)
        self.column.addWidget(self.camera)
        self.column.addWidget(self._area)
        self.column.addLayout(buttons)
        self.swap.clicked.connect(self.swap_names)
        self.confirm_button.clicked.connect(self.confirm)
        self.confirm_button.setToolTip(
            "confirms the names as they are; ends all ambiguities (Ctrl+R)"
        )
        self.show_names(())

    def show_names(self, names: Sequence[str]) -> None:
        """Show a row for each animal; hide the panel for fewer than two."""
        self.setVisible(len(names) > 1)
        if tuple(self.lamps) == tuple(names):
            return
        self.lamps = {name: Lamp() for name in names}
        self.states = {name: QLabel("–") for name in names}
        rows = QWidget()
        rows.setObjectName("clear")
        grid = QGridLayout(rows)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        for row, name in enumerate(names):
            grid.addWidget(self.lamps[name], row, 0)
            grid.addWidget(Elided(name), row, 1)
            grid.addWidget(self.states[name], row, 2)
        self._area.setWidget(rows)
        height = rows.sizeHint().height()
        self._area.setMaximumHeight(height)
        self._area.setMinimumHeight(min(height, _LEAST))
        self._menu.clear()
        for pair in combinations(names, 2):
            if (action := self._menu.addAction(" and ".join(pair))) is not None:
                action.triggered.connect(partial(self._emit_correction, pair))
        several = len(names) > 2
        self.swap.setText("Swap …" if several else "Swap")
        tip = "of two animals" if several else f"of {' and '.join(names)}"
        self.swap.setToolTip(f"swap the names {tip} (Ctrl+E)")

    def show_identity(
        self, known: Mapping[str, IdentityState], thresholds: Thresholds
    ) -> None:
        """Show the identities of the animals in the selected camera."""
        camera = self.camera.currentText()
        identity = known.get(camera)
        states = {} if identity is None else identity.states(thresholds.of(camera))
        for number, (name, lamp) in enumerate(self.lamps.items()):
            state = states.get(name, "–")
            colour = animal_colour(number).name() if state == "known" else ""
            lamp.show_colour(GREY if state.endswith("?") else colour)
            self.states[name].setText(state)
        self.swap.setEnabled(identity is not None)
        self.confirm_button.setEnabled(identity is not None and identity.ambiguous)

    def swap_names(self) -> None:
        """Swap the names of two animals; with more than two, a menu offers the pairs."""
        if not self.swap.isEnabled() or not self.isVisible():
            return
        if len(self.lamps) == 2:
            self._emit_correction(tuple(self.lamps))
        else:
            below = QPoint(0, self.swap.height())
            self._menu.popup(self.swap.mapToGlobal(below))

    def confirm(self) -> None:
        """Confirm that the names are correct."""
        if self.confirm_button.isEnabled() and self.isVisible():
            self._emit_correction(())

    def _emit_correction(
        self, swapped: tuple[str, ...], _checked: bool = False
    ) -> None:
        self.identity_corrected.emit(self.camera.currentText(), swapped)
