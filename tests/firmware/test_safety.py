"""What no program, no noise and no silence can make the real firmware do."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outputs.board.protocol import (
    Cause,
    MessageType,
    Mode,
    Packet,
    Status,
    encode_packet,
)
from tests.firmware.commands import configure
from tests.firmware.emulation import MS, Board, needs_simavr

pytestmark = needs_simavr

LASER, VALVE = 9, 13
PINS = {LASER: "B1", VALVE: "B5"}
PORTB, DDRB = 0x25, 0x24
LIMIT_MS = 60
SLACK = MS // 5


def begin(board: Board, watchdog_ms: int = 100, limit_ms: int = LIMIT_MS) -> None:
    """Begin a session in which both pins may be on for `limit_ms`."""
    board.hello(0x4D2)
    for pin in PINS:
        said = configure(board, pin, Mode.DIGITAL_OUT, limit_ms * 1000, watchdog_ms)
        assert said is Status.OK
    assert not any(board.level(pin) for pin in PINS.values())
    board.edges.clear()


def switch_on(board: Board, pin: int = LASER) -> None:
    assert board.ask(MessageType.SET, bytes([pin, 255]), ms=1.5).payload[1] == Status.OK
    assert board.level(PINS[pin]) == 1


def causes(frames: list[Packet]) -> list[tuple[int, int]]:
    """Return which pins went off by themselves, and why."""
    offs = [frame for frame in frames if frame.kind == MessageType.WENT_OFF]
    return [(pin, cause) for pin, cause, _ in (off.numbers("BBI") for off in offs)]


@pytest.mark.parametrize("watchdog_ms", [100, 250])
def test_pins_go_off_when_the_loop_stops(switched_on: Board, watchdog_ms: int) -> None:
    board = switched_on
    begin(board, watchdog_ms, limit_ms=5000)
    switch_on(board)
    for _ in range(6):  # going on
        board.run(40)
        beat = board.ask(MessageType.HEARTBEAT, ms=1)
        assert beat.payload[1] == Status.OK
    assert board.level("B1") == 1
    board.run(watchdog_ms + 20)
    went_on, went_off = board.edges_of("B1")
    assert went_on.level and not went_off.level
    last_beat_us = beat.numbers("BBI")[2]
    frames = board.heard()
    assert causes(frames) == [(LASER, Cause.WATCHDOG)]
    off = next(frame for frame in frames if frame.kind == MessageType.WENT_OFF)
    off_us = off.numbers("BBI")[2]
    assert watchdog_ms * 1000 <= off_us - last_beat_us < watchdog_ms * 1000 + 100
    assert bytes([Cause.WATCHDOG]) in [
        f.payload for f in frames if f.kind == MessageType.FAULT
    ]


def test_the_shortest_watchdog_of_all_pins_counts(switched_on: Board) -> None:
    board = switched_on
    board.hello(0x4D2)
    for pin, watchdog_ms in ((LASER, 400), (VALVE, 50)):
        configure(board, pin, Mode.DIGITAL_OUT, 5_000_000, watchdog_ms)
    board.edges.clear()
    switch_on(board)
    board.run(60)
    (width,) = board.widths_us("B1")
    assert abs(width - 50_000) < 100


def test_after_a_trip_nothing_goes_on_until_the_next_hello(switched_on: Board) -> None:
    board = switched_on
    begin(board, limit_ms=5000)
    switch_on(board)
    board.run(150)
    board.heard()
    board.edges.clear()
    train = struct.pack("<BBIII", LASER, 255, 1000, 5000, 5)
    for kind, payload in (
        (MessageType.SET, bytes([VALVE, 255])),
        (MessageType.TRAIN, train),
    ):
        assert board.ask(kind, payload).payload[1] == Status.LATCHED
    assert board.ask(MessageType.SET, bytes([VALVE, 0])).payload[1] == Status.OK
    assert board.ask(MessageType.GET_STATE).numbers("BBBI")[1:3] == (Cause.WATCHDOG, 0)
    board.run(20)
    assert board.edges == []
    begin(board)
    switch_on(board)


def test_commands_are_no_food_for_the_watchdog(switched_on: Board) -> None:
    board = switched_on
    begin(board, limit_ms=5000)
    switch_on(board)
    since = board.cycle
    for n in range(30):
        board.send(board.frame(MessageType.SET, bytes([VALVE, 255 * (n % 2)])))
        board.run(5)
    assert board.level("B1") == 0
    assert board.edges_of("B1")[-1].cycle - since < 102 * MS


@pytest.mark.parametrize("again", [False, True])
def test_no_pin_stays_on_for_longer_than_it_may(
    switched_on: Board, again: bool
) -> None:
    board = switched_on
    begin(board)
    switch_on(board)
    for _ in range(8):
        payload = bytes([LASER, 255]) if again and board.level("B1") else b""
        kind = MessageType.SET if payload else MessageType.HEARTBEAT
        board.send(board.frame(kind, payload) + board.frame(MessageType.HEARTBEAT))
        board.run(9)
    (width,) = board.widths_us("B1")
    assert abs(width - LIMIT_MS * 1000) < 100
    assert causes(board.heard()) == [(LASER, Cause.LIMIT)]


def test_a_train_is_no_way_around_the_limit(switched_on: Board) -> None:
    board = switched_on
    begin(board, watchdog_ms=1000)
    board.ask(MessageType.TRAIN, struct.pack("<BBIII", LASER, 255, 1000, 2000, 1000))
    board.run(100)
    edges = board.edges_of("B1")
    assert edges[-1].level == 0
    assert edges[-1].cycle - edges[0].cycle <= LIMIT_MS * MS + SLACK
    assert causes(board.heard()) == [(LASER, Cause.LIMIT)]


def spoil(data: bytes, at: int) -> bytes:
    changed = data[at] ^ 0x41 or 0x42
    return data[:at] + bytes([changed]) + data[at + 1 :]


@pytest.mark.parametrize("at", range(7))
def test_a_spoilt_byte_switches_all_off(switched_on: Board, at: int) -> None:
    board = switched_on
    begin(board)
    switch_on(board, VALVE)
    frame = board.frame(MessageType.SET, bytes([LASER, 255]))
    board.send(spoil(frame, at) + b"\0")
    board.run(3)
    assert board.edges_of("B1") == []
    assert board.level("B5") == 0
    (fault,) = (frame for frame in board.heard() if frame.kind == MessageType.FAULT)
    assert fault.payload == bytes([Cause.GARBLED])
    board.send(board.frame(MessageType.SET, bytes([LASER, 255])))
    board.run(3)
    assert board.edges_of("B1") == []


@pytest.mark.parametrize("sequence", [2, 4, 5, 200])
def test_a_frame_missing_or_sent_twice_switches_all_off(
    switched_on: Board, sequence: int
) -> None:
    board = switched_on
    begin(board)
    switch_on(board, VALVE)  # its sequence is 3
    if sequence == 4:
        board.sequence = sequence
        assert (
            board.ask(MessageType.HEARTBEAT).kind == MessageType.FAULT
        )  # 5 instead of 4
    else:
        payload = bytes([LASER, 255])
        board.send(encode_packet(sequence, MessageType.SET, payload, board.session))
        board.run(3)
        assert board.heard()[0].payload == bytes([Cause.SEQUENCE])
    assert (board.level("B1"), board.level("B5")) == (0, 0)
    assert board.edges_of("B1") == []


def test_what_an_earlier_program_left_in_the_line_is_noise(switched_on: Board) -> None:
    board = switched_on
    begin(board)
    stale = encode_packet(3, MessageType.SET, bytes([LASER, 255]), session=0x9999)
    board.send(stale)
    board.run(3)
    assert board.edges == []


def test_a_hello_in_the_middle_switches_all_off(switched_on: Board) -> None:
    board = switched_on
    begin(board)
    switch_on(board)
    board.hello(0x77)
    assert board.level("B1") == 0
    assert (
        board.ask(MessageType.SET, bytes([LASER, 255])).payload[1]
        == Status.NOT_CONFIGURED
    )


def test_a_reset_lets_go_of_the_pins(switched_on: Board) -> None:
    board = switched_on
    begin(board)
    switch_on(board)
    board.tell("reset")
    board.send(board.frame(MessageType.SET, bytes([LASER, 255])))
    board.run(20)
    for register in (PORTB, DDRB):  # no output until it is configured anew
        assert not board.peek(register) & 0b10
    assert board.said[board._heard :] == []


often = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@often
@given(noise=st.binary(max_size=400))
def test_no_noise_switches_anything_on(switched_on: Board, noise: bytes) -> None:
    board = switched_on
    begin(board)
    board.send(noise + b"\0")
    board.run(12)
    assert not any(edge.level for edge in board.edges)


level, pin = st.integers(0, 255), st.sampled_from([*PINS, 7])
orders = st.one_of(
    st.tuples(
        st.just(MessageType.SET), st.builds(lambda p, at: bytes([p, at]), pin, level)
    ),
    st.tuples(
        st.just(MessageType.TRAIN),
        st.builds(
            lambda p, *numbers: struct.pack("<BBIII", p, *numbers),
            pin,
            level,
            st.integers(1, 20_000),
            st.integers(1, 40_000),
            st.integers(0, 10_000),
        ),
    ),
    st.tuples(
        st.sampled_from([MessageType.HEARTBEAT, MessageType.ALL_OFF]), st.just(b"")
    ),
)
acts = st.one_of(
    orders,
    st.floats(0.1, 30),
    st.binary(min_size=1, max_size=8).map(lambda noise: noise + b"\0"),
)


@often
@given(acts=st.lists(acts, max_size=25))
def test_whatever_comes_no_pin_breaks_its_bounds(
    switched_on: Board, acts: list[tuple[MessageType, bytes] | float | bytes]
) -> None:
    board = switched_on
    begin(board, limit_ms=LIMIT_MS)
    for act in acts:
        if isinstance(act, float):
            board.run(act)
        else:
            board.send(act if isinstance(act, bytes) else board.frame(*act))
            board.run(0.5)
    beat = board.cycle
    board.run(120)
    for name in PINS.values():
        edges = board.edges_of(name)
        for went_on, went_off in zip(edges[::2], edges[1::2], strict=False):
            assert went_off.cycle - went_on.cycle <= LIMIT_MS * MS + SLACK
        assert board.level(name) == 0
        assert not edges or edges[-1].cycle - beat <= 100 * MS + SLACK
