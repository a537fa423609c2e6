"""Labelling tab: body parts placed by mouse and keys; every change is saved at once."""

from collections.abc import Iterator

import numpy as np
from PyQt5.QtCore import QSize, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QIcon, QKeyEvent, QPixmap
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QWidget,
)

from deeplabstream.gui.theme import bodypart_colour
from deeplabstream.gui.undo_history import LabelHistory
from deeplabstream.gui.widgets.compared_view import read_image
from deeplabstream.gui.widgets.label_canvas import LabelCanvas
from deeplabstream.gui.widgets.label_tools import LabelTools
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.video_view import to_qimage
from deeplabstream.training.data.label_book import LabelBook

_WIDTH = 236
_NUDGE_PX = 0.5
_THUMBNAIL = QSize(56, 42)
_PAUSE_MS = 10
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class LabellingTab(QWidget):
    """Shows the pictures of a book, one at a time."""

    changed = pyqtSignal()
    """Something was labelled."""

    def __init__(self) -> None:
        super().__init__()
        self.book: LabelBook | None = None
        self.picture = -1
        self.canvas = LabelCanvas()
        self.tools = LabelTools()
        self.list = QListWidget()
        self.words = QLabel()
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
        """Show the pictures of a book; `why` there are none to show."""
        self.book, self.picture = book, -1
        self.history = LabelHistory()
        self.tools.parts.clear()
        if book is not None:
            self.canvas.bodyparts = book.bodyparts
            for number, part in enumerate(book.bodyparts, start=1):
                chip = QPixmap(12, 12)
                chip.fill(bodypart_colour(number - 1))
                item = QListWidgetItem(QIcon(chip), f"{number}  {part}")
                self.tools.parts.addItem(item)
            self._show_edges(book)
        self._list_pictures()
        if book is not None and book.names:
            waiting = np.flatnonzero(~book.done)
            self.show_picture(int(waiting[0]) if len(waiting) else 0)
        else:
            self.canvas.clear(why)
        self._show_state()

    def show_picture(self, picture: int) -> None:
        """Show a picture of the book, and its first body part that is not placed."""
        book = self.book
        if book is None or not 0 <= picture < len(book.names):
            return
        self.picture = picture
        self.list.blockSignals(True)
        self.list.setCurrentRow(picture)
        self.list.blockSignals(False)
        self.canvas.show_whole()
        missing = np.flatnonzero(np.isnan(book.points[picture, :, 0]))
        told = book.done[picture] or book.proposed[picture]
        self._show(int(missing[0]) if len(missing) and not told else 0)

    def undo(self) -> None:
        """Take the last change back and show its picture."""
        self._go_to(self.history.undo_in(self.book) if self.book else None)

    def redo(self) -> None:
        """Make it again and show its picture."""
        self._go_to(self.history.redo_in(self.book) if self.book else None)

    def _show(self, part: int) -> None:
        book = self.book
        if book is None:
            return
        path = book.path(self.picture)
        image = read_image(path)
        if image is None:
            self.canvas.clear(f"Can't read {path.name}")
            return
        self.canvas.camera = path.parent.name
        self.canvas.proposed = bool(book.proposed[self.picture])
        points = book.points[self.picture]
        self.canvas.show_labels(image, points, part, self.picture + 1)
        self.tools.parts.blockSignals(True)
        self.tools.parts.setCurrentRow(part)
        self.tools.parts.blockSignals(False)

    def _arrange(self) -> None:
        self.words.setObjectName("caption")
        self.words.setWordWrap(True)
        self.list.setObjectName("clear")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setIconSize(_THUMBNAIL)
        self.list.setUniformItemSizes(True)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        left = Panel("Frames")
        left.setFixedWidth(_WIDTH)
        left.column.addWidget(self.list, 1)
        left.column.addWidget(self.words)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(left)
        row.addWidget(self.canvas, 1)
        row.addWidget(self.tools)

    def _connect(self) -> None:
        self.list.currentRowChanged.connect(self.show_picture)
        self.tools.parts.currentRowChanged.connect(self._choose_part)
        self.canvas.placed.connect(self._place)
        self.canvas.removed.connect(self._remove)
        self.tools.contrast.valueChanged.connect(
            lambda percent: self.canvas.use_gain(percent / 100)
        )
        self.tools.edges.editingFinished.connect(self._take_edges)
        self.tools.good.clicked.connect(self._accept)
        self.tools.undo.clicked.connect(self.undo)
        self.tools.redo.clicked.connect(self.redo)
        self.tools.closer.clicked.connect(lambda: self.canvas.zoom(True))
        self.tools.wider.clicked.connect(lambda: self.canvas.zoom(False))
        self.tools.whole.clicked.connect(self.canvas.show_whole)

    def _list_pictures(self) -> None:
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
        """Load one thumbnail at a time, so that the window answers meanwhile."""
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
        """Return the path of a picture, and why it is uncertain."""
        if self.book is None:
            return ""
        name = self.book.names[number]
        reason = self.book.reasons.get(name, "")
        return f"{name}: {reason}" if reason else name

    def _show_state(self) -> None:
        book = self.book
        for widget in (self.tools.good, self.tools.contrast, self.tools.edges):
            widget.setEnabled(book is not None and bool(book.names))
        self.tools.undo.setEnabled(self.history.can_undo)
        self.tools.redo.setEnabled(self.history.can_redo)
        if book is not None:
            told = f"{book.left} of {len(book.names)} frames not labelled yet"
            if count := int(book.proposed.sum()):
                told += f", {count} of them pre-labelled (◐)"
            if count := int(book.unfinished.sum()):
                told += f", {count} of them begun (◔)"
            if any(name in book.reasons for name in np.array(book.names)[~book.done]):
                told += "; the most uncertain come first"
            self.words.setText(told)

    def _changed(self, part: int) -> None:
        item = self.list.item(self.picture)
        if item is not None:
            item.setText(self._line(self.picture))
        self._show(part)
        self._show_state()
        self.changed.emit()

    def _remember(self) -> None:
        if self.book is not None:
            self.history.remember_picture(self.book, self.picture)

    def _place(self, part: int, x: float, y: float) -> None:
        book = self.book
        if book is None:
            return
        self._remember()
        book.place(self.picture, part, x, y)
        after = part + (part == self.canvas.part and not book.proposed[self.picture])
        self._changed(min(after, len(book.bodyparts) - 1))

    def _remove(self, part: int) -> None:
        if self.book is not None:
            self._remember()
            self.book.remove(self.picture, part)
            self._changed(part)

    def _accept(self) -> None:
        if self.book is not None and self.picture >= 0:
            self._remember()
            self.book.accept(self.picture)
            self._changed(self.canvas.part)
            self.show_picture(min(self.picture + 1, len(self.book.names) - 1))

    def _go_to(self, picture: int | None) -> None:
        if picture is not None:
            self.show_picture(picture)
            self._changed(self.canvas.part)

    def _choose_part(self, part: int) -> None:
        if part >= 0:
            self.canvas.part = part
            self.canvas.update()

    def _show_edges(self, book: LabelBook) -> None:
        self.tools.edges.setText(", ".join("-".join(edge) for edge in book.edges))
        self.tools.edges.setCursorPosition(0)
        self.canvas.edges = book.edges

    def _take_edges(self) -> None:
        book = self.book
        if book is None:
            return
        words = [
            word.strip() for word in self.tools.edges.text().split(",") if word.strip()
        ]
        pairs = [tuple(end.strip() for end in word.split("-")) for word in words]
        good = [
            (p[0], p[1]) for p in pairs if len(p) == 2 and {*p} <= {*book.bodyparts}
        ]
        if len(good) == len(pairs):
            book.join(good)
        else:
            known = ", ".join(book.bodyparts)
            self.words.setText(f"Write edges as nose-tail, with body parts of: {known}")
        self._show_edges(book)
        self.canvas.update()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Do what the help beside the picture says."""
        book = self.book
        if event is None or book is None or self.picture < 0:
            super().keyPressEvent(event)
            return
        key, part = Qt.Key(event.key()), self.canvas.part
        number = event.key() - Qt.Key.Key_1
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        actions = {
            Qt.Key.Key_Space: self._accept,
            Qt.Key.Key_B: lambda: self.show_picture(max(0, self.picture - 1)),
            Qt.Key.Key_U: self.redo if shift else self.undo,
            Qt.Key.Key_Delete: lambda: self._remove(part),
            Qt.Key.Key_Plus: lambda: self.canvas.zoom(True),
            Qt.Key.Key_Minus: lambda: self.canvas.zoom(False),
            Qt.Key.Key_0: self.canvas.show_whole,
        }
        if key in actions:
            actions[key]()
        elif key in _ARROWS and not np.isnan(book.points[self.picture, part, 0]):
            self._nudge(book, part, *_ARROWS[key])
        elif 0 <= number < min(9, len(book.bodyparts)):
            self.tools.parts.setCurrentRow(number)
        else:
            super().keyPressEvent(event)

    def _nudge(self, book: LabelBook, part: int, dx: int, dy: int) -> None:
        x, y = book.points[self.picture, part].tolist()
        self._remember()
        book.place(self.picture, part, x + _NUDGE_PX * dx, y + _NUDGE_PX * dy)
        self._changed(part)
