"""Every camera in the folder `cameras/` is tested here; a new one needs no line of it.

A camera that needs a device is opened where its `source` may be a file, and where
`tests/cameras/stand_ins.py` plays the device.
"""

import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cameras
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError, error_context
from deeplabstream.core.frame import Image
from deeplabstream.plugins.camera import Camera, CapturedFrame
from deeplabstream.plugins.discovery import discover
from tests.cameras.patient_cameras import use_patient_cameras
from tests.cameras.stand_ins import STAND_INS
from tests.cameras.videos import write_video

FOUND = discover(cameras, Camera)
every_kind = pytest.mark.parametrize("kind", FOUND.classes.values(), ids=FOUND.classes)

SMALL: dict[str, Any] = {"width": 80, "height": 64, "rate": 200.0, "backend": "ffmpeg"}
"""What makes a camera quick to test, if it has such a setting."""


def settings_of(kind: type[Camera]) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(kind, "__pydantic_fields__", {})
    return fields


@pytest.fixture
def camera(
    kind: type[Camera], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Camera]:
    """A camera that gives at least six small frames."""
    use_patient_cameras(monkeypatch)
    if kind.__name__ in STAND_INS:
        with STAND_INS[kind.__name__]() as stand_in:
            yield stand_in
        return
    known = settings_of(kind)
    values = {name: value for name, value in SMALL.items() if name in known}
    if "source" in known:
        values["source"] = str(write_video(tmp_path / "film.avi"))
    missing = [n for n, f in known.items() if f.is_required() and n not in values]
    try:
        made = kind(**values)
    except ValueError:
        pytest.skip(f"can't be opened without a device {missing}")
    yield made


def test_every_file_of_the_folder_can_be_read() -> None:
    assert FOUND.problems == ()
    assert {"SimulatedCamera", "VideoFile", "Webcam"} <= FOUND.classes.keys()


def test_looking_for_cameras_loads_no_driver() -> None:
    code = (
        "import sys, cameras; from deeplabstream.plugins.discovery import discover; "
        "from deeplabstream.plugins.camera import Camera; discover(cameras, Camera); "
        "print([n for n in ('cv2', 'av', 'torch', 'PyQt5') if n in sys.modules])"
    )
    root = Path(cameras.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


@every_kind
def test_its_settings_are_explained(kind: type[Camera]) -> None:
    assert inspect.getdoc(kind)
    for name, info in settings_of(kind).items():
        assert info.description, f"{name} has no description"
        assert name == name.lower()


@every_kind
def test_it_is_a_value(camera: Camera) -> None:
    assert pickle.loads(pickle.dumps(camera)) == camera
    assert replace(camera, record=False).record is False
    with pytest.raises(AttributeError):
        camera.record = False  # type: ignore[misc]


@every_kind
def test_it_fills_the_image_that_it_is_given(camera: Camera) -> None:
    with camera.opened() as stream:
        height, width, *colours = stream.format.shape
        assert colours in ([], [3])
        assert min(height, width) > 0
        assert stream.format.rate >= 0
        slot = marked(stream.format.shape, stream.format.dtype)
        before = slot.copy()
        assert stream.read(slot) is not None
        assert (slot != before).mean() > 0.5


@every_kind
def test_images_are_counted_and_times_never_go_back(camera: Camera) -> None:
    start_ns = SystemClock().now_ns()
    with camera.opened() as stream:
        slot = np.empty(stream.format.shape, stream.format.dtype)
        shots = [stream.read(slot) for _ in range(5)]
        end_ns = SystemClock().now_ns()
    indices = [shot.index for shot in shots if shot]
    assert indices[0] >= 0
    assert (np.diff(indices) >= 1).all()
    if not stream.knows_losses:
        assert indices == list(range(5))
    times = [shot.exposed_ns for shot in shots if shot and shot.exposed_ns is not None]
    assert (np.diff(times) > 0).all()
    if getattr(camera, "paced", True):
        assert all(start_ns <= time_ns <= end_ns for time_ns in times)


@every_kind
def test_it_writes_into_a_slot_of_a_ring(camera: Camera) -> None:
    with camera.opened() as stream:
        ring = np.zeros((3, *stream.format.shape), stream.format.dtype)
        assert stream.read(ring[1]) is not None
        assert ring[1].any()
        assert not ring[0].any()
        assert not ring[2].any()


@every_kind
def test_it_can_be_opened_again(camera: Camera) -> None:
    formats = []
    for _ in range(2):
        with camera.opened() as stream:
            formats.append(stream.format)
            assert stream.read(np.empty(stream.format.shape, stream.format.dtype))
    assert formats[0] == formats[1]


@every_kind
def test_it_closes_when_its_user_fails(camera: Camera) -> None:
    with pytest.raises(ZeroDivisionError), camera.opened() as stream:
        stream.read(np.empty(stream.format.shape, stream.format.dtype))
        raise ZeroDivisionError
    with camera.opened():
        pass


@every_kind
def test_the_stream_ends_or_says_why_not(camera: Camera) -> None:
    if file_of(camera) is None:
        camera = replace(camera, **short(camera))
    with camera.opened() as stream:
        slot = np.empty(stream.format.shape, stream.format.dtype)
        assert ends(lambda: stream.read(slot))


@every_kind
def test_a_missing_device_is_a_sentence(camera: Camera, tmp_path: Path) -> None:
    name = file_of(camera)
    if name is None:
        pytest.skip("needs no device")
    nowhere = replace(camera, **{name: str(tmp_path / "nowhere.avi")})
    with (
        pytest.raises(DeviceError, match=r"^\[Camera top\] .*nowhere\.avi"),
        error_context("Camera top"),
        nowhere.opened(),
    ):
        pass


def file_of(camera: Camera) -> str | None:
    """Return the setting that names the file that it plays, if it plays one."""
    known = settings_of(type(camera))
    return next((name for name in ("source", "recording") if name in known), None)


def marked(shape: tuple[int, ...], dtype: str) -> Image:
    """Return an image that no camera gives."""
    slot: Image = np.zeros(shape, dtype)
    slot[::2] = 1
    return slot


def short(camera: Camera) -> dict[str, Any]:
    if "frames" not in settings_of(type(camera)):
        pytest.skip("never ends")
    return {"frames": 5}


def ends(read: Callable[[], CapturedFrame | None]) -> bool:
    """Return whether a stream is over within 20 frames."""
    try:
        return any(read() is None for _ in range(20))
    except DeviceError as error:
        return "no more frames" in str(error)
