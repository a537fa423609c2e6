"""Motion prediction: a Kalman filter predicts points at the time the output acts.

Each coordinate has position, velocity and acceleration. The acceleration decays (Singer
1970), so a turn is followed without being continued endlessly. Points that are not
visible are never predicted.
"""

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Matrix = NDArray[np.float64]

NOISE_PX = 1.0
"""Standard deviation of a visible point, px."""
ACCELERATION = 1000.0
"""Typical acceleration, px/s²: `benchmarks/prediction.py` found no better one."""
MANOEUVRE_S = 0.1
"""Time constant of the acceleration, s."""
GAP_S = 0.25
"""Seconds without a visible point after which the filter starts again."""
START = np.diag([NOISE_PX**2, 300.0**2, ACCELERATION**2])


class MotionPredictor:
    """Kalman filter of one camera's points, (animal, bodypart, 2), px; NaN: not visible."""

    def __init__(self, longest_s: float = 0.2) -> None:
        """Predict at most `longest_s` ahead."""
        self._longest_s = longest_s
        self._states: Matrix | None = None
        """(animal, bodypart, 3, 2): position, velocity, acceleration of x and y."""
        self._covariances: Matrix = np.empty(0)
        """(animal, bodypart, 3, 3): covariance, the same for x and y."""
        self._times: NDArray[np.float64] = np.empty(0)

    def step(self, points: Points, time_s: float, ahead_s: float) -> Points:
        """Update with the points of one frame; return the points `ahead_s` later."""
        shape = points.shape[:-1]
        if self._states is None or self._states.shape[:-2] != shape:
            self._states = np.zeros((*shape, 3, 2))
            self._covariances = np.zeros((*shape, 3, 3))
            self._times = np.full(shape, -np.inf)
        visible = np.asarray(np.isfinite(points).all(axis=-1))
        away_s = time_s - self._times
        follows = visible & (away_s > 0) & (away_s <= GAP_S)
        begins = visible & ~follows
        self._states[begins] = 0.0
        self._states[begins, 0] = points[begins]
        self._covariances[begins] = START
        for gone_s in np.unique(away_s[follows]):
            self._correct(follows & (away_s == gone_s), float(gone_s), points)
        self._times[visible] = time_s
        ahead = _motion(min(max(0.0, ahead_s), self._longest_s))
        places = (ahead[0] @ self._states).astype(np.float32)
        return np.where(visible[..., None], places, np.float32(np.nan))

    def _correct(self, which: NDArray[np.bool_], gone_s: float, points: Points) -> None:
        if self._states is None:
            return
        motion = _motion(gone_s)
        state = motion @ self._states[which]
        predicted = motion @ self._covariances[which] @ motion.T + _noise(gone_s)
        gain = predicted[:, :, 0] / (predicted[:, :1, 0] + NOISE_PX**2)
        off = points[which] - state[:, 0]
        self._states[which] = state + gain[:, :, None] * off[:, None, :]
        self._covariances[which] = predicted - gain[:, :, None] * predicted[:, :1, :]


def _motion(gone_s: float) -> Matrix:
    """Return the transition of position, velocity and acceleration over a time, (3, 3)."""
    rate = 1 / MANOEUVRE_S
    fade = np.exp(-rate * gone_s)
    return np.array(
        [
            [1.0, gone_s, (rate * gone_s - 1 + fade) / rate**2],
            [0.0, 1.0, (1 - fade) / rate],
            [0.0, 0.0, fade],
        ]
    )


def _noise(gone_s: float) -> Matrix:
    """Return the process noise over a time much shorter than a manoeuvre, (3, 3)."""
    t = min(gone_s, MANOEUVRE_S)
    q = 2 * ACCELERATION**2 / MANOEUVRE_S
    return q * np.array(
        [
            [t**5 / 20, t**4 / 8, t**3 / 6],
            [t**4 / 8, t**3 / 3, t**2 / 2],
            [t**3 / 6, t**2 / 2, t],
        ]
    )
