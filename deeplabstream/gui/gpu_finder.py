"""GPU finder: looks for GPUs to train on, without keeping the window waiting."""

import threading
from collections.abc import Callable

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from deeplabstream.doctor.collection import TrainingGpus, training_gpus

_EVERY_MS = 100


class GpuFinder(QObject):
    """Runs a probe in a thread, which may be left behind when a driver hangs."""

    found = pyqtSignal(object)
    """TrainingGpus."""

    def __init__(
        self, parent: QObject, probe: Callable[[], TrainingGpus] = training_gpus
    ) -> None:
        super().__init__(parent)
        self.gpus: TrainingGpus | None = None
        """What was found; None: nothing yet."""
        self._probe = probe
        self._thread: threading.Thread | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)

    def start(self) -> None:
        """Begin to look, the first time that it is called."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
            self._timer.start(_EVERY_MS)

    def _run(self) -> None:
        self.gpus = self._probe()

    def _look(self) -> None:
        if self.gpus is not None:
            self._timer.stop()
            self.found.emit(self.gpus)
