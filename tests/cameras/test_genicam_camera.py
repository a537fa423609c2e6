"""GenICam cameras, through the virtual ones in the `genicam` package."""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import genicam
import numpy as np
import pytest

from cameras.genicam.camera import GenICam
from cameras.genicam.pixel_formats import layout_of
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image
from deeplabstream.plugins.camera import NO_FRAME_YET, CameraStream, CapturedFrame
from tests.cameras.genicam_model import ModelCamera, no_frame_in_time, producers_of

VIKY = Path(genicam.__file__).with_name("viky.cti")
"""Three cameras with a ball, red, green and blue: serial numbers 0, 1 and 2."""
SECOND = 1_000_000_000


def first_image(camera: GenICam) -> Image:
    with camera.opened() as stream:
        image = np.zeros(stream.format.shape, stream.format.dtype)
        stream.read(image)
        return image


def test_a_camera_is_chosen_by_its_serial_number() -> None:
    for serial, channel in (("0", 2), ("1", 1), ("2", 0)):
        with GenICam(cti=VIKY, serial=serial, rate=200).opened() as stream:
            assert stream.format.shape == (400, 400, 3)
            assert stream.device == f"Machine Vision Games Ltd. Viky {serial}"
            image = np.zeros(stream.format.shape, stream.format.dtype)
            stream.read(image)
            mean = image.mean((0, 1))
            assert mean.argmax() == channel


def test_settings_are_set_and_read_back() -> None:
    camera = GenICam(
        cti=VIKY, serial="1", pixel_format="Mono8", rate=150, resolution=(200, 100)
    )
    with camera.opened() as stream:
        assert stream.format.rate == 150
        assert len(stream.format.shape) == 2
        image = np.zeros(stream.format.shape, stream.format.dtype)
        assert stream.read(image)
        assert image.any()


def test_what_the_camera_can_not_do_is_a_remark() -> None:
    camera = GenICam(cti=VIKY, serial="1", rate=1000, exposure_us=500)
    with camera.opened() as stream:
        assert stream.format.rate <= 200
        assert "the camera has no ExposureTime: 500.0 was requested" in stream.remarks
        assert any(
            text.startswith("AcquisitionFrameRate is") for text in stream.remarks
        )


def test_the_rate_is_changed_while_it_captures() -> None:
    with GenICam(cti=VIKY, serial="1", rate=50).opened() as stream:
        image = np.zeros(stream.format.shape, stream.format.dtype)
        stream.read(image)
        assert {control.key: control.now for control in stream.controls()} == {
            "rate": 50.0
        }
        assert stream.set_control("rate", 120.0)
        assert stream.controls()[0].now == 120.0
        assert not stream.set_control("exposure_us", 500.0), "it has none"
        assert stream.read(image)


def test_frames_that_are_lost_are_gaps_in_the_count() -> None:
    with GenICam(cti=VIKY, serial="0", rate=200).opened() as stream:
        image = np.zeros(stream.format.shape, stream.format.dtype)
        assert stream.knows_losses
        assert stream.clock == "host"  # these cameras do not tell the time
        clock = SystemClock()
        end_ns = clock.now_ns() + 200_000_000
        while clock.now_ns() < end_ns:
            pass  # 40 images, and there are 16 buffers
        shots = [stream.read(image) for _ in range(20)]
        indices = [shot.index for shot in shots if shot]
        assert np.diff(indices).max() > 1
        assert len(indices) == 20


@pytest.mark.usefixtures("usual_limits")
def test_silence_is_seen_within_a_second() -> None:
    slow = GenICam(cti=VIKY, serial="0", rate=1, patience_s=60)
    for _ in range(10):  # on a busy computer an image is there before the first read
        with slow.opened() as stream:
            try:
                stream.read(np.zeros(stream.format.shape, stream.format.dtype))
            except DeviceError as error:
                assert "gave no frame for 1 s" in str(error)
                return
    pytest.fail("images came sooner than once a second")


def test_two_cameras_run_at_once_each_in_its_process() -> None:
    with (
        GenICam(cti=VIKY, serial="0", rate=200).opened() as stream,
        ProcessPoolExecutor(1, get_context("spawn")) as other,
    ):
        there = other.submit(first_image, GenICam(cti=VIKY, serial="2", rate=200))
        assert there.result().mean((0, 1)).argmax() == 0
        assert stream.read(np.zeros(stream.format.shape, stream.format.dtype))


@pytest.mark.parametrize(
    ("camera", "words"),
    [
        (GenICam(cti=VIKY), "several cameras, choose one by SERIAL: 0, 1, 2"),
        (GenICam(cti=VIKY, serial="7"), "SERIAL = 7: there are only 0, 1, 2"),
        (GenICam(cti=Path("nowhere.cti")), r"no GenTL producer .*nowhere\.cti"),
        (
            GenICam(cti=VIKY, serial="0", pixel_format="Mono99"),
            "PixelFormat = Mono99 is not one of RGBa8, Mono8",
        ),
        (
            GenICam(cti=VIKY, serial="0", features=("Width",)),
            "Width is not written as Name=value",
        ),
    ],
)
def test_mistakes_are_sentences(camera: GenICam, words: str) -> None:
    with pytest.raises(DeviceError, match=words), camera.opened():
        pass


def test_cameras_are_found_where_makers_put_their_producers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GENICAM_GENTL64_PATH", raising=False)
    assert GenICam.connected_devices() == ()
    monkeypatch.setenv("GENICAM_GENTL64_PATH", str(VIKY.parent))
    found = GenICam.connected_devices()
    assert [device.choose for device in found] == [f"SERIAL = {n}" for n in range(3)]
    assert found[0].formats == ("RGBa8", "Mono8")
    with GenICam(serial="1", rate=200).opened() as stream:
        assert stream.device == found[1].label


@pytest.mark.parametrize("pattern", ["RGGB", "GRBG", "GBRG", "BGGR"])
def test_bayer_images_get_their_colours(pattern: str) -> None:
    levels = {"R": 200, "G": 100, "B": 50}
    tile = np.array([levels[letter] for letter in pattern], np.uint8).reshape(2, 2)
    raw = np.tile(tile, (8, 8))[:, :, None]
    name = {"RGGB": "RG", "GRBG": "GR", "GBRG": "GB", "BGGR": "BG"}[pattern]
    image = layout_of(f"Bayer{name}8").to_image(raw)
    assert (image[4:-4, 4:-4] == (50, 100, 200)).all()


def test_twelve_bits_stay_and_strange_formats_are_refused() -> None:
    layout = layout_of("Mono12")
    raw = np.full((4, 6, 1), 4095, np.uint16)
    assert layout.to_image(raw).shape == layout.shape(4, 6) == (4, 6)
    assert layout.dtype == "uint16"
    with pytest.raises(DeviceError, match="YUV422_8 can't be used"):
        layout_of("YUV422_8")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ModelCamera:
    """A camera with triggers in place of harvesters' devices."""
    camera = ModelCamera()
    use(monkeypatch, camera)
    return camera


def use(monkeypatch: pytest.MonkeyPatch, camera: ModelCamera) -> None:
    start = "cameras.genicam.camera"
    monkeypatch.setattr(f"{start}._producers", lambda _files: producers_of(camera))
    monkeypatch.setattr(f"{start}._fetched", no_frame_in_time)


def read(stream: CameraStream) -> CapturedFrame | None:
    return stream.read(np.zeros(stream.format.shape, stream.format.dtype))


def test_a_follower_delivers_one_frame_per_pulse(model: ModelCamera) -> None:
    camera = GenICam(cti=VIKY, trigger="line", line="Line2", edge="falling", rate=100)
    with camera.opened() as stream:
        nodes = model.nodes
        assert nodes.TriggerActivation.value == "FallingEdge"
        assert (nodes.LineSelector.value, nodes.LineMode.value) == ("Line2", "Input")
        assert not nodes.AcquisitionFrameRateEnable.value, "it would limit the pulses"
        assert stream.format.rate == 100
        assert read(stream) is NO_FRAME_YET
        model.pulse("Line1")
        assert read(stream) is NO_FRAME_YET, "another input"
        for _ in range(3):
            model.pulse("Line2")
        shots = [read(stream) for _ in range(3)]
        assert [shot.index for shot in shots if shot] == [0, 1, 2]
        assert read(stream) is NO_FRAME_YET
        assert (stream.knows_losses, stream.clock) == (True, "device")
        assert not stream.set_control("rate", 20.0)
        assert "rate" not in {control.key for control in stream.controls()}


def test_a_camera_with_one_trigger_only_needs_no_selector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    camera = ModelCamera(without=("TriggerSelector",))
    use(monkeypatch, camera)
    with GenICam(cti=VIKY, trigger="line").opened() as stream:
        camera.pulse("Line1")
        assert isinstance(read(stream), CapturedFrame)


def test_a_follower_is_armed_behind_the_first_frame(model: ModelCamera) -> None:
    with GenICam(cti=VIKY, trigger="line").opened():
        pass
    log = model.log
    started = [index for index, entry in enumerate(log) if entry == "start"]
    assert len(started) == 2
    assert ("TriggerMode", "Off") in log[: started[0]], "left on by another program"
    assert log[started[1] - 1] == ("TriggerMode", "On")
    assert "stop" in log[started[0] : started[1]]
    assert log[-1] == "destroy"


def test_a_free_camera_is_not_left_waiting_by_an_earlier_program(
    model: ModelCamera,
) -> None:
    with GenICam(cti=VIKY).opened() as stream:
        shot = read(stream)
        assert shot is not None
        assert shot.index >= 0
    assert model.log.count("start") == 1


def test_the_computer_requests_each_frame(model: ModelCamera) -> None:
    with GenICam(cti=VIKY, trigger="software", rate=1000).opened() as stream:
        assert model.nodes.TriggerSource.value == "Software"
        shots = [read(stream) for _ in range(4)]
        assert [shot.index for shot in shots if shot] == [0, 1, 2, 3]


def test_a_clock_that_was_set_is_reported_with_the_third_frame(
    model: ModelCamera,
) -> None:
    with GenICam(cti=VIKY).opened() as stream:
        jumps = []
        for index in range(8):
            if index == 4:
                model.clock_us -= 10**9
            shot = read(stream)
            assert shot is not None
            jumps.append(round(shot.clock_jump_ns / 1e10))
        assert jumps == [0, 0, 0, 0, 0, 0, -100, 0]


def test_frames_that_waited_since_the_opening_have_their_age(
    model: ModelCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read at once after a second; one is exposed each millisecond."""
    arrivals = iter([SECOND, *range(2 * SECOND, 3 * SECOND, 100)])
    monkeypatch.setattr(
        "cameras.genicam.camera._fetched",
        lambda camera, patience_s: (camera.try_fetch(patience_s), next(arrivals)),
    )
    with GenICam(cti=VIKY).opened() as stream:
        shots = [read(stream) for _ in range(3)]
    exposed = [shot.exposed_ns for shot in shots if shot]
    assert exposed == [SECOND + (number + 1) * SECOND // 1000 for number in range(3)]


@pytest.mark.parametrize("first", [0, 1])
def test_gaps_in_the_count_are_gaps_of_indices(model: ModelCamera, first: int) -> None:
    counts = [first, first + 1, first + 4, 30_000, 60_000]
    counts += [65_535, 3] if first else [80_000, 100_000]
    indices = []
    with GenICam(cti=VIKY).opened() as stream:
        for count in counts:
            model.number = count - 1  # it counts before each frame
            shot = read(stream)
            assert shot is not None
            indices.append(shot.index)
    assert indices[:3] == [0, 1, 4]
    assert indices[-1] == (65_537 if first else 100_000)


def test_a_usb_camera_that_counts_from_0_knows_its_losses(
    model: ModelCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = model.start

    def from_0() -> None:
        start()
        model.number = -1

    monkeypatch.setattr(model, "start", from_0)
    with GenICam(cti=VIKY).opened() as stream:
        assert stream.knows_losses


@pytest.mark.parametrize("frames", [5_000, 40_000, 100_000])
def test_a_camera_that_restarts_its_count_is_opened_anew(
    model: ModelCamera, frames: int
) -> None:
    with GenICam(cti=VIKY).opened() as stream:
        assert read(stream)
        model.number = frames
        assert read(stream)
        model.number = 0
        with pytest.raises(DeviceError, match="restarted its frame counter"):
            read(stream)


def test_a_leader_gives_a_pulse_for_each_exposure(model: ModelCamera) -> None:
    with GenICam(cti=VIKY, leads=True).opened() as stream:
        nodes = model.nodes
        assert (nodes.LineSelector.value, nodes.LineMode.value) == ("Line2", "Output")
        assert nodes.LineSource.value == "ExposureActive"
        assert nodes.TriggerMode.value == "Off"
        assert read(stream)


def test_a_follower_that_is_unplugged_is_lost_not_waiting(model: ModelCamera) -> None:
    with GenICam(cti=VIKY, trigger="line").opened() as stream:
        assert read(stream) is NO_FRAME_YET
        model.unplugged = True
        model.nodes.TriggerMode.gone = True
        with pytest.raises(DeviceError, match="does not answer: TimeoutException"):
            read(stream)


@pytest.mark.parametrize(
    ("settings", "without", "words"),
    [
        (
            {"trigger": "line", "line": "Line9"},
            (),
            "LINE: TriggerSource Line9 .*Line1, L",
        ),
        (
            {"trigger": "line"},
            ("TriggerMode",),
            "TRIGGER: TriggerMode On",
        ),
        (
            {"leads": True, "output_line": "Line3"},
            (),
            "OUTPUT_LINE: LineSelector Line3",
        ),
        (
            {"leads": True},
            ("LineSource",),
            "LEADS: LineSource ExposureActive .*nothing",
        ),
    ],
)
def test_a_trigger_that_the_camera_does_not_have_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, settings: Any, without: Any, words: str
) -> None:
    use(monkeypatch, ModelCamera(without))
    with (
        pytest.raises(DeviceError, match=words),
        GenICam(cti=VIKY, **settings).opened(),
    ):
        pass


def test_the_simulated_camera_of_the_package_has_no_trigger() -> None:
    with (
        pytest.raises(DeviceError, match=r"LINE: TriggerSource .*available: nothing"),
        GenICam(cti=VIKY, serial="0", rate=200, trigger="line").opened(),
    ):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_closed_producer_stays_loaded() -> None:
    """The test process crashed once when its code was unloaded under its threads."""
    with GenICam(cti=VIKY, serial="0", rate=200).opened():
        pass
    assert VIKY.name in Path("/proc/self/maps").read_text("utf-8")
