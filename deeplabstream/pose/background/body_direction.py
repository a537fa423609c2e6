"""Body direction: which end of the body axis is the front, by the direction of movement."""

import numpy as np
from numpy.typing import NDArray

SHARE = 0.5
"""Body lengths to be moved along the axis until the front is known, or changes."""


class BodyDirection:
    """Direction of the body axis of several animals; the front is the end that leads.

    An axis has two ends. From frame to frame the front stays at the nearer end. Movement
    along the axis is summed up: once an animal has moved half of its length forward more
    than backward, its front is known; half a length backward turns it.
    """

    def __init__(self, animals: int) -> None:
        self._axis = np.full((animals, 2), np.nan)
        self._centre = np.full((animals, 2), np.nan)
        self._moved = np.zeros(animals)
        """Net movement towards the present front, in body lengths, up to 1."""
        self._known = np.zeros(animals, np.bool_)

    def front(
        self, centre: NDArray[np.float64], half_axis: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the vectors from the centres to the fronts.

        Parameters
        ----------
        centre, half_axis : numpy.ndarray of float64, shape (animal, 2)
            Centre, and from there one end of the axis, px; NaN: not found.

        Returns
        -------
        numpy.ndarray of float64, shape (animal, 2)
            Half axes towards the front, px. NaN: not found, or the front is not known yet.
        """
        found: NDArray[np.bool_] = np.isfinite(half_axis[:, 0])
        same_end = (half_axis * self._axis).sum(axis=1)
        axis = np.where(same_end[:, None] < 0, -half_axis, half_axis)

        length = np.maximum(np.hypot(*axis.T), 1e-9)
        step = (centre - self._centre) * axis
        along = np.nan_to_num(step.sum(axis=1) / (2 * length**2))
        self._moved = np.where(found, np.minimum(self._moved + along, 1.0), self._moved)

        backward = np.flatnonzero(self._moved < -SHARE)
        axis[backward] *= -1
        self._moved[backward] *= -1
        self._known = self._known | (np.abs(self._moved) >= SHARE)

        self._axis = np.where(found[:, None], axis, self._axis)
        self._centre = np.where(found[:, None], centre, self._centre)
        return np.where(found[:, None] & self._known[:, None], axis, np.nan)
