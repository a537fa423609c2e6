"""Twice a second the disk itself is made to take what was written: for power cuts."""

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

SYNC_S = 0.5
"""Seconds between two times."""


class Syncable(Protocol):
    """Something with files."""

    def sync(self) -> None:
        """Have the disk itself take everything; OSError when it does not."""


class DiskSync:
    """Syncs in a thread of its own, because a disk may take its time.

    `failed` is called, from the thread, with the error that ended it.
    """

    def __init__(
        self,
        files: Callable[[], Iterable[Syncable]],
        failed: Callable[[OSError], None],
    ) -> None:
        self._files, self._failed = files, failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sync, name="sync", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; an error that comes now is nobody's business any more."""
        self._stop.set()
        self._thread.join()

    def _sync(self) -> None:
        while not self._stop.wait(SYNC_S):
            try:
                for file in self._files():
                    file.sync()
            except OSError as error:
                if not self._stop.is_set():
                    self._failed(error)
                return
