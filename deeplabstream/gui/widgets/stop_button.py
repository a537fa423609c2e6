"""Stop button: a button that no key presses."""

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QPushButton


class StopButton(QPushButton):
    """Button that never takes the focus, so that Space and Enter can't press it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAutoDefault(False)  # in a dialog, Enter would press it
