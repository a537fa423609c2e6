from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import isnan
from typing import ClassVar

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import on
from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.device_manager import DeviceManager
from deeplabstream.plugins.input import Input, InputListener, PulseInput
from deeplabstream.plugins.output import Output
from outputs.simulated_output import SimulatedOutput
from tests.outputs.stubborn import LASER, Stubborn, Watcher


class Trigger(PulseInput):
    """Fails at first; is open `opens` times."""

    generates: ClassVar[bool] = True
    faults: ClassVar[list[str]] = []
    opens: ClassVar[list[int]] = [0]

    @contextmanager
    def opened(self, hear: InputListener) -> Iterator[None]:
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


def manager_of(
    outputs: dict[str, Output],
    problems: list[str],
    resources: ExitStack,
    inputs: dict[str, Input] | None = None,
) -> DeviceManager:
    clock, heard = ManualClock(), Watcher()
    return DeviceManager(
        outputs, inputs or {}, clock, heard.append, problems.append, resources
    )


def test_a_test_switches_on_and_all_is_off_in_the_end() -> None:
    laser, problems = SimulatedOutput(), list[str]()
    with ExitStack() as resources:
        manager = manager_of({"laser": laser}, problems, resources)
        assert not manager.whole
        manager.test("laser")
        assert laser.levels == []
        assert manager.open() == ""
        assert manager.whole
        manager.test("laser")
        assert laser.levels == [0, 1]
    assert laser.levels[-1] == 0
    assert problems == []
    assert not manager.left_on


def lose_the_laser(manager: DeviceManager) -> None:
    assert not manager.open()
    assert manager.bank is not None
    with pytest.raises(DeviceError):
        manager.bank.apply([on(LASER)], 0)
    assert not manager.whole


def test_an_output_that_was_lost_is_opened_anew() -> None:
    laser, problems = Stubborn(fails_at=1), list[str]()
    with ExitStack() as resources:
        manager = manager_of({"laser": laser}, problems, resources)
        lose_the_laser(manager)
        assert manager.open() == ""
        assert manager.whole
        assert laser.levels[-1] == 0
    assert not manager.left_on
    assert problems == []


def test_that_an_output_may_be_on_is_not_forgotten_when_it_can_t_be_opened() -> None:
    laser, problems = Stubborn(fails_at=1, for_good=True), list[str]()
    with ExitStack() as resources:
        manager = manager_of({"laser": laser}, problems, resources)
        lose_the_laser(manager)
        assert "the cable is out" in manager.open()
        assert not manager.whole
        assert "the cable is out" in manager.open()
        assert manager.left_on
    assert manager.left_on
    assert problems == []


def test_a_trigger_generator_that_failed_is_opened_anew() -> None:
    inputs: dict[str, Input] = {"first": Trigger(), "second": SecondTrigger()}
    with ExitStack() as resources:
        manager = manager_of({"laser": SimulatedOutput()}, [], resources, inputs)
        assert manager.open() == ""
        assert manager.whole, "generators are opened later, with the cameras"
        SecondTrigger.faults[:] = ["no board", "no board", "no board"]
        assert "no board" in manager.cameras_open()
        assert not manager.whole, "an experiment must not begin without pulses"
        assert Trigger.opens == [0], "all generators are open, or none is"
        assert "no board" in manager.cameras_open()
        assert "no board" in manager.open()
        assert not manager.whole
        assert manager.open() == ""
        assert manager.whole
        assert manager.cameras_open() == ""
        assert Trigger.opens == SecondTrigger.opens == [1]
    assert Trigger.opens == SecondTrigger.opens == [0]


def test_closed_inputs_are_unknown_and_have_the_names_that_the_first_frame_records() -> (
    None
):
    """The first analysed frame gives the table its columns of inputs."""
    with ExitStack() as resources:
        manager = manager_of({}, [], resources, {"lick": Trigger()})
        closed = dict(manager.levels())
        assert manager.open() == ""
        assert list(closed) == list(manager.levels()) == ["lick", "lick.count"]
    assert all(map(isnan, closed.values()))
