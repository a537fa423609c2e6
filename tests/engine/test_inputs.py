"""The rig's inputs: what is known of them, in settings, loop and record."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from pathlib import Path

import pytest
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.errors import DeviceError, SettingsError
from deeplabstream.core.journal_entries import Note, Sensed
from deeplabstream.engine.device_manager import open_inputs
from deeplabstream.plugins.input import Input, InputBroken, InputLevel, InputListener
from deeplabstream.settings.loading import parse

RIG = "[Camera top]\nKIND = SimulatedCamera\n"
BOARD = "[Input lick]\nKIND = BoardInput\nPORT = COM3\nPIN = 2\n"


@settings(frozen=True, kw_only=True)
class Played(Input):
    """An input whose changes are told when it is opened."""

    told: tuple[InputLevel | InputBroken, ...] = ()

    @contextmanager
    def opened(self, hear: InputListener) -> Iterator[None]:
        for news in self.told:
            hear(news)
        yield


def level(active: bool, first: bool = False) -> InputLevel:
    return InputLevel(active, 1, 2, first)


def test_levels_and_counts_are_known_and_written() -> None:
    heard: list[Sensed | Note] = []
    told = (level(True, first=True), level(False), level(True), level(False))
    devices = {"lick": Played(told=told), "lever": Played()}
    with open_inputs(devices, ManualClock(), heard.append) as inputs:
        now = inputs.now()
    assert (now["lick"], now["lick.count"]) == (0, 1)
    assert isnan(now["lever"]) and isnan(now["lever.count"])
    assert [(it.active, it.count) for it in heard if isinstance(it, Sensed)] == [
        (True, 0),
        (False, 0),
        (True, 1),
        (False, 1),
    ]


@pytest.mark.parametrize(("retries", "kind"), [(False, "error"), (True, "alarm")])
def test_a_broken_input_is_unknown_and_says_so(retries: bool, kind: str) -> None:
    heard: list[Sensed | Note] = []
    told = (level(False, first=True), InputBroken("the board is gone", retries))
    devices = {"lick": Played(told=told)}
    with open_inputs(devices, ManualClock(), heard.append) as inputs:
        assert isnan(inputs.now()["lick"])
    assert heard[-1] == Note(
        kind, "[Input lick] the board is gone: it is unknown from now on", 0
    )


def test_an_input_that_can_not_be_opened_is_named() -> None:
    rig = parse(RIG + BOARD.replace("COM3", "/nowhere/at/all"), Path())
    with (
        pytest.raises(DeviceError, match=r"\[Input lick\] /nowhere/at/all can't be"),
        open_inputs(rig.inputs, ManualClock(), print),
    ):
        raise AssertionError


def test_a_trigger_names_an_input_that_is_there() -> None:
    licked = "[Trigger licked]\nKIND = InputIs\nINPUT = lick\n"
    rig = parse(RIG + BOARD + licked, Path())
    assert list(rig.inputs) == ["lick"]
    with pytest.raises(SettingsError) as caught:
        parse(RIG + BOARD.replace("[Input lick]", "[Input lever]") + licked, Path())
    assert caught.value.problems == (
        "[Trigger licked] INPUT = lick: no section [Input lick]; available: lever",
    )
