"""Commands of other programs to a rack that runs."""

import json
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.rack import control_link
from deeplabstream.rack.control_link import (
    ControlServer,
    control_file,
    send_command,
)
from deeplabstream.rack.rack_commands import CommandQueue


class Rack:
    """A rack that answers each command with itself."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "rack.ini"
        self.queue = CommandQueue()
        self.said: list[str] = []
        self.lines: list[str] = []
        self.deaf = False
        self.ended = threading.Event()
        self.server = ControlServer(self.file, self.queue, self.said.append)
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self) -> None:
        while not self.ended.is_set():
            for request in self.queue.take(0.01):
                self.lines.append(request.line)
                if not self.deaf:
                    request.answer(f"ok: {request.line}")

    def close(self) -> None:
        self.server.close()
        self.ended.set()
        self.thread.join()


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    made = Rack(tmp_path)
    yield made
    made.close()


def test_a_command_is_carried_out_and_answered(rack: Rack) -> None:
    assert send_command(rack.file, "stop left") == "ok: stop left"
    assert send_command(rack.file, "mark left a\nb") == r"ok: mark left a\nb"
    assert rack.said == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_only_the_user_of_the_rack_can_read_its_key(rack: Rack) -> None:
    assert stat.S_IMODE(control_file(rack.file).stat().st_mode) == 0o600


def test_a_command_without_the_key_is_not_carried_out(rack: Rack) -> None:
    given = json.loads(control_file(rack.file).read_text("utf-8"))
    for text in (b"stop\n", b"wrong stop\n", b"\n", b"x" * 10_000 + b"\n", b"\xff \n"):
        with socket.create_connection(("127.0.0.1", given["port"])) as connection:
            connection.sendall(text)
            with suppress(ConnectionResetError):  # not all was read
                assert connection.recv(100) == b""
    assert send_command(rack.file, "status") == "ok: status"
    assert rack.lines == ["status"]


def test_a_rack_that_was_killed_or_has_ended_is_not_reached(
    rack: Rack, tmp_path: Path
) -> None:
    left = control_file(rack.file).read_text("utf-8")
    rack.server.close()
    assert not control_file(rack.file).exists()
    with pytest.raises(DeviceError, match="does not run, or takes no commands"):
        send_command(rack.file, "stop")
    control_file(rack.file).write_text(left, "utf-8")
    with pytest.raises(DeviceError, match="does not answer"):
        send_command(rack.file, "stop")
    control_file(rack.file).write_text("[]", "utf-8")
    with pytest.raises(DeviceError, match="does not run"):
        send_command(rack.file, "stop")


def test_a_rack_that_hangs_is_given_up(
    rack: Rack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_link, "ANSWER_S", 0.05)
    rack.deaf = True
    with pytest.raises(DeviceError, match="does not answer"):
        send_command(rack.file, "stop")


def test_a_rack_that_cannot_write_the_file_runs_without(tmp_path: Path) -> None:
    (tmp_path / "rack.boxes").write_text("a file in place of the folder")
    said: list[str] = []
    ControlServer(tmp_path / "rack.ini", CommandQueue(), said.append).close()
    assert "can't control this rack" in said[0]
