"""Space item panel: name, numbers and body parts of the selected volume, height or plane."""

from collections.abc import Mapping

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.space_items import (
    HeightItem,
    PlaneItem,
    SpaceItem,
    VolumeItem,
    item_of,
)
from deeplabstream.gui.widgets.panels import grid_panel
from deeplabstream.gui.widgets.part_choice import PartsButton
from deeplabstream.gui.widgets.settings_form import problems_of, why_no_name
from deeplabstream.settings import ini_editing
from deeplabstream.settings.text_rewriting import with_name

_KEYS: dict[type[SpaceItem], tuple[str, ...]] = {
    VolumeItem: ("VOLUME",),
    HeightItem: ("HEIGHT_MM",),
    PlaneItem: ("POINT", "NORMAL"),
}


class SpaceItemPanel(QWidget):
    """Shows the trigger of the selected item, and writes what is typed to its section."""

    renamed = pyqtSignal(str)
    """Its new name; emitted before the settings change."""

    def __init__(self, bridge: Bridge, document: Document) -> None:
        super().__init__()
        self.document = document
        self.item_name = ""
        """Name of the trigger; empty: none is selected."""
        self._item: SpaceItem | None = None
        self.name, self.parts = QLineEdit(), QLineEdit()
        self.position, self.second = QLineEdit(), QLineEdit()
        self.second_label = QLabel()
        """What the second field is: heights of a volume, or normal of a plane."""
        self.choose_parts = PartsButton(bridge, document, self.parts)
        self.copy, self.delete = QPushButton("Copy"), QPushButton("Delete")
        self.problem = QLabel()
        self.problem.setObjectName("problem")
        self.problem.setWordWrap(True)
        self._arrange()
        self.name.editingFinished.connect(self._rename)
        for line in (self.position, self.second):
            line.editingFinished.connect(self._write_numbers)
        self.parts.editingFinished.connect(self._write_parts)
        self.choose_parts.changed.connect(self._write_parts)

    def show_item(self, name: str, item: SpaceItem | None) -> None:
        """Show an item as the settings have it; None: none is selected."""
        self.item_name, self._item = name, item
        title = f"Trigger {name}"
        values = self.document.values.get(title, {})
        texts = _texts_of(item, values)
        self.second_label.setText(
            "normal" if isinstance(item, PlaneItem) else "heights"
        )
        for place, line in enumerate((self.position, self.second)):
            line.setText(texts[place] if place < len(texts) else "")
            line.setCursorPosition(0)
            line.setEnabled(place < len(texts))
        self.name.setText(name)
        self.parts.setText(values.get("BODYPARTS", ""))
        problems = problems_of(self.document.problems, title)
        self.problem.setText("\n".join(f"{key}: {problems[key]}" for key in problems))
        fields = (self.name, self.parts, self.choose_parts, self.copy, self.delete)
        for widget in fields:
            widget.setEnabled(bool(name))

    def _arrange(self) -> None:
        panel, grid = grid_panel("Selected")
        rows = (
            (QLabel("name"), self.name),
            (QLabel("position"), self.position),
            (self.second_label, self.second),
            (QLabel("body parts"), self.parts),
        )
        self.name.setToolTip("name in experiments; a change renames it there too")
        self.position.setToolTip(
            "as in the settings, in mm: a region of the floor, a height, or a point"
        )
        self.second.setToolTip(
            "bottom and top of a volume in mm, or the direction across a plane: X, Y, Z"
        )
        self.parts.setToolTip("body parts of the trigger, separated by commas")
        for row, (label, line) in enumerate(rows, start=1):
            grid.addWidget(label, row, 0)
            grid.addWidget(line, row, 1, 1, 3)
        grid.addWidget(self.problem, 5, 0, 1, 4)
        for column, button in enumerate((self.choose_parts, self.copy, self.delete)):
            grid.addWidget(button, 6, 1 + column)
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 0, 0, 0)
        around.addWidget(panel)

    def _rename(self) -> None:
        old, new = self.item_name, " ".join(self.name.text().split())
        why = why_no_name(self.document, "Trigger", new, old) if old else ""
        if old and not why and new != old:
            text = with_name(self.document.text, f"Trigger {old}", new)
            self.renamed.emit(new)
            self.document.edit(text)
        self.show_item(self.item_name, self._item)
        if why:
            self.problem.setText(why)

    def _write_numbers(self) -> None:
        """Write the numbers of the item; those that are impossible are not written."""
        item, title = self._item, f"Trigger {self.item_name}"
        values = self.document.values.get(title, {})
        texts = [self.position.text().strip(), self.second.text().strip()]
        if item is None or texts[: len(known := _texts_of(item, values))] == known:
            return
        typed = _values_of(item, *texts)
        if item_of(typed) is None:
            self.show_item(self.item_name, item)
            joint = " z " if isinstance(item, VolumeItem) else ", "
            shown = joint.join(text for text in texts if text)
            self.problem.setText(f"{', '.join(typed)}: {shown} is not possible")
            return
        text = self.document.text
        for key, word in typed.items():
            if values.get(key) != word:
                text = ini_editing.set_value(text, title, key, word)
        self.document.edit(text)

    def _write_parts(self) -> None:
        if self.item_name:
            parts = self.parts.text().strip() or None
            title = f"Trigger {self.item_name}"
            self.document.set_value(title, "BODYPARTS", parts)


def _texts_of(item: SpaceItem | None, values: Mapping[str, str]) -> list[str]:
    """Return the texts of the fields of an item; a volume's heights apart from its region."""
    if item is None:
        return []
    texts = [values.get(key, "").strip() for key in _KEYS[type(item)]]
    if isinstance(item, VolumeItem):
        region, _, heights = texts[0].replace(",", " ").partition(" z ")
        return [region.strip(), heights.strip()]
    return texts


def _values_of(item: SpaceItem, first: str, second: str) -> dict[str, str]:
    """Return the keys of the section of an item, from the texts of its fields."""
    if isinstance(item, VolumeItem):
        return {"VOLUME": f"{first} z {second}"}
    return dict(zip(_KEYS[type(item)], (first, second), strict=False))
