"""Finds text that does not fit where it stands, on every page of the window, by QFontMetrics.

    python -m tests.gui.uncut        prints each, as style, page, kind of widget and text

`QT_SCALE_FACTOR=2` in the environment does it for a screen of twice as many pixels.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PyQt5.QtCore import QPoint, QRect, QSize, Qt
from PyQt5.QtGui import QFontMetrics, QTextDocument
from PyQt5.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QRadioButton,
    QSlider,
    QSpinBox,
    QStyle,
    QStyleOptionButton,
    QStyleOptionComboBox,
    QStyleOptionFrame,
    QTabBar,
    QTableWidget,
    QWidget,
)

from deeplabstream.gui.application import application, use_palette
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.rack_window import RackWindow
from deeplabstream.gui.theme import PALETTES
from deeplabstream.gui.widgets.elided_text import Elided
from tests.gui.every_page import pages

ROOT = Path(__file__).resolve().parents[2]
SIZES = ((960, 720), (1280, 720), (1366, 768))
"""Half a screen, and small screens; the last one is that of the pages as they are made."""
_FONT = Qt.ItemDataRole.FontRole
_SHOWN = Qt.TextFlag.TextShowMnemonic


def cut_texts(top: QWidget) -> Iterator[str]:
    """Yield what is cut in `top` and what it holds, as far as it is visible."""
    for widget in [top, *top.findChildren(QWidget)]:
        if not widget.isVisible():
            continue
        for text, needed, room in _texts(widget):
            if needed.width() > room.width() or needed.height() > room.height():
                kind = type(widget).__name__
                yield f"{kind} {_size(needed)} in {_size(room)}: {text!r}"
        if isinstance(widget, QLabel | QAbstractButton | QComboBox | QLineEdit):
            seen = _seen(widget)
            if not seen.contains(widget.rect()):
                name = getattr(widget, "text", widget.objectName)()
                yield f"{type(widget).__name__} hidden in part: {name!r}"


def unexplained(top: QWidget) -> Iterator[str]:
    """Yield the fields that no tooltip explains, neither their own nor their parent's."""
    for kind in (QLineEdit, QComboBox, QAbstractSpinBox, QSlider):
        for field in top.findChildren(kind):
            parents = [field, field.parentWidget()]
            if field.isVisible() and not any(
                each is not None and each.toolTip() for each in parents
            ):
                yield f"{type(field).__name__} {field.objectName()} has no tooltip"


def nested_scroll_bars(top: QWidget) -> Iterator[str]:
    """Yield the scrolled areas in `top` that are inside another one."""
    for area in top.findChildren(QAbstractScrollArea):
        if not _scrolls(area):
            continue
        parent = area.parentWidget()
        while parent is not None:
            if isinstance(parent, QAbstractScrollArea) and _scrolls(parent):
                yield f"{type(area).__name__} scrolls inside another one"
            parent = parent.parentWidget()


def _scrolls(area: QAbstractScrollArea) -> bool:
    bars = area.verticalScrollBar(), area.horizontalScrollBar()
    return any(bar is not None and bar.isVisible() for bar in bars)


def _resized(top: QWidget, size: tuple[int, int]) -> Iterator[str]:
    """Give a window a size, and yield it if the window can't be so small."""
    if isinstance(top, MainWindow | RackWindow):
        top.resize(*size)
    for _ in range(3):
        QApplication.processEvents()
    if isinstance(top, MainWindow | RackWindow) and top.size() != QSize(*size):
        yield f"the window is {_size(top.size())}"


def _size(size: QSize) -> str:
    return f"{size.width()}x{size.height()}"


def _seen(widget: QWidget) -> QRect:
    """Return the part of a widget that its parents let be seen, scrolled or not."""
    seen, at, parent, scrolled = widget.rect(), QPoint(0, 0), widget, False
    while parent.parentWidget() is not None and not parent.isWindow():
        at += parent.pos()
        above = parent.parentWidget()
        assert above is not None
        scrolled |= isinstance(above.parentWidget(), QAbstractScrollArea)
        inside = above.rect().translated(-at)
        if scrolled:  # up and down it can be scrolled to
            inside.setTop(seen.top())
            inside.setBottom(seen.bottom())
        seen = seen.intersected(inside)
        parent = above
    return seen


def _texts(widget: QWidget) -> Iterator[tuple[str, QSize, QSize]]:
    """Yield texts of a widget with the room that each needs and has."""
    metrics = widget.fontMetrics()
    if isinstance(widget, Elided):
        return  # says all when it is pointed at
    if isinstance(widget, QLabel):
        if widget.text():
            yield widget.text(), _needed(widget), widget.contentsRect().size()
    elif isinstance(widget, QPushButton | QCheckBox | QRadioButton):
        option = QStyleOptionButton()
        _fill(widget, option)
        element = {
            QPushButton: QStyle.SubElement.SE_PushButtonContents,
            QCheckBox: QStyle.SubElement.SE_CheckBoxContents,
            QRadioButton: QStyle.SubElement.SE_RadioButtonContents,
        }[
            next(
                k
                for k in (QPushButton, QCheckBox, QRadioButton)
                if isinstance(widget, k)
            )
        ]
        room = widget.style().subElementRect(element, option, widget)
        yield widget.text(), metrics.size(_SHOWN, widget.text()), room.size()
    elif isinstance(widget, QComboBox):
        box = QStyleOptionComboBox()
        _fill(widget, box)
        field = QStyle.SubControl.SC_ComboBoxEditField
        kind = QStyle.ComplexControl.CC_ComboBox
        room = widget.style().subControlRect(kind, box, field, widget)
        if widget.currentText() not in widget.toolTip():
            text = widget.currentText()
            yield text, metrics.size(_SHOWN, text), room.size()
    elif isinstance(widget, QLineEdit):
        frame = QStyleOptionFrame()
        _fill(widget, frame)
        element = QStyle.SubElement.SE_LineEditContents
        room = widget.style().subElementRect(element, frame, widget)
        # What a person wrote can be scrolled; what we wrote must fit.
        text = "" if widget.text() else widget.placeholderText()
        if widget.parent() is not None and isinstance(widget.parent(), QSpinBox):
            text = widget.text()
        yield text, QSize(metrics.horizontalAdvance(text), 1), room.size()
    elif isinstance(widget, QTabBar):
        for tab in range(widget.count()):
            text = widget.tabText(tab)
            yield text, metrics.size(_SHOWN, text), widget.tabRect(tab).size()
    elif isinstance(widget, QHeaderView):
        yield from _headers(widget)
    elif isinstance(widget, QTableWidget):
        yield from _cells(widget)
    elif isinstance(widget, QListWidget):
        width = widget.viewport().width()
        for row in range(widget.count()):
            item = widget.item(row)
            own = QFontMetrics(item.font()) if item.data(_FONT) else metrics
            needed = own.size(_SHOWN, item.text()) + QSize(12, 0)
            if item.text().split()[-1] not in item.toolTip():
                yield item.text(), QSize(needed.width(), 0), QSize(width, 0)


def _fill(widget: Any, option: Any) -> None:
    """Say how a widget looks; one that Qt made keeps how it looks to itself."""
    try:
        widget.initStyleOption(option)
    except RuntimeError:
        option.initFrom(widget)


def _needed(label: QLabel) -> QSize:
    if (
        Qt.mightBeRichText(label.text())
        and label.textFormat() != Qt.TextFormat.PlainText
    ):
        page = QTextDocument()
        page.setDefaultFont(label.font())
        page.setDocumentMargin(0)
        page.setHtml(label.text())
        if label.wordWrap():
            page.setTextWidth(label.contentsRect().width())
        return page.size().toSize()
    metrics, room = label.fontMetrics(), label.contentsRect()
    if not label.wordWrap():
        return metrics.size(0, label.text())
    whole = QRect(0, 0, room.width(), 100_000)
    wrap = int(Qt.TextFlag.TextWordWrap)
    return metrics.boundingRect(whole, wrap, label.text()).size()


def _headers(header: QHeaderView) -> Iterator[tuple[str, QSize, QSize]]:
    model, across = header.model(), header.orientation() == Qt.Orientation.Horizontal
    for section in range(header.count()):
        if header.isSectionHidden(section):
            continue
        text = str(model.headerData(section, header.orientation()) or "")
        needed = header.fontMetrics().size(0, text) + QSize(12, 0)
        width = header.sectionSize(section) if across else header.width()
        height = header.height() if across else header.sectionSize(section)
        yield text, needed, QSize(width, height)


def _cells(table: QTableWidget) -> Iterator[tuple[str, QSize, QSize]]:
    for row in range(table.rowCount()):
        for column in range(table.columnCount()):
            item = table.item(row, column)
            if item is None or item.text() in item.toolTip():
                continue
            needed = table.fontMetrics().size(0, item.text()) + QSize(6, 0)
            room = QSize(table.columnWidth(column), table.rowHeight(row))
            yield item.text(), needed, room


def found() -> list[str]:
    """Return all texts that are cut, fields without a tooltip, and nested scroll bars.

    In both styles and all sizes of the window.
    """
    told = []
    for style in PALETTES:
        use_palette(style)
        with TemporaryDirectory() as folder:
            for name, top in pages(Path(folder)):
                for size in (
                    SIZES if isinstance(top, MainWindow | RackWindow) else ((0, 0),)
                ):
                    faults = [*_resized(top, size), *cut_texts(top), *unexplained(top)]
                    if name.startswith("Live"):
                        faults += nested_scroll_bars(top)
                    where = f"{style}, {size[0]}x{size[1]}, {name}"
                    told += [f"{where}: {text}" for text in faults]
    use_palette("dark")
    return list(dict.fromkeys(told))


if __name__ == "__main__":
    application()
    cut = found()
    ratio = application().devicePixelRatio()
    cut.append(f"{len(cut)} cut at {ratio:g} device pixels a pixel")
    sys.stdout.write("\n".join(cut) + "\n")
    sys.exit(len(cut) > 1)
