"""What OpenCV gives is checked; a video stands in for the camera."""

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cameras.webcam import Webcam, _listed, _opened
from deeplabstream.core.errors import DeviceError
from deeplabstream.plugins.camera import CameraControl
from tests.cameras.servers import http_camera
from tests.cameras.videos import picture, write_video


def test_pictures_come_in_order_until_there_are_no_more(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi", frames=4)
    with Webcam(source=str(path), backend="ffmpeg").opened() as film:
        image = np.zeros(film.format.shape, film.format.dtype)
        times = []
        for index in range(3):  # the first one told the format
            shot = film.read(image)
            assert shot is not None
            assert shot.index == index
            times.append(shot.exposed_ns)
            assert np.array_equal(image, picture(index + 1))
        assert times == sorted(times)
        assert not film.knows_losses
        with pytest.raises(DeviceError, match="no more frames"):
            film.read(image)


def test_a_slot_of_another_shape_is_refused_not_ignored(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi")
    with (
        Webcam(source=str(path), backend="ffmpeg").opened() as film,
        pytest.raises(DeviceError, match="changed its frame size from 20×10 to 64×48"),
    ):
        film.read(np.zeros((10, 20, 3), np.uint8))


def test_a_camera_that_gives_nothing_is_named(tmp_path: Path) -> None:
    camera = Webcam(source=str(tmp_path / "nothing.avi"), backend="ffmpeg")
    with pytest.raises(DeviceError, match="gives no frames"), camera.opened():
        pass


def test_a_number_in_words_is_a_number() -> None:
    assert Webcam(source="1").source == 1
    assert Webcam(source="/dev/video0").source == "/dev/video0"


def test_what_it_does_not_deliver_is_a_remark(tmp_path: Path) -> None:
    path = str(write_video(tmp_path / "film.avi"))
    asked = Webcam(source=path, backend="ffmpeg", resolution=(640, 480), rate=30)
    with asked.opened() as film:
        assert film.remarks == (
            "gives 64×48 pixels; asked for: 640×480",
            "gives 1000/s; asked for: 30/s",
        )
    given = Webcam(source=path, backend="ffmpeg", resolution=(64, 48), rate=1000)
    with given.opened() as film:
        assert film.remarks == ()


class Device:
    """A capture device of OpenCV whose driver takes exposures in steps of 8."""

    def __init__(self, path: str) -> None:
        self._film = cv2.VideoCapture(path)
        self._set = {cv2.CAP_PROP_EXPOSURE: 156.0, cv2.CAP_PROP_GAIN: 4.0}
        self.threads: set[int] = set()

    def set(self, number: int, value: float) -> bool:
        self.threads.add(threading.get_ident())
        if number == cv2.CAP_PROP_EXPOSURE:
            value = value // 8 * 8
        self._set[number] = value
        return number != cv2.CAP_PROP_GAIN

    def get(self, number: int) -> float:
        return float(self._set.get(number, self._film.get(number)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._film, name)


def test_it_is_changed_while_it_films_by_the_thread_that_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(str(write_video(tmp_path / "film.avi", frames=6)))
    monkeypatch.setattr(Webcam, "_capture", lambda _self: device)
    with Webcam().opened() as film:
        image = np.zeros(film.format.shape, film.format.dtype)
        film.read(image)
        assert film.set_control("exposure", 100.0)
        assert device.get(cv2.CAP_PROP_AUTO_EXPOSURE) in (1.0, 0.25)
        assert CameraControl("exposure", 96.0) in film.controls(), (
            "what the driver really took"
        )
        with pytest.raises(DeviceError, match="does not let its gain be set"):
            film.set_control("gain", 9.0)
        assert not film.set_control("source", 1.0)
        assert threading.get_ident() not in device.threads
        assert film.read(image)


def test_what_a_driver_can_not_do_is_told(tmp_path: Path) -> None:
    path = str(write_video(tmp_path / "film.avi"))
    with Webcam(source=path, backend="ffmpeg", exposure=100).opened() as film:
        assert film.remarks == ("does not let its exposure be set",)


def test_one_that_stalls_is_seen_within_a_second() -> None:
    with (
        http_camera() as server,
        Webcam(source=server.url, backend="ffmpeg").opened() as film,
    ):
        image = np.zeros(film.format.shape, film.format.dtype)
        film.read(image)
        server.silent.set()
        with pytest.raises(DeviceError, match=r"gave no frame for 0\.95 s"):
            while True:
                film.read(image)
        server.over.set()  # the driver lets go, and it can be closed


def test_what_linux_lists_is_found_by_its_own_link(tmp_path: Path) -> None:
    for number, index, name in ((0, 0, "Cam A"), (1, 1, "Cam A"), (10, 0, "Cam B")):
        node = tmp_path / "sys" / f"video{number}"
        node.mkdir(parents=True)
        (node / "index").write_text(f"{index}\n")
        (node / "name").write_text(f"{name}\n")
    (tmp_path / "by-id").mkdir()
    try:
        (tmp_path / "by-id" / "usb-A-123").symlink_to(tmp_path / "video0")
    except OSError:
        pytest.skip("links need a right here that we do not have")
    found = _listed(tmp_path / "sys", tmp_path / "by-id")
    assert [device.label for device in found] == ["Cam A", "Cam B"]
    assert [device.serial for device in found] == ["usb-A-123", "video10"]
    assert found[0].choose == f"SOURCE = {tmp_path / 'by-id' / 'usb-A-123'}"
    assert found[1].choose == "SOURCE = 10"


def test_looking_for_webcams_prints_nothing_though_ports_have_none(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    capture = cv2.VideoCapture

    def counted(number: int, backend: int) -> cv2.VideoCapture:
        tried.append(number)
        return capture(number, backend)

    monkeypatch.setattr(cv2, "VideoCapture", counted)
    found = _opened()
    assert tried == list(range(10))
    assert len(found) < 10  # OpenCV complains of the others, where it is not silenced
    assert {device.kind for device in found} <= {"Webcam"}
    assert capfd.readouterr() == ("", "")
