"""Agreement between a teacher's predictions, and plausibility of its poses.

A point becomes a label if the networks find it at the same place in a frame and its copies,
if it does not jump between the frames beside it, if edges have usual lengths, and if the
pose lies near the principal components of the others. Otherwise it is unknown.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.numerics.pose_pca import single_view_error
from deeplabstream.offline.distillation.teacher import COPIES, VIEWS, Opinions
from deeplabstream.pose.ensemble import median
from deeplabstream.pose.filters.edge_lengths import measured_edges
from deeplabstream.training.evaluation.image_prediction import ImagePredictions, spread

SEEN, UNSEEN = 0.75, 0.25
"""Shares of the views in which a point is visible: from the first on it is a point, up to
the second it is not visible; in between nothing is known."""
JUMP = 10.0
"""Distance from the neighbouring frames' points, relative to the typical one, that is a jump."""
EDGES = (5.0, 95.0)
"""Percentiles of the agreed edge lengths."""
FEWEST_POSES = 50
"""Fewest agreed poses for fitting principal components."""
PCA_PERCENTILE, PCA_TIMES = 95.0, 3.0
"""A pose is implausible if its error exceeds this multiple of this percentile."""

Points = NDArray[np.float32]
Mask = NDArray[np.bool_]
"""(frame, body part)."""


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Points of some frames on which a teacher's predictions agree."""

    points: Points
    """(frame, body part, 2), px; NaN: not visible, or unknown."""
    known: Mask
    """(frame, body part); False: the predictions contradict each other, or are implausible."""
    apart_px: NDArray[np.float64]
    """(frame, body part): spread of the predictions, px; NaN: fewer than two."""
    rejected: dict[str, int]
    """Number of points by reason."""
    unused: dict[str, float]
    """Views in which the teacher finds most points elsewhere, with the median distance in
    px: it was not trained for them, and they are not compared."""

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(frame,): whether at least half of the body parts are known."""
        return np.asarray(self.known.mean(axis=1) >= 0.5)


def agreement(
    opinions: Opinions,
    thresholds: NDArray[np.floating],
    skeleton: Skeleton,
    agree_px: float,
    labels: Points | None = None,
) -> Agreement:
    """Return the labels on which a teacher's predictions agree.

    Parameters
    ----------
    opinions : numpy.ndarray of float32, shape (frame, network, view, body part, 3)
        x, y in px and confidence; see `Teacher.look`.
    thresholds : numpy.ndarray of float, shape (network,)
        Confidences from which a point is visible.
    skeleton : Skeleton
        Body parts and edges.
    agree_px : float
        Largest root mean square distance of the opinions to their mean.
    labels : numpy.ndarray of float32, shape (image, body part, 2), optional
        Manually labelled poses, for the principal components; else agreed poses.

    Returns
    -------
    Agreement
        Points, which of them are known, and why others are not.
    """
    points = opinions[..., :2].copy()
    seen = opinions[..., 2] >= np.asarray(thresholds)[:, None, None]
    points[~seen] = np.nan
    unused = _unused(points, agree_px)
    kept = [view for view in range(COPIES) if VIEWS[view] not in unused]
    flat = points[:, :, kept].reshape(len(points), -1, *points.shape[3:])
    flat = np.moveaxis(flat, 1, 0)  # (opinion, frame, body part, 2)
    none = np.zeros(flat.shape[1:-1], np.float32)
    members = [ImagePredictions(skeleton.bodyparts, (), own, none) for own in flat]
    apart = spread(members)
    middle = median(flat)
    share = np.isfinite(flat[..., 0]).mean(axis=0)
    visible: Mask = np.isfinite(opinions[:, :, 0, :, 2])
    decoded = visible.reshape(len(visible), -1).any(axis=1, keepdims=True) & (
        len(flat) > 1
    )
    known: Mask = np.asarray(((share >= SEEN) | (share <= UNSEEN)) & decoded)
    middle[share < SEEN] = np.nan
    rejected = {"seen in some copies only": int((~known & decoded).sum())}

    def reject(why: str, where: Mask) -> None:
        where = where & known & np.isfinite(middle[..., 0])
        rejected[why] = int(where.sum())
        known[where], middle[where] = False, np.nan

    reject("opinions apart", np.nan_to_num(apart) > agree_px)
    reject("jumps between frames", _jumps(points, middle, agree_px))
    reject("edge length", _bent(middle, skeleton))
    reject("posture", _unlike(middle, labels))
    return Agreement(middle, known, apart, rejected, unused)


def _unused(points: Points, agree_px: float) -> dict[str, float]:
    """Return the copies in which most points are found at other positions than in the frame."""
    found = {}
    for view in range(1, COPIES):
        away = np.linalg.norm(points[:, :, view] - points[:, :, 0], axis=-1)
        away = away[np.isfinite(away)]
        usual = float(np.median(away)) if away.size else np.inf
        if usual > agree_px:
            found[VIEWS[view]] = usual
    return found


def _jumps(points: Points, middle: Points, agree_px: float) -> Mask:
    """Return the points that are far from the mean of the neighbouring frames.

    The distance counts if it is larger than usual, than `agree_px`, and than the way from one
    of these frames to the other: an animal that runs is not rejected.
    """
    before, after = (median(np.moveaxis(points[:, :, v], 1, 0)) for v in (-2, -1))
    off = np.linalg.norm(middle - (before + after) / 2, axis=-1)
    way = np.linalg.norm(after - before, axis=-1)
    with warnings.catch_warnings():
        # a body part that is never visible
        warnings.simplefilter("ignore", RuntimeWarning)
        usual = np.nanmedian(off, axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray((off > JUMP * usual) & (off > agree_px) & (off > way))


def _bent(points: Points, skeleton: Skeleton) -> Mask:
    """Return both ends of each edge that is too short or too long."""
    bent = np.zeros(points.shape[:2], np.bool_)
    for edge in measured_edges(skeleton, points[:, None], EDGES):
        one, other = skeleton.indices((edge.one, edge.other))
        length = np.linalg.norm(points[:, one] - points[:, other], axis=-1)
        wrong = (length < edge.shortest) | (length > edge.longest)
        bent[:, one] |= wrong
        bent[:, other] |= wrong
    return bent


def _unlike(points: Points, labels: Points | None) -> Mask:
    """Return the points of poses that are far from the principal components."""
    known = labels if labels is not None and _whole(labels) >= FEWEST_POSES else points
    none = np.zeros(points.shape[:2], np.bool_)
    if _whole(known) < max(FEWEST_POSES, 2 * points[0].size):
        return none
    columns = range(points.shape[1])
    try:
        usual = single_view_error(known, known, columns)
        error = single_view_error(points, known, columns)
    except DeepLabStreamError:
        return none
    limit = PCA_TIMES * float(np.nanpercentile(usual, PCA_PERCENTILE))
    return np.asarray(np.nan_to_num(error) > max(limit, 1.0))


def _whole(points: Points) -> int:
    return int(np.isfinite(points).all(axis=(1, 2)).sum())
