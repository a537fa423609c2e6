from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.labelled_poses import Known
from deeplabstream.offline.metrics import temporal_norm, write_metric


def test_the_temporal_norm_is_how_far_a_point_moved() -> None:
    points = np.array([[[0, 0]], [[3, 4]], [[np.nan, 4]], [[3, 4]]])
    expected = [np.nan, 5, np.nan, np.nan]
    np.testing.assert_array_equal(temporal_norm(points)[:, 0], expected)


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
