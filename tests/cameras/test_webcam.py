"""What OpenCV gives is checked; a video stands in for the camera."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from cameras.webcam import (
    FrameReader,
    ListedWebcam,
    Webcam,
    _list_on_linux,
    describe,
    list_webcams,
    number_of,
    probe_numbers,
)
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.plugins.camera import CameraControl, CameraStream, copy_frame
from deeplabstream.settings.loading import parse
from tests.cameras.servers import DAMAGES, http_camera, textured_jpeg, without_end
from tests.cameras.videos import numbered_image, write_video


def test_frames_come_in_order_until_there_are_no_more(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi", frames=4)
    with Webcam(source=str(path), backend="ffmpeg").opened() as stream:
        image = np.zeros(stream.format.shape, stream.format.dtype)
        times = []
        for index in range(3):  # the first one told the format
            shot = stream.read(image)
            assert shot is not None
            assert shot.index == index
            times.append(shot.exposed_ns)
            assert np.array_equal(image, numbered_image(index + 1))
        assert times == sorted(times)
        assert not stream.knows_losses
        with pytest.raises(DeviceError, match="no more frames"):
            stream.read(image)


def test_a_slot_of_another_shape_is_refused_not_ignored(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi")
    with (
        Webcam(source=str(path), backend="ffmpeg").opened() as stream,
        pytest.raises(DeviceError, match="from 20×10 colour 8 bit to 64×48 colour"),
    ):
        stream.read(np.zeros((10, 20, 3), np.uint8))


def test_grey_frames_instead_of_colour_are_named() -> None:
    colour, grey = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8)
    with pytest.raises(
        DeviceError, match="from 64×48 colour 8 bit to 64×48 grey 8 bit"
    ):
        copy_frame(grey, colour)


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
    with asked.opened() as stream:
        assert stream.remarks == (
            "gives 64×48 pixels; requested: 640×480",
            "gives 1000/s; requested: 30/s",
        )
    given = Webcam(source=path, backend="ffmpeg", resolution=(64, 48), rate=1000)
    with given.opened() as stream:
        assert stream.remarks == ()


class Device:
    """A capture device of OpenCV whose driver takes exposures in steps of 8."""

    def __init__(self, path: str) -> None:
        self._video = cv2.VideoCapture(path)
        self._set = {cv2.CAP_PROP_EXPOSURE: 156.0, cv2.CAP_PROP_GAIN: 4.0}
        self.threads: set[int] = set()

    def set(self, number: int, value: float) -> bool:
        self.threads.add(threading.get_ident())
        if number == cv2.CAP_PROP_EXPOSURE:
            value = value // 8 * 8
        self._set[number] = value
        return number != cv2.CAP_PROP_GAIN

    def get(self, number: int) -> float:
        return float(self._set.get(number, self._video.get(number)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._video, name)


def test_it_is_changed_while_it_captures_by_the_thread_that_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(str(write_video(tmp_path / "film.avi", frames=6)))
    monkeypatch.setattr(Webcam, "_capture", lambda _self: device)
    with Webcam().opened() as stream:
        image = np.zeros(stream.format.shape, stream.format.dtype)
        stream.read(image)
        device.threads.clear()
        assert stream.set_control("exposure", 100.0)
        assert device.get(cv2.CAP_PROP_AUTO_EXPOSURE) in (1.0, 0.25)
        assert CameraControl("exposure", 96.0) in stream.controls(), (
            "what the driver really took"
        )
        with pytest.raises(DeviceError, match="does not let its gain be set"):
            stream.set_control("gain", 9.0)
        assert not stream.set_control("source", 1.0)
        assert threading.get_ident() not in device.threads
        assert stream.read(image)


def test_what_a_driver_can_not_do_is_told(tmp_path: Path) -> None:
    path = str(write_video(tmp_path / "film.avi"))
    with Webcam(source=path, backend="ffmpeg", exposure=100).opened() as stream:
        assert stream.remarks == ("does not let its exposure be set",)


@pytest.mark.usefixtures("usual_limits")
def test_one_that_stalls_is_seen_within_a_second() -> None:
    with (
        http_camera() as server,
        Webcam(source=server.url, backend="ffmpeg").opened() as stream,
    ):
        image = np.zeros(stream.format.shape, stream.format.dtype)
        server.silent.set()
        with pytest.raises(DeviceError, match=r"gave no frame for 0\.95 s"):
            while True:
                stream.read(image)
        server.over.set()  # the driver lets go, and it can be closed


class HeldUp:
    """A clock of a process that is held up for 100 s between any two lines."""

    def __init__(self) -> None:
        self.now = 0

    def now_ns(self) -> int:
        self.now += 100 * 10**9
        return self.now


def test_a_process_that_is_held_up_still_takes_the_frame_that_waits(
    tmp_path: Path,
) -> None:
    device = cv2.VideoCapture(str(write_video(tmp_path / "film.avi")))
    frames = FrameReader(device, jpeg=False)
    frames._clock = HeldUp()  # type: ignore[assignment]
    image, _, damaged = frames.next(60.0)
    assert np.array_equal(image, numbered_image(0))
    assert damaged == 0
    frames.waiting.end(60.0)


def test_a_driver_that_hangs_gave_no_frame_for_the_whole_time() -> None:
    lets_go = threading.Event()
    device: Any = SimpleNamespace(grab=lets_go.wait, release=lambda: None)
    frames = FrameReader(device, jpeg=False)
    with pytest.raises(DeviceError, match=r"^gave no frame for 0\.1 s$"):
        frames.next(0.1)
    lets_go.set()
    frames.waiting.end(60.0)


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
    listed = _list_on_linux(tmp_path / "sys", tmp_path / "by-id")
    link = str(tmp_path / "by-id" / "usb-A-123")
    (tmp_path / "sys" / "video2").symlink_to(tmp_path / "unplugged")
    assert listed == _list_on_linux(tmp_path / "sys", tmp_path / "by-id")
    assert listed == (ListedWebcam(0, "Cam A", link), ListedWebcam(10, "Cam B"))
    by_id = ListedWebcam(0, "Cam A", "/dev/v4l/by-id/usb-A-123")
    first, second = describe((by_id, listed[1]))
    assert (first.label, first.serial) == ("Cam A", "usb-A-123")
    assert first.choose == "SOURCE = /dev/v4l/by-id/usb-A-123"
    assert (second.label, second.choose) == ("Cam B", "SOURCE = Cam B")


USB = r"\\?\usb#vid_046d&pid_082d&mi_00#7&{}&0&0000#{{65e8773d}}\global"
ON_WINDOWS = (
    ListedWebcam(0, "HD Pro Webcam C920", USB.format("1a")),
    ListedWebcam(1, "OBS Virtual Camera"),
    ListedWebcam(2, "HD Pro Webcam C920", USB.format("2b")),
)


def test_windows_and_macos_list_webcams_without_opening_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def enumerate_cameras(backend: int) -> list[SimpleNamespace]:
        asked.append(backend)
        return [
            SimpleNamespace(index=each.number, name=each.name, path=each.path or None)
            for each in ON_WINDOWS
        ]

    library = SimpleNamespace(
        enumerate_cameras=enumerate_cameras, supported_backends=(cv2.CAP_DSHOW,)
    )
    monkeypatch.setitem(sys.modules, "cv2_enumerate_cameras", library)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: pytest.fail("opened"))
    assert list_webcams("dshow") == ON_WINDOWS
    assert asked == [cv2.CAP_DSHOW]
    assert list_webcams("ffmpeg") is None
    assert [device.choose for device in Webcam.connected_devices()] == [
        f"SOURCE = {USB.format('1a')}",
        "SOURCE = OBS Virtual Camera",
        f"SOURCE = {USB.format('2b')}",
    ]
    monkeypatch.setitem(sys.modules, "cv2_enumerate_cameras", None)
    assert list_webcams("dshow") is None, "the package is not installed"


def test_a_webcam_is_selected_by_name_or_path() -> None:
    assert number_of("obs virtual camera", ON_WINDOWS) == 1
    assert number_of(USB.format("2b").upper(), ON_WINDOWS) == 2
    with pytest.raises(
        DeviceError, match=r"2 webcams have this name; enter one of: .*1a"
    ):
        number_of("HD Pro Webcam C920", ON_WINDOWS)
    with pytest.raises(DeviceError, match="Cam B: no such webcam; connected: HD Pro"):
        number_of("Cam B", ON_WINDOWS)
    with pytest.raises(DeviceError, match="connected: none"):
        number_of("Cam B", ())
    with pytest.raises(
        DeviceError, match="names need the package cv2-enumerate-cameras"
    ):
        number_of("Cam B", None)


def test_a_webcam_with_a_path_is_read_from_the_settings(tmp_path: Path) -> None:
    path = USB.format("1a")
    text = f"[Camera top]\nKIND = Webcam\nSOURCE = {path}\nBACKEND = dshow\n"
    assert parse(text, tmp_path).cameras["top"] == Webcam(source=path, backend="dshow")


def every_other(damage: Callable[[bytes], bytes], index: int) -> bytes:
    data = textured_jpeg(index)
    return data if index % 2 == 0 else damage(data)


class Video4Linux:
    """cv2.VideoCapture as OpenCV writes it for V4L2 (cap_v4l.cpp), with an MJPG webcam."""

    def __init__(self, make: Callable[[int], bytes]) -> None:
        self._make = make
        self._grabbed = -1
        self._converts, self._open = True, False

    def setExceptionMode(self, on: bool) -> None:
        assert not on

    def open(self, source: int | str, backend: int) -> bool:
        self._open = backend == cv2.CAP_V4L2
        return self._open

    def isOpened(self) -> bool:
        return self._open

    def getBackendName(self) -> str:
        return "V4L2"

    def set(self, key: int, value: float) -> bool:
        if key == cv2.CAP_PROP_CONVERT_RGB:
            self._converts = bool(value)
        return True

    def get(self, key: int) -> float:
        mjpg = float(cv2.VideoWriter.fourcc(*"MJPG"))
        return {cv2.CAP_PROP_FOURCC: mjpg, cv2.CAP_PROP_FPS: 30.0}.get(key, -1.0)

    def grab(self) -> bool:
        self._grabbed += 1
        return True

    def retrieve(self) -> tuple[bool, Any]:
        data = np.frombuffer(self._make(self._grabbed), np.uint8)[None]
        if self._converts:  # whatever comes of it: the memory is handed out
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
            return True, np.zeros((240, 320, 3), np.uint8) if image is None else image
        return True, data

    def release(self) -> None:
        self._open = False


def images(stream: CameraStream, count: int) -> list[tuple[Any, Any]]:
    """Return frames and images of a stream."""
    image = np.zeros(stream.format.shape, stream.format.dtype)
    return [(stream.read(image), image.copy()) for _ in range(count)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_frame_of_a_webcam_is_dropped_and_counted(
    damage: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Video4Linux(lambda index: every_other(damage, index))
    monkeypatch.setattr(cv2, "VideoCapture", lambda: device)
    with Webcam(backend="v4l2").opened() as stream:
        for place, (frame, image) in enumerate(images(stream, 4)):
            sent = np.frombuffer(textured_jpeg(2 * place + 2), np.uint8)
            whole = cv2.imdecode(sent, cv2.IMREAD_COLOR)
            assert np.mean(cv2.absdiff(image, np.asarray(whole, np.uint8))) < 2
            assert (frame.index, frame.damaged) == (2 * place + 1, 1)


def test_a_damaged_frame_of_an_address_is_dropped_and_counted() -> None:
    with (
        http_camera(lambda index: every_other(without_end, index)) as server,
        Webcam(source=server.url, backend="ffmpeg").opened() as stream,
    ):
        frames = [frame for frame, _ in images(stream, 4)]
        assert [frame.damaged for frame in frames] == [1] * 4
        assert [frame.index for frame in frames] == [1, 3, 5, 7]


@pytest.mark.usefixtures("usual_limits")
def test_a_webcam_with_damaged_frames_alone_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    intact = [0]
    device = Video4Linux(
        lambda index: textured_jpeg(0) if index in intact else b"\xff\xd8\xff"
    )
    monkeypatch.setattr(cv2, "VideoCapture", lambda: device)
    with (
        Webcam(backend="v4l2").opened() as stream,
        pytest.raises(DeviceError, match=r"gave \d+ damaged frames and no intact one"),
    ):
        images(stream, 1)


def test_a_webcam_with_files_of_its_own_kind_is_used_and_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = Video4Linux(lambda index: without_end(textured_jpeg(index)))
    monkeypatch.setattr(cv2, "VideoCapture", lambda: device)
    with Webcam(backend="v4l2").opened() as stream:
        assert stream.format.shape == (240, 320, 3)
        assert [frame.damaged for frame, _ in images(stream, 3)] == [0] * 3
        assert "damaged ones are not detected" in stream.remarks[0]


class DirectShow:
    """cv2.VideoCapture as OpenCV 4 and 5 write it for DirectShow (cap_dshow.cpp).

    Size, rate and FOURCC each stop the graph and build it again. Building after the rate
    takes the size that was set last, but no FOURCC; building after the size takes the
    FOURCC only when it was set between width and height; the FOURCC keeps size and rate.
    """

    opened: list[tuple[int | str, int]]

    def __init__(self, formats: Mapping[str, Sequence[tuple[int, int]]]) -> None:
        self._formats = formats
        self.size, self.fourcc, self.rate = (640, 480), "YUY2", 0
        self._pending: dict[str, Any] = {}
        self._set: tuple[int, int] | None = None
        self.opened = []

    def setExceptionMode(self, on: bool) -> None:
        assert not on

    def open(self, source: int | str, backend: int) -> bool:
        self.opened.append((source, backend))
        return True

    def isOpened(self) -> bool:
        return bool(self.opened)

    def getBackendName(self) -> str:
        return "DSHOW"

    def set(self, key: int, value: float) -> bool:
        if key == cv2.CAP_PROP_FPS:
            if round(value) != self.rate:
                self.rate = round(value)
                self._build(self._set or (640, 480), "")
            return True
        if key == cv2.CAP_PROP_FRAME_WIDTH:
            self._pending["width"] = round(value)
        elif key == cv2.CAP_PROP_FRAME_HEIGHT:
            self._pending["height"] = round(value)
        elif key == cv2.CAP_PROP_FOURCC:
            letters = int(value).to_bytes(4, "little").decode()
            width, height = self.size
            self._pending = {"fourcc": letters, "width": width, "height": height}
        else:
            return False
        if {"width", "height"} <= self._pending.keys():
            size = self._pending["width"], self._pending["height"]
            fourcc = self._pending.get("fourcc", "")
            self._pending = {}
            if (size, fourcc) != (self.size, self.fourcc):
                self._build(size, fourcc)
            self._set = size
        return True

    def _build(self, size: tuple[int, int], fourcc: str) -> None:
        for each in (fourcc, "YUY2", "MJPG"):
            if size in self._formats.get(each, ()):
                self.size, self.fourcc = size, each
                return
        self.size, self.fourcc = (640, 480), "YUY2"

    def get(self, key: int) -> float:
        return {
            cv2.CAP_PROP_FPS: float(self.rate),
            cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*self.fourcc)),
        }.get(key, -1.0)

    def grab(self) -> bool:
        return True

    def retrieve(self) -> tuple[bool, Any]:
        return True, np.zeros((self.size[1], self.size[0], 3), np.uint8)

    def release(self) -> None:
        pass


BOTH = {"YUY2": [(640, 480), (1280, 720)], "MJPG": [(640, 480), (1280, 720)]}
LARGE_IN_MJPG = {"YUY2": [(640, 480)], "MJPG": [(640, 480), (1280, 720)]}


@pytest.fixture
def on_dshow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Webcam]:
    """Return a webcam of DirectShow with these formats and settings."""

    def camera(device: DirectShow, **settings: Any) -> Webcam:
        monkeypatch.setattr(cv2, "VideoCapture", lambda: device)
        return Webcam(backend="dshow", **settings)

    return camera


def test_the_model_of_directshow_loses_mjpg_in_the_usual_order() -> None:
    for order in (["fourcc", "size", "rate"], ["size", "fourcc", "rate"]):
        device = DirectShow(BOTH)
        for step in order:
            if step == "fourcc":
                device.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            elif step == "size":
                device.set(cv2.CAP_PROP_FRAME_WIDTH, 1280)
                device.set(cv2.CAP_PROP_FRAME_HEIGHT, 720)
            else:
                device.set(cv2.CAP_PROP_FPS, 30)
        assert device.fourcc == "YUY2", order


@pytest.mark.parametrize("formats", [BOTH, LARGE_IN_MJPG])
@pytest.mark.parametrize(
    "settings", [{}, {"resolution": (1280, 720)}, {"rate": 60}, {"rate": 30}]
)
def test_mjpg_is_kept_on_windows_with_any_size_and_rate(
    on_dshow: Callable[..., Webcam], formats: Any, settings: Any
) -> None:
    device = DirectShow(formats)
    with on_dshow(device, **settings).opened() as stream:
        assert device.fourcc == "MJPG"
        assert device.size == settings.get("resolution", (640, 480))
        assert device.rate == settings.get("rate", 0)
        assert stream.remarks == ()


def test_mjpg_with_size_and_rate_on_windows(on_dshow: Callable[..., Webcam]) -> None:
    device = DirectShow(BOTH)
    camera = on_dshow(device, source=1, resolution=(1280, 720), rate=60)
    with camera.opened() as stream:
        assert (device.fourcc, device.size, device.rate) == ("MJPG", (1280, 720), 60)
        assert stream.format.shape == (720, 1280, 3)
        assert stream.remarks == ()
    assert device.opened == [(1, cv2.CAP_DSHOW)]


def test_mjpg_that_is_not_granted_is_reported(on_dshow: Callable[..., Webcam]) -> None:
    device = DirectShow({"YUY2": [(640, 480)]})
    with on_dshow(device).opened() as stream:
        assert stream.remarks == (
            "MJPG = yes was not granted: it sends YUY2. Without compression USB may limit "
            "size and rate",
        )
    with on_dshow(DirectShow({"YUY2": [(640, 480)]}), mjpg=False).opened() as stream:
        assert stream.remarks == ()


def test_a_driver_that_does_not_report_the_format_is_said(
    on_dshow: Callable[..., Webcam], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = DirectShow(BOTH)
    monkeypatch.setattr(device, "get", lambda _key: -1.0)
    with on_dshow(device).opened() as stream:
        assert "the driver does not report the format" in stream.remarks[0]


def test_a_name_becomes_the_present_number(
    on_dshow: Callable[..., Webcam], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = DirectShow(BOTH)
    camera = on_dshow(device, source="OBS Virtual Camera")
    monkeypatch.setattr("cameras.webcam.list_webcams", lambda _backend: ON_WINDOWS)
    with camera.opened():
        assert device.opened == [(1, cv2.CAP_DSHOW)]
    moved = (replace(ON_WINDOWS[1], number=0),)
    monkeypatch.setattr("cameras.webcam.list_webcams", lambda _backend: moved)
    with camera.opened():
        assert device.opened[-1] == (0, cv2.CAP_DSHOW)


def test_looking_for_webcams_prints_nothing_though_ports_have_none(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    capture = cv2.VideoCapture

    def counted(number: int, backend: int) -> cv2.VideoCapture:
        tried.append(number)
        return capture(number, backend)

    monkeypatch.setattr(cv2, "VideoCapture", counted)
    found = probe_numbers()
    assert tried == list(range(10))
    assert len(found) < 10  # OpenCV complains of the others, where it is not silenced
    assert {device.kind for device in found} <= {"Webcam"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("rate", "words"),
    [(30.0003, "at 30/s"), (30000 / 1001, "at 29.97/s"), (0, "at an unknown rate")],
)
def test_the_rate_of_a_format_is_rounded_in_words(rate: float, words: str) -> None:
    assert str(ImageFormat((48, 64), rate)) == f"64×48 grey 8 bit {words}"
