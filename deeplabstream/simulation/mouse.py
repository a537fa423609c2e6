"""Simulated mouse seen from above: its points, and how it is painted."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.simulation.walk import AnimalWalk

_NECK = 34.0  # px behind the snout, as are the constants below
_BEHIND = np.linspace(0, 97, 33)
_PROFILE = (
    (-9, -4, 0, 4, 12, 21, 30, 38, 48, 60, 72, 82, 89, 94, 98, 110),
    (0, 0, 3, 5.2, 8.5, 11.5, 11.5, 12, 15, 18, 18.5, 15.5, 11, 6.5, 2, 0),
)
_HALF_WIDTH = np.convolve(
    np.interp(np.arange(-8, 106), *_PROFILE), np.hanning(9) / 4, "valid"
)[np.round(_BEHIND).astype(int) + 4]
_ALL = np.concatenate([_BEHIND, np.linspace(97, 182, 14)])
_EYE, _EAR_PLACE, _SHOULDER, _HIP, _BASE = 3, 7, 13, 24, 32  # indices in _BEHIND

Colour = tuple[float, float, float]

BLACK: Colour = (44, 42, 45)
COATS: tuple[Colour, ...] = (BLACK, (196, 202, 206), (52, 84, 128), (122, 120, 118))
"""Black, white, brown and grey, BGR: one for each possible animal."""

_SKIN: Colour = (138, 132, 178)
_EAR: Colour = (84, 78, 98)
_INNER_EAR: Colour = (112, 104, 148)
_FEET = (  # index, px to the left, phase of the stride
    (_SHOULDER, 12.0, 0.0),
    (_SHOULDER, -12.0, 0.5),
    (_HIP, 16.0, 0.5),
    (_HIP, -16.0, 0.0),
)
_INK: Colour = (30, 28, 30)
_TAIL_BEGIN, _BAND = 9.0, 9.0  # px behind the tail base; length of a band and of a gap
_SHIFT = 4  # fractional bits of a pixel in OpenCV's coordinates


@dataclass(frozen=True, eq=False)
class Mouse:
    """A mouse at one moment, in px of the world."""

    spine: NDArray[np.float64]
    """(n, 2): body from snout to tail base, then the tail to its tip."""
    left: NDArray[np.float64]
    """(n, 2): unit vectors to the animal's left."""
    points: NDArray[np.float64]
    """(4, 2): snout, leftear, rightear, tailbase."""
    way: float
    """Distance walked, px."""


def mouse_at(walk: AnimalWalk, time_s: float) -> Mouse:
    """Return the mouse that follows a walk; its head turns while it walks."""
    spine = walk.along(time_s, _ALL)
    yaw = 0.16 * np.sin(5.1 * time_s) + 0.08 * np.sin(13.7 * time_s + 1)
    neck = walk.along(time_s, np.array([_NECK]))[0]
    bend = yaw * np.clip((_NECK - _ALL) / 14, 0, 1)
    cos, sin = np.cos(bend), np.sin(bend)
    x, y = (spine - neck).T
    spine = neck + np.column_stack([cos * x - sin * y, sin * x + cos * y])
    swing = (
        5 * np.clip((_ALL - 110) / 70, 0, 1) ** 1.5 * np.sin(4.3 * time_s - _ALL / 25)
    )
    ahead = -np.gradient(spine, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    left = np.column_stack([ahead[:, 1], -ahead[:, 0]])
    spine = spine + left * swing[:, None]
    ears = 11.0 * left[_EAR_PLACE]
    spots = [spine[0], spine[_EAR_PLACE] + ears, spine[_EAR_PLACE] - ears, spine[_BASE]]
    return Mouse(spine, left, np.array(spots), walk.travelled(time_s))


def paint_mouse(
    image: Image,
    mouse: Mouse,
    scale: float,
    coat: Colour = BLACK,
    bands: int = 0,
    fading: float = 0.0,
) -> None:
    """Paint a mouse into an image that has `scale` pixels per px of the world.

    `bands`: number of dark bands on its tail, as marker pens make them. `fading`: the share of
    their contrast to the skin that is lost.
    """
    import cv2

    def fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
        return np.asarray(np.round(points * (scale * 2**_SHIFT)), np.int32)

    def disc(centre: NDArray[np.float64], radius: float, colour: Colour) -> None:
        x, y = fixed(centre).tolist()
        size = round(radius * scale * 2**_SHIFT)
        shade = _shade(colour, image)
        cv2.circle(image, (x, y), size, shade, -1, cv2.LINE_AA, _SHIFT)

    spine, left = mouse.spine, mouse.left
    tail = spine[len(_BEHIND) :]
    widths = np.linspace(2.6, 0.9, len(tail))[:, None]
    side = left[len(_BEHIND) :] * widths
    ring = np.concatenate([tail + side, (tail - side)[::-1]])
    cv2.fillPoly(image, [fixed(ring)], _shade(_SKIN, image), cv2.LINE_AA, _SHIFT)
    for band in range(bands):
        begin = _TAIL_BEGIN + 2 * _BAND * band
        ring = _tail_piece(tail, side, begin, begin + _BAND)
        ink = tuple(np.add(_INK, np.multiply(fading, np.subtract(_SKIN, _INK))))
        cv2.fillPoly(image, [fixed(ring)], _shade(ink, image), cv2.LINE_AA, _SHIFT)
    for place, across, phase in _FEET:
        stride = 7 * np.sin(2 * np.pi * (mouse.way / 62 + phase))
        ahead = np.array([-left[place, 1], left[place, 0]])
        disc(spine[place] + across * left[place] + stride * ahead, 4.2, _SKIN)
    body, half = spine[: len(_BEHIND)], left[: len(_BEHIND)] * _HALF_WIDTH[:, None]
    for share, colour in _fur(coat):
        kept = slice(None) if share == 1 else slice(1, -1)
        one, two = (body + share * half)[kept], (body - share * half)[kept]
        ring = np.concatenate([one, two[::-1]])
        cv2.fillPoly(image, [fixed(ring)], _shade(colour, image), cv2.LINE_AA, _SHIFT)
    for ear in mouse.points[1:3]:
        disc(ear, 7.4, _EAR)
        disc(ear, 4.6, _INNER_EAR)
    for across in (6.0, -6.0):
        disc(spine[_EYE] + across * left[_EYE], 1.8, (12, 10, 10))
    disc(spine[0], 2.4, _SKIN)


def _tail_piece(
    tail: NDArray[np.float64], side: NDArray[np.float64], begin: float, end: float
) -> NDArray[np.float64]:
    """Return the outline of a piece of the tail, from `begin` to `end` px behind its base."""
    behind = _ALL[len(_BEHIND) :] - _ALL[len(_BEHIND)]
    places = np.linspace(begin, end, 4)

    def at(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(
            [np.interp(places, behind, column) for column in rows.T], axis=1
        )

    middle, half = at(tail), at(side)
    return np.concatenate([middle + half, (middle - half)[::-1]])


def outline(mouse: Mouse) -> NDArray[np.float64]:
    """Return (n, 2), the outline of the body, px of the world."""
    body = mouse.spine[: len(_BEHIND)]
    half = mouse.left[: len(_BEHIND)] * _HALF_WIDTH[:, None]
    return np.concatenate([body + half, (body - half)[::-1]])


@lru_cache(maxsize=8)
def _fur(coat: Colour) -> tuple[tuple[float, Colour], ...]:
    """Return the layers of the fur from the outside in: share of the width, colour."""
    blue, green, red = coat
    return tuple(
        (1 - 0.16 * layer, (blue + 5.5 * layer, green + 5.5 * layer, red + 6 * layer))
        for layer in range(6)
    )


def _shade(colour: Colour, image: Image) -> Sequence[float]:
    """Return a colour as BGR, or as grey for a grey image."""
    if image.ndim == 3:
        return colour
    return (float(np.dot(colour, (0.114, 0.587, 0.299))),)
