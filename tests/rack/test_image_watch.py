"""Alarms for cameras whose images are black, or all the same."""

import numpy as np

from deeplabstream.core.frame import Frame
from deeplabstream.rack.image_watch import ImageWatch

SECOND_NS = 1_000_000_000
random = np.random.default_rng(1)


class Camera:
    """A camera at which the watch looks once a second."""

    def __init__(self) -> None:
        self.watch, self.second = ImageWatch(), 0
        self.said: list[str] = []

    def show(self, image: np.ndarray, seconds: int = 1) -> int:
        """Show an image for some seconds; return the number of alarms."""
        before = len(self.said)
        for _ in range(seconds):
            self.second += 1
            now_ns = self.second * SECOND_NS
            frame = Frame("top", self.second, now_ns, now_ns, image)
            self.said += self.watch.check(frame, now_ns)
        return len(self.said) - before


def noise(low: int = 0, high: int = 255) -> np.ndarray:
    return random.integers(low, high, (48, 64, 3), dtype=np.uint8)


def test_images_that_differ_are_no_alarm() -> None:
    camera = Camera()
    assert sum(camera.show(noise()) for _ in range(20)) == 0


def test_the_same_image_for_5_s_is_one_alarm_until_another_comes() -> None:
    camera, image = Camera(), noise()
    assert camera.show(image, 5) == 0
    assert camera.show(image, 10) == 1
    assert "[Camera top] delivers the same image" in camera.said[0]
    camera.show(noise())
    assert camera.show(image, 6) == 1


def test_black_images_are_one_alarm_also_when_they_are_all_the_same() -> None:
    camera = Camera()
    camera.show(noise())
    assert camera.show(np.zeros((48, 64, 3), np.uint8), 20) == 1
    assert "images have been black" in camera.said[0]
    camera.show(noise())
    assert sum(camera.show(noise(0, 6)) for _ in range(20)) == 1


def test_a_dark_image_with_an_animal_in_light_is_not_black() -> None:
    camera = Camera()
    for _ in range(20):
        image = noise(0, 6)
        image[:12, :12] = 90
        assert camera.show(image) == 0
