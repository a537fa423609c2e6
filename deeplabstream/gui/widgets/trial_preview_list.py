"""Trial preview: the trials of the chosen experiment, in their order, before it starts."""

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

_TURN_S = 0.006
"""So long it computes before the window gets its turn again."""
_PADDING = 14  # px
_COLUMNS = ("from", "what", "outputs")


class TrialList(QFrame):
    """A table of trials, told by the experiment's own plan."""

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
        self.words = QLabel()
        self.words.setObjectName("caption")
        self.words.setWordWrap(True)
        title = QLabel("TRIAL PREVIEW")
        title.setObjectName("title")
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 10)
        column.addWidget(title)
        column.addWidget(self.words)
        column.addWidget(self.table, 1)
        self._rows: Iterator[Row | None] = iter(())
        self._shown: tuple[str, str] | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._go_on)
        self.table.destroyed.connect(self._timer.stop)  # its window was closed

    @property
    def complete(self) -> bool:
        """Whether all that can be told is told."""
        return not self._timer.isActive()

    def show_experiment(
        self, settings: Settings | None, name: str, seed: str = ""
    ) -> None:
        """Tell of an experiment; `settings` None: something is wrong with them.

        `seed`: the word behind SEED; empty: there is none.
        """
        text = "" if settings is None else settings.text
        if (text, name) == self._shown:
            return
        self._shown = text, name
        self._timer.stop()
        self.table.setRowCount(0)
        if settings is None or name not in settings.experiments:
            self.words.setText("Fix the problems to see the preview.")
            return
        told = (
            "Assumes that the animal does at once what the trial waits for, "
            f"stays {STAYS_S:g} s, and answers correctly. A real animal may take "
            "longer."
        )
        if seed.casefold() == "new":
            told += (
                " SEED = new: each run has another order; this is the order of seed 0."
            )
        elif seed:
            told += f" SEED = {seed}."
        self.words.setText(told)
        form_rate = getattr(
            settings.cameras.get(settings.deciding_camera), "rate", None
        )
        rate = form_rate if isinstance(form_rate, float) and form_rate > 0 else 30.0
        limit_s = settings.experiment.exp_time_s
        self._rows = preview_trials(settings.experiments[name](), rate, limit_s)
        self._timer.start(0)

    def _go_on(self) -> None:
        """Compute for a moment; the rest has time until the window is idle again."""
        end_s = perf_counter() + _TURN_S
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
            self.words.setText(problem)

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
