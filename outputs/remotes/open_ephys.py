"""HTTP server of Open Ephys' GUI: mode, and where it records."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from deeplabstream.plugin import DeviceError

PORT = 37497
"""EPHYS on a telephone's keys: the port of every GUI from version 0.6."""
_MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class OpenEphysServer:
    """A server that may answer; one connection for each request."""

    host: str
    port: int
    timeout_s: float

    @property
    def place(self) -> str:
        """Address, for messages."""
        return f"{self.host}:{self.port}"

    def mode(self) -> str:
        """Return what the GUI does: IDLE, ACQUIRE or RECORD."""
        return _mode(self.get("/api/status"))

    def set_mode(self, mode: str) -> str:
        """Ask for a mode, return the one that it has."""
        return _mode(self.put("/api/status", {"mode": mode}))

    def get(self, path: str) -> Mapping[str, Any]:
        """Return an answer; DeviceError: there is none, or it is none of Open Ephys."""
        return self._send_request("GET", path, None)

    def put(self, path: str, options: Mapping[str, str]) -> Mapping[str, Any]:
        """Send a change, return the answer."""
        return self._send_request("PUT", path, json.dumps(options).encode())

    def _send_request(
        self, method: str, path: str, body: bytes | None
    ) -> Mapping[str, Any]:
        link = HTTPConnection(self.host, self.port, timeout=self.timeout_s)
        try:
            link.request(method, path, body, {"Content-Type": "application/json"})
            answer = link.getresponse()
            text = answer.read(_MOST_BYTES).decode("utf-8", "replace")
        except (OSError, HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise DeviceError(
                f"no answer from {self.place} ({why}); is Open Ephys' GUI open, and its "
                "HTTP server enabled in its menu File?"
            ) from error
        finally:
            link.close()
        if answer.status != 200:
            raise DeviceError(
                f"{self.place} refused {path}: {answer.status} {text[:200]}"
            )
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise DeviceError(f"{self.place} does not answer as Open Ephys' GUI does")
        return found


def _mode(answer: Mapping[str, Any]) -> str:
    mode = answer.get("mode")
    if mode not in ("IDLE", "ACQUIRE", "RECORD"):
        raise DeviceError(f"Open Ephys answered with the unknown mode {mode!r:.80}")
    return str(mode)
