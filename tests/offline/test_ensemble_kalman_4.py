"""Against ensemble-kalman-smoother 4.6.2: reference values of tests/offline/ensembles.py.

The package computes in float32, which its own tables show in the fifth digit.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.offline.ibl.pupil import smooth_pupil
from deeplabstream.offline.smoothing.ensemble_kalman import EnsemblePoses, ensemble_of
from deeplabstream.offline.smoothing.ensemble_kalman_4 import (
    factor_analysis,
    inflated_variance,
    smooth_single_4,
    smooth_views_4,
)
from tests.offline.ensembles import (
    PUPIL,
    contradicting_members,
    paw_members,
    pupil_members,
)

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def reference() -> dict[str, NDArray[np.float32]]:
    with np.load(HERE / "reference/eks_4_6_2.npz") as file:
        return {name: file[name] for name in file.files}


def ensemble(members: NDArray[np.float64]) -> EnsemblePoses:
    return ensemble_of(members[..., :2], members[..., 2])


def test_one_camera_is_the_packages(reference: dict[str, NDArray[np.float32]]) -> None:
    found = smooth_single_4(ensemble(paw_members()))
    theirs = reference["paws"]
    np.testing.assert_allclose(found.points, theirs[..., :2], rtol=0, atol=2e-4)
    np.testing.assert_allclose(found.ensemble.variance, theirs[..., 5:7], rtol=1e-3)
    np.testing.assert_allclose(found.variance, theirs[..., 7:9], rtol=1e-3)
    given = smooth_single_4(ensemble(paw_members()), float(reference["paws_s"][0]))
    np.testing.assert_allclose(given.points[:, 0], found.points[:, 0], atol=1e-4)


def test_the_pupil_is_the_packages(reference: dict[str, NDArray[np.float32]]) -> None:
    found = smooth_pupil(ensemble(pupil_members()), PUPIL, None, None)
    # the package writes them in the order of PUPIL under names of another order
    difference = np.abs(found.points - reference["pupil"][..., :2])
    assert np.median(difference) < 0.02
    assert difference.max() < 0.2
    own = smooth_pupil(
        ensemble(pupil_members()), PUPIL, *map(float, reference["pupil_s"])
    )
    difference = np.abs(own.points - reference["pupil"][..., :2])
    assert difference.max() < 1e-3


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("inflate", [False, True])
def test_several_views_are_the_packages(
    reference: dict[str, NDArray[np.float32]], views: int, inflate: bool
) -> None:
    members = contradicting_members(views)
    seen = [ensemble(members[:, :, view]) for view in range(views)]
    found = smooth_views_4(seen, inflate=inflate)
    theirs = reference[f"views_{views}_{inflate}"]
    for ours, own in zip(found, theirs, strict=True):
        np.testing.assert_allclose(ours.points, own[..., :2], rtol=0, atol=5e-3)
        np.testing.assert_allclose(ours.ensemble.variance, own[..., 5:7], rtol=0.02)


def test_a_view_that_contradicts_the_others_counts_less() -> None:
    members = contradicting_members(3)
    right = np.median(members[:, 60:64, 0, 0, :2], axis=0) - [25, 0]
    seen = [ensemble(members[:, :, view]) for view in range(3)]
    off = [
        np.abs(smooth_views_4(seen, inflate=each)[0].points[60:64, 0] - right).mean()
        for each in (False, True)
    ]
    assert off[1] < 0.6 * off[0]


def test_variances_of_views_that_agree_stay() -> None:
    rng = np.random.default_rng(0)
    latent = rng.normal(0, 20, (200, 3))
    y = latent @ rng.normal(0, 1, (3, 6)) + rng.normal(0, 0.1, (200, 6))
    noise = rng.uniform(0.5, 1.5, (200, 6))
    np.testing.assert_array_equal(inflated_variance(y, noise), noise)
    y[7, :2] += 40
    y[9] = np.nan
    raised = inflated_variance(y, noise)
    assert (raised[7, :2] >= 10 * noise[7, :2]).all()
    others = np.delete(np.arange(200), 7)
    np.testing.assert_array_equal(raised[others], noise[others])


def test_factor_analysis_is_scikit_learns() -> None:
    from sklearn.decomposition import FactorAnalysis

    rng = np.random.default_rng(1)
    y = rng.normal(0, 3, (150, 3)) @ rng.normal(0, 1, (3, 4))
    y += rng.normal(5, 0.4, (150, 4))
    theirs = FactorAnalysis(n_components=3).fit(y)
    loadings, middle = factor_analysis(y, 3)
    np.testing.assert_allclose(middle, theirs.mean_)
    own, other = loadings @ loadings.T, theirs.components_.T @ theirs.components_
    np.testing.assert_allclose(own, other, rtol=1e-6)


def test_what_was_not_seen_is_filled_in() -> None:
    members = paw_members()
    members[:, 60:63] = np.nan
    found = smooth_single_4(ensemble(members))
    assert np.isfinite(found.points).all()
    assert found.variance[61].min() > found.variance[50].max()
    members[:, :, 1] = np.nan
    blind = smooth_single_4(ensemble(members))
    assert np.isnan(blind.points[:, 1]).all()
    np.testing.assert_allclose(blind.points[:, 0], found.points[:, 0])
    eye = pupil_members()
    eye[:, 60:63] = np.nan
    assert np.isfinite(smooth_pupil(ensemble(eye), PUPIL, None, None).points).all()
    views = contradicting_members(2)
    views[:, 30:33, 0] = np.nan
    both = smooth_views_4([ensemble(views[:, :, view]) for view in range(2)])
    assert all(np.isfinite(each.points).all() for each in both)


@pytest.mark.parametrize("rows", [1, 2, 6])
def test_few_rows_and_networks_that_agree_entirely_are_smoothed(rows: int) -> None:
    """Warnings are errors here."""
    rng = np.random.default_rng(2)
    same = np.ones((3, rows, 1, 3))
    other = rng.normal(50, 3, (3, rows, 1, 3))
    other[..., 2] = 0.5
    for members in (same, other):
        assert np.isfinite(smooth_single_4(ensemble(members)).points).all()
    if rows > 2:
        both = smooth_views_4([ensemble(other), ensemble(same)])
        assert all(np.isfinite(each.points).all() for each in both)
