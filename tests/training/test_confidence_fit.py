import numpy as np
import pytest

from deeplabstream.training.evaluation.confidence_fit import (
    calibrated,
    cross_fitted,
    fit_scale,
)
from deeplabstream.training.evaluation.evaluate import choose_threshold, reliability

KNOWN = np.ones((200, 5), bool)


def told(slope: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and confidences whose worth is known."""
    random = np.random.default_rng(0)
    sure = random.uniform(0.02, 0.98, (200, 5))
    share = 1 / (1 + np.exp(-(slope * np.log(sure / (1 - sure)) + shift)))
    away = np.where(random.random(sure.shape) < share, 1.0, 30.0)
    return away.astype(np.float32), sure.astype(np.float32)


def test_a_known_scale_is_found_again() -> None:
    away, sure = told(0.6, 1.2)
    scale = fit_scale(away, sure, KNOWN, 5)
    assert scale is not None
    assert scale.slope == pytest.approx(0.6, abs=0.1)
    assert scale.shift == pytest.approx(1.2, abs=0.2)
    assert scale.within_px == 5


def test_calibrated_confidences_are_as_good_as_they_say() -> None:
    away, sure = told(2.0, -1.5)
    clips = [f"clip{place // 20}" for place in range(200)]
    honest = cross_fitted(away, sure, KNOWN, 5, clips)
    assert reliability(away, sure, KNOWN, 5).error() > 0.15
    assert reliability(away, honest, KNOWN, 5).error() < 0.05


def test_a_scale_that_raises_the_error_is_not_used() -> None:
    sure = np.full((10, 5), 0.7, np.float32)
    away = np.full((10, 5), 1.0, np.float32)
    away[:5:2], away[5:] = 30, 1  # as often right as they say, unlike in the other clip
    known, clips = np.ones(sure.shape, bool), ["a"] * 5 + ["b"] * 5
    fitted = cross_fitted(away, sure, known, 5, clips)
    before, after = (reliability(away, e, known, 5).error() for e in (sure, fitted))
    assert after > before
    scale, kept = calibrated(away, sure, known, 5, clips)
    assert scale is None
    assert kept is sure


def test_a_scale_that_lowers_the_error_is_used() -> None:
    away, sure = told(2.0, -1.5)
    clips = [f"clip{place // 20}" for place in range(200)]
    scale, fitted = calibrated(away, sure, KNOWN, 5, clips)
    assert scale == fit_scale(away, sure, KNOWN, 5)
    assert reliability(away, fitted, KNOWN, 5).error() < 0.05


def test_each_picture_is_calibrated_by_others() -> None:
    away, sure = told(1.0, 0.0)
    other = away.copy()
    other[:20] = 30  # what happened in clip 0 tells nothing of clip 0
    clips = [f"clip{place // 20}" for place in range(200)]
    first = cross_fitted(away, sure, KNOWN, 5, clips)
    second = cross_fitted(other, sure, KNOWN, 5, clips)
    np.testing.assert_array_equal(first[:20], second[:20])
    assert np.abs(first[20:40] - second[20:40]).max() > 0.01


def test_where_all_is_right_an_unsure_point_is_still_doubted() -> None:
    sure = np.random.default_rng(0).uniform(0.7, 0.95, (20, 4)).astype(np.float32)
    scale = fit_scale(np.ones_like(sure), sure, np.ones(sure.shape, bool), 5)
    assert scale is not None
    assert float(scale(np.array([0.05]))[0]) < 0.15
    assert float(scale(np.array([0.8]))[0]) > 0.9


def test_too_few_points_teach_nothing() -> None:
    away, sure = told(0.5, 0.5)
    assert fit_scale(away[:2], sure[:2], KNOWN[:2], 5) is None


def test_what_is_not_known_does_not_count() -> None:
    away, sure = told(1.0, 0.0)
    away[:, 4] = np.nan  # nobody said whether the last body part is there
    known = KNOWN.copy()
    known[:, 4] = False
    every = fit_scale(away[:, :4], sure[:, :4], KNOWN[:, :4], 5)
    assert fit_scale(away, sure, known, 5) == every
    assert reliability(away, sure, known, 5).points.sum() == 800
    absent = np.where(np.isnan(away), 0.15, sure).astype(np.float32)
    assert choose_threshold(away, absent, known) < choose_threshold(away, absent)
