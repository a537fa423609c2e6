"""Rack form: the boxes of a rack file in a table, their problems, and new rigs for them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.files.exclusive_writing import is_locked
from deeplabstream.files.overwriting import free_path
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.questions import show_message, show_question
from deeplabstream.gui.theme import repolish
from deeplabstream.gui.widgets.busy_sign import busy
from deeplabstream.rack.rack_check import checked_rigs
from deeplabstream.settings.example_rig import make_rig
from deeplabstream.settings.example_wells import wells_text
from deeplabstream.settings.loading import NAME
from deeplabstream.settings.rack_draft import RackDraft
from deeplabstream.settings.rack_file import parse_rack

EXAMPLES: dict[str, Callable[[], str | None]] = {
    "Simulated mouse": lambda: None,
    "Simulated flies in 48 wells": wells_text,
}
"""New rigs by their entry in the menu; each returns the text of the settings."""
_COLUMNS = {"ANIMAL": "Animal", "RESTARTS": "Restarts", "RIG": "Rig"}
_HELP = {
    "NAME": "name of the box: letters, digits, spaces, - and _",
    "ANIMAL": "animal in the box, saved with each run; empty: as in the rig",
    "RESTARTS": "how often the box is restarted after an unexpected end; empty: never",
    "RIG": "rig folder or settings file; below the rack file's folder or with its full path",
}
_MOST_PROBLEMS = 5
_WIDTHS = {0: 130, 1: 130, 2: 80}  # px
_SAVE, _DISCARD, _STAY = "Save", "Discard", "Cancel"


class RackForm(QDialog):
    """Edits a rack draft; *Save and open* opens the window of the rack.

    `open_rig` opens the settings of a box in the main window.
    """

    def __init__(
        self,
        draft: RackDraft,
        open_rack: Callable[[Path], object],
        open_rig: Callable[[Path], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.draft, self._open_rack, self._open_rig = draft, open_rack, open_rig
        self.problems: list[str] = []
        self.setWindowTitle(f"{draft.path.name} – rack – DeepLabStream")
        about = QLabel(
            "Each box is a rig of its own: camera, network, experiment, outputs. Add boxes, "
            "name them, select each in turn and set up its rig, then save."
        )
        about.setWordWrap(True)
        self.table = QTableWidget(0, 1 + len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(["Box", *_COLUMNS.values()])
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        for column, width in _WIDTHS.items():
            self.table.setColumnWidth(column, width)
        for header in (self.table.verticalHeader(), self.table.horizontalHeader()):
            if header is not None and header.orientation() == Qt.Orientation.Vertical:
                header.hide()
            elif header is not None:
                header.setStretchLastSection(True)
                header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.table.cellChanged.connect(self._edit)
        self.problem = QLabel()
        self.problem.setWordWrap(True)
        self.problem.setTextFormat(Qt.TextFormat.PlainText)

        self.add, self.remove = QPushButton("Add box"), QPushButton("Remove")
        self.set_up = QPushButton("Set up rig")
        self.set_up.setToolTip(
            "saves, and opens the settings of the selected box in the main window; then "
            "Rack → Edit rack … comes back here"
        )
        self.set_up.clicked.connect(self._set_up_rig)
        self.table.itemSelectionChanged.connect(self._allow)
        menu = QMenu(self)
        for title, text in EXAMPLES.items():
            entry = menu.addAction(title)
            if entry is not None:
                entry.triggered.connect(partial(self._add_example, text))
        menu.addSeparator()
        existing = menu.addAction("Existing rig folder …")
        if existing is not None:
            existing.triggered.connect(self._add_existing)
        self.add.setMenu(menu)
        self.remove.clicked.connect(self._remove)
        self.save, self.save_and_open = (
            QPushButton("Save"),
            QPushButton("Save and open"),
        )
        self.save_and_open.setProperty("starts", True)
        self.save.clicked.connect(self._save)
        self.save_and_open.clicked.connect(self._write_and_open)

        self._arrange(about)
        self._show_boxes()

    def _arrange(self, about: QLabel) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        left, right = (
            (self.add, self.remove, self.set_up),
            (self.save, self.save_and_open),
        )
        for button in left:
            buttons.addWidget(button)
        buttons.addStretch(1)
        for button in right:
            buttons.addWidget(button)
        for button in (*left, *right):
            button.setAutoDefault(False)  # Enter ends the editing of a cell
        whole = QVBoxLayout(self)
        whole.setContentsMargins(16, 14, 16, 14)
        whole.setSpacing(10)
        whole.addWidget(about)
        whole.addWidget(self.table, 1)
        whole.addWidget(self.problem)
        whole.addLayout(buttons)
        self.resize(780, 460)

    def _add_example(
        self, text: Callable[[], str | None], _checked: bool = False
    ) -> None:
        """Add a box with a new rig, beside the rack file."""
        name = self.draft.free_name()
        folder = free_path(self.draft.path.resolve().parent / name.replace(" ", ""))
        try:
            rig = make_rig(folder, text())
        except DeepLabStreamError as error:
            show_message(self, str(error))
            return
        self.draft.add(name, rig)
        self._show_boxes()

    def _add_existing(self, _checked: bool = False) -> None:
        folder = file_dialogs.open_folder(
            self, "Rig folder of the box", str(self.draft.path.parent)
        )
        if folder:
            self.draft.add(self.draft.free_name(), Path(folder).resolve())
            self._show_boxes()

    def _remove(self) -> None:
        for name in self._selected():
            self.draft.remove(name)
        self._show_boxes()

    def _selected(self) -> list[str]:
        """Return the names of the selected boxes."""
        rows = {index.row() for index in self.table.selectedIndexes()}
        names = [*self.draft.boxes]
        return [names[row] for row in rows]

    def _allow(self) -> None:
        self.set_up.setEnabled(len(self._selected()) == 1)

    def _set_up_rig(self) -> None:
        """Save, and open the settings of the selected box instead of this form."""
        (name,) = self._selected()
        try:
            file = parse_rack(self.draft.text, self.draft.path).boxes[name].file
        except SettingsError as error:
            show_message(self, "\n".join(error.problems))
            return
        if self.write():
            self.accept()
            self._open_rig(file)

    def _edit(self, row: int, column: int) -> None:
        """Take over an edited cell."""
        item, name = self.table.item(row, column), [*self.draft.boxes][row]
        text = item.text().strip() if item is not None else ""
        if column:
            self.draft.set(name, [*_COLUMNS][column - 1], text)
        elif text != name:
            if not NAME.fullmatch(text):
                show_message(self, f"{text!r}: {_HELP['NAME']}")
            elif text in self.draft.boxes:
                show_message(self, f"[Box {text}] is there already")
            else:
                self.draft.rename(name, text)
        self._show_boxes()

    def _show_boxes(self) -> None:
        """Show the boxes of the draft, and their problems."""
        boxes = self.draft.boxes
        self.table.blockSignals(True)
        self.table.setRowCount(len(boxes))
        for row, (name, texts) in enumerate(boxes.items()):
            cells = {"NAME": name, **{key: texts.get(key, "") for key in _COLUMNS}}
            for column, (key, text) in enumerate(cells.items()):
                item = QTableWidgetItem(text)
                item.setToolTip(f"{text}: {_HELP[key]}" if text else _HELP[key])
                self.table.setItem(row, column, item)
        self.table.blockSignals(False)
        self.remove.setEnabled(bool(boxes))
        self._allow()
        self._check()

    def _check(self) -> None:
        """Show the problems of the boxes and of their rigs."""
        self.problems = []
        if self.draft.boxes:
            with busy(self, "Checking the rigs …"):
                try:
                    checked_rigs(parse_rack(self.draft.text, self.draft.path))
                except SettingsError as error:
                    self.problems = list(error.problems)
        shown = self.problems[:_MOST_PROBLEMS]
        if more := len(self.problems) - len(shown):
            shown.append(f"… and {more} more")
        self.problem.setText(
            "\n".join(shown) or "No problems." * bool(self.draft.boxes)
        )
        self.problem.setObjectName("problem" if self.problems else "caption")
        repolish(self.problem)
        self.save_and_open.setEnabled(bool(self.draft.boxes) and not self.problems)
        self.save.setEnabled(self.draft.unsaved)

    def write(self) -> bool:
        """Save the file; return whether that was possible."""
        # its boxes would start by the new file, which has not been checked as a whole
        if is_locked(self.draft.path):
            text = f"{self.draft.path} runs as a rack: stop it, then save"
            show_message(self, text)
            return False
        try:
            self.draft.save()
        except (OSError, DeepLabStreamError) as error:
            show_message(self, f"Can't write {self.draft.path}: {error}")
            return False
        self.save.setEnabled(False)
        return True

    def _save(self) -> None:
        self.write()

    def _write_and_open(self) -> None:
        if self.write():
            self.accept()
            self._open_rack(self.draft.path)

    def reject(self) -> None:
        """Close; ask first if there are changes."""
        if self.draft.unsaved and self.draft.boxes:
            question = f"Save the changes of {self.draft.path.name}?"
            answer = show_question(
                self, question, _SAVE, _DISCARD, _STAY, default=_SAVE
            )
            if answer == _STAY or (answer == _SAVE and not self.write()):
                return
        super().reject()
