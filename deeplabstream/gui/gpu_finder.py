"""GPU finder: looks for GPUs to train on, without blocking the window."""

import threading
from collections.abc import Callable

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from deeplabstream.doctor.collection import TrainingGpus, training_gpus

_EVERY_MS = 100


class GpuFinder(QObject):
    """Runs a probe in a daemon thread: a driver may hang."""

    found = pyqtSignal(object)
    """TrainingGpus."""

    def __init__(
        self, parent: QObject, probe: Callable[[], TrainingGpus] = training_gpus
    ) -> None:
        super().__init__(parent)
        self.gpus: TrainingGpus | None = None
        """Result of the probe; None: it has not ended."""
        self._probe = probe
        self._thread: threading.Thread | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._check)

    def start(self) -> None:
        """Start the probe, on the first call."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
            self._timer.start(_EVERY_MS)

    def _run(self) -> None:
        self.gpus = self._probe()

    def _check(self) -> None:
        if self.gpus is not None:
            self._timer.stop()
            self.found.emit(self.gpus)
