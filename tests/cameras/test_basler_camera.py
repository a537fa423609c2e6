"""Basler cameras: which one, and what it takes of the settings; by pylon's emulator."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cameras.basler.camera import Basler
from cameras.basler.features import feature
from deeplabstream.core.errors import DeviceError
from deeplabstream.settings.loading import parse
from tests.cameras.emulation import FAST, at_hand, emulated, feature_file, save, slot


@pytest.fixture(autouse=True)
def _one_camera() -> Iterator[None]:
    with emulated(1):
        yield


# which camera


def test_the_only_camera_needs_no_serial_number() -> None:
    with Basler(**FAST).opened() as stream:
        assert stream.device == "Emulation 0815-0000"


def test_with_several_the_serial_number_decides() -> None:
    with emulated(2):
        listed = r"SERIAL must say which .*0815-0000, 0815-0001"
        with pytest.raises(DeviceError, match=listed), Basler().opened():
            pass
        with Basler(serial="0815-0001", **FAST).opened() as stream:
            assert stream.device.endswith("0815-0001")


def test_absent_cameras_are_a_sentence() -> None:
    missing = pytest.raises(DeviceError, match=r"no Basler camera 7; .*0815-0000")
    with missing, Basler(serial="7").opened():
        pass
    with (
        emulated(0),
        pytest.raises(DeviceError, match="is it plugged in"),
        Basler().opened(),
    ):
        pass


def test_what_is_there_is_listed_with_its_formats() -> None:
    with emulated(2):
        found = Basler.connected_devices()
    assert [device.choose for device in found] == [
        "SERIAL = 0815-0000",
        "SERIAL = 0815-0001",
    ]
    assert {"Mono8", "Mono12", "BayerRG8", "BGR8Packed"} <= set(found[0].formats)


# settings


@pytest.mark.parametrize(
    ("asked", "shape", "dtype"),
    [
        ("mono", (48, 64), "uint8"),
        ("Mono8", (48, 64), "uint8"),
        ("mono12", (48, 64), "uint16"),
        ("bayer", (48, 64, 3), "uint8"),
        ("BayerGB8", (48, 64, 3), "uint8"),
        ("bgr", (48, 64, 3), "uint8"),
        ("RGB8Packed", (48, 64, 3), "uint8"),
    ],
)
def test_formats_are_what_they_are_asked_to_be(
    asked: str, shape: tuple[int, ...], dtype: str
) -> None:
    with Basler(pixel_format=asked, **FAST).opened() as stream:
        assert (stream.format.shape, stream.format.dtype) == (shape, dtype)
        image = slot(stream)
        stream.read(image)
        assert image.any()
        assert dtype == "uint8" or 255 < image.max() < 4096


def test_a_format_that_can_not_be_had_names_those_that_can() -> None:
    with (
        pytest.raises(DeviceError, match=r"PIXEL_FORMAT = YUV.*Mono8"),
        Basler(pixel_format="YUV").opened(),
    ):
        pass


@pytest.mark.parametrize(("asked", "corner"), [("bgr", 2), ("RGB8Packed", 2)])
def test_red_is_red(asked: str, corner: int, tmp_path: Path) -> None:
    folder = tmp_path / "red"
    folder.mkdir()
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 2] = 200
    save(folder / "0.bmp", red)
    config = feature_file(tmp_path / "red.pfs", folder)
    with Basler(pixel_format=asked, config=config, **FAST).opened() as stream:
        image = slot(stream)
        stream.read(image)
        assert image[20, 20].tolist() == [0, 0, 200]


def test_exposure_is_the_one_that_acts_and_bounds_the_rate() -> None:
    with at_hand(exposure_us=20_000, rate=200) as (camera, stream):
        assert feature(camera, "ExposureTimeAbs").GetValue() == 20_000
        assert stream.format.rate == pytest.approx(50)
        assert stream.remarks == (
            "RATE = 200 was requested; exposure and size limit it to 50",
        )


def test_a_short_exposure_bounds_the_rate_no_more() -> None:
    with at_hand(exposure_us=500, rate=400) as (camera, stream):
        # ExposureTime, which this camera has too, leaves this at 10 000: 100 per second
        assert feature(camera, "ExposureTimeAbs").GetValue() == 500
        assert feature(camera, "ResultingFrameRateAbs").GetValue() == 400
        assert stream.format.rate == 400
        assert stream.remarks == ()
        assert stream.read(slot(stream))


def test_what_it_does_not_take_is_told() -> None:
    camera = Basler(
        region=(0, 10, 5000, 48), gain=1e6, exposure_us=1000, rate=50, trigger="free"
    )
    with camera.opened() as stream:
        region, gain = stream.remarks
        assert stream.format.shape == (48, 4096)
        assert region == (
            "REGION = 0, 10, 5000, 48 was requested; the camera set 0, 10, 4096, 48"
        )
        assert gain.startswith("GAIN = 1e+06 was requested; the camera set ")


def test_a_feature_file_that_is_none_is_named(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.pfs"
    with (
        pytest.raises(
            DeviceError, match=r"CONFIG = .*nowhere\.pfs: The file could not"
        ),
        Basler(config=nowhere).opened(),
    ):
        pass


def test_an_error_of_pylon_is_a_sentence_without_its_source_code() -> None:
    with (
        pytest.raises(DeviceError, match=r"^LINE: TriggerSource Line9 .*Line1, Line2"),
        Basler(trigger="line", line="Line9").opened(),
    ):
        pass


def test_it_is_changed_while_it_captures_and_says_what_it_took() -> None:
    with Basler(**FAST).opened() as stream:
        image = slot(stream)
        before = stream.read(image)
        assert stream.set_control("exposure_us", 20_000.0)
        now = {control.key: control.now for control in stream.controls()}
        assert now["exposure_us"] == 20_000
        assert now["rate"] == pytest.approx(50), "so long an exposure lets it no faster"
        assert stream.set_control("gain", 1e6)
        gain = next(control for control in stream.controls() if control.key == "gain")
        assert gain.now == pytest.approx(gain.high)
        assert stream.set_control("rate", 20.0)
        assert stream.set_control("region", (8, 16, 64, 48))
        assert {control.key: control.now for control in stream.controls()}[
            "region"
        ] == (
            8,
            16,
            64,
            48,
        )
        assert not stream.set_control("region", (0, 0, 128, 48)), "that is another size"
        assert not stream.set_control("line", 1.0)
        after = stream.read(image)
        assert before is not None
        assert after is not None
        assert after.index > before.index


def test_the_rate_of_a_triggered_one_is_that_of_its_pulses() -> None:
    with Basler(**FAST, trigger="line").opened() as stream:
        assert not stream.set_control("rate", 20.0)
        assert "rate" not in {control.key for control in stream.controls()}


def test_a_leader_gives_a_pulse_for_each_exposure() -> None:
    with at_hand(leads=True, output_line="Line3") as (camera, stream):
        assert feature(camera, "LineSelector").GetValue() == "Line3"
        assert feature(camera, "LineMode").GetValue() == "Output"
        assert feature(camera, "LineSource").GetValue() == "ExposureActive"
        assert stream.read(slot(stream))
    with (
        pytest.raises(DeviceError, match=r"^OUTPUT_LINE: LineSelector Line9 .*Line1"),
        Basler(leads=True, output_line="Line9").opened(),
    ):
        pass


def test_a_resolution_without_region_is_the_middle_of_the_sensor() -> None:
    text = "[Streaming]\nRESOLUTION = 640, 480\n[Camera top]\nKIND = Basler\n"
    camera = parse(text, Path()).cameras["top"]
    with camera.opened() as stream:
        assert stream.format.shape == (480, 640)
        region = {each.key: each.now for each in stream.controls()}["region"]
        assert region == ((4096 - 640) // 2, (4096 - 480) // 2, 640, 480)
        assert stream.remarks == (
            "RESOLUTION = 640, 480: the middle of the sensor, which has 4096, 4096 px. "
            "REGION selects another part",
        )
    own = parse(text + "REGION = 0, 8, 320, 240\n", Path()).cameras["top"]
    with own.opened() as stream:
        assert stream.format.shape == (240, 320)
        assert stream.remarks == ()
    with Basler(resolution=(9000, 480)).opened() as stream:
        assert stream.remarks[0] == (
            "RESOLUTION = 9000, 480 was requested; the camera set 4096, 480"
        )
