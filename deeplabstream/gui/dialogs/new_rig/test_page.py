"""Last page of the wizard: the choices in words, and a short pulse on the output."""

from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
)

from deeplabstream.core.errors import SettingsError
from deeplabstream.gui.bridge import PERIOD_MS
from deeplabstream.gui.dialogs.new_rig.rig_page import RigDraft, RigPage
from deeplabstream.gui.dialogs.output_test_dialog import OutputTest
from deeplabstream.settings.new_rig import OUTPUT

_SHOW, _HIDE = "Show settings file", "Hide settings file"


class TestPage(RigPage):
    """One short pulse on the output, and a summary of what will be written."""

    __test__ = False  # not a test class for pytest

    def __init__(self, rig: RigDraft) -> None:
        super().__init__(
            rig,
            "Test",
            "Test the output with one short pulse. Keep the laser away from eyes and animals.",
        )
        self.press, self.message = QPushButton("Test output"), QLabel()
        self.result = QLabel()
        self.summary: dict[str, QLabel] = {}
        """The choices in words, by subject."""
        self.show_file = QPushButton(_SHOW)
        self.show_file.setObjectName("link")
        self.show_file.setCheckable(True)
        self.page = QPlainTextEdit()
        self.page.setReadOnly(True)
        self.page.hide()
        for label in (self.message, self.result):
            label.setWordWrap(True)
        self.test = OutputTest()
        self.test.setParent(self)  # STOP finds it
        self.test.reported.connect(self._report)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self.press.clicked.connect(self._start)
        self.show_file.toggled.connect(self._unfold)
        self._form = QFormLayout()
        tested = QHBoxLayout()
        tested.addWidget(self.press)
        tested.addWidget(self.result, 1)
        column = QVBoxLayout(self)
        column.addLayout(self._form)
        column.addSpacing(8)
        column.addLayout(tested)
        column.addWidget(self.problem)
        column.addWidget(self.show_file)
        column.addWidget(self.page, 1)
        column.addWidget(self.message)
        column.addStretch(0)

    def initializePage(self) -> None:  # noqa: N802
        """Show the choices in words, and the folder that will be written."""
        self.setFinalPage(True)
        for label in (self.result, self.problem):  # from earlier choices
            label.clear()
        self.message.setText(
            f"Finish writes {self.rig.folder}. Then press Start on the page Live."
        )
        self.page.setPlainText(self.rig.choices.text())
        words = self.rig.choices.summary(self.rig.camera, self.rig.network)
        for subject, text in {"Folder": str(self.rig.folder), **words}.items():
            if subject not in self.summary:
                self.summary[subject] = label = QLabel()
                label.setWordWrap(True)
                label.setTextFormat(Qt.TextFormat.PlainText)
                self._form.addRow(subject, label)
            self.summary[subject].setText(text)

    def stop(self) -> None:
        """Switch the output off, and wait for it."""
        self._timer.stop()
        self.test.stop()
        self.test.finish()

    def isComplete(self) -> bool:  # noqa: N802
        """Return whether *Finish* is possible: not during a test, whose result would be lost."""
        return not self.test.running and super().isComplete()

    def _unfold(self, shown: bool) -> None:
        self.page.setVisible(shown)
        self.show_file.setText(_HIDE if shown else _SHOW)

    def _start(self) -> None:
        try:
            output = self.rig.settings().outputs[OUTPUT]
        except SettingsError as error:
            self.problem.setText("\n".join(error.problems))
            return
        self.test.start(OUTPUT, output)
        self._timer.start(PERIOD_MS)
        self.completeChanged.emit()

    def _tick(self) -> None:
        self.test.tick()
        if not self.test.running:
            self._timer.stop()
            self.completeChanged.emit()

    def _report(self, text: str, _tone: str) -> None:
        self.result.setText(text)
