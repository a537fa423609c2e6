"""Dialog input: a dialog takes all input of the program, except STOP and Esc.

Qt's own modality also blocks the STOP button and the shortcut Esc of the main window.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PyQt5.QtCore import QEvent, QEventLoop, QObject, QPoint, Qt, QTimer
from PyQt5.QtGui import QKeyEvent, QKeySequence, QMouseEvent, QShortcutEvent, QWindow
from PyQt5.QtWidgets import QAbstractButton, QApplication, QDialog, QWidget

_KEYS = {
    QEvent.Type.KeyPress,
    QEvent.Type.KeyRelease,
    QEvent.Type.ShortcutOverride,
    QEvent.Type.InputMethod,
}
_POINTER = {
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseButtonRelease,
    QEvent.Type.MouseButtonDblClick,
    QEvent.Type.Wheel,
    QEvent.Type.ContextMenu,
    QEvent.Type.TabletPress,
    QEvent.Type.TouchBegin,
}
_DRAGS = {QEvent.Type.DragEnter, QEvent.Type.DragMove, QEvent.Type.Drop}
_BLOCKED = _KEYS | _POINTER | _DRAGS
_ESCAPE = QKeySequence(Qt.Key.Key_Escape)
_USABLE = "usable_beside_dialogs"
POPUPS_MS = 50
"""Interval of the search for an open menu, shorter than any way of the mouse to STOP."""
_dialogs: list[QDialog] = []
"""Open dialogs that take all input; the last one is in front."""


def run_dialog(dialog: QDialog) -> int:
    """Show a dialog until it is closed, as `exec_` does, and return its result.

    Other windows take no input meanwhile, except the button STOP and the key Esc.
    """
    dialog.setModal(False)  # message boxes are modal
    loop = QEventLoop()
    dialog.finished.connect(loop.quit)
    dialog.destroyed.connect(loop.quit)
    destroyed: list[bool] = []
    dialog.destroyed.connect(lambda: destroyed.append(True))
    with _in_front(dialog):
        dialog.show()
        dialog.activateWindow()
        loop.exec_()
    return int(QDialog.DialogCode.Rejected) if destroyed else dialog.result()


def keep_usable(button: QAbstractButton) -> None:
    """Let a button be clicked while a dialog or a menu is open."""
    button.setProperty(_USABLE, True)


def dialog_in_front() -> QDialog | None:
    """Return the open dialog that takes all input; None: there is none."""
    return _dialogs[-1] if _dialogs else None


@contextmanager
def _in_front(dialog: QDialog) -> Iterator[None]:
    app, block = QApplication.instance(), _InputBlock(dialog)
    assert app is not None  # noqa: S101
    app.installEventFilter(block)
    _dialogs.append(dialog)
    try:
        yield
    finally:
        _dialogs.remove(dialog)
        app.removeEventFilter(block)


class _InputBlock(QObject):
    """Discards the input of all windows other than a dialog and the dialogs that it opened."""

    def __init__(self, dialog: QDialog) -> None:
        super().__init__()
        self._dialog = dialog

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Discard an event, unless it is for the dialog or for STOP."""
        if watched is None or event is None or dialog_in_front() is not self._dialog:
            return False
        kind = event.type()
        if kind == QEvent.Type.Shortcut:
            escape = isinstance(event, QShortcutEvent) and event.key() == _ESCAPE
            return not escape and not self._owns(watched)
        if kind == QEvent.Type.Close:
            blocked = event.spontaneous() and isinstance(watched, QWidget)
        else:
            blocked = kind in _BLOCKED and isinstance(watched, QWidget)
        if not blocked or self._owns(watched):
            return False
        if watched.property(_USABLE):
            return False
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            return False

        event.ignore()
        if kind == QEvent.Type.MouseButtonPress:
            self._dialog.raise_()
            self._dialog.activateWindow()
        return True

    def _owns(self, watched: QObject) -> bool:
        """Return whether an object is in the dialog, or in a window that it opened."""
        owner: QObject | None = watched
        while owner is not None and owner is not self._dialog:
            owner = owner.parent() or _completed_field(owner)
        return owner is not None


def _completed_field(window: QObject) -> QWidget | None:
    """Return the field whose completions a list shows; None: it is another window.

    Qt gives that list no parent, only the field as focus proxy.
    """
    if isinstance(window, QWidget) and window.windowType() == Qt.WindowType.Popup:
        return window.focusProxy()
    return None


class StopInput(QObject):
    """Calls `stop` for Esc, and for a click on STOP beside an open menu.

    Menus, lists of choices and edited cells take Esc themselves, so that a shortcut does
    not see it. Events are seen where they enter a window, before any of its widgets.
    `needed` returns whether Esc must stop now: something is on.
    """

    def __init__(
        self,
        parent: QWidget,
        needed: Callable[[], bool],
        stop: Callable[[], object],
    ) -> None:
        super().__init__(parent)
        self._needed = needed
        self._stop = stop
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusWindowChanged.connect(self._watch)
        # Qt emits no signal when a menu opens; where it gets the clicks but not the keys,
        # the window with the focus stays the same.
        self._popups = QTimer(self)
        self._popups.timeout.connect(self._watch_popup)
        self._popups.start(POPUPS_MS)

    def watch(self, window: QWindow | None) -> None:
        """Watch the input of a window; a window with the focus is watched anyway."""
        if window is not None:
            window.installEventFilter(self)

    def _watch(self, window: QWindow | None) -> None:
        self.watch(window)
        self._watch_popup()

    def _watch_popup(self) -> None:
        """Watch the open menu: on some platforms it gets the keys itself."""
        popup = QApplication.activePopupWidget()
        self.watch(popup.windowHandle() if popup is not None else None)

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Take Esc while something is on, and a click on STOP beside an open menu."""
        if isinstance(event, QKeyEvent):
            return self._take_key(event)
        if isinstance(event, QMouseEvent) and QApplication.activePopupWidget():
            return self._take_click(event)
        return False

    def _take_key(self, event: QKeyEvent) -> bool:
        pressed = event.type() in (QEvent.Type.KeyPress, QEvent.Type.ShortcutOverride)
        if not pressed or event.key() != Qt.Key.Key_Escape or not self._needed():
            return False
        event.accept()  # no shortcut is tried: the key press follows
        if event.type() == QEvent.Type.KeyPress:
            self._stop()
            _close_popups()
        return True

    def _take_click(self, event: QMouseEvent) -> bool:
        button = _stop_at(event.globalPos())
        if event.type() != QEvent.Type.MouseButtonPress or button is None:
            return False
        button.click()
        _close_popups()
        return True


def _stop_at(place: QPoint) -> QAbstractButton | None:
    """Return the STOP button at a place of the screen; None: there is none."""
    widget = QApplication.widgetAt(place)
    usable = isinstance(widget, QAbstractButton) and widget.property(_USABLE)
    return widget if usable else None


def _close_popups() -> None:
    while (popup := QApplication.activePopupWidget()) is not None:
        popup.close()
        if QApplication.activePopupWidget() is popup:
            return
