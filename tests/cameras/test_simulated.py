"""The simulated camera keeps time, loses pictures as a real one, and can be startled."""

import numpy as np
import pytest

from cameras.camera import Shot
from cameras.simulated import SimulatedCamera
from core.clock import SystemClock
from core.frame import Image


class Startled(SimulatedCamera):
    def startled(self) -> bool:
        return True


def filmed(camera: SimulatedCamera) -> tuple[list[Shot], list[Image]]:
    shots, images = [], []
    with camera.opened() as film:
        image = np.empty(film.format.shape, np.uint8)
        while shot := film.read(image):
            shots.append(shot)
            images.append(image.copy())
    return shots, images


def test_its_pictures_come_at_the_ticks_of_its_rate() -> None:
    clock = SystemClock()
    camera = SimulatedCamera(width=64, height=64, rate=100, frames=8)
    with camera.opened() as film:
        image = np.empty(film.format.shape, np.uint8)
        shots = []
        while shot := film.read(image):
            assert shot.exposed_ns is not None
            assert shot.exposed_ns <= clock.now_ns()
            shots.append((shot.index, shot.exposed_ns))
    indices, times = np.array(shots).T
    assert indices[0] == 0
    assert (np.diff(times) == 10_000_000 * np.diff(indices)).all()


def test_who_reads_late_finds_a_gap_and_the_newest_picture() -> None:
    clock = SystemClock()
    camera = SimulatedCamera(width=64, height=64, rate=1000)
    with camera.opened() as film:
        image = np.empty(film.format.shape, np.uint8)
        first = film.read(image)
        assert first is not None
        assert first.exposed_ns is not None
        while clock.now_ns() < first.exposed_ns + 5_000_000:
            pass
        second = film.read(image)
        assert second is not None
        assert second.index >= 5
        assert film.knows_losses
    still = np.empty_like(image)
    camera.arena.draw(still, second.index / 1000, second.index)
    assert np.array_equal(image, still)


def test_the_truth_depends_on_time_not_on_the_rate() -> None:
    slow, fast = SimulatedCamera(rate=30), SimulatedCamera(rate=90)
    for index in (0, 7, 200):
        assert np.array_equal(slow.where(index), fast.where(3 * index), equal_nan=True)


def test_a_startled_animal_runs() -> None:
    settings = {"width": 96, "height": 64, "rate": 500, "frames": 2, "noise": 0}
    calm, startled = SimulatedCamera(**settings), Startled(**settings)
    _, images = filmed(startled)
    expected = np.empty((64, 96, 3), np.uint8)
    calm.arena.draw(expected, 3 / 500)  # nothing before the first picture
    assert np.array_equal(images[0], expected)


@pytest.mark.parametrize("grey", [False, True])
def test_it_can_be_grey(grey: bool) -> None:
    camera = SimulatedCamera(width=80, height=64, rate=1000, frames=1, grey=grey)
    _, images = filmed(camera)
    assert images[0].shape == ((64, 80) if grey else (64, 80, 3))
