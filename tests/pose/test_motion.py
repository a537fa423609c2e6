"""Smoothing and prediction against motions that are known, and the simulated mouse."""

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.pose.filters.motion_prediction import MotionPredictor
from deeplabstream.pose.filters.one_euro import OneEuro
from deeplabstream.simulation.arena import Arena

Points = NDArray[np.float32]


def straight(frames: int, rate: float, speed: float) -> Points:
    time_s = np.arange(frames) / rate
    x = 50 + speed * time_s
    return np.stack([x, 0 * x + 7], axis=1).reshape(frames, 1, 1, 2).astype(np.float32)


def test_noise_of_a_resting_animal_shrinks() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (600, 1, 3, 2)).astype(np.float32)
    smooth = OneEuro(1.0, 0.002)
    out = np.stack([smooth.step(100 + noise[i], i / 100) for i in range(600)])
    assert out[100:].std() < 0.35 * noise.std()
    assert abs(out[100:].mean() - 100) < 0.1


def test_a_running_animal_is_not_held_back() -> None:
    track = straight(200, 100, 400)
    smooth = OneEuro(1.0, 0.05)
    out = np.stack([smooth.step(track[i], i / 100) for i in range(200)])
    behind = track[50:, 0, 0, 0] - out[50:, 0, 0, 0]
    assert 0 < behind.max() < 4  # 10 ms of 400 px/s
    calm = OneEuro(1.0, 0.0)
    slow = np.stack([calm.step(track[i], i / 100) for i in range(200)])
    assert (track[50:, 0, 0, 0] - slow[50:, 0, 0, 0]).min() > 20


@pytest.mark.parametrize("filtering", ["smoothing", "prediction"])
def test_what_is_not_seen_stays_unseen_and_a_long_gap_begins_anew(
    filtering: str,
) -> None:
    smooth, predict = OneEuro(1.0, 0.0), MotionPredictor()

    def step(x: float, time_s: float) -> float:
        points = np.array([[[x, 5], [1, 1]]], np.float32)
        if filtering == "smoothing":
            out = smooth.step(points, time_s)
        else:
            out = predict.step(points, time_s, 0.03)
        assert out[0, 1] == pytest.approx([1, 1], abs=1e-3)
        return float(out[0, 0, 0])

    for n in range(20):
        step(10 + 2 * n, n / 100)
    assert np.isnan(step(np.nan, 0.20))
    assert np.isfinite(step(52, 0.21))
    assert step(300, 5.0) == 300


def test_steady_motion_is_predicted_exactly() -> None:
    track = straight(100, 100, 300)
    predict = MotionPredictor()
    for i in range(100):
        out = predict.step(track[i], i / 100, 0.05)
    assert out[0, 0, 0] == pytest.approx(track[99, 0, 0, 0] + 300 * 0.05, abs=0.3)
    assert out[0, 0, 1] == pytest.approx(7, abs=0.1)
    assert predict.step(track[99] + 3, 1.0, 0.0)[0, 0, 0] == pytest.approx(
        track[99, 0, 0, 0] + 3, abs=1.5
    )


def test_it_never_looks_further_ahead_than_it_may() -> None:
    track = straight(100, 100, 300)
    near, far = MotionPredictor(0.1), MotionPredictor(0.1)
    for i in range(100):
        one = near.step(track[i], i / 100, 0.1)
        other = far.step(track[i], i / 100, 10.0)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("rate", "frames"), [(30, 1), (30, 2), (100, 5)])
def test_the_simulated_mouse_is_nearer_to_where_it_was_predicted(
    rate: int, frames: int
) -> None:
    arena = Arena((480, 640, 3), seed=11, shelter=False)
    truth = np.stack([arena.truth(i / rate)[0] for i in range(12 * rate)])
    rng = np.random.default_rng(1)
    seen = truth + rng.normal(0, 1, truth.shape).astype(np.float32)
    predict = MotionPredictor()
    ahead = np.stack(
        [
            predict.step(seen[i][None], i / rate, frames / rate)[0]
            for i in range(len(seen))
        ]
    )
    later = truth[frames:]
    with_it = np.linalg.norm(ahead[:-frames] - later, axis=2)[rate:].mean()
    without = np.linalg.norm(seen[:-frames] - later, axis=2)[rate:].mean()
    assert with_it < 0.6 * without


def test_each_point_has_a_gap_of_its_own() -> None:
    predict = MotionPredictor()
    for n in range(50):
        points = np.array([[[4.0 * n, 0], [100 - 4.0 * n, 0]]], np.float32)
        if n % 3 == 1:
            points[0, 1] = np.nan
        out = predict.step(points, n / 100, 0.02)
    assert out[0, 0, 0] == pytest.approx(4 * 49 + 8, abs=0.5)
    assert np.isnan(out[0, 1]).all()  # 49 % 3 == 1
    out = predict.step(np.array([[[200.0, 0], [-100.0, 0]]], np.float32), 0.5, 0.02)
    assert out[0, 1, 0] == pytest.approx(-108, abs=0.8)
