from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import on
from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.device_manager import DeviceManager
from deeplabstream.plugins.input import Hear, Input, PulseInput
from deeplabstream.plugins.output import Output
from outputs.simulated_output import SimulatedOutput
from tests.outputs.stubborn import LASER, Stubborn, Watcher


class Trigger(PulseInput):
    """Fails at first; is open `opens` times."""

    generates: ClassVar[bool] = True
    faults: ClassVar[list[str]] = []
    opens: ClassVar[list[int]] = [0]

    @contextmanager
    def opened(self, hear: Hear) -> Iterator[None]:
        if self.faults:
            raise DeviceError(self.faults.pop())
        self.opens[0] += 1
        try:
            yield
        finally:
            self.opens[0] -= 1


class SecondTrigger(Trigger):
    faults: ClassVar[list[str]] = []
    opens: ClassVar[list[int]] = [0]


def bench_of(
    outputs: dict[str, Output],
    complaints: list[str],
    resources: ExitStack,
    inputs: dict[str, Input] | None = None,
) -> DeviceManager:
    clock, heard = ManualClock(), Watcher()
    return DeviceManager(
        outputs, inputs or {}, clock, heard.append, complaints.append, resources
    )


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


def test_a_trigger_generator_that_failed_is_opened_anew() -> None:
    inputs: dict[str, Input] = {"first": Trigger(), "second": SecondTrigger()}
    with ExitStack() as resources:
        bench = bench_of({"laser": SimulatedOutput()}, [], resources, inputs)
        assert bench.open() == ""
        assert bench.whole, "generators are opened later, with the cameras"
        SecondTrigger.faults[:] = ["no board", "no board", "no board"]
        assert "no board" in bench.cameras_open()
        assert not bench.whole, "an experiment must not begin without pulses"
        assert Trigger.opens == [0], "all generators are open, or none is"
        assert "no board" in bench.cameras_open()
        assert "no board" in bench.open()
        assert not bench.whole
        assert bench.open() == ""
        assert bench.whole
        assert bench.cameras_open() == ""
        assert Trigger.opens == SecondTrigger.opens == [1]
    assert Trigger.opens == SecondTrigger.opens == [0]
