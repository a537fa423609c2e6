"""Numbered pulses of the real firmware: none is uncounted, generated ones are in time."""

import struct

import numpy as np
import pytest

from outputs.board.protocol import (
    TOO_MANY_PULSES,
    MessageType,
    Mode,
    Packet,
    PulseSide,
    Status,
)
from tests.firmware.commands import LASER, LASER_PIN, LONG_US, configure, put, train
from tests.firmware.emulation import MEGA, MS, Board, emulated, needs_simavr

pytestmark = needs_simavr

EXPOSURE, EXPOSURE_PIN = 2, "D2"
SECOND, SECOND_PIN = 3, "D3"
EIMSK, UBRR = 0x3D, 0xC4
TRIGGER, TRIGGER_PIN = 8, "B0"
OTHERS: list[Packet] = []
"""What the board said besides the last answer."""


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    OTHERS.clear()


@pytest.fixture
def idle(switched_on: Board) -> Board:
    """A board in a new session, without outputs."""
    switched_on.run(5)
    switched_on.heard()  # of the test before
    switched_on.pin(EXPOSURE_PIN, 0)
    switched_on.hello(0x7777)
    switched_on.edges.clear()
    return switched_on


@pytest.fixture
def laser(idle: Board) -> Board:
    """A board with a laser's pin."""
    assert configure(idle, LASER, Mode.DIGITAL_OUT, LONG_US) is Status.OK
    idle.edges.clear()
    return idle


def asked(board: Board, kind: MessageType, payload: bytes) -> Status:
    board.send(board.frame(kind, payload))
    board.run(2)
    frames = board.heard()
    OTHERS.extend(frames)
    (answer,) = (
        frame
        for frame in frames
        if frame.kind == MessageType.ACK and frame.payload[0] == board.sequence % 256
    )
    return Status(answer.payload[1])


def count(
    board: Board, side: PulseSide = PulseSide.RISING, dead_us: int = 0, pin: int = 2
) -> Status:
    payload = struct.pack("<BBH", pin, side, dead_us)
    return asked(board, MessageType.COUNT_PULSES, payload)


def generate(
    board: Board, rate: float, width_us: int = 200, dither_us: int = 0, pin: int = 8
) -> Status:
    numbers = round(1e9 / rate) if rate else 0, width_us, dither_us, 321
    payload = struct.pack("<BIIHH", pin, *numbers)
    return asked(board, MessageType.GENERATE, payload)


def run(board: Board, ms: float) -> None:
    """Let it run, with a sign of life from the program now and then."""
    for _ in range(round(ms / 100)):
        board.send(board.frame(MessageType.GET_STATE))
        board.run(100)
        OTHERS.extend(board.heard())


def told(board: Board, pin: int) -> list[tuple[int, int]]:
    """Return number and time of each pulse that the board has reported."""
    OTHERS.extend(board.heard())
    pulses = [f.numbers("BII") for f in OTHERS if f.kind == MessageType.PULSE]
    return [(number, time_us) for where, number, time_us in pulses if where == pin]


def rising(board: Board, pin: str) -> np.ndarray:
    edges = board.edges_of(pin)
    return np.array([edge.cycle / 16 for edge in edges if edge.level])


def expose(board: Board, us: float, every_us: float) -> float:
    """Give a pulse at the exposure pin; return its cycle."""
    board.pin(EXPOSURE_PIN, 1)
    begun = board.cycle
    board.run(us / 1e3)
    board.pin(EXPOSURE_PIN, 0)
    board.run((every_us - us) / 1e3)
    return begun


@pytest.mark.parametrize("defines", [(), ("HAL_POLLED",)])
def test_each_exposure_is_numbered_with_its_time(defines: tuple[str, ...]) -> None:
    with emulated(*defines) as board:
        board.hello()
        assert count(board) is Status.OK
        begun = [expose(board, us, 2000) for us in (50, 500, 1000, 20, 50)]
        pulses = told(board, EXPOSURE)
        assert [number for number, _ in pulses] == [0, 1, 2, 3, 4]
        apart = np.diff([time_us for _, time_us in pulses])
        assert np.abs(apart - np.diff(begun) / 16).max() < 20


def test_the_falling_edge_counts_for_inverted_lines(idle: Board) -> None:
    idle.pin(EXPOSURE_PIN, 1)
    idle.run(1)
    assert count(idle, PulseSide.FALLING) is Status.OK
    assert told(idle, EXPOSURE) == []
    idle.pin(EXPOSURE_PIN, 0)
    idle.run(1)
    idle.pin(EXPOSURE_PIN, 1)
    idle.run(1)
    assert [number for number, _ in told(idle, EXPOSURE)] == [0]


def test_an_edge_before_the_counting_is_not_counted(idle: Board) -> None:
    assert count(idle) is Status.OK
    expose(idle, 100, 1000)
    assert count(idle, PulseSide.NO_COUNT) is Status.OK
    expose(idle, 100, 1000)
    OTHERS.clear()
    idle.heard()
    assert count(idle) is Status.OK
    assert told(idle, EXPOSURE) == []
    expose(idle, 100, 1000)
    assert [number for number, _ in told(idle, EXPOSURE)] == [0]


def test_a_bounce_is_no_pulse(idle: Board) -> None:
    assert count(idle, dead_us=500) is Status.OK
    for _ in range(3):
        expose(idle, 50, 100)
        expose(idle, 500, 5000)
    assert [number for number, _ in told(idle, EXPOSURE)] == [0, 1, 2]


def test_pulses_keep_their_numbers_while_the_line_is_busy(idle: Board) -> None:
    """The answers to many commands fill the line; pulses without times are numbered too."""
    assert count(idle) is Status.OK
    numbers = []
    for _ in range(12):
        for _ in range(12):  # 33 bytes of answers each
            idle.send(idle.frame(MessageType.GET_STATE))
        for _ in range(20):
            expose(idle, 40, 100)
            numbers.append(len(numbers))
    idle.run(100)
    pulses = told(idle, EXPOSURE)
    reported = [number for number, _ in pulses]
    assert reported == sorted(set(reported)) and set(reported) <= set(numbers)
    expose(idle, 40, 1000)
    ((last, _),) = told(idle, EXPOSURE)[len(pulses) :]
    assert last == len(numbers)


def test_noise_ends_the_counting_and_delays_no_output(laser: Board) -> None:
    """The pin that is on goes off at its limit although edges keep coming."""
    board = laser
    assert count(board) is Status.OK
    board.send(board.frame(MessageType.TRAIN, train(1000, 10_000, 1)))
    board.run(0.5)
    for _ in range(2500):
        board.pin(EXPOSURE_PIN, 1)
        board.run(0.001)
        board.pin(EXPOSURE_PIN, 0)
        board.run(0.001)
    board.run(20)
    (width,) = board.widths_us(LASER_PIN)[:1]
    assert width == pytest.approx(1000, abs=30)
    assert told(board, EXPOSURE)[-1][0] == TOO_MANY_PULSES
    board.hello()
    assert board.ask(MessageType.ALL_OFF).kind == MessageType.ACK


def test_noise_ends_the_counting_of_polled_boards() -> None:
    with emulated("HAL_POLLED") as board:
        board.hello()
        board.poke(UBRR, 0)
        assert count(board) is Status.OK
        for _ in range(2500):
            board.pin(EXPOSURE_PIN, 1)
            board.run(0.001)
            board.pin(EXPOSURE_PIN, 0)
            board.run(0.001)
        board.run(20)
        assert told(board, EXPOSURE)[-1][0] == TOO_MANY_PULSES


@pytest.mark.parametrize("rate", [30.0, 100.0, 333.0])
def test_generated_pulses_keep_the_rate_exactly(idle: Board, rate: float) -> None:
    assert generate(idle, rate) is Status.OK
    run(idle, 3000)
    times = rising(idle, TRIGGER_PIN)
    assert len(times) in (round(3 * rate), round(3 * rate) + 1)
    expected = times[0] + np.arange(len(times)) * 1e6 / rate
    assert np.abs(times - expected).max() < 20
    pulses = told(idle, TRIGGER)
    assert [number for number, _ in pulses] == [*range(len(pulses))]
    assert abs(len(pulses) - len(times)) <= 1
    late = np.array([time_us for _, time_us in pulses]) - times[: len(pulses)]
    assert np.ptp(late) < 20
    assert generate(idle, 0) is Status.OK
    idle.edges.clear()
    run(idle, 200)
    assert not len(rising(idle, TRIGGER_PIN))


def test_dither_moves_pulses_and_keeps_the_mean_rate(idle: Board) -> None:
    assert generate(idle, 100, dither_us=200) is Status.OK
    run(idle, 3000)
    times = rising(idle, TRIGGER_PIN)
    late = times - times[0] - np.arange(len(times)) * 1e4
    assert 150 < np.ptp(late) <= 215
    assert len(np.unique(np.round(np.diff(late)))) > 100
    generate(idle, 0)


def test_the_generator_stops_when_the_program_dies(idle: Board) -> None:
    assert generate(idle, 100, 4000) is Status.OK
    run(idle, 500)
    heard = idle.cycle
    idle.run(2500)
    last = idle.edges_of(TRIGGER_PIN)[-1]
    assert last.level == 0
    assert 800 * MS < last.cycle - heard < 1100 * MS


def test_a_long_pulse_ends_when_the_program_dies(idle: Board) -> None:
    assert generate(idle, 0.5, 1_900_000) is Status.OK
    last_command = idle.cycle
    idle.run(900)
    assert idle.level(TRIGGER_PIN) == 1
    idle.run(300)
    last = idle.edges_of(TRIGGER_PIN)[-1]
    assert last.level == 0
    assert last.cycle - last_command < 1015 * MS


def test_a_long_pulse_ends_when_the_board_trips(laser: Board) -> None:
    assert generate(laser, 0.5, 1_900_000) is Status.OK
    assert asked(laser, MessageType.SET, bytes([LASER, 255])) is Status.OK
    laser.run(95)
    assert laser.level(TRIGGER_PIN) == laser.level(LASER_PIN) == 1
    laser.run(20)
    assert laser.level(TRIGGER_PIN) == laser.level(LASER_PIN) == 0


@pytest.mark.parametrize("defines", [(), ("HAL_POLLED",)])
def test_pulses_without_end_do_not_delay_the_watchdog(
    defines: tuple[str, ...],
) -> None:
    """On a line so quick that it is free for the next report each time."""
    with emulated(*defines) as board:
        board.hello()
        assert configure(board, LASER, Mode.DIGITAL_OUT, LONG_US) is Status.OK
        assert count(board) is Status.OK
        board.poke(UBRR, 0)
        assert put(board, LASER, 255) is Status.OK
        for _ in range(3000):
            board.pin(EXPOSURE_PIN, 1)
            board.run(0.02)
            board.pin(EXPOSURE_PIN, 0)
            board.run(0.02)
        (width_us,) = board.widths_us(LASER_PIN)
        assert 99_000 < width_us < 103_000


def test_a_second_counter_does_not_swallow_an_edge_of_the_first() -> None:
    with emulated() as board:
        board.hello()
        assert count(board) is Status.OK
        before = board.peek(EIMSK)
        payload = struct.pack("<BBH", SECOND, PulseSide.RISING, 0)
        board.send(board.frame(MessageType.COUNT_PULSES, payload))
        while board.peek(EIMSK) == before:
            board.run(1 / MS)  # a cycle
        board.pin(EXPOSURE_PIN, 1)  # while interrupts are disabled
        board.run(5)
        assert [number for number, _ in told(board, EXPOSURE)] == [0]
        assert told(board, SECOND) == []
        board.pin(SECOND_PIN, 1)
        board.run(5)
        assert [number for number, _ in told(board, SECOND)] == [0]


def test_a_board_has_four_counters() -> None:
    with emulated(chip=MEGA) as board:
        board.hello()
        statuses = [count(board, pin=pin) for pin in (2, 3, 18, 19, 20)]
        assert statuses == [Status.OK] * 4 + [Status.FULL]


def test_pulses_and_outputs_do_not_disturb_each_other(laser: Board) -> None:
    board = laser
    assert generate(board, 500, 300) is Status.OK
    board.edges.clear()
    board.send(board.frame(MessageType.TRAIN, train(1000, 5000, 40)))
    for _ in range(4):
        board.send(board.frame(MessageType.HEARTBEAT))
        board.run(50)
        OTHERS.extend(board.heard())
    widths = np.array(board.widths_us(LASER_PIN))[:79]
    assert np.abs(widths[::2] - 1000).max() < 25
    assert np.abs(widths[1::2] - 4000).max() < 25
    pulses = told(board, TRIGGER)
    assert [number for number, _ in pulses] == [*range(len(pulses))]
    assert generate(board, 0) is Status.OK


def test_what_the_board_refuses(laser: Board) -> None:
    board = laser
    assert generate(board, 0) is Status.NOT_CONFIGURED
    assert count(board, PulseSide.NO_COUNT) is Status.NOT_CONFIGURED
    assert count(board, pin=4) is Status.BAD_PIN  # it has no interrupt
    assert generate(board, 100, pin=LASER) is Status.BAD_PIN
    assert generate(board, 2000) is Status.BAD_VALUE
    assert generate(board, 500, width_us=1950) is Status.BAD_VALUE
    assert count(board, PulseSide(2)) is Status.OK
    assert count(board) is Status.BAD_PIN
    assert generate(board, 100) is Status.OK
    assert generate(board, 100, pin=7) is Status.FULL
    assert configure(board, EXPOSURE, Mode.DIGITAL_IN, 0) is Status.BAD_PIN
    assert asked(
        board, MessageType.CONFIGURE, struct.pack("<BBIH", TRIGGER, 1, LONG_US, 100)
    ) is Status.BAD_PIN  # fmt: skip
    assert put(board, LASER, 0) is Status.OK
    board.hello()
    assert generate(board, 0) is Status.NOT_CONFIGURED
