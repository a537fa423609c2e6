"""Frames, losses and triggers of Basler cameras; by pylon's emulator."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from cameras.basler.camera import Basler
from cameras.basler.features import feature
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.plugins.camera import NO_FRAME_YET, CapturedFrame
from deeplabstream.simulation.arena import Arena
from tests.cameras.emulation import (
    FAST,
    at_hand,
    emulated,
    fail,
    feature_file,
    mine,
    save,
    slot,
)


@pytest.fixture(autouse=True)
def _one_camera() -> Iterator[None]:
    with emulated(1):
        yield


# images


def test_frames_come_in_order_one_for_each_number(tmp_path: Path) -> None:
    with Basler(config=mine(tmp_path), **FAST).opened() as stream:
        image, seen = slot(stream), []
        for _ in range(60):
            shot = stream.read(image)
            assert shot
            seen.append((shot.index, int(image[0, 0]), int(image[-1, -1])))
    assert seen == [(i, *[10 * (i % 3 + 1)] * 2) for i in range(60)]


def test_a_camera_without_a_clock_says_so() -> None:
    with Basler(**FAST).opened() as stream:
        assert (stream.clock, stream.knows_losses) == ("host", True)
        shot = stream.read(slot(stream))
        assert shot is not None
        assert shot.exposed_ns is None


def test_damaged_frames_are_gaps() -> None:
    with at_hand() as (camera, stream):
        image = slot(stream)
        first = stream.read(image)
        assert first is not None
        fail(camera, 5)
        indices = [first.index]
        while indices[-1] < 20:
            shot = stream.read(image)
            assert shot is not None
            indices.append(shot.index)
        assert first.index == 0
        assert (np.diff(indices) - 1).sum() == 5


def test_damaged_frames_count_even_before_the_first_good_one() -> None:
    with at_hand() as (camera, stream):
        fail(camera, 3)
        shot = stream.read(slot(stream))
        assert shot is not None
        assert shot.index == 3


@pytest.mark.usefixtures("usual_limits")
def test_nothing_but_damaged_frames_is_a_lost_camera() -> None:
    with at_hand() as (camera, stream):
        fail(camera, 1024)
        with pytest.raises(
            DeviceError, match=r"no complete frame for \d+ s: The buffer"
        ):
            stream.read(slot(stream))


@pytest.mark.usefixtures("usual_limits")
def test_a_camera_that_is_gone_is_lost_as_unplugged() -> None:
    with at_hand() as (camera, stream):
        image = slot(stream)
        stream.read(image)
        camera.DestroyDevice()
        with pytest.raises(DeviceError, match="unplugged"):
            stream.read(image)


@pytest.mark.usefixtures("usual_limits")
def test_a_free_camera_that_stalls_is_lost_within_a_second() -> None:
    with at_hand() as (camera, stream):
        image = slot(stream)
        with pytest.raises(DeviceError, match=r"gave no frame for \d+ s"):
            stream.read(image)
            feature(camera, "TriggerSelector").SetValue("FrameStart")
            feature(camera, "TriggerMode").SetValue("On")
            for _ in range(200):  # as many frames may wait as there are buffers, 64
                stream.read(image)


# triggers


@pytest.mark.usefixtures("usual_limits")
def test_a_follower_is_armed_and_waits_for_its_pulses() -> None:
    with at_hand(trigger="line", line="Line2", edge="falling") as (camera, stream):
        assert camera.IsGrabbing()
        state = [
            feature(camera, name).GetValue()
            for name in ("TriggerMode", "TriggerSource", "TriggerActivation")
        ]
        assert state == ["On", "Line2", "FallingEdge"]
        assert feature(camera, "AcquisitionFrameRateEnable").GetValue() is False
        image = slot(stream)
        assert stream.read(image) is NO_FRAME_YET
        feature(camera, "TriggerSource").SetValue("Software")  # a pulse, at last
        camera.WaitForFrameTriggerReady(1000)
        camera.ExecuteSoftwareTrigger()
        assert stream.read(image) == CapturedFrame(0, None, 0)


@pytest.mark.usefixtures("usual_limits")
def test_a_follower_that_is_gone_is_lost() -> None:
    with at_hand(trigger="line") as (camera, stream):
        camera.DestroyDevice()
        with pytest.raises(DeviceError, match="unplugged"):
            stream.read(slot(stream))


def test_a_trigger_that_was_left_on_is_switched_off() -> None:
    with at_hand() as (camera, stream):
        selector = feature(camera, "TriggerSelector")
        for name in selector.GetSettableValues():
            selector.SetValue(name)
            assert feature(camera, "TriggerMode").GetValue() == "Off"
        assert stream.read(slot(stream))


def test_the_computer_asks_for_frames_at_a_rate() -> None:
    with Basler(**{**FAST, "trigger": "software", "rate": 50}).opened() as stream:
        image, start_ns = slot(stream), SystemClock().now_ns()
        shots = [stream.read(image) for _ in range(20)]
    indices = [shot.index for shot in shots if shot]
    assert (np.diff(indices) >= 1).all()  # a busy computer's emulator loses exposures
    times = np.array([shot.exposed_ns for shot in shots if shot and shot.exposed_ns])
    assert len(times) == 20
    assert (times >= start_ns + 20_000_000 * np.arange(20)).all(), "none too early"


def test_a_closed_loop_through_the_real_sdk(tmp_path: Path) -> None:
    """The arena is drawn, asked for and seen, image after image."""
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
    with camera.opened() as stream:
        image = slot(stream)
        last = -1
        for index in range(60):
            show(index)
            shot = stream.read(image)
            assert shot is not None
            assert shot.index > last  # on a busy computer the emulator loses exposures
            last = shot.index
            assert int(image[0, 0]) == index
            assert (image == drawn).all()


def test_two_cameras_of_one_process_do_not_mix(tmp_path: Path) -> None:
    with emulated(2) as serials, ExitStack() as stack:
        streams = []
        for serial, folder in zip(
            serials, (tmp_path / "a", tmp_path / "b"), strict=True
        ):
            folder.mkdir()
            shape = (48, 64) if serial == serials[0] else (48, 64, 3)
            camera = Basler(serial=serial, config=mine(folder, 1, shape), **FAST)
            streams.append(stack.enter_context(camera.opened()))
        for _ in range(5):
            assert all(stream.read(slot(stream)) for stream in streams)
        assert streams[0].device != streams[1].device
