"""What another program does while this one is in the middle of a change."""

import threading
from collections.abc import Callable

import pytest

from deeplabstream.files import exclusive_writing


class Meanwhile:
    """An action in a thread of its own, which may have to wait for a lock of this one."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]
    ) -> None:
        self._act = act
        self._halted = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error: BaseException | None = None
        rest = exclusive_writing.rest

        def wait(seconds: float) -> None:
            self._halted.set()
            rest(seconds)

        monkeypatch.setattr(exclusive_writing, "PATIENCE_S", 600.0)
        monkeypatch.setattr(exclusive_writing, "rest", wait)

    def begin(self) -> None:
        """Begin, unless it has begun; return when it waits for a lock, or is done."""
        if self._thread.ident is None:
            self._thread.start()
            self._halted.wait()

    def end(self) -> None:
        """Wait until it is done; raise its error."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._act()
        except BaseException as error:
            self._error = error
        finally:
            self._halted.set()
