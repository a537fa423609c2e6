"""Settings repair: the window for a settings file with errors."""

from PyQt5.QtGui import QCloseEvent
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from deeplabstream.gui.application import run_until_closed
from deeplabstream.gui.pages.settings_page import SettingsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.field_editors import commit_field
from deeplabstream.settings.sections import Settings


class SettingsRepairWindow(QWidget):
    """Shows the problems of a settings file beside its fields until all are fixed."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.continued = False
        self.setWindowTitle(f"{document.title} – DeepLabStream")
        self.message = QLabel()
        self.message.setObjectName("banner")
        self.message.setWordWrap(True)
        self.proceed = QPushButton("Continue")
        self.proceed.setProperty("starts", True)
        self.proceed.setMinimumWidth(110)
        self.proceed.clicked.connect(self._proceed)
        top = QHBoxLayout()
        top.setContentsMargins(10, 10, 10, 0)
        top.addWidget(self.message, 1)
        top.addWidget(self.proceed)
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
        self.message.setText(f"{shown}{more}" if problems else good)
        self.proceed.setEnabled(not problems)

    def _proceed(self) -> None:
        self.continued = True
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """Keep changes as a draft if the window is closed before all problems are fixed."""
        commit_field(self)
        if not self.continued and self.document.unsaved:
            self.document.keep_draft()
        super().closeEvent(event)


def repair_settings(document: Document) -> Settings | None:
    """Show the problems of a settings file until they are fixed; None: cancelled."""
    if document.settings is None:
        run_until_closed(SettingsRepairWindow(document))
    return document.settings
