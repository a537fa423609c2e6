"""Settings form: one section of the settings, a row for each key."""

import re
from collections.abc import Sequence
from functools import partial
from itertools import chain, count

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.suggestions import suggestions_for
from deeplabstream.gui.widgets.buttons import fold_text
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.field_editors import ChoiceEditor, Editor, editor_for
from deeplabstream.plugins.trigger import DebounceSettings
from deeplabstream.settings import ini_editing
from deeplabstream.settings.fields import (
    about_kind,
    former_keys,
    is_advanced,
    is_shared,
    keys_of,
    label_of,
)
from deeplabstream.settings.loading import FAMILIES, FIXED, NAME, kind_of, kinds_of
from deeplabstream.settings.validation_messages import wording

_KEYS_WIDTH = 228
_HEADS = 3
"""Number of widgets above the rows: heading, description, problems."""
NARROW = 200
"""Width of the keys' column on a narrow form, px."""


def names_in(document: Document, family: str) -> list[str]:
    """Return the NAMEs of a family's sections, in the order of the file."""
    titles = (title.partition(" ") for title in document.values if title not in FIXED)
    return [name for kind, _, name in titles if kind == family]


def free_name(document: Document, family: str, stem: str) -> str:
    """Return a free NAME in a family: `stem`, or `stem` and a number."""
    taken = names_in(document, family)
    numbered = (f"{stem} {number}" for number in count(2))
    return next(name for name in chain((stem,), numbered) if name not in taken)


def why_no_name(document: Document, family: str, name: str, old: str = "") -> str:
    """Return why a section can't have a NAME; empty: it can. `old`: its current NAME."""
    if not name:
        return f"A {family.lower()} needs a name."
    if not NAME.fullmatch(name):
        return f"{name}: a name has letters, digits, spaces, - and _ only."
    taken = {other.casefold(): other for other in names_in(document, family)}
    if name.casefold() in taken and taken[name.casefold()] != old:
        return f"{taken[name.casefold()]} is the name of another {family.lower()}."
    return ""


def usual_name(document: Document, family: str, kind: str) -> str:
    """Return a free NAME for a section of a KIND: `inside region` for `InsideRegion`."""
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
    return free_name(document, family, stem)


class SettingsForm(QWidget):
    """Edits the values of a section.

    Required keys come first; advanced keys are folded unless they are set.
    """

    def __init__(
        self, document: Document, title: str, keys_width: int = _KEYS_WIDTH
    ) -> None:
        super().__init__()
        self.document = document
        self.title = title
        self._keys_width = keys_width
        self.editors: dict[str, Editor] = {}
        self.problems: dict[str, QLabel] = {}
        self.labels: dict[str, QLabel] = {}
        self.removing: dict[str, QPushButton] = {}
        """Buttons that remove unknown keys, by key."""
        self.family = "" if title in FIXED else title.partition(" ")[0]
        self.kind = self._kind()
        heading = QLabel(title)
        heading.setObjectName("heading")
        heading.setToolTip(f"[{title}]")
        about = QLabel(self._about())
        about.setObjectName("caption")
        about.setWordWrap(True)
        self.whole = QLabel()
        self.whole.setObjectName("problem")
        self.whole.setWordWrap(True)
        self._columns = QVBoxLayout(self)
        self._columns.setContentsMargins(6, 2, 16, 6)
        for label in (heading, about, self.whole):
            self._columns.addWidget(label)
        self.more = QPushButton()
        self.more.setObjectName("link")
        self.more.setCheckable(True)
        self.more.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.more.toggled.connect(self._unfold)
        self.folded: list[str] = []
        """Advanced keys, shown by the button `more`."""
        self._advanced: QWidget = QWidget()
        self._add_rows()
        self._columns.addStretch(1)
        document.checked.connect(self._show_problems)
        self.refresh()

    def add_panel(self, panel: QWidget) -> None:
        """Add a widget between the heading and the rows."""
        self._columns.insertWidget(_HEADS, panel)

    def refresh(self) -> None:
        """Show the current values and problems."""
        values = self.document.values.get(self.title, {})
        for key, editor in self.editors.items():
            editor.show_value(values.get(key))
        self._show_problems()

    def _show_problems(self) -> None:
        problems = (*self.document.problems, *self.document.findings)
        by_key = problems_of(problems, self.title)
        for key, editor in self.editors.items():
            editor.show_wrong(key in by_key)
            self.problems[key].setText(by_key.get(key, ""))
            self.problems[key].setVisible(key in by_key)
        for key in self.removing:
            self.labels[key].setText(f"{key}: {by_key.get(key, 'unknown')}")
        shown = {*self.editors, *self.removing}
        rest = [text for key, text in by_key.items() if key not in shown]
        self.whole.setText("\n".join(rest))
        self.whole.setVisible(bool(rest))
        if by_key.keys() & {*self.folded}:
            self.more.setChecked(True)

    @property
    def outdated(self) -> bool:
        """Whether KIND or the unknown keys have changed, so that a new form is needed."""
        return self.kind is not self._kind() or {*self.removing} != {*self._unknown()}

    def _kind(self) -> type | None:
        return kind_of(self.title, self.document.values.get(self.title, {}))

    def _about(self) -> str:
        return about_kind(self.kind) if self.kind else ""

    def _unknown(self) -> list[str]:
        """Return the keys of the section that are unknown to its KIND."""
        known = {"KIND", *(keys_of(self.kind) if self.kind else ())}
        former = former_keys(self.kind) if self.kind else {}
        values = self.document.values.get(self.title, {})
        return [key for key in values if key not in known and key not in former]

    def _add_rows(self) -> None:
        keys = keys_of(self.kind) if self.kind else {}
        values = self.document.values.get(self.title, {})
        kind = self.kind or object
        advanced = {key: is_advanced(kind, *keys[key]) for key in keys}

        def rank(key: str) -> tuple[bool, bool, bool]:
            name, info = keys[key]
            return advanced[key], not info.is_required(), is_shared(kind, name)

        ranked = sorted(keys, key=rank)  # within a rank: the order of the class
        shown = [key for key in ranked if not advanced[key] or values.get(key)]
        self.folded = [key for key in ranked if key not in shown]
        if unknown := self._unknown():
            grid = self._panel()
            for key in unknown:
                self._unknown_row(grid, key)
        if shown or self.family in FAMILIES:
            grid = self._panel()
            if self.family in FAMILIES:
                self._row(
                    grid, "KIND", "Kind", "the keys below depend on it", self._kinds()
                )
            self._fields(grid, shown)
        if not self.folded:
            self.more.hide()
            return
        self._columns.addWidget(self.more)
        grid = self._panel()
        self._fields(grid, self.folded)
        parent = grid.parentWidget()
        self._advanced = parent if parent is not None else self._advanced
        self._unfold(unfolded=False)

    def _kinds(self) -> ChoiceEditor:
        kinds = kinds_of(self.family)
        named = self.title.partition(" ")[2]
        usual = named if self.family == "Experiment" and named in kinds else None
        return ChoiceEditor(list(kinds), usual)

    def _panel(self) -> QGridLayout:
        panel = QFrame()
        panel.setObjectName("panel")
        grid = QGridLayout(panel)
        grid.setContentsMargins(16, 12, 16, 14)
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(11)
        grid.setColumnMinimumWidth(0, self._keys_width)
        # meanings are long: in a wide window their column grows with that of the values
        grid.setColumnStretch(0, 2 if self._keys_width > NARROW else 0)
        grid.setColumnStretch(1, 3)
        self._columns.addWidget(panel)
        return grid

    def _unfold(self, unfolded: bool) -> None:
        self._advanced.setVisible(unfolded)
        count = len(self.folded)
        more = f"{count} more setting{'s' if count > 1 else ''}"
        self.more.setText(fold_text(more, unfolded))

    def _fields(self, grid: QGridLayout, keys: Sequence[str]) -> None:
        known = keys_of(self.kind) if self.kind else {}
        common = keys_of(DebounceSettings) if self.family == "Trigger" else {}
        titled = False
        for key in sorted(keys, key=lambda key: key in common):
            if key in common and not titled:
                titled = True
                self._title(grid, "debounce")
            info = known[key][1]
            names = partial(names_in, self.document)
            suggest = suggestions_for(self.document, names, self.kind, key, info)
            about = info.description or wording(info.annotation, info.metadata)
            editor = editor_for(info, suggest)
            self._row(grid, key, label_of(key, info), about, editor)

    def _title(self, grid: QGridLayout, text: str) -> None:
        label = QLabel(text.upper())
        label.setObjectName("title")
        grid.addWidget(label, grid.rowCount(), 0, 1, 2)

    def _row(
        self, grid: QGridLayout, key: str, label: str, about: str, editor: Editor
    ) -> None:
        name, hint, problem = QLabel(label), QLabel(about.replace("`", "")), QLabel()
        name.setToolTip(key)
        hint.setObjectName("caption")
        problem.setObjectName("problem")
        for text in (name, hint, problem):
            text.setWordWrap(True)
        editor.setToolTip(f"{key}\n{editor.toolTip()}".strip())
        left, right = QVBoxLayout(), QVBoxLayout()
        top = QHBoxLayout()
        top.addWidget(name, 1)
        if self._keys_width > NARROW and label.upper() != key:
            keyed = QLabel(key)
            keyed.setObjectName("caption")
            top.addWidget(keyed)
        left.addLayout(top)
        left.addWidget(hint)
        right.addWidget(editor)
        right.addWidget(problem)
        for column in (left, right):
            column.setSpacing(2)
            column.addStretch(1)
        row = grid.rowCount()
        grid.addLayout(left, row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addLayout(right, row, 1)
        editor.edited.connect(partial(self._write, key))
        self.editors[key], self.problems[key] = editor, problem
        self.labels[key] = name

    def _write(self, key: str, word: str | None) -> None:
        """Write a value; with another KIND, remove the keys that only the old one had."""
        if key != "KIND":
            self.document.set_value(self.title, key, word)
            return
        text = ini_editing.set_value(self.document.text, self.title, key, word)
        values = {**self.document.values.get(self.title, {}), "KIND": word or ""}
        if kind := kind_of(self.title, values):
            # one step: Undo brings KIND back with its keys
            for old in former_kind_keys(self.kind, kind):
                text = ini_editing.set_value(text, self.title, old, None)
        self.document.edit(text)

    def _unknown_row(self, grid: QGridLayout, key: str) -> None:
        """Show an unknown key with a button that removes it."""
        word = self.document.values[self.title][key]
        name, value = QLabel(key), Elided(word or "(empty)")
        name.setObjectName("problem")
        name.setWordWrap(True)
        self.labels[key] = name
        self.removing[key] = button = QPushButton("Remove")
        button.setObjectName("tile")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setToolTip(f"removes {key} from the file")
        button.clicked.connect(partial(self._remove, key))
        right = QHBoxLayout()
        right.addWidget(value, 1)
        right.addWidget(button)
        row = grid.rowCount()
        grid.addWidget(name, row, 0)
        grid.addLayout(right, row, 1)

    def _remove(self, key: str, _checked: bool = False) -> None:
        self.document.set_value(self.title, key, None)


def former_kind_keys(old: type | None, new: type) -> list[str]:
    """Return the keys that a KIND has and another one has not."""
    return [key for key in (keys_of(old) if old else {}) if key not in keys_of(new)]


def show_in(area: QScrollArea, form: QWidget) -> None:
    """Replace the content of an area by a form.

    The old form is deleted later: it may still be handling the event that replaces it.
    """
    if (old := area.widget()) is not None:
        for widget in old.findChildren(QWidget):
            # a field that loses the focus would write its value
            widget.blockSignals(True)
        area.takeWidget()
        old.deleteLater()
    area.setWidget(form)


class FileProblems(QWidget):
    """Problems of lines of the file, with buttons that remove the lines."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.buttons: list[QPushButton] = []
        heading = QLabel("File")
        heading.setObjectName("heading")
        panel = QFrame()
        panel.setObjectName("panel")
        grid = QGridLayout(panel)
        grid.setContentsMargins(16, 12, 16, 14)
        grid.setColumnStretch(0, 1)
        for row, problem in enumerate(unplaced_problems(document)):
            label = QLabel(problem)
            label.setObjectName("problem")
            label.setWordWrap(True)
            grid.addWidget(label, row, 0)
            if found := re.match(r"line (\d+): ('\[)?", problem):
                text = "Remove section" if found[2] else "Remove line"
                button = QPushButton(text)
                button.setObjectName("tile")
                button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
                button.clicked.connect(partial(self._remove, int(found[1])))
                grid.addWidget(button, row, 1)
                self.buttons.append(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 2, 16, 6)
        column.addWidget(heading)
        column.addWidget(panel)
        column.addStretch(1)

    def _remove(self, line: int, _checked: bool = False) -> None:
        self.document.edit(ini_editing.remove_line(self.document.text, line))


def unplaced_problems(document: Document) -> list[str]:
    """Return the problems outside of sections: of lines, or of missing sections."""
    titles = [*FIXED, *document.values]
    problems = (*document.problems, *document.findings)
    return [
        problem
        for problem in problems
        if not any(problem.startswith(f"[{title}]") for title in titles)
    ]


def problems_of(problems: Sequence[str], title: str) -> dict[str, str]:
    """Return the problems of a section by key; those of the whole section by ""."""
    by_key: dict[str, list[str]] = {}
    start = re.compile(rf"\[{re.escape(title)}\](?: (?P<key>[A-Z][A-Z0-9_]*)\b)?")
    for problem in problems:
        if found := start.match(problem):
            rest = problem[found.end() :]
            sentence = rest.partition(": ")[2] or rest.strip() or problem
            by_key.setdefault(found["key"] or "", []).append(sentence)
    return {key: "; ".join(sentences) for key, sentences in by_key.items()}
