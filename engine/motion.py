"""Smoothing and prediction of one camera's points, as `[Tracking]` asks for them."""

import numpy as np
from numpy.typing import NDArray

from engine.tracking import Tracking
from pose.prediction import Prediction
from pose.smoothing import OneEuro

EVERY = "every point"
"""Under this name the record says what was done to all points of a frame."""


class Motion:
    """The filters of one camera."""

    def __init__(self, rules: Tracking) -> None:
        self._smoothing = None
        if rules.smooth_hz:
            self._smoothing = OneEuro(rules.smooth_hz, rules.smooth_beta)
        self._prediction = Prediction() if rules.predict else None
        self._acts_after_s = rules.acts_after_ms / 1e3
        steps = [("smoothed", self._smoothing), ("predicted", self._prediction)]
        self._done = {EVERY: "+".join(word for word, step in steps if step)}

    def step(
        self, points: NDArray[np.float32], time_s: float, age_s: float
    ) -> tuple[NDArray[np.float32], dict[str, str]]:
        """Return the points to see, NaN where they were, and what was done to them."""
        if self._smoothing is not None:
            points = self._smoothing.step(points, time_s)
        if self._prediction is not None:
            ahead_s = age_s + self._acts_after_s
            points = self._prediction.step(points, time_s, ahead_s)
        return points, self._done
