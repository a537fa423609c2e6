"""Interrupted run finder: looks in a thread for a last run that was interrupted and can go on."""

import threading
from pathlib import Path

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from deeplabstream.engine.session.earlier_run import interrupted_run
from deeplabstream.settings.sections import Settings

_POLL_MS = 20


class _Search(threading.Thread):
    """One search; a daemon, because a network drive may hang."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="interrupted run", daemon=True)
        self._settings = settings
        self.found: Path | None = None

    def run(self) -> None:
        """Read the last runs, which takes tens of milliseconds if they are long."""
        self.found = interrupted_run(self._settings)


class InterruptedRunFinder(QObject):
    """Looks for the interrupted run of a rig; of several requests the last one counts."""

    found = pyqtSignal(object)
    """Path of the run; None: the last run was not interrupted, or can't go on."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._search: _Search | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._check)

    @property
    def busy(self) -> bool:
        """Whether `found` is still to be emitted."""
        return self._search is not None

    def look(self, settings: Settings) -> None:
        """Start to look in OUTPUT_DIRECTORY of these settings."""
        self._search = _Search(settings)
        self._search.start()
        self._timer.start(_POLL_MS)

    def _check(self) -> None:
        search = self._search
        if search is not None and not search.is_alive():
            self._search = None
            self._timer.stop()
            self.found.emit(search.found)
