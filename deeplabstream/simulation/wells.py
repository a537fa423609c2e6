"""Simulated wells: a plate of bright wells seen from above, with a fly in each."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.simulation.fly_walks import FlyWalks

RADIUS_SHARE = 0.42
"""Radius of a well, as a share of the distance of two wells."""
FLY_SHARE = 0.075
"""Half of a fly's length, as a share of the distance of two wells."""
_WIDTH_SHARE = 0.5  # width of a fly, of its length
_PLATE, _FLOOR, _FLY = 26.0, 185.0, 60.0  # grey levels
_BACKGROUNDS = 4  # backgrounds that differ in their noise
_REACH = 0.94  # largest distance of a fly's middle from the centre, of the free radius


@runtime_checkable
class WellsCamera(Protocol):
    """A camera plug-in whose frames show simulated wells."""

    @property
    def rate(self) -> float:
        """Frames per second."""

    @property
    def wells(self) -> "Wells":
        """Its scene."""


@dataclass(frozen=True, eq=False)
class Wells:
    """Images of a camera above a plate of wells, at any time."""

    shape: tuple[int, ...]
    """(height, width) or (height, width, 3)."""
    rows: int
    columns: int
    seed: int = 0
    noise: float = 2.0
    """Standard deviation, in grey levels."""
    _backgrounds: tuple[Image, ...] = field(init=False, repr=False)
    _walks: FlyWalks = field(init=False, repr=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng((self.seed, 2))
        walks = FlyWalks.drawn(self.rows * self.columns, random)
        object.__setattr__(self, "_walks", walks)
        object.__setattr__(self, "_backgrounds", self._painted(random))

    @property
    def distance(self) -> float:
        """Distance of the centres of two neighbouring wells, px."""
        height, width = self.shape[:2]
        return min(height / self.rows, width / self.columns)

    @property
    def radius(self) -> float:
        """Radius of each well, px."""
        return RADIUS_SHARE * self.distance

    @property
    def centres(self) -> NDArray[np.float64]:
        """Centres of the wells (well, 2), px, row by row."""
        height, width = self.shape[:2]
        row, column = np.divmod(np.arange(self.rows * self.columns), self.columns)
        x = width / 2 + (column - (self.columns - 1) / 2) * self.distance
        y = height / 2 + (row - (self.rows - 1) / 2) * self.distance
        return np.column_stack([x, y]) - 0.5

    def truth(self, time_s: float) -> NDArray[np.float64]:
        """Return the middle of each fly (well, 2), px."""
        free = (self.radius - FLY_SHARE * self.distance) * _REACH
        return self.centres + free * self._walks.places(time_s)

    def directions(self, time_s: float) -> NDArray[np.float64]:
        """Return the direction of each fly's head (well,), radians; y points down."""
        return self._walks.directions(time_s)

    def draw(self, image: Image, time_s: float, index: int = 0) -> None:
        """Draw the plate into `image`; `index` chooses the noise."""
        np.copyto(image, self._backgrounds[index % len(self._backgrounds)])
        half = FLY_SHARE * self.distance
        reach = int(np.ceil(half)) + 1
        places, turns = self.truth(time_s), self.directions(time_s)
        for (x, y), turn in zip(places.tolist(), turns.tolist(), strict=True):
            left, top = round(x) - reach, round(y) - reach
            patch = image[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
            down, right = np.mgrid[: patch.shape[0], : patch.shape[1]]
            dx, dy = right + left - x, down + top - y
            along = dx * np.cos(turn) + dy * np.sin(turn)
            across = dy * np.cos(turn) - dx * np.sin(turn)
            away = np.hypot(along, across / _WIDTH_SHARE)
            # the border is one pixel wide
            cover = np.clip((half - away) * _WIDTH_SHARE + 0.5, 0, 1)
            cover = cover if patch.ndim == 2 else cover[..., None]
            patch[:] = np.round(patch + cover * (_FLY - patch)).astype(np.uint8)

    def _painted(self, random: np.random.Generator) -> tuple[Image, ...]:
        """Return images of the plate without flies, with different noise."""
        height, width = self.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float64)
        light = 1.05 - 0.3 * ((x / width - 0.45) ** 2 + (y / height - 0.4) ** 2)
        cover = np.zeros((height, width))
        for centre_x, centre_y in self.centres.tolist():
            inside = self.radius - np.hypot(x - centre_x, y - centre_y) + 0.5
            cover = np.maximum(cover, np.clip(inside, 0, 1))
        level = (_PLATE + cover * (_FLOOR - _PLATE)) * light

        images = []
        for _ in range(_BACKGROUNDS):
            noisy = level + self.noise * random.standard_normal(level.shape)
            grey = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
            images.append(grey if len(self.shape) == 2 else np.dstack([grey] * 3))
        return tuple(images)
