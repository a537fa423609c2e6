"""Setting search: looks for the setting of each trigger that would have met a wished rate."""

from pathlib import Path

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.gui.widgets.program_view import ProgramView

_USUAL = 1.0
"""Wished percentage of true answers that are wrong."""
_CANCELLED = "Cancelled; nothing was stored."


class SettingSearch(QWidget):
    """Starts the search in a process of its own, and shows its progress.

    It goes on while other runs are shown; one search runs at a time.
    """

    found = pyqtSignal(object)
    """Path of the run with which settings were stored."""

    def __init__(self) -> None:
        super().__init__()
        self.wish = QDoubleSpinBox()
        self.search = QPushButton("Find settings")
        self.view = ProgramView()
        self._shown: Path | None = None
        self._searched: Path | None = None
        self.wish.setRange(0.1, 50.0)
        self.wish.setDecimals(1)
        self.wish.setValue(_USUAL)
        self.wish.setSuffix(" % wrong")
        self.wish.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.wish.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # keys undo verdicts
        self.wish.setToolTip(
            "largest share of the true answers that may be wrong at the wished setting"
        )
        self.search.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.search.setToolTip(
            "evaluates limits, debounce and confidence of each trigger on the recorded "
            "poses; chosen on one half of the clips, stated on the other"
        )
        self.view.page.hide()
        self.view.stop.setText("Cancel")
        self.view.cancelled = _CANCELLED
        self._arrange()
        self.search.clicked.connect(self._start)
        self.view.ended.connect(self._end)
        self.view.stopped.connect(lambda: self.show_run(self._shown))

    def show_run(self, run: Path | None) -> None:
        """Offer the search for a run; None: for none."""
        if run != self._shown and not self.view.running:
            self.view.state.setText("")
        self._shown = run
        self.search.setEnabled(run is not None and not self.view.running)
        other = self.view.running and run != self._searched
        self.view.state.setToolTip(self.view.title if other else "")

    def cancel(self) -> None:
        """End the search; nothing is stored."""
        self.view.cancel()

    def _arrange(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        column = QVBoxLayout()
        column.addWidget(self.view)
        for widget in (QLabel("Settings that would have met"), self.wish, self.search):
            row.addWidget(widget)
        row.addLayout(column, 1)

    def _start(self) -> None:
        run = self._shown
        if run is None or self.view.running:
            return
        self._searched = run
        share = f"{self.wish.value() / 100:.3g}"
        arguments = [str(run), "--sweep", "--wish", share]
        self.view.start(
            f"The search for settings of {run.name}", "AuditRun.py", arguments
        )
        self.show_run(run)

    def _end(self, code: int) -> None:
        self.show_run(self._shown)
        if code == 0:
            self.found.emit(self._searched)
