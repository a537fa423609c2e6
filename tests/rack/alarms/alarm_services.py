"""Services that receive alarms, on this computer: an HTTP server and an SMTP server."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter

from deeplabstream.core.clock import rest

GIVE_UP_S = 60.0


def wait(reached: Callable[[], bool], told: Callable[[], object] = str) -> None:
    """Wait until something is reached; fail after a minute."""
    give_up_s = perf_counter() + GIVE_UP_S
    while not reached():
        assert perf_counter() < give_up_s, told()
        rest(0.02)


@dataclass
class Service:
    """What a service has received."""

    port: int = 0
    texts: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """Paths that were called with GET."""
    refuses: bool = False
    hangs: threading.Event = field(default_factory=threading.Event)
    """Set: it answers; its HTTP requests wait for that."""

    def wait_for(self, part: str) -> None:
        wait(lambda: any(part in text for text in self.texts), lambda: self.texts)


@contextmanager
def http_service() -> Iterator[Service]:
    """Serve the JSON notifications of apprise, and calls of a heartbeat."""
    service = Service()
    service.hangs.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.hangs.wait()
            if service.refuses:
                self.send_error(500)
                return
            service.texts.append(json.loads(body)["message"])
            self._accept()

        def do_GET(self) -> None:
            service.calls.append(self.path)
            self._accept()

        def _accept(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *values: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        service.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield service
        finally:
            service.hangs.set()
            server.shutdown()


@contextmanager
def smtp_service() -> Iterator[Service]:
    """Receive e-mails."""
    service = Service()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 sink\r\n")
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    service.texts.append(self._mail())
                elif word == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                self.wfile.write(b"250 ok\r\n")

        def _mail(self) -> str:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line)
            return b"".join(lines).decode()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        service.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield service
        finally:
            server.shutdown()


def address_file(folder: Path, *lines: str) -> Path:
    """Write a file of addresses that only its user can read."""
    file = folder / "addresses.txt"
    file.write_text("\n".join(lines))
    file.chmod(0o600)
    return file


def json_address(service: Service) -> str:
    return f"json://127.0.0.1:{service.port}/"


def mail_address(service: Service) -> str:
    host = f"127.0.0.1:{service.port}"
    return f"mailto://{host}/?from=rig@lab.example&to=me@lab.example&mode=insecure"
