"""What the real firmware does with every command, on an emulated Uno."""

import struct

import pytest

from outputs.board.protocol import Cause, MessageType, Mode, Status, encode_packet
from tests.firmware.commands import (
    LASER,
    LASER_PIN,
    LED,
    LED_PIN,
    LONG_US,
    configure,
    put,
    status,
    train,
)
from tests.firmware.emulation import HERTZ, MEGA, MS, Board, emulated, needs_simavr

pytestmark = needs_simavr

OCR2B, TCCR2A, COM2B1 = 0xB4, 0xB0, 0x20
"""The registers of pin 3's duty, on the Uno."""


def test_it_says_who_it_is(switched_on: Board) -> None:
    who = switched_on.hello(0xBEEF)
    assert who.kind == MessageType.IDENTITY
    assert who.payload[:3] == bytes([1, 1, 2])
    assert struct.unpack_from("<H", who.payload, 5)[0] == 0xBEEF
    board_us = struct.unpack_from("<I", who.payload, 7)[0]
    assert abs(board_us / 1e6 - switched_on.cycle / HERTZ) < 0.01
    assert who.payload[11:] == b"Arduino Uno"


@pytest.mark.parametrize(("asked", "said"), [(19, 5), (20, 0), (1000, 0), (1001, 5)])
def test_the_watchdog_has_bounds(switched_on: Board, asked: int, said: int) -> None:
    switched_on.hello()
    assert configure(switched_on, LED, Mode.DIGITAL_OUT, LONG_US, asked) == said


def test_a_pin_goes_on_and_off_and_the_board_says_when(board: Board) -> None:
    began_us = []
    for level in (1, 0, 1, 0):
        answer = board.ask(MessageType.SET, bytes([LASER, 255 * level]))
        _, said, board_us = answer.numbers("BBI")
        edge = board.edges_of(LASER_PIN)[-1]
        assert (said, edge.level) == (Status.OK, level)
        began_us.append(edge.cycle / 16 - board_us)
    assert max(began_us) - min(began_us) < 20
    assert 0 < min(began_us) < 1000  # its clock begins when it has started
    assert [edge.level for edge in board.edges_of(LASER_PIN)] == [1, 0, 1, 0]
    assert board.edges_of(LED_PIN) == []


def test_all_off(board: Board) -> None:
    put(board, LASER, 255)
    put(board, LED, 255)
    assert status(board, MessageType.ALL_OFF) is Status.OK
    assert (board.level(LASER_PIN), board.level(LED_PIN)) == (0, 0)


def test_a_level_between_off_and_on_is_a_duty(board: Board) -> None:
    assert configure(board, 3, Mode.PWM_OUT, LONG_US) is Status.OK
    assert put(board, 3, 64) is Status.OK
    assert board.peek(OCR2B) == 64
    assert board.peek(TCCR2A) & COM2B1
    assert put(board, 3, 0) is Status.OK
    assert not board.peek(TCCR2A) & COM2B1
    assert board.level("D3") == 0


@pytest.mark.parametrize(
    ("pin", "mode", "value", "said"),
    [
        (0, Mode.DIGITAL_OUT, LONG_US, Status.BAD_PIN),
        (1, Mode.DIGITAL_IN, 0, Status.BAD_PIN),
        (200, Mode.DIGITAL_OUT, LONG_US, Status.BAD_PIN),
        (LASER, Mode.DIGITAL_IN, 0, Status.BAD_PIN),
        (10, Mode.PWM_OUT, LONG_US, Status.NO_PWM),
        (12, Mode.PWM_OUT, LONG_US, Status.NO_PWM),
        (7, Mode.DIGITAL_OUT, 0, Status.BAD_VALUE),
        (7, Mode.DIGITAL_OUT, 1_800_000_001, Status.BAD_VALUE),
        (7, 9, 1, Status.BAD_VALUE),
        (7, Mode.DIGITAL_IN, 1_000_001, Status.BAD_VALUE),
    ],
)
def test_what_a_pin_can_not_be(
    board: Board, pin: int, mode: Mode, value: int, said: Status
) -> None:
    assert configure(board, pin, mode, value) is said


def test_there_are_eight_outputs_and_eight_inputs(board: Board) -> None:
    said = [configure(board, pin, Mode.DIGITAL_OUT, 1) for pin in range(2, 9)]
    assert said == [Status.OK] * 6 + [Status.FULL]
    said = [configure(board, pin, Mode.DIGITAL_IN, 0) for pin in range(10, 20)]
    assert [s for s in said if s is not Status.BAD_PIN] == [Status.OK] * 8 + [
        Status.FULL
    ]


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        (MessageType.SET, bytes([7, 255]), Status.NOT_CONFIGURED),
        (MessageType.SET, bytes([LASER]), Status.UNKNOWN),
        (MessageType.HEARTBEAT, b"x", Status.UNKNOWN),
        (MessageType.ACK, b"", Status.UNKNOWN),
        (MessageType.TRAIN, train(0, 10_000, 5), Status.BAD_VALUE),
        (MessageType.TRAIN, train(10_000, 10_000, 5), Status.BAD_VALUE),
        (MessageType.TRAIN, train(100, 999, 5), Status.BAD_VALUE),
        (MessageType.TRAIN, train(1000, 10_000, 0), Status.BAD_VALUE),
        (MessageType.TRAIN, train(1000, 10_000, 5, level=0), Status.BAD_VALUE),
    ],
)
def test_what_can_not_be_done_is_refused(
    board: Board, kind: MessageType, payload: bytes, said: Status
) -> None:
    assert status(board, kind, payload) is said
    board.run(20)
    assert board.edges == []


def test_the_state_tells_what_is_high(board: Board) -> None:
    put(board, LED, 255)
    sequence, latched, high, _ = board.ask(MessageType.GET_STATE).numbers("BBBI")
    assert (sequence, latched, high) == (board.sequence, Cause.NONE, 0b10)


def test_forty_commands_in_a_row_are_all_answered(board: Board) -> None:
    board.send(
        b"".join(board.frame(MessageType.SET, bytes([LED, n % 2])) for n in range(40))
    )
    board.run(40)
    answers = [frame.numbers("BBI") for frame in board.heard()]
    assert [sequence for sequence, _, _ in answers] == list(range(3, 43))
    assert {said for _, said, _ in answers} == {Status.OK}
    assert len(board.edges_of(LED_PIN)) == 40 - 1


def test_more_than_can_be_answered_switches_off(board: Board) -> None:
    beats = (board.frame(MessageType.HEARTBEAT) for _ in range(150))
    put(board, LED, 255)
    board.send(b"".join(beats))
    board.run(60)
    assert board.level(LED_PIN) == 0
    (fault,) = (frame for frame in board.heard() if frame.kind == MessageType.FAULT)
    # either the queue of answers is full first, or the buffer of received bytes
    assert fault.payload[0] in (Cause.OVERFLOW, Cause.GARBLED)


def test_a_program_of_another_time_is_identities_set_we_are_and_no_more(
    switched_on: Board,
) -> None:
    board = switched_on
    board.hello()
    board.session, board.sequence = 0x1111, 0
    payload = bytes([99, 0x11, 0x11])
    board.send(b"\0" + encode_packet(0, MessageType.HELLO, payload, 0))
    board.run(5)
    assert board.heard()[-1].kind == MessageType.IDENTITY
    board.send(board.frame(MessageType.HEARTBEAT))
    board.run(5)
    assert board.heard() == []


def test_the_polled_clock_of_other_boards_does_the_same() -> None:
    """The file for Teensy and others, on the core of the Uno: it calls nothing else."""
    with emulated("HAL_POLLED") as board:
        assert board.hello().payload[11:] == b"Arduino board"
        configure(board, LASER, Mode.DIGITAL_OUT, 100_000)
        status(board, MessageType.TRAIN, train(2000, 5000, 6))
        board.run(40)
        board.heard()
        widths = board.widths_us(LASER_PIN)
        assert len(widths[::2]) == 6
        assert all(abs(width - 2000) < 500 for width in widths[::2])
        put(board, LASER, 255)
        since = board.edges_of(LASER_PIN)[-1].cycle
        board.run(150)
        assert 99.5 * MS < board.edges_of(LASER_PIN)[-1].cycle - since < 101 * MS


def test_the_mega_runs_it_too() -> None:
    with emulated(chip=MEGA) as board:
        assert board.hello().payload[11:] == b"Arduino Mega"
        configure(board, 53, Mode.DIGITAL_OUT, LONG_US)
        put(board, 53, 255)
        board.run(150)
        (width,) = board.widths_us("B0")
        assert abs(width - 100_000) < 100
