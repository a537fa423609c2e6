"""Data of an evaluation report."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.network_estimator import ConfidenceScale
from deeplabstream.training.data.labels import Labels, known_of
from deeplabstream.training.evaluation.animal_matching import (
    Counted,
    beside,
    by_part,
    matched,
)
from deeplabstream.training.evaluation.image_prediction import (
    ImagePredictions,
    alike,
    check_alike,
    spread,
    together,
)
from deeplabstream.training.evaluation.point_errors import Evidence, Numbers, Poses


def gather(
    labels: Labels,
    sets: Sequence[str],
    found: ImagePredictions,
    members: Sequence[ImagePredictions] = (),
    views: Sequence[Sequence[str]] = (),
    single: Sequence[str] | None = None,
    scale: ConfidenceScale | None = None,
    threshold: float = 0.0,
    edges: Sequence[tuple[str, str]] = (),
) -> tuple[Evidence, Poses]:
    """Return what is known of a network's points, and the poses that the labels show.

    `members` are what all networks of an ensemble found in the same images; `scale` is
    what calibrated the network's confidences. `views` and
    `single` name body parts: see `Poses`. Poses are learned from the images trained on,
    where that is known. Of several animals, points below `threshold` make none. LabelsError:
    an ensemble of networks with other body parts.
    """
    parts = found.bodyparts
    points, truth, sure, known, counted = _rows(labels, found, threshold)
    animals = len(points) // max(1, len(found.names))
    seen = np.repeat(np.array(sets) == "train", animals)
    labelled = (
        np.isfinite(truth).any(axis=(1, 2)) if animals > 1 else np.ones_like(seen)
    )
    ours = [tuple(parts.index(n) for n in view if n in parts) for view in views]
    as_long = len({len(view) for view in ours}) == 1 and all(ours)
    poses = Poses(
        parts,
        truth[seen & labelled] if seen.any() else truth[labelled],
        tuple(i for i, n in enumerate(parts) if single is None or n in single),
        tuple(ours) if as_long else (),
    )
    away = np.linalg.norm(points - truth, axis=2).astype(np.float64)
    measures = {"error_px": away}
    if members:
        check_alike(found, members)
        measures["spread_px"] = _spread(labels, members, threshold)
    measures |= poses.errors(points)
    evidence = Evidence(
        parts, found.names, labels.images, tuple(sets), points, truth, sure, measures,
        known, None if scale is None else scale.raw(sure), animals, counted,
        tuple((parts.index(a), parts.index(b)) for a, b in edges),
    )  # fmt: skip
    return evidence, poses


def _rows(
    labels: Labels, found: ImagePredictions, threshold: float
) -> tuple[
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.bool_],
    Counted | None,
]:
    """Return points, labels, confidences, what is known, row by row; and the animals."""
    if found.animals == 1:
        truth, _ = beside(found, labels, 1)
        known = known_of(labels, found.bodyparts)
        return found.points, truth[:, 0], found.confidence, known, None
    which = matched(found, labels, threshold)
    _, known = beside(found, labels, which.points.shape[1])
    known &= np.isfinite(which.points).all(axis=3)
    shape = -1, len(found.bodyparts), 2
    return (
        which.points.reshape(shape),
        which.labels.reshape(shape),
        by_part(which.confidence),
        known.reshape(shape[:2]),
        which.counted,
    )


def _spread(
    labels: Labels, members: Sequence[ImagePredictions], threshold: float
) -> Numbers:
    """Return (row, bodypart): how far networks are apart, px.

    Of several animals, of those that they found together; the other rows are NaN.
    """
    networks = alike(members)
    apart = spread(networks)
    if networks[0].animals == 1:
        return apart
    which = matched(together(members), labels, threshold)
    placed = which.placed(apart.reshape(len(apart), networks[0].animals, -1))
    placed[~np.isfinite(which.labels).all(axis=3)] = np.nan
    return placed.reshape(-1, placed.shape[2])
