"""The LED of the latency test: where it is, and whether it is lit."""

import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.pose.led_detector import (
    Led,
    LedDetector,
    find_led,
    grey,
    split_model,
)
from deeplabstream.pose.placeholder_network import PlaceholderNetwork


def frames(
    lit: bool, floor: float = 80, led: int = 200, dim: float = 1.0
) -> list[Image]:
    """Frames with noise, a moving dark animal, a moving bright reflection, and the LED."""
    draw = np.random.default_rng(int(lit))
    made = []
    for n in range(24):
        image = draw.normal(floor * (dim if lit else 1.0), 2, (120, 160))
        image[60:80, 5 * n : 5 * n + 20] = 20
        image[100:104, 150 - 6 * n : 156 - 6 * n] = 255
        if lit:
            image[30:34, 100:105] = led
        made.append(np.clip(image, 0, 255).astype(np.uint8))
    return made


def test_the_led_is_found_among_moving_things() -> None:
    found = find_led(frames(True), frames(False))
    assert found.led is not None
    led = found.led
    assert (led.x, led.y, led.width, led.height) == (100, 30, 5, 4)
    assert 135 < led.level < 145 and found.contrast > 100
    assert abs(found.dimmed) < 0.01 and found.saturated < 0.01


def test_frames_without_an_led_have_none() -> None:
    found = find_led(frames(True, led=80), frames(False))
    assert found.led is None and found.contrast < 12


def test_a_saturated_frame_shows_no_led() -> None:
    found = find_led(frames(True, floor=400, led=255), frames(False, floor=400))
    assert found.led is None and found.saturated > 0.9


def test_a_frame_that_gets_darker_with_the_led_is_noticed() -> None:
    found = find_led(frames(True, dim=0.85), frames(False))
    assert found.led is not None
    assert found.dimmed == pytest.approx(0.15, abs=0.02)


def test_frames_of_more_than_8_bits_and_of_colour() -> None:
    deep = [
        [(each.astype(np.uint16) * 16) for each in frames(on)] for on in (True, False)
    ]
    found = find_led(*deep)
    assert found.led is not None and found.led.x == 100
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 2] = 200
    assert grey(red).max() == 200


def test_the_detector_runs_the_network_and_tells_lit_from_dark() -> None:
    led = find_led(frames(True), frames(False)).led
    assert led is not None
    detector = LedDetector(led, PlaceholderNetwork())
    for on in (True, False):
        for pose in detector.estimate(frames(on)):
            distance = np.abs(pose.points[0, 0] - led.centre).max()
            assert bool(distance < 1) is on


def test_the_word_for_the_settings() -> None:
    led = Led(10, 20, 4, 5, 99.5)
    assert split_model(led.model("C:/nets/one")) == (led, "C:/nets/one")
    with pytest.raises(ModelError, match="expected led:X Y WIDTH HEIGHT LEVEL"):
        split_model("led:1 2 3")
