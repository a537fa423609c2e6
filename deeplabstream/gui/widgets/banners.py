"""Banners above all pages: alarms, and problems of the settings.

They cover the free part of the menu bar, so that pages do not move when one appears.
"""

from PyQt5.QtCore import QEvent, QObject, QRect, Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
)

from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.widgets.stop_button import StopButton

_GAP = 8  # px
_PADDING = 10  # px, as in the style sheet
HEIGHT = 37  # px: the menu bar and the margin of a page below it
_APPEARING = (QEvent.Type.ShowToParent, QEvent.Type.HideToParent)


class _TwoLines(QLabel):
    """A text of at most two lines; the tooltip has the whole text."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = ""
        self.setWordWrap(True)

    def text(self) -> str:
        """Return the whole text."""
        return self._whole

    def setText(self, text: str | None) -> None:  # noqa: N802
        """Set the text."""
        if text != self._whole:
            self._whole = text or ""
            self.setToolTip(self._whole)
            self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit the text to the new size."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        metrics, inside = self.fontMetrics(), self.contentsRect()
        room = QRect(0, 0, inside.width(), 100_000)
        most = 2 * metrics.height()
        wrap, shown, kept = int(Qt.TextFlag.TextWordWrap), self._whole, self._whole
        while metrics.boundingRect(room, wrap, shown).height() > most and kept:
            kept = kept.rpartition(" ")[0]
            shown = f"{kept} …"
        if shown != super().text():
            super().setText(shown)


class _Banner(QFrame):
    """A message and a button."""

    def __init__(self, button: StopButton, kind: str) -> None:
        super().__init__()
        self.message, self.button = _TwoLines(), button
        self.message.setObjectName(kind)
        self.button.setObjectName("tile")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(_GAP)
        row.addWidget(self.message, 1)
        row.addWidget(self.button)

    @property
    def whole_width(self) -> int:
        """The width at which the message fits into one line."""
        self.message.ensurePolished()
        hint, hidden = self.button.sizeHint().width(), self.button.isHidden()
        width = self.message.fontMetrics().horizontalAdvance(self.message.text())
        return width + (0 if hidden else hint + _GAP) + 2 * (_PADDING + _GAP)


class AlarmBanner(_Banner):
    """Alarms of the session, until the user acknowledges them."""

    raised = pyqtSignal()
    """A new alarm was raised."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(StopButton("Acknowledge"), "alarm")
        self.setObjectName("alarms")
        self._bridge = bridge
        self._shown: frozenset[str] = frozenset()
        self.seen = self.button
        self.seen.clicked.connect(self._acknowledge)
        bridge.ticked.connect(self.show_alarms)
        self.show_alarms()

    def show_alarms(self) -> None:
        """Show the current alarms; hide the banner if there is none."""
        texts = [alarm.text for alarm in self._bridge.session.state.alarms]
        count = f"{len(texts)} alarms, the newest:" if len(texts) > 1 else "Alarm:"
        self.message.setText(f"{count} {texts[-1]}" if texts else "")
        self.message.setToolTip("\n".join(texts))
        self.setVisible(bool(texts))
        known, self._shown = self._shown, frozenset(texts)
        if self._shown - known:
            self.raised.emit()

    @property
    def sounding(self) -> bool:
        """Whether there is an unacknowledged alarm."""
        return bool(self._shown)

    def _acknowledge(self) -> None:
        self._bridge.session.acknowledge()
        self.show_alarms()


class SettingsBanner(_Banner):
    """First problem of the settings, or a note that changes need a restart."""

    restart_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__(StopButton("Restart now"), "notice")
        self.restart = self.button
        self.restart.clicked.connect(self.restart_requested)
        self.show_text("")

    def show_text(self, text: str) -> None:
        """Show a message without a button; an empty one hides the banner."""
        self.message.setText(text)
        self.restart.hide()
        self.setVisible(bool(text))

    def offer_restart(self, text: str, busy: str) -> None:
        """Show a message with a restart button; `busy`: why it is disabled; empty: enabled."""
        self.show_text(text)
        self.restart.setEnabled(not busy)
        self.restart.setToolTip(busy or "stops the stream and starts it again")
        self.restart.show()

    def text(self) -> str:
        """Return the message."""
        return self.message.text()


class BannerOverlay(QFrame):
    """Contains the banners, over the menu bar of a window."""

    def __init__(self, window: QMainWindow, *banners: _Banner) -> None:
        super().__init__(window)
        self.setObjectName("clear")
        self._window, self._banners = window, banners
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 1, 0, 0)
        row.setSpacing(_GAP)
        for banner in banners:
            row.addWidget(banner, 1)
        for watched in (window, *banners):
            watched.installEventFilter(self)
        self.settle()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Update the geometry with the window's size and the visible banners."""
        kinds = QEvent.Type
        of_window = watched is self._window
        handled = (kinds.Resize, kinds.Show) if of_window else _APPEARING
        if event is not None and event.type() in handled:
            self.settle()
        return super().eventFilter(watched, event)

    def event(self, event: QEvent | None) -> bool:
        """Update the geometry when a message needs more lines."""
        done = super().event(event)
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.settle()
        return done

    def settle(self) -> None:
        """Place the banners right of the menus, as wide as their messages need."""
        shown = [banner for banner in self._banners if not banner.isHidden()]
        self.setVisible(bool(shown))
        if not shown:
            return
        left, bar = _GAP, self._window.menuBar()
        if bar is not None and bar.isVisible() and not bar.isNativeMenuBar():
            last = bar.actions()[-1]
            left = bar.mapTo(self._window, bar.actionGeometry(last).bottomRight()).x()
        room = self._window.width() - left - 2 * _GAP
        needed = sum(banner.whole_width for banner in shown)
        width = min(room, needed)
        self.setGeometry(self._window.width() - _GAP - width, 0, width, HEIGHT)
        self.raise_()
