"""What is painted above the pictures, as a person chose it; remembered."""

from PyQt5.QtCore import QObject, QSettings, pyqtSignal

CHOICES = {
    "trails": "Trails",
    "states": "Answers and gate in the picture",
}
"""By name: what the menu calls it."""


class Painted(QObject):
    """Says of each choice whether it is on; `memory` is where that is remembered."""

    changed = pyqtSignal()

    def __init__(self, memory: QSettings | None = None) -> None:
        super().__init__()
        self._memory = memory
        self._on = {name: self._recalled(name) for name in CHOICES}

    def shows(self, name: str) -> bool:
        """Return whether it is painted."""
        return self._on[name]

    def choose(self, name: str, on: bool) -> None:
        """Paint it from now on, or no longer."""
        self._on[name] = on
        if self._memory is not None:
            self._memory.setValue(f"painted/{name}", on)
        self.changed.emit()

    def _recalled(self, name: str) -> bool:
        if self._memory is None:
            return True
        # an INI file has words, the registry has numbers
        return str(self._memory.value(f"painted/{name}", True)).casefold() in (
            "true",
            "1",
        )
