"""Simulated wells: flies stay in their wells, walk and rest, and are where it is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.simulation.wells import FLY_SHARE, Wells

PLATE = Wells((240, 320), 2, 3)


@given(time_s=st.floats(0, 3600))
def test_each_fly_stays_in_its_well(time_s: float) -> None:
    away = np.hypot(*(PLATE.truth(time_s) - PLATE.centres).T)
    assert (away + FLY_SHARE * PLATE.distance < PLATE.radius).all()


def test_flies_are_drawn_where_the_truth_says() -> None:
    plate = Wells((240, 320), 2, 3, noise=0)
    image = np.empty(plate.shape, np.uint8)
    y, x = np.mgrid[:240, :320]
    for time_s in (0.0, 3.3, 17.1):
        plate.draw(image, time_s)
        darker = plate._backgrounds[0].astype(float) - image
        for centre, fly in zip(plate.centres, plate.truth(time_s), strict=True):
            own = np.where(
                np.hypot(x - centre[0], y - centre[1]) < plate.radius, darker, 0
            )
            found = np.array([(own * x).sum(), (own * y).sum()]) / own.sum()
            assert found == pytest.approx(fly, abs=0.1)


def test_each_fly_walks_rests_and_comes_to_the_wall() -> None:
    times = np.arange(0, 60, 0.1)
    places = np.array([PLATE.truth(time_s) for time_s in times])
    steps = np.hypot(*np.moveaxis(np.diff(places, axis=0), -1, 0))
    assert ((steps == 0).mean(axis=0) > 0.05).all()
    assert ((steps > 0.3).mean(axis=0) > 0.2).all()
    assert steps.max() < 8
    away = np.hypot(*np.moveaxis(places - PLATE.centres, -1, 0))
    assert (away.max(axis=0) > 0.7 * PLATE.radius).all()


def test_a_walking_fly_looks_ahead_and_a_resting_one_keeps_its_direction() -> None:
    step_s = 0.1
    for time_s in np.arange(1, 40, 0.37):
        before, now = PLATE.truth(time_s - step_s), PLATE.truth(time_s)
        step = now - before
        walks = np.hypot(*step.T) > 0.5
        turned = np.arctan2(step[:, 1], step[:, 0]) - PLATE.directions(time_s)
        assert (np.cos(turned)[walks] > 0.8).all()
        later = PLATE.truth(time_s + step_s)
        still = ~np.any([before != now, later != now], axis=(0, 2))
        same = PLATE.directions(time_s) == pytest.approx(
            PLATE.directions(time_s + step_s), abs=1e-6
        )
        assert same or not still.all()


def test_colour_images_have_three_equal_layers() -> None:
    grey, colour = Wells((64, 96), 1, 1), Wells((64, 96, 3), 1, 1)
    one, three = np.empty(grey.shape, np.uint8), np.empty(colour.shape, np.uint8)
    grey.draw(one, 2.0, 3)
    colour.draw(three, 2.0, 3)
    assert np.array_equal(three, np.dstack([one] * 3))
