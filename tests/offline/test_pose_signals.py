import numpy as np
import pandas as pd
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.ibl.pipeline import CameraPlan
from deeplabstream.offline.ibl.pose_signals import (
    licks,
    likely,
    pupil_diameter,
    savitzky_golay,
    signal_to_noise,
    smooth_diameter,
    sniffs,
    speed,
)
from deeplabstream.offline.ibl.quality import (
    image_checks,
    overall,
    pose_checks,
    pupil_checks,
    video_checks,
)
from deeplabstream.offline.ibl.region_merging import median_filtered


def table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_points_below_the_likelihood_are_unknown() -> None:
    poses = table(a_x=[1.0, 2, 3], a_y=[4.0, 5, 6], a_likelihood=[0.95, 0.89, np.nan])
    found = likely(poses)
    assert found["a_x"].isna().tolist() == [False, True, True]
    assert found["a_y"].isna().tolist() == [False, True, True]
    assert poses["a_x"].tolist() == [1, 2, 3]


def test_a_local_cubic_leaves_a_cubic_as_it_is() -> None:
    x = np.sort(np.random.default_rng(0).choice(400, 200, replace=False)).astype(float)
    y = 3 + 0.2 * x - 1e-3 * x**2 + 1e-6 * x**3
    np.testing.assert_allclose(savitzky_golay(x, y, 31, 3), y, atol=1e-6)
    even = np.arange(40.0)
    noisy = np.zeros(40)
    noisy[20] = 35
    # the classic weights of five points, order 3: −3 12 17 12 −3, over 35
    expected = [-3, 12, 17, 12, -3]
    np.testing.assert_allclose(
        savitzky_golay(even, noisy, 5, 3)[18:23], expected, atol=1e-6
    )


def test_the_smoothed_diameter_has_no_outliers_and_keeps_long_gaps() -> None:
    truth = 20 + 3 * np.sin(np.arange(600) / 60)
    raw = truth + np.random.default_rng(0).normal(0, 0.3, 600)
    raw[100] = 80
    raw[200:210] = np.nan
    raw[300:400] = np.nan
    found = smooth_diameter(raw, 60, 31)
    known = np.r_[5:300, 400:595]
    assert np.abs(found[known] - truth[known]).max() < 0.6
    assert np.isnan(found[300:400]).all()
    assert np.isfinite(found[200:210]).all()
    assert signal_to_noise(truth, found) > 50
    with pytest.raises(DeepLabStreamError, match="fewer than 10 %"):
        smooth_diameter(np.full(50, np.nan), 60, 31)


def test_a_few_frames_of_one_diameter_are_that_diameter() -> None:
    for count in range(1, 12):
        raw = np.full(count, 17.888544)
        np.testing.assert_allclose(smooth_diameter(raw, 60, 31), raw)


def test_a_diameter_needs_two_points() -> None:
    sides = {"top": (5, 0), "bottom": (5, 10), "right": (10, 5), "left": (0, 5)}
    columns = {f"pupil_{s}_r_{a}": [float(v)] for s, p in sides.items() for a, v in zip("xy", p, strict=True)}  # fmt: skip  # noqa: E501
    poses = pd.DataFrame(columns)
    assert pupil_diameter(poses) == pytest.approx([10])
    for side in ("top", "bottom", "left"):
        poses[f"pupil_{side}_r_x"] = np.nan
    assert np.isnan(pupil_diameter(poses)).all()


def test_licks_are_jumps_of_the_tongue() -> None:
    still = np.full(200, 50.0)
    moving = still.copy()
    moving[[60, 130]] += 30
    poses = table(
        tongue_end_l_x=moving, tongue_end_l_y=still, tongue_end_r_x=still, tongue_end_r_y=still,
        nose_tip_y=moving,
    )  # fmt: skip
    assert licks(poses).tolist() == [59, 60, 129, 130]
    assert sniffs(poses).tolist() == [59, 60, 129, 130]
    poses["tongue_end_l_x"] = np.nan
    assert licks(poses).tolist() == []


def test_speed_is_pixels_a_second_at_the_frames_times() -> None:
    times = np.arange(10) / 50
    poses = table(paw_r_x=3.0 * np.arange(10), paw_r_y=4.0 * np.arange(10))
    np.testing.assert_allclose(speed(poses, times), 250)
    np.testing.assert_allclose(speed(poses, times, scale=2), 125)
    poses.loc[4:6, "paw_r_x"] = np.nan
    found = speed(poses, times)
    assert np.isnan(found[5])
    np.testing.assert_allclose(found[[0, 1, 8, 9]], 250)


def test_a_median_takes_single_jumps_away() -> None:
    points = np.zeros((9, 1, 2))
    points[4] = 100
    assert median_filtered(points, 5).max() == 0
    points[:] = 7
    edges = median_filtered(points, 5)[:, 0, 0]
    assert edges.tolist() == [7] * 9


def test_checks_pass_and_fail_as_ibls() -> None:
    rng = np.random.default_rng(0)
    poses = table(
        nose_tip_x=rng.normal(450, 5, 100), nose_tip_y=rng.normal(300, 5, 100),
        tongue_end_l_x=np.full(100, np.nan), tongue_end_r_x=np.full(100, np.nan),
        tongue_end_l_y=np.full(100, np.nan), tongue_end_r_y=np.full(100, np.nan),
    )  # fmt: skip
    checks = pose_checks("left", poses, np.arange(99.0))
    assert checks["time_trace_length_match"] == "FAIL"
    assert checks["trace_all_nan"] == "FAIL"
    assert checks["mean_in_bbox"] == "PASS"
    assert checks["lick_detection"] == "PASS"
    assert pose_checks("body", poses, None)["mean_in_bbox"] == "PASS"
    plan = CameraPlan(size=(640, 512), rate=150, regions=("a",))
    times = np.arange(1000) / 150
    good = video_checks(plan, (640, 512), 150.2, times)
    assert set(good.values()) == {"PASS"}
    lost = np.delete(times, [100, 101])
    assert video_checks(plan, (640, 512), 150, lost)["dropped_frames"] == "FAIL"
    assert video_checks(plan, (64, 512), 30, None)["framerate"] == "NOT_SET"
    sharp = rng.integers(60, 180, (64, 64), np.uint8)
    assert set(image_checks([sharp] * 4).values()) == {"PASS"}
    assert image_checks([sharp // 8])["brightness"] == "FAIL"
    raw = 20 + 3 * np.sin(np.arange(300) / 30)
    assert pupil_checks("right", raw + rng.normal(0, 0.1, 300), raw) == {
        "pupil_blocked": "PASS",
        "pupil_diameter_snr": "PASS",
    }
    assert overall({"a": "PASS", "pupil_diameter_snr": "FAIL"}) == "PASS"
    assert overall({"a": "PASS", "b": "FAIL"}) == "FAIL"
