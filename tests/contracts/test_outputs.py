"""Every output in the folder `outputs/` is tested here; a new one needs no line of it."""

import dataclasses
import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import outputs
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.command import OutputName, Pulse, on
from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.engine.output_bank import opened
from deeplabstream.plugins.discovery import discover
from deeplabstream.plugins.output import Output
from outputs.board.output import BoardPin
from tests.firmware.powered import powered
from tests.outputs.patient_writers import use_patient_writers
from tests.outputs.stand_ins import STAND_INS

FOUND = discover(outputs, Output)


@pytest.fixture(autouse=True)
def patient_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    use_patient_writers(monkeypatch)


def settings_of(kind: type[Output]) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(kind, "__pydantic_fields__", {})
    return {name: info for name, info in fields.items() if info.init is not False}


@pytest.fixture
def output(kind: type[Output], monkeypatch: pytest.MonkeyPatch) -> Iterator[Output]:
    """An output with its defaults, or one whose device is played."""
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    if kind.__name__ in STAND_INS:
        with STAND_INS[kind.__name__]() as stand_in:
            yield stand_in.output
        return
    if kind is BoardPin and sys.platform == "linux":
        with powered() as board:
            board.slow_down(20)
            yield BoardPin(port=board.port, pin=9, watchdog_ms=1000)
        return
    wanted = {name for name, info in settings_of(kind).items() if info.is_required()}
    if wanted:
        pytest.skip(f"nothing plays its device ({', '.join(sorted(wanted))})")
    yield kind()


every_kind = pytest.mark.parametrize("kind", FOUND.classes.values(), ids=FOUND.classes)


def test_every_file_of_the_folder_can_be_read() -> None:
    assert FOUND.problems == ()
    assert {"SimulatedOutput", "SerialLine", "Screen"} <= FOUND.classes.keys()


@every_kind
def test_its_settings_are_explained(kind: type[Output]) -> None:
    assert inspect.getdoc(kind)
    for name, info in settings_of(kind).items():
        assert info.description, f"{name} has no description"


@every_kind
def test_it_is_a_value(output: Output) -> None:
    copy = pickle.loads(pickle.dumps(output))
    assert copy == output
    with pytest.raises(dataclasses.FrozenInstanceError):
        output.max_on_s = 2.0  # type: ignore[misc]


@every_kind
def test_it_opens_again_and_again_and_takes_every_level(output: Output) -> None:
    taken = []
    for _ in range(2):
        with output.opened() as write:
            for level in (0.0, 1.0, 0.25, 0.0, 0.0):
                write(level)
                taken.append(level)
    assert taken == [0.0, 1.0, 0.25, 0.0, 0.0] * 2


@every_kind
def test_it_can_be_closed_while_on_and_after_an_error(output: Output) -> None:
    with pytest.raises(ZeroDivisionError), output.opened() as write:
        write(1.0)
        raise ZeroDivisionError
    with output.opened() as write:
        write(0.0)


@every_kind
def test_it_works_in_a_bank(output: Output) -> None:
    heard: list[Edge | Note] = []
    name, clock = OutputName("it"), SystemClock()
    with opened({"it": output}, clock, heard.append) as bank:
        bank.apply([on(name, 0.5)], clock.now_ns())
        bank.apply([Pulse(name, 0.01)], clock.now_ns())
        assert bank.levels == {"it": 1.0}
        bank.tick(clock.now_ns() + 500_000_000)
        assert bank.levels == {"it": 0.0}
    edges = [entry for entry in heard if isinstance(entry, Edge)]
    causes = ["open", "plan", "plan", "pulse end", "close"]
    assert [edge.cause for edge in edges] == causes
    assert all(edge.written_ns >= edge.requested_ns for edge in edges[:3])


def test_looking_into_the_folder_loads_no_driver() -> None:
    code = (
        "import sys, outputs; from deeplabstream.plugins.discovery import discover\n"
        "from deeplabstream.plugins.output import Output; discover(outputs, Output)\n"
        "heavy = {'serial', 'PyQt5', 'cv2', 'torch', 'onnxruntime', 'nidaqmx', 'grpc',\n"
        "'gpiozero', 'sounddevice', 'pylsl', 'pythonosc', 'zmq'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    root = Path(__file__).parents[2]
    assert (
        subprocess.check_output([sys.executable, "-c", code], cwd=root).strip() == b"[]"
    )
