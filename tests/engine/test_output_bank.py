import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field

import pytest
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Command, Mark, Pulse, off, on
from deeplabstream.core.errors import DeviceError, ExperimentError
from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.plugins.output import (
    AutonomousWrite,
    DeviceReport,
    Output,
    Write,
)
from outputs.simulated_output import SimulatedOutput
from tests.outputs.stubborn import LAMP, LASER, NOBODY, SECOND, Stubborn, Watcher


def test_an_output_is_off_on_the_way_in_and_on_the_way_out() -> None:
    laser, heard = SimulatedOutput(), Watcher()
    with opened({"laser": laser}, ManualClock(), heard.append) as bank:
        assert laser.levels == [0]
        assert bank.apply([on(LASER)], 0) == 0
        assert bank.levels == {"laser": 1}
    assert laser.levels == [0, 1, 0]
    assert heard.edges == [
        ("laser", 0, "open"),
        ("laser", 1, "plan"),
        ("laser", 0, "close"),
    ]


def test_an_error_of_the_body_passes_and_everything_is_off() -> None:
    laser, lamp = SimulatedOutput(), SimulatedOutput()
    outputs = {"laser": laser, "lamp": lamp}
    with (
        pytest.raises(ZeroDivisionError),
        opened(outputs, ManualClock(), Watcher().append) as bank,
    ):
        bank.apply([on(LASER), on(LAMP, 0.5)], 0)
        raise ZeroDivisionError
    assert laser.levels[-1] == lamp.levels[-1] == 0


def test_a_pulse_ends_by_the_clock() -> None:
    laser, clock, heard = SimulatedOutput(), ManualClock(), Watcher()
    with opened({"laser": laser}, clock, heard.append) as bank:
        bank.apply([Pulse(LASER, 0.2)], 0)
        assert bank.tick(1) == 200_000_000
        assert bank.tick(199_999_999) == 200_000_000
        clock.set(200_500_000)
        assert bank.tick(200_500_000) is None
        assert laser.levels == [0, 1, 0]
    pulse_end = heard[2]
    assert isinstance(pulse_end, Edge)
    assert (pulse_end.cause, pulse_end.requested_ns) == ("pulse end", 200_000_000)
    assert pulse_end.written_ns == 200_500_000


def test_a_pulse_lasts_from_when_it_was_written() -> None:
    laser, clock = SimulatedOutput(), ManualClock()
    with opened({"laser": laser}, clock, Watcher().append) as bank:
        clock.set(5_000_000)
        bank.apply([Pulse(LASER, 0.1)], 1_000_000)
        assert bank.tick(5_000_000) == 105_000_000


def test_a_later_command_replaces_the_end_of_a_pulse() -> None:
    laser = SimulatedOutput()
    with opened({"laser": laser}, ManualClock(), Watcher().append) as bank:
        bank.apply([Pulse(LASER, 0.1)], 0)
        bank.apply([Pulse(LASER, 0.1)], 50_000_000)
        assert bank.tick(100_000_000) == 150_000_000
        bank.apply([on(LASER)], 120_000_000)
        assert bank.tick(150_000_000) == 60 * SECOND
        assert laser.levels == [0, 1]


@settings(frozen=True, kw_only=True)
class OwnPulses(Output):
    """A device that makes its pulses itself, and has not reported yet that they ended."""

    requests: list[tuple[float, ...]] = field(default_factory=list, init=False)

    @contextmanager
    def opened(self) -> Iterator[Write]:
        write = _OwnPulses(self.requests)
        assert isinstance(write, AutonomousWrite)
        yield write


class _OwnPulses:
    def __init__(self, requests: list[tuple[float, ...]]) -> None:
        self.requests = requests
        self.on_report: Callable[[DeviceReport], object] = lambda done: None

    def __call__(self, level: float) -> None:
        self.requests.append((level,))

    def train(self, level: float, width_s: float, period_s: float, count: int) -> None:
        self.requests.append((level, width_s, period_s, count))

    def heartbeat(self, now_ns: int) -> None:
        """Has no watchdog."""

    def check(self) -> None:
        """Never fails."""


@pytest.mark.parametrize(
    ("at_ms", "command", "requested"),
    [
        (80, on(LASER, 0.5), (0.5, 0.12, 0.0, 1)),
        (80, Pulse(LASER, 0.1), (1.0, 0.1, 0.0, 1)),
        (80, on(LASER), (1.0, 0.2, 0.0, 1)),
        (220, on(LASER, 0.5), (0.0,)),
    ],
)
def test_a_device_is_asked_for_the_rest_of_a_pulse_that_is_only_lowered(
    at_ms: int, command: Command, requested: tuple[float, ...]
) -> None:
    laser, clock = OwnPulses(), ManualClock()
    with opened({"laser": laser}, clock, Watcher().append) as bank:
        bank.apply([Pulse(LASER, 0.2)], 0)
        assert laser.requests[-1] == (1.0, 0.2, 0.0, 1)
        catch_up(bank, clock, at_ms * 1_000_000)
        bank.apply([command], clock.now_ns(), only_lower="the frame is too old")
        assert laser.requests[-1] == requested


def test_what_is_due_is_done_before_a_command() -> None:
    laser = SimulatedOutput()
    with opened({"laser": laser}, ManualClock(), Watcher().append) as bank:
        bank.apply([Pulse(LASER, 0.1)], 0)
        bank.apply([Pulse(LASER, 0.1)], 100_000_000)
        assert laser.levels == [0, 1, 0, 1]


def test_nothing_stays_on_longer_than_allowed_however_often_it_is_asked() -> None:
    laser, heard = SimulatedOutput(max_on_s=1), Watcher()
    with opened({"laser": laser}, ManualClock(), heard.append) as bank:
        for tenth in range(10):
            now_ns = tenth * SECOND // 10
            bank.apply([on(LASER, 0.5 + tenth / 20)], now_ns)
            bank.apply([Pulse(LASER, 10.0)], now_ns)
            assert bank.tick(now_ns) == SECOND
        bank.tick(SECOND)
        assert laser.levels[-1] == 0
        assert heard.edges[-1] == ("laser", 0, "limit")


@pytest.mark.parametrize("command", [on(LASER), Pulse(LASER, 0.1)])
def test_a_command_on_every_frame_is_refused_after_the_limit(command: Command) -> None:
    laser, clock, heard = SimulatedOutput(max_on_s=1), ManualClock(), Watcher()
    with opened({"laser": laser}, clock, heard.append) as bank:
        for frame in range(300):
            catch_up(bank, clock, frame * SECOND // 30)
            bank.apply([command], clock.now_ns())
        assert heard.edges[1:] == [("laser", 1, "plan"), ("laser", 0, "limit")]
        (note,) = heard.notes
        assert note.startswith("[Output laser] MAX_ON_S = 1: off until")
        bank.apply([off(LASER)], clock.now_ns())
        bank.apply([command], clock.now_ns())
        assert bank.levels == {"laser": 1}


def test_a_pulse_longer_than_the_limit_does_not_keep_the_next_one_off() -> None:
    laser, clock = SimulatedOutput(max_on_s=1), ManualClock()
    with opened({"laser": laser}, clock, Watcher().append) as bank:
        bank.apply([Pulse(LASER, 2.0)], 0)
        for at_s, level in ((1.5, 0), (3, 0), (5.1, 1)):  # refused ones count, too
            catch_up(bank, clock, round(at_s * SECOND))
            bank.apply([Pulse(LASER, 2.0)], clock.now_ns())
            assert bank.levels == {"laser": level}


def test_a_new_experiment_and_a_test_are_not_refused_after_a_limit() -> None:
    laser, clock = SimulatedOutput(max_on_s=1), ManualClock()
    with opened({"laser": laser}, clock, Watcher().append) as bank:
        bank.apply([on(LASER)], 0)
        catch_up(bank, clock, 2 * SECOND)
        bank.apply([on(LASER)], clock.now_ns())
        assert bank.levels == {"laser": 0}
        bank.apply([Pulse(LASER, 0.2)], clock.now_ns(), "test")
        assert bank.levels == {"laser": 1}
        bank.all_off(clock.now_ns(), "stop")
        bank.restart_totals(clock.now_ns())
        bank.apply([on(LASER)], clock.now_ns())
        assert bank.levels == {"laser": 1}


def test_an_experiment_begins_without_what_a_test_began() -> None:
    lamp = SimulatedOutput(then=LASER, then_after_s=3.0, then_s=0.5)
    outputs = {"lamp": lamp, "laser": SimulatedOutput()}
    clock, heard = ManualClock(), Watcher()
    with opened(outputs, clock, heard.append) as bank:
        bank.apply([Pulse(LAMP, 0.2)], 0, "test")
        catch_up(bank, clock, 1 * SECOND)
        bank.apply([Pulse(LASER, 2.0)], clock.now_ns(), "test")
        bank.restart_totals(clock.now_ns())
        assert heard.edges[-1] == ("laser", 0, "stop")
        before = len(heard.edges)
        catch_up(bank, clock, 6 * SECOND)
        assert len(heard.edges) == before


def test_the_limit_of_a_pulse_after_another_output_refuses_no_later_command() -> None:
    lamp = SimulatedOutput(then=LASER, then_after_s=0.1, then_s=3.0)
    outputs = {"lamp": lamp, "laser": SimulatedOutput(max_on_s=1)}
    clock, heard = ManualClock(), Watcher()
    with opened(outputs, clock, heard.append) as bank:
        bank.apply([off(LASER), Pulse(LAMP, 0.2)], 0)
        catch_up(bank, clock, 5 * SECOND)
        assert heard.edges[-1] == ("laser", 0, "limit")
        bank.apply([on(LASER)], clock.now_ns())
        assert bank.levels == {"lamp": 0, "laser": 1}


def test_a_limit_is_noted_once() -> None:
    clock, heard = ManualClock(), Watcher()
    with opened({"laser": SimulatedOutput(max_on_s=1)}, clock, heard.append) as bank:
        bank.apply([on(LASER)], 0)
        catch_up(bank, clock, 2 * SECOND)
        bank.apply([Pulse(LASER, 0.2)], clock.now_ns(), "test")
        catch_up(bank, clock, 3 * SECOND)
        assert heard.edges[-1] == ("laser", 0, "pulse end")
        assert len(heard.notes) == 1


def test_a_level_is_written_once_but_off_always() -> None:
    laser = SimulatedOutput()
    with opened({"laser": laser}, ManualClock(), Watcher().append) as bank:
        assert bank.apply([on(LASER)], 0) is not None
        assert bank.apply([on(LASER)], 1) is None
        assert bank.apply([Mark("go")], 2) is None
        for now_ns in (3, 4):
            assert bank.apply([off(LASER)], now_ns) is not None
        assert laser.levels == [0, 1, 0, 0]


def test_a_pulse_that_was_over_is_not_put_down_to_what_came_later() -> None:
    heard = Watcher()
    with opened({"laser": SimulatedOutput()}, ManualClock(), heard.append) as bank:
        bank.apply([Pulse(LASER, 1.0)], 0)
        bank.all_off(2 * SECOND, "lost")
        assert heard.edges[-2:] == [("laser", 0, "pulse end"), ("laser", 0, "lost")]


def test_all_off_says_why() -> None:
    outputs = {"laser": SimulatedOutput(), "lamp": SimulatedOutput()}
    heard = Watcher()
    with opened(outputs, ManualClock(), heard.append) as bank:
        bank.apply([on(LASER), Pulse(LAMP, 1.0)], 0)
        bank.all_off(5, "silence")
        assert bank.levels == {"laser": 0, "lamp": 0}
        assert bank.tick(10 * SECOND) is None
        assert heard.edges[-2:] == [("laser", 0, "silence"), ("lamp", 0, "silence")]


@pytest.mark.parametrize(
    "command",
    [
        on(NOBODY),
        on(LASER, 1.1),
        on(LASER, -0.1),
        on(LASER, math.nan),
        Pulse(LASER, 0.0),
        Pulse(LASER, math.nan),
        Pulse(LASER, math.inf),
    ],
)
def test_a_command_that_makes_no_sense_switches_everything_off(
    command: Command,
) -> None:
    lamp = SimulatedOutput()
    outputs = {"laser": SimulatedOutput(), "lamp": lamp}
    with opened(outputs, ManualClock(), Watcher().append) as bank:
        with pytest.raises(ExperimentError):
            bank.apply([on(LAMP), command], 0)
        assert lamp.levels == [0, 1, 0]
        bank.apply([on(LAMP)], 1)
        assert lamp.levels[-1] == 1


def test_a_write_that_fails_switches_the_others_off_and_is_told_once() -> None:
    lamp, laser = SimulatedOutput(), Stubborn(fails_at=1, for_good=True)
    outputs = {"lamp": lamp, "laser": laser}
    heard = Watcher()
    with opened(outputs, ManualClock(), heard.append) as bank:
        bank.apply([on(LAMP)], 0)
        with pytest.raises(DeviceError, match=r"^\[Output laser\] the cable is out$"):
            bank.apply([on(LASER)], 1)
        assert lamp.levels == [0, 1, 0]
        assert bank.levels == {"lamp": 0, "laser": 1}
        assert bank.fault == "[Output laser] the cable is out"
        with pytest.raises(DeviceError, match="the cable is out"):
            bank.apply([on(LAMP)], 2)
        bank.apply([off(LAMP)], 3)
        bank.all_off(4, "error")
        assert 1 not in lamp.levels[2:]
    assert heard.notes == []


@pytest.mark.parametrize("names", [None, ("laser",)])
def test_an_output_that_does_not_go_off_is_tried_again_at_once(
    names: tuple[str, ...] | None,
) -> None:
    laser, heard = Stubborn(fails_at=2), Watcher()
    with opened({"laser": laser}, ManualClock(), heard.append) as bank:
        bank.apply([on(LASER)], 0)
        with pytest.raises(DeviceError, match="the cable is out"):
            if names is None:
                bank.all_off(1, "lost")
            else:
                bank.off(names, 1, "end")
        assert bank.levels == {"laser": 0}
        assert heard.edges[-1] == ("laser", 0, "error")
        assert laser.levels[:3] == [0, 1, 0]


def test_an_output_that_is_gone_is_told_once_however_often_it_is_tried() -> None:
    laser, clock = Stubborn(fails_at=2, for_good=True), ManualClock()
    with opened({"laser": laser}, clock, Watcher().append) as bank:
        bank.apply([Pulse(LASER, 1.0)], 0)
        with pytest.raises(DeviceError, match="the cable is out"):
            catch_up(bank, clock, 10 * SECOND)
        catch_up(bank, clock, 10 * SECOND)
        bank.all_off(10 * SECOND, "stop")
    assert laser.asked.count(0) > 40


def test_an_output_that_fails_on_closing_is_told() -> None:
    lamp, laser = SimulatedOutput(), Stubborn(fails_at=2)
    outputs = {"laser": laser, "lamp": lamp}
    with (
        pytest.raises(DeviceError, match=r"^\[Output laser\] the cable is out$"),
        opened(outputs, ManualClock(), Watcher().append) as bank,
    ):
        bank.apply([on(LASER), on(LAMP)], 0)
    assert lamp.levels[-1] == 0


def test_an_error_on_its_way_is_not_hidden_by_one_of_an_output() -> None:
    heard = Watcher()
    with (
        pytest.raises(ZeroDivisionError),
        opened({"laser": Stubborn(fails_at=1)}, ManualClock(), heard.append),
    ):
        raise ZeroDivisionError
    assert heard.notes == ["[Output laser] the cable is out"]


def test_what_can_not_be_recorded_is_not_left_on() -> None:
    laser = SimulatedOutput()
    full = False

    def watch(entry: Edge | Note) -> None:
        if full:
            raise BufferError("the journal is full")

    with opened({"laser": laser}, ManualClock(), watch) as bank:
        full = True
        with pytest.raises(BufferError):
            bank.apply([on(LASER)], 0)
        assert laser.levels == [0, 1, 0]
        full = False


def test_an_output_that_does_not_open_is_named_and_the_others_are_closed() -> None:
    lamp = SimulatedOutput()
    outputs = {"lamp": lamp, "laser": Stubborn(fails_at=0)}
    with (
        pytest.raises(DeviceError, match=r"\[Output laser\] the cable is out"),
        opened(outputs, ManualClock(), Watcher().append),
    ):
        pytest.fail("it opened")
    assert lamp.levels[-1] == 0


def test_a_closed_bank_switches_nothing_on() -> None:
    laser = SimulatedOutput()
    with opened({"laser": laser}, ManualClock(), Watcher().append) as bank:
        pass
    with pytest.raises(DeviceError, match="closed"):
        bank.apply([on(LASER)], 1)
    assert bank.tick(2) is None
    bank.all_off(3, "stop")
    assert laser.levels == [0, 0]
