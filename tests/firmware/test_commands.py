"""What the real firmware does with every command, on an emulated Uno."""

import struct
from collections.abc import Iterator

import pytest

from outputs.board_frames import Cause, Kind, Mode, Status, encoded
from tests.firmware.emulation import HERTZ, MEGA, MS, Board, emulated, needs_simavr

pytestmark = needs_simavr

LASER, LASER_PIN = 9, "B1"
LED, LED_PIN = 13, "B5"
LICK, LICK_PIN = 2, "D2"
OCR2B, TCCR2A, COM2B1 = 0xB4, 0xB0, 0x20
"""The registers of pin 3's duty, on the Uno."""
LONG_US = 60_000_000


@pytest.fixture(scope="module")
def switched_on() -> Iterator[Board]:
    with emulated() as board:
        yield board


@pytest.fixture
def board(switched_on: Board) -> Board:
    """A board in a new session, the laser's and the LED's pins configured."""
    switched_on.hello(0x4321)
    for pin in (LASER, LED):
        assert configure(switched_on, pin, Mode.DIGITAL_OUT, LONG_US) is Status.OK
    switched_on.edges.clear()
    return switched_on


def status(board: Board, kind: Kind, payload: bytes = b"") -> Status:
    """Send a command and return what the board says of it."""
    answer = board.ask(kind, payload)
    assert answer.kind == Kind.ACK
    sequence, said, _ = answer.numbers("BBI")
    assert sequence == board.sequence
    return Status(said)


def configure(board: Board, pin: int, mode: Mode, value: int) -> Status:
    return status(board, Kind.CONFIGURE, struct.pack("<BBI", pin, mode, value))


def put(board: Board, pin: int, level: int) -> Status:
    return status(board, Kind.SET, bytes([pin, level]))


def train(width_us: int, period_us: int, count: int, level: int = 255) -> bytes:
    return struct.pack("<BBIII", LASER, level, width_us, period_us, count)


def test_it_says_who_it_is(switched_on: Board) -> None:
    who = switched_on.hello(0xBEEF, watchdog_ms=250)
    assert who.kind == Kind.IDENTITY
    assert who.payload[:3] == bytes([1, 1, 0])
    assert struct.unpack_from("<HH", who.payload, 5) == (0xBEEF, 250)
    board_us = struct.unpack_from("<I", who.payload, 9)[0]
    assert abs(board_us / 1e6 - switched_on.cycle / HERTZ) < 0.01
    assert who.payload[13:] == b"Arduino Uno"


@pytest.mark.parametrize(("asked", "given"), [(1, 20), (5000, 1000)])
def test_the_watchdog_has_bounds(switched_on: Board, asked: int, given: int) -> None:
    who = switched_on.hello(watchdog_ms=asked)
    assert struct.unpack_from("<H", who.payload, 7)[0] == given


def test_a_pin_goes_on_and_off_and_the_board_says_when(board: Board) -> None:
    began_us = []
    for level in (1, 0, 1, 0):
        answer = board.ask(Kind.SET, bytes([LASER, 255 * level]))
        _, said, board_us = answer.numbers("BBI")
        edge = board.edges_of(LASER_PIN)[-1]
        assert (said, edge.level) == (Status.OK, level)
        began_us.append(edge.cycle / 16 - board_us)
    assert max(began_us) - min(began_us) < 20
    assert 0 < min(began_us) < 500  # its clock begins when it has started
    assert [edge.level for edge in board.edges_of(LASER_PIN)] == [1, 0, 1, 0]
    assert board.edges_of(LED_PIN) == []


def test_all_off(board: Board) -> None:
    put(board, LASER, 255)
    put(board, LED, 255)
    assert status(board, Kind.ALL_OFF) is Status.OK
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
        (Kind.SET, bytes([7, 255]), Status.NOT_CONFIGURED),
        (Kind.SET, bytes([LASER]), Status.UNKNOWN),
        (Kind.BEAT, b"x", Status.UNKNOWN),
        (Kind.ACK, b"", Status.UNKNOWN),
        (Kind.TRAIN, train(0, 10_000, 5), Status.BAD_VALUE),
        (Kind.TRAIN, train(10_000, 10_000, 5), Status.BAD_VALUE),
        (Kind.TRAIN, train(100, 999, 5), Status.BAD_VALUE),
        (Kind.TRAIN, train(1000, 10_000, 0), Status.BAD_VALUE),
        (Kind.TRAIN, train(1000, 10_000, 5, level=0), Status.BAD_VALUE),
    ],
)
def test_what_can_not_be_done_is_refused(
    board: Board, kind: Kind, payload: bytes, said: Status
) -> None:
    assert status(board, kind, payload) is said
    board.run(20)
    assert board.edges == []


@pytest.mark.parametrize(
    ("width_us", "period_us", "count"),
    [(5000, 25_000, 4), (1000, 7692, 12), (50, 1000, 60), (500, 1000, 50)],
)
def test_a_train_is_as_asked(
    board: Board, width_us: int, period_us: int, count: int
) -> None:
    answer = board.ask(Kind.TRAIN, train(width_us, period_us, count))
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
    (over,) = (frame for frame in board.heard() if frame.kind == Kind.WENT_OFF)
    pin, cause, board_us = over.numbers("BBI")
    assert (pin, cause) == (LASER, Cause.TRAIN_END)
    assert board_us - began_us == (count - 1) * period_us + width_us


def test_one_pulse_needs_no_period(board: Board) -> None:
    assert status(board, Kind.TRAIN, train(3000, 0, 1)) is Status.OK
    board.run(10)
    (width,) = board.widths_us(LASER_PIN)
    assert abs(width - 3000) < 5


def test_off_ends_a_train(board: Board) -> None:
    status(board, Kind.TRAIN, train(4000, 8000, 1000))
    board.run(20)
    assert put(board, LASER, 0) is Status.OK
    board.edges.clear()
    board.run(30)
    assert board.edges == []


def test_two_trains_at_once(board: Board) -> None:
    fast = train(1000, 5000, 10)
    status(board, Kind.TRAIN, fast)
    status(board, Kind.TRAIN, bytes([LED]) + struct.pack("<BIII", 255, 2000, 7000, 8))
    board.run(60)
    for pin, width_us, count in ((LASER_PIN, 1000, 10), (LED_PIN, 2000, 8)):
        widths = board.widths_us(pin)[::2]
        assert len(widths) == count
        assert all(abs(width - width_us) < 30 for width in widths)


def test_the_state_tells_what_is_high(board: Board) -> None:
    put(board, LED, 255)
    sequence, latched, high, _ = board.ask(Kind.ASK_STATE).numbers("BBBI")
    assert (sequence, latched, high) == (board.sequence, Cause.NONE, 0b10)


def clock_us(board: Board) -> float:
    """Return when the board's clock began, on the emulator's."""
    _, _, board_us = board.ask(Kind.SET, bytes([LED, 255])).numbers("BBI")
    return board.edges_of(LED_PIN)[-1].cycle / 16 - board_us - 20


def changes(board: Board) -> list[tuple[int, int]]:
    """Return the levels of the lick's pin that were told, and when they began, in us."""
    frames = [frame for frame in board.heard() if frame.kind == Kind.INPUT_CHANGED]
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
        board.frame(Kind.CONFIGURE, struct.pack("<BBI", LICK, Mode.DIGITAL_IN, 2000))
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
    board.run(0.5)
    ((level, at_us),) = changes(board)
    assert level == 1 and -20 < at_us - began_us < 150


def test_inputs_are_told_while_a_train_runs(board: Board) -> None:
    board.pin(LICK_PIN, 0)
    configure(board, LICK, Mode.DIGITAL_IN, 0)
    board.run(1)
    board.heard()
    status(board, Kind.TRAIN, train(500, 1000, 60))
    for n in range(20):
        board.pin(LICK_PIN, (n + 1) % 2)
        board.run(2)
    assert [level for level, _ in changes(board)] == [1, 0] * 10


def test_forty_commands_in_a_row_are_all_answered(board: Board) -> None:
    board.send(b"".join(board.frame(Kind.SET, bytes([LED, n % 2])) for n in range(40)))
    board.run(40)
    answers = [frame.numbers("BBI") for frame in board.heard()]
    assert [sequence for sequence, _, _ in answers] == list(range(3, 43))
    assert {said for _, said, _ in answers} == {Status.OK}
    assert len(board.edges_of(LED_PIN)) == 40 - 1


def test_more_than_can_be_answered_switches_off(board: Board) -> None:
    beats = (board.frame(Kind.BEAT) for _ in range(150))
    put(board, LED, 255)
    board.send(b"".join(beats))
    board.run(60)
    assert board.level(LED_PIN) == 0
    (fault,) = (frame for frame in board.heard() if frame.kind == Kind.FAULT)
    assert fault.payload == bytes([Cause.OVERFLOW])


def test_a_program_of_another_time_is_told_who_we_are_and_no_more(
    switched_on: Board,
) -> None:
    board = switched_on
    board.hello()
    board.session, board.sequence = 0x1111, 0
    payload = bytes([99, 0x11, 0x11, 100, 0])
    board.send(b"\0" + encoded(0, Kind.HELLO, payload, 0))
    board.run(5)
    assert board.heard()[-1].kind == Kind.IDENTITY
    board.send(board.frame(Kind.BEAT))
    board.run(5)
    assert board.heard() == []


def test_the_polled_clock_of_other_boards_does_the_same() -> None:
    """The file for Teensy and others, on the core of the Uno: it calls nothing else."""
    with emulated("HAL_POLLED") as board:
        assert board.hello().payload[13:] == b"Arduino board"
        configure(board, LASER, Mode.DIGITAL_OUT, 100_000)
        status(board, Kind.TRAIN, train(2000, 5000, 6))
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
        assert board.hello().payload[13:] == b"Arduino Mega"
        configure(board, 53, Mode.DIGITAL_OUT, LONG_US)
        put(board, 53, 255)
        board.run(150)
        (width,) = board.widths_us("B0")
        assert abs(width - 100_000) < 100
