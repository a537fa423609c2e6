"""The driver of our boards against the real firmware on an emulated Uno."""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import pytest

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.command import OutputName, Pulse, Train, off, on
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Acknowledged, Edge, Note
from deeplabstream.engine import output_bank
from deeplabstream.engine.output_bank import OutputBank, opened
from deeplabstream.engine.pulse_timer import PulseTimer
from deeplabstream.plugins.input import InputBroken, InputLevel
from outputs.board.output import BoardInput, BoardPin, BoardSync, link_to
from outputs.board.pulses import BoardPulses, BoardTrigger
from outputs.serial_line import SerialLine
from tests.firmware.emulation import needs_simavr
from tests.firmware.powered import Powered, powered

pytestmark = needs_simavr

LASER, VALVE = OutputName("laser"), OutputName("valve")
PINS = {"laser": (9, "B1"), "valve": (13, "B5")}
CLOCK = SystemClock()
T = TypeVar("T")


class Heard(list[T]):
    """What was told, by whatever thread."""

    def __init__(self) -> None:
        super().__init__()
        self._change = threading.Condition()

    def hear(self, news: T) -> None:
        with self._change:
            self.append(news)
            self._change.notify_all()

    def until(self, happened: Callable[[], object]) -> None:
        with self._change:
            assert self._change.wait_for(happened, 60), [*self]


class Feeder:
    """A loop that goes on until told to stop."""

    def __init__(self, bank: OutputBank) -> None:
        self._bank, self._over = bank, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.01):
            self._bank.heartbeat(CLOCK.now_ns())


@pytest.fixture
def board() -> Iterator[Powered]:
    with powered() as board:
        yield board


@pytest.fixture
def heard() -> Heard[Edge | Acknowledged | Note]:
    return Heard()


def pins(board: Powered, **more: int) -> dict[str, BoardPin]:
    return {
        name: BoardPin(port=board.port, pin=pin, watchdog_ms=1000, **more)  # type: ignore[arg-type]
        for name, (pin, _) in PINS.items()
    }


def acks(heard: Heard[Edge | Acknowledged | Note]) -> list[Acknowledged]:
    return [entry for entry in heard if isinstance(entry, Acknowledged)]


def test_every_write_is_acknowledged_with_its_time(
    board: Powered, heard: Heard[Edge | Acknowledged | Note]
) -> None:
    board.slow_down(10)
    with opened(pins(board), CLOCK, heard.hear) as bank, Feeder(bank):
        for command in (on(LASER), on(VALVE), off(LASER)):
            bank.apply([command], CLOCK.now_ns())
        heard.until(lambda: len(acks(heard)) == 5)
    board.now()
    edges = [entry for entry in heard if isinstance(entry, Edge)][:5]
    for edge, ack in zip(edges, acks(heard), strict=False):
        assert (ack.output, ack.level) == (edge.output, edge.level)
        assert edge.requested_ns <= ack.sent_ns <= edge.written_ns
        assert ack.sent_ns <= ack.acted_ns <= ack.received_ns
    assert [(e.pin, e.level) for e in board.edges if e.level] == [("B1", 1), ("B5", 1)]
    assert not any(board.level(pin) for _, pin in PINS.values())


def test_the_board_makes_pulses_and_trains_itself(
    board: Powered,
    heard: Heard[Edge | Acknowledged | Note],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output_bank, "BACKSTOP_NS", 60 * 10**9)  # the board alone ends
    board.slow_down(10)
    with (
        opened(pins(board), CLOCK, heard.hear) as bank,
        PulseTimer(bank, CLOCK),
        Feeder(bank),
    ):
        bank.apply([Train(LASER, 130, 0.0005, 6)], CLOCK.now_ns())
        bank.apply([Pulse(VALVE, 0.0123)], CLOCK.now_ns())
        ends = [("laser", 0.0, "pulse end"), ("valve", 0.0, "pulse end")]
        heard.until(
            lambda: (
                set(ends)
                <= {(e.output, e.level, e.cause) for e in heard if isinstance(e, Edge)}
            )
        )
        assert bank.levels == {"laser": 0, "valve": 0}
        bank.apply([on(LASER)], CLOCK.now_ns())  # known to be off: it is written
        board.until_level("B1", 1)
    board.now()
    widths = board.widths_us("B1")
    assert all(abs(width - 500) < 50 for width in widths[:12:2])
    assert all(abs(width - (1e6 / 130 - 500)) < 50 for width in widths[1:11:2])
    assert len(board.edges_of("B1")) == 14
    assert abs(board.widths_us("B5")[0] - 12_300) < 50


def test_what_stops_being_fed_is_off_and_says_so(
    board: Powered, heard: Heard[Edge | Acknowledged | Note]
) -> None:
    output = BoardPin(port=board.port, pin=9)
    with opened({"laser": output}, CLOCK, heard.hear) as bank, PulseTimer(bank, CLOCK):
        bank.apply([on(LASER)], CLOCK.now_ns())
        board.until(lambda: len(board.edges_of("B1")) == 2)  # 100 ms apart
        went_on, went_off = board.edges_of("B1")
        assert 1_600_000 <= went_off.cycle - went_on.cycle < 1_610_000
        heard.until(lambda: any(isinstance(entry, Note) for entry in heard))
        assert "got no heartbeat from the program's loop" in bank.fault
        assert bank.levels == {"laser": 0}
        with pytest.raises(DeviceError, match="got no heartbeat"):
            bank.apply([on(LASER)], CLOCK.now_ns())
    causes = [entry.cause for entry in heard if isinstance(entry, Edge)]
    assert causes[:3] == ["open", "plan", "board watchdog"]
    with opened({"laser": output}, CLOCK, heard.hear) as bank:  # and it can go on anew
        bank.apply([on(LASER)], CLOCK.now_ns())
        board.until(lambda: len(board.edges_of("B1")) > 2)


def test_a_board_that_vanishes_is_noticed(
    board: Powered, heard: Heard[Edge | Acknowledged | Note]
) -> None:
    with (
        pytest.raises(DeviceError, match="is gone"),
        opened(pins(board), CLOCK, heard.hear) as bank,
        PulseTimer(bank, CLOCK),
    ):
        board.unplug()
        heard.until(lambda: any(isinstance(entry, Note) for entry in heard))
        bank.apply([on(LASER)], CLOCK.now_ns())


def test_inputs_share_the_board_with_outputs(board: Powered) -> None:
    licks: Heard[InputLevel | InputBroken] = Heard()
    lever: Heard[InputLevel | InputBroken] = Heard()
    board.pin("D2", 0)
    board.pin("D3", 1)
    lick = BoardInput(port=board.port, pin=2, debounce_ms=1)
    pressed = BoardInput(port=board.port, pin=3, active_low=True, pull_up=True)
    output = BoardPin(port=board.port, pin=9)
    with (
        output.opened() as write,
        lick.opened(licks.hear),
        pressed.opened(lever.hear),
    ):
        licks.until(lambda: licks)
        lever.until(lambda: lever)
        board.pin("D3", 0)
        for n, level in enumerate([1, 0, 1]):
            board.pin("D2", level)
            licks.until(lambda n=n: len(licks) == n + 2)  # type: ignore[misc]
        lever.until(lambda: len(lever) == 2)
        write(0.0)
        assert [(x.active, x.first) for x in licks if isinstance(x, InputLevel)] == [
            (False, True),
            (True, False),
            (False, False),
            (True, False),
        ]
        assert [x.active for x in lever if isinstance(x, InputLevel)] == [False, True]
        assert all(
            x.began_ns <= x.received_ns for x in licks if isinstance(x, InputLevel)
        )
        board.unplug()
        licks.until(lambda: isinstance(licks[-1], InputBroken))


def test_a_sync_signal_is_reported_edge_by_edge(board: Powered) -> None:
    edges: Heard[InputLevel | InputBroken] = Heard()
    sync = BoardSync(port=board.port, pin=8, every_s=2.1)
    with BoardPin(port=board.port, pin=9).opened(), sync.opened(edges.hear):
        edges.until(lambda: len(edges) > 20)
    began = [each for each in edges if isinstance(each, InputLevel)]
    assert [(each.active, each.first) for each in began[:3]] == [
        (False, True),
        (True, False),
        (False, False),
    ]
    cycles = [edge.cycle for edge in board.edges_of("B0")][:20]
    zero = cycles[0] / 16 - began[1].device_us
    for each, cycle in zip(began[1:], cycles, strict=False):
        assert abs(cycle / 16 - zero - each.device_us) < 15
        assert each.began_ns <= each.received_ns


def test_a_board_without_commands_is_asked_for_its_clock(
    board: Powered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the times of its inputs would drift away, by up to 5 ms in a second."""
    monkeypatch.setattr("outputs.board.connection.COMPARE_NS", 50_000_000)
    lick = BoardInput(port=board.port, pin=2, debounce_ms=1)
    board.pin("D2", 0)
    heard: Heard[InputLevel | InputBroken] = Heard()
    with lick.opened(heard.hear), link_to(board.port) as link:
        heard.until(lambda: heard)
        before = len(board.took)
        board.until(lambda: len(board.took) > before + 30)
        assert link.last_state and not link.broken


@pytest.mark.parametrize(
    ("constant", "pattern", "what"),
    [
        ("SYNC_FIRMWARE", "barcodes", "sync signals"),
        ("FLASH_FIRMWARE", "flashes", "flashes"),
    ],
)
def test_old_firmware_has_no_sync_signals(
    constant: str,
    pattern: Literal["barcodes", "flashes"],
    what: str,
    board: Powered,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"outputs.board.link.{constant}", (9, 9))
    sync = BoardSync(port=board.port, pin=8, pattern=pattern)
    said = rf"has firmware 1\.2; {what} need 9\.9: upload the firmware of this"
    with pytest.raises(DeviceError, match=said), sync.opened(lambda news: None):
        raise AssertionError
    with BoardPin(port=board.port, pin=9).opened() as write:
        write(0.0)  # it can do all else


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"pin": 10, "pwm": True}, "has no PWM on this pin.*pin 10"),
        ({"pin": 120}, "has no such pin.*pin 120"),
        ({"pin": 9}, "pin 9 of .* is used twice"),
    ],
)
def test_what_the_board_refuses_is_a_sentence(
    board: Powered, more: dict[str, int], said: str
) -> None:
    first = BoardPin(port=board.port, pin=9)
    second = BoardPin(port=board.port, **more)  # type: ignore[arg-type]
    with first.opened(), pytest.raises(DeviceError, match=said), second.opened():
        raise AssertionError


def test_a_trigger_too_many_is_a_sentence(board: Powered) -> None:
    first = BoardTrigger(port=board.port, pin=8, rate=50)
    second = BoardTrigger(port=board.port, pin=7, rate=50)
    said = r"4 pulse counters, one sync signal and one trigger \(pin 7\)"
    with (
        first.opened(lambda news: None),
        pytest.raises(DeviceError, match=said),
        second.opened(lambda news: None),
    ):
        raise AssertionError


def test_a_counter_without_interrupt_is_a_sentence(board: Powered) -> None:
    counter = BoardPulses(port=board.port, pin=4)
    said = r"without interrupt; an Uno counts pulses at pin 2 or 3 only \(pin 4\)"
    with pytest.raises(DeviceError, match=said), counter.opened(lambda news: None):
        raise AssertionError


def test_the_port_is_for_one_kind_of_output(board: Powered) -> None:
    pin, line = BoardPin(port=board.port, pin=9), SerialLine(port=board.port)
    said = "other settings"
    with pin.opened(), pytest.raises(DeviceError, match=said), line.opened():
        raise AssertionError


def test_a_level_is_a_duty(board: Powered) -> None:
    pwm = BoardPin(port=board.port, pin=3, pwm=True)
    with pwm.opened() as write, link_to(board.port) as link:
        write(0.001)  # never rounded to off
        write(0.0)
        assert link.name == "Arduino Uno"
        assert link.state()[1] == 0


def test_too_long_on_for_a_board_is_refused() -> None:
    with pytest.raises(ValueError, match="must be 1799 or less with a board"):
        BoardPin(port="COM3", pin=9, max_on_s=1800)


if sys.platform != "win32":
    import tty

    def test_a_port_on_which_nobody_answers(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        import os

        monkeypatch.setattr("outputs.board.connection.START_S", 0.3)
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        pin = BoardPin(port=os.ttyname(theirs), pin=9)
        said = "no board answers; is our firmware"
        with pytest.raises(DeviceError, match=said), pin.opened():
            raise AssertionError
        os.close(ours)
        os.close(theirs)
