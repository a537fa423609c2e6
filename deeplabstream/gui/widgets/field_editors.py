"""Field editors: a list of choices or a line of text for one key of the settings."""

from collections.abc import Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from PyQt5.QtCore import QEvent, Qt, pyqtSignal
from PyQt5.QtGui import QKeyEvent, QKeySequence, QWheelEvent
from PyQt5.QtWidgets import (
    QAbstractSpinBox,
    QAction,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QWidget,
)

from deeplabstream.core.command import CameraName, InputName, OutputName, TriggerName
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.suggestions import Suggest
from deeplabstream.gui.theme import repolish
from deeplabstream.gui.widgets.busy_sign import busy
from deeplabstream.settings.settings_docs import format_value
from deeplabstream.settings.validation_messages import is_list, leaves, wording

NAMES = {OutputName, TriggerName, InputName, CameraName}
"""Types of keys whose value is the NAME of a section."""
_NUMBER_WIDTH, _CHOICE_WIDTH = 150, 320  # px


class Editor(QWidget):
    """Shows and changes the value of a key."""

    edited = pyqtSignal(object)
    """str: the new value; None: the key is removed, so that its default applies."""

    def show_value(self, value: str | None) -> None:
        """Show the value of the file; None: the file lacks the key."""
        raise NotImplementedError

    def show_wrong(self, wrong: bool) -> None:
        """Show or remove a red border."""
        for inner in self.findChildren((QLineEdit, QComboBox)):
            if inner.property("wrong") is not wrong:
                inner.setProperty("wrong", wrong)
                repolish(inner)


class ChoiceEditor(Editor):
    """Editor with a list of values."""

    def __init__(self, options: Sequence[str], default: str | None) -> None:
        super().__init__()
        self.box = NoWheelBox()
        self._options = list(options)
        self._free = default is not None
        if default is not None:
            self.box.addItem(f"{default or 'empty'} (default)")
        self.box.addItems(self._options)
        self.box.activated.connect(self._choose)
        self.box.setMaximumWidth(_CHOICE_WIDTH)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.box, 50)
        row.addStretch(1)

    def show_value(self, value: str | None) -> None:
        """Select `value`; one that is not in the list is added."""
        folded = [option.casefold() for option in self._options]
        if value is None or (not value and self._free):
            self.box.setCurrentIndex(0 if self._free else -1)
        elif value.casefold() in folded:
            self.box.setCurrentIndex(folded.index(value.casefold()) + self._free)
        else:
            self._options.append(value)
            self.box.addItem(value)
            self.box.setCurrentIndex(self.box.count() - 1)

    def _choose(self, index: int) -> None:
        place = index - self._free
        self.edited.emit(None if place < 0 else self._options[place])


class TextEditor(Editor):
    """Editor for any text; an empty text removes the key.

    `browse`: "file" or "folder", if one can be chosen. `suggest` returns the entries of a
    menu beside the field. With `several`, the value is a comma-separated list whose
    entries can be ticked in the menu.
    """

    def __init__(
        self,
        default: str | None,
        *,
        browse: str = "",
        suggest: Suggest | None = None,
        several: bool = False,
    ) -> None:
        super().__init__()
        self.line = TextField()
        needed = default is None
        self.line.setPlaceholderText("needed" if needed else default or "empty")
        self.line.editingFinished.connect(self._finish)
        self._shown: str | None = None
        self._suggest, self._several, self._browsing = suggest, several, browse
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(6)
        self._row.addWidget(self.line, 1)
        if browse:
            button = self._add_button("…", f"choose a {browse}")
            button.clicked.connect(self._browse)
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        if suggest is not None:
            choose = self._add_button("▾", "choose from the values found now")
            choose.setObjectName("choose")
            choose.setMenu(self.menu)
            self.menu.aboutToShow.connect(self._fill_menu)

    def narrow(self) -> None:
        """Limit the width to that of a number."""
        self.line.setFixedWidth(_NUMBER_WIDTH)
        self._row.addStretch(1)

    def show_value(self, value: str | None) -> None:
        """Show `value`."""
        self._shown = value
        if self.line.text() != (value or ""):
            self.line.setText(value or "")

    def _add_button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setFixedWidth(34)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setToolTip(tip)
        self._row.addWidget(button)
        return button

    def _finish(self) -> None:
        value = " ".join(self.line.text().split()) or None
        if value != (self._shown or None):
            self.edited.emit(value)

    def _browse(self) -> None:
        before = self.line.text()
        if self._browsing == "folder":
            name = file_dialogs.open_folder(self, "Choose a folder", before)
        else:
            name = file_dialogs.open_file(self, "Choose a file", before)
        if name:
            self.line.setText(name)
            self._finish()

    def _fill_menu(self) -> None:
        """Fill the menu, with a new search each time."""
        self.menu.clear()
        with busy(self, "Searching …"):
            found = self._suggest() if self._suggest else {}
        parts = self._parts()
        for value, remark in found.items():
            action = QAction(f"{value}   {remark}" if remark else value, self.menu)
            action.setCheckable(self._several)
            action.setChecked(value in parts)
            action.triggered.connect(partial(self._choose, value))
            self.menu.addAction(action)
        if not found:
            nothing = QAction("nothing found", self.menu)
            nothing.setEnabled(False)
            self.menu.addAction(nothing)

    def _parts(self) -> list[str]:
        texts = self.line.text().split(",") if self._several else [self.line.text()]
        return [text.strip() for text in texts if text.strip()]

    def _choose(self, value: str, _checked: bool = False) -> None:
        parts = self._parts() if self._several else []
        parts = [part for part in parts if part != value] + [value] * (
            value not in parts
        )
        self.line.setText(", ".join(parts))
        self._finish()


class TextField(QLineEdit):
    """Text field that leaves Ctrl+Z to the window if it has nothing to undo."""

    def event(self, event: QEvent | None) -> bool:
        """Refuse the shortcuts of Undo and Redo if the field has nothing to undo or redo."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
        ):
            own = self.isUndoAvailable() or self.isRedoAvailable()
            keys = QKeySequence.StandardKey
            if not own and (event.matches(keys.Undo) or event.matches(keys.Redo)):
                event.ignore()
                return True
        return super().event(event)


class NoWheelBox(QComboBox):
    """Combo box that ignores the mouse wheel, which scrolls the page."""

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Pass the event to the page."""
        if event is not None:
            event.ignore()


def editor_for(info: FieldInfo, suggest: Suggest | None) -> Editor:
    """Return an editor for a field; `suggest` returns known values."""
    default = None if info.is_required() else _default(info)
    kinds, several = leaves(info.annotation), is_list(info.annotation)
    options = _options(kinds)
    editor: Editor
    if options is not None and not several:
        editor = ChoiceEditor(options, default)
    elif suggest is not None and not several and kinds & NAMES:
        editor = ChoiceEditor(list(suggest()), default)
    else:
        if options is not None:
            known = dict.fromkeys(options, "")
            suggest = lambda: known  # noqa: E731
        description = (info.description or "").split()
        browse = (
            "" if kinds != {Path} else "folder" if "folder" in description else "file"
        )
        line = TextEditor(default, browse=browse, suggest=suggest, several=several)
        if kinds <= {int, float} and not several:
            line.narrow()
        editor = line
    lines = (info.description, wording(info.annotation, info.metadata))
    editor.setToolTip("\n".join(line for line in lines if line))
    return editor


def _default(info: FieldInfo) -> str:
    return format_value(info.get_default(call_default_factory=True, validated_data={}))


def _options(kinds: set[Any]) -> Sequence[str] | None:
    if len(kinds) != 1:
        return None
    (kind,) = kinds
    if kind is bool:
        return ("yes", "no")
    if get_origin(kind) is Literal:
        return [str(option) for option in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(option.value) for option in kind]
    return None


def commit_field(window: QWidget) -> None:
    """Commit the text of the focused field of `window`, as if it had lost the focus.

    Shortcuts do not move the focus, so the field itself does not commit its text.
    """
    field = QApplication.focusWidget()
    if field is None or field.window() is not window.window():
        return
    if isinstance(field, QAbstractSpinBox):
        field.interpretText()
    if isinstance(field, QAbstractSpinBox) or (
        isinstance(field, QLineEdit)
        and not field.isReadOnly()
        and field.hasAcceptableInput()
    ):
        field.editingFinished.emit()


def field_with_undo() -> QLineEdit | None:
    """Return the focused text field if it has something to undo or redo."""
    field = QApplication.focusWidget()
    if isinstance(field, QLineEdit) and (
        field.isUndoAvailable() or field.isRedoAvailable()
    ):
        return field
    return None
