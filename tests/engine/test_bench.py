from contextlib import ExitStack

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import on
from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.device_manager import DeviceManager
from deeplabstream.plugins.output import Output
from outputs.simulated_output import SimulatedOutput
from tests.outputs.stubborn import LASER, Stubborn, Watcher


def bench_of(
    outputs: dict[str, Output], complaints: list[str], resources: ExitStack
) -> DeviceManager:
    clock, heard = ManualClock(), Watcher()
    return DeviceManager(outputs, {}, clock, heard.append, complaints.append, resources)


def test_a_test_switches_on_and_all_is_off_in_the_end() -> None:
    laser, complaints = SimulatedOutput(), list[str]()
    with ExitStack() as resources:
        bench = bench_of({"laser": laser}, complaints, resources)
        assert not bench.whole
        bench.test("laser")
        assert laser.levels == []
        assert bench.open() == ""
        assert bench.whole
        bench.test("laser")
        assert laser.levels == [0, 1]
    assert laser.levels[-1] == 0
    assert complaints == []
    assert not bench.left_on


def lose_the_laser(bench: DeviceManager) -> None:
    assert not bench.open()
    assert bench.bank is not None
    with pytest.raises(DeviceError):
        bench.bank.apply([on(LASER)], 0)
    assert not bench.whole


def test_an_output_that_was_lost_is_opened_anew() -> None:
    laser, complaints = Stubborn(fails_at=1), list[str]()
    with ExitStack() as resources:
        bench = bench_of({"laser": laser}, complaints, resources)
        lose_the_laser(bench)
        assert bench.open() == ""
        assert bench.whole
        assert laser.levels[-1] == 0
    assert not bench.left_on
    assert complaints == []


def test_that_an_output_may_be_on_is_not_forgotten_when_it_can_t_be_opened() -> None:
    laser, complaints = Stubborn(fails_at=1, for_good=True), list[str]()
    with ExitStack() as resources:
        bench = bench_of({"laser": laser}, complaints, resources)
        lose_the_laser(bench)
        assert "the cable is out" in bench.open()
        assert not bench.whole
        assert "the cable is out" in bench.open()
        assert bench.left_on
    assert bench.left_on
    assert complaints == []
