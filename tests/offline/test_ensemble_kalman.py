"""Against the package itself: reference values made by tests/offline/ensembles.py."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.ibl.pipeline import Quirks
from deeplabstream.offline.ibl.pupil import centre, diameter, smooth_pupil
from deeplabstream.offline.smoothing.ensemble_kalman import (
    EnsemblePoses,
    ensemble_of,
    smooth_latent,
    smooth_paws,
    smooth_single,
)
from deeplabstream.offline.smoothing.kalman import smooth_alone
from tests.offline.ensembles import PUPIL, paw_members, pupil_members

HERE = Path(__file__).parent
REAL = HERE.parents[2] / "shared/data/ibl-pupil"


@pytest.fixture(scope="module")
def reference() -> dict[str, NDArray[np.float64]]:
    with np.load(HERE / "reference/eks_3_0_0.npz") as file:
        return {name: file[name] for name in file.files}


def ensemble(members: NDArray[np.float64]) -> EnsemblePoses:
    return ensemble_of(members[..., :2], members[..., 2])


def test_one_camera_is_the_packages(reference: dict[str, NDArray[np.float64]]) -> None:
    found = smooth_single(ensemble(paw_members()), s=10)
    for place, label in enumerate(reference["paws_columns"]):
        name, column = str(label).split("|")
        part = ("paw_l", "paw_r").index(name)
        ours = found.columns(part)[column]
        theirs = reference["paws"][:, place]  # computed in float32
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4, err_msg=label)


def test_the_pupil_is_the_packages(reference: dict[str, NDArray[np.float64]]) -> None:
    compat = Quirks(pupil_labels="compat", pupil_variance="compat")
    found = smooth_pupil(ensemble(pupil_members()), PUPIL, quirks=compat)
    for place, label in enumerate(reference["pupil_columns"]):
        name, column = str(label).split("|")
        ours = found.columns(PUPIL.index(name))[column]
        theirs = reference["pupil"][:, place]
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6, err_msg=label)


def test_the_quirks_of_the_pupil_can_be_left_out() -> None:
    members = pupil_members()
    right = smooth_pupil(ensemble(members), PUPIL)
    compat = Quirks(pupil_labels="compat", pupil_variance="compat")
    wrong = smooth_pupil(ensemble(members), PUPIL, quirks=compat)
    bottom, side = PUPIL.index("pupil_bottom_r"), PUPIL.index("pupil_right_r")
    assert right.points[:, bottom, 1].mean() > right.points[:, side, 1].mean() + 5
    assert wrong.points[:, bottom, 1].mean() < wrong.points[:, side, 1].mean() - 5
    np.testing.assert_allclose(
        right.points[20:, bottom], wrong.points[20:, side], atol=0.05
    )


def test_a_network_that_goes_astray_is_not_followed() -> None:
    members = pupil_members()
    truth = np.median(members[[0, 1, 3, 4]], axis=0)[40:50, :, :2]
    one = np.abs(members[2, 40:50, :, :2] - truth).max()
    ours = np.abs(smooth_pupil(ensemble(members), PUPIL).points[40:50] - truth).max()
    assert one > 25
    assert ours < 2


def test_what_was_not_seen_is_filled_in_by_the_frames_around() -> None:
    members = paw_members()
    members[:, 60:63] = np.nan
    found = smooth_single(ensemble(members), s=10)
    assert np.isfinite(found.points).all()
    assert found.variance[61].min() > found.variance[50].max()
    assert np.isnan(found.ensemble.median[60:63]).all()
    pupil = pupil_members()
    pupil[:, 60:63] = np.nan
    assert np.isfinite(smooth_pupil(ensemble(pupil), PUPIL).points).all()


def test_a_random_walk_is_smoothed_as_the_closed_form_says() -> None:
    y = np.array([[1.0], [-1.0]])
    mean, variance = smooth_alone(y, np.ones((2, 1)), 1.0)
    prior = np.array([[2.0, 2.0], [2.0, 3.0]])  # var 1, a step before each frame
    gain = prior @ np.linalg.inv(prior + np.eye(2))
    np.testing.assert_allclose(mean[:, 0], gain @ y[:, 0])
    np.testing.assert_allclose(variance[:, 0], np.diag(prior - gain @ prior))


def test_paws_of_two_cameras_that_do_not_tick_together() -> None:
    rng = np.random.default_rng(3)
    left_s, right_s = np.arange(0, 4, 1 / 60), np.arange(0.2, 3.8, 1 / 150)
    world = {name: rng.normal(0, 1, (3, 3)) * 8 for name in ("paw_l", "paw_r")}
    cast = rng.normal(0, 1, (2, 3, 2))

    def seen(name: str, times: NDArray[np.float64], side: int) -> EnsemblePoses:
        waves = np.stack([np.sin(times * k) for k in (3, 5, 7)], axis=1)
        points = 60 + waves @ world[name] @ cast[side]
        if side:
            points[:, 0] = 128 - points[:, 0]
        noisy = points + rng.normal(0, 0.5, (5, *points.shape))
        return ensemble_of(noisy[:, :, None], np.ones((5, len(times), 1)))

    left = {name: seen(name, left_s, 0) for name in world}
    right = {name: seen(name, right_s, 1) for name in world}
    found = smooth_paws(left, right, (left_s, right_s))
    for name, (ours, other) in found.items():
        waves = np.stack([np.sin(left_s * k) for k in (3, 5, 7)], axis=1)
        truth = 60 + waves @ world[name] @ cast[0]
        assert np.abs(ours.points[15:-15, 0] - truth[15:-15]).mean() < 0.4
        mirrored = 60 + waves @ world[name] @ cast[1]
        mirrored[:, 0] = 128 - mirrored[:, 0]
        assert np.abs(other.points[15:-15, 0] - mirrored[15:-15]).mean() < 0.4


def test_diameter_and_centre_of_a_circle() -> None:
    sides = np.array(
        [[[5, 0], [5, 10], [10, 5], [0, 5]]], float
    )  # top bottom right left
    assert diameter(sides).tolist() == [10]
    assert centre(sides).tolist() == [[5, 5]]
    sides[0, 0] = np.nan
    assert diameter(sides)[0] == pytest.approx(10)
    assert np.isnan(diameter(np.full((1, 4, 2), np.nan))).all()
    with pytest.raises(DeepLabStreamError, match="pupil_top"):
        smooth_pupil(ensemble(paw_members()), ("paw_l", "paw_r"))


def test_a_latent_needs_frames_on_which_networks_agree() -> None:
    y = np.random.default_rng(0).normal(size=(50, 4))
    mean, variance = smooth_latent(
        y, np.ones((50, 4)), [y], [np.ones((50, 4))], 1.0, 95
    )
    assert mean.shape == variance.shape == (50, 4)


@pytest.mark.skipif(not REAL.exists(), reason="IBL's predictions are not here")
def test_real_pupils_are_less_jumpy_and_stay_where_they_are() -> None:
    from deeplabstream.offline.pose_file_reading import read_poses

    poses = [read_poses(file) for file in sorted(REAL.glob("*.csv"))]
    points = np.stack([each.points[:, 0] for each in poses])
    sure = np.stack([each.confidence[:, 0] for each in poses])
    together = ensemble_of(points, sure)
    found = smooth_pupil(together, poses[0].skeleton.bodyparts)
    size, raw = diameter(_sides(found.points)), diameter(_sides(together.median))
    assert np.abs(np.diff(size)).mean() < np.abs(np.diff(raw)).mean() / 3
    assert np.median(np.abs(size - raw)) < 1


def _sides(points: NDArray[np.float64]) -> NDArray[np.float64]:
    order = ("pupil_top_r", "pupil_bottom_r", "pupil_right_r", "pupil_left_r")
    return points[:, [PUPIL.index(name) for name in order]]
