"""Fields of a program's form: networks, files, choices, numbers and texts."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PyQt5.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt5.QtGui import QDragEnterEvent, QDropEvent
from PyQt5.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.doctor.collection import TrainingGpus
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.file_opening import paths_of
from deeplabstream.gui.form_fields import FormField
from deeplabstream.gui.model_list import Found, found_models
from deeplabstream.gui.widgets.field_editors import TextField

_PATH = Qt.ItemDataRole.UserRole
_LIST_HEIGHT = 92  # px


class FieldEditor(QWidget):
    """Shows and changes the values of one field; files can be dropped on some."""

    changed = pyqtSignal()
    """The values have changed."""

    def __init__(self, of: FormField) -> None:
        super().__init__()
        self.field = of
        self.setObjectName("clear")
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(6)

    def values(self) -> list[str]:
        """Return the arguments for the program; none: the field is empty."""
        raise NotImplementedError

    def show_values(self, values: Sequence[str]) -> None:
        """Show these arguments."""
        raise NotImplementedError

    def take_paths(self, paths: Sequence[Path]) -> bool:
        """Take files that were dropped; return whether there is use for them."""
        return False

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:  # noqa: N802
        """Accept files of this computer."""
        if event is not None and paths_of(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:  # noqa: N802
        """Take the dropped files."""
        if event is not None and self.take_paths(paths_of(event.mimeData())):
            event.acceptProposedAction()

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Leave the wheel over a box to the page, which it scrolls."""
        if event is not None and event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return False

    def add_button(self, text: str, tip: str, do: Callable[[], Any]) -> QPushButton:
        """Add a button at the end of the row."""
        button = QPushButton(text)
        button.setFixedWidth(34)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setToolTip(tip)
        button.clicked.connect(lambda: do())
        self.row.addWidget(button)
        return button


class ModelField(FieldEditor):
    """One of the networks that are there, or the folder of another."""

    def __init__(self, of: FormField, models: Path) -> None:
        super().__init__(of)
        self._models = models
        self.box = QComboBox()
        self.box.installEventFilter(self)
        self.row.addWidget(self.box, 1)
        self.add_button("…", "folder of another network", self._browse)
        self.setAcceptDrops(True)
        self.refresh()
        self.box.currentIndexChanged.connect(self.changed)

    def refresh(self) -> None:
        """Update the list of networks."""
        chosen = self.values()
        self.box.blockSignals(True)
        self.box.clear()
        self.box.addItem("" if self.field.required else self.field.empty, "")
        for model in found_models(self._models):
            if self.field.kind == "ensemble" or not model.members:
                self._add(model)
        self.show_values(chosen)
        self.box.blockSignals(False)
        if self.values() != chosen:
            self.changed.emit()

    def values(self) -> list[str]:
        """Return the path of its folder."""
        path = str(self.box.currentData() or "")
        return [path] if path else []

    def show_values(self, values: Sequence[str]) -> None:
        """Choose a network; one that is not listed is added."""
        path = values[0] if values else ""
        if path and self.box.findData(path) < 0:
            self._add(Found(Path(path)))
        self.box.setCurrentIndex(max(0, self.box.findData(path)))

    def take_paths(self, paths: Sequence[Path]) -> bool:
        """Choose the dropped folder."""
        folders = [path if path.is_dir() else path.parent for path in paths]
        self.show_values([str(folder) for folder in folders[:1]])
        return bool(folders)

    def _add(self, found: Found) -> None:
        self.box.addItem(found.label, str(found.path))
        self.box.setItemData(
            self.box.count() - 1, str(found.path), Qt.ItemDataRole.ToolTipRole
        )

    def _browse(self) -> None:
        name = file_dialogs.open_folder(self, "Folder of a network", str(self._models))
        if name:
            self.show_values([name])


class PathField(FieldEditor):
    """One file or folder; it can be typed, chosen or dropped."""

    def __init__(self, of: FormField) -> None:
        super().__init__(of)
        self.line = TextField()
        self.line.textChanged.connect(self.changed)
        self.row.addWidget(self.line, 1)
        if of.kind != "folder":
            what = "file to write" if of.kind == "save" else "file"
            self.add_button("…", f"choose a {what}", self._browse)
        if of.kind == "folder" or of.folders:
            text = "…" if of.kind == "folder" else "▸"
            self.add_button(text, "choose a folder", self._browse_folder)
        self.setAcceptDrops(True)
        self.line.setAcceptDrops(False)  # a dropped file is taken as a path, below

    def values(self) -> list[str]:
        """Return the path."""
        text = self.line.text().strip()
        return [text] if text else []

    def show_values(self, values: Sequence[str]) -> None:
        """Show a path."""
        self.line.setText(values[0] if values else "")

    def take_paths(self, paths: Sequence[Path]) -> bool:
        """Take the first one."""
        self.show_values([str(path) for path in paths[:1]])
        return bool(paths)

    def _browse(self) -> None:
        # the program itself refuses to overwrite
        saves = self.field.kind == "save"
        choose = file_dialogs.save_file if saves else file_dialogs.open_file
        name = choose(self, self.field.label, self.line.text(), self.field.filter)
        if name:
            self.show_values([name])

    def _browse_folder(self) -> None:
        title = f"{self.field.label}: folder"
        name = file_dialogs.open_folder(self, title, self.line.text())
        if name:
            self.show_values([name])


class NameField(FieldEditor):
    """Name of a new folder in `models/`."""

    def __init__(self, of: FormField, models: Path) -> None:
        super().__init__(of)
        self._models = models
        self.line = TextField()
        self.line.textChanged.connect(self.changed)
        self.row.addWidget(self.line, 1)

    def values(self) -> list[str]:
        """Return the path of the folder."""
        name = self.line.text().strip()
        return [str(self._models / name)] if name else []

    def show_values(self, values: Sequence[str]) -> None:
        """Show the name of a folder."""
        self.line.setText(Path(values[0]).name if values else "")


class PathsField(FieldEditor):
    """Files and folders; more can be added, or dropped on the list."""

    def __init__(self, of: FormField) -> None:
        super().__init__(of)
        self.list = QListWidget()
        self.list.setFixedHeight(_LIST_HEIGHT)
        self.list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.list.setTextElideMode(Qt.TextElideMode.ElideLeft)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        buttons = QVBoxLayout()
        buttons.setSpacing(4)
        self.row.addWidget(self.list, 1)
        self.add = self.add_button("+", "add files", self._browse)
        self.add_folder = self.add_button("▸", "add a folder", self._browse_folder)
        self.remove = self.add_button("−", "remove the selected lines", self._remove)
        self.add_folder.setVisible(of.folders)
        for button in (self.add, self.add_folder, self.remove):
            buttons.addWidget(button)
        buttons.addStretch(1)
        self.row.addLayout(buttons)
        self.setAcceptDrops(True)

    def values(self) -> list[str]:
        """Return the paths."""
        rows = range(self.list.count())
        items = (self.list.item(row) for row in rows)
        return [str(item.data(_PATH)) for item in items if item is not None]

    def show_values(self, values: Sequence[str]) -> None:
        """Show these paths."""
        self.list.clear()
        for word in values:
            item = QListWidgetItem(word)
            item.setData(_PATH, word)
            item.setToolTip(word)
            self.list.addItem(item)
        self.changed.emit()

    def take_paths(self, paths: Sequence[Path]) -> bool:
        """Add the dropped files."""
        self.show_values([*dict.fromkeys([*self.values(), *map(str, paths)])])
        return bool(paths)

    def _browse(self) -> None:
        title = self.field.label
        names = file_dialogs.open_files(self, title, "", self.field.filter)
        self.take_paths([Path(name) for name in names])

    def _browse_folder(self) -> None:
        title = f"{self.field.label}: folder"
        if name := file_dialogs.open_folder(self, title):
            self.take_paths([Path(name)])

    def _remove(self) -> None:
        chosen = {item.data(_PATH) for item in self.list.selectedItems()}
        self.show_values([word for word in self.values() if word not in chosen])


class ChoiceField(FieldEditor):
    """One of the choices."""

    def __init__(self, of: FormField) -> None:
        super().__init__(of)
        self.box = QComboBox()
        self.box.installEventFilter(self)
        for shown, word in of.choices.items():
            self.box.addItem(shown, word)
        self.box.setEditable(of.free)
        self.box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.show_values([of.default])
        self.box.currentTextChanged.connect(self.changed)
        self.row.addWidget(self.box, 1)

    def values(self) -> list[str]:
        """Return the argument of the choice, or what was typed."""
        typed = self.box.currentText().strip()
        if self.field.free:
            word = self.field.choices.get(typed, typed)
        else:
            word = str(self.box.currentData() or "")
        return [word] if word else []

    def show_values(self, values: Sequence[str]) -> None:
        """Choose an argument; the default where it is not offered."""
        word = values[0] if values else self.field.default
        index = self.box.findData(word)
        if index < 0 and self.field.free:
            self.box.setCurrentText(word)
        else:
            self.box.setCurrentIndex(max(0, index))


class DeviceField(ChoiceField):
    """The CPU, or a GPU for training."""

    def offer_gpus(self, gpus: TrainingGpus) -> None:
        """Offer the GPUs that were found, and choose the first; say why none can be used."""
        several = len(gpus.names) > 1
        for number, name in enumerate(gpus.names):
            shown = f"GPU {number}: {name}" if several else f"GPU: {name}"
            self.box.addItem(shown, f"cuda:{number}" if number else "cuda")
        if gpus.names:
            self.show_values(["cuda"])
        if gpus.problem:
            self.box.setToolTip(f"{gpus.problem}. See Health, Examine computer.")


class SeveralField(FieldEditor):
    """Some of the choices."""

    def __init__(self, of: FormField) -> None:
        super().__init__(of)
        grid = QGridLayout()
        self.boxes = {word: QCheckBox(shown) for shown, word in of.choices.items()}
        for index, box in enumerate(self.boxes.values()):
            grid.addWidget(box, index // 3, index % 3)
        self.row.addLayout(grid, 1)
        self.show_values(of.default.split())
        for box in self.boxes.values():
            box.toggled.connect(self.changed)

    def values(self) -> list[str]:
        """Return the chosen arguments."""
        return [word for word, box in self.boxes.items() if box.isChecked()]

    def show_values(self, values: Sequence[str]) -> None:
        """Choose these arguments."""
        for word, box in self.boxes.items():
            box.setChecked(word in values)


class NumberField(FieldEditor):
    """A number."""

    def __init__(self, of: FormField) -> None:
        super().__init__(of)
        self.box: QSpinBox | QDoubleSpinBox
        if of.decimals:
            self.box = QDoubleSpinBox()
            self.box.setDecimals(of.decimals)
            self.box.setRange(of.lowest * of.scale, of.highest * of.scale)
        else:
            self.box = QSpinBox()
            self.box.setRange(round(of.lowest * of.scale), round(of.highest * of.scale))
        self.box.setSuffix(f" {of.unit}" if of.unit else "")
        self.box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.box.installEventFilter(self)
        self.show_values([of.initial or of.default])
        self.box.valueChanged.connect(lambda _: self.changed.emit())
        self.row.addWidget(self.box, 1)

    def values(self) -> list[str]:
        """Return the number."""
        return [f"{self.box.value() / self.field.scale:.12g}"]

    def show_values(self, values: Sequence[str]) -> None:
        """Show a number."""
        number = float((values[0] if values else "") or self.field.default or 0)
        number *= self.field.scale
        if isinstance(self.box, QSpinBox):
            self.box.setValue(round(number))
        else:
            self.box.setValue(number)


class TextsField(FieldEditor):
    """A line of text: one argument, or several separated by spaces."""

    def __init__(self, of: FormField) -> None:
        super().__init__(of)
        self.line = TextField()
        self.line.textChanged.connect(self.changed)
        self.row.addWidget(self.line, 1)

    def values(self) -> list[str]:
        """Return the text."""
        text = self.line.text().replace(",", " ") if self._several else self.line.text()
        if self._several:
            return text.split()
        return [text.strip()] if text.strip() else []

    def show_values(self, values: Sequence[str]) -> None:
        """Show a text."""
        self.line.setText(" ".join(values))

    @property
    def _several(self) -> bool:
        return self.field.kind == "texts"


class FlagField(FieldEditor):
    """A check box."""

    def __init__(self, of: FormField) -> None:
        super().__init__(of)
        self.box = QCheckBox(of.label)
        self.box.toggled.connect(self.changed)
        self.row.addWidget(self.box, 1)

    def values(self) -> list[str]:
        """Return `yes`, or nothing."""
        return ["yes"] if self.box.isChecked() else []

    def show_values(self, values: Sequence[str]) -> None:
        """Check the box, or not."""
        self.box.setChecked(bool(values))


def field_editor(of: FormField, models: Path) -> FieldEditor:
    """Return what edits a field; `models` is the folder of the rig's networks."""
    makers: dict[str, Callable[[FormField], FieldEditor]] = {
        "model": partial(ModelField, models=models),
        "ensemble": partial(ModelField, models=models),
        "path": PathField,
        "folder": PathField,
        "save": PathField,
        "paths": PathsField,
        "name": partial(NameField, models=models),
        "choice": ChoiceField,
        "device": DeviceField,
        "several": SeveralField,
        "number": NumberField,
        "texts": TextsField,
        "text": TextsField,
        "flag": FlagField,
    }
    editor = makers[of.kind](of)
    for widget in (
        editor,
        *editor.findChildren((QLineEdit, QComboBox, QAbstractSpinBox)),
    ):
        widget.setToolTip(f"{of.option or of.label}: {of.hint}")
    return editor
