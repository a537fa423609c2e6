"""Run corrections: recorded and corrected poses side by side, and corrections of spans."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PyQt5.QtCore import QPointF, Qt, pyqtSignal
from PyQt5.QtGui import QKeySequence, QMouseEvent
from PyQt5.QtWidgets import (
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QShortcut,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.gui.pose_corrector import PoseCorrector
from deeplabstream.gui.run_frames import RunFrames
from deeplabstream.gui.widgets.analysis_bar import Choices
from deeplabstream.gui.widgets.flow_layout import FlowLayout
from deeplabstream.gui.widgets.timeline_view import TimelineView
from deeplabstream.gui.widgets.uncertain_place_list import UncertainPlaceList
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.recording.pose_corrections import (
    OF_ANIMALS,
    OF_TWO,
    Correction,
    Kind,
    append_correction,
    effective_entries,
    signed,
)
from deeplabstream.recording.recorded_frames import RecordedFrames
from deeplabstream.recording.run_review import Lane, Review, StateSpan
from deeplabstream.recording.uncertain_places import (
    UncertainPlace,
    last_frame_before,
)

_KINDS: Mapping[str, Kind] = {
    "Swap names": "swap",
    "Switch names": "switch",
    "Merge animals": "merge",
    "Split animals": "split",
    "Confirm names": "confirm",
    "Remove points": "remove",
    "Interpolate": "interpolate",
    "Set a point": "set",
}
_LIST_HEIGHTS = 62, 140  # px
_MOST_TIMELINE = 190  # px
KEYS = (
    ("N", "next uncertain place that is not checked"),
    ("C", "the place is checked"),
    ("Left, Right", "previous, next frame"),
)
"""Keys of the tab, and their effects."""
_Way = tuple[tuple[str, str], str]
"""Both animals of a correction in order, and the animal whose points stay."""


def _lanes(places: Sequence[UncertainPlace]) -> Iterator[Lane]:
    """Yield the lanes of uncertain places: those to check, and checked ones."""
    for checked, name, height in ((False, "to check", 1.0), (True, "checked", 0.4)):
        spans = [
            StateSpan(place.start_s, place.start_s + place.duration_s, height)
            for place in sorted(places, key=lambda place: place.start_s)
            if place.checked == checked
        ]
        if spans:
            yield Lane(name, "place", spans)


def _ways(kind: Kind, animals: Sequence[str]) -> dict[str, _Way]:
    """Return the ways to merge or split two animals, by their texts."""
    if len(animals) != 2 or kind not in ("merge", "split"):
        return {}
    a, b = animals
    if kind == "merge":
        return {
            f"both are {name}; if both are found: {stays}": (
                (name, other),
                "" if stays == name else stays,
            )
            for name, other in ((a, b), (b, a))
            for stays in (name, other)
        }
    return {
        f"{a} is {b}; old {b} is {a}": ((a, b), b),
        f"{a} is {b}; remove old {b}": ((a, b), ""),
        f"{b} is {a}; remove old {a}": ((b, a), ""),
    }


class _PointView(VideoView):
    """Shows a frame; a click sets the position of a point."""

    clicked = pyqtSignal(float, float)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Emit the image position of a click."""
        if event is None or self.place is None:
            return
        at: QPointF = event.localPos()
        x = (at.x() - self.place.left) / self.place.scale - 0.5
        y = (at.y() - self.place.top) / self.place.scale - 0.5
        self.clicked.emit(round(x, 1), round(y, 1))


class RunCorrections(QWidget):
    """Corrects poses of a run; each correction is an entry of corrections.json."""

    changed = pyqtSignal()
    """The corrections of the run have changed: analyse it again."""

    def __init__(self) -> None:
        super().__init__()
        self.images, self.corrector = RunFrames(), PoseCorrector()
        self.before, self.after = VideoView(""), _PointView("")
        self.timeline = TimelineView()
        self.back, self.forth = QPushButton("−1 frame"), QPushButton("+1 frame")
        self.first, self.last = QPushButton("From here"), QPushButton("To here")
        self.to_end = QPushButton("To end")
        self.to_place = QPushButton("To next place")
        self.span_text = QLabel()
        self.kind = QComboBox()
        self.animals = Choices("Animals", "all")
        self.parts = Choices("Body parts", "all")
        self.way = QComboBox()
        """Ways to merge or split the two ticked animals."""
        self.why = QLineEdit()
        self.apply, self.undo_it = QPushButton("Correct"), QPushButton("Undo")
        self.list, self.problem = QListWidget(), QLabel()
        self.list_title = QLabel("Corrections")
        self.places = UncertainPlaceList(_LIST_HEIGHTS)
        self.review: Review | None = None
        self.time_s = 0.0
        self.position: tuple[float, float] | None = None
        """Position for *Set a point*, px."""
        self._drafted: Correction | None = None
        """Correction of the current fields; None: incomplete."""
        self._run: Path | None = None
        self._read_run: Path | None = None
        """The run that is being read or was read."""
        self._camera = ""
        self._undone: list[int] = []
        """Numbers of the undo entries since the last correction, for redo."""
        self._frames: tuple[int, int] | None = None
        """First and last frame of the span."""
        self._known: dict[int, Correction] = {}
        """Effective corrections and checks of the camera, by number."""
        self._corrected: RecordedFrames | None = None
        self._by: dict[int, Correction] = {}
        """Corrections of the last request, including the prepared one."""
        self._prepared: Correction | None = None
        """Correction that *Correct* adds; None: its preview is not computed yet."""
        self._arrange()
        self._connect()
        self._offer()

    def show_run(self, run: Path, camera: str) -> None:
        """Show a run; it is read once the widget is visible."""
        if (run, camera) != (self._run, self._camera):
            self.clear("Reading …")
        self._run, self._camera = run, camera
        self._read()

    def clear(self, text: str) -> None:
        """Show a message instead of a run."""
        self._run = self._read_run = self.review = self._corrected = self._frames = None
        self._known = {}
        self.timeline.marked = None
        self.timeline.show_run((), (), 0.0)
        self.list.clear()
        self._take_places(None, ())
        for view in (self.before, self.after):
            view.clear(text)
        self._prepared = self.position = None
        self._undone.clear()
        self.why.clear()
        self._complain("")
        self._offer()

    def undo(self) -> None:
        """Undo the last valid correction."""
        if self._known:
            self._undo(max(self._known))

    def redo(self) -> None:
        """Redo: undo the last undo entry since the last correction."""
        if self._undone and self._append(
            Correction(kind="undo", undoes=self._undone[-1])
        ):
            self._undone.pop()

    def go_to(self, time_s: float) -> None:
        """Show the frame at a time."""
        run = self.review
        if run is None:
            return
        self.time_s = min(max(0.0, time_s), run.end_s)
        self.timeline.go_to(self.time_s)
        row = run.row_at(self._camera, self.time_s)
        place = run.video_frame_of(self._camera, row)
        if place is None:
            height, width = run.shape_of(self._camera) or (480, 640)
            empty = np.zeros((height, width), np.uint8)
            self._show_frame(row, empty, recorded=False)
        else:
            self.images.request((self._camera, row), *place)

    def finish(self) -> None:
        """End the threads."""
        self.images.finish()
        self.corrector.finish()

    def _arrange(self) -> None:
        self._explain()
        self.kind.addItems(list(_KINDS))
        self.way.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.timeline.setMaximumHeight(_MOST_TIMELINE)
        self.apply.setProperty("starts", True)
        self.list.setMinimumHeight(_LIST_HEIGHTS[0])
        self.list.setMaximumHeight(_LIST_HEIGHTS[1])
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.problem.setObjectName("problem")
        self.problem.setWordWrap(True)
        for widget in (self.way, self.problem):
            widget.hide()
        for label in (self.span_text, self.list_title):
            label.setObjectName("caption")

        views = QHBoxLayout()
        views.setSpacing(8)
        views.addWidget(self.before, 1)
        views.addWidget(self.after, 1)
        doing = FlowLayout()
        for widget in (
            *(self.back, self.forth, self.first, self.last, self.to_place, self.to_end),
            *(self.kind, self.animals, self.parts, self.way),
        ):
            doing.addWidget(widget)
        reason = QHBoxLayout()
        reason.addWidget(self.span_text, 1)
        reason.addWidget(self.why, 1)
        reason.addWidget(self.apply)

        # Beside the images, the places would not fit a window of 960 px
        head, known = QHBoxLayout(), QVBoxLayout()
        head.addWidget(self.list_title, 1)
        head.addWidget(self.undo_it)
        known.setSpacing(4)
        known.addLayout(head)
        known.addWidget(self.list)
        done = QHBoxLayout()
        done.addWidget(self.places, 1)
        done.addLayout(known, 1)

        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(views, 5)
        column.addWidget(self.timeline)
        column.addLayout(doing)
        column.addLayout(reason)
        column.addWidget(self.problem)
        column.addLayout(done, 1)

    def _explain(self) -> None:
        """Set tool tips and placeholders."""
        self.back.setToolTip("one frame back (Left)")
        self.forth.setToolTip("one frame further (Right)")
        self.to_place.setToolTip(
            "span: from its start, or from here, to the frame before the next uncertain "
            "place of these animals"
        )
        self.to_end.setToolTip(
            "span: from its start, or from here, to the end of the run"
        )
        self.kind.setToolTip("correction of the poses in the span")
        self.animals.setToolTip("animals that are corrected")
        self.parts.setToolTip("body parts that are corrected")
        self.way.setToolTip("name that stays, and points that stay")
        self.why.setPlaceholderText("Reason")
        self.why.setToolTip("saved with the correction, with user and time")
        self.timeline.setToolTip("a click seeks; a drag with Shift marks a span")

    def _connect(self) -> None:
        self.images.opened.connect(self._show)
        self.images.failed.connect(self._fail)
        self.images.decoded.connect(self._take_image)
        self.corrector.corrected.connect(self._take_corrected)
        self.corrector.listed.connect(self._take_places)
        self.places.chosen.connect(self._show_place)
        self.places.checked.connect(self._check_place)
        self.places.next.clicked.connect(
            lambda: self.places.go_to_next(self._frame_here())
        )
        for key, button in (
            ("N", self.places.next),
            ("C", self.places.check),
            (Qt.Key.Key_Left, self.back),
            (Qt.Key.Key_Right, self.forth),
        ):
            # A click on a button does not move the focus, so it can be anywhere.
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.activated.connect(button.click)
        self.timeline.sought.connect(self.go_to)
        self.timeline.span_marked.connect(self._mark)
        self.back.clicked.connect(lambda: self._step(-1))
        self.forth.clicked.connect(lambda: self._step(1))
        self.first.clicked.connect(lambda: self._mark(self.time_s, None))
        self.last.clicked.connect(lambda: self._mark(None, self.time_s))
        self.to_end.clicked.connect(self._mark_to_end)
        self.to_place.clicked.connect(self._mark_to_place)
        self.kind.activated.connect(self._take_kind)
        self.animals.changed.connect(self._take_animals)
        self.way.activated.connect(self._preview)
        self.parts.changed.connect(self._preview)
        self.after.clicked.connect(self._set_position)
        self.apply.clicked.connect(self._apply)
        self.undo_it.clicked.connect(self._undo_chosen)
        self.list.currentRowChanged.connect(self._offer)

    def _read(self) -> None:
        """Read the run, unless it was already read."""
        if self._run is None or not self.isVisible():
            return
        if self._run == self._read_run:
            self._list()
            return
        self._read_run = self._run
        for view in (self.before, self.after):
            view.clear("Reading …")
        if not self.images.isRunning():
            self.images.start()
        self.images.open(self._run)

    def _show(self, run: Review) -> None:
        if run.folder.path != self._run:
            return
        if self._camera not in run.cameras:
            self._fail(f"no poses of camera {self._camera}")
            return
        self.review = run
        table = run.cameras[self._camera].poses
        self.animals.tick(table.animals[:2] if len(table.animals) == 2 else ())
        self.animals.offer(table.animals)
        self.animals.setVisible(len(table.animals) > 1)
        self.parts.offer(table.skeleton.bodyparts)
        for view, text in ((self.before, "recorded"), (self.after, "corrected")):
            view.camera = text
            view.threshold = run.folder.thresholds.of(self._camera)
        self.timeline.show_run(run.lanes, run.marks, run.end_s)
        self._list()
        self.go_to(run.time_of(self._camera, run.first_row(self._camera)))

    def _fail(self, why: str) -> None:
        for view in (self.before, self.after):
            view.clear(why)

    def _list(self) -> None:
        """List the valid corrections, and show their effect."""
        if self._run is None or self.review is None:
            return
        try:
            self._known = effective_entries(self._run, self._camera)
        except DeepLabStreamError as error:
            self._complain(str(error))
            self._known = {}
        self.list.clear()
        for number, correction in self._known.items():
            reason = f" ({correction.why})" if correction.why else ""
            item = QListWidgetItem(f"{number}: {correction}{reason}")
            signature = " ".join(filter(None, (correction.who, correction.when)))
            item.setToolTip(f"{item.text()}\n{signature}")
            self.list.addItem(item)
        self._preview()

    def _take_kind(self) -> None:
        self.position = None
        self._take_animals()

    def _take_animals(self) -> None:
        """Offer the ways to merge or split the ticked animals."""
        ways = _ways(_KINDS[self.kind.currentText()], self.animals.ticked)
        chosen = self.way.currentText()
        self.way.clear()
        for text, way in ways.items():
            self.way.addItem(text, way)
        self.way.setCurrentIndex(max(0, self.way.findText(chosen)))
        # the size hint is up to some px too small while the box is hidden
        self.way.setMinimumWidth(self.way.sizeHint().width() + 8 if ways else 0)
        self.way.setVisible(bool(ways))
        self._preview()

    def _draft(self) -> Correction | None:
        """Return the correction of the current fields; None: incomplete."""
        kind = _KINDS[self.kind.currentText()]
        if self._frames is None or (kind == "set" and self.position is None):
            return None
        way: _Way | None = self.way.currentData()
        animals, keep = (self.animals.ticked, "") if way is None else way
        return Correction(
            kind=kind,
            camera=self._camera,
            frames=self._frames,
            animals=animals,
            bodyparts=() if kind in OF_ANIMALS else self.parts.ticked,
            position=self.position if kind == "set" else None,
            keep=keep,
        )

    def _preview(self) -> None:
        """Compute the prepared correction in the background."""
        self._complain("")
        self._prepared = None
        self._offer()
        if self.review is None:
            return
        by = dict(self._known)
        try:
            draft = self._draft()
        except DeepLabStreamError as error:
            # that animals are still to be chosen is said beside the span
            if not self._lacks_animals:
                self._complain(str(error))
            draft = None
        if draft is not None:
            by[max(by, default=0) + 1] = draft
        self._by, self._drafted = by, draft
        self.corrector.correct(self.review.cameras[self._camera], by, self._known)

    def _take_corrected(self, by: object, found: object) -> None:
        if by is not self._by or self.review is None:
            return
        if isinstance(found, RecordedFrames):
            self._corrected, self._prepared = found, self._drafted
            self._offer()
            self.go_to(self.time_s)
        else:
            # the number that the prepared correction would get says nothing to the user
            own = f"correction {max(self._by, default=0)}: " if self._drafted else ""
            self._complain(str(found).removeprefix(own))

    def _take_places(self, frames: object, places: tuple[UncertainPlace, ...]) -> None:
        """List the uncertain places of these frames, if they are those that are shown."""
        run = self.review
        shown = None if run is None else run.cameras[self._camera]
        if frames is not shown:
            return
        self.places.show_places(places)
        if run is not None:
            self.timeline.show_lanes([*_lanes(places), *run.lanes])
        self._offer()

    def _check_place(self, place: UncertainPlace) -> None:
        """Mark a place as checked."""
        check = Correction(
            kind="check",
            camera=self._camera,
            frames=place.frames,
            animals=place.animals,
            reason=place.reason,
            why=self.why.text().strip(),
        )
        if self._append(check):
            self._undone.clear()
            self.why.clear()
            self.timeline.marked = self._frames = None
            self._preview()

    def _show_place(self, place: UncertainPlace) -> None:
        """Show a place, mark its span and choose its animals."""
        run = self.review
        if run is None:
            return
        numbers = run.cameras[self._camera].rows["frame"].to_numpy()
        last = int(np.searchsorted(numbers, place.frames[1]))
        self.animals.tick(place.animals)
        self._mark(place.start_s, run.time_of(self._camera, last))
        self.go_to(place.start_s)

    def _complain(self, why: str) -> None:
        self.problem.setText(why)
        self.problem.setVisible(bool(why))

    def _offer(self) -> None:
        """Enable the buttons, and show what is missing."""
        loaded = self.review is not None
        for widget in (self.back, self.forth, self.first, self.last, self.to_end):
            widget.setEnabled(loaded)
        self.to_place.setEnabled(loaded and bool(self.places.places))
        kind = _KINDS[self.kind.currentText()]
        missing = remark = ""
        if self._frames is None:
            missing = "Mark a span: From here, To here, or drag with Shift."
        elif kind == "set" and self.position is None:
            missing = "Click into the corrected frame where the point is."
        elif self._lacks_animals:
            missing = "Choose two animals."
        elif kind == "swap" and self._frames[0] != self._frames[1]:
            remark = "Ambiguous frames become known; Switch names keeps them."
        first, last = self._frames or (0, 0)
        span = f"frames {first} to {last}" if first != last else f"frame {first}"
        self.span_text.setText(
            f"{span}. {missing or remark}".strip() if self._frames else missing
        )
        self.parts.setEnabled(kind not in OF_ANIMALS)
        self.apply.setEnabled(self._prepared is not None and not missing)
        self.undo_it.setEnabled(self.list.currentRow() >= 0)

    @property
    def _lacks_animals(self) -> bool:
        """Whether two animals must be chosen first."""
        kind = _KINDS[self.kind.currentText()]
        return kind in OF_TWO and len(self.animals.ticked) != 2

    def _mark(self, start_s: float | None, end_s: float | None) -> None:
        """Mark a span; None: that end is not changed."""
        run = self.review
        if run is None:
            return
        before = self.timeline.marked or (self.time_s, self.time_s)
        start = before[0] if start_s is None else start_s
        end = before[1] if end_s is None else end_s
        if end < start:
            start = end = self.time_s
        rows = [run.row_at(self._camera, time_s) for time_s in (start, end)]
        numbers = run.cameras[self._camera].rows["frame"]
        self._frames = int(numbers.iat[rows[0]]), int(numbers.iat[rows[1]])
        times = [run.time_of(self._camera, row) for row in rows]
        self.timeline.marked = times[0], times[1]
        self.timeline.update()
        self._preview()

    def _mark_to_end(self) -> None:
        """Mark from the start of the span, or from here, to the end of the run."""
        if self.review is not None:
            self._mark(None, self.review.end_s)

    def _mark_to_place(self) -> None:
        """Mark from the start of the span, or from here, to before the next place."""
        run = self.review
        if run is None:
            return
        first = self._frames[0] if self._frames else self._frame_here()
        rows = run.cameras[self._camera]
        last = last_frame_before(
            self.places.places,
            rows.poses.frames[rows.analysed],
            first,
            self.animals.ticked,
        )
        if last is not None:
            row = int(np.searchsorted(rows.poses.frames, last))
            self._mark(None, run.time_of(self._camera, row))

    def _frame_here(self) -> int:
        """Return the number of the frame that is shown; -1: none is."""
        run = self.review
        if run is None:
            return -1
        row = run.row_at(self._camera, self.time_s)
        return int(run.cameras[self._camera].rows["frame"].iat[row])

    def _set_position(self, x: float, y: float) -> None:
        if _KINDS[self.kind.currentText()] == "set" and self.review is not None:
            self.position = x, y
            if self._frames is None:
                self._mark(self.time_s, self.time_s)
            self._preview()

    def _apply(self) -> None:
        """Add the prepared correction with its reason, and clear the span."""
        if self._prepared is None:
            return
        added = replace(self._prepared, why=self.why.text().strip())
        marked, self.timeline.marked = self.timeline.marked, None
        span, self._frames = self._frames, None
        if self._append(added):
            self.position = None
            self._undone.clear()
            self.why.clear()
        else:
            self._frames, self.timeline.marked = span, marked

    def _undo_chosen(self) -> None:
        number = list(self._known)[self.list.currentRow()]
        self._undo(number)

    def _undo(self, number: int) -> None:
        if added := self._append(Correction(kind="undo", undoes=number)):
            self._undone.append(added)

    def _append(self, correction: Correction) -> int:
        """Return the number of the entry; 0: it could not be added."""
        if self._run is None:
            return 0
        try:
            number = append_correction(self._run, signed(correction))
        except DeepLabStreamError as error:
            self._complain(str(error))
            return 0
        self._list()
        if correction.kind != "check":
            self.changed.emit()
        return number

    def _step(self, rows: int) -> None:
        run = self.review
        if run is None:
            return
        row = run.row_at(self._camera, self.time_s) + rows
        row = min(max(0, row), len(run.cameras[self._camera].rows) - 1)
        self.go_to(run.time_of(self._camera, row))

    def _take_image(self, key: tuple[str, int], image: Image | None) -> None:
        run = self.review
        if image is None or run is None:
            return
        # an image that was requested before a frame that was not recorded comes too late
        if key[1] == run.row_at(self._camera, self.time_s):
            self._show_frame(key[1], image)

    def _show_frame(self, row: int, image: Image, recorded: bool = True) -> None:
        """Show a frame with the recorded and the corrected pose."""
        run = self.review
        if run is None:
            return
        self.before.figures = self.after.figures = "" if recorded else "not recorded"
        frame = int(run.cameras[self._camera].rows["frame"].iat[row])
        self.before.show_image(image, frame, run.step_of(self._camera, row))
        if self._corrected is not None:
            cameras = {**run.cameras, self._camera: self._corrected}
            run = replace(run, cameras=cameras)
        self.after.show_image(image, frame, run.step_of(self._camera, row))

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        """Close the files of the run, so that they can be moved."""
        super().hideEvent(event)
        if self.review is not None:
            self.images.release()

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Read the run that was selected while the widget was hidden.

        A line for text outside must not keep the focus: it would take the keys.
        """
        super().showEvent(event)
        if isinstance(QApplication.focusWidget(), QLineEdit):
            self.setFocus()
        self._read()
