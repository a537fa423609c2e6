"""Subject panel: animal, group and experimenter of the next run."""

from functools import partial

from PyQt5.QtWidgets import QGridLayout, QLabel

from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.settings_document import SESSION, Document
from deeplabstream.gui.widgets.field_editors import TextField
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.settings.fields import keys_of, label_of
from deeplabstream.settings.subject import Subject

_KEYS = ("ANIMAL", "GROUP", "EXPERIMENTER")
_FIXED = "Stop the stream to change"


class SubjectPanel(Panel):
    """Edits values of `[Session]` for the next run, until its run folder is made.

    The values are saved in run.json, not in the settings file.
    """

    def __init__(self, document: Document) -> None:
        super().__init__(SESSION)
        self.document = document
        self.lines: dict[str, TextField] = {}
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(2)
        for column, key in enumerate(_KEYS):
            info = keys_of(Subject)[key][1]
            caption, line = QLabel(label_of(key, info)), TextField()
            caption.setObjectName("caption")
            line.setToolTip(_help(key))
            line.editingFinished.connect(partial(self._take, key))
            grid.addWidget(caption, 0, column)
            grid.addWidget(line, 1, column)
            self.lines[key] = line
        self.fixed = QLabel(_FIXED)
        """Shown while the fields can't be changed."""
        self.fixed.setObjectName("caption")
        self.fixed.hide()
        self.column.addLayout(grid)
        self.column.addWidget(self.fixed)
        document.changed.connect(self._refresh)
        self._refresh()

    def show_status(self, state: SessionState) -> None:
        """Enable the fields, unless the run folder is already made."""
        records = state.recording or state.recording_starting
        runs = state.analysing or records or state.phase is Phase.STOPPING
        begun = state.phase is not Phase.IDLE and state.run_folder is not None
        self.fixed.setVisible(runs or begun)
        for key, line in self.lines.items():
            line.setReadOnly(runs or begun)
            reason = f"{_FIXED}: the run folder is made. " if runs or begun else ""
            line.setToolTip(f"{reason}{_help(key)}")

    def _refresh(self) -> None:
        for key, line in self.lines.items():
            if line.text() != (value := self.document.subject_value(key)):
                line.setText(value)

    def _take(self, key: str) -> None:
        value = " ".join(self.lines[key].text().split())
        if value != self.document.subject_value(key):
            self.document.set_subject(key, value)


def _help(key: str) -> str:
    return f"{keys_of(Subject)[key][1].description}; saved with the run"
