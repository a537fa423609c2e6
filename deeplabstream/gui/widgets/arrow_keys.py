"""Arrow keys: the step by which they move what is selected on a canvas."""

from PyQt5.QtCore import Qt
from PyQt5.QtGui import QKeyEvent

_DIRECTIONS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
SHIFTED = 10
"""Step with Shift."""


def arrow_step(event: QKeyEvent) -> tuple[int, int] | None:
    """Return the step to the right and down; None: another key was pressed."""
    direction = _DIRECTIONS.get(Qt.Key(event.key()))
    if direction is None:
        return None
    is_shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
    step = SHIFTED if is_shifted else 1
    return step * direction[0], step * direction[1]
