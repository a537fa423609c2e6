"""Against Lightning Pose 2.4.3's own numbers: see from_lightning_pose/make.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deeplabstream.numerics.pose_pca import (
    fit_pose_pca,
    multi_view_rows,
    single_view_rows,
)
from deeplabstream.training.losses.unsupervised import PcaLoss
from tests.training.from_lightning_pose.seeded import poses

TOLD = json.loads(
    (Path(__file__).parent / "from_lightning_pose" / "pca.json").read_text("utf-8")
)


@pytest.mark.parametrize("case", TOLD)
def test_pca_losses_are_lightning_poses(case: dict[str, Any]) -> None:
    labels, found = poses()
    views = case.get("mirrored_column_matches")
    columns = case.get("columns_for_singleview_pca", range(6))
    rows = (
        multi_view_rows(labels.astype(np.float64), views)
        if views
        else single_view_rows(labels.astype(np.float64), columns)
    )
    plane = fit_pose_pca(
        rows,
        case["components_to_keep"],
        case.get("epsilon"),
        case.get("empirical_epsilon_percentile", 99.0),
        case.get("empirical_epsilon_multiplier", 1.0),
    )
    assert plane.epsilon == pytest.approx(case["used_epsilon"], rel=1e-4)
    loss = PcaLoss(plane, tuple(map(tuple, views or [columns])))
    value = loss(torch.from_numpy(found), torch.ones(found.shape[:2]))
    assert float(value) == pytest.approx(case["value"], rel=1e-4)
