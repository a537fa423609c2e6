"""The simulated camera keeps time, buffers and loses as a driver, and can be startled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.simulated import SimulatedCamera
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.frame import Image
from deeplabstream.plugins.camera import CapturedFrame
from deeplabstream.simulation.camera_model import DEPTH, DriverBuffer


class Startled(SimulatedCamera):
    def startled(self) -> bool:
        return True


def captured(camera: SimulatedCamera) -> tuple[list[CapturedFrame], list[Image]]:
    shots, images = [], []
    with camera.opened() as stream:
        image = np.empty(stream.format.shape, np.uint8)
        while shot := stream.read(image):
            shots.append(shot)
            images.append(image.copy())
    return shots, images


def test_its_frames_come_at_the_ticks_of_its_rate() -> None:
    clock = SystemClock()
    camera = SimulatedCamera(width=64, height=64, rate=100, frames=8)
    with camera.opened() as stream:
        image = np.empty(stream.format.shape, np.uint8)
        shots = []
        while shot := stream.read(image):
            assert shot.exposed_ns is not None
            assert shot.exposed_ns <= clock.now_ns()
            shots.append((shot.index, shot.exposed_ns))
    indices, times = np.array(shots).T
    assert indices[0] == 0
    assert (np.diff(times) == 10_000_000 * np.diff(indices)).all()


def test_who_reads_late_loses_only_what_the_buffer_does_not_hold() -> None:
    clock = SystemClock()
    camera = SimulatedCamera(width=64, height=64, rate=1000)
    with camera.opened() as stream:
        image = np.empty(stream.format.shape, np.uint8)
        first = stream.read(image)
        assert first is not None
        assert first.exposed_ns is not None
        while clock.now_ns() < first.exposed_ns + 2 * DEPTH * 1_000_000:
            pass
        late = [stream.read(image) for _ in range(DEPTH)]
        still = np.empty_like(image)
        camera.arena.draw(still, DEPTH / 1000, DEPTH)
        assert np.array_equal(image, still)
        after = stream.read(image)
        assert stream.knows_losses
    assert [shot.index for shot in late if shot] == list(range(1, 1 + DEPTH))
    times = [shot.exposed_ns for shot in late if shot and shot.exposed_ns]
    assert times == [first.exposed_ns + n * 1_000_000 for n in range(1, 1 + DEPTH)]
    assert after is not None
    assert after.index >= 2 * DEPTH


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3))))
def test_every_exposure_is_taken_once_waits_or_is_lost(
    depth: int, rounds: list[tuple[int, int]]
) -> None:
    buffer, exposed, taken = DriverBuffer(depth), 0, list[int]()
    for more, takes in rounds:
        exposed += more
        buffer.expose(exposed)
        for _ in range(takes):
            taken.append(buffer.take())
            exposed = max(exposed, taken[-1] + 1)  # it waited for the next one
    assert taken == sorted(set(taken))
    left = [index for _ in range(depth + 1) if (index := buffer.take()) < exposed]
    assert len(left) <= depth
    assert all(index not in taken for index in left)
    if exposed <= depth:
        assert taken + left == list(range(exposed))


def test_the_truth_depends_on_time_not_on_the_rate() -> None:
    slow, fast = SimulatedCamera(rate=30), SimulatedCamera(rate=90)
    for index in (0, 7, 200):
        assert np.array_equal(slow.where(index), fast.where(3 * index), equal_nan=True)


def test_a_startled_animal_runs() -> None:
    settings = {"width": 96, "height": 64, "rate": 500, "frames": 2, "noise": 0}
    calm, startled = SimulatedCamera(**settings), Startled(**settings)
    _, images = captured(startled)
    expected = np.empty((64, 96, 3), np.uint8)
    calm.arena.draw(expected, 3 / 500)  # nothing before the first image
    assert np.array_equal(images[0], expected)


@pytest.mark.parametrize("grey", [False, True])
def test_it_can_be_grey(grey: bool) -> None:
    camera = SimulatedCamera(width=80, height=64, rate=1000, frames=1, grey=grey)
    _, images = captured(camera)
    assert images[0].shape == ((64, 80) if grey else (64, 80, 3))


def test_its_rate_is_changed_while_it_captures_and_the_walk_goes_on() -> None:
    camera = SimulatedCamera(width=64, height=64, rate=400, noise=0)
    with camera.opened() as stream:
        image = np.zeros(stream.format.shape, stream.format.dtype)
        for _ in range(8):
            before = stream.read(image)
        assert before is not None
        assert stream.set_control("rate", 100.0)
        at = [stream.read(image) for _ in range(3)]
        indices = [shot.index for shot in at if shot]
        times = [shot.exposed_ns or 0 for shot in at if shot]
        assert indices == list(range(before.index + 1, before.index + 4))
        assert np.diff(times) == pytest.approx(10_000_000)
        assert {control.key: control.now for control in stream.controls()}[
            "rate"
        ] == 100
        assert stream.set_control("rate", 1e9)
        assert {control.key: control.now for control in stream.controls()}[
            "rate"
        ] == 2000
        assert not stream.set_control("seed", 2.0)


def test_longer_exposure_is_brighter_and_slower() -> None:
    camera = SimulatedCamera(width=64, height=64, rate=100, noise=0, grey=True)
    with camera.opened() as stream:
        image = np.zeros(stream.format.shape, stream.format.dtype)
        stream.read(image)
        usual = image.mean()
        assert stream.set_control("exposure_us", 5_000.0)
        stream.read(image)
        assert image.mean() == pytest.approx(usual / 2, rel=0.05)
        assert stream.set_control("exposure_us", 20_000.0)
        assert {control.key: control.now for control in stream.controls()}["rate"] == 50
    bright = SimulatedCamera(width=64, height=64, gain=20, exposure_us=50_000)
    with bright.opened() as stream:
        assert stream.format.rate == 20
