"""One-euro filter: strong smoothing at rest, weak smoothing in motion.

Casiez, Roussel & Vogel, "1 € filter", CHI 2012: a low-pass whose cut-off frequency
rises with speed.
"""

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
SPEED_HZ = 1.0
"""Cut-off frequency of the low-pass of the speed, Hz, as in the paper."""
GAP_S = 0.25
"""Seconds without a visible point after which the filter starts again."""


class OneEuro:
    """The filter of one camera's points, (animal, bodypart, 2), px; NaN: not visible."""

    def __init__(self, rest_hz: float, beta: float) -> None:
        """Set the cut-off: `rest_hz` at rest, and `beta` Hz more for each px per second."""
        self._rest_hz = rest_hz
        self._beta = beta
        self._points: Points | None = None
        self._speeds: Points = np.empty(0, np.float32)
        self._times: NDArray[np.float64] = np.empty(0)

    def step(self, points: Points, time_s: float) -> Points:
        """Return the smoothed points. NaN stays NaN, whatever came before."""
        if self._points is None or self._points.shape != points.shape:
            self._points = np.full_like(points, np.nan)
            self._speeds = np.zeros_like(points)
            self._times = np.full(points.shape[:-1], -np.inf)
        visible = np.asarray(np.isfinite(points).all(axis=-1))
        away_s = time_s - self._times
        follows = visible & (away_s > 0) & (away_s <= GAP_S)
        begins = visible & ~follows
        self._points[begins], self._speeds[begins] = points[begins], 0.0
        if follows.any():
            dt = away_s[follows][:, None].astype(np.float32)
            before, now = self._points[follows], points[follows]
            share = _share(SPEED_HZ, dt)
            speed = share * (now - before) / dt + (1 - share) * self._speeds[follows]
            fast = np.linalg.norm(speed, axis=-1, keepdims=True)
            share = _share(self._rest_hz + self._beta * fast, dt)
            self._points[follows] = share * now + (1 - share) * before
            self._speeds[follows] = speed
        self._times[visible] = time_s
        return np.where(visible[..., None], self._points, np.float32(np.nan))


def _share(cut_off_hz: "float | Points", dt_s: Points) -> Points:
    """Return the weight of a new value, 0 to 1."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * cut_off_hz * dt_s)), np.float32)
