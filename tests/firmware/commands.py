"""What the tests of the firmware ask for, in one line each."""

import struct

from outputs.board.protocol import MessageType, Mode, Status
from tests.firmware.emulation import Board

LASER, LASER_PIN = 9, "B1"
LED, LED_PIN = 13, "B5"
LICK, LICK_PIN = 2, "D2"
LONG_US = 60_000_000


def status(board: Board, kind: MessageType, payload: bytes = b"") -> Status:
    """Send a command and return what the board says of it."""
    answer = board.ask(kind, payload)
    assert answer.kind == MessageType.ACK
    sequence, said, _ = answer.numbers("BBI")
    assert sequence == board.sequence
    return Status(said)


def configure(
    board: Board, pin: int, mode: Mode, value: int, watchdog_ms: int = 100
) -> Status:
    payload = struct.pack("<BBI", pin, mode, value)
    if mode in (Mode.DIGITAL_OUT, Mode.PWM_OUT):
        payload += watchdog_ms.to_bytes(2, "little")
    return status(board, MessageType.CONFIGURE, payload)


def put(board: Board, pin: int, level: int) -> Status:
    return status(board, MessageType.SET, bytes([pin, level]))


def train(width_us: int, period_us: int, count: int, level: int = 255) -> bytes:
    return struct.pack("<BBIII", LASER, level, width_us, period_us, count)
