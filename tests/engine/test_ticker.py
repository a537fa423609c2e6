import threading

import pytest

from deeplabstream.core.clock import ManualClock, SystemClock
from deeplabstream.core.command import OutputName, Pulse, on
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.pulse_timer import PulseTimer, catch_up
from outputs.simulated_output import SimulatedOutput

LASER, LAMP = OutputName("laser"), OutputName("lamp")


def test_a_pulse_ends_although_nobody_calls() -> None:
    laser, clock = SimulatedOutput(), SystemClock()
    ended: list[Edge] = []
    signal = threading.Event()

    def watch(entry: Edge | Note) -> None:
        if isinstance(entry, Edge) and entry.cause == "pulse end":
            ended.append(entry)
            signal.set()

    with opened({"laser": laser}, clock, watch) as bank, PulseTimer(bank, clock):
        bank.apply([on(LASER)], clock.now_ns())
        for _ in range(3):
            signal.clear()
            bank.apply([Pulse(LASER, 0.02)], clock.now_ns())
            assert signal.wait(60)
    assert len(ended) == 3
    assert all(edge.written_ns >= edge.requested_ns for edge in ended)
    assert laser.levels == [0, 1, 0, 1, 0, 1, 0, 0]


def test_what_fails_meanwhile_is_told_and_then_nothing_goes_on() -> None:
    laser, lamp, clock = SimulatedOutput(), SimulatedOutput(), SystemClock()
    notes: list[str] = []
    signal = threading.Event()

    def watch(entry: Edge | Note) -> None:
        if isinstance(entry, Edge) and entry.cause == "pulse end" and not notes:
            raise DeviceError("[Output laser] the cable is out")
        if isinstance(entry, Note):
            notes.append(entry.text)
            signal.set()

    outputs = {"laser": laser, "lamp": lamp}
    with opened(outputs, clock, watch) as bank, PulseTimer(bank, clock):
        bank.apply([on(LAMP), Pulse(LASER, 0.01)], clock.now_ns())
        assert signal.wait(60)
        assert lamp.levels[-1] == 0
        with pytest.raises(DeviceError, match="the cable is out"):
            bank.apply([on(LAMP)], clock.now_ns())
    assert notes == ["[Output laser] the cable is out"]


def test_it_ends_while_something_is_pending() -> None:
    laser, clock = SimulatedOutput(), SystemClock()
    with (
        opened({"laser": laser}, clock, lambda entry: None) as bank,
        PulseTimer(bank, clock),
    ):
        bank.apply([Pulse(LASER, 1000.0)], clock.now_ns())
    assert laser.levels == [0, 1, 0]
    assert "ticker" not in {thread.name for thread in threading.enumerate()}


def test_a_replay_does_everything_when_it_was_due() -> None:
    clock = ManualClock()
    heard: list[Edge | Note] = []
    outputs = {"laser": SimulatedOutput(), "lamp": SimulatedOutput(max_on_s=2)}
    with opened(outputs, clock, heard.append) as bank:
        bank.apply([Pulse(LASER, 0.5), on(LAMP)], 0)
        catch_up(bank, clock, 2_000_000_000)
        assert clock.now_ns() == 2_000_000_000
    times = [(e.output, e.cause, e.written_ns) for e in heard if isinstance(e, Edge)]
    assert times[4:6] == [
        ("laser", "pulse end", 500_000_000),
        ("lamp", "limit", 2_000_000_000),
    ]
