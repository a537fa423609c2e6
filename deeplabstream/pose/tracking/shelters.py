"""Shelters: which animals are in which shelter, while the camera cannot see them.

An animal last seen in a shelter or at its edge, and not visible now, is its occupant. When
an animal appears at the edge, it is one of the occupants: costs make the tracker assign
one, and pairs of occupants become ambiguous. A single occupant stays known. An animal in
the door, at most half of it visible, is ambiguous with the occupants where no part of it was
followed from frame to frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deeplabstream.core.regions import Region
from deeplabstream.pose.tracking.motion_model import FRESH_S, NEVER, SPEED, Array, Mask

EDGE = 0.5
"""Largest distance outside a shelter, in lengths, at which an animal is at its edge. The
parts that are visible last are outside it."""
REACHING = 0.1
"""Largest distance outside a shelter, in lengths, at which an animal reaches into it."""
BRIEF_S = 0.15
"""Seconds without a visible point for which an animal that did not reach into the shelter
was only not detected."""
SETTLED_S = FRESH_S
"""Seconds without a visible point after which motion no longer predicts an occupant."""
FOLLOWED_S = 0.1
"""Seconds within which a part has to be visible again to be followed."""
FOLLOWED = 0.2
"""Largest distance between the two places of a part that is followed, in lengths."""
FARTHEST = 25.0
"""Largest squared distance from the edge of its shelter that counts, in lengths²."""

_FLAG = "shelter"

Pair = tuple[int, int]


@dataclass(frozen=True)
class Shelter:
    """A region in which the camera does not see animals, in px of the image."""

    number: int
    """From 1 on, as in `Pose.identity`."""
    region: Region


class ShelterOccupancy:
    """Occupants of the shelters of one camera."""

    def __init__(self, animals: int, shelters: Sequence[Shelter] = ()) -> None:
        self._shelters = tuple(shelters)
        self._last = [-1] * animals
        """By animal: the shelter in or at which it was last seen; -1: none."""
        self._unseen_since_s = [np.inf] * animals
        """By animal: time since which it is not visible; infinity: it is visible."""
        self._reaching = [False] * animals
        """By animal: whether it was at the door of that shelter when it was last seen."""
        self._inside = [False] * animals
        self._settled = [False] * animals
        self._contacts: set[Pair] = set()
        """Occupants, each with a visible animal at the door of the shelter."""
        self._parts: dict[int, tuple[float, Array, Mask]] = {}
        """By animal: time, points and visible parts of its last detection."""

    def is_settled(self, animal: int) -> bool:
        """Return whether an animal is in a shelter, and motion does not predict it."""
        return self._settled[animal]

    def went_in(self, animal: int) -> bool:
        """Return whether an animal is in a shelter, and not only hidden at its edge."""
        door = self._inside[animal] and self._reaching[animal]
        return door or self._settled[animal]

    def occupants(self, shelter: int) -> list[int]:
        """Return the animals in a shelter."""
        return [
            animal
            for animal, last in enumerate(self._last)
            if last == shelter and self._inside[animal]
        ]

    def apply_costs(
        self,
        costs: Array,
        unassigned: Array,
        seen: Mask,
        middles: Array,
        length: float,
    ) -> None:
        """Replace the costs (animal, detection) of settled occupants, in place.

        Parameters
        ----------
        costs : numpy.ndarray of float, shape (animal, detection)
            Minus twice the log likelihood of each assignment.
        unassigned : numpy.ndarray of float, shape (detection,)
            Costs of no assignment; they stay above those of any possible one.
        seen : numpy.ndarray of bool, shape (detection, bodypart)
            Whether a point is visible.
        middles : numpy.ndarray of float, shape (detection, 2)
            Mean of the visible points, px.
        length : float
            Length of an animal, px.
        """
        settled = [animal for animal, yes in enumerate(self._settled) if yes]
        if not settled or not len(middles):
            return

        # Everywhere at the edge is equally likely; the spread is that of an animal that
        # was not visible for long, so that visible animals keep their detections
        spread = (length * (0.3 + 2 * SPEED)) ** 2
        weight = np.minimum(seen.sum(axis=1), 2)  # as in the motion model
        for animal in settled:
            region = self._shelters[self._last[animal]].region
            beyond = np.maximum(-region.depths(middles) / length - EDGE, 0.0)
            off = np.minimum(beyond * beyond, FARTHEST)
            costs[animal] = weight * (off + 2 * np.log(spread))
        possible = np.where(costs < NEVER, costs, -np.inf).max(axis=0)
        np.maximum(unassigned, possible + 1e-3, out=unassigned)

    def update(
        self,
        of: dict[int, int],
        points: Array,
        seen: Mask,
        length: float,
        time_s: float,
    ) -> set[Pair]:
        """Update with the assignments of one frame; return pairs that may be swapped.

        `of`: the detection of each visible animal; `points` (detection, bodypart, 2), px,
        with `seen`.
        """
        if not self._shelters:
            return set()
        before = [set(self.occupants(n)) for n in range(len(self._shelters))]
        depths = self._depths(points, seen)
        # At a door is who reaches into a shelter and is not visible for the most part: the
        # rest is inside, and an occupant may come out instead
        hardly = seen.sum(axis=1) <= max(1, seen.shape[1] // 2)
        doors = (depths >= -REACHING * length) & hardly
        contacts, pairs = set[Pair](), set[Pair]()

        for animal in range(len(self._last)):
            detection = of.get(animal)
            if detection is None:
                self._miss(animal, time_s)
                continue
            nearest = int(depths[:, detection].argmax())
            depth = depths[nearest, detection] / length
            at = nearest if depth >= -EDGE else -1

            # An occupant appears: it may be any of those of the shelter that it left, and
            # of the one at which it is
            if self._inside[animal]:
                for shelter in {self._last[animal], at} - {-1}:
                    pairs |= _pairs(animal, before[shelter])
            self._last[animal] = at
            self._reaching[animal] = bool(doors[nearest, detection])
            self._unseen_since_s[animal] = np.inf
            self._inside[animal] = self._settled[animal] = False

        # An animal at the door may go in while an occupant comes out
        for animal, detection in of.items():
            for shelter in np.flatnonzero(doors[:, detection]).tolist():
                contacts |= _pairs(animal, self.occupants(shelter))

        # Those that have come together in a shelter since the last frame
        for shelter, occupants in enumerate(before):
            now = set(self.occupants(shelter))
            for animal in now - occupants:
                pairs |= _pairs(animal, now)
        broken = self._broken(of, points, seen, length, time_s)
        changed = contacts ^ self._contacts
        pairs |= {pair for pair in contacts | changed if not broken.isdisjoint(pair)}
        self._contacts = contacts
        return pairs

    def _broken(
        self,
        of: dict[int, int],
        points: Array,
        seen: Mask,
        length: float,
        time_s: float,
    ) -> set[int]:
        """Return the visible animals without a part that was followed to this frame.

        A part near where it just was is the same animal's: the same part of an occupant
        cannot get there in so short a time.
        """
        broken = set()
        for animal, detection in of.items():
            since_s, last, parts = self._parts.get(
                animal, (-np.inf, points[0], seen[0])
            )
            both = parts & seen[detection]
            off = points[detection][both] - last[both]
            near = (off * off).sum(axis=-1) <= (FOLLOWED * length) ** 2
            if time_s - since_s > FOLLOWED_S or not near.any():
                broken.add(animal)
            self._parts[animal] = time_s, points[detection], seen[detection]
        return broken

    def _miss(self, animal: int, time_s: float) -> None:
        """Update an animal that is not visible."""
        since_s = min(self._unseen_since_s[animal], time_s)
        self._unseen_since_s[animal] = since_s
        gone_s = time_s - since_s
        hides = self._reaching[animal] or gone_s >= BRIEF_S
        self._inside[animal] = self._last[animal] >= 0 and hides
        self._settled[animal] = self._inside[animal] and gone_s >= SETTLED_S

    def reorder(self, order: Sequence[int]) -> None:
        """Make animal `order[n]` the n-th one."""
        self._last = [self._last[n] for n in order]
        self._unseen_since_s = [self._unseen_since_s[n] for n in order]
        self._reaching = [self._reaching[n] for n in order]
        self._inside = [self._inside[n] for n in order]
        self._settled = [self._settled[n] for n in order]
        new = {old: n for n, old in enumerate(order)}
        self._contacts = {_pair(new[one], new[other]) for one, other in self._contacts}
        self._parts = {new[animal]: last for animal, last in self._parts.items()}

    def flags(self) -> list[str]:
        """Return `shelterN` for each occupant of shelter number N; else ""."""
        flags = [""] * len(self._last)
        for place, shelter in enumerate(self._shelters):
            for animal in self.occupants(place):
                flags[animal] = f"{_FLAG}{shelter.number}"
        return flags

    def _depths(self, points: Array, seen: Mask) -> Array:
        """Return (shelter, detection): depth of the deepest visible part, px."""
        flat = points.reshape(-1, 2)
        depths = np.empty((len(self._shelters), len(points)))
        for shelter, place in enumerate(self._shelters):
            of_parts = place.region.depths(flat).reshape(seen.shape)
            depths[shelter] = np.where(seen, of_parts, -np.inf).max(
                axis=1, initial=-np.inf
            )
        return depths


def _pair(one: int, other: int) -> Pair:
    return min(one, other), max(one, other)


def _pairs(animal: int, others: Sequence[int] | set[int]) -> set[Pair]:
    """Return the pairs of an animal with each of the others."""
    return {_pair(animal, other) for other in others if other != animal}


def shelter_number(state: str) -> int | None:
    """Return the number of the shelter in a state of `Pose.identity`; None: in none."""
    found = (part for part in state.split("+") if part.startswith(_FLAG))
    return next((int(part.removeprefix(_FLAG)) for part in found), None)


def without_shelter(state: str) -> str:
    """Return a state of `Pose.identity` without the shelter."""
    return "+".join(part for part in state.split("+") if not part.startswith(_FLAG))
