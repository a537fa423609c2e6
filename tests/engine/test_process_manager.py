"""What differs between systems when processes are started."""

import ctypes
import sys

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.engine.processes.termination import terminal_signals_held
from deeplabstream.engine.session import process_manager
from deeplabstream.engine.session.process_manager import ProcessManager


class Kernel:
    """Windows' kernel32, as far as Ctrl-C is concerned."""

    def __init__(self) -> None:
        self.deaf = False

    def SetConsoleCtrlHandler(self, _handler: None, deaf: bool) -> None:
        self.deaf = deaf


def test_what_is_started_on_windows_inherits_that_it_does_not_hear_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel = Kernel()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda _name: kernel, raising=False)
    with terminal_signals_held():
        assert kernel.deaf
    assert not kernel.deaf
    with pytest.raises(OSError, match="no process"), terminal_signals_held():
        raise OSError("no process")
    assert not kernel.deaf


def test_a_camera_without_memory_for_its_pictures_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(22, "The paging file is too small")

    monkeypatch.setattr(process_manager, "create_ring", full)
    rig = object.__new__(ProcessManager)
    rig.rings = {}
    with pytest.raises(DeviceError, match=r"\[Camera top\].*paging file is too small"):
        rig.add_ring("top", ImageFormat((480, 640, 3), 30.0))
