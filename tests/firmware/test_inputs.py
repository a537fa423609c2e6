"""Licks, levers and beams: what the real firmware tells of them."""

import struct

from outputs.board.protocol import MessageType, Mode
from tests.firmware.commands import (
    LED,
    LED_PIN,
    LICK,
    LICK_PIN,
    configure,
    status,
    train,
)
from tests.firmware.emulation import Board, needs_simavr

pytestmark = needs_simavr


def clock_us(board: Board) -> float:
    """Return when the board's clock began, on the emulator's."""
    _, _, board_us = board.ask(MessageType.SET, bytes([LED, 255])).numbers("BBI")
    return board.edges_of(LED_PIN)[-1].cycle / 16 - board_us - 20


def changes(board: Board) -> list[tuple[int, int]]:
    """Return the levels of the lick's pin that were told, and when they began, in us."""
    frames = [
        frame for frame in board.heard() if frame.kind == MessageType.INPUT_CHANGED
    ]
    told = [frame.numbers("BBI") for frame in frames]
    assert all(pin == LICK for pin, _, _ in told)
    return [(level, board_us) for _, level, board_us in told]


def test_licks_are_told_with_the_moment_at_which_they_began(board: Board) -> None:
    board.pin(LICK_PIN, 0)
    configure(board, LICK, Mode.DIGITAL_IN, 2000)
    zero_us = clock_us(board)
    board.run(1)
    board.heard()
    expected = []
    for level in (1, 0, 1, 0):
        board.pin(LICK_PIN, level)
        expected.append((level, board.cycle / 16 - zero_us))
        board.run(30)
    told = changes(board)
    assert [level for level, _ in told] == [1, 0, 1, 0]
    for (_, at_us), (_, put_us) in zip(told, expected, strict=True):
        assert -20 < at_us - put_us < 150


def test_the_first_level_is_told_at_once(board: Board) -> None:
    board.pin(LICK_PIN, 1)
    board.send(
        board.frame(
            MessageType.CONFIGURE, struct.pack("<BBI", LICK, Mode.DIGITAL_IN, 2000)
        )
    )
    board.run(2)
    assert [level for level, _ in changes(board)] == [1]


def test_what_bounces_is_told_once_it_is_steady(board: Board) -> None:
    board.pin(LICK_PIN, 0)
    configure(board, LICK, Mode.DIGITAL_IN, 5000)
    zero_us = clock_us(board)
    board.run(1)
    board.heard()
    for _ in range(5):  # 1 ms each way
        board.pin(LICK_PIN, 1)
        board.run(1)
        board.pin(LICK_PIN, 0)
        board.run(1)
    assert changes(board) == []
    board.pin(LICK_PIN, 1)
    began_us = board.cycle / 16 - zero_us
    board.run(4.9)
    assert changes(board) == []
    board.run(1)  # the message takes a quarter of it
    ((level, at_us),) = changes(board)
    assert level == 1 and -20 < at_us - began_us < 150


def test_inputs_are_told_while_a_train_runs(board: Board) -> None:
    board.pin(LICK_PIN, 0)
    configure(board, LICK, Mode.DIGITAL_IN, 0)
    board.run(1)
    board.heard()
    status(board, MessageType.TRAIN, train(500, 1000, 60))
    for n in range(20):
        board.pin(LICK_PIN, (n + 1) % 2)
        board.run(2)
    assert [level for level, _ in changes(board)] == [1, 0] * 10
