"""HTTP client for Open Ephys' GUI: mode and recording folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from deeplabstream.plugin import DeviceError

from .limits import MOST_BYTES, answer_within

PORT = 37497
"""Default port of the GUI's HTTP server, from version 0.6 on."""


@dataclass(frozen=True)
class OpenEphysServer:
    """Client of the server; it opens a connection for each request."""

    host: str
    port: int
    timeout_s: float

    @property
    def place(self) -> str:
        """Address, for messages."""
        return f"{self.host}:{self.port}"

    def mode(self) -> str:
        """Return the mode of the GUI: IDLE, ACQUIRE or RECORD."""
        return _mode(self.get("/api/status"))

    def set_mode(self, mode: str) -> str:
        """Request a mode; return the resulting one."""
        return _mode(self.put("/api/status", {"mode": mode}))

    def get(self, path: str) -> Mapping[str, Any]:
        """Return an answer; DeviceError: there is none, or another program has answered."""
        return self._send_request("GET", path, None)

    def put(self, path: str, options: Mapping[str, str]) -> Mapping[str, Any]:
        """Send a change, return the answer."""
        return self._send_request("PUT", path, json.dumps(options).encode())

    def _send_request(
        self, method: str, path: str, body: bytes | None
    ) -> Mapping[str, Any]:
        link = HTTPConnection(self.host, self.port, timeout=self.timeout_s)
        try:
            link.connect()
            with answer_within(link.sock, self.timeout_s):
                link.request(method, path, body, {"Content-Type": "application/json"})
                answer = link.getresponse()
                content = answer.read(MOST_BYTES + 1)
        except (OSError, HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise DeviceError(
                f"no answer from {self.place} ({why}); is Open Ephys' GUI open, and its "
                "HTTP server enabled in its menu File?"
            ) from error
        finally:
            link.close()
        if len(content) > MOST_BYTES:
            raise DeviceError(
                f"the answer of {self.place} is longer than {MOST_BYTES} bytes"
            )
        text = content.decode("utf-8", "replace")
        if answer.status != 200:
            raise DeviceError(
                f"{self.place} refused {path}: {answer.status} {text[:200]}"
            )
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise DeviceError(f"{self.place} does not answer as Open Ephys' GUI does")
        return found


def _mode(answer: Mapping[str, Any]) -> str:
    mode = answer.get("mode")
    if mode not in ("IDLE", "ACQUIRE", "RECORD"):
        raise DeviceError(f"Open Ephys answered with the unknown mode {mode!r:.80}")
    return str(mode)
