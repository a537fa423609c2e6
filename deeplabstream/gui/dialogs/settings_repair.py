"""Settings repair: the window for a settings file with errors."""

from PyQt5.QtGui import QCloseEvent
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from deeplabstream.gui.application import run_until_closed
from deeplabstream.gui.pages.settings_page import SettingsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.field_editors import commit_field
from deeplabstream.settings.sections import Settings


class MendingWindow(QWidget):
    """Shows the problems of a document at their fields until there are none."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.going_on = False
        self.setWindowTitle(f"{document.path.name} – DeepLabStream")
        self.words = QLabel()
        self.words.setObjectName("banner")
        self.words.setWordWrap(True)
        self.go_on = QPushButton("Go on")
        self.go_on.setProperty("starts", True)
        self.go_on.setMinimumWidth(110)
        self.go_on.clicked.connect(self._go_on)
        top = QHBoxLayout()
        top.setContentsMargins(10, 10, 10, 0)
        top.addWidget(self.words, 1)
        top.addWidget(self.go_on)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top)
        self.page = SettingsPage(document)
        column.addWidget(self.page, 1)
        self.resize(1080, 700)
        document.changed.connect(self._refresh)
        self._refresh()

    def _refresh(self) -> None:
        problems = self.document.problems
        shown = "\n".join(problems[:4])
        more = f"\n… and {len(problems) - 4} more" if len(problems) > 4 else ""
        good = "No problems left. Continue; File → Save keeps the changes."
        self.words.setText(f"{shown}{more}" if problems else good)
        self.go_on.setEnabled(not problems)

    def _go_on(self) -> None:
        self.going_on = True
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """Keep what was changed, if the person gives up."""
        commit_field(self)
        if not self.going_on and self.document.unsaved:
            self.document.keep_draft()
        super().closeEvent(event)


def repair_settings(document: Document) -> Settings | None:
    """Show the problems of a settings file until they are fixed; None: the user gave up."""
    if document.settings is None:
        run_until_closed(MendingWindow(document))
    return document.settings
