"""Remote controls: start and stop by an input, a TCP line, a ZeroMQ message, Open Ephys' GUI."""

import queue
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    MOST_LETTERS,
    DeviceAddress,
    DeviceError,
    InputControl,
    RemoteCommand,
    RemoteControl,
    RemoteEnded,
    RemoteListener,
    RemoteLost,
    Sensed,
    WrongTokenError,
    check_listener,
    parse_command,
    read_token,
    watched_thread,
)
from outputs.remotes.limits import WrongTokens, answer_within
from outputs.remotes.open_ephys import PORT, OpenEphysServer
from outputs.remotes.zmtp import RequestServer

if TYPE_CHECKING:
    from io import BufferedReader

ANSWER_S = 5.0
"""Longest time that a sender waits for its answer."""
_LINE_S = 10.0
"""Longest time from the first to the last byte of a line."""
_MOST_PAUSE_S = 0.5
"""Longest pause before a wrong token is answered."""
_MOST_BYTES = 2 * MOST_LETTERS
_TURN_S = 0.1
_MOST_CONNECTIONS = 16
_BUSY = {
    "start": "error: the rig is busy: it may be starting now, but does not start later. Send "
    "status to know",
    "stop": "error: the rig is busy: it stops later",
    "status": "error: the rig is busy",
}
"""Answer after `ANSWER_S`: the session then refuses a start, but still carries out a stop."""
_CURE = (
    "Choose another PORT, or end the program that uses it; HOST must be an address of "
    "this computer"
)
_TOO_LONG = f"error: a message has at most {MOST_LETTERS} letters"
_HTTP = re.compile(r" HTTP/\d", re.IGNORECASE)


@settings(frozen=True, kw_only=True)
class InputStart(InputControl):
    """Starts when an input of the rig becomes active, such as a TTL line of another system."""

    stops: Literal["off", "next", "never"] = Field(
        "off",
        description="off: it stops when the input goes off; next: at its next activation "
        "(a pulse each for start and stop); never",
        title="Stops when",
    )

    @property
    def alternates(self) -> bool:
        """Whether each second activation is a stop."""
        return self.stops == "next"

    def command_of(self, seen: Sensed, was: bool) -> RemoteCommand | None:
        """Return start or stop; the level at opening does not start anything."""
        times = seen.began_ns, f"[Input {self.input}]", f"activation {seen.count}"
        if not seen.active:
            stops = self.stops == "off" and was
            return RemoteCommand("stop", *times) if stops else None
        return RemoteCommand("start", *times) if seen.count else None


@settings(frozen=True, kw_only=True)
class _Listener(RemoteControl):
    """Base of the controls that receive messages of other programs."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address of this computer on which it listens; 127.0.0.1: only programs "
        "on this computer; 0.0.0.0: all networks, needs TOKEN_FILE",
    )
    port: int = Field(gt=0, lt=65_536, description="port on which it listens")
    token_file: Path | None = Field(
        None,
        description="file with one secret word; messages must then begin with "
        "`token WORD`. It is not copied into the run folder. Needed beyond 127.0.0.1",
        title="File with the token",
    )
    silent_s: float = Field(
        0.0,
        ge=0,
        description="seconds without a message after which the connection that started "
        "counts as lost (any message with the token is a sign of life, such as "
        "`status`); 0: never. TCP: every connection that is silent for so long is closed",
        title="Lost without messages for (s)",
    )

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The port on which it listens."""
        return (DeviceAddress("TCP port", str(self.port)),)

    def __post_init__(self) -> None:
        check_listener(self.host, self.token_file)


def _execute_request(
    text: str, token: str, sender: str, listener: RemoteListener, wrong: WrongTokens
) -> tuple[str | None, str]:
    """Pass a request to the listener; return its command and the answer to the sender.

    The command is empty if it is unknown, None without the token.
    """
    now_ns = time.perf_counter_ns()
    try:
        command, arguments = parse_command(text, token)
    except WrongTokenError as error:
        wrong.received(sender)
        return None, f"error: {error}"
    except ValueError as error:
        return "", f"error: {error}"
    answers: queue.Queue[str] = queue.Queue()
    listener(RemoteCommand(command, now_ns, sender, arguments, answers.put))
    try:
        return command, answers.get(timeout=ANSWER_S)
    except queue.Empty:
        return command, _BUSY[command]


@settings(frozen=True, kw_only=True)
class TcpStart(_Listener):
    """Listens for lines over TCP: `start`, `stop` or `status`; answers each with one line."""

    @contextmanager
    def listening(self, listener: RemoteListener) -> Iterator[None]:
        """Open the port."""
        token = read_token(self.token_file)
        try:
            server = _Server((self.host, self.port), token, self.silent_s, listener)
        except OSError as error:
            raise DeviceError(
                f"HOST = {self.host}, PORT = {self.port} can't be used: "
                f"{error.strerror or error}. {_CURE}"
            ) from error
        watched_thread(
            lambda: server.serve_forever(_TURN_S / 2),
            "TcpStart",
            lambda text: listener(RemoteEnded(text)),
        )
        try:
            yield
        finally:
            server.wrong_tokens.report()
            server.shutdown()
            server.close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = sys.platform != "win32"  # on Windows it would share the port

    def __init__(
        self,
        place: tuple[str, int],
        token: str,
        silent_s: float,
        listener: RemoteListener,
    ) -> None:
        if ":" in place[0]:
            self.address_family = socket.AF_INET6
        self.token, self.silent_s, self.listener = token, silent_s, listener
        self.wrong_tokens = WrongTokens(listener, _MOST_PAUSE_S)
        self.links: dict[socket.socket, bool] = {}
        """Open connections, oldest first: whether each has sent a valid command."""
        self.closed = False
        self.lock = threading.Lock()
        super().__init__(place, _Lines)

    def server_bind(self) -> None:
        """Bind the port; on Windows, exclusively."""
        if sys.platform == "win32":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        super().server_bind()

    def verify_request(self, request: object, client_address: object) -> bool:
        """Reject a connection beyond the limit; one without a valid command is closed first."""
        with self.lock:
            if len(self.links) < _MOST_CONNECTIONS:
                return True
            for link, known in self.links.items():
                if not known:
                    del self.links[link]
                    with suppress(OSError):
                        link.shutdown(socket.SHUT_RDWR)
                    return True
        return False

    def close(self) -> None:
        """Close the port and all connections."""
        self.server_close()
        with self.lock:
            self.closed = True
            for link in self.links:
                with suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: a broken connection was reported as lost."""


class _Lines(socketserver.StreamRequestHandler):
    """One connection."""

    server: _Server

    def handle(self) -> None:
        """Answer each line until the connection is closed."""
        server, link = self.server, self.connection
        sender = ":".join(map(str, self.client_address[:2]))
        lost = f"the connection from {sender} was closed"
        link.settimeout(server.silent_s or None)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with server.lock:
            if server.closed:
                return
            server.links[link] = False
        try:
            while cast("BufferedReader", self.rfile).peek(1):
                with answer_within(link, _LINE_S):
                    line = self.rfile.readline(_MOST_BYTES)
                text = line.decode("utf-8", "replace").strip()
                if _HTTP.search(text) or len(line) == _MOST_BYTES:
                    # a web page must not send commands through a browser
                    self._refuse(line)
                    break
                if not line.endswith(b"\n"):
                    break  # an incomplete line: the connection broke
                if not text:
                    continue
                command, answer = _execute_request(
                    text, server.token, sender, server.listener, server.wrong_tokens
                )
                with server.lock:
                    if command and link in server.links:
                        server.links[link] = True
                self.wfile.write(f"{answer}\n".encode())
        except TimeoutError:
            lost = f"no message came from {sender} for {server.silent_s or _LINE_S:g} s"
        except OSError:
            pass  # reported below
        finally:
            with server.lock:
                server.links.pop(link, None)
            server.listener(RemoteLost(lost, sender))

    def _refuse(self, line: bytes) -> None:
        """Answer after the rest of the line is read, so that the sender receives the answer."""
        with answer_within(self.connection, _LINE_S):
            while line and not line.endswith(b"\n"):
                line = self.rfile.readline(_MOST_BYTES)
        self.wfile.write(b"error: expected a line with start, stop or status\n")


@settings(frozen=True, kw_only=True)
class ZmqStart(_Listener):
    """Listens for ZeroMQ requests (REP): `start`, `stop` or `status`; answers each."""

    def __post_init__(self) -> None:
        check_listener(self.host, self.token_file)
        if self.if_lost == "stop" and not self.silent_s:
            raise ValueError(
                "IF_LOST = stop: a lost ZeroMQ connection is noticed by silence only; "
                "enter SILENT_S, such as 5, and have the program send status more often"
            )

    @contextmanager
    def listening(self, listener: RemoteListener) -> Iterator[None]:
        """Open the port."""
        token = read_token(self.token_file)
        host = f"[{self.host}]" if ":" in self.host else self.host
        place = f"tcp://{host}:{self.port}"
        limits = _MOST_BYTES, _LINE_S, _MOST_CONNECTIONS
        try:
            server = RequestServer((self.host, self.port), *limits)
        except OSError as error:
            raise DeviceError(
                f"{place} can't be used: {error.strerror or error}. {_CURE}"
            ) from error
        with server:
            ended = threading.Event()
            wrong = WrongTokens(listener, _TURN_S)

            def serve() -> None:
                received_s, started = time.perf_counter(), False
                # answers of a command that is done or in progress
                done = "ok", *_BUSY.values()
                while not ended.is_set():
                    requested_s = time.perf_counter()
                    with suppress(TimeoutError):
                        message = server.receive(_TURN_S)
                        command, answer = None, _TOO_LONG
                        if message is not None:
                            text = message.decode("utf-8", "replace")
                            command, answer = _execute_request(
                                text, token, place, listener, wrong
                            )
                        if command is not None:
                            received_s = time.perf_counter()
                        if command in ("start", "stop") and answer.startswith(done):
                            started = command == "start"
                        server.answer(answer, valid=bool(command))
                    # messages that arrived while this process was blocked have been
                    # read by now
                    if started and 0 < self.silent_s < requested_s - received_s:
                        started = False
                        lost = f"no message came for {self.silent_s:g} s"
                        listener(RemoteLost(lost, place))

            thread = watched_thread(
                serve, "ZmqStart", lambda text: listener(RemoteEnded(text))
            )
            try:
                yield
            finally:
                wrong.report()
                ended.set()
                thread.join()


@settings(frozen=True, kw_only=True)
class OpenEphysStart(RemoteControl):
    """Starts when Open Ephys' GUI begins to record, and stops when it ends."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="address of the computer of the GUI"
    )
    port: int = Field(
        PORT, gt=0, lt=65_536, description="port of the GUI's HTTP server"
    )
    poll_ms: float = Field(
        100.0,
        ge=10,
        le=5000,
        description="milliseconds between two looks at what the GUI does",
        title="Look every (ms)",
    )
    lost_s: float = Field(
        3.0,
        gt=0,
        description="seconds without an answer after which the connection counts as lost",
        title="Lost without answers for (s)",
    )

    @contextmanager
    def listening(self, listener: RemoteListener) -> Iterator[None]:
        """Poll the mode of the GUI, which may be started later."""
        server = OpenEphysServer(self.host, self.port, self.lost_s)
        ended = threading.Event()

        def follow() -> None:
            before, answered_s, lost = "", time.perf_counter(), False
            while not ended.wait(self.poll_ms / 1e3):
                try:
                    mode = server.mode()
                except (DeviceError, OSError) as error:
                    if not lost and time.perf_counter() - answered_s >= self.lost_s:
                        lost = True
                        listener(RemoteLost(f"Open Ephys does not answer: {error}"))
                    continue
                now_ns, lost = time.perf_counter_ns(), False
                silent_s = now_ns / 1e9 - answered_s
                answered_s = now_ns / 1e9
                if silent_s > ANSWER_S:  # the change may be as old as the silence
                    now_ns -= round(silent_s * 1e9)
                records = "RECORD" in (mode, before)
                if before and mode != before and records:
                    command: Literal["start", "stop"] = (
                        "start" if mode == "RECORD" else "stop"
                    )
                    arguments = f"mode {before} to {mode}"
                    listener(RemoteCommand(command, now_ns, server.place, arguments))
                before = mode

        watched_thread(
            follow, "OpenEphysStart", lambda text: listener(RemoteEnded(text))
        )
        try:
            yield
        finally:
            ended.set()  # not joined: an answer may take some time
