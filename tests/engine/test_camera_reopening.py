"""A camera that must be opened again for a change: what its process tells, in which order."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from types import SimpleNamespace

import pytest
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image
from deeplabstream.engine.processes import camera_process
from deeplabstream.engine.processes.camera_process import _CameraProcess
from deeplabstream.engine.session import messages
from deeplabstream.plugins.camera import Camera, CameraStream, CapturedFrame
from tests.engine.stream import FORM, memory


@settings(frozen=True, kw_only=True)
class _Sensor(Camera):
    """A camera that refuses a region beyond its sensor when it is opened."""

    region: int = 64

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        if self.region > 64:
            raise DeviceError("REGION does not lie on the sensor")

        def read(image: Image) -> CapturedFrame:
            return CapturedFrame(0)

        yield CameraStream(FORM, read)


@pytest.fixture(autouse=True)
def _ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave priority and garbage collection of this process as they are."""
    quiet = SimpleNamespace(
        check=lambda now_ns: [], end=lambda: None, idle=lambda now_ns: None
    )
    for name in ("RealTime", "IdleCollection"):
        monkeypatch.setattr(camera_process, name, lambda *_: quiet)


def test_a_refused_change_is_answered_when_the_camera_is_open_again() -> None:
    """A run that began before would lose the ring that it records."""
    ours, theirs = Pipe()
    with memory("top") as (first, _), memory("top") as (second, _), ours, theirs:
        ours.send(messages.FillRing(first["top"].spec))
        ours.send(messages.ChangeControl("region", 65, may_resize=True))
        ours.send(messages.FillRing(second["top"].spec))
        ours.send(messages.Stop())
        process = _CameraProcess("top", _Sensor(), theirs, None, False)
        process.deliver(_Sensor())
        while not process.stopped:
            process.reopen()
        told = []
        while ours.poll():
            told.append(ours.recv())
    kinds = [messages.CameraOpened, messages.CameraOpened, messages.ControlChanged]
    assert [type(each) for each in told] == kinds
    answer = told[-1]
    assert not answer.done
    said = "[Camera top] REGION = 65 was refused: REGION does not lie on the sensor"
    assert answer.text == said
    assert answer.controls == told[1].controls


def test_a_failure_after_the_answer_refuses_no_later_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The camera is lost, and then can't be closed either."""
    ours, theirs = Pipe()
    process = _CameraProcess("top", _Sensor(), theirs, None, False)
    process._requested = messages.ChangeControl("region", 32, True), _Sensor(region=32)

    def deliver(camera: Camera) -> None:
        if process._requested is not None:
            process._requested = None  # it has been answered
            raise DeviceError("the camera can't be closed")

    monkeypatch.setattr(process, "deliver", deliver)
    with ours, theirs:
        process.reopen()
    assert process._refused == ""
