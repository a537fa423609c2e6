"""Plug-ins written for an earlier version are refused with the names used now."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from deeplabstream.plugins.camera import Camera
from deeplabstream.plugins.discovery import discover
from deeplabstream.plugins.input import Input
from deeplabstream.plugins.output import Output
from deeplabstream.plugins.trigger import Trigger

SETTINGS = "from pydantic.dataclasses import dataclass as settings\n"
TRIGGER = f"""{SETTINGS}
from deeplabstream import PoseTrigger

@settings(kw_only=True)
class Late(PoseTrigger):
    def holds(self, pose, time_s):
        return True

    def {{method}}(self{{arguments}}):
        return None
"""
CAMERA = f"""{SETTINGS}
from deeplabstream import Camera

@settings(frozen=True, kw_only=True)
class Mine(Camera):
    def opened(self):
        raise NotImplementedError

    @classmethod
    def found(cls):
        return ()
"""
INPUT = f"""{SETTINGS}
from deeplabstream import Input, InputLevel

@settings(frozen=True, kw_only=True)
class Lever(Input):
    def opened(self, hear):
        hear(InputLevel(True, 0, heard_ns=0, first=True))
"""
OUTPUT = f"""{SETTINGS}
from deeplabstream import Output

class Write:
    def __call__(self, level):
        pass

    def {{method}}(self, event):
        pass

@settings(frozen=True, kw_only=True)
class Own(Output):
    def opened(self):
        raise NotImplementedError
"""
ACKNOWLEDGED = f"""{SETTINGS}
from deeplabstream import AcknowledgingWrite, DeviceReport, Output

@settings(frozen=True, kw_only=True)
class Own(Output):
    def opened(self):
        write = AcknowledgingWrite(print, print)
        write.hear(DeviceReport(0.0, 1, 2, 3))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ModuleType]:
    """Return an empty package of plug-ins."""
    package = ModuleType("lab_plugins")
    package.__path__ = [str(tmp_path)]
    sys.modules["lab_plugins"] = package
    yield package
    for name in [name for name in sys.modules if name.startswith("lab_plugins")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("method", "arguments", "now"),
    [
        ("forget", "", "reset"),
        ("ask", ", pose, time_s", "answer"),
        ("sees", ", pose", "bodyparts_visible"),
        ("selected", ", pose", "select_pose"),
    ],
)
def test_a_trigger_with_a_former_method_is_refused(
    folder: ModuleType, tmp_path: Path, method: str, arguments: str, now: str
) -> None:
    text = TRIGGER.format(method=method, arguments=arguments)
    (tmp_path / "late.py").write_text(text, encoding="utf-8")
    plugins = discover(folder, Trigger)  # type: ignore[type-abstract]
    assert plugins.classes == {}
    assert plugins.unusable["Late"] == (
        f"its class is of an earlier version: {method}() is {now}() now"
    )


def test_a_trigger_with_the_present_method_is_used(
    folder: ModuleType, tmp_path: Path
) -> None:
    text = TRIGGER.format(method="reset", arguments="")
    (tmp_path / "late.py").write_text(text, encoding="utf-8")
    plugins = discover(folder, Trigger)  # type: ignore[type-abstract]
    assert list(plugins.classes) == ["Late"] and plugins.problems == ()


def test_a_camera_with_the_former_list_of_devices_is_refused(
    folder: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(CAMERA, encoding="utf-8")
    plugins = discover(folder, Camera)  # type: ignore[type-abstract]
    assert "found() is connected_devices() now" in plugins.unusable["Mine"]


@pytest.mark.parametrize(
    ("contract", "text", "sentence"),
    [
        (Input, INPUT, "heard_ns is received_ns now"),
        (
            Input,
            "from deeplabstream import Hear\n",
            "line 1: Hear is InputListener now",
        ),
        (Output, OUTPUT.format(method="beat"), "line 9: beat is heartbeat now"),
        (Output, OUTPUT.format(method="tell"), "line 9: tell is send_event now"),
        (Output, ACKNOWLEDGED, "hear is on_report now"),
    ],
)
def test_a_file_with_a_former_name_is_refused(
    folder: ModuleType, tmp_path: Path, contract: type, text: str, sentence: str
) -> None:
    (tmp_path / "own.py").write_text(text, encoding="utf-8")
    (problem,) = discover(folder, contract).problems
    assert problem.startswith("lab_plugins/own.py was written for an earlier version: ")
    assert sentence in problem


@pytest.mark.parametrize("method", ["heartbeat", "send_event", "listen"])
def test_a_file_with_present_names_is_used(
    folder: ModuleType, tmp_path: Path, method: str
) -> None:
    (tmp_path / "own.py").write_text(OUTPUT.format(method=method), encoding="utf-8")
    plugins = discover(folder, Output)  # type: ignore[type-abstract]
    assert list(plugins.classes) == ["Own"] and plugins.problems == ()
