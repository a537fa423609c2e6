"""Walk of a simulated mouse: closed, smooth, seeded; a function of time only."""

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

PX_PER_CM = 10.7
"""Scale of the world: the arena is 60 cm and 640 px wide."""

_STEP_S = 0.005
_Points: TypeAlias = NDArray[np.float64]  # (n, 2), px of the world


class AnimalWalk(Protocol):
    """The path of an animal's head, and when it is where."""

    def along(self, time_s: float, behind: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, 2): the points of the path that lie `behind` (n,) px of its head."""

    def travelled(self, time_s: float) -> float:
        """Return the distance walked, in px."""


@dataclass(frozen=True)
class Walk:
    """A lap of about two minutes, repeated.

    From the left of the arena to the right and back in about 10 s, each time another way
    but through the middle of each half; with pauses, and with stops in the shelter.
    """

    width: float
    height: float
    seed: int = 0
    stop: tuple[float, float] | None = None
    """The middle of the shelter."""
    _path: NDArray[np.float64] = field(init=False, repr=False, compare=False)
    """(px along the path, 2)"""
    _travelled: NDArray[np.float64] = field(init=False, repr=False, compare=False)
    """(steps of the lap,), px along the path."""

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        path, stops = _smooth(*self._waypoints(random))
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_travelled", _travelled(len(path), stops, random))

    @property
    def lap_s(self) -> float:
        """Duration of a lap."""
        return (len(self._travelled) - 1) * _STEP_S

    def along(self, time_s: float, behind: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, 2): the points of the path that lie `behind` (n,) px of its head."""
        at = self.travelled(time_s) - behind
        low = np.floor(at)
        rest = (at - low)[:, None]
        first = low.astype(int) % len(self._path)
        second = (first + 1) % len(self._path)
        return np.asarray(self._path[first] * (1 - rest) + self._path[second] * rest)

    def travelled(self, time_s: float) -> float:
        """Return the distance walked, in px."""
        laps, step = divmod(time_s / _STEP_S, len(self._travelled) - 1)
        whole = int(step)
        start, end = self._travelled[whole : whole + 2].tolist()
        way = start + (end - start) * (step - whole)
        return float(laps * len(self._path) + way)

    def _waypoints(self, random: np.random.Generator) -> tuple[_Points, list[int]]:
        """Return the corners of the walk, and which of them are stops."""
        points = np.array([(0.4, 0.35), (0.3, 0.45)]) * (self.width, self.height)
        stops = []
        for half in range(32):
            if self.stop is not None and half % 8 == 4:
                x, y = self.stop
                steps = (215, 40), (120, 0), (-45, 0), (-130, 0), (-220, 50)
                points = np.vstack([points, np.array(steps) + np.array([x, y])])
                stops.append(len(points) - 3)
            ways = [self._loop(half % 2 == 1, random) for _ in range(40)]
            turns = [_sharpest(np.vstack([points[-2:], way])) for way in ways]
            mild = np.flatnonzero(np.array(turns) < 1.5)
            chosen = mild[0] if len(mild) else np.argmin(turns)
            points = np.vstack([points, ways[int(chosen)]])
        return points, stops

    def _loop(self, right: bool, random: np.random.Generator) -> _Points:
        """Return a path through the middle of one half of the arena and its corners."""
        low = random.random() < 0.5
        x = random.uniform((0.22, 0.10, 0.10), (0.28, 0.24, 0.20))
        y = random.uniform((0.45, 0.11, 0.11), (0.55, 0.30, 0.27))
        y[1], y[2] = (1 - y[1], y[2]) if low else (y[1], 1 - y[2])
        way = np.column_stack([1 - x if right else x, y]) * (self.width, self.height)
        return way if random.random() < 0.7 else way[:2]


def _sharpest(way: _Points) -> float:
    """Return the sharpest turn of a path, in radians."""
    x, y = np.diff(way, axis=0).T
    turns = np.diff(np.unwrap(np.arctan2(y, x)))
    return float(np.abs(turns).max())


def _smooth(corners: _Points, stops: list[int]) -> tuple[_Points, list[float]]:
    """Return the path, one point per px, and the positions of the stops along it.

    A Gaussian over the closed polygon rounds its corners and never leaves its hull.
    """
    ring = np.vstack([corners, corners[:1]])
    at = np.concatenate(
        [[0.0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))]
    )
    even = np.arange(0, at[-1])
    polygon = np.column_stack([np.interp(even, at, ring[:, axis]) for axis in (0, 1)])
    round_ = np.column_stack([_blurred(polygon[:, axis], 32.0) for axis in (0, 1)])
    closed = np.vstack([round_, round_[:1]])
    length = np.concatenate(
        [[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))]
    )
    even = np.linspace(0, length[-1], round(length[-1]), endpoint=False)
    path = np.column_stack(
        [np.interp(even, length, closed[:, axis]) for axis in (0, 1)]
    )
    return path, [float(length[round(at[stop])]) for stop in stops]


def _travelled(
    length: float, stops: list[float], random: np.random.Generator
) -> NDArray[np.float64]:
    """Return the distance travelled at each step of a lap, from 0 to `length`."""
    pieces: list[NDArray[np.float64]] = []
    way, waiting = 0.0, [*stops, float(length)]
    while waiting:
        speed = random.uniform(10, 30) * PX_PER_CM
        bout = random.uniform(130, 420)
        if way + bout >= waiting[0] - 60:
            bout = waiting.pop(0) - way
            pause_s = random.uniform(1.3, 2.0) if waiting else 0.4
        else:
            pause_s = random.choice([0.0, 0.0, random.uniform(0.3, 0.9)])
        way += bout
        steps = max(1, round(bout / speed / _STEP_S))
        pieces.append(np.full(steps, bout / steps))
        pieces.append(np.zeros(round(pause_s / _STEP_S)))
    speeds = np.maximum(_blurred(np.concatenate(pieces), 0.12 / _STEP_S), 0)
    travelled = np.concatenate([[0.0], np.cumsum(speeds)])
    return np.asarray(travelled * (length / travelled[-1]))


def _blurred(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return a closed curve, smoothed by a Gaussian of `sigma` steps."""
    waves = np.fft.rfftfreq(len(values))
    kernel = np.exp(-2 * (np.pi * sigma * waves) ** 2)
    return np.fft.irfft(np.fft.rfft(values) * kernel, len(values))
