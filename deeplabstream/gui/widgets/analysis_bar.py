"""Analysis bar: body parts, unit, smoothing, time bins and phases of results."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QMenu,
    QPushButton,
    QWidget,
)

from deeplabstream.analysis.options import LIGHT_CYCLE, AnalysisOptions
from deeplabstream.gui.dialogs.analysis_options import OptionsDialog
from deeplabstream.gui.dialogs.dialog_input import run_dialog
from deeplabstream.gui.results_process import RunMeasures
from deeplabstream.gui.widgets.flow_layout import FlowLayout

_UNITS = {"auto": "auto unit", "px": "px", "mm": "mm"}
_MOST_LETTERS = 22
_HERE = ("position", "unit", "smoothing_s", "bin_s", "phases")
"""Options that are not in the dialog *More*."""
_MORE = "all options: gaps, thresholds of mobility and freezing, visits, arena …"


class Choices(QPushButton):
    """A button with a menu of entries to tick."""

    changed = pyqtSignal()

    def __init__(self, title: str, none: str) -> None:
        super().__init__()
        self._title, self._none = title, none
        self.ticked: tuple[str, ...] = ()
        self._offered: tuple[str, ...] = ()
        menu = QMenu(self)
        menu.aboutToShow.connect(partial(self._fill, menu))
        self.setMenu(menu)
        self._show()

    def offer(self, names: Sequence[str]) -> None:
        """Set the entries of the menu; ticked entries stay ticked."""
        self._offered = tuple(names)

    def _fill(self, menu: QMenu) -> None:
        menu.clear()
        if (usual := menu.addAction(self._none)) is not None:
            usual.triggered.connect(lambda: self.tick(()))
        menu.addSeparator()
        for name in dict.fromkeys((*self._offered, *self.ticked)):
            if (action := menu.addAction(name)) is not None:
                action.setCheckable(True)
                action.setChecked(name in self.ticked)
                action.triggered.connect(partial(self._toggle, name))

    def _toggle(self, name: str, ticked: bool) -> None:
        rest = tuple(other for other in self.ticked if other != name)
        self.tick((*rest, name) if ticked else rest)

    def tick(self, names: Sequence[str]) -> None:
        """Tick exactly these entries."""
        self.ticked = tuple(names)
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        text = ", ".join(self.ticked) or self._none
        if len(text) > _MOST_LETTERS:
            text = f"{len(self.ticked)} chosen"
        self.setText(f"{self._title}: {text}")


class AnalysisBar(QWidget):
    """Fields for the most frequently used analysis options."""

    changed = pyqtSignal()
    """The options have changed."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = Choices("Body part", "usual")
        self.parts.setToolTip(
            "body parts whose mean is the position; usual: body, centre or thorax, else all"
        )
        self.phases = Choices("Phases", "none")
        self.phases.setToolTip(
            "before, during and after stimulations; light on and off; light and dark phase of "
            "the room; trials; stages"
        )
        self.unit = QComboBox()
        for unit, text in _UNITS.items():
            self.unit.addItem(text, unit)
        self.unit.setToolTip("unit of lengths; auto: mm where the camera is calibrated")
        self.smoothing = _spin(10.0, 0.1, "no smoothing", "s smoothing")
        self.smoothing.setToolTip("window of a moving mean of the positions")
        self.bins = _spin(86_400.0, 60.0, "no bins", "s bins")
        self.bins.setToolTip("measures by time bins of this duration")
        self.more = QPushButton()
        self.more.clicked.connect(self._edit_options)
        self.others: dict[str, Any] = {}
        """Options of the dialog *More* that differ from the defaults."""
        row = FlowLayout(spacing=6)
        self.setLayout(row)
        for widget in (self.parts, self.unit, self.smoothing, self.bins, self.phases):
            row.addWidget(widget)
        row.addWidget(self.more)
        self.parts.changed.connect(self.changed)
        self.phases.changed.connect(self.changed)
        self.unit.activated.connect(lambda: self.changed.emit())
        self.smoothing.valueChanged.connect(lambda: self.changed.emit())
        self.bins.valueChanged.connect(lambda: self.changed.emit())
        self.use({})

    @property
    def options(self) -> AnalysisOptions:
        """The selected options."""
        return AnalysisOptions(
            position=self.parts.ticked,
            unit=self.unit.currentData(),
            smoothing_s=self.smoothing.value(),
            bin_s=self.bins.value(),
            phases=self.phases.ticked,
            **self.others,
        )

    def use(self, others: Mapping[str, Any]) -> None:
        """Use these options of the dialog *More*."""
        self.others = dict(others)
        self.more.setText(f"More: {len(others)} …" if others else "More …")
        lines = [f"{name} = {value}" for name, value in others.items()]
        self.more.setToolTip("\n".join([_MORE, *lines]))
        self.changed.emit()

    def _edit_options(self) -> None:
        dialog = OptionsDialog(self.others, _HERE, self)
        if run_dialog(dialog) == OptionsDialog.DialogCode.Accepted:
            self.use(dialog.chosen)

    def offer(self, found: RunMeasures) -> None:
        """Offer body parts and phases of a run."""
        self.parts.offer(found.bodyparts)
        kinds = ("stimulation", "light")
        phases = [f"{kind}:{output}" for output in found.outputs for kind in kinds]
        phases += [LIGHT_CYCLE] if found.has_light_cycle else []
        phases += ["trials"] if found.has_trials else []
        phases += ["stages"] if found.has_stages else []
        self.phases.offer(phases)


def _spin(most: float, step: float, zero: str, unit: str) -> QDoubleSpinBox:
    made = QDoubleSpinBox()
    made.setRange(0.0, most)
    made.setSingleStep(step)
    made.setDecimals(2 if step < 1 else 0)
    made.setSpecialValueText(zero)
    made.setSuffix(f" {unit}")
    made.setKeyboardTracking(False)
    made.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    return made
