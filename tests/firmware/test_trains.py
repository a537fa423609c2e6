"""Pulse trains of the real firmware, to the microsecond."""

import struct

import pytest

from outputs.board.protocol import Cause, MessageType, Status
from tests.firmware.commands import LASER, LASER_PIN, LED, LED_PIN, put, status, train
from tests.firmware.emulation import Board, needs_simavr

pytestmark = needs_simavr


@pytest.mark.parametrize(
    ("width_us", "period_us", "count"),
    [(5000, 25_000, 4), (1000, 7692, 12), (50, 1000, 60), (500, 1000, 50)],
)
def test_a_train_is_as_asked(
    board: Board, width_us: int, period_us: int, count: int
) -> None:
    answer = board.ask(MessageType.TRAIN, train(width_us, period_us, count))
    _, said, began_us = answer.numbers("BBI")
    assert said == Status.OK
    board.run((count * period_us) / 1000)
    edges = board.edges_of(LASER_PIN)
    highs = [edge.cycle for edge in edges if edge.level]
    assert len(highs) == count and len(edges) == 2 * count
    start = highs[0] / 16
    for n, high in enumerate(highs):  # no error adds up
        assert abs(high / 16 - start - n * period_us) < 5
    assert all(abs(width - width_us) < 5 for width in board.widths_us(LASER_PIN)[::2])
    (over,) = (frame for frame in board.heard() if frame.kind == MessageType.WENT_OFF)
    pin, cause, board_us = over.numbers("BBI")
    assert (pin, cause) == (LASER, Cause.TRAIN_END)
    assert board_us - began_us == (count - 1) * period_us + width_us


def test_one_pulse_needs_no_period(board: Board) -> None:
    assert status(board, MessageType.TRAIN, train(3000, 0, 1)) is Status.OK
    board.run(10)
    (width,) = board.widths_us(LASER_PIN)
    assert abs(width - 3000) < 5


def test_off_ends_a_train(board: Board) -> None:
    status(board, MessageType.TRAIN, train(4000, 8000, 1000))
    board.run(20)
    assert put(board, LASER, 0) is Status.OK
    board.edges.clear()
    board.run(30)
    assert board.edges == []


def test_two_trains_at_once(board: Board) -> None:
    fast = train(1000, 5000, 10)
    status(board, MessageType.TRAIN, fast)
    status(
        board,
        MessageType.TRAIN,
        bytes([LED]) + struct.pack("<BIII", 255, 2000, 7000, 8),
    )
    board.run(60)
    for pin, width_us, count in ((LASER_PIN, 1000, 10), (LED_PIN, 2000, 8)):
        widths = board.widths_us(pin)[::2]
        assert len(widths) == count
        assert all(abs(width - width_us) < 30 for width in widths)
