"""Problem notice: says on a page why its rig can't be used, and leads to the page Settings."""

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout

from deeplabstream.gui.settings_document import Document

_MOST_PROBLEMS = 6


class ProblemNotice(QFrame):
    """Problems of a settings file, with a button that shows the page Settings."""

    settings_requested = pyqtSignal()
    """The page Settings is to be shown."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.document = document
        self.title, self.problems = QLabel(), QLabel()
        self.title.setObjectName("heading")
        self.show_settings = QPushButton("Show settings")
        self.show_settings.setProperty("starts", True)
        self.show_settings.clicked.connect(self.settings_requested)
        for label in (self.title, self.problems):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 20)
        column.setSpacing(12)
        column.addStretch(1)
        for widget in (self.title, self.problems):
            column.addWidget(widget)
        column.addWidget(self.show_settings, alignment=Qt.AlignmentFlag.AlignLeft)
        column.addStretch(2)
        document.changed.connect(self._refresh)
        self._refresh()

    def _refresh(self) -> None:
        problems = self.document.problems
        shown = list(problems[:_MOST_PROBLEMS])
        if more := len(problems) - len(shown):
            shown.append(f"and {more} more")
        self.title.setText(f"{self.document.problem_count}: the rig can't be used.")
        self.problems.setText("\n".join(shown))
