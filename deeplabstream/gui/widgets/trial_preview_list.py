"""Trial preview: the trials of the selected experiment, before it starts."""

from collections.abc import Iterator
from time import perf_counter

from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)
from PyQt5.sip import isdeleted

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.engine.trial_preview import STAYS_S, Row, preview_trials
from deeplabstream.settings.sections import Settings

_COMPUTE_S = 0.006
"""Computing time per timer event; the window handles other events between."""
_PADDING = 14  # px
_COLUMNS = ("from", "what", "outputs")


class TrialList(QFrame):
    """Table of the trials that the experiment's plan yields."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(list(_COLUMNS))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setShowGrid(False)
        if (side := self.table.verticalHeader()) is not None:
            side.setDefaultSectionSize(24)
            side.setMinimumSectionSize(24)
            side.hide()
        if (head := self.table.horizontalHeader()) is not None:
            head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            head.setStretchLastSection(True)
            head.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self.message = QLabel()
        self.message.setObjectName("caption")
        self.message.setWordWrap(True)
        title = QLabel("TRIAL PREVIEW")
        title.setObjectName("title")
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 10)
        column.addWidget(title)
        column.addWidget(self.message)
        column.addWidget(self.table, 1)
        self._rows: Iterator[Row | None] = iter(())
        self._shown: tuple[str, str] | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._add_rows)
        self.table.destroyed.connect(self._timer.stop)  # the window was closed

    @property
    def complete(self) -> bool:
        """Whether all trials are listed."""
        return not self._timer.isActive()

    def show_experiment(
        self, settings: Settings | None, name: str, seed: str = ""
    ) -> None:
        """Show the trials of an experiment; `settings` None: the settings have problems.

        `seed`: the value of SEED; empty: not set.
        """
        text = "" if settings is None else settings.text
        if (text, name) == self._shown:
            return
        self._shown = text, name
        self._timer.stop()
        self.table.setRowCount(0)
        if settings is None or name not in settings.experiments:
            self.message.setText("Fix the problems to see the preview.")
            return
        note = (
            "Assumes that the animal does at once what the trial waits for, "
            f"stays {STAYS_S:g} s, and answers correctly. A real animal may take "
            "longer."
        )
        if seed.casefold() == "new":
            note += (
                " SEED = new: each run has another order; this is the order of seed 0."
            )
        elif seed:
            note += f" SEED = {seed}."
        self.message.setText(note)
        form_rate = getattr(
            settings.cameras.get(settings.deciding_camera), "rate", None
        )
        rate = form_rate if isinstance(form_rate, float) and form_rate > 0 else 30.0
        limit_s = settings.experiment.exp_time_s
        self._rows = preview_trials(settings.experiments[name](), rate, limit_s)
        self._timer.start(0)

    def _add_rows(self) -> None:
        """Compute trials for `_COMPUTE_S`; the timer continues when the window is idle."""
        end_s = perf_counter() + _COMPUTE_S
        problem = ""
        try:
            for row in self._rows:
                if isdeleted(self.table):
                    return
                if row is not None:
                    self._add(row)
                if perf_counter() > end_s:
                    return
        except DeepLabStreamError as error:
            problem = f"Use Simulate instead: {error}."
        if isdeleted(self.table):  # computing a row may run the garbage collector
            return
        self._timer.stop()
        if problem:
            self.message.setText(problem)

    def _add(self, row: Row) -> None:
        place = self.table.rowCount()
        self.table.setRowCount(place + 1)
        minutes, seconds = divmod(row.time_s, 60)
        texts = (f"{minutes:.0f}:{seconds:04.1f}", row.text or "–", row.outputs_text)
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setToolTip(text)
            self.table.setItem(place, column, item)
        room = self.table.columnWidth(len(_COLUMNS) - 1) - _PADDING
        if self.table.fontMetrics().horizontalAdvance(row.outputs_text) > room:
            self.table.resizeRowToContents(place)
