"""Qt application: the `QApplication`, its style, Ctrl-C, and reports of errors in slots."""

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import TracebackType

from PyQt5.QtCore import QPointF, QRectF, Qt, QTimer
from PyQt5.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QSessionManager
from PyQt5.QtWidgets import QApplication, QMessageBox, QWidget

from deeplabstream.engine.processes.termination import Termination, termination
from deeplabstream.gui.dialogs.dialog_input import run_dialog
from deeplabstream.gui.theme import BACKGROUND, BLUE, GREEN, choose, style_sheet
from deeplabstream.startup.qt_environment import free_qt_of_opencv

_MOST_PROBLEMS = 12


@cache  # PyQt deletes an application without a reference
def application() -> QApplication:
    """Return the application; the first call creates and styles it."""
    present = QApplication.instance()
    if isinstance(present, QApplication):
        return present
    free_qt_of_opencv()
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_EnableHighDpiScaling)
    if sys.platform == "win32":  # without it, 150 % is rounded to 200 %
        QApplication.setHighDpiScaleFactorRoundingPolicy(
            Qt.HighDpiScaleFactorRoundingPolicy.PassThrough
        )
    created = QApplication(["DeepLabStream"])
    created.setApplicationName("DeepLabStream")
    created.setStyle("Fusion")
    created.setStyleSheet(style_sheet(choose("dark")))
    created.setWindowIcon(_icon())
    return created


def use_palette(name: str) -> None:
    """Show all windows in the style of this name: `dark` or `light`.

    A new style sheet repaints every widget. The list of windows is not used: while PyQt
    converts it, the garbage collector may delete one of them.
    """
    application().setStyleSheet(style_sheet(choose(name)))


def run_until_closed(
    window: QWidget,
    report: Callable[[str], object] | None = None,
    end: Callable[[], object] | None = None,
    outputs_off: Callable[[], bool] | None = None,
) -> int:
    """Show `window` until it is closed; return the exit code.

    A signal closes the window by `end`. On Ctrl-Z, and after the computer has slept,
    `outputs_off` is called repeatedly until it returns True; then the process is suspended,
    or the window continues. Without `outputs_off`, the window is closed.

    Qt aborts the process at an error in a slot. Here the error closes the window and is
    raised. With `report`, it is reported once instead and the window stays open, so that a
    fault in the window does not end an experiment.
    """
    app = application()
    window.show()
    closed = _closed_by_signals(end or window.close, outputs_off)
    with closed as stop_request, _catching(window, report):
        return stop_request.exit_code(int(app.exec_()))


def show_problems(title: str, problems: Sequence[str]) -> None:
    """Show a window with these problems, and wait until it is closed."""
    application()
    box = QMessageBox(QMessageBox.Icon.Warning, "DeepLabStream", title)
    shown = list(problems[:_MOST_PROBLEMS])
    if more := len(problems) - len(shown):
        shown.append(f"… and {more} more, on the console.")
    box.setInformativeText("\n\n".join(shown))
    with _closed_by_signals(box.close):
        run_dialog(box)


@contextmanager
def _closed_by_signals(
    end: Callable[[], object], outputs_off: Callable[[], bool] | None = None
) -> Iterator[Termination]:
    ended = False

    def check_stop_request() -> None:
        nonlocal ended
        if not stop_request.requested or ended:
            return
        if stop_request.pauses and outputs_off is not None:
            if outputs_off():
                stop_request.pause()
            return
        ended = True
        end()

    def end_session(_: QSessionManager) -> None:
        stop_request.request_end("the desktop session ends")
        check_stop_request()  # the desktop waits for this function to return

    app = application()
    with termination() as stop_request:
        awake = QTimer()  # Python handles signals only while it executes code
        awake.timeout.connect(check_stop_request)
        awake.start(50)
        app.commitDataRequest.connect(end_session)
        try:
            yield stop_request
        finally:
            app.commitDataRequest.disconnect(end_session)
            awake.stop()


@contextmanager
def _catching(
    window: QWidget, report: Callable[[str], object] | None
) -> Iterator[None]:
    caught: list[BaseException] = []

    def hook(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if any(repr(error) == repr(other) for other in caught):
            return
        caught.append(error)
        if report is None:
            window.close()
        else:
            traceback.print_exception(kind, error, trace)
            report(f"Internal error (details in the console and the log): {error!r}")

    previous, sys.excepthook = sys.excepthook, hook
    try:
        yield
    finally:
        sys.excepthook = previous
    if caught and report is None:
        raise caught[0]


def _icon() -> QIcon:
    pixmap = QPixmap(64, 64)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(BACKGROUND))
    painter.drawRoundedRect(QRectF(0, 0, 64, 64), 14, 14)
    painter.setPen(QPen(QColor(GREEN), 4))
    painter.drawEllipse(QPointF(32, 32), 21, 21)
    painter.setPen(QPen(QColor(255, 255, 255), 3))
    painter.drawLine(QPointF(20, 42), QPointF(31, 31))
    painter.drawLine(QPointF(31, 31), QPointF(45, 23))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(BLUE))
    for x, y in ((20, 42), (31, 31), (45, 23)):
        painter.drawEllipse(QPointF(x, y), 5, 5)
    painter.end()
    return QIcon(pixmap)
