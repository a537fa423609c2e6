"""Simulated walks of flies, each in a circle of its own.

Flies walk and rest at their own times. Where they are depends on the time and the seed alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_AHEAD_S = 0.02  # step for the direction of movement


@dataclass(frozen=True, eq=False)
class FlyWalks:
    """Walks of several flies. Times are in seconds: one for all, or one for each fly."""

    numbers: NDArray[np.float64]
    """(fly, 8): random numbers from 0 to 1 that determine each walk."""

    @classmethod
    def drawn(cls, flies: int, random: np.random.Generator) -> "FlyWalks":
        """Return random walks."""
        return cls(random.random((flies, 8)))

    def places(self, time_s: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where each fly is (fly, 2), in a circle of radius 1 around 0 0."""
        period, share, when = self._times
        whole = np.floor(time_s / period + when)
        walked_s = period * (whole * share + np.minimum(self._phase(time_s), share))
        turn, sway, out = 0.4 + 0.5 * self.numbers[:, 3:6].T
        first = 2 * np.pi * self.numbers[:, 6]
        angle = first + turn * walked_s + np.sin(sway * walked_s)
        # flies are at the wall for much of the time
        radius = np.sqrt(0.5 + 0.5 * np.sin(out * walked_s + 2 * first))
        return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])

    def directions(self, time_s: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the direction of each fly's head (fly,), radians; y points down."""
        period, share, when = self._times
        # a resting fly keeps the direction in which it came
        rests = self._phase(time_s) > share
        came_s = (np.floor(time_s / period + when) + share - when) * period
        at_s = np.where(rests, came_s, time_s) - _AHEAD_S
        step = self.places(at_s + _AHEAD_S) - self.places(at_s)
        return np.arctan2(step[:, 1], step[:, 0])

    @property
    def _times(self) -> tuple[NDArray[np.float64], ...]:
        """Period of walk and rest (s), share of walking, and phase of each fly."""
        return (
            4 + 8 * self.numbers[:, 0],
            0.3 + 0.6 * self.numbers[:, 1],
            self.numbers[:, 2],
        )

    def _phase(self, time_s: float | NDArray[np.float64]) -> NDArray[np.float64]:
        period, _, when = self._times
        return (time_s / period + when) % 1.0
