"""Basler cameras through the real pylon, whose emulator plays the device."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.arena import Arena
from cameras.basler import Basler
from cameras.camera import NOTHING_YET, Film, Shot
from cameras.pylon_count import Count
from cameras.pylon_device import connected, find
from cameras.pylon_film import filming
from cameras.pylon_pixels import layout_of
from cameras.pylon_settings import Wanted, feature
from core.errors import DeviceError
from core.frame import Image
from tests.cameras.emulation import emulated, feature_file, numbered, save

REGION = (0, 0, 64, 48)
FAST: dict[str, Any] = {"region": REGION, "exposure_us": 1000, "rate": 200}


@pytest.fixture(autouse=True)
def _one_camera() -> Iterator[None]:
    with emulated(1):
        yield


@contextmanager
def at_hand(**wanted: Any) -> Iterator[tuple[Any, Film]]:
    """A film, and the camera itself, to make it fail."""
    with (
        connected(find("")) as camera,
        filming(camera, Wanted(**{**FAST, **wanted})) as film,
    ):
        yield camera, film


def slot(film: Film) -> Image:
    image: Image = np.empty(film.format.shape, film.format.dtype)
    return image


def mine(folder: Path, count: int = 3, shape: tuple[int, ...] = (48, 64)) -> Path:
    return feature_file(folder / "own.pfs", numbered(folder / "own", count, shape))


# which camera


def test_the_only_camera_needs_no_serial_number() -> None:
    with Basler(**FAST).opened() as film:
        assert film.device == "Emulation 0815-0000"


def test_with_several_the_serial_number_decides() -> None:
    with emulated(2):
        listed = r"SERIAL must say which .*0815-0000, 0815-0001"
        with pytest.raises(DeviceError, match=listed), Basler().opened():
            pass
        with Basler(serial="0815-0001", **FAST).opened() as film:
            assert film.device.endswith("0815-0001")


def test_absent_cameras_are_a_sentence_at_once() -> None:
    begun = perf_counter()
    missing = pytest.raises(DeviceError, match=r"no Basler camera 7; .*0815-0000")
    with missing, Basler(serial="7").opened():
        pass
    with (
        emulated(0),
        pytest.raises(DeviceError, match="is it plugged in"),
        Basler().opened(),
    ):
        pass
    assert perf_counter() - begun < 2


def test_what_is_there_is_listed_with_its_formats() -> None:
    with emulated(2):
        found = Basler.found()
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
    with Basler(pixel_format=asked, **FAST).opened() as film:
        assert (film.format.shape, film.format.dtype) == (shape, dtype)
        image = slot(film)
        film.read(image)
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
    with Basler(pixel_format=asked, config=config, **FAST).opened() as film:
        image = slot(film)
        film.read(image)
        assert image[20, 20].tolist() == [0, 0, 200]


@pytest.mark.parametrize("tile", ["RG", "GR", "GB", "BG"])
def test_every_tiling_of_a_bayer_sensor_gives_the_colours_that_were_there(
    tile: str,
) -> None:
    bgr = {"B": 40, "G": 90, "R": 200}
    after = {"RG": "GB", "GR": "BG", "GB": "RG", "BG": "GR"}[tile]
    sensor = np.empty((16, 16), np.uint8)
    for row, colours in enumerate((tile, after)):
        for column, colour in enumerate(colours):
            sensor[row::2, column::2] = bgr[colour]
    layout = layout_of(f"Bayer{tile}8")
    assert layout is not None
    image = np.zeros(layout.shape(16, 16), np.uint8)
    layout.copier()(sensor, image)
    assert image[8, 8].tolist() == [40, 90, 200]


def test_exposure_is_the_one_that_acts_and_bounds_the_rate() -> None:
    with at_hand(exposure_us=20_000, rate=200) as (camera, film):
        assert feature(camera, "ExposureTimeAbs").GetValue() == 20_000
        assert film.format.rate == pytest.approx(50)
        assert film.remarks == (
            "RATE = 200 was asked for; exposure and size let it give 50",
        )


def test_a_short_exposure_really_lets_it_film_fast() -> None:
    with Basler(**{**FAST, "exposure_us": 500, "rate": 400}).opened() as film:
        assert film.remarks == ()
        image = slot(film)
        film.read(image)
        begun = perf_counter()
        shots = [film.read(image) for _ in range(80)]
        assert shots[-1]
        assert 80 / (perf_counter() - begun) > 150  # with ExposureTime it is 95


def test_what_it_does_not_take_is_told() -> None:
    camera = Basler(
        region=(0, 10, 5000, 48), gain=1e6, exposure_us=1000, rate=50, trigger="free"
    )
    with camera.opened() as film:
        region, gain = film.remarks
        assert film.format.shape == (48, 4096)
        assert region == (
            "REGION = 0, 10, 5000, 48 was asked for; the camera took 0, 10, 4096, 48"
        )
        assert gain.startswith("GAIN = 1e+06 was asked for; the camera took ")


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


# pictures


def test_pictures_come_in_order_one_for_each_number(tmp_path: Path) -> None:
    with Basler(config=mine(tmp_path), **FAST).opened() as film:
        image, seen = slot(film), []
        for _ in range(60):
            shot = film.read(image)
            assert shot
            seen.append((shot.index, int(image[0, 0]), int(image[-1, -1])))
    assert seen == [(i, *[10 * (i % 3 + 1)] * 2) for i in range(60)]


def test_a_camera_without_a_clock_says_so() -> None:
    with Basler(**FAST).opened() as film:
        assert (film.clock, film.knows_losses) == ("host", True)
        shot = film.read(slot(film))
        assert shot is not None
        assert shot.exposed_ns is None


def test_damaged_pictures_are_gaps() -> None:
    with at_hand() as (camera, film):
        image = slot(film)
        first = film.read(image)
        assert first is not None
        fail(camera, 5)
        indices = [first.index]
        while indices[-1] < 20:
            shot = film.read(image)
            assert shot is not None
            indices.append(shot.index)
        assert first.index == 0
        assert (np.diff(indices) - 1).sum() == 5


def test_damaged_pictures_count_even_before_the_first_good_one() -> None:
    with at_hand() as (camera, film):
        fail(camera, 3)
        shot = film.read(slot(film))
        assert shot is not None
        assert shot.index == 3


def test_nothing_but_damaged_pictures_is_a_lost_camera() -> None:
    with at_hand() as (camera, film):
        fail(camera, 1024)
        with pytest.raises(DeviceError, match=r"no whole picture for 1 s: The buffer"):
            film.read(slot(film))


def test_a_camera_that_is_gone_is_lost_at_once() -> None:
    with at_hand() as (camera, film):
        image = slot(film)
        film.read(image)
        camera.DestroyDevice()
        begun = perf_counter()
        with pytest.raises(DeviceError, match="unplugged"):
            film.read(image)
        assert perf_counter() - begun < 1


def test_a_free_camera_that_stalls_is_lost_within_a_second() -> None:
    with at_hand() as (camera, film):
        image = slot(film)
        film.read(image)
        feature(camera, "TriggerSelector").SetValue("FrameStart")
        feature(camera, "TriggerMode").SetValue("On")
        begun = perf_counter()
        with pytest.raises(DeviceError, match="gave no picture for 1 s"):
            for _ in range(20):
                film.read(image)
        assert perf_counter() - begun < 1.3


# triggers


def test_a_follower_is_armed_and_waits_for_its_pulses() -> None:
    with at_hand(trigger="line", line="Line2", edge="falling") as (camera, film):
        assert camera.IsGrabbing()
        state = [
            feature(camera, name).GetValue()
            for name in ("TriggerMode", "TriggerSource", "TriggerActivation")
        ]
        assert state == ["On", "Line2", "FallingEdge"]
        assert feature(camera, "AcquisitionFrameRateEnable").GetValue() is False
        image = slot(film)
        assert film.read(image) is NOTHING_YET
        feature(camera, "TriggerSource").SetValue("Software")  # a pulse, at last
        camera.WaitForFrameTriggerReady(1000)
        camera.ExecuteSoftwareTrigger()
        assert film.read(image) == Shot(0, None)


def test_a_follower_that_is_gone_is_lost() -> None:
    with at_hand(trigger="line") as (camera, film):
        camera.DestroyDevice()
        with pytest.raises(DeviceError, match="unplugged"):
            film.read(slot(film))


def test_a_trigger_that_was_left_on_is_switched_off() -> None:
    with at_hand() as (camera, film):
        selector = feature(camera, "TriggerSelector")
        for name in selector.GetSettableValues():
            selector.SetValue(name)
            assert feature(camera, "TriggerMode").GetValue() == "Off"
        assert film.read(slot(film))


def test_the_computer_asks_for_pictures_at_a_rate() -> None:
    with Basler(**{**FAST, "trigger": "software", "rate": 50}).opened() as film:
        image = slot(film)
        shots = [film.read(image) for _ in range(20)]
    times = [shot.exposed_ns for shot in shots if shot and shot.exposed_ns]
    assert [shot.index for shot in shots if shot] == list(range(20))
    assert np.median(np.diff(times)) == pytest.approx(20e6, rel=0.2)


def test_a_closed_loop_through_the_real_sdk(tmp_path: Path) -> None:
    """The arena is drawn, asked for and seen, picture after picture."""
    folder = tmp_path / "arena"
    folder.mkdir()
    arena = Arena((96, 128), seed=3)
    drawn = np.zeros((96, 128), np.uint8)

    def show(index: int) -> None:
        arena.draw(drawn, index / 30, index)
        drawn[:8, :8] = index  # tells which it is
        for name in ("0.bmp", "1.bmp"):  # a single file would be read only once
            save(folder / name, drawn)

    show(0)
    camera = Basler(
        config=feature_file(tmp_path / "arena.pfs", folder),
        region=(0, 0, 128, 96),
        exposure_us=500,
        trigger="software",
    )
    with camera.opened() as film:
        image = slot(film)
        for index in range(60):
            show(index)
            shot = film.read(image)
            assert shot is not None
            assert (shot.index, int(image[0, 0])) == (index, index)
            assert (image == drawn).all()


def test_two_cameras_of_one_process_do_not_mix(tmp_path: Path) -> None:
    with emulated(2) as serials, ExitStack() as stack:
        films = []
        for serial, folder in zip(
            serials, (tmp_path / "a", tmp_path / "b"), strict=True
        ):
            folder.mkdir()
            shape = (48, 64) if serial == serials[0] else (48, 64, 3)
            camera = Basler(serial=serial, config=mine(folder, 1, shape), **FAST)
            films.append(stack.enter_context(camera.opened()))
        for _ in range(5):
            assert all(film.read(slot(film)) for film in films)
        assert films[0].device != films[1].device


# counters


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=300), st.integers(1, 65535))
def test_short_counters_go_on_for_ever(losses: list[int], first: int) -> None:
    count = Count(bits=16, first=1)
    true, told = np.cumsum([0] + [loss + 1 for loss in losses]), []
    for number in true:
        told.append(count.index(1 + (first - 1 + int(number)) % 65535))
    assert told == true.tolist()


def test_a_counter_that_starts_again_is_no_time_travel() -> None:
    count = Count()
    assert [count.index(block) for block in (7, 8, 10)] == [0, 1, 3]
    with pytest.raises(DeviceError, match="anew"):
        count.index(0)
    with pytest.raises(DeviceError, match="without a number"):
        count.index(2**64 - 1)


def test_unknown_counters_claim_nothing() -> None:
    count = Count(knows=False)
    assert [count.index(block) for block in (0, 0, 2**64 - 1)] == [0, 1, 2]


def fail(camera: Any, count: int) -> None:
    feature(camera, "ForceFailedBufferCount").SetValue(count)
    camera.GetNodeMap().GetNode("ForceFailedBuffer").Execute()
