"""Appearance model of each animal: brightness and colour along its body, learned online.

It uses coats, not marks: quartiles of the pixels under a few lines of the body. Two
animals are distinguished when these differ by much more than those of one animal differ
from frame to frame.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.tracking.identity_evidence import Array, Coat, Mask

FLOOR = 6.0
"""Natural variation of an animal in grey levels, caused by light, shadow and focus."""
ENOUGH = 8
"""Views after which an animal's appearance is known."""
LONG = 300.0
"""Views over which the appearance is averaged."""
_QUARTILES = (0.25, 0.5, 0.75)
_POINTS = 3
"""Points on each line of a body."""


class AppearanceModel:
    """Appearance of the animals of one camera: an `IdentityEvidence`."""

    def __init__(self, animals: int) -> None:
        self._count = np.zeros(animals)
        self._mean: Array = np.zeros((animals, 0))
        self._spread: Array = np.zeros((animals, 0))
        """Variance from view to view."""

    @property
    def learned(self) -> Mask:
        """(animal,): whether the appearance is known."""
        return np.asarray(self._count >= ENOUGH)

    def view(self, image: Image, points: Array, seen: Mask, clear: Array) -> Array:
        """Return the quartiles of the colours at the points `clear` (point, 2)."""
        del points, seen
        return view(image, clear)

    def line_colours(self, image: Image, body: Array, clear: Mask) -> Array:
        """Return the median colour of each line, of its points that are clear."""
        return line_colours(image, body, clear)

    def learn(self, animal: int, view: Array, views: int = 1) -> None:
        """Update an animal's appearance with features (feature,), the mean of `views` views."""
        if self._mean.shape[1] != len(view):
            self._mean = np.zeros((len(self._mean), len(view)))
            self._spread = np.zeros_like(self._mean)
        self._count[animal] += views
        # A running mean until `LONG` views, then an exponential one: light and fur change
        share = views / min(self._count[animal], LONG)
        off = view - self._mean[animal]
        self._mean[animal] += share * off
        self._spread[animal] += share * (off * off * (1 - share) - self._spread[animal])

    def coat(self, animal: int) -> Coat:
        """Return the mean of an animal's views so far."""
        features = self._mean[animal].round(2).tolist()
        return Coat(tuple(features), int(self._count[animal]))

    def reset(self, animals: list[int]) -> None:
        """Discard the appearance of these animals."""
        for values in (self._count, self._mean, self._spread):
            values[animals] = 0.0

    def swap(self, one: int, other: int) -> None:
        """Swap the appearance of two animals."""
        for values in (self._count, self._mean, self._spread):
            values[[one, other]] = values[[other, one]]

    @property
    def differences(self) -> Array:
        """(animal, animal): difference of their appearance, as the cost of one as the other."""
        return self.costs(self._mean)

    def costs(self, views: Array) -> Array:
        """Return the distance of views (view, feature) to each animal, (view, animal).

        The mean squared distance of the features, in standard deviations of all.
        """
        if self._mean.shape[1] != views.shape[1]:
            return np.zeros((len(views), len(self._mean)))
        learned = self._spread[self.learned]
        usual = np.median(learned, axis=0) if len(learned) else 0.0
        off = views[:, None] - self._mean[None]
        # One spread for all animals: an animal seen in one place only would have a
        # small one, and no view would match it. The median: the spread of a pale animal is
        # large, and would hide the difference of two dark ones
        return np.asarray((off * off / (usual + FLOOR**2)).mean(axis=-1))

    def brightness(self, views: Array) -> Array:
        """Return the mean (view,) of the features of views (view, feature)."""
        return np.asarray(views.mean(axis=1))


def body_points(points: Array, seen: Mask, skeleton: Skeleton) -> Array:
    """Return points (point, 2), px, along the body of one animal: on the edges that are seen.

    `points` (bodypart, 2); only `seen` ones are used. Without an edge they lie halfway from
    each point to the mean.
    """
    ends, shares = _visible_lines(seen, skeleton)
    if len(ends):
        one, other = points[ends[:, 0]], points[ends[:, 1]]
        return np.asarray(one + shares * (other - one))
    visible = points[seen]
    return np.asarray((visible + visible.mean(axis=0)) / 2)


def line_points(points: Array, skeleton: Skeleton) -> Array:
    """Return the points (point, 2), px, of all lines of a body; NaN: an end is not visible.

    `points` (bodypart, 2). Of visible lines they are those of `body_points`.
    """
    ends, shares = _lines(skeleton)
    one, other = points[ends[:, 0]], points[ends[:, 1]]
    return np.asarray(one + shares * (other - one))


def body_lengths(points: Array, seen: Mask, skeleton: Skeleton) -> Array:
    """Return the length (point,), px, that each point of `body_points` stands for.

    The lines of a head have as many points as those of the trunk, which are longer.
    """
    ends, _ = _visible_lines(seen, skeleton)
    if len(ends):
        off = points[ends[:, 1]] - points[ends[:, 0]]
        return np.asarray(np.sqrt((off * off).sum(axis=1)) / _POINTS)
    visible = points[seen]
    off = visible - visible.mean(axis=0)
    return np.asarray(np.sqrt((off * off).sum(axis=1)))


def view(image: Image, places: Array) -> Array:
    """Return the features (feature,) of the pixels at `places` (point, 2): quartiles of colours.

    Grey frames give three numbers, colour frames nine, 0 to 255.
    """
    # Quartiles, not a mean: a few pixels beside the body must not change them
    pixels = np.sort(_pixels(image, places), axis=0)
    rows = [round(share * (len(pixels) - 1)) for share in _QUARTILES]
    return np.asarray(pixels[rows].ravel(), np.float64)


def line_colours(image: Image, body: Array, clear: Mask) -> Array:
    """Return the median colour of each line of a body: `IdentityEvidence.line_colours`."""
    usable = clear & np.isfinite(body[:, 0])
    read = _pixels(image, body[usable])
    pixels = np.full((len(body), read.shape[1]), np.nan)
    pixels[usable] = read

    # NaN is sorted last. Of two points the darker one
    by_line = np.sort(pixels.reshape(-1, _POINTS, read.shape[1]), axis=1)
    middle = (usable.reshape(-1, _POINTS).sum(axis=1) - 1).clip(0) // 2
    return np.asarray(by_line[np.arange(len(by_line)), middle])


def _pixels(image: Image, places: Array) -> NDArray[np.uint8] | Array:
    """Return the colours (point, channel) at `places` (point, 2), 0 to 255."""
    height, width = image.shape[:2]
    x, y = places.round().astype(np.intp).T
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    pixels = image[y, x].reshape(len(x), image[0, 0].size)
    if image.dtype != np.uint8:
        return np.asarray(pixels / (np.iinfo(image.dtype).max / 255))
    return np.asarray(pixels)


def _visible_lines(seen: Mask, skeleton: Skeleton) -> tuple[NDArray[np.intp], Array]:
    """Return those of `_lines` with two visible ends."""
    ends, shares = _lines(skeleton)
    visible = seen[ends].all(axis=1)
    return ends[visible], shares[visible]


@lru_cache(maxsize=8)
def _lines(skeleton: Skeleton) -> tuple[NDArray[np.intp], Array]:
    """Return the body parts at the ends of lines, and the positions on them."""
    parts = len(skeleton.bodyparts)
    pairs = [tuple(skeleton.indices(edge)) for edge in skeleton.edges] or [
        (one, other) for one in range(parts) for other in range(one)
    ]
    ends = [pair for pair in pairs for _ in range(_POINTS)]
    shares = [n / (_POINTS + 1) for n in range(1, _POINTS + 1)] * len(pairs)
    return np.array(ends, np.intp).reshape(-1, 2), np.array(shares)[:, None]
