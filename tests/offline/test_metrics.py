from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.errors import DeepLabStreamError
from offline.labels import Known
from offline.metrics import (
    components,
    multi_view_error,
    single_view_error,
    temporal_norm,
    write_metric,
)


def test_the_temporal_norm_is_how_far_a_point_moved() -> None:
    points = np.array([[[0, 0]], [[3, 4]], [[np.nan, 4]], [[3, 4]]])
    expected = [np.nan, 5, np.nan, np.nan]
    np.testing.assert_array_equal(temporal_norm(points)[:, 0], expected)


def test_components_are_numpys_where_nothing_is_missing() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 6)) + 5
    found = components(rows, 3)
    off = rows - rows.mean(axis=0)
    _, _, right = np.linalg.svd(off, full_matrices=False)
    np.testing.assert_allclose(
        found.directions.T @ found.directions, right[:3].T @ right[:3], atol=1e-9
    )
    assert components(rows, 0.9999999).directions.shape == (3, 6)


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
    with pytest.raises(DeepLabStreamError, match="too few"):
        components(np.zeros((3, 8)), 3)


def test_views_are_found_by_the_names_endings() -> None:
    parts = ("paw_top", "nose_top", "paw_bot", "nose_bot", "tail_bot")
    known = Known(Path("labels.csv"), parts, np.zeros((2, 5, 2)), ("_top", "_bot"))
    assert known.views_of(parts) == [[0, 1], [2, 3]]
    with pytest.raises(DeepLabStreamError, match="do not share the body part ear"):
        known.points_of(["ear"])


def test_the_file_is_lightning_poses(tmp_path: Path) -> None:
    write_metric(np.array([[np.nan, 1.5]]), ["a", "b"], tmp_path / "norm.csv")
    assert (tmp_path / "norm.csv").read_text() == ",a,b\n0,,1.5\n"
    assert pd.read_csv(tmp_path / "norm.csv", index_col=0).shape == (1, 2)
