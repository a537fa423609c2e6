"""The connection to a board while this process is held up: nothing is lost that waited."""

import struct
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from outputs.board import connection
from outputs.board.connection import BoardConnection
from outputs.board.protocol import (
    MessageType,
    PacketSplitter,
    Status,
    decode_packet,
    encode_packet,
)
from outputs.serial_line import Port

SECOND = 1_000_000_000
HELD_UP_NS = 1000 * SECOND


class BoardLine:
    """A line to a board that answers each command at once, and what delays its reader."""

    timeout = 0.0

    def __init__(self, delay: Callable[["BoardLine"], bool]) -> None:
        self.delay, self.answers = delay, True
        self.now_ns, self.session = 0, 0
        self.asked = threading.Event()
        self._splitter, self._sequence, self._waiting = PacketSplitter(), 0, b""
        self._lock = threading.Lock()

    @property
    def in_waiting(self) -> int:
        return len(self._waiting)

    def read(self, length: int) -> bytes:
        if self.delay(self):
            return b""
        with self._lock:
            data, self._waiting = self._waiting[:length], self._waiting[length:]
        return data

    def write(self, data: bytes) -> None:
        for coded in self._splitter.packets(data):
            command = decode_packet(coded, self.session)
            if self.answers:
                kind, payload = MessageType.ACK, (command.sequence, Status.OK, 0)
                coded_answer = encode_packet(
                    self._sequence, kind, struct.pack("<BBI", *payload), self.session
                )
                self._sequence += 1
                with self._lock:
                    self._waiting += coded_answer
        self.asked.set()


def connected(line: BoardLine, patch: pytest.MonkeyPatch) -> BoardConnection:
    """Return a connection by that line whose clock is the line's."""
    clock = SimpleNamespace(perf_counter_ns=lambda: line.now_ns)
    patch.setattr(connection, "time", clock)
    patch.setattr(connection, "COMPARE_NS", 10 * HELD_UP_NS)
    opened = BoardConnection(Port("COM3", line))
    line.session = opened.session
    return opened


def test_an_answer_that_waited_while_this_process_was_held_up_is_no_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command is sent and answered after the reader looked, and before it goes on."""

    def once(line: BoardLine) -> bool:
        delayed = line.now_ns == 0
        if delayed:
            assert line.asked.wait(60)
            line.now_ns = HELD_UP_NS
        return delayed

    board = connected(BoardLine(once), monkeypatch)
    with board.listening():
        board.request(MessageType.HEARTBEAT, b"")
    assert board.broken == ""


def test_a_board_that_does_not_answer_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def each_time(line: BoardLine) -> bool:
        line.now_ns += SECOND // 10
        return True

    line = BoardLine(each_time)
    line.answers = False
    board, broken = connected(line, monkeypatch), threading.Event()
    board.listeners[9] = lambda news: broken.set()
    with board.listening():
        board.send(MessageType.HEARTBEAT, b"")
        assert broken.wait(60)
    assert board.broken.startswith("the board at COM3 did not answer for")
