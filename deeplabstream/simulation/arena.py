"""Simulated arena: floor, walls, a shelter, and mice that walk in it."""

from dataclasses import dataclass, field
from math import inf, nan
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.simulation.mouse import (
    BLACK,
    COATS,
    Mouse,
    mouse_at,
    outline,
    paint_mouse,
)
from deeplabstream.simulation.social_walk import SocialAct, SocialGroup, SocialRule
from deeplabstream.simulation.walk import AnimalWalk, Walk

ARENA_SKELETON = Skeleton(
    ("snout", "leftear", "rightear", "tailbase"),
    (
        ("snout", "leftear"),
        ("snout", "rightear"),
        ("leftear", "rightear"),
        ("leftear", "tailbase"),
        ("rightear", "tailbase"),
    ),
)
"""Body parts in `Arena.truth` of each animal."""

MOST_ANIMALS = len(COATS)

_WALL = 20  # px of the world
_ROOF = (176, 96)
_BACKGROUNDS = 4  # backgrounds that differ in their noise
_SEEDS_APART = 1000  # difference of the seeds of two animals' walks


@dataclass(frozen=True)
class ArenaView:
    """View of a camera above the simulated arena."""

    shape: tuple[int, ...] = (480, 640, 3)
    """(height, width) or (height, width, 3)."""
    rate: float = 30.0
    """Frames per second."""
    seed: int = 0
    """Seed of the animals' walk."""
    shelter: bool = True
    social: tuple[SocialRule, ...] = ()
    """See `Arena.social`."""


@runtime_checkable
class ArenaCamera(Protocol):
    """A camera plug-in whose frames show the simulated arena."""

    @property
    def arena_view(self) -> ArenaView:
        """Its view of the arena."""


@dataclass(frozen=True, eq=False)
class Arena:
    """Images of a camera above the arena at any time."""

    shape: tuple[int, ...]
    """(height, width) or (height, width, 3)."""
    seed: int = 0
    shelter: bool = True
    noise: float = 2.0
    """Standard deviation, in grey levels."""
    animals: int = 1
    """1 to `MOST_ANIMALS`; each has its own walk, and may cross the others."""
    alike: bool = True
    """Whether all mice are black, or each has a different colour: see `COATS`."""
    social: tuple[SocialRule, ...] = ()
    """What the animals do to one another; empty: each walks as if it were alone."""
    bands: bool = False
    """Whether the tails are marked: no band on the first, one on the second, and so on."""
    fading: float = 0.0
    """Share of their contrast that the bands have lost; below 0: they are darker."""
    walks: tuple[AnimalWalk, ...] = field(init=False)
    _group: SocialGroup | None = field(init=False, repr=False, default=None)
    _backgrounds: tuple[Image, ...] = field(init=False, repr=False)
    _latest: tuple[float, list[Mouse]] = field(init=False, repr=False)
    """Time that was asked for last, and the mice then: many callers ask several times."""

    def __post_init__(self) -> None:
        height, width = self.shape[0] / self.scale, self.shape[1] / self.scale
        seeds = [self.seed + _SEEDS_APART * animal for animal in range(self.animals)]
        walks: tuple[AnimalWalk, ...] = tuple(
            Walk(width, height, seed, self._shelter_place) for seed in seeds
        )
        if self.social:
            group = SocialGroup((width, height), self.animals, self.social, self.seed)
            object.__setattr__(self, "_group", group)
            walks = group.walks
        object.__setattr__(self, "walks", walks)
        object.__setattr__(self, "_latest", (nan, []))
        object.__setattr__(self, "_backgrounds", self._painted())

    @property
    def walk(self) -> AnimalWalk:
        """Walk of the first animal."""
        return self.walks[0]

    @property
    def lap_s(self) -> float:
        """Time after which the first animal's walk repeats; with social rules it does not."""
        return self.walk.lap_s if isinstance(self.walk, Walk) else inf

    @property
    def scale(self) -> float:
        """Pixels per px of the world, in which a mouse is 97 px long."""
        return min(self.shape[1] / 640, self.shape[0] / 480)

    @property
    def background(self) -> Image:
        """The arena without mice, with the noise of image 0."""
        return self._backgrounds[0]

    @property
    def roof(self) -> tuple[int, int, int, int] | None:
        """Left, top, right and bottom of the shelter; what is below it is hidden."""
        if self._shelter_place is None:
            return None
        x, y = self._shelter_place
        half = _ROOF[0] / 2, _ROOF[1] / 2
        corners = (x - half[0], y - half[1], x + half[0], y + half[1])
        left, top, right, bottom = (round(corner * self.scale) for corner in corners)
        return left, top, right, bottom

    def acts(self, time_s: float) -> tuple[SocialAct, ...]:
        """Return what each animal does; empty without social rules."""
        return self._group.acts(time_s) if self._group else ()

    def truth(self, time_s: float) -> NDArray[np.float32]:
        """Return (animal, 4, 2), px: where the body parts are.

        NaN when the shelter hides them. What another animal lies on has a place: see
        `covered`.
        """
        points = np.stack([mouse.points for mouse in self._mice(time_s)]) * self.scale
        if self.roof is not None:
            left, top, right, bottom = self.roof
            x, y = points[..., 0], points[..., 1]
            hidden = (x > left - 0.5) & (x < right - 0.5)
            hidden &= (y > top - 0.5) & (y < bottom - 0.5)
            points[hidden] = np.nan
        return points.astype(np.float32)

    def covered(self, time_s: float) -> NDArray[np.bool_]:
        """Return (animal, 4): whether another animal covers the body part.

        Later animals are drawn above earlier ones.
        """
        import cv2

        mice = self._mice(time_s)
        covered = np.zeros((self.animals, len(ARENA_SKELETON.bodyparts)), np.bool_)
        for above in range(1, self.animals):
            ring = outline(mice[above]).astype(np.float32)
            for below in range(above):
                for part, (x, y) in enumerate(mice[below].points.tolist()):
                    if cv2.pointPolygonTest(ring, (x, y), measureDist=False) > 0:
                        covered[below, part] = True
        return covered

    def draw(self, image: Image, time_s: float, index: int = 0) -> None:
        """Draw the arena into `image`; `index` chooses the noise."""
        background = self._backgrounds[index % len(self._backgrounds)]
        np.copyto(image, background)
        for animal, mouse in enumerate(self._mice(time_s)):
            self._shade(image, outline(mouse) + np.array([5, 7]))
            coat = BLACK if self.alike else COATS[animal]
            bands = animal if self.bands else 0
            paint_mouse(image, mouse, self.scale, coat, bands, self.fading)
        if self.roof is not None:
            left, top, right, bottom = self.roof
            image[top:bottom, left:right] = background[top:bottom, left:right]

    @property
    def _shelter_place(self) -> tuple[float, float] | None:
        """Middle of the shelter, in px of the world."""
        middle = self.shape[1] / self.scale / 2, _WALL + 24 + _ROOF[1] / 2
        return middle if self.shelter else None

    def _mice(self, time_s: float) -> list[Mouse]:
        latest_s, mice = self._latest
        if time_s != latest_s:
            mice = [mouse_at(walk, time_s) for walk in self.walks]
            object.__setattr__(self, "_latest", (time_s, mice))
        return mice

    def _shade(self, image: Image, outline: NDArray[np.float64]) -> None:
        """Darken the shadow of a mouse."""
        import cv2

        border = 9 * self.scale
        points = outline * self.scale
        low = np.maximum(np.floor(points.min(axis=0) - border), 0).astype(int)
        high = np.ceil(points.max(axis=0) + border).astype(int)
        patch = image[low[1] : high[1], low[0] : high[0]]
        light = np.full(patch.shape[:2], 255, np.uint8)
        cv2.fillPoly(light, [np.round(points - low).astype(np.int32)], (165,))
        width = 2 * round(4 * self.scale) + 1
        soft = cv2.blur(light, (width, width))
        layers = soft if image.ndim == 2 else cv2.merge([soft, soft, soft])
        cv2.multiply(patch, layers, patch, 1 / 255)

    def _painted(self) -> tuple[Image, ...]:
        """Return images of the arena without mice, with different noise."""
        import cv2

        random = np.random.default_rng((self.seed, 1))
        height, width = self.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32)
        light = 1.06 - 0.24 * (((x / width - 0.45) ** 2 + (y / height - 0.4) ** 2) * 2)
        floor = np.full((height, width), 176, np.float32)
        for size, strength in ((1.2, 3.0), (5.0, 3.5), (28.0, 6.0)):
            grain = random.standard_normal((height, width)).astype(np.float32)
            soft = np.asarray(cv2.GaussianBlur(grain, (0, 0), size * self.scale))
            floor += soft * (strength / soft.std())
        edge = np.minimum.reduce([x, y, width - 1 - x, height - 1 - y]) / self.scale
        corner = np.clip((edge - _WALL) / 26, 0, 1)
        floor *= 0.82 + 0.18 * corner
        wall = 96 + 2.2 * edge
        grey = np.where(edge < _WALL, wall, floor) * light
        image = np.stack([grey * 0.93, grey * 0.985, grey], axis=-1)
        if self.roof is not None:
            self._add_roof(image, self.roof, random)
        if len(self.shape) == 2:
            image = image @ np.array([0.114, 0.587, 0.299], np.float32)
        images = []
        for _ in range(_BACKGROUNDS):
            grain = random.standard_normal(image.shape[:2]).astype(np.float32)
            grain = grain if image.ndim == 2 else grain[..., None]
            noisy = image + self.noise * grain
            images.append(np.clip(np.round(noisy), 0, 255).astype(np.uint8))
        return tuple(images)

    def _add_roof(
        self,
        image: NDArray[np.float32],
        roof: tuple[int, int, int, int],
        random: np.random.Generator,
    ) -> None:
        import cv2

        left, top, right, bottom = roof
        shadow = np.ones(image.shape[:2], np.float32)
        drop = round(8 * self.scale)
        shadow[top + drop : bottom + drop, left + drop : right + drop] = 0.62
        soft = cv2.GaussianBlur(shadow, (0, 0), 5 * self.scale)
        image *= np.asarray(soft)[..., None]
        size = (bottom - top, right - left)
        grain = random.standard_normal(size).astype(np.float32)
        wood = np.asarray(
            cv2.GaussianBlur(grain, (0, 0), sigmaX=22 * self.scale, sigmaY=self.scale)
        )
        plank = np.indices(size)[0] % max(2, round(24 * self.scale)) < self.scale * 1.5
        tone = (1 + 0.06 * wood / wood.std()) * np.where(plank, 0.72, 1.0)
        image[top:bottom, left:right] = tone[..., None] * np.array([84, 124, 156])
