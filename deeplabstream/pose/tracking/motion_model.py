"""Motion model of each animal: a Kalman filter of every body part.

Each coordinate has a position and a velocity (constant velocity, Bar-Shalom, Li &
Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001, chapter
6). A part that is not visible moves on for a moment, with growing variance. An animal may also
rest where it was, or jump: turn or start faster than the filter allows. The likeliest of the
three counts. Lengths are in units of the animal's length. Assignments beyond `FARTHEST` are
gated: their cost is `NEVER`.
"""

from dataclasses import dataclass

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
FARTHEST_JUMP = 9.0
"""The same of the centre of an animal that jumped."""
JUMP = 4.0
"""Cost of a jump, for each of the two parts that count."""
DOUBT = 12.0
"""Cost of a jump where alternatives are compared: one by a jump is hardly an alternative."""
UNKNOWN = 50.0
"""Cost of any detection for an animal that was not visible yet."""
FOREIGN = 16.0
"""Squared distance, in usual movements between frames, from which a part may be another's."""
STEPS = 0.05
"""Share of a new frame in the average of the movement between frames."""
MEDIAN = 2 * np.log(2)
"""Median squared distance in a plane, in variances of one axis."""
_MARGIN = 1e-3
"""By how much no assignment of a detection costs more than the worst within the gate."""
NEVER = 1e6
"""Gate: cost of assigning a detection to an animal that cannot be at that place."""


@dataclass(frozen=True, slots=True)
class AssignmentCosts:
    """Costs (animal, detection) of assignments: minus twice their log likelihood."""

    costs: Array
    """`NEVER`: beyond the gate."""
    unassigned: Array
    """(detection,): cost of no assignment."""
    misfits: Array
    """Part of the costs due to the distance of the points."""
    jumps: Mask
    """Whether the animal jumped, if it is that one."""
    weight: Array
    """(detection,): number of parts that count, 2 at most."""

    @property
    def doubtful(self) -> Array:
        """Costs for comparing two assignments, where a jump is less likely."""
        return self.costs + np.where(self.jumps, self.weight * (DOUBT - JUMP), 0.0)


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
        self._gone_s = 1.0
        """Time from the frame before to this one."""
        self._step = 0.0
        """Variance of the movement from one frame to the next on one axis, px²; 0: none yet."""
        self._last: Array = np.zeros((*shape, 2))
        """Place at which each part was visible last."""
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
        self._gone_s = gone_s

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

    def costs(self, points: Array, seen: Mask, middles: Array) -> AssignmentCosts:
        """Return the costs of each assignment of a detection to an animal.

        `points` (detection, bodypart, 2) with `seen`, their `middles` (detection, 2). The
        parts of one body err together: they count as two.
        """
        # An animal moves on, or rests where its parts were visible last, however long ago
        usable = np.stack(
            [self._seen_s > self._time_s - FRESH_S, np.isfinite(self._seen_s)]
        )
        missed = (self._time_s - self._seen_s) / self._gone_s
        rests = self._step * np.where(usable[1], np.maximum(missed, 1.0), 1.0) + 1.0
        spread = np.stack([self._variance[0] + self._noise, rests])
        off = points[None, None] - np.stack([self._place, self._last])[:, :, None]
        far = (off * off).sum(axis=-1) / spread[:, :, None]

        # Only parts that both have; outliers count like 5 standard deviations at most
        both = usable[:, :, None] & seen
        count = usable.astype(float) @ seen.T
        shares = 1.0 / np.maximum(count, 1)
        mean = np.where(both, np.minimum(far, 25.0), 0.0).sum(axis=-1) * shares
        wide = (usable * (2 * np.log(spread))) @ seen.T * shares
        wide[(count == 0) | (mean > FARTHEST)] = np.inf

        # Or it jumped: then only the distance of its centre counts
        centre, wide_centre = self._misfits_by_centre(middles)
        mean, wide = np.stack([*mean, centre]), np.stack([*wide, wide_centre])
        best = (mean + wide).argmin(axis=0)[None]
        misfits = np.take_along_axis(mean, best, axis=0)[0]
        wide = np.take_along_axis(wide, best, axis=0)[0]
        jumps = best[0] == len(mean) - 1

        weight = np.minimum(seen.sum(axis=1), 2)  # the same for all animals
        costs = weight * (misfits + wide)
        costs[misfits > FARTHEST] = NEVER
        # Not to assign a detection costs as much as the worst assignment within the gate
        unassigned = weight * (FARTHEST + wide.max(axis=0, initial=0.0))

        # Any assignment within the gate is better than none: an animal that was not visible
        # yet must get its detection, and not leave it to one that is beyond its gate
        allowed = np.where(costs < NEVER, costs, -np.inf).max(axis=0, initial=-np.inf)
        unassigned = np.maximum(unassigned, allowed + _MARGIN)
        return AssignmentCosts(costs, unassigned, weight * misfits, jumps, weight)

    def _misfits_by_centre(self, middles: Array) -> tuple[Array, Array]:
        """Return (animal, detection): misfits of the centres, costs of their variance."""
        last_s = self._seen_s.max(axis=1, initial=-np.inf)
        gone_s = np.minimum(self._time_s - last_s, 2.0)
        spread = (self.length * (0.3 + SPEED * gone_s)) ** 2 + 1.0
        off = middles[None] - self._middle[:, None]
        far = (off * off).sum(axis=-1) / spread[:, None]
        wide = np.where(far > FARTHEST_JUMP, np.inf, 2 * np.log(spread)[:, None] + JUMP)
        # Any detection may be an animal that was not visible yet
        new = ~self.known[:, None]
        return np.where(new, 0.0, far), np.where(new, UNKNOWN, wide)

    def correct(
        self,
        animals: list[int],
        points: Array,
        seen: Mask,
        middles: Array,
        jumped: Mask,
    ) -> None:
        """Update n animals with detections (n, bodypart, 2).

        `jumped` (n,): the filter starts again.
        """
        noise = self._noise
        hidden = self.known
        hidden[animals] = False
        if hidden.any():
            foreign = self._foreign(animals, points, hidden)
            seen = seen & (~foreign | jumped[:, None])
        self._measure_steps(animals, points, seen)
        old = self._seen_s[animals] <= self._time_s - FRESH_S
        old |= jumped[:, None]
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
        self._last[animals] = np.where(seen[..., None], points, self._last[animals])

    def _measure_steps(self, animals: list[int], points: Array, seen: Mask) -> None:
        """Average the movement of the parts that were visible in the frame before too."""
        just = seen & (self._seen_s[animals] >= self._time_s - 1.5 * self._gone_s)
        if just.any():
            off = points[just] - self._last[animals][just]
            step = float(np.median((off * off).sum(axis=-1))) / MEDIAN
            self._step += STEPS * (step - self._step) if self._step else step
        self._step = max(self._step, (NOISE * self.length) ** 2)

    def _foreign(self, animals: list[int], points: Array, hidden: Mask) -> Mask:
        """Return which points (n, bodypart) may be parts of a `hidden` animal.

        Two animals found as one have parts of both. Such a part is far from its own place
        and near that of an animal that was not found.
        """
        by_motion, at_rest = points - self._place[animals], points - self._last[animals]
        own = np.minimum((by_motion**2).sum(axis=-1), (at_rest**2).sum(axis=-1))
        off = points[:, None] - self._last[hidden][None]
        seen = np.isfinite(self._seen_s[hidden])[None]
        others = np.where(seen, (off * off).sum(axis=-1), np.inf).min(axis=1)
        foreign: Mask = (others < own) & (own > FOREIGN * (self._step + 1.0))
        return foreign

    def reorder(self, order: list[int]) -> None:
        """Reorder the animals: `order[n]` becomes the n-th."""
        self._place, self._speed = self._place[order], self._speed[order]
        self._variance, self._seen_s = self._variance[:, order], self._seen_s[order]
        self._middle = self._middle[order]
        self._last = self._last[order]
