"""Calibration of confidences: the share of points that are correct."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RIGHT_PX = 5.0
"""Pixels of the original frame within which a point is correct, by default."""
LEAST = 1e-4
"""Confidences are limited to this and 1 less this."""


LINEAR_TO = 0.8
"""Scores without an upper bound are confidences up to here: see `confidence_of`."""


def confidence_of(
    scores: NDArray[np.floating], linear_to: float | None
) -> NDArray[np.float32]:
    """Return confidences, 0 to 1, of the scores of peaks; NaN stays NaN.

    None: scores are from 0 to 1 by themselves. Else they have no upper bound: up to
    `linear_to` they are taken as they are, above they approach 1 and never reach it, so
    that the higher score always has the higher confidence.

    >>> confidence_of(np.array([0.4, 0.8, 1.0, 2.6]), 0.8).round(3).tolist()
    [0.4000000059604645, 0.800000011920929, 0.8999999761581421, 0.9800000190734863]
    """
    if linear_to is None:
        # np.clip does the same in twice the time, which every frame takes
        return np.asarray(np.minimum(np.maximum(scores, 0), 1), np.float32)
    room = 1 - linear_to
    above = np.maximum(scores - linear_to, 0)
    bent = 1 - room**2 / (above + room)
    return np.asarray(np.where(above > 0, bent, np.maximum(scores, 0)), np.float32)


@dataclass(frozen=True, slots=True)
class ConfidenceScale:
    """Platt scaling of confidences: the share of similar points that are correct.

    The logit is multiplied by `slope` and shifted by `shift` (Platt 1999). The order of
    confidences stays. `training` fits both on held-out frames.
    """

    slope: float
    """Greater than 0."""
    shift: float
    within_px: float
    """A point is correct within this distance, pixels of the original frame."""

    def __call__(self, confidence: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return calibrated confidences, 0 to 1; NaN stays NaN.

        >>> ConfidenceScale(1.0, 0.0, 5.0)(np.array([0.25, 0.5])).tolist()
        [0.25, 0.5]
        """
        raised = self.slope * logit(confidence) + self.shift
        return np.asarray(1 / (1 + np.exp(-raised)), np.float32)

    def raw(self, confidence: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the confidence before calibration."""
        before = (logit(confidence, 1e-12) - self.shift) / self.slope
        return np.asarray(1 / (1 + np.exp(-before)), np.float32)


def logit(
    confidence: NDArray[np.floating], least: float = LEAST
) -> NDArray[np.float64]:
    """Return the logarithm of the odds."""
    kept = np.clip(np.asarray(confidence, np.float64), least, 1 - least)
    return np.asarray(np.log(kept / (1 - kept)))
