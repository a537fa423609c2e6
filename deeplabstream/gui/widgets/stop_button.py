"""Stop button: ends something, and only a click of the mouse presses it."""

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QPushButton


class StopButton(QPushButton):
    """Never takes the focus, so that neither Space nor Enter presses it by accident."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAutoDefault(False)  # Enter presses such a button in a dialog
