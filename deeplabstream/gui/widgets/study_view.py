"""Study view: table of several runs, group comparison plot and statistics."""

from collections.abc import Callable
from typing import Any

from PyQt5.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLabel,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.analysis.group_statistics import StudyOptions
from deeplabstream.analysis.measures import label_of_column
from deeplabstream.core.errors import counted
from deeplabstream.gui.results_client import ResultsClient
from deeplabstream.gui.results_process import (
    AnalyseStudy,
    Compare,
    Compared,
    Refused,
    Request,
    StudyTable,
)
from deeplabstream.gui.widgets.flow_layout import FlowLayout
from deeplabstream.gui.widgets.plot_view import PlotView
from deeplabstream.gui.widgets.values_table import ValuesTable

_BY = {
    "group": "by group",
    "experiment": "by experiment",
    "span": "by bin or phase",
}
_TESTS = {
    "auto": "test by normality",
    "means": "tests of means",
    "ranks": "tests of ranks",
}
_TEXT_HEIGHT = 110  # px


class StudyTableView(QWidget):
    """The first rows of the table, and the runs that were left out."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.about = ValuesTable(), QLabel()
        self.about.setObjectName("caption")
        self.about.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.about)
        column.addWidget(self.table, 1)

    def show_study(self, found: StudyTable) -> None:
        """Show a table."""
        lines = [f"{counted(found.runs, 'run')}, {counted(found.count, 'row')}"]
        if len(found.rows) < found.count:
            lines[0] += f"; the first {len(found.rows)} are shown, all are saved"
        lines += [f"{run.name} left out: {why}" for run, why in found.failed]
        self.about.setText("\n".join(lines[:6]))
        notes = [f"{run.name}: {note}" for run, note in found.notes]
        self.about.setToolTip("\n".join((lines[6:] + notes)[:40]))
        labels = [label_of_column(name) for name in found.header]
        self.table.show_values(labels, found.rows, header_tips=found.header)

    def clear(self, text: str) -> None:
        """Show a message instead of a table."""
        self.about.setText(text)
        self.about.setToolTip("")
        self.table.show_values((), ())


class GroupsView(QWidget):
    """Comparison of a measure between groups: plot and statistics."""

    def __init__(
        self, client: ResultsClient, study: Callable[[], AnalyseStudy]
    ) -> None:
        """`study` returns the request whose reply is the table."""
        super().__init__()
        self.client, self._study = client, study
        self.measure, self.by, self.span = QComboBox(), QComboBox(), QComboBox()
        self.test, self.paired = QComboBox(), QCheckBox("paired")
        self.plot, self.text = PlotView(), QPlainTextEdit()
        self._has_table = False
        """Whether there is a table."""
        self._arrange()
        self.client.replied.connect(self._take)
        self.plot.changed.connect(self._request_comparison)
        for box in (self.measure, self.by, self.span, self.test):
            box.activated.connect(self._request_comparison)
        self.paired.clicked.connect(self._request_comparison)

    def show_study(self, found: StudyTable) -> None:
        """Offer the measures of a table, and request a comparison."""
        self._has_table = bool(found.measures)
        spans = tuple(found.spans)
        labels = [label_of_column(name) for name in found.measures]
        for box, names, texts in (
            (self.measure, found.measures, labels),
            (self.span, spans, spans),
        ):
            shown = box.currentData()
            box.clear()
            for name, text in zip(names, texts, strict=True):
                box.addItem(text, name)
            box.setCurrentIndex(names.index(shown) if shown in names else 0)
        usual = [name for name in found.measures if name.startswith("distance_")]
        if usual and self.measure.currentIndex() == 0:
            self.measure.setCurrentIndex(found.measures.index(usual[0]))
        self._request_comparison()

    def clear(self, text: str) -> None:
        """Show a message instead of a comparison."""
        self._has_table = False
        self.plot.clear(text)
        self.text.clear()

    def request(self) -> Compare:
        """Return the request for the selected comparison."""
        return Compare(
            self._study(),
            self.measure.currentData(),
            self.by.currentData(),
            self.span.currentText(),
            self.paired.isChecked(),
            self.test.currentData(),
            self.plot.size_in_pixels,
            self.plot.colours,
        )

    @property
    def study_options(self) -> StudyOptions:
        """Options of the comparisons in a report."""
        return StudyOptions(
            by=self.by.currentData(),
            paired=self.paired.isChecked(),
            test=self.test.currentData(),
        )

    def _arrange(self) -> None:
        for box, options in ((self.by, _BY), (self.test, _TESTS)):
            for value, text in options.items():
                box.addItem(text, value)
        for box, tip in (
            (self.measure, "measure that is compared"),
            (self.by, "column that names the groups"),
            (
                self.span,
                "part of the runs that is compared: whole, a time bin, a phase",
            ),
            (
                self.test,
                "tests of means or ranks; choose before looking at the data",
            ),
        ):
            box.setToolTip(tip)
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.measure.setMinimumContentsLength(24)
        self.measure.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.span.setMinimumContentsLength(8)
        self.paired.setToolTip("the same animals are in all groups")
        self.text.setReadOnly(True)
        self.text.setFixedHeight(_TEXT_HEIGHT)
        fields = FlowLayout()
        for widget in (self.measure, self.by, self.span, self.test, self.paired):
            fields.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(fields)
        column.addWidget(self.plot, 1)
        column.addWidget(self.text)

    def _request_comparison(self) -> None:
        self.span.setVisible(self.by.currentData() != "span")
        if self._has_table and self.isVisible():
            self.client.send(self.request())

    def _take(self, request: Request, reply: object) -> None:
        if not isinstance(request, Compare) or not self._has_table:
            return
        if isinstance(reply, Compared):
            self.plot.show_png(reply.png)
            self.text.setPlainText("\n".join((*reply.sentences, *reply.notes)))
        elif isinstance(reply, Refused):
            self.plot.clear(reply.reason)
            self.text.clear()

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Request the comparison that was selected while the widget was hidden."""
        super().showEvent(event)
        self._request_comparison()
