"""Control link: commands from other programs of the same user to a rack that runs.

A rack listens on this computer only, and writes port and key into a file that only its user
can read. So a window that was opened again, or the stop window, controls a rack that another
program has started.
"""

import json
import os
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Queue

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.visible_text import visible
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.rack.box_status import rack_folder
from deeplabstream.rack.rack_commands import CommandQueue, RackRequest

ANSWER_S = 3.0
"""Time in which a rack answers a command."""
_HOST = "127.0.0.1"
_LONGEST = 4096
"""Most bytes of a command with its key, and of an answer."""
_MOST = 16
"""Programs that are connected at the same time; others are refused."""


def control_file(rack: Path) -> Path:
    """Return the file with port and key of the rack that runs."""
    return rack_folder(rack) / "control.json"


class ControlServer:
    """Takes a command a connection, and answers it when the rack has carried it out."""

    def __init__(
        self, rack: Path, queue: CommandQueue, report: Callable[[str], object]
    ) -> None:
        """Listen; where that is impossible the rack runs without, and `report` gets why."""
        self._file, self._queue = control_file(rack), queue
        self._key = secrets.token_hex(32)
        self._places = threading.BoundedSemaphore(_MOST)
        self._socket: socket.socket | None = None
        try:
            self._socket = socket.create_server((_HOST, 0))
            self._write_file(self._socket.getsockname()[1])
        except (OSError, DeviceError) as error:
            self.close()
            report(f"Another window can't control this rack: {error}")
            return
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def close(self) -> None:
        """Take no more commands."""
        listener, self._socket = self._socket, None
        if listener is not None:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
            with suppress(OSError):  # ends the wait of the thread; not on all systems
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _write_file(self, port: int) -> None:
        self._file.unlink(missing_ok=True)  # that of a rack that was killed
        with atomic_file(self._file) as draft:
            private = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(private, "w", encoding="utf-8") as file:
                json.dump({"port": port, "key": self._key}, file)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            if not self._places.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):
                connection.settimeout(ANSWER_S)
                key, _, line = _line_of(connection).partition(" ")
                if not secrets.compare_digest(key.encode(), self._key.encode()):
                    return
                answered, answers = threading.Event(), [""]

                def answer(text: str) -> None:
                    answers[0] = text
                    answered.set()

                self._queue.put(RackRequest(line, answer))
                if answered.wait(ANSWER_S):
                    connection.sendall(f"{answers[0]}\n".encode()[-_LONGEST:])
        finally:
            self._places.release()


def send_command(rack: Path, line: str, patience_s: float = ANSWER_S) -> str:
    """Have the rack that runs carry out a command; return its answer, `ok: …` or `error: …`.

    DeviceError: no rack runs, it takes no commands, or it does not answer.
    """
    try:
        given = json.loads(control_file(rack).read_text("utf-8"))
        port, key = int(given["port"]), str(given["key"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DeviceError(f"{rack.name} does not run, or takes no commands") from error
    try:
        with socket.create_connection((_HOST, port), patience_s) as connection:
            connection.settimeout(patience_s)
            connection.sendall(f"{key} {visible(line)}\n".encode())
            answer = _line_of(connection)
    except OSError as error:
        raise DeviceError(f"the rack does not answer ({error})") from error
    if not answer:
        raise DeviceError("the rack does not answer")
    return answer


class CommandSender:
    """Sends commands to a rack that another program has started, without waiting."""

    def __init__(self, rack: Path) -> None:
        self._rack = rack
        self._answers: Queue[tuple[str, str, bool]] = Queue()

    def send(self, line: str) -> None:
        """Send a command in a thread of its own."""
        threading.Thread(target=self._send, args=(line,), daemon=True).start()

    def answers(self) -> list[tuple[str, str, bool]]:
        """Return what came since the last call: command, answer, and whether the rack gave it.

        Without an answer the second is why there is none.
        """
        return [self._answers.get_nowait() for _ in range(self._answers.qsize())]

    def _send(self, line: str) -> None:
        try:
            self._answers.put((line, send_command(self._rack, line), True))
        except DeviceError as error:
            self._answers.put((line, str(error), False))


def _line_of(connection: socket.socket) -> str:
    """Return the line that arrives, without its end; empty: none, or it is too long."""
    data = b""
    while b"\n" not in data and len(data) < _LONGEST:
        more = connection.recv(_LONGEST)
        if not more:
            break
        data += more
    line, end, _ = data.partition(b"\n")
    return line.decode("utf-8", "replace") if end else ""
