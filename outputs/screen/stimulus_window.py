"""Process of the stimulus window; only this folder and the GUI use Qt.

Qt is imported in the functions: discovery of the outputs must not load it.
"""

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from deeplabstream.plugin import Connection, DeviceError

from .canvas import Canvas
from .output import Screen

if TYPE_CHECKING:
    from PyQt5.QtGui import QPixmap, QScreen
    from PyQt5.QtWidgets import QLabel

APPEARING_S = 2.0


def show(settings: Screen, pipe: Connection) -> None:
    """Show a window until it or the other end of `pipe` is closed.

    It receives levels, and sends (level, time in ns of the end of painting) for each. The
    first message reports that the window is shown, or why it is not.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
        # Qt plug-ins of OpenCV, with which PyQt5 aborts
        if "cv2" in os.environ.get(name, ""):
            del os.environ[name]
    if not _has_screen():
        pipe.send("there is no screen to show its window on")
        return
    try:
        from PyQt5.QtWidgets import QApplication
    except ImportError as error:
        pipe.send(f"needs PyQt5 ({error})")
        return
    app = QApplication([])
    screens = app.screens()
    if settings.monitor >= len(screens):
        pipe.send(
            f"MONITOR = {settings.monitor}: this computer has {len(screens)}, numbered from 0"
        )
        return
    monitor = screens[settings.monitor]
    window = _window(settings, monitor)
    try:
        canvas = Canvas(settings, window)
    except DeviceError as error:
        pipe.send(str(error))
        return
    window.setPixmap(canvas.off)
    if settings.full_screen:
        window.showFullScreen()
    else:
        window.show()
    give_up_s = time.perf_counter() + APPEARING_S
    while not _exposed(window) and time.perf_counter() < give_up_s:
        app.processEvents()
        time.sleep(0.001)
    _follow(pipe, window, canvas)
    canvas.close()


def _exposed(window: "QLabel") -> bool:
    handle = window.windowHandle()
    return handle is not None and handle.isExposed()


def _has_screen() -> bool:
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(map(os.environ.get, names))


def _window(settings: Screen, monitor: "QScreen") -> "QLabel":
    from PyQt5.QtCore import Qt
    from PyQt5.QtWidgets import QLabel

    window = QLabel()
    window.setWindowTitle("Stimulus")
    window.setStyleSheet(f"background-color: {settings.background}")
    window.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint)
    window.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
    area = monitor.geometry()
    if settings.full_screen:
        window.setWindowFlag(Qt.WindowType.FramelessWindowHint)
        window.setCursor(Qt.CursorShape.BlankCursor)
        window.setGeometry(area)
    else:
        window.setFixedSize(*settings.size)
        window.move(area.topLeft())
    return window


def _follow(pipe: Connection, window: "QLabel", canvas: Canvas) -> None:
    """Apply requested levels until the pipe is closed."""
    from PyQt5.QtCore import QCoreApplication, QObject, Qt, QTimer, pyqtSignal

    class Orders(QObject):
        """Passes messages from a thread to the thread that paints."""

        level = pyqtSignal(float)
        over = pyqtSignal()

    began_s: float | None = None

    def listen() -> None:
        try:
            while True:
                orders.level.emit(pipe.recv())
        except (EOFError, OSError):
            orders.over.emit()

    def show_now(image: "QPixmap") -> None:
        window.setPixmap(image)
        window.repaint()

    def paint(level: float) -> None:
        nonlocal began_s
        if level == 0:
            began_s = None
            show_now(canvas.off)
        elif began_s is None:
            began_s = time.perf_counter()
            show_now(canvas.on)
        try:
            pipe.send((level, time.perf_counter_ns()))
        except OSError:
            return  # `listen` detects it too
        go_on()

    def go_on() -> None:
        """Show the next image of the video when it is due, in a loop."""
        video = canvas.video
        if video is None:
            return
        if began_s is None:
            timer.stop()
            video.rewind()
            return
        time_s = time.perf_counter() - began_s
        if (image := video.image(time_s)) is not None:
            show_now(canvas.drawn(image))
        timer.start(max(0, round(1e3 * (video.due_s - time_s))))

    def leave() -> None:
        show_now(canvas.off)
        QCoreApplication.quit()

    timer = QTimer()
    timer.setSingleShot(True)
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(go_on)
    orders = Orders()
    orders.level.connect(paint)
    orders.over.connect(leave)
    threading.Thread(target=listen, name="orders", daemon=True).start()
    paint(0.0)
    QCoreApplication.exec_()
    timer.stop()
