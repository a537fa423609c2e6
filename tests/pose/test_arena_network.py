"""The shipped network against the simulated camera's truth."""

import numpy as np
import pytest

from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.simulation.arena import Arena


@pytest.mark.parametrize("shape", [(480, 640, 3), (480, 640), (1024, 1280, 3)])
def test_the_arena_network_sees_the_mouse_and_not_what_is_hidden(
    shape: tuple[int, ...],
) -> None:
    estimator = open_estimator("arena", "cpu", threads=1)
    arena = Arena(shape, seed=5)
    image = np.empty(shape, np.uint8)
    away, unseen, ghosts = [], [], 0
    for index in range(40):
        time_s = index * arena.lap_s / 40
        arena.draw(image, time_s, index)
        (pose,) = estimator.estimate([image])
        truth = arena.truth(time_s)[0]
        points = pose.seen(estimator.threshold).points[0]
        there = np.isfinite(truth).all(axis=1)
        unseen += list(np.isnan(points[there]).any(axis=1))
        away += list(np.linalg.norm(points - truth, axis=1)[there] / arena.scale)
        if not there.any():
            ghosts += int(np.isfinite(points).any())
    assert np.nanmedian(away) < 2.5
    assert np.nanpercentile(away, 95) < 8
    assert np.mean(unseen) < 0.05
    assert ghosts == 0
