import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.numerics.pose_pca import (
    fit_pose_pca,
    multi_view_error,
    single_view_error,
    single_view_rows,
)


def test_components_are_numpys_where_nothing_is_missing() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 6)) + 5
    found = fit_pose_pca(rows, 3).components
    off = rows - rows.mean(axis=0)
    _, _, right = np.linalg.svd(off, full_matrices=False)
    np.testing.assert_allclose(found.T @ found, right[:3].T @ right[:3], atol=1e-9)
    assert fit_pose_pca(rows, 0.9999999).components.shape == (3, 6)


def test_a_point_out_of_place_is_seen_by_the_other_points() -> None:
    rng = np.random.default_rng(1)
    basis = rng.normal(size=(2, 8))
    labels = (rng.normal(size=(200, 2)) @ basis).reshape(-1, 4, 2) * 20 + 100
    points = labels[:10].copy()
    points[3, 2] += 50
    error = single_view_error(points, labels, [0, 1, 2, 3])
    assert error[[0, 1, 2, 4, 5]].max() < 1e-6
    assert error[3].argmax() == 2
    assert error[3, 2] > 20
    some = single_view_error(points, labels, [0, 1, 2])
    assert np.isnan(some[:, 3]).all()


def test_where_an_animal_walks_its_place_is_no_part_of_its_pose() -> None:
    rng = np.random.default_rng(3)
    body = np.array([[-20, 0], [0, 0], [15, 0], [20, 8]], float)
    turn = rng.uniform(0, 2 * np.pi, 300)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    poses = np.einsum("xyn,py->npx", axes, body)
    walking = poses + rng.uniform(0, 600, (300, 1, 2))
    points = walking[:5].copy()
    points[3, 2] += 30
    error = single_view_error(points, walking, [0, 1, 2, 3])
    assert error[[0, 1, 2, 4]].max() < 1e-6
    assert error[3].argmax() == 2
    # On a treadmill its place tells: all points shifted alike are off.
    held = poses + rng.normal(0, 0.1, (300, 1, 2))
    assert single_view_error(held[:5] + 30, held, [0, 1, 2, 3]).min() > 20


def test_poses_that_lack_a_point_have_no_middle() -> None:
    labels = np.random.default_rng(4).uniform(0, 600, (30, 4, 2))
    labels[:10, 3] = np.nan
    rows = single_view_rows(labels, [0, 1, 2, 3], "mean")
    assert np.isnan(rows[:10]).all()
    assert np.isfinite(rows[10:]).all()
    assert np.isfinite(single_view_rows(labels, [0, 1, 2], "median")).all()


def test_two_views_of_one_point_check_each_other() -> None:
    rng = np.random.default_rng(2)
    world = rng.normal(size=(400, 2, 3)) * 30
    views = rng.normal(size=(2, 3, 2))
    labels = np.concatenate([world @ views[0], world @ views[1]], axis=1)
    points = labels[:6].copy()
    points[2, 0] += 40
    error = multi_view_error(points, labels, [[0, 1], [2, 3]])
    assert error[[0, 1, 3, 4, 5]].max() < 1e-6
    assert error[2, [1, 3]].max() < 1e-6
    assert error[2, [0, 2]].min() > 1


def test_too_few_labels_are_said() -> None:
    with pytest.raises(DeepLabStreamError, match="label more frames"):
        fit_pose_pca(np.zeros((3, 8)), 3)
