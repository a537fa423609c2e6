"""Busy sign: says what the window does, while it can't answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from PyQt5.QtCore import QDeadlineTimer, Qt, QThread
from PyQt5.QtWidgets import QApplication, QLabel, QWidget

_PATIENCE_MS = 200
"""Longest wait until the desktop shows the sign of the start."""


class BusySign(QLabel):
    """A line of text in the middle of a window, or of the screen without one."""

    def __init__(self, text: str, window: QWidget | None = None) -> None:
        super().__init__(text, window)
        self.setObjectName("busy")
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        if window is None:
            self.setWindowFlag(Qt.WindowType.SplashScreen)
        self.adjustSize()
        self._move_to_middle(window)

    def _move_to_middle(self, window: QWidget | None) -> None:
        if window is not None:
            area = window.rect()
        else:
            screen = QApplication.primaryScreen()
            if screen is None:
                return
            area = screen.availableGeometry()
        own = self.rect()
        own.moveCenter(area.center())
        self.move(own.topLeft())


@contextmanager
def busy(of: QWidget, text: str) -> Iterator[None]:
    """Show a busy sign in the window of a widget while the block runs in Qt's thread.

    For all work that can take over 0.3 s on a busy computer and can't leave that thread:
    imports, creation of pages, reading of files. In a block inside another one the first
    sign stays.
    """
    window = of.window()
    own = Qt.FindChildOption.FindDirectChildrenOnly
    if (
        window is None
        or not window.isVisible()
        or window.findChild(BusySign, options=own)
    ):
        yield
        return

    sign = BusySign(text, window)
    sign.show()
    sign.raise_()
    sign.repaint()  # now: no event is handled until the work is done
    try:
        yield
    finally:
        sign.setParent(None)
        sign.deleteLater()


@contextmanager
def starting(text: str) -> Iterator[None]:
    """Show a busy sign on the screen until the first window is shown."""
    sign = BusySign(text)
    sign.show()
    patience, handle = QDeadlineTimer(_PATIENCE_MS), sign.windowHandle()
    while handle and not (handle.isExposed() or patience.hasExpired()):
        QApplication.processEvents()  # the desktop shows a window late
        QThread.msleep(5)
    sign.repaint()
    try:
        yield
    finally:
        sign.close()
        sign.deleteLater()
