"""Labelling tab: body parts placed by mouse and keys; every change is saved at once."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PyQt5.QtCore import QSize, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QColor, QIcon, QKeyEvent, QPixmap, QShowEvent
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QWidget,
)

from deeplabstream.gui.program_process import ProgramProcess
from deeplabstream.gui.theme import animal_colour, bodypart_colour
from deeplabstream.gui.undo_history import LabelHistory
from deeplabstream.gui.widgets.compared_view import read_image
from deeplabstream.gui.widgets.label_canvas import LabelCanvas
from deeplabstream.gui.widgets.label_tools import LabelTools
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.video_view import to_qimage
from deeplabstream.training.data.label_book import LabelBook
from deeplabstream.training.data.labels import LabelsError

_WIDTH = 236
_NUDGE_PX = 0.5
_THUMBNAIL = QSize(56, 42)
_PAUSE_MS = 10
_SUSPICIOUS_HEIGHT = 130
_ANIMALS_SHOWN = 5
"""Animals that are visible in the list without scrolling."""
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class LabellingTab(QWidget):
    """Shows the frames of a label folder, one at a time."""

    changed = pyqtSignal()
    """A label has changed."""

    def __init__(self) -> None:
        super().__init__()
        self.book: LabelBook | None = None
        self.frame = -1
        self.canvas = LabelCanvas()
        self.tools = LabelTools()
        self.list = QListWidget()
        self.message = QLabel()
        self.load = QPushButton("Import labels …")
        self.check = QPushButton("Check labels")
        self.suspicious = QListWidget()
        self.checking = ProgramProcess(self, errors_apart=True)
        self._output = ""
        self.history = LabelHistory()
        blank = QPixmap(_THUMBNAIL)
        blank.fill(Qt.GlobalColor.transparent)
        self._blank = QIcon(blank)
        self._thumbnails: Iterator[int] = iter(())
        self._timer = QTimer(self)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._load_thumbnail)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._arrange()
        self._connect()
        self.show_book(None, "Choose a folder for your labels")

    def show_book(self, book: LabelBook | None, why: str = "") -> None:
        """Show the frames of a label folder; `why`: why there are none."""
        self.book, self.frame = book, -1
        self.history = LabelHistory()
        self.tools.parts.clear()
        if book is not None:
            self.canvas.bodyparts = book.bodyparts
            for number, part in enumerate(book.bodyparts, start=1):
                item = QListWidgetItem(
                    _chip(bodypart_colour(number - 1)), f"{number}  {part}"
                )
                self.tools.parts.addItem(item)
            self._show_edges(book)
        self._list_animals()
        self._list_frames()
        self.checking.stop()  # it belongs to another folder
        self.suspicious.clear()
        self.suspicious.hide()
        if book is not None and book.names:
            waiting = np.flatnonzero(~book.done)
            self.show_frame(int(waiting[0]) if len(waiting) else 0)
        else:
            self.canvas.clear(why)
        self.show_state()

    def show_frame(self, frame: int) -> None:
        """Show a frame, and select its first body part without a point."""
        book = self.book
        if book is None or not 0 <= frame < len(book.names):
            return
        self.frame = frame
        self.list.blockSignals(True)
        self.list.setCurrentRow(frame)
        self.list.blockSignals(False)
        self.canvas.show_whole()
        missing = np.flatnonzero(np.isnan(book.points[frame, :, 0]))
        reviewed = book.done[frame] or book.proposed[frame] or book.copied[frame]
        self._show(int(missing[0]) if len(missing) and not reviewed else 0)

    def undo(self) -> None:
        """Undo the last change and show its frame."""
        self._go_to(self.history.undo_in(self.book) if self.book else None)

    def redo(self) -> None:
        """Redo the change that was undone last and show its frame."""
        self._go_to(self.history.redo_in(self.book) if self.book else None)

    def _show(self, part: int) -> None:
        book = self.book
        if book is None:
            return
        path = book.path(self.frame)
        image = read_image(path)
        if image is None:
            self.canvas.clear(f"Can't read {path.name}")
            return
        self.canvas.camera = path.parent.name
        self.canvas.pending = (
            "Pre-labelled"
            if book.proposed[self.frame]
            else "Copied from the frame before"
            if book.copied[self.frame]
            else ""
        )
        points = book.points[self.frame]
        self.canvas.show_labels(image, points, part, self.frame + 1)
        self._mark_rows()

    def _mark_rows(self) -> None:
        """Select the current point's body part and animal in their lists."""
        animal, own = divmod(self.canvas.part, max(1, len(self.canvas.bodyparts)))
        for widget, row in ((self.tools.parts, own), (self.tools.animals, animal)):
            widget.blockSignals(True)
            widget.setCurrentRow(row)
            widget.blockSignals(False)

    def _arrange(self) -> None:
        self.message.setObjectName("caption")
        self.message.setWordWrap(True)
        self.list.setObjectName("clear")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setIconSize(_THUMBNAIL)
        self.list.setUniformItemSizes(True)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        left = Panel("Frames")
        left.setFixedWidth(_WIDTH)
        left.column.addWidget(self.list, 1)
        left.column.addWidget(self.message)
        self.suspicious.setObjectName("clear")
        self.suspicious.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.suspicious.setMaximumHeight(_SUSPICIOUS_HEIGHT)
        self.suspicious.setToolTip("suspicious labels; click: go to the frame")
        self.check.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.check.setToolTip(
            "lists body parts that are swapped, far from their place in similar poses, or "
            "in the same place (utils/CheckLabels.py)"
        )
        left.column.addWidget(self.suspicious)
        self.load.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.load.setToolTip("labels of SLEAP (.slp), or a project of DeepLabCut")
        left.column.addWidget(self.load)
        left.column.addWidget(self.check)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(left)
        row.addWidget(self.canvas, 1)
        row.addWidget(self.tools)

    def _connect(self) -> None:
        self.list.currentRowChanged.connect(self.show_frame)
        self.check.clicked.connect(self.check_labels)
        self.suspicious.itemClicked.connect(self._show_suspicious)
        self.checking.output_received.connect(self._take_check)
        self.checking.ended.connect(self._list_suspicious)
        self.tools.parts.currentRowChanged.connect(self._choose_part)
        self.canvas.placed.connect(self._place)
        self.canvas.removed.connect(self._remove)
        self.tools.contrast.valueChanged.connect(
            lambda percent: self.canvas.use_gain(percent / 100)
        )
        self.tools.edges.editingFinished.connect(self._take_edges)
        self.tools.animals.currentRowChanged.connect(self._choose_animal)
        self.tools.animals.itemChanged.connect(self._rename)
        self.tools.add.clicked.connect(self._add_animal)
        self.tools.remove.clicked.connect(self._remove_animal)
        self.tools.swap.clicked.connect(self._swap)
        self.tools.copy.clicked.connect(self._copy)
        self.tools.good.clicked.connect(self._accept)
        self.tools.undo.clicked.connect(self.undo)
        self.tools.redo.clicked.connect(self.redo)
        self.tools.closer.clicked.connect(lambda: self.canvas.zoom(True))
        self.tools.wider.clicked.connect(lambda: self.canvas.zoom(False))
        self.tools.whole.clicked.connect(self.canvas.show_whole)

    def check_labels(self) -> None:
        """Start `utils/CheckLabels.py`, which finds suspicious labels."""
        if self.book is not None and not self.checking.running:
            self._output = ""
            self.check.setEnabled(False)
            self.checking.start("CheckLabels.py", [str(self.book.folder), "--json"])

    def _take_check(self, text: str) -> None:
        self._output += text

    def _list_suspicious(self, code: int, _killed: bool) -> None:
        self.suspicious.clear()
        self.check.setEnabled(self.book is not None)
        errors = self.checking.errors().strip().splitlines()
        try:
            report = {} if code else json.loads(self._output)
            found, note = report.get("suspicious", []), report.get("too_few", "")
        except (ValueError, KeyError):  # its output is incomplete: it was killed
            code = 1
        if code or self.book is None:
            self.message.setText(
                errors[-1] if errors else "The labels can't be checked"
            )
            return
        for label in found:
            name, parts = str(label["image"]), " and ".join(label["bodyparts"])
            item = QListWidgetItem(f"{Path(name).stem}: {parts} {label['kind']}")
            item.setToolTip(f"{name}: {label['what']}")
            item.setData(Qt.ItemDataRole.UserRole, label)
            self.suspicious.addItem(item)
        self.suspicious.setVisible(bool(found))
        count = len(found) or "No"
        text = f"{count} suspicious label{'s' * (len(found) != 1)}"
        self.message.setText(f"{text}. {note}" if note else text)

    def _show_suspicious(self, item: QListWidgetItem) -> None:
        """Show the frame of a suspicious label, and select its body part."""
        label, book = item.data(Qt.ItemDataRole.UserRole), self.book
        if book is None or label["image"] not in book.names:
            return
        self.show_frame(book.names.index(label["image"]))
        self._choose(int(label["animal"]), book.bodyparts.index(label["bodyparts"][0]))

    def _list_frames(self) -> None:
        self.list.blockSignals(True)
        self.list.clear()
        for number in range(len(self.book.names) if self.book else 0):
            item = QListWidgetItem(self._line(number))
            item.setToolTip(self._about(number))
            item.setIcon(self._blank)
            self.list.addItem(item)
        self.list.blockSignals(False)
        self._thumbnails = iter(range(self.list.count()))
        self._timer.start()

    def _load_thumbnail(self) -> None:
        """Load one thumbnail per timer event, so that the window stays responsive."""
        number = next(self._thumbnails, None)
        item = None if number is None else self.list.item(number)
        if self.book is None or number is None or item is None:
            self._timer.stop()
            return
        image = read_image(self.book.path(number), small=True)
        if image is not None:
            smooth = Qt.TransformationMode.SmoothTransformation
            ratio = Qt.AspectRatioMode.KeepAspectRatio
            small = to_qimage(image).scaled(_THUMBNAIL, ratio, smooth)
            item.setIcon(QIcon(QPixmap.fromImage(small)))

    def _line(self, number: int) -> str:
        book = self.book
        if book is None:
            return ""
        name = "/".join(book.names[number].split("/")[1:])
        if book.done[number]:
            sign = "●"
        elif book.proposed[number]:
            sign = "◐"
        else:
            sign = "◔" if book.unfinished[number] else "○"
        return f"{sign} {name}"

    def _about(self, number: int) -> str:
        """Return the path of a frame, and why it is uncertain."""
        if self.book is None:
            return ""
        name = self.book.names[number]
        reason = self.book.reasons.get(name, "")
        return f"{name}: {reason}" if reason else name

    def show_state(self) -> None:
        """Show how many frames are labelled, or why labels are not saved."""
        book = self.book
        labelled = book is not None and bool(book.done.any())
        self.check.setEnabled(labelled and not self.checking.running)
        for widget in (self.tools.good, self.tools.contrast, self.tools.edges):
            widget.setEnabled(book is not None and bool(book.names))
        several = book is not None and book.animals > 1
        self.tools.swap.setEnabled(several)
        self.tools.remove.setEnabled(several)
        self.tools.add.setEnabled(book is not None)
        self.tools.copy.setEnabled(self._frame_before is not None)
        self.tools.undo.setEnabled(self.history.can_undo)
        self.tools.redo.setEnabled(self.history.can_redo)
        if book is not None:
            text = f"{book.left} of {len(book.names)} frames not labelled yet"
            if count := int(book.proposed.sum()):
                text += f", {count} of them pre-labelled (◐)"
            if count := int(book.unfinished.sum()):
                text += f", {count} of them begun (◔)"
            if any(name in book.reasons for name in np.array(book.names)[~book.done]):
                text += "; uncertain ones come first"
            if book.fault:
                text = f"{book.fault}. Points are kept, and saved with the next change"
            self.message.setText(text)

    def _changed(self, part: int) -> None:
        item = self.list.item(self.frame)
        if item is not None:
            item.setText(self._line(self.frame))
        self._show(part)
        self.show_state()
        self.changed.emit()

    def _remember(self) -> None:
        if self.book is not None:
            self.history.remember_image(self.book, self.frame)

    def _place(self, part: int, x: float, y: float) -> None:
        book = self.book
        if book is None:
            return
        self._remember()
        book.place(self.frame, part, x, y)
        review = book.proposed[self.frame] or book.copied[self.frame]
        after = part + (part == self.canvas.part and not review)
        self._changed(min(after, book.points.shape[1] - 1))

    def _remove(self, part: int) -> None:
        if self.book is not None:
            self._remember()
            self.book.remove(self.frame, part)
            self._changed(part)

    def _accept(self) -> None:
        if self.book is not None and self.frame >= 0:
            self._remember()
            self.book.accept(self.frame)
            self._changed(self.canvas.part)
            self.show_frame(min(self.frame + 1, len(self.book.names) - 1))

    def _go_to(self, frame: int | None) -> None:
        if frame is not None:
            self.show_frame(frame)
            self._changed(self.canvas.part)

    def _choose_part(self, row: int) -> None:
        if self.book is not None and row >= 0:
            self._choose(self.canvas.part // len(self.book.bodyparts), row)

    def _choose_animal(self, row: int) -> None:
        """Select an animal: its first body part without a point, else the same body part."""
        book = self.book
        if book is None or row < 0 or self.frame < 0:
            return
        missing = np.flatnonzero(np.isnan(book.of_animals(self.frame)[row, :, 0]))
        same = self.canvas.part % len(book.bodyparts)
        self._choose(row, int(missing[0]) if len(missing) else same)

    def _choose(self, animal: int, part: int) -> None:
        book = self.book
        if book is not None:
            self.canvas.part = animal * len(book.bodyparts) + part
            self._mark_rows()
            self.canvas.update()

    def _step(self, step: int) -> None:
        """Select the next body part; after the last one, that of the next animal."""
        if self.book is not None:
            count = self.book.points.shape[1]
            self._choose(0, (self.canvas.part + step) % count)

    def _step_animal(self, step: int) -> None:
        book = self.book
        if book is not None:
            current = self.canvas.part // len(book.bodyparts)
            self._choose_animal((current + step) % book.animals)

    def _list_animals(self) -> None:
        """List the animals of the label folder with their colours."""
        book, tools = self.book, self.tools
        self.canvas.individuals = book.individuals if book is not None else ()
        tools.animals.blockSignals(True)
        tools.animals.clear()
        for number, name in enumerate(self.canvas.individuals):
            item = QListWidgetItem(_chip(animal_colour(number)), name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            tools.animals.addItem(item)
        tools.animals.blockSignals(False)
        rows = min(len(self.canvas.individuals), _ANIMALS_SHOWN)
        tools.animals.setVisible(rows > 0)
        tools.animals.setFixedHeight(
            rows * max(20, tools.animals.sizeHintForRow(0)) + 6
        )

    def _name_animals(self, names: Sequence[str]) -> None:
        """Set names and number of the animals; show why it is not possible."""
        book = self.book
        if book is None:
            return
        try:
            book.name_animals(names)
        except LabelsError as error:
            self._list_animals()
            self._mark_rows()
            self.message.setText(str(error))
            return
        self._list_animals()
        if self.frame >= 0:
            self._changed(min(self.canvas.part, book.points.shape[1] - 1))
        self.show_state()

    def _add_animal(self) -> None:
        if self.book is not None:
            names = self.book.individuals or ("animal1",)
            self._name_animals([*names, free_name(names)])

    def _remove_animal(self) -> None:
        if self.book is not None:
            self._name_animals(self.book.individuals[:-1])

    def _rename(self, item: QListWidgetItem) -> None:
        if self.book is not None:
            names = [*self.book.individuals]
            names[self.tools.animals.row(item)] = item.text()
            self._name_animals(names)

    def _swap(self) -> None:
        """Swap the selected animal with the other one; of several, a menu offers them."""
        book = self.book
        if book is None or self.frame < 0 or book.animals < 2:
            return
        own = self.canvas.part // len(book.bodyparts)
        others = [other for other in range(book.animals) if other != own]
        if len(others) == 1:
            self._swap_with(others[0])
            return
        menu = QMenu(self)
        for number, other in enumerate(others, start=1):
            name = f"&{number}  {book.individuals[own]} ↔ {book.individuals[other]}"
            if (action := menu.addAction(name)) is not None:
                action.triggered.connect(partial(self._swap_with, other))
        menu.popup(self.tools.swap.mapToGlobal(self.tools.swap.rect().bottomLeft()))

    def _swap_with(self, other: int, _checked: bool = False) -> None:
        if self.book is not None:
            self._remember()
            self.book.swap(
                self.frame, self.canvas.part // len(self.book.bodyparts), other
            )
            self._changed(self.canvas.part)

    @property
    def _frame_before(self) -> int | None:
        """The last labelled frame before this one in the same video; None: none."""
        if self.book is None or self.frame < 0:
            return None
        return self.book.frame_before(self.frame)

    def _copy(self) -> None:
        book, before = self.book, self._frame_before
        if book is None or before is None:
            return
        self._remember()
        if book.copy(self.frame, before):
            self._changed(self.canvas.part)
        else:
            self.history.discard_last()
            self.message.setText("The frame before has no points that are missing here")

    def _show_edges(self, book: LabelBook) -> None:
        self.tools.edges.setText(", ".join("-".join(edge) for edge in book.edges))
        self.tools.edges.setCursorPosition(0)
        self.canvas.edges = book.edges

    def _take_edges(self) -> None:
        book = self.book
        if book is None:
            return
        edges = [
            edge.strip() for edge in self.tools.edges.text().split(",") if edge.strip()
        ]
        pairs = [tuple(end.strip() for end in edge.split("-")) for edge in edges]
        good = [
            (p[0], p[1]) for p in pairs if len(p) == 2 and {*p} <= {*book.bodyparts}
        ]
        if len(good) == len(pairs):
            try:
                book.join(good)
            except OSError as error:
                self.message.setText(f"Not saved: {error.strerror or error}")
        else:
            known = ", ".join(book.bodyparts)
            self.message.setText(
                f"Write edges as nose-tail, with body parts of: {known}"
            )
        self._show_edges(book)
        self.canvas.update()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Take the focus, so that Space accepts a frame instead of pressing a button.

        A restored window keeps its focus.
        """
        super().showEvent(event)
        if event is not None and not event.spontaneous():
            self.setFocus()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Handle the keys that are listed in `label_tools.KEYS`."""
        book = self.book
        if event is None or book is None or self.frame < 0:
            super().keyPressEvent(event)
            return
        key, part = Qt.Key(event.key()), self.canvas.part
        number = event.key() - Qt.Key.Key_1
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        actions = {
            Qt.Key.Key_Space: self._accept,
            Qt.Key.Key_B: lambda: self.show_frame(max(0, self.frame - 1)),
            Qt.Key.Key_U: self.redo if shift else self.undo,
            Qt.Key.Key_A: lambda: self._step_animal(-1 if shift else 1),
            Qt.Key.Key_P: lambda: self._step(-1 if shift else 1),
            Qt.Key.Key_S: self._swap,
            Qt.Key.Key_C: self._copy,
            Qt.Key.Key_Delete: lambda: self._remove(part),
            Qt.Key.Key_Plus: lambda: self.canvas.zoom(True),
            Qt.Key.Key_Minus: lambda: self.canvas.zoom(False),
            Qt.Key.Key_0: self.canvas.show_whole,
        }
        if key in actions:
            actions[key]()
        elif key in _ARROWS and not np.isnan(book.points[self.frame, part, 0]):
            self._nudge(book, part, *_ARROWS[key])
        elif 0 <= number < min(9, len(book.bodyparts)):
            self._choose_part(number)
        else:
            super().keyPressEvent(event)

    def _nudge(self, book: LabelBook, part: int, dx: int, dy: int) -> None:
        x, y = book.points[self.frame, part].tolist()
        self._remember()
        book.place(self.frame, part, x + _NUDGE_PX * dx, y + _NUDGE_PX * dy)
        self._changed(part)


def _chip(colour: QColor) -> QIcon:
    """Return an icon: a small square of a colour."""
    chip = QPixmap(12, 12)
    chip.fill(colour)
    return QIcon(chip)


def free_name(names: Sequence[str]) -> str:
    """Return a free name for another animal."""
    number = len(names) + 1
    while f"animal{number}" in names:
        number += 1
    return f"animal{number}"
