"""Motion model of each animal: a Kalman filter of every body part.

Each coordinate has a position and a velocity (constant velocity, Bar-Shalom, Li &
Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001, chapter
6). A part that is not visible moves on for a moment, with growing variance. Lengths are in units of
the animal's length. Assignments beyond `FARTHEST` are gated: their cost is `NEVER`.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FRESH_S = 0.5
"""Seconds since a part was visible for which it counts; after that only the animal's
centre does."""
SLOWING_S = 0.25
"""Rate at which a part that is not visible comes to rest, 1/s."""
ACCELERATION = 60.0
"""Typical acceleration, lengths/s²: a head that turns."""
SPEED = 4.0
"""Typical speed of an animal that was just found, lengths/s."""
NOISE = 0.03
"""Smallest standard deviation of a visible point, lengths; it is measured."""
NOISIEST = 0.15
"""The largest."""
FARTHEST = 16.0
"""Largest mean squared distance, in standard deviations, of the same animal."""
MEDIAN = 2 * np.log(2)
"""Median squared distance in a plane, in variances of one axis."""
_MARGIN = 1e-3
"""By how much no assignment of a detection costs more than the worst within the gate."""
NEVER = 1e6
"""Gate: cost of assigning a detection to an animal that cannot be at that place."""


class MotionModel:
    """The animals of one camera, (animal, bodypart), and the typical length of one."""

    def __init__(self, animals: int, bodyparts: int) -> None:
        shape = animals, bodyparts
        self._place: Array = np.zeros((*shape, 2))
        self._speed: Array = np.zeros((*shape, 2))
        self._variance: Array = np.zeros((3, *shape))
        """Variance of position and of velocity, and their covariance."""
        self._seen_s: Array = np.full(shape, -np.inf)
        """Time of the last visible point."""
        self._middle: Array = np.full((animals, 2), np.nan)
        """Last position of each animal; NaN: none yet."""
        self._time_s = -np.inf
        self._measured = 0.0
        """Variance of a visible point on one axis, px²."""
        self.length = 0.0
        """px; 0: none visible yet."""

    @property
    def known(self) -> Mask:
        """(animal,): whether it was ever visible."""
        return np.isfinite(self._middle[:, 0])

    @property
    def middles(self) -> Array:
        """(animal, 2), px: the last position of each."""
        return self._middle

    def measure(self, points: Array, usual: float) -> None:
        """Update the typical length of an animal; `usual` px with a single body part."""
        # The longest animal of a frame: the others may be curled up or partly covered
        low = np.fmin.reduce(points, axis=1, initial=np.inf)
        high = np.fmax.reduce(points, axis=1, initial=-np.inf)
        sizes = high - low
        longest = float(np.sqrt((sizes * sizes).sum(axis=1).max(initial=0.0)))
        if not longest:
            self.length = self.length or usual
        elif self.length:
            self.length += 0.02 * (longest - self.length)
        else:
            self.length = longest

    @property
    def _noise(self) -> float:
        """Variance of a visible point, px²."""
        least, most = (NOISE * self.length) ** 2, (NOISIEST * self.length) ** 2
        return min(max(self._measured, least), most) + 1.0

    def advance(self, time_s: float) -> None:
        """Predict all animals at `time_s`."""
        gone_s = min(max(time_s - self._time_s, 0.0), 1.0)
        self._time_s = time_s
        if gone_s == 0.0:
            return

        # Constant velocity with white-noise acceleration: the covariance after `gone_s`
        push = (ACCELERATION * self.length) ** 2
        place, speed, both = self._variance
        self._place += gone_s * self._speed
        place += gone_s * (2 * both + gone_s * speed) + push * gone_s**4 / 4
        both += gone_s * speed + push * gone_s**3 / 2
        speed += push * gone_s**2

        # A part that is not visible comes to rest, and is within reach of its last place
        unseen = self._seen_s < time_s - 1.5 * gone_s
        if unseen.any():
            self._speed[unseen] *= np.exp(-gone_s / SLOWING_S)
            limit = (SPEED * self.length) ** 2
            np.minimum(speed, limit, out=speed)
            np.minimum(place, (3 * self.length) ** 2, out=place)
            np.minimum(both, np.sqrt(place * speed), out=both)

    def costs(
        self, points: Array, seen: Mask, middles: Array
    ) -> tuple[Array, Array, Array]:
        """Return (animal, detection): minus twice the log likelihood of the assignment.

        And the part of it due to the distance of the points; and (detection,): the cost
        of no assignment. `points` (detection, bodypart, 2) with `seen`, their `middles`
        (detection, 2). The parts of one body err together: they count as two.
        """
        noise = self._noise
        fresh = self._seen_s > self._time_s - FRESH_S
        spread = self._variance[0] + noise
        off = points[None] - self._place[:, None]
        far = (off * off).sum(axis=-1) / spread[:, None]

        # Only parts that both have; outliers count like 5 standard deviations at most
        both = fresh[:, None] & seen[None]
        count = both.sum(axis=-1)
        shares = 1.0 / np.maximum(count, 1)
        mean = np.where(both, np.minimum(far, 25.0), 0.0).sum(axis=-1) * shares
        wide = np.where(both, 2 * np.log(spread)[:, None], 0.0).sum(axis=-1) * shares
        weight = np.minimum(seen.sum(axis=1), 2)  # the same for all animals
        costs = weight * (mean + wide)
        # Not to assign a detection costs as much as the worst assignment within the gate
        unassigned = weight * (FARTHEST + wide.max(axis=0, initial=0.0))
        costs[mean > FARTHEST] = NEVER
        without_parts = count == 0
        if without_parts.any():
            by_centre = weight * self._costs_by_centre(middles)
            costs = np.where(without_parts, by_centre, costs)

        # Any assignment within the gate is better than none: an animal that was not visible
        # yet must get its detection, and not leave it to one that is beyond its gate
        allowed = np.where(costs < NEVER, costs, -np.inf).max(axis=0, initial=-np.inf)
        return costs, weight * mean, np.maximum(unassigned, allowed + _MARGIN)

    def _costs_by_centre(self, middles: Array) -> Array:
        """Return the costs by the centre only, for animals not visible for long."""
        last_s = self._seen_s.max(axis=1, initial=-np.inf)
        gone_s = np.minimum(self._time_s - last_s, 1e3)
        spread = (self.length * (0.3 + SPEED * np.minimum(gone_s, 2.0))) ** 2 + 1.0
        off = middles[None] - self._middle[:, None]
        costs = (off * off).sum(axis=-1) / spread[:, None] + 2 * np.log(spread)[:, None]
        return np.where(np.isfinite(costs), costs, 50.0)

    def correct(
        self, animals: list[int], points: Array, seen: Mask, middles: Array
    ) -> None:
        """Update n animals with detections (n, bodypart, 2)."""
        noise = self._noise
        old = self._seen_s[animals] <= self._time_s - FRESH_S
        begins, follows = seen & old, seen & ~old
        place, speed, both = self._variance[:, animals]

        # Kalman gains of position and velocity; a part that reappears starts again
        near, fast = place / (place + noise), both / (place + noise)
        off = np.where(follows[..., None], points - self._place[animals], 0.0)

        # The noise of the network is measured: the median is robust against wrong points
        if follows.any():
            far = (off * off).sum(axis=-1)[follows]
            usual = float(np.median(far) / MEDIAN - np.median(place[follows]))
            self._measured += 0.02 * (usual - self._measured)

        places = self._place[animals] + near[..., None] * off
        speeds = self._speed[animals] + fast[..., None] * off
        places[begins], speeds[begins] = points[begins], 0.0
        far = (SPEED * self.length) ** 2
        after = np.stack([place * (1 - near), speed - fast * both, both * (1 - near)])
        begun = np.array([noise, far, 0.0])[:, None, None]
        unchanged = np.where(begins, begun, (place, speed, both))
        self._place[animals], self._speed[animals] = places, speeds
        self._variance[:, animals] = np.where(follows, after, unchanged)
        self._seen_s[animals] = np.where(seen, self._time_s, self._seen_s[animals])
        self._middle[animals] = middles

    def reorder(self, order: list[int]) -> None:
        """Reorder the animals: `order[n]` becomes the n-th."""
        self._place, self._speed = self._place[order], self._speed[order]
        self._variance, self._seen_s = self._variance[:, order], self._seen_s[order]
        self._middle = self._middle[order]
