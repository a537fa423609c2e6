"""Audit figures: precision, recall and wrong pulses per hour with their intervals."""

from collections.abc import Iterable

from PyQt5.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from deeplabstream.gui.widgets.scrolled_text import ScrolledText
from deeplabstream.gui.widgets.setting_search import SettingSearch
from deeplabstream.gui.widgets.values_table import ValuesTable
from deeplabstream.recording.audit_results import (
    AuditResults,
    AuditRow,
    Group,
    Measure,
)

_MEASURES: tuple[Measure, ...] = ("precision", "recall", "wrong pulses per hour")
_GROUPS: dict[Group, str] = {
    "trigger": "Trigger",
    "output": "Output",
    "animal": "Animal",
}
_HEADER = ("", "Name", "Hour", "Precision", "Recall", "Wrong pulses per hour")
_HEADER_TIPS = (
    "what the figures are of",
    "trigger, output or animal",
    "hour since Start Stream",
    "share of the true answers that were right, with its 95 % interval",
    "share of the frames with the condition on which the answer was true, with its 95 % "
    "interval",
    "wrong switch-ons in an hour of the experiment, with their 95 % interval",
)
_MISSING = "–"
_NOTES_HEIGHT = 150  # px: ten lines
_Key = tuple[Group, str, int | None]


class AuditFigures(QWidget):
    """Table of an audit's figures, by trigger, output and animal, and by hour.

    Below it are other results, and a search for settings.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table, self.notes = ValuesTable(), ScrolledText(_NOTES_HEIGHT)
        self.hours = QCheckBox("by hour")
        self.hours.setToolTip("also shows the figures of each hour of the run")
        self.search = SettingSearch()
        self.results: AuditResults | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.hours)
        column.addWidget(self.table, 1)
        column.addWidget(self.notes)
        column.addWidget(self.search)
        self.hours.toggled.connect(self._show)

    def show_results(self, results: AuditResults | None) -> None:
        """Show the figures of an audit; None: nothing."""
        self.results = results
        self._show()

    def _show(self) -> None:
        results = self.results
        if results is None:
            self.table.show_values(_HEADER, (), header_tips=_HEADER_TIPS)
            self.notes.setText("")
            return
        by_key: dict[_Key, dict[Measure, AuditRow]] = {}
        for row in results.rows:
            if row.hour is None or self.hours.isChecked():
                key = row.group, row.name, row.hour
                by_key.setdefault(key, {})[row.measure] = row
        rows = [_cells(key, found) for key, found in by_key.items()]
        tips = [_tip(found.values()) for found in by_key.values()]
        self.table.show_values(_HEADER, rows, tips, _HEADER_TIPS)
        self.notes.setText("\n".join(results.remarks()))


def _cells(key: _Key, found: dict[Measure, AuditRow]) -> list[str]:
    group, name, hour = key
    figures = [
        _text(found[measure]) if measure in found else _MISSING for measure in _MEASURES
    ]
    return [_GROUPS[group], name, "all" if hour is None else str(hour + 1), *figures]


def _text(row: AuditRow) -> str:
    """Return a figure with its interval."""
    value, low, high = row.texts
    return f"{value}  ({low} to {high})"


def _tip(rows: Iterable[AuditRow]) -> str:
    return ", ".join(f"{row.measure}: from {row.clips} clips" for row in rows)
