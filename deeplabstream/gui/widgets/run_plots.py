"""Run plots: a list of the plots of a run, with the options of each."""

from pathlib import Path
from typing import Any

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QListWidget,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.plots import PLOTS
from deeplabstream.gui.results_client import ResultsClient
from deeplabstream.gui.results_process import Draw, Drawn, Refused, Request, RunMeasures
from deeplabstream.gui.widgets.flow_layout import FlowLayout
from deeplabstream.gui.widgets.plot_view import PlotView

_LIST_WIDTH = 150  # px
_COLOURS = {"time": "coloured by time", "speed": "coloured by speed"}


class RunPlots(QWidget):
    """Requests the selected plot, and shows it."""

    def __init__(self, client: ResultsClient) -> None:
        super().__init__()
        self.client = client
        self.list, self.view = QListWidget(), PlotView()
        self.animal, self.colour = QComboBox(), QComboBox()
        self.smoothing = QDoubleSpinBox()
        self.output, self.signal = QComboBox(), QComboBox()
        self.before, self.after = _seconds("before", 5.0), _seconds("after", 10.0)
        self._fields: dict[str, tuple[QWidget, ...]] = {
            "track": (self.colour,),
            "occupancy": (self.smoothing,),
            "peri-stimulus": (self.output, self.signal, self.before, self.after),
        }
        self._of: tuple[Path, AnalysisOptions] | None = None
        self._arrange()
        self._connect()
        self._show_fields()

    @property
    def name(self) -> str:
        """Name of the selected plot."""
        return list(PLOTS)[max(0, self.list.currentRow())]

    @property
    def chosen(self) -> dict[str, Any]:
        """Selected fields of `PlotOptions`."""
        return {
            "animal": self.animal.currentText(),
            "colour": self.colour.currentData(),
            "smoothing": self.smoothing.value(),
            "output": self.output.currentText(),
            "signal": self.signal.currentText() or "speed",
            "before_s": self.before.value(),
            "after_s": self.after.value(),
        }

    def show_run(self, run: Path, options: AnalysisOptions, found: RunMeasures) -> None:
        """Show the plots of a run."""
        self._of = run, options
        for box, names in (
            (self.animal, found.animals),
            (self.output, found.outputs),
            (self.signal, found.signals),
        ):
            shown = box.currentText()
            box.blockSignals(True)
            box.clear()
            box.addItems(list(names))
            box.setCurrentIndex(names.index(shown) if shown in names else 0)
            box.blockSignals(False)
        self._show_fields()
        self._draw()

    def clear(self, text: str) -> None:
        """Show a message instead of a plot."""
        self._of = None
        self.view.clear(text)

    def _arrange(self) -> None:
        self.list.setObjectName("clear")
        self.list.setFixedWidth(_LIST_WIDTH)
        self.list.addItems([plot.title for plot in PLOTS.values()])
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setCurrentRow(0)
        for word, text in _COLOURS.items():
            self.colour.addItem(text, word)
        self.smoothing.setRange(0.0, 20.0)
        self.smoothing.setSingleStep(0.5)
        self.smoothing.setValue(1.0)
        self.smoothing.setSuffix(" bins s.d.")
        self.smoothing.setSpecialValueText("no smoothing")
        self.smoothing.setKeyboardTracking(False)
        self.smoothing.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        tips = (
            (self.animal, "animal that is shown"),
            (self.colour, "colour of the track"),
            (self.smoothing, "standard deviation of the occupancy's smoothing"),
            (self.output, "output whose stimulations are aligned"),
            (
                self.signal,
                "signal that is averaged: speed, presence in a region, a behaviour",
            ),
            (self.before, "time before the stimulation that is shown"),
            (self.after, "time after the stimulation's start that is shown"),
        )
        fields = FlowLayout()
        for widget, tip in tips:
            widget.setToolTip(tip)
            fields.addWidget(widget)
        for box in (self.animal, self.colour, self.output, self.signal):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        right = QVBoxLayout()
        right.setSpacing(8)
        right.addLayout(fields)
        right.addWidget(self.view, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.list)
        row.addLayout(right, 1)

    def _connect(self) -> None:
        self.client.replied.connect(self._take)
        self.list.currentRowChanged.connect(self._choose)
        self.view.changed.connect(self._draw)
        for box in (self.animal, self.colour, self.output, self.signal):
            box.activated.connect(self._draw)
        for spin in (self.smoothing, self.before, self.after):
            spin.valueChanged.connect(self._draw)

    def _choose(self) -> None:
        self._show_fields()
        self._draw()

    def _show_fields(self) -> None:
        """Show the options of the selected plot."""
        own = self._fields.get(self.name, ())
        for widgets in self._fields.values():
            for widget in widgets:
                widget.setVisible(widget in own)
        self.animal.setVisible(self.animal.count() > 1)

    def _draw(self) -> None:
        if self._of is None or not self.isVisible():
            return
        run, options = self._of
        size = self.view.size_in_pixels
        colours = self.view.colours
        self.client.send(Draw(run, options, self.name, self.chosen, size, colours))

    def _take(self, request: Request, reply: object) -> None:
        if not isinstance(request, Draw) or self._of is None:
            return
        current = (*self._of, self.name, self.chosen, self.view.colours)
        drawn = request.run, request.options, request.plot, request.chosen
        if current != (*drawn, request.colours):
            return
        if isinstance(reply, Drawn):
            self.view.show_png(reply.png)
        elif isinstance(reply, Refused):
            self.view.clear(reply.reason)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Draw the plot that was selected while the widget was hidden."""
        super().showEvent(event)
        self._draw()


def _seconds(word: str, value: float) -> QDoubleSpinBox:
    made = QDoubleSpinBox()
    made.setRange(0.1, 3600.0)
    made.setDecimals(1)
    made.setValue(value)
    made.setSuffix(f" s {word}")
    made.setKeyboardTracking(False)
    made.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    return made
