"""Banners above all pages: alarms, and problems of the settings.

They lie over the free part of the menu bar, so that nothing below moves when one appears.
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
from deeplabstream.gui.widgets.buttons import StopButton

_GAP = 8  # px
_PADDING = 10  # px, as in the style sheet
HEIGHT = 37  # px: the menu bar and the margin of a page below it
_APPEARING = (QEvent.Type.ShowToParent, QEvent.Type.HideToParent)


class _TwoLines(QLabel):
    """A sentence in two lines at most; the tooltip has all of a longer one."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = ""
        self.setWordWrap(True)

    def text(self) -> str:
        """Return all of it, shown or not."""
        return self._whole

    def setText(self, text: str | None) -> None:  # noqa: N802
        """Show another sentence."""
        if text != self._whole:
            self._whole = text or ""
            self.setToolTip(self._whole)
            self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Show as much as fits now."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        metrics, inside = self.fontMetrics(), self.contentsRect()
        room = QRect(0, 0, inside.width(), 100_000)
        most = 2 * metrics.height()
        wrap, shown, words = int(Qt.TextFlag.TextWordWrap), self._whole, self._whole
        while metrics.boundingRect(room, wrap, shown).height() > most and words:
            words = words.rpartition(" ")[0]
            shown = f"{words} …"
        if shown != super().text():
            super().setText(shown)


class _Banner(QFrame):
    """A sentence, and what can be done about it."""

    def __init__(self, button: StopButton, kind: str) -> None:
        super().__init__()
        self.words, self.button = _TwoLines(), button
        self.words.setObjectName(kind)
        self.button.setObjectName("tile")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(_GAP)
        row.addWidget(self.words, 1)
        row.addWidget(self.button)

    @property
    def whole_width(self) -> int:
        """The width at which the sentence is one line."""
        self.words.ensurePolished()
        hint, hidden = self.button.sizeHint().width(), self.button.isHidden()
        width = self.words.fontMetrics().horizontalAdvance(self.words.text())
        return width + (0 if hidden else hint + _GAP) + 2 * (_PADDING + _GAP)


class AlarmBanner(_Banner):
    """Alarms of the session; each stays until the user acknowledges it."""

    raised = pyqtSignal()
    """There is an alarm that was not there before."""

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
        texts = [each.text for each in self._bridge.session.state.alarms]
        count = f"{len(texts)} alarms, the newest:" if len(texts) > 1 else "Alarm:"
        self.words.setText(f"{count} {texts[-1]}" if texts else "")
        self.words.setToolTip("\n".join(texts))
        self.setVisible(bool(texts))
        known, self._shown = self._shown, frozenset(texts)
        if self._shown - known:
            self.raised.emit()

    @property
    def sounding(self) -> bool:
        """Whether there is an alarm that nobody has acknowledged."""
        return bool(self._shown)

    def _acknowledge(self) -> None:
        self._bridge.session.acknowledge()
        self.show_alarms()


class SettingsBanner(_Banner):
    """First problem of the settings, or a note that they need a restart."""

    restart_asked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__(StopButton("Restart now"), "notice")
        self.restart = self.button
        self.restart.clicked.connect(self.restart_asked)
        self.show_text("")

    def show_text(self, text: str) -> None:
        """Show a sentence without a button; an empty one hides the banner."""
        self.words.setText(text)
        self.restart.hide()
        self.setVisible(bool(text))

    def offer_restart(self, text: str, busy: str) -> None:
        """Show a sentence with a restart button; `busy` says why it is disabled."""
        self.show_text(text)
        self.restart.setEnabled(not busy)
        self.restart.setToolTip(busy or "stops the stream and starts it again")
        self.restart.show()

    def text(self) -> str:
        """Return the sentence."""
        return self.words.text()


class BannerOverlay(QFrame):
    """Holds the banners above a window, beside its menus; no page is moved by them."""

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
        """Follow the size of the window, and banners that appear or vanish."""
        kinds = QEvent.Type
        of_window = watched is self._window
        told = (kinds.Resize, kinds.Show) if of_window else _APPEARING
        if event is not None and event.type() in told:
            self.settle()
        return super().eventFilter(watched, event)

    def event(self, event: QEvent | None) -> bool:
        """Follow the banners: one may need more lines."""
        done = super().event(event)
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.settle()
        return done

    def settle(self) -> None:
        """Lie right of the menus, as wide as the longest sentence needs."""
        shown = [each for each in self._banners if not each.isHidden()]
        self.setVisible(bool(shown))
        if not shown:
            return
        left, bar = _GAP, self._window.menuBar()
        if bar is not None and bar.isVisible() and not bar.isNativeMenuBar():
            last = bar.actions()[-1]
            left = bar.mapTo(self._window, bar.actionGeometry(last).bottomRight()).x()
        room = self._window.width() - left - 2 * _GAP
        wanted = sum(banner.whole_width for banner in shown)
        width = min(room, wanted)
        self.setGeometry(self._window.width() - _GAP - width, 0, width, HEIGHT)
        self.raise_()
