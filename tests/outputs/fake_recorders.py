"""Other recorders as servers: Open Ephys' HTTP server and SpikeGLX' command server.

They answer as the sources of these programs do: `OpenEphysHttpServer.h` of
open-ephys/plugin-GUI and `CmdServer.cpp` of billkarsh/SpikeGLX.
"""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeOpenEphys:
    """A GUI: its mode, where it records, and what it was asked to change."""

    def __init__(self) -> None:
        self.mode = "IDLE"
        self.recording = {
            "parent_directory": "C:/data",
            "base_text": "auto",
            "prepend_text": "",
            "append_text": "",
            "default_record_engine": "BINARY",
        }
        self.nodes: list[dict[str, Any]] = [{"node_id": 104, "record_engine": "BINARY"}]
        self.messages: list[str] = []
        self.directories = 0
        self.modes_set: list[str] = []
        self.refuses = False
        """It does not record when it is asked to."""
        self.answers = threading.Event()
        """Not set: it hangs."""
        self.answers.set()
        self.port = 0

    def answer(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/api/status":
            if method == "PUT":
                self._set_mode(body["mode"])
            return {"mode": self.mode}
        if path == "/api/recording":
            known = {key: body[key] for key in self.recording if key in body}
            self.recording |= known
            self.directories += body.get("start_new_directory") == "true"
            return {**self.recording, "record_nodes": self.nodes}
        if path == "/api/message":
            self.messages.append(body["text"])
            return {"mode": self.mode}
        raise KeyError(path)

    def _set_mode(self, mode: str) -> None:
        self.modes_set.append(mode)
        if mode == "RECORD" and self.nodes and not self.refuses:
            self.mode = "RECORD"
        elif mode in ("ACQUIRE", "IDLE"):
            self.mode = mode


@contextmanager
def open_ephys() -> Iterator[FakeOpenEphys]:
    """Serve a GUI on a free port."""
    gui = FakeOpenEphys()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            gui.answers.wait()
            size = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(size) if size else b"{}"
            try:
                found = gui.answer(self.command, self.path, json.loads(text))
            except ValueError as error:
                self.send_error(400, str(error))
                return
            except KeyError:
                self.send_error(404)
                return
            said = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            with suppress(OSError):  # who asked may have given up
                self.wfile.write(said)

        do_GET = do_PUT = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with _served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        gui.port = port
        try:
            yield gui
        finally:
            gui.answers.set()


class FakeSpikeGLX:
    """A command server: whether its run is on, what it writes, and what it was told."""

    def __init__(self) -> None:
        self.running = True
        self.enabled = self.saving = False
        self.triggered = True
        """Its gate and trigger are immediate, so enabling recording opens a file."""
        self.run_name = "myRun"
        self.heard: list[str] = []
        self.port = 0

    def answer(self, line: str) -> str:
        """Return the answer to a line: lines and OK, or ERROR."""
        command, _, words = line.partition(" ")
        self.heard.append(line)
        queries: dict[str, Callable[[], object]] = {
            "GETVERSION": lambda: "SpikeGLX v.20241001, Imec phase30 v3.70.3",
            "ISRUNNING": lambda: int(self.running),
            "ISSAVING": lambda: int(self.saving),
            "GETRUNNAME": lambda: self.run_name,
        }
        if command in queries:
            return f"{queries[command]()}\nOK\n"
        match command:
            case "SETRUNNAME" if set('/\\[]<>*":;,?|=') & set(words):
                return "ERROR SETRUNNAME: Run names may not contain any of these.\n"
            case "SETRUNNAME":
                self.run_name = words
            case "STARTRUN":
                self.running = True
            case "STOPRUN":
                self.running = self.enabled = self.saving = False
            case "SETRECORDENAB" if not self.running:
                return "ERROR SETRECORDENAB: Run not yet started.\n"
            case "SETRECORDENAB":
                self.enabled = words == "1"
                self.saving = self.enabled and self.triggered
            case _:
                return f"ERROR CmdWorker: Unknown command [{command}].\n"
        return "OK\n"


@contextmanager
def spike_glx() -> Iterator[FakeSpikeGLX]:
    """Serve it on a free port."""
    program = FakeSpikeGLX()

    def answer(line: str) -> str:
        return program.answer(line)

    with line_server(answer) as port:
        program.port = port
        yield program


@contextmanager
def line_server(answer: Callable[[str], str]) -> Iterator[int]:
    """Serve answers to lines over TCP; yields the port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(answer(line.decode().strip()).encode())

    with _served(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        yield port


@contextmanager
def _served(server: socketserver.TCPServer) -> Iterator[int]:
    server.daemon_threads = True  # type: ignore[attr-defined]
    server.block_on_close = False  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
