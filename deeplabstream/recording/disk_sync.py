"""Disk synchronisation: fsync of files twice a second, against data loss in power cuts."""

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

SYNC_S = 0.5
"""Period of synchronisation."""


class Syncable(Protocol):
    """An object with open files."""

    def sync(self) -> None:
        """Write all data to the disk (fsync); OSError when that fails."""


class DiskSync:
    """Synchronises in its own thread, because a disk may be slow.

    `failed` is called from the thread with the error that ended it.
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
        """Stop; later errors are ignored."""
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
