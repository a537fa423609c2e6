"""Banners above all pages: alarms, and problems of the settings."""

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton

from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.widgets.buttons import StopButton


class AlarmBanner(QFrame):
    """Alarms of the session; each stays until the user acknowledges it."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("alarms")
        self._bridge = bridge
        self.words = QLabel()
        self.seen = QPushButton("Acknowledge")
        self.seen.clicked.connect(self._acknowledge)
        _arrange(self, self.words, self.seen)
        bridge.ticked.connect(self.show_alarms)
        self.show_alarms()

    def show_alarms(self) -> None:
        """Show the current alarms; hide the banner if there is none."""
        text = "\n".join(
            f"Alarm: {each.text}" for each in self._bridge.session.state.alarms
        )
        if text != self.words.text():
            self.words.setText(text)
        self.setVisible(bool(text))

    def _acknowledge(self) -> None:
        self._bridge.session.acknowledge()
        self.show_alarms()


class SettingsBanner(QFrame):
    """First problem of the settings, or a note that they need a restart."""

    restart_asked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.words = QLabel()
        self.restart = StopButton("Restart now")
        self.restart.clicked.connect(self.restart_asked)
        _arrange(self, self.words, self.restart)
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


def _arrange(banner: QFrame, words: QLabel, button: QPushButton) -> None:
    words.setObjectName("banner")
    words.setWordWrap(True)
    row = QHBoxLayout(banner)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(words, 1)
    row.addWidget(button)
