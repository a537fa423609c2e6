"""Measures panel: current measures of each animal, region and output."""

from collections.abc import Sequence

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QGridLayout, QLabel, QScrollArea, QWidget

from deeplabstream.analysis.measures import MEASURES
from deeplabstream.core.journal_entries import Measured
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.panels import Panel

SHOWN = {
    "distance": "distance",
    "mean_speed": "mean speed",
    "immobile_time": "immobile",
    "region_time": "time in {of}",
    "region_entries": "entries into {of}",
    "region_latency": "latency to {of}",
    "stimuli": "stimuli of {of}",
    "on_time": "on-time of {of}",
}
"""Measures that are shown, and their labels."""
_UNITS = {measure.name: measure for measure in MEASURES}
_LEAST = 176  # px
_VALUE_WIDTH = 62  # px


class MeasuresPanel(Panel):
    """A row for each measure, a column for each animal."""

    def __init__(self) -> None:
        super().__init__("Measures")
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self.column.addWidget(self._area)
        self.values: dict[tuple[str, str, str], QLabel] = {}
        """Labels by animal (empty: of an output), measure, and region or output."""
        self._shown: Measured | None = None
        self.hide()

    def show_measures(self, measured: Measured | None) -> None:
        """Show the values; None: nothing is measured."""
        if measured is self._shown:
            return
        self._shown = measured
        self.setVisible(measured is not None)
        if measured is None:
            return
        shown = [value for value in measured.values if value[1] in SHOWN]
        if [value[:3] for value in shown] != [*self.values]:
            self._arrange([value[:3] for value in shown])
        for animal, measure, of, value in shown:
            text = _text(measure, value, measured.unit)
            self.values[animal, measure, of].setText(text)

    def _arrange(self, keys: Sequence[tuple[str, str, str]]) -> None:
        animals = [*dict.fromkeys(animal for animal, _, _ in keys if animal)]
        rows = [*dict.fromkeys((measure, of) for _, measure, of in keys)]
        content, grid = QWidget(), QGridLayout()
        content.setObjectName("clear")
        grid.setContentsMargins(0, 0, 10, 0)  # the scroll bar
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(0, 1)
        content.setLayout(grid)
        if len(animals) > 1:
            for column, animal in enumerate(animals, 1):
                name = Elided(animal)
                name.setFixedWidth(_VALUE_WIDTH)
                name.setAlignment(Qt.AlignmentFlag.AlignRight)
                grid.addWidget(name, 0, column)
        for row, (measure, of) in enumerate(rows, 1):
            label = Elided(SHOWN[measure].format(of=of))
            label.setToolTip(f"{measure}: {_UNITS[measure].definition}")
            grid.addWidget(label, row, 0)
        self.values = {key: QLabel("–") for key in keys}
        for (animal, measure, of), value in self.values.items():
            value.setMinimumWidth(_VALUE_WIDTH)
            value.setAlignment(Qt.AlignmentFlag.AlignRight)
            column = animals.index(animal) + 1 if animal else 1
            grid.addWidget(value, rows.index((measure, of)) + 1, column)
        self._area.setWidget(content)
        height = content.sizeHint().height()
        self._area.setMaximumHeight(height)
        self._area.setMinimumHeight(min(height, _LEAST))


def _text(measure: str, value: float, length: str) -> str:
    """Return a value with its unit, rounded for the panel."""
    if value != value:
        return "–"
    unit = _UNITS[measure].unit_in(length)
    if unit == "count":
        return f"{value:.0f}"
    if unit == "mm" and value >= 10_000:
        value, unit = value / 1000, "m"
    digits = 1 if unit in ("s", "m") else 0
    return f"{value:.{digits}f} {unit}"
