import numpy as np

from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.simulation.arena import Arena


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
