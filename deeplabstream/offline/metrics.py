"""Label-free metrics of predictions: temporal norm, PCA error.

One row per frame, one column per body part, in pixels. Source: Biderman et al., Nature
Methods 2024 (temporal difference norm); errors of principal components:
`deeplabstream.numerics.pose_pca`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
METRICS = ("temporal_norm", "pca_singleview_error", "pca_multiview_error")
"""Names of metrics; without labels only the first. Files: `NAME_METRIC.csv`."""


def temporal_norm(points: NDArray[np.floating]) -> Numbers:
    """Return (row, body part): distance that each point moved since the previous row.

    `points` (row, body part, 2). The first row, and what was not seen, is NaN.
    """
    moved = np.full(points.shape[:2], np.nan)
    moved[1:] = np.linalg.norm(np.diff(points.astype(np.float64), axis=0), axis=-1)
    return moved


def write_metric(values: Numbers, bodyparts: Sequence[str], path: Path) -> None:
    """Write (row, body part) as Lightning Pose does: an index, a column per body part."""
    import pandas as pd

    table = pd.DataFrame(values, columns=list(bodyparts))
    table.to_csv(path, lineterminator="\n")
