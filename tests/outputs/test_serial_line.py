import os
import sys
from collections.abc import Iterator

import pytest
import serial
from pydantic import ValidationError

from deeplabstream.core.errors import DeviceError, error_context
from outputs.serial_line import SerialLine

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

import tty


@pytest.fixture
def board() -> Iterator[tuple[int, str]]:
    """The file descriptor of a board's side, and the name of its port."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    name = os.ttyname(theirs)
    os.close(theirs)
    yield ours, name
    try:
        os.close(ours)
    except OSError:
        return


def read(board: int, length: int) -> bytes:
    """Return the next so many bytes; they may come in pieces."""
    said = b""
    while len(said) < length:
        said += os.read(board, length - len(said))
    return said


def test_levels_become_bytes(board: tuple[int, str]) -> None:
    ours, port = board
    line = SerialLine(port=port, on_bytes="0x01 0xFF", off_bytes=r"off\n")
    with line.opened() as write:
        for level in (1.0, 0.3, 0.0):
            write(level)
        assert read(ours, 8) == b"\x01\xff\x01\xffoff\n"


def test_a_port_that_is_not_there_is_a_sentence() -> None:
    with (
        pytest.raises(DeviceError, match=r"\[Output laser\] COM99 can't be opened; is"),
        error_context("Output laser"),
        SerialLine(port="COM99").opened(),
    ):
        pytest.fail("it opened")


def test_a_port_is_opened_for_one_program_only(board: tuple[int, str]) -> None:
    line = SerialLine(port=board[1])
    with (
        serial.Serial(board[1], exclusive=True),
        pytest.raises(DeviceError, match="no other program"),
        line.opened(),
    ):
        pytest.fail("it opened twice")
    with line.opened():
        pass


def test_outputs_may_share_a_port(board: tuple[int, str]) -> None:
    ours, port = board
    pump = SerialLine(port=port, on_bytes="P", off_bytes="p")
    with SerialLine(port=port).opened() as valve:
        with pump.opened() as give:
            valve(1.0)
            give(1.0)
            give(0.0)
        valve(0.0)
        assert read(ours, 4) == b"HPpL"


def test_a_port_that_vanishes_is_a_sentence(board: tuple[int, str]) -> None:
    ours, port = board
    with SerialLine(port=port).opened() as write:
        write(0.0)
        os.close(ours)
        with pytest.raises(DeviceError, match="is gone"):
            write(1.0)


def test_a_board_that_reads_nothing_does_not_hold_the_loop_up(
    board: tuple[int, str],
) -> None:
    line = SerialLine(port=board[1], on_bytes="x" * 4096)
    with line.opened() as write, pytest.raises(DeviceError, match="no more bytes"):
        for _ in range(100):
            write(1.0)


@pytest.mark.parametrize("text", ["", "\N{GREEK SMALL LETTER MU}", "\\x0"])
def test_what_can_not_be_sent_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        SerialLine(port="COM3", on_bytes=text)
