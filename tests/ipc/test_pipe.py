"""Pipes whose other end is closed, as Linux tells it and as Windows does."""

import re
import sys
from multiprocessing import connection
from pathlib import Path
from typing import Any, cast

import pytest

from deeplabstream.engine.processes.guard import watch
from deeplabstream.ipc.pipe import (
    ROOM,
    Connection,
    has_message,
    message_check,
    opened_pipe,
)

ROOT = Path(__file__).resolve().parents[2]


class WindowsPipe:
    """What is in the pipe can be had; after that, `poll` raises."""

    def __init__(self, *sent: bytes) -> None:
        self.sent = [*sent]

    def poll(self, _patience_s: float | None = 0.0) -> bool:
        if not self.sent:
            raise BrokenPipeError(109, "The pipe has been ended")
        return True

    def recv_bytes(self) -> bytes:
        if not self.sent:
            raise EOFError
        return self.sent.pop(0)

    recv = recv_bytes


def windows_pipe(*sent: bytes) -> Connection:
    return cast("Connection", WindowsPipe(*sent))


def test_a_pipe_speaks_when_something_was_sent_and_when_it_was_closed() -> None:
    ours, theirs = opened_pipe()
    with ours:
        assert not has_message(ours)
        theirs.send("a word")
        theirs.close()
        assert has_message(ours, None)
        assert ours.recv() == "a word"
        assert has_message(ours)
        with pytest.raises(EOFError):
            ours.recv()


@pytest.mark.parametrize("platform", [sys.platform, "win32"])
def test_a_loop_that_asks_often_is_told_the_same(
    monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    ours, theirs = opened_pipe()
    with ours:
        monkeypatch.setattr(sys, "platform", platform)
        is_there = message_check(ours)
        assert not is_there()
        theirs.send("a word")
        theirs.close()
        assert is_there() and is_there()
        assert ours.recv() == "a word"
        assert is_there(), "it was closed"
        with pytest.raises(EOFError):
            ours.recv()


def test_a_pipe_holds_a_long_settings_file_that_nobody_reads_yet() -> None:
    ours, theirs = opened_pipe()
    with ours, theirs:
        theirs.send("x" * 100_000)  # on Windows it would wait for ever
        assert len(ours.recv()) == 100_000


def test_a_pipe_is_made_with_room_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUFSIZE", 8192)
    monkeypatch.setattr(sys, "platform", "win32")
    for end in opened_pipe():
        end.close()
    assert connection.BUFSIZE == ROOM  # type: ignore[attr-defined]


def test_a_pipe_closed_on_windows_speaks_likewise() -> None:
    pipe = windows_pipe(b"a word")
    assert has_message(pipe)
    assert pipe.recv() == b"a word"
    assert has_message(pipe)


@pytest.mark.parametrize("said", [(), (b"b",), (b"b", b"p")])
def test_the_guard_sees_that_the_engine_died_on_windows(said: Any) -> None:
    assert watch(windows_pipe(*said)) == "ended unexpectedly"


def test_only_speaks_asks_a_pipe() -> None:
    files = [
        file
        for folder in ("cameras", "deeplabstream", "outputs")
        for file in (ROOT / folder).rglob("*.py")
    ]
    asking = [
        file.name
        for file in files
        if re.search(r"(pipe|heart|_guard)\.poll\(", file.read_text("utf-8"))
    ]
    assert asking == ["pipe.py"]
