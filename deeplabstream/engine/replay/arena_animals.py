"""Simulated animals of a rehearsal with arenas: one walks in each."""

from collections.abc import Collection, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.journal_entries import Edge
from deeplabstream.core.pose import Skeleton
from deeplabstream.core.regions import Region
from deeplabstream.settings.arena_instances import arena_of, centre_of
from deeplabstream.simulation.fly_walks import FlyWalks

FLIGHT = 4.0
"""Speed of a fleeing animal, relative to its normal walk."""
BODY_PARTS = {
    "centre": (0.0, 0.0), "front": (0.5, 0.0), "back": (-0.5, 0.0),
    "snout": (0.5, 0.0), "leftear": (0.3, -0.15), "rightear": (0.3, 0.15),
    "tailbase": (-0.5, 0.0),
}  # fmt: skip
"""Place of a body part along the body and across it, in lengths of the animal."""
_FREE = 0.9
"""Reach of an animal's middle, as a share of its arena."""
_LENGTH = 0.2
"""Length of an animal, as a share of its arena's smaller side."""
_GRID = 25
"""Points along each side of an arena, among them the farthest from its border."""


class Walkers(Protocol):
    """Simulated animals, which may react to outputs."""

    def receive(self, edge: Edge) -> None:
        """Store the level of an output that was written."""

    def where(self, index: int) -> NDArray[np.float32]:
        """Return the body parts (animal, body part, 2), px, in image `index`, the next one."""


class ArenaAnimals:
    """One simulated animal in each arena; each runs faster while it flees from its output."""

    def __init__(
        self,
        arenas: Mapping[str, Region],
        skeleton: Skeleton,
        rate: float,
        seed: int,
        flees: Collection[str],
    ) -> None:
        self._names = [*arenas]
        self._rate = rate
        self._flees = frozenset(flees)
        self._walks = FlyWalks.drawn(len(arenas), np.random.default_rng((seed, 2)))
        reaches = [reach_of(region) for region in arenas.values()]
        self._centres = np.array([centre for centre, _ in reaches])
        self._halves = np.array([half for _, half in reaches])
        offsets = np.array([BODY_PARTS[name] for name in skeleton.bodyparts])
        self._along, self._across = offsets.T
        self._levels: dict[str, float] = {}
        self._ahead_s = np.zeros(len(arenas))

    def receive(self, edge: Edge) -> None:
        """Store the level of an output that was written."""
        self._levels[edge.output] = edge.level

    def where(self, index: int) -> NDArray[np.float32]:
        """Return the body parts (animal, body part, 2), px, in image `index`, the next one."""
        flees = {
            arena_of(output, self._names)
            for output, level in self._levels.items()
            if level > 0 and self._flees & {output, output.partition(".")[0]}
        }
        self._ahead_s += [
            (FLIGHT - 1) / self._rate * (name in flees) for name in self._names
        ]
        time_s = index / self._rate + self._ahead_s
        middle = self._centres + self._halves * _FREE * self._walks.places(time_s)

        turn = self._walks.directions(time_s)[:, None]
        length = 2 * _LENGTH * self._halves.min(axis=1)[:, None]
        x = length * (self._along * np.cos(turn) - self._across * np.sin(turn))
        y = length * (self._along * np.sin(turn) + self._across * np.cos(turn))
        points = middle[:, None] + np.stack([x, y], axis=-1)
        return np.asarray(np.round(4 * points) / 4, np.float32)


def reach_of(region: Region) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centre and the half axes of an ellipse within a region, px.

    It fills the region's width and height if that is within the region; else it is a circle
    around the point that is farthest from the border.
    """
    outline = region.outline()
    low, high = outline.min(axis=0), outline.max(axis=0)
    centre, half = np.array(centre_of(region)), (high - low) / 2
    angles = np.linspace(0, 2 * np.pi, 64)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    if np.all(region.contains(centre + 0.99 * half * circle)):
        return centre, half

    sides = [np.linspace(*pair, _GRID) for pair in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    depths = region.depths(points)
    deepest = int(np.argmax(depths))
    return points[deepest], np.full(2, max(0.0, float(depths[deepest])))
