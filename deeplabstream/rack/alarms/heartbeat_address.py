"""Heartbeat address: called once a minute, so that its service notices a silence."""

import threading
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException

INTERVAL_NS = 60_000_000_000
UNANSWERED = OSError, ValueError, HTTPException
"""Errors of a call; a text of the last two may have the address, which is a secret."""
_TIMEOUT_S = 20.0


def call_address(address: str) -> None:
    """Call a web address; `UNANSWERED`: it does not answer, or refuses."""
    with urllib.request.urlopen(address, timeout=_TIMEOUT_S):
        pass


class HeartbeatAddress:
    """Calls an address in a thread of its own; an address that hangs delays nothing."""

    def __init__(self, call: Callable[[], object] | None) -> None:
        """`call`: calls the address; None: there is none."""
        self._call = call
        self._thread: threading.Thread | None = None
        self._called_ns: int | None = None

    def beat(self, now_ns: int, well: bool) -> None:
        """Call the address if all is well and a minute has passed since the last call."""
        due = self._called_ns is None or now_ns - self._called_ns >= INTERVAL_NS
        if self._call is None or not well or not due:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        self._called_ns = now_ns
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(*UNANSWERED):  # its service notices that it was not called
            if self._call is not None:
                self._call()
