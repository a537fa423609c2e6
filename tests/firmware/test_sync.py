"""Sync signals of the real firmware: timing, reports, and no harm to outputs and watchdog."""

import struct
from itertools import pairwise

import numpy as np
import pytest

from deeplabstream.recording.alignment.sync_signals import (
    CODE_EVERY_S,
    PULSE_S,
    PULSE_SPREAD,
    Edges,
    code_edges_s,
    read_codes,
)
from outputs.board.protocol import MessageType, Mode, Packet, Pattern, Status
from tests.firmware.commands import (
    LASER,
    LASER_PIN,
    LONG_US,
    configure,
    train,
)
from tests.firmware.emulation import MS, Board, emulated, needs_simavr

pytestmark = needs_simavr

SYNC, SYNC_PIN = 8, "B0"
MEAN_S = 1.0
REPORTS: list[Packet] = []


def start(
    board: Board, pattern: Pattern, first: int, period_s: float, pin: int = SYNC
) -> Status:
    """Ask for a signal; `REPORTS` gets what the board reported meanwhile."""
    payload = struct.pack("<BBII", pin, pattern, first, round(period_s * 1e6))
    return asked(board, MessageType.SYNC, payload)


def asked(board: Board, kind: MessageType, payload: bytes) -> Status:
    board.send(board.frame(kind, payload))
    board.run(2)
    frames = board.heard()
    REPORTS.extend(frames)
    (answer,) = (
        frame
        for frame in frames
        if frame.kind == MessageType.ACK and frame.payload[0] == board.sequence % 256
    )
    return Status(answer.payload[1])


def stop(board: Board) -> Status:
    return start(board, Pattern.NONE, 0, 0)


def seen(board: Board) -> Edges:
    """Return what another recorder sees of the pin."""
    edges = board.edges_of(SYNC_PIN)
    times = np.array([edge.cycle for edge in edges]) / 16e6
    return Edges(times, np.array([edge.level > 0 for edge in edges], bool))


def told(board: Board) -> list[tuple[int, ...]]:
    frames = [*REPORTS, *board.heard()]
    return [f.numbers("BBI") for f in frames if f.kind == MessageType.INPUT_CHANGED]


def live_on(board: Board, ms: float) -> None:
    """Let the board run after a command of a program that is alive."""
    board.send(board.frame(MessageType.GET_STATE))
    board.run(ms)
    REPORTS.extend(board.heard())


@pytest.fixture(autouse=True)
def _no_reports() -> None:
    REPORTS.clear()


@pytest.fixture
def idle(switched_on: Board) -> Board:
    """A board in a new session, without outputs."""
    switched_on.run(5)
    switched_on.heard()  # of the test before
    switched_on.hello(0x7777)
    switched_on.edges.clear()
    return switched_on


def test_barcodes_have_the_timing_of_the_one_core(idle: Board) -> None:
    assert start(idle, Pattern.BARCODES, 0xDEADBEEF, CODE_EVERY_S) is Status.OK
    idle.run(11_500)
    line = seen(idle)
    codes = read_codes(line)
    assert codes.values.tolist() == [0xDEADBEEF + n for n in range(3)]
    begins = line.times_s[codes.edges]
    assert np.abs(np.diff(begins) - CODE_EVERY_S).max() < 2e-5
    for value, edge in zip(codes.values.tolist(), codes.edges.tolist(), strict=True):
        expected = np.array(code_edges_s(value))
        times = line.times_s[edge : edge + len(expected)]
        assert np.abs(times - times[0] - (expected - expected[0])).max() < 2e-5
    stop(idle)


def test_random_pulses_have_the_timing_of_rsync(idle: Board) -> None:
    assert start(idle, Pattern.RANDOM_PULSES, 12345, MEAN_S) is Status.OK
    idle.run(12_000)
    line = seen(idle)
    stop(idle)
    times = line.times_s
    assert np.abs(np.diff(times)[::2] - PULSE_S).max() < 2e-5
    intervals = np.diff(times[line.rising]) / MEAN_S
    low, high = PULSE_SPREAD
    assert intervals.min() > low - 0.003 and intervals.max() < high + 0.003
    assert 0.4 < intervals.mean() < 1.6 and intervals.std() > 0.2
    assert len(np.unique(np.round(intervals, 4))) == len(intervals)


def test_flashes_are_half_a_period_long_at_random_phases(idle: Board) -> None:
    assert start(idle, Pattern.FLASHES, 99, 0.4) is Status.OK
    for _ in range(40):
        live_on(idle, 500)
    line = seen(idle)
    stop(idle)
    times = line.times_s
    assert np.abs(np.diff(times)[::2] - 0.2).max() < 2e-5
    intervals = np.diff(times[line.rising])
    assert len(intervals) > 40
    assert 0.32 <= intervals.min() < 0.36 and 0.44 < intervals.max() <= 0.483
    assert len(np.unique(np.round(intervals, 3))) > 30


@pytest.mark.parametrize("defines", [(), ("HAL_POLLED",)])
@pytest.mark.parametrize("every_s", [0.4, 20.0])
def test_flashes_end_when_the_program_dies(
    every_s: float, defines: tuple[str, ...]
) -> None:
    """With no output on, and in the middle of a flash."""
    with emulated(*defines) as board:
        board.hello(0x99)
        assert start(board, Pattern.FLASHES, 1, every_s) is Status.OK
        for _ in range(3):
            live_on(board, 500)
        live_on(board, 0)
        last_command = board.cycle
        board.run(900)
        flashes = board.edges_of(SYNC_PIN)
        assert flashes[-1].cycle > last_command or board.level(SYNC_PIN) == 1
        board.run(4000)
        last = board.edges_of(SYNC_PIN)[-1]
        assert last.level == 0
        assert last.cycle - last_command < 1015 * MS
        assert len(board.edges_of(SYNC_PIN)) <= len(flashes) + 2
        assert stop(board) is Status.NOT_CONFIGURED
        REPORTS.clear()
        board.edges.clear()
        assert start(board, Pattern.FLASHES, 1, 0.4) is Status.OK
        live_on(board, 1000)
        assert len(board.edges_of(SYNC_PIN)) >= 4, (
            "a program that goes on can restart it"
        )


def test_barcodes_and_random_pulses_do_not_end_without_commands(idle: Board) -> None:
    for pattern in (Pattern.BARCODES, Pattern.RANDOM_PULSES):
        assert start(idle, pattern, 5, 2.1) is Status.OK
        idle.run(5000)
        idle.edges.clear()
        idle.run(5000)
        assert len(seen(idle).times_s) > 1
        assert stop(idle) is Status.OK


def test_two_seeds_give_two_signals(idle: Board) -> None:
    signals = []
    for seed in (1, 2, 1):
        idle.edges.clear()
        start(idle, Pattern.RANDOM_PULSES, seed, 1.0)
        idle.run(6000)
        stop(idle)
        times = seen(idle).times_s
        signals.append(np.diff(times[:8]))
    assert np.abs(signals[0] - signals[2]).max() < 1e-4
    assert np.abs(signals[0] - signals[1]).max() > 0.01


def test_every_edge_is_reported_with_the_time_at_which_it_was_written(
    idle: Board,
) -> None:
    start(idle, Pattern.BARCODES, 0x55555555, CODE_EVERY_S)
    idle.run(7000)
    stop(idle)
    edges = idle.edges_of(SYNC_PIN)
    reports = told(idle)
    assert [(pin, level) for pin, level, _ in reports] == [
        (SYNC, e.level) for e in edges
    ]
    assert len(edges) > 40
    late_us = np.array(
        [e.cycle / 16 - us for e, (_, _, us) in zip(edges, reports, strict=True)]
    )
    assert np.ptp(late_us) < 12


@pytest.mark.parametrize("pattern", [Pattern.BARCODES, Pattern.RANDOM_PULSES])
def test_a_train_beside_the_signal_is_as_exact_as_alone(
    board: Board, pattern: Pattern
) -> None:
    """An edge that falls on one of the signal waits for it, some microseconds."""
    assert start(board, pattern, 0xAAAAAAAA, 2.1) is Status.OK
    assert asked(board, MessageType.TRAIN, train(500, 1000, 1500)) is Status.OK
    for _ in range(30):  # feeds the watchdog
        board.send(board.frame(MessageType.HEARTBEAT))
        board.run(50)
    highs = [edge.cycle / 16 for edge in board.edges_of(LASER_PIN) if edge.level]
    assert len(highs) >= 1490
    off = np.array([at - highs[0] - 1000 * n for n, at in enumerate(highs)])
    assert np.abs(off).max() < 15
    assert (np.abs(off) < 5).mean() > 0.9
    assert len(board.edges_of(SYNC_PIN)) >= 2
    stop(board)


def test_the_watchdog_is_as_quick_beside_the_signal(board: Board) -> None:
    start(board, Pattern.BARCODES, 0xAAAAAAAA, 2.1)
    board.send(board.frame(MessageType.HEARTBEAT))
    board.run(2)
    board.edges.clear()
    assert asked(board, MessageType.SET, bytes([LASER, 255])) is Status.OK
    board.run(150)
    (width,) = board.widths_us(LASER_PIN)
    assert abs(width - 100_000) < 300
    board.run(100)
    assert board.level(SYNC_PIN) == 0, "a board that tripped is silent"
    before = len(board.edges_of(SYNC_PIN))
    board.run(5000)
    assert len(board.edges_of(SYNC_PIN)) == before


def test_the_signal_needs_no_heartbeat_and_ends_with_the_session(idle: Board) -> None:
    start(idle, Pattern.BARCODES, 3, 2.1)
    idle.run(4000)
    assert read_codes(seen(idle)).values.tolist() == [3, 4]
    idle.heard()
    idle.hello(0x1212)
    idle.edges.clear()
    idle.run(3000)
    assert idle.edges_of(SYNC_PIN) == []


def test_what_the_board_refuses(board: Board) -> None:
    codes = Pattern.BARCODES
    assert start(board, codes, 1, 5.0, LASER) is Status.BAD_PIN
    assert start(board, codes, 1, 5.0, 0) is Status.BAD_PIN
    assert start(board, codes, 1, 1.0) is Status.BAD_VALUE
    assert start(board, codes, 1, 61.0) is Status.BAD_VALUE
    assert start(board, Pattern.FLASHES, 1, 0.09) is Status.BAD_VALUE
    assert start(board, Pattern(3), 1, 61.0) is Status.BAD_VALUE
    assert stop(board) is Status.NOT_CONFIGURED
    assert start(board, codes, 1, 5.0) is Status.OK
    assert start(board, codes, 1, 5.0, 7) is Status.FULL
    assert configure(board, SYNC, Mode.DIGITAL_OUT, LONG_US) is Status.BAD_PIN
    assert configure(board, SYNC, Mode.DIGITAL_IN, 1000) is Status.BAD_PIN
    assert stop(board) is Status.OK
    assert configure(board, SYNC, Mode.DIGITAL_IN, 1000) is Status.OK


def test_the_board_of_other_families_gives_the_same_signal() -> None:
    with emulated("HAL_POLLED") as board:
        board.hello(0x99)
        assert start(board, Pattern.BARCODES, 0x0F0F0F0F, 2.1) is Status.OK
        board.run(3500)
        assert read_codes(seen(board)).values.tolist()[:1] == [0x0F0F0F0F]
        reports = told(board)
        assert len(reports) >= 20
        assert all(b > a for (_, _, a), (_, _, b) in pairwise(reports))
