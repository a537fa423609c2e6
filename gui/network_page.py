"""The page on which a lab makes its own network: pick frames, label, train, use."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import Qt
from PyQt5.QtGui import QKeyEvent
from PyQt5.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from gui.document import Document
from gui.label_canvas import LabelCanvas
from gui.panels import Panel
from gui.program_window import ProgramWindow
from gui.training_panel import TrainingPanel
from training.label_book import LabelBook, open_book
from training.labels import LabelsError

_LEFT_WIDTH, _RIGHT_WIDTH = 240, 230
_NUDGE_PX = 0.5
_MOST_UNDONE = 200
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
_HOW = (
    "Click: places the chosen body part, and goes on to the next. Drag: moves a point. "
    "Right click or Delete: it is not to be seen. 1 to 9: choose a body part. Arrows: "
    "half a pixel. Space: looks right, next picture. B: back. U: undo. Wheel: zoom, middle "
    "button: move."
)


class NetworkPage(QWidget):
    """Labels the pictures of a folder and trains on them; saved after every change."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.book: LabelBook | None = None
        self.picture = -1
        self.canvas = LabelCanvas()
        self.canvas.clear("Choose a folder for your labels")
        self.folder = QPushButton("Folder of labels …")
        self.parts_line = QLineEdit()
        self.parts_line.setPlaceholderText("body parts, commas between")
        self.pick = QPushButton("Pick frames of a video …")
        self.list, self.parts = QListWidget(), QListWidget()
        self.words, self.problem = QLabel(), QLabel()
        self.contrast = QSlider(Qt.Orientation.Horizontal)
        self.good = QPushButton("Looks right (Space)")
        self.training = TrainingPanel(document)
        self._undone: list[tuple[int, NDArray[np.float32], bool]] = []
        self._arrange()
        self._connect()
        self._show_state()

    def open(self, folder: Path) -> None:
        """Show the pictures of a folder; a new one takes the body parts of the line."""
        parts = [part.strip() for part in self.parts_line.text().split(",")]
        try:
            self.book = open_book(folder, [part for part in parts if part])
        except (LabelsError, OSError) as error:
            self.book = None
            self.problem.setText(str(error))
            self._show_state()
            return
        self.problem.setText("")
        self._undone.clear()
        self.parts_line.setText(", ".join(self.book.bodyparts))
        self.canvas.bodyparts = self.book.bodyparts
        self.parts.clear()
        for number, part in enumerate(self.book.bodyparts, start=1):
            self.parts.addItem(f"{number}  {part}")
        self._list_pictures()
        waiting = np.flatnonzero(~self.book.done)
        if self.book.names:
            self.show_picture(int(waiting[0]) if len(waiting) else 0)
        else:
            self.canvas.clear("No pictures yet: pick frames of a video")
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
        missing = np.flatnonzero(np.isnan(book.points[picture, :, 0]))
        self._show(int(missing[0]) if len(missing) and not book.done[picture] else 0)

    def _show(self, part: int) -> None:
        book = self.book
        if book is None:
            return
        path = book.path(self.picture)
        image = cv2.imread(str(path), cv2.IMREAD_ANYCOLOR)
        if image is None:
            self.canvas.clear(f"{path.name} can't be read")
            return
        self.canvas.camera = path.parent.name
        points = book.points[self.picture]
        self.canvas.show_labels(np.uint8(image), points, part, self.picture + 1)  # type: ignore[arg-type]
        self.parts.blockSignals(True)
        self.parts.setCurrentRow(part)
        self.parts.blockSignals(False)

    def _arrange(self) -> None:
        self.contrast.setRange(50, 400)
        self.contrast.setValue(100)
        self.contrast.setToolTip("contrast")
        for label, kind in ((self.words, "caption"), (self.problem, "problem")):
            label.setObjectName(kind)
            label.setWordWrap(True)
        how = QLabel(_HOW)
        how.setObjectName("caption")
        how.setWordWrap(True)
        for each in (self.list, self.parts):
            each.setObjectName("clear")
            each.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        left, right = Panel("Pictures"), Panel("Body parts")
        for widget in (self.folder, self.parts_line, self.pick, self.problem):
            left.column.addWidget(widget)
        left.column.addWidget(self.list, 1)
        left.column.addWidget(self.words)
        right.column.addWidget(self.parts, 1)
        for widget in (self.contrast, self.good, how):
            right.column.addWidget(widget)
        side = QVBoxLayout()
        side.addWidget(right, 1)
        side.addWidget(self.training)
        left.setFixedWidth(_LEFT_WIDTH)
        right.setFixedWidth(_RIGHT_WIDTH)
        self.training.setFixedWidth(_RIGHT_WIDTH)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 10, 10, 10)
        row.setSpacing(10)
        row.addWidget(left)
        row.addWidget(self.canvas, 1)
        row.addLayout(side)

    def _connect(self) -> None:
        self.folder.clicked.connect(self._ask_folder)
        self.pick.clicked.connect(self._ask_video)
        self.list.currentRowChanged.connect(self.show_picture)
        self.parts.currentRowChanged.connect(self._choose_part)
        self.canvas.placed.connect(self._place)
        self.canvas.removed.connect(self._remove)
        self.contrast.valueChanged.connect(self._change_contrast)
        self.good.clicked.connect(self._accept)

    def _list_pictures(self) -> None:
        book = self.book
        if book is None:
            return
        self.list.blockSignals(True)
        self.list.clear()
        for number in range(len(book.names)):
            self.list.addItem(QListWidgetItem(self._line(number)))
        self.list.blockSignals(False)

    def _line(self, number: int) -> str:
        if self.book is None:
            return ""
        name = "/".join(self.book.names[number].split("/")[1:])
        return f"{'●' if self.book.done[number] else '○'} {name}"

    def _show_state(self) -> None:
        book = self.book
        ready = book is not None
        for widget in (self.pick, self.good, self.contrast):
            widget.setEnabled(ready)
        self.parts_line.setReadOnly(ready)
        labelled = int(book.done.sum()) if book is not None else 0
        self.training.show_labels(book.folder if book else None, labelled)
        if book is not None:
            self.words.setText(f"{book.left} of {len(book.names)} still to be labelled")

    def _changed(self, part: int) -> None:
        item = self.list.item(self.picture)
        if item is not None:
            item.setText(self._line(self.picture))
        self._show(part)
        self._show_state()

    def _remember(self) -> None:
        book, at = self.book, self.picture
        if book is not None:
            before = (at, book.points[at].copy(), bool(book.done[at]))
            self._undone = [*self._undone[1 - _MOST_UNDONE :], before]

    def _place(self, part: int, x: float, y: float) -> None:
        book = self.book
        if book is None:
            return
        self._remember()
        book.place(self.picture, part, x, y)
        after = part + (part == self.canvas.part)
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

    def _undo(self) -> None:
        if self.book is not None and self._undone:
            picture, points, done = self._undone.pop()
            self.book.points[picture], self.book.done[picture] = points, done
            self.book.save()
            self.show_picture(picture)
            self._changed(self.canvas.part)

    def _choose_part(self, part: int) -> None:
        if part >= 0:
            self.canvas.part = part
            self.canvas.update()

    def _change_contrast(self, percent: int) -> None:
        self.canvas.use_gain(percent / 100)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Do what the help beside the picture says."""
        book = self.book
        if event is None or book is None or self.picture < 0:
            super().keyPressEvent(event)
            return
        key, part = Qt.Key(event.key()), self.canvas.part
        number = event.key() - Qt.Key.Key_1
        if key == Qt.Key.Key_Space:
            self._accept()
        elif key == Qt.Key.Key_B:
            self.show_picture(max(0, self.picture - 1))
        elif key == Qt.Key.Key_U:
            self._undo()
        elif key == Qt.Key.Key_Delete:
            self._remove(part)
        elif key in _ARROWS and not np.isnan(book.points[self.picture, part, 0]):
            x, y = book.points[self.picture, part].tolist()
            dx, dy = _ARROWS[key]
            self._remember()
            book.place(self.picture, part, x + _NUDGE_PX * dx, y + _NUDGE_PX * dy)
            self._changed(part)
        elif 0 <= number < min(9, len(book.bodyparts)):
            self.parts.setCurrentRow(number)
        else:
            super().keyPressEvent(event)

    def _ask_folder(self) -> None:
        start = str(self.document.path.parent)
        name = QFileDialog.getExistingDirectory(self, "A folder for labels", start)
        if name:
            self.open(Path(name))

    def _ask_video(self) -> None:
        kinds = "Videos (*.mp4 *.avi *.mov *.mkv *.m4v);;All files (*)"
        name, _ = QFileDialog.getOpenFileName(self, "A video", "", kinds)
        if name:
            self.pick_frames(Path(name))

    def pick_frames(self, video: Path) -> ProgramWindow | None:
        """Add frames of a video that differ from each other."""
        book = self.book
        if book is None:
            return None
        arguments = [str(video), "--into", str(book.folder)]
        window = ProgramWindow("Pick frames", "PickFrames.py", arguments, self)
        window.ended.connect(partial(self._reopen, book.folder))
        window.show()
        return window

    def _reopen(self, folder: Path, _code: int) -> None:
        self.open(folder)
