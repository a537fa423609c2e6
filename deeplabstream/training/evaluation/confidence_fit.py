"""Calibration of confidences on held-out images: Platt scaling, cross-fitted."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.network_estimator import ConfidenceScale, logit
from deeplabstream.training.evaluation.evaluate import reliability

Points = NDArray[np.float32]
ENOUGH = 20
"""Fewest points; with fewer, confidences are not calibrated."""
SURE = 0.02
"""Confidences of two prior points: this value for a wrong point, and 1 minus it for a
correct point.

Held-out images in which all points are right would otherwise fit a scale by which a body
part that is not visible is right too."""
ANCHORS = 4.0
"""Weight of each prior point, in labelled points."""
STIFF = 0.5
"""Strength of the prior that leaves confidences unchanged."""
FOLDS = 5


def fit_scale(
    distance: Points, confidence: Points, known: NDArray[np.bool_], within_px: float
) -> ConfidenceScale | None:
    """Return the scale of maximum likelihood; None: too few points.

    `distance` (image, bodypart) px of the original images; NaN: the body part was not
    visible, so any prediction is wrong. Only what is `known` counts. Source: logistic
    regression of right and wrong on the logit (Platt 1999), by Newton's method.
    """
    if known.sum() < ENOUGH:
        return None
    # a distance of NaN counts as wrong
    right = (distance <= within_px)[known].astype(np.float64)
    logits = logit(confidence[known])
    end = float(logit(np.array(SURE)))
    x = np.concatenate([logits, [end, -end]])
    y = np.concatenate([right, [0.0, 1.0]])
    weight = np.concatenate([np.ones(len(logits)), [ANCHORS, ANCHORS]])
    columns = np.stack([x, np.ones_like(x)], axis=1)
    found, start = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    for _ in range(50):
        share = 1 / (1 + np.exp(-np.clip(columns @ found, -50, 50)))
        slope = columns.T @ (weight * (share - y)) + STIFF * (found - start)
        spread = (weight * share * (1 - share))[:, None]
        step = np.linalg.solve(
            columns.T @ (spread * columns) + STIFF * np.eye(2), slope
        )
        found = found - np.clip(step, -1, 1)
        found[0] = max(found[0], 0.05)
        if np.abs(step).max() < 1e-9:
            break
    return ConfidenceScale(
        round(float(found[0]), 4), round(float(found[1]), 4), within_px
    )


def calibrated(
    distance: Points,
    confidence: Points,
    known: NDArray[np.bool_],
    within_px: float,
    clips: Sequence[str],
) -> tuple[ConfidenceScale | None, Points]:
    """Return the scale, and confidences calibrated by scales fitted without their image.

    None, and the confidences as they are, where a scale does not lower the calibration
    error of images that it did not see, or there are too few points. Arrays as in
    `fit_scale`.
    """
    scale = fit_scale(distance, confidence, known, within_px)
    fitted = cross_fitted(distance, confidence, known, within_px, clips)
    before, after = (
        reliability(distance, values, known, within_px).error()
        for values in (confidence, fitted)
    )
    return (scale, fitted) if after < before else (None, confidence)


def cross_fitted(
    distance: Points,
    confidence: Points,
    known: NDArray[np.bool_],
    within_px: float,
    clips: Sequence[str],
) -> Points:
    """Return confidences, each calibrated by a scale fitted without its image.

    Whole clips stay together where there are enough of them: neighbouring frames are
    nearly the same image.
    """
    names = sorted(set(clips))
    groups = (
        np.array([names.index(clip) for clip in clips])
        if len(names) >= FOLDS
        else np.arange(len(clips)) * FOLDS // max(1, len(clips))
    )
    out = confidence.astype(np.float32).copy()
    for fold in range(FOLDS):
        own = groups % FOLDS == fold
        scale = fit_scale(distance[~own], confidence[~own], known[~own], within_px)
        if scale is not None and own.any():
            out[own] = scale(confidence[own])
    return out
