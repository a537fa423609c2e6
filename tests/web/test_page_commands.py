"""Commands of viewers reach the rack, with a token only, and are answered."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.rack.page_messages import (
    LONGEST_LINE,
    LineDecoder,
    PageAnswer,
    PageCommand,
    PageMessage,
    PageServed,
    encode,
)
from deeplabstream.rack.rack_commands import COMMANDS
from deeplabstream.settings.rack_file import RackFile
from deeplabstream.web.page_description import description
from tests.web.test_rack_page import ROOT, TOKEN, Server, rack, serving

__all__ = ["rack"]
JSON = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


@dataclass
class Rack:
    """Stands in for the rack: it answers each command with its words."""

    server: Server
    process: "subprocess.Popen[bytes]"
    commands: list[str]

    def send(self, command: str) -> tuple[int, str]:
        """Return status and answer of a command."""
        body = json.dumps({"command": command})
        status, _, answer = self.server.get("/api/commands", "POST", body, JSON)
        return status, json.loads(answer)["answer"]


def answer_all(commands: IO[bytes], answers: IO[bytes], seen: list[str]) -> None:
    """Answer commands until the page ends; `silence` has no answer."""
    decoder = LineDecoder()
    for line in commands:
        for message in decoder.decode(line):
            assert isinstance(message, PageCommand)
            seen.append(message.line)
            if message.line != "silence":
                good = message.line.startswith(("start", "restart", "stop"))
                text = f"{'ok' if good else 'error'}: {message.line}"
                answers.write(encode(PageAnswer(message.number, text)))


@contextmanager
def commanded(rack: RackFile, tmp_path: Path) -> Iterator[Rack]:
    """Run the page as the rack starts it."""
    token = tmp_path / "token.txt"
    token.write_text(TOKEN)
    command = [sys.executable, "utils/ServePage.py", str(rack.path), "--port", "0"]
    command += ["--token-file", str(token), "--by-rack"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        (served,) = LineDecoder().decode(process.stdout.readline())
        assert isinstance(served, PageServed)
        seen: list[str] = []
        words = process.stdout, process.stdin, seen
        reader = Thread(target=answer_all, args=words)
        reader.start()
        try:
            port = int(served.address.rpartition(":")[2])
            yield Rack(Server(port), process, seen)
        finally:
            process.stdin.close()
            process.wait(60)
            reader.join()


def test_a_command_is_answered_by_the_rack(rack: RackFile, tmp_path: Path) -> None:
    with commanded(rack, tmp_path) as it:
        assert it.send("start left") == (200, "ok: start left")
        assert it.send("dance") == (409, "error: dance")
        assert it.send("stop\nstart left") == (200, "ok: stop\nstart left")
        assert it.commands == ["start left", "dance", "stop\nstart left"]
        _, _, body = it.server.get("/api/boxes", headers=JSON)
        assert json.loads(body)["commands"] is True


def test_each_command_is_described_to_viewers_with_the_token(
    rack: RackFile, tmp_path: Path
) -> None:
    with commanded(rack, tmp_path) as it:
        assert it.server.get("/api/commands")[0] == 401
        _, _, body = it.server.get("/api/commands", headers=JSON)
        told = json.loads(body)
        assert told["restart"]["typed"] == ["restart NAME"]
        assert {*told} == {*COMMANDS}

    path = description()["paths"]["/api/commands"]
    found = path["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert {*found["properties"]} == {*COMMANDS}
    for help_ in COMMANDS.values():
        for line in help_.typed:
            assert line in path["post"]["summary"]


def test_a_command_without_token_or_type_is_refused(
    rack: RackFile, tmp_path: Path
) -> None:
    body = json.dumps({"command": "start left"})
    with commanded(rack, tmp_path) as it:
        for headers, status in [
            ({"Content-Type": "application/json"}, 401),
            ({**JSON, "Authorization": "Bearer wrong"}, 401),
            ({**JSON, "Content-Type": "text/plain"}, 415),
        ]:
            found, *_ = it.server.get("/api/commands", "POST", body, headers)
            assert found == status
        for broken in ("", "[]", '{"command": 3}', '{"line": "stop"}'):
            found, *_ = it.server.get("/api/commands", "POST", broken, JSON)
            assert found == 422
        long = json.dumps({"command": "x" * 2000})
        assert it.server.get("/api/commands", "POST", long, JSON)[0] == 413
        assert it.commands == []


def test_a_page_ends_with_its_rack(rack: RackFile, tmp_path: Path) -> None:
    with commanded(rack, tmp_path) as it:
        assert it.process.poll() is None
        stdin = it.process.stdin
        assert stdin is not None
        stdin.close()
        assert it.process.wait(60) is not None


def test_a_page_that_the_rack_has_not_started_takes_no_commands(
    rack: RackFile, tmp_path: Path
) -> None:
    (tmp_path / "token.txt").write_text(TOKEN)
    with serving(rack, "--token-file", str(tmp_path / "token.txt")) as server:
        body = json.dumps({"command": "stop"})
        status, _, answer = server.get("/api/commands", "POST", body, JSON)
        assert (status, b"reads only" in answer) == (403, True)


MESSAGES: list[PageMessage] = [
    PageServed("http://127.0.0.1:1"),
    PageCommand(1, "stop é\n"),
    PageAnswer(1, "ok: stop"),
]


@given(cut=st.integers(1, 40), noise=st.binary(max_size=60))
def test_messages_survive_noise_and_any_division(cut: int, noise: bytes) -> None:
    data = noise.replace(b"\n", b" ") + b"\n" + b"".join(map(encode, MESSAGES))
    decoder = LineDecoder()
    found = [
        message
        for begin in range(0, len(data), cut)
        for message in decoder.decode(data[begin : begin + cut])
    ]
    assert found == MESSAGES


def test_a_long_line_is_dropped_as_a_whole() -> None:
    decoder = LineDecoder()
    for _ in range(10):
        assert list(decoder.decode(b"x" * LONGEST_LINE)) == []
    assert list(decoder.decode(b"\n" + encode(MESSAGES[0]))) == MESSAGES[:1]
