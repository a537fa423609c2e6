"""Video view: the image of one camera with its overlay and the states of triggers."""

from collections.abc import Collection, Mapping, Sequence
from time import perf_counter_ns

import numpy as np
from PyQt5.QtCore import QPointF, QRectF, QSize, Qt
from PyQt5.QtGui import QColor, QImage, QPainter, QPaintEvent, QRegion, QResizeEvent
from PyQt5.QtWidgets import QGridLayout, QSizePolicy, QWidget
from PyQt5.sip import voidptr

from deeplabstream.core.frame import Image, eight_bits
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import is_rejected
from deeplabstream.engine.trigger_shapes import TriggerShape
from deeplabstream.gui.theme import AMBER, BLUE, GREEN, GREY, RED, TEXT, palette
from deeplabstream.gui.widgets.frame_overlay import (
    Fit,
    Reprojection,
    SpaceOutline,
    Trail,
    draw_outlines,
    draw_pose,
    draw_reprojection,
    draw_state,
    draw_tag,
    draw_zones,
    fit,
    tag_plate,
    tag_width,
)

_MOST_LINES = 7
_LINE_HEIGHT = 24.0
_STATES = {True: ("true", GREEN), False: ("false", BLUE), None: ("unknown", GREY)}
_PREFIX = "[Trigger "
StateLine = tuple[str, str]
"""Text and colour of a line."""
_MARGIN = 8  # px


def lines_of(step: Step, drawn: Collection[str] = ()) -> list[StateLine]:
    """Return states of triggers and rejected points of a frame.

    Triggers in `drawn` are left out, as the colour of their zone shows the state, unless
    the state is held.
    """
    found: list[StateLine] = []
    for name, answer in step.answers.items():
        held = f"{_PREFIX}{name}]" in step.flags
        if name in drawn and not held:
            continue
        text, colour = _STATES[answer]
        found.append((f"{name}: {text}{', held' if held else ''}", colour))
    found += _tracking_lines(step)
    if (more := len(found) - _MOST_LINES) > 0:
        found = [*found[: _MOST_LINES - 1], (f"and {more + 1} more", GREY)]
    return found


def _tracking_lines(step: Step) -> list[StateLine]:
    """Return lines on points that [Tracking] has rejected, held or predicted."""
    points = {
        name: flag for name, flag in step.flags.items() if not name.startswith("[")
    }
    rejected = {
        name: "jump" if "jump" in flag else "bone"
        for name, flag in points.items()
        if is_rejected(flag)
    }
    held = [name for name, flag in points.items() if "held" in flag]
    found: list[StateLine] = []
    if rejected:
        text = _names_text([f"{name} ({why})" for name, why in rejected.items()])
        found.append((f"rejected: {text}", RED))
    if held:
        found.append((f"held: {_names_text(held)}", AMBER))
    if any("predicted" in flag for flag in points.values()):
        found.append(("points are predicted", GREY))
    return found


def _names_text(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def draw_lines(painter: QPainter, image: QRectF, lines: Sequence[StateLine]) -> None:
    """Write lines into the lower left corner of the image, the last one lowest."""
    for place, (text, colour) in enumerate(reversed(lines)):
        bottom = image.bottom() - 10 - place * _LINE_HEIGHT
        draw_tag(painter, QPointF(image.left() + 10, bottom), text, QColor(colour))


def to_qimage(image: Image) -> QImage:
    """Return a copy of an image in the format that Qt paints fastest."""
    pixels = np.ascontiguousarray(eight_bits(image))
    height, width = pixels.shape[:2]
    grey, colour = QImage.Format.Format_Grayscale8, QImage.Format.Format_BGR888
    kind = grey if pixels.ndim == 2 else colour
    data = voidptr(pixels.ctypes.data)
    view = QImage(data, width, height, pixels.strides[0], kind)
    return view.convertToFormat(QImage.Format.Format_RGB32)


class VideoView(QWidget):
    """Shows the images of a camera, with zones, pose and trigger states over them."""

    def __init__(self, camera: str, zones: Sequence[TriggerShape] = ()) -> None:
        super().__init__()
        self.camera = camera
        self.zones: tuple[TriggerShape, ...] = ()
        self.show_zones(zones)
        self.threshold = 0.0
        self.levels: Mapping[str, float] = {}
        """Levels of the outputs, by output."""
        self.figures = ""
        """Text beside the frame number: rate and losses of the camera."""
        self.empty_text = "No stream"
        self.paint_ns = 0
        """Duration of the last painting, ns."""
        self.painted = 0
        """Number of different images painted so far."""
        self._new = False
        self.trail: Trail | None = None
        """Trail to paint; None: trails are switched off."""
        self.states = False
        """Whether states of triggers and rejected points are written into the image."""
        self.reprojects = True
        """Whether the pose in space is painted too, where there is one."""
        self.reprojection: Reprojection | None = None
        """The pose in space at the time of the image; None: there is none."""
        self.space_outlines: Sequence[SpaceOutline] = ()
        """What the camera sees of the triggers in space."""
        self.space_answers: Mapping[str, bool | None] | None = None
        """States of the triggers in space; None: they are not evaluated."""
        self.chosen_outline = ""
        """Trigger whose outline is amber; empty: none."""
        self._image: QImage | None = None
        self._index: int | None = None
        self._step: Step | None = None
        self._corner_button: QWidget | None = None
        self.setMinimumSize(240, 180)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def show_zones(self, zones: Sequence[TriggerShape]) -> None:
        """Draw the zones of this camera from now on."""
        self.zones = tuple(zone for zone in zones if zone.camera == self.camera)
        self.update()

    def hold(self, button: QWidget) -> None:
        """Show a button in the lower right corner of the image."""
        self._corner_button = button
        button.setParent(self)
        self._place_button()

    def _place_button(self) -> None:
        """Move the button into the corner of the image."""
        if self._corner_button is None:
            return
        right, bottom = float(self.width()), float(self.height())
        place = self.place
        if place is not None and self._image is not None:
            right = place.left + self._image.width() * place.scale
            bottom = place.top + self._image.height() * place.scale
        size = self._corner_button.sizeHint()
        self._corner_button.setGeometry(
            round(right) - size.width() - _MARGIN,
            round(bottom) - size.height() - _MARGIN,
            size.width(),
            size.height(),
        )

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Keep the button in its corner."""
        super().resizeEvent(event)
        self._place_button()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of an image of 640×480."""
        return QSize(640, 480)

    def show_image(self, image: Image, index: int | None, step: Step | None) -> None:
        """Show an image; `step` is the step of exactly this frame; None: none.

        `index` is the number of the frame; None: an image without a number.
        """
        before, self._image = self._image, to_qimage(image)
        if before is None or before.size() != self._image.size():
            self._place_button()
        self._index, self._step, self._new = index, step, True
        self.reprojection = None
        self.update()

    @property
    def step(self) -> Step | None:
        """Step of the shown frame; None: none."""
        return self._step

    def show_reprojection(self, found: Reprojection | None) -> None:
        """Show the pose in space at the time of the shown image, until the next image."""
        self.reprojection = found
        self.update()

    def grey(self) -> Image | None:
        """Return the shown image in grey levels; None: there is none."""
        if self._image is None:
            return None
        image = self._image.convertToFormat(QImage.Format.Format_Grayscale8)
        bits = image.constBits()
        if bits is None:
            return None
        rows = np.frombuffer(bits.asstring(image.sizeInBytes()), np.uint8)
        rows = rows.reshape(image.height(), image.bytesPerLine())
        return rows[:, : image.width()].copy()

    def clear(self, text: str) -> None:
        """Show a message instead of an image."""
        self.empty_text = text
        self._image = self._index = self._step = self.reprojection = None
        self._place_button()
        self.figures = ""
        if self.trail is not None:
            self.trail.clear()
        self.update()

    @property
    def place(self) -> Fit | None:
        """Scale and position of the image; None: no image."""
        if self._image is None:
            return None
        return fit(self._image.width(), self._image.height(), QRectF(self.rect()))

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the image and its overlay."""
        start_ns = perf_counter_ns()
        painter = QPainter(self)
        place = self.place
        try:
            if self._image is None or place is None:
                self._paint_message(painter)
            else:
                self._paint_image(painter, self._image, place)
                painter.setClipping(False)
                self.paint_above(painter, place)
        finally:  # Qt warns about a painter that is not ended
            painter.end()

        self.painted += self._new
        self._new = False
        self.paint_ns = perf_counter_ns() - start_ns

    def paint_above(self, painter: QPainter, place: Fit) -> None:
        """Paint more above the image, not clipped to it; for subclasses."""

    def _paint_message(self, painter: QPainter) -> None:
        colours = palette()
        painter.fillRect(self.rect(), QColor(colours.background))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(colours.line))
        painter.setBrush(QColor(colours.panel))
        painter.drawRoundedRect(
            QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8
        )
        painter.setPen(QColor(colours.faint))
        text = f"{self.camera}\n{self.empty_text}"
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(self.rect(), int(flags), text)

    def _paint_image(self, painter: QPainter, image: QImage, place: Fit) -> None:
        width, height = image.width() * place.scale, image.height() * place.scale
        area = QRectF(place.left, place.top, width, height)

        # The widget is opaque: Qt does not clear it. Only the part outside of the image is
        # filled, with 1 px overlap, as the edges of the image may lie between pixels.
        inside = area.toAlignedRect().adjusted(1, 1, -1, -1)
        for rect in QRegion(self.rect()).subtracted(QRegion(inside)).rects():
            painter.fillRect(rect, QColor(palette().background))

        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(area, image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(area)

        # Zones first, the state of the session last: it must not be hidden.
        step, corner = self._step, QPointF(place.left + 10, place.top + 30)
        header = self._header(painter, area)
        plates = draw_zones(painter, place, self.zones, step.answers if step else None)
        answers, chosen = self.space_answers, self.chosen_outline
        draw_outlines(painter, place, self.space_outlines, answers, chosen)
        if step is not None:
            if self.trail is not None:
                self.trail.draw(painter, place)
            plates.append(tag_plate(painter, corner, header))
            draw_pose(painter, place, step, self.threshold, plates)
            if self.reprojects and self.reprojection is not None:
                draw_reprojection(painter, place, self.reprojection)
            if self.states:
                drawn = {zone.trigger for zone in self.zones}
                draw_lines(painter, area, lines_of(step, drawn))
        draw_state(painter, area, step, self.levels)
        draw_tag(painter, corner, header, QColor(TEXT))

    def _header(self, painter: QPainter, area: QRectF) -> str:
        """Return the text in the corner of the image: camera, frame and figures."""
        frame = "" if self._index is None else f"frame {self._index}  "
        text = f"{self.camera}  {frame}{self.figures}".rstrip()
        if self.reprojects and self.reprojection is not None:
            longer = f"{text}  {self.reprojection.caption}"
            if tag_width(painter, longer) <= area.width() - 20:
                text = longer
        return text


class VideoGrid(QWidget):
    """The views of all cameras, then `more`, in a grid that is as square as possible."""

    def __init__(
        self,
        cameras: Sequence[str],
        zones: Sequence[TriggerShape] = (),
        more: Sequence[QWidget] = (),
    ) -> None:
        super().__init__()
        self.views = {camera: VideoView(camera, zones) for camera in cameras}
        tiles = [*self.views.values(), *more]
        columns = int(np.ceil(np.sqrt(max(len(tiles), 1))))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(8)
        for number, view in enumerate(tiles):
            grid.addWidget(view, number // columns, number % columns)

    def clear(self, text: str) -> None:
        """Show a message instead of images."""
        for view in self.views.values():
            view.clear(text)
