"""Settings form: one section of the settings, a row for each key."""

import re
from collections.abc import Sequence
from itertools import chain, count

from pydantic.fields import FieldInfo
from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout, QWidget

from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.field_editors import Choice, Editor, editor_for
from deeplabstream.plugins.debounce import DebounceSettings
from deeplabstream.settings.fields import keys_of
from deeplabstream.settings.loading import FIXED, kind_of, kinds_of
from deeplabstream.settings.validation_messages import wording

_KEYS_WIDTH = 330
NARROW = 200
"""Px of the keys' column where there is little room."""


def names_in(document: Document, family: str) -> list[str]:
    """Return the NAMEs of a family's sections, in the order of the file."""
    titles = (title.partition(" ") for title in document.words if title not in FIXED)
    return [name for kind, _, name in titles if kind == family]


def free_name(document: Document, family: str, stem: str) -> str:
    """Return a NAME that no section of a family has: `stem`, or with a number behind it."""
    taken = names_in(document, family)
    numbered = (f"{stem} {number}" for number in count(2))
    return next(name for name in chain((stem,), numbered) if name not in taken)


def usual_name(document: Document, family: str, kind: str) -> str:
    """Return a free NAME for a section of a KIND: `inside region` for `InsideRegion`."""
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
    return free_name(document, family, stem)


class SettingsForm(QWidget):
    """Changes the words of one section of a document."""

    def __init__(
        self, document: Document, title: str, keys_width: int = _KEYS_WIDTH
    ) -> None:
        super().__init__()
        self.document = document
        self.title = title
        self._keys_width = keys_width
        self.editors: dict[str, Editor] = {}
        self.problems: dict[str, QLabel] = {}
        self.family = "" if title in FIXED else title.partition(" ")[0]
        self.kind = self._kind()
        heading = QLabel(f"[{title}]")
        heading.setObjectName("heading")
        about = QLabel(self._about())
        about.setObjectName("caption")
        about.setWordWrap(True)
        self.whole = QLabel()
        self.whole.setObjectName("problem")
        self.whole.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 2, 16, 6)
        for label in (heading, about, self.whole):
            column.addWidget(label)
        column.addWidget(self._rows())
        column.addStretch(1)
        self.refresh()

    def refresh(self) -> None:
        """Show the words and problems that the document has now."""
        words = self.document.words.get(self.title, {})
        problems = (*self.document.problems, *self.document.findings)
        told = problems_of(problems, self.title)
        for key, editor in self.editors.items():
            editor.show_word(words.get(key))
            editor.show_wrong(key in told)
            self.problems[key].setText(told.get(key, ""))
            self.problems[key].setVisible(key in told)
        rest = [text for key, text in told.items() if key not in self.editors]
        self.whole.setText("\n".join(rest))
        self.whole.setVisible(bool(rest))

    @property
    def outdated(self) -> bool:
        """Whether the section has another KIND now, and needs another form."""
        return self.kind is not self._kind()

    def _kind(self) -> type | None:
        return kind_of(self.title, self.document.words.get(self.title, {}))

    def _about(self) -> str:
        lines = ((self.kind.__doc__ if self.kind else "") or "").strip().splitlines()
        return lines[0] if lines else ""

    def _rows(self) -> QWidget:
        panel = QFrame()
        panel.setObjectName("panel")
        grid = QGridLayout(panel)
        grid.setContentsMargins(16, 12, 16, 14)
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(11)
        grid.setColumnMinimumWidth(0, self._keys_width)
        grid.setColumnStretch(1, 1)
        if self.family:
            kinds = kinds_of(self.family)
            named = self.title.partition(" ")[2]
            usual = named if self.family == "Experiment" and named in kinds else None
            choice = Choice(list(kinds), usual)
            choice.setToolTip("the class; the keys below depend on it")
            self._row(grid, "KIND", "the class", choice)
        keys = keys_of(self.kind) if self.kind else {}
        common = keys_of(DebounceSettings) if self.family == "Trigger" else {}
        for key in [*(k for k in keys if k not in common), *common]:
            if key in keys:
                if common and key == next(iter(common)):
                    self._title(grid, "debounce")
                self._field(grid, key, keys[key][1])
        return panel

    def _field(self, grid: QGridLayout, key: str, info: FieldInfo) -> None:
        editor = editor_for(info, lambda family: names_in(self.document, family))
        about = info.description or wording(info.annotation, info.metadata)
        self._row(grid, key, about, editor)

    def _title(self, grid: QGridLayout, text: str) -> None:
        label = QLabel(text.upper())
        label.setObjectName("title")
        grid.addWidget(label, grid.rowCount(), 0, 1, 2)

    def _row(self, grid: QGridLayout, key: str, about: str, editor: Editor) -> None:
        name, help_, problem = QLabel(key), QLabel(about), QLabel()
        help_.setObjectName("caption")
        problem.setObjectName("problem")
        for label in (help_, problem):
            label.setWordWrap(True)
        left, right = QVBoxLayout(), QVBoxLayout()
        for column, widgets in ((left, (name, help_)), (right, (editor, problem))):
            column.setSpacing(2)
            for widget in widgets:
                column.addWidget(widget)
            column.addStretch(1)
        row = grid.rowCount()
        grid.addLayout(left, row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addLayout(right, row, 1)
        editor.edited.connect(
            lambda word: self.document.set_word(self.title, key, word)
        )
        self.editors[key], self.problems[key] = editor, problem


def problems_of(problems: Sequence[str], title: str) -> dict[str, str]:
    """Return what is wrong with a section: by key, the rest under an empty key."""
    told: dict[str, list[str]] = {}
    start = re.compile(rf"\[{re.escape(title)}\](?: (?P<key>[A-Z][A-Z0-9_]*)\b)?")
    for problem in problems:
        if found := start.match(problem):
            rest = problem[found.end() :]
            sentence = rest.partition(": ")[2] or rest.strip() or problem
            told.setdefault(found["key"] or "", []).append(sentence)
    return {key: "; ".join(sentences) for key, sentences in told.items()}
