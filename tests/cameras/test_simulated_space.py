"""Simulated camera in space: what it shows, and when it is covered or turned."""

import numpy as np
import pytest

from cameras.simulated_space import SimulatedSpaceCamera
from deeplabstream.plugin import Image
from deeplabstream.simulation.space_arena import (
    BodyWalk,
    CameraPainter,
    simulated_camera,
    turned,
)

RATE = 500.0


def shown(camera: SimulatedSpaceCamera) -> list[tuple[Image, int, int]]:
    """Return the images of all frames, their numbers and times of exposure."""
    found = []
    with camera.opened() as stream:
        image = np.empty(stream.format.shape, np.uint8)
        while (frame := stream.read(image)) is not None:
            assert frame.exposed_ns is not None
            found.append((image.copy(), frame.index, frame.exposed_ns))
    return found


@pytest.mark.parametrize("angle", [0.0, 2.0])
def test_it_shows_the_body_at_its_time_of_exposure(angle: float) -> None:
    camera = SimulatedSpaceCamera(
        view="left", rate=RATE, noise=0, frames=1, jitter_ms=1, turned_deg=angle
    )
    ((image, _, exposed_ns),) = shown(camera)
    expected = np.empty_like(image)
    painter = CameraPainter(turned(simulated_camera("left"), angle), noise=0)
    painter.paint(expected, BodyWalk().at(exposed_ns / 1e9))
    np.testing.assert_array_equal(image, expected)


def test_it_is_dark_while_it_is_covered() -> None:
    camera = SimulatedSpaceCamera(
        rate=RATE, frames=12, covered_from_s=2 / RATE, covered_s=3 / RATE
    )
    # frames that a late reader lost are not there
    for image, number, _ in shown(camera):
        assert bool(image.max() < 20) is (2 <= number < 5), number
