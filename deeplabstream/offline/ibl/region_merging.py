"""Region merging: the regions of one camera as one table, in pixels of the camera's image."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.offline.ibl.camera_prediction import RegionPoses, Tracked
from deeplabstream.offline.ibl.pipeline import Pipeline
from deeplabstream.offline.ibl.pupil import smooth_pupil
from deeplabstream.offline.smoothing.ensemble_kalman import (
    COLUMNS,
    SmoothedPoses,
    ensemble_of,
    smooth_single,
)

if TYPE_CHECKING:
    from pandas import DataFrame

Numbers = NDArray[np.float64]

PLAIN = ("x", "y", "likelihood")
"""Columns of a body part that one network tracked."""


def merged(tracked: Tracked, pipeline: Pipeline) -> "DataFrame":
    """Return one row per frame: BODYPART_x, _y, _likelihood, and more for ensembles.

    Regions follow each other as the pipeline lists them. What was not seen is NaN with a
    likelihood of 0.
    """
    import pandas as pd

    columns: dict[str, Numbers] = {}
    for poses in tracked.regions:
        columns |= _columns(poses, tracked, pipeline)
    table = pd.DataFrame(columns)
    table.attrs = {
        "video": tracked.rows.path.name,
        "pipeline": pipeline.file.name,
        "pipeline_text": pipeline.text,
        "networks": tracked.networks,
        "regions": {poses.name: str(poses.crop) for poses in tracked.regions},
        "notes": tracked.notes,
    }
    return table


def _columns(
    poses: RegionPoses, tracked: Tracked, pipeline: Pipeline
) -> dict[str, Numbers]:
    parts, rows = poses.bodyparts, len(tracked.rows)
    smooths = poses.region.smooth != "none" and len(poses.points) > 1
    columns: list[Mapping[str, Numbers]]
    if poses.crop is None:
        kinds = COLUMNS if smooths else PLAIN
        columns = [dict.fromkeys(kinds, np.full(rows, np.nan)) for _ in parts]
    elif smooths:
        smoothed = _smoothed(poses, tracked, pipeline)
        columns = [smoothed.columns(part) for part in range(len(parts))]
    else:
        points, sure = _plain(poses)
        columns = [
            dict(zip(PLAIN, (*points[:, part].T, sure[:, part]), strict=True))
            for part in range(len(parts))
        ]
    return {
        f"{poses.region.prefix}{part}_{column}": values
        for part, found in zip(parts, columns, strict=True)
        for column, values in _in_image(found, poses, tracked, pipeline).items()
    }


def _plain(poses: RegionPoses) -> tuple[Numbers, Numbers]:
    """Return points and likelihood of one network, or the median of several."""
    if len(poses.points) == 1:
        points = poses.points[0].astype(np.float64)
        sure = poses.confidence[0].astype(np.float64)
    else:
        together = ensemble_of(poses.points, poses.confidence)
        points, sure = together.median, together.likelihood
    if poses.region.median > 1:
        points = median_filtered(points, poses.region.median)
    return points, sure


def _smoothed(
    poses: RegionPoses, tracked: Tracked, pipeline: Pipeline
) -> SmoothedPoses:
    region = poses.region
    together = ensemble_of(poses.points, poses.confidence)
    if region.smooth == "pupil":
        found = smooth_pupil(
            together,
            poses.bodyparts,
            region.diameter,
            region.centre,
            pipeline.quirks,
        )
    else:
        found = smooth_single(together, region.s_at(tracked.rows.rate))
    variance = found.variance * region.posterior_gain
    return SmoothedPoses(found.points, variance, found.ensemble)


def _in_image(
    found: Mapping[str, Numbers],
    poses: RegionPoses,
    tracked: Tracked,
    pipeline: Pipeline,
) -> dict[str, Numbers]:
    """Return the columns of one body part, moved from its crop into the image."""
    moved = dict(found)
    moved["likelihood"] = np.nan_to_num(moved["likelihood"])
    if poses.crop is None:
        return moved
    for x, y in (("x", "y"), ("x_ens_median", "y_ens_median")):
        if x in moved:
            points = np.stack([moved[x], moved[y]], axis=-1)
            whole = poses.crop.back(points, tracked.rows.form.width, pipeline.quirks)
            moved[x], moved[y] = whole[:, 0], whole[:, 1]
    return moved


def median_filtered(points: Numbers, window: int) -> Numbers:
    """Return `points` (row, …) as medians over `window` frames around each.

    At the ends zeros are where there is no frame, as DeepLabCut has it.
    """
    half = window // 2
    padding = [(half, half), *[(0, 0)] * (points.ndim - 1)]
    padded = np.pad(points, padding)
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)
    return np.asarray(np.median(windows, axis=-1))
