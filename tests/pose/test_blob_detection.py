import numpy as np
import pytest

from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.simulation.arena import Arena
from deeplabstream.simulation.social_walk import parse_social_rule


def test_a_stand_in_of_two_finds_the_drawn_animals_where_they_are_apart() -> None:
    arena = Arena((240, 320, 3), 0, shelter=False, animals=2, alike=False)
    estimator = open_estimator("stand-in:0:2")
    image = np.empty(arena.shape, np.uint8)
    away, missed = [], 0
    for index in range(40):
        time_s = index / 3
        truth = arena.truth(time_s)
        arena.draw(image, time_s, index)
        (pose,) = estimator.estimate([image])
        assert pose.points.shape == (2, 4, 2)
        middles = truth.mean(axis=1)
        if np.linalg.norm(middles[0] - middles[1]) < 70:
            continue
        found = pose.points.mean(axis=1)
        if not np.isfinite(found).all():
            missed += 1
            continue
        apart = np.linalg.norm(found[:, None] - middles[None], axis=-1)
        assert sorted(apart.argmin(axis=1)) == [0, 1]
        away += apart.min(axis=1).tolist()
    assert len(away) > 30
    assert missed <= 3
    assert np.median(away) < 12


def test_an_empty_floor_has_no_animals() -> None:
    estimator = open_estimator("stand-in:0:3")
    arena = Arena((240, 320), 0, shelter=False)
    (pose,) = estimator.estimate([arena.background])
    assert np.isnan(pose.points).all()
    assert not pose.confidence.any()


@pytest.mark.parametrize("shape", [(240, 320, 3), (480, 640), (120, 160, 3), (9, 12)])
def test_an_image_of_one_colour_has_no_animals(shape: tuple[int, ...]) -> None:
    (pose,) = open_estimator("stand-in:0:2").estimate([np.full(shape, 90, np.uint8)])
    assert np.isnan(pose.points).all()


@pytest.mark.parametrize("shape", [(240, 320, 3), (480, 640)])
def test_an_animal_at_the_wall_is_found_where_it_is(shape: tuple[int, ...]) -> None:
    """An animal that avoids another one rests at walls and in corners."""
    rules = tuple(map(parse_social_rule, ("1 attacks 2", "2 avoids 1")))
    arena = Arena(shape, 1, shelter=False, animals=2, alike=False, social=rules)
    estimator = open_estimator("stand-in:0:2")
    image = np.empty(arena.shape, np.uint8)
    scale, seen = shape[1] / 640, 0
    for index in range(30):
        time_s = index * 1.3
        arena.draw(image, time_s, index)
        middles = arena.truth(time_s).mean(axis=1)
        at_wall = np.minimum(middles, np.array(shape[1::-1]) - middles).min() / scale
        if np.linalg.norm(middles[0] - middles[1]) < 140 * scale or at_wall > 60:
            continue
        (pose,) = estimator.estimate([image])
        found = pose.points.mean(axis=1)
        away = np.linalg.norm(found[:, None] - middles[None], axis=-1).min(axis=0)
        assert (away < 45 * scale).all(), time_s
        seen += 1
    assert seen > 8
