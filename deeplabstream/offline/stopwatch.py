"""How long the steps of some work take, added up."""

from threading import Lock

from deeplabstream.core.clock import SystemClock


class Stopwatch:
    """Adds up how long steps take; what `threads` do at the same time counts once."""

    def __init__(self, threads: int) -> None:
        self.seconds: dict[str, float] = {}
        self._threads = threads
        self._clock = SystemClock()
        self._lock = Lock()

    def add(self, name: str, start_ns: int) -> None:
        """Add the time since `start_ns` to a step's."""
        passed = (self._clock.now_ns() - start_ns) / 1e9 / self._threads
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + passed

    def now_ns(self) -> int:
        """Return the time that `add` counts from."""
        return self._clock.now_ns()
