"""How often a window's tiles are painted, and how long a person's input waits for it."""

import random
import threading
import time
from typing import Any

from PyQt5.QtCore import QCoreApplication, QEvent, QObject

from deeplabstream.gui.main_window import MainWindow

_EVERY_S = 0.004, 0.020
"""Between two inputs, at random: none falls always into the same part of a tick."""
_KIND = QEvent.Type(QEvent.registerEventType())


class Input(QEvent):
    """Something that a person did; it knows when."""

    def __init__(self) -> None:
        super().__init__(_KIND)
        self.at_ns = time.perf_counter_ns()


class WindowWatch(QObject):
    """Counts, from `begin` to `end`. The inputs come from a thread, as a system's do."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__()
        self._views = window.live.display.grid.views
        self._waits_ns: list[int] = []
        self._painted: dict[str, int] = {}
        self._began_ns = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._put_in, daemon=True)

    def begin(self) -> None:
        """Count from now on."""
        self._painted = {name: view.painted for name, view in self._views.items()}
        self._began_ns = time.perf_counter_ns()
        self._thread.start()

    def end(self) -> dict[str, Any]:
        """Return images painted a second in each tile, and waits in ms."""
        self._over.set()
        self._thread.join()
        seconds = (time.perf_counter_ns() - self._began_ns) / 1e9
        return {
            "painted_per_s": {
                name: (view.painted - self._painted[name]) / seconds
                for name, view in self._views.items()
            },
            "input_waits_ms": [wait / 1e6 for wait in self._waits_ns],
        }

    def event(self, event: QEvent | None) -> bool:
        """Note how long an input had to wait."""
        if isinstance(event, Input):
            self._waits_ns.append(time.perf_counter_ns() - event.at_ns)
            return True
        return super().event(event)

    def _put_in(self) -> None:
        chance = random.Random(1)
        while not self._over.wait(chance.uniform(*_EVERY_S)):
            QCoreApplication.postEvent(self, Input())
