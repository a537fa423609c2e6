"""A button that plays pictures for as long as it is down."""

from PyQt5.QtCore import QTimer, pyqtSignal
from PyQt5.QtWidgets import QPushButton

TICK_MS = 33


class PlayButton(QPushButton):
    """Says when the next picture is due."""

    due = pyqtSignal()

    def __init__(self) -> None:
        super().__init__("Play")
        self.setCheckable(True)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.due)
        self.toggled.connect(self._play)

    def stop(self) -> None:
        """Let go of it."""
        self.setChecked(False)

    def _play(self, playing: bool) -> None:
        self.setText("Pause" if playing else "Play")
        if playing:
            self._timer.start(TICK_MS)
        else:
            self._timer.stop()
