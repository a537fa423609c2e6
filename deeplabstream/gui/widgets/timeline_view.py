"""Timeline: lanes of triggers, outputs and marks, of a run or a running session."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from PyQt5.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt5.QtGui import (
    QColor,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PyQt5.QtWidgets import QSizePolicy, QWidget

from deeplabstream.core.command import Mark
from deeplabstream.core.journal_entries import Edge, Step
from deeplabstream.gui.theme import palette
from deeplabstream.recording.run_review import Lane, StateSpan

LaneKind: TypeAlias = Literal["trigger", "output"]
MEMORY_S = 120.0
"""Time span that is kept, s."""
_ROW = 18
_TOP = 20
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class LiveLanes:
    """Lanes of triggers and outputs of a running session; times in s since stream start."""

    def __init__(self, triggers: Iterable[str], outputs: Iterable[str]) -> None:
        self._spans: dict[tuple[LaneKind, str], deque[StateSpan]] = {}
        for name in triggers:
            self._spans["trigger", name] = deque()
        for name in outputs:
            self._spans["output", name] = deque()
        self.marks: deque[tuple[float, str]] = deque()
        self.now_s = 0.0

    def clear(self) -> None:
        """Delete all data, for a new stream."""
        for spans in self._spans.values():
            spans.clear()
        self.marks.clear()
        self.now_s = 0.0

    def step(self, step: Step, start_ns: int) -> None:
        """Add trigger states and marks of a frame."""
        time_s = (step.exposed_ns - start_ns) / 1e9
        self.now_s = max(self.now_s, time_s)
        for name, answer in step.answers.items():
            value = None if answer is None else float(answer)
            self._change("trigger", name, time_s, value)
        for command in step.commands:
            if isinstance(command, Mark):
                self.marks.append((time_s, command.text))
        while self.marks and self.marks[0][0] < self.now_s - MEMORY_S:
            self.marks.popleft()

    def edge(self, edge: Edge, start_ns: int) -> None:
        """Add a change of an output."""
        time_s = (edge.written_ns - start_ns) / 1e9
        self._change("output", edge.output, time_s, edge.level)

    @property
    def lanes(self) -> list[Lane]:
        """Lanes of all triggers, then all outputs; current states end now."""
        found = []
        for (kind, name), spans in self._spans.items():
            ended = list(spans)
            if ended:
                last = ended[-1]
                until_s = max(self.now_s, last.start_s)
                ended[-1] = StateSpan(last.start_s, until_s, last.value)
            found.append(Lane(name, kind, ended))
        return found

    def _change(
        self, kind: LaneKind, name: str, time_s: float, value: float | None
    ) -> None:
        spans = self._spans.get((kind, name))
        if spans is None or (spans and spans[-1].value == value):
            return
        if spans:
            last = spans[-1]
            spans[-1] = StateSpan(last.start_s, max(time_s, last.start_s), last.value)
        spans.append(StateSpan(time_s, time_s, value))
        while len(spans) > 1 and spans[0].end_s < self.now_s - MEMORY_S:
            spans.popleft()


class TimelineView(QWidget):
    """Lanes of states over time; the wheel zooms around the mouse."""

    sought = pyqtSignal(float)
    """Time of a click, s since stream start."""
    span_marked = pyqtSignal(float, float)
    """Start and end of a span dragged with Shift, s since stream start."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: Sequence[Lane] = ()
        self.marks: Sequence[tuple[float, str]] = ()
        self.now_s = 0.0
        self._end_s = 1.0
        self._from_s, self._until_s = 0.0, 1.0
        self._names = 0
        self.marked: tuple[float, float] | None = None
        """Start and end of the shaded span, s."""
        self._marked_from_s: float | None = None
        self.setMinimumHeight(_TOP + 3 * _ROW)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setMouseTracking(True)

    def show_run(
        self, lanes: Sequence[Lane], marks: Sequence[tuple[float, str]], end_s: float
    ) -> None:
        """Show a whole run."""
        self.marks = marks
        self._end_s = max(end_s, 0.1)
        self._from_s, self._until_s = 0.0, self._end_s
        self.show_lanes(lanes)

    def show_lanes(self, lanes: Sequence[Lane]) -> None:
        """Show other lanes of the same run; the shown part of the time stays."""
        self.lanes = lanes
        metrics = QFontMetrics(self.font())
        widths = [metrics.horizontalAdvance(lane.name) for lane in lanes]
        self._names = min(max([*widths, 40]) + 14, 180)
        self.updateGeometry()
        self.update()

    def show_last(
        self,
        lanes: Sequence[Lane],
        marks: Sequence[tuple[float, str]],
        now_s: float,
        seconds: float,
    ) -> None:
        """Show the last seconds of a running session."""
        grown = len(lanes) != len(self.lanes)
        if grown:
            self.show_run(lanes, marks, now_s)
        self.lanes, self.marks, self.now_s = lanes, marks, now_s
        self._end_s = max(now_s, seconds)
        self._from_s, self._until_s = self._end_s - seconds, self._end_s
        self.update()

    def go_to(self, time_s: float) -> None:
        """Move the cursor; scroll if it is outside of the shown part."""
        self.now_s = time_s
        length = self._until_s - self._from_s
        if not self._from_s <= time_s <= self._until_s:
            self._from_s = min(max(0.0, time_s - length / 10), self._end_s - length)
            self._until_s = self._from_s + length
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size for up to 10 lanes."""
        return QSize(600, _TOP + _ROW * min(len(self.lanes) + 1, 10) + 6)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Go to the time of the click; with Shift, start to mark a span."""
        shift = Qt.KeyboardModifier.ShiftModifier
        if event is not None and event.modifiers() & shift:
            self._marked_from_s = self._time(event.x() - self._names)
        self._seek(event)

    def mouseReleaseEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802
        """End the span."""
        self._marked_from_s = None

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Go to the time of a drag; without a button, show marks as tooltip."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._seek(event)
        elif event is not None:
            near = self._time(5) - self._time(0)
            at = self._time(event.x() - self._names)
            names = [text for time_s, text in self.marks if abs(time_s - at) <= near]
            self.setToolTip(", ".join(names[:4]))

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Zoom in or out, around the mouse."""
        if event is None:
            return
        centre = self._time(event.position().x() - self._names)
        factor = 0.8 if event.angleDelta().y() > 0 else 1.25
        length = min((self._until_s - self._from_s) * factor, self._end_s)
        length = max(length, min(0.5, self._end_s))
        share = (centre - self._from_s) / (self._until_s - self._from_s)
        self._from_s = min(max(0.0, centre - share * length), self._end_s - length)
        self._until_s = self._from_s + length
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the lanes, the marks, the seconds and the cursor."""
        painter = QPainter(self)
        colours = palette()
        painter.fillRect(self.rect(), QColor(colours.panel))
        self._paint_seconds(painter)
        self._paint_marked(painter)
        for row, lane in enumerate(self.lanes):
            top = _TOP + row * _ROW
            painter.setPen(QColor(colours.faint))
            name = QRectF(8, top, self._names - 12, _ROW)
            shown = painter.fontMetrics().elidedText(
                lane.name, Qt.TextElideMode.ElideRight, int(name.width())
            )
            painter.drawText(name, Qt.AlignmentFlag.AlignVCenter, shown)
            self._paint_lane(painter, lane, top)
        painter.setPen(QPen(QColor(colours.blue), 1))
        for time_s, _text in self.marks:
            x = self._x(time_s)
            if self._names <= x <= self.width():
                painter.drawLine(QPointF(x, _TOP - 6), QPointF(x, _TOP - 1))
        x = self._x(self.now_s)
        if x >= self._names:
            painter.setPen(QPen(QColor(colours.text), 1.5))
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        painter.end()

    def _paint_marked(self, painter: QPainter) -> None:
        """Shade the marked span."""
        if self.marked is None:
            return
        left, right = (self._x(time_s) for time_s in self.marked)
        left = max(left, float(self._names))
        if right >= left:
            shade = QColor(palette().blue)
            shade.setAlpha(90)
            width = max(right - left, 2.0)
            painter.fillRect(QRectF(left, 0, width, self.height()), shade)

    def _paint_lane(self, painter: QPainter, lane: Lane, top: int) -> None:
        colours = palette()
        painter.setPen(Qt.PenStyle.NoPen)
        full = colours.green if lane.kind == "trigger" else colours.amber
        for span in lane.spans:
            left = max(self._x(span.start_s), float(self._names))
            width = self._x(span.end_s) - left
            if width <= 0 or left > self.width() or span.value == 0:
                continue
            if span.value is None:
                painter.setBrush(QColor(colours.line))
                painter.drawRect(QRectF(left, top + 8, width, 2))
            else:
                painter.setBrush(QColor(full))
                height = 10 * min(1.0, span.value)
                painter.drawRect(QRectF(left, top + 14 - height, max(width, 1), height))

    def _paint_seconds(self, painter: QPainter) -> None:
        colours = palette()
        room = max(1, self.width() - self._names)
        length = self._until_s - self._from_s
        step = next((s for s in _STEPS if s * room / length >= 70), _STEPS[-1])
        tick = int(self._from_s / step) * step
        while tick <= self._until_s:
            x = self._x(tick)
            if x >= self._names:
                painter.setPen(QColor(colours.line))
                painter.drawLine(QPointF(x, _TOP - 4), QPointF(x, self.height()))
                painter.setPen(QColor(colours.faint))
                painter.drawText(QPointF(x + 3, 11), f"{tick:g} s")
            tick += step

    def _seek(self, event: QMouseEvent | None) -> None:
        if event is not None:
            time_s = self._time(event.x() - self._names)
            if (start_s := self._marked_from_s) is not None:
                self.span_marked.emit(min(start_s, time_s), max(start_s, time_s))
            self.sought.emit(min(max(0.0, time_s), self._end_s))

    def _x(self, time_s: float) -> float:
        room = self.width() - self._names - 6
        share = (time_s - self._from_s) / (self._until_s - self._from_s)
        return self._names + share * room

    def _time(self, x: float) -> float:
        room = max(1, self.width() - self._names - 6)
        return self._from_s + x / room * (self._until_s - self._from_s)
