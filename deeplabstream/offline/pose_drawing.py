"""Poses on an image: points, edges, trails, of one network or several."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.offline.video_identity import is_ambiguous
from deeplabstream.recording.pose_table import PoseTable

Mark: TypeAlias = Literal["dot", "cross", "square", "diamond"]
Colour: TypeAlias = tuple[int, int, int]

MARKS: tuple[Mark, ...] = ("dot", "cross", "square", "diamond")
"""Marks of the points, by network, when several are shown."""
NOWHERE = -(2**30)
_BITS = 4
"""Fraction bits of a pixel."""
_FAR = 30_000
_EDGE = (210, 210, 210)
_AMBIGUOUS = (60, 190, 255)
"""Colour (BGR) of the name of an animal with an ambiguous identity."""
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Look:
    """Style of drawn poses."""

    radius: int = 4
    """Radius of a point, px of the output image."""
    trail: int = 0
    """Number of past frames of a point that are drawn."""
    edges: bool = True
    names: bool = False
    text: bool = True
    """Whether number and time of the frame are drawn."""
    scale: float = 1.0
    """Factor by which the image is enlarged."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The poses of one network."""

    poses: PoseTable
    threshold: float = 0.5
    """Points of a lower likelihood are not drawn."""
    mark: Mark = "dot"
    name: str = ""
    edges: tuple[tuple[str, str], ...] = ()
    """Edges, if the table has none."""

    def places(self, scale: float) -> NDArray[np.int32]:
        """Return (row, animal, body part, 2) in fractions of a pixel; NOWHERE: not drawn."""
        points = self.poses.points
        points = (points + 0.5) * scale - 0.5 if scale != 1 else points
        sure = self.poses.confidence >= self.threshold
        near = np.asarray((np.abs(points) < _FAR).all(axis=-1) & sure)
        whole = np.round(np.where(near[..., None], points, 0) * (1 << _BITS))
        return np.where(near[..., None], whole, NOWHERE).astype(np.int32)

    def pairs(self) -> list[tuple[int, int]]:
        """Return the edges as places of body parts."""
        parts = self.poses.skeleton.bodyparts
        edges = self.edges or self.poses.skeleton.edges
        return [
            (parts.index(one), parts.index(other))
            for one, other in edges
            if one in parts and other in parts
        ]


class Drawing:
    """Draws the poses of one video; made once for all its rows."""

    def __init__(self, shown: Sequence[Shown], look: Look) -> None:
        self._shown, self._look = shown, look
        self._places = [layer.places(look.scale) for layer in shown]
        self._pairs = [layer.pairs() if look.edges else [] for layer in shown]

    def on(self, image: Image, row: int, text: str) -> NDArray[np.uint8]:
        """Return a copy of a BGR image with the poses of a row drawn in."""
        import cv2

        look = self._look
        drawn: NDArray[Any] = np.array(image, np.uint8)
        if look.scale != 1:
            size = (
                round(image.shape[1] * look.scale),
                round(image.shape[0] * look.scale),
            )
            drawn = np.asarray(cv2.resize(drawn, size), np.uint8)
        for layer, places, pairs in zip(
            self._shown, self._places, self._pairs, strict=True
        ):
            parts = layer.poses.skeleton.bodyparts
            colours = _colours(len(parts))
            if look.trail:
                _trails(drawn, places[max(0, row - look.trail) : row + 1], colours)
            for animal in places[row].tolist():
                for one, other in pairs:
                    if NOWHERE not in (animal[one][0], animal[other][0]):
                        _line(drawn, animal[one], animal[other], _EDGE, 1)
                for part, place in enumerate(animal):
                    if place[0] == NOWHERE:
                        continue
                    _mark(drawn, place, layer.mark, look.radius, colours[part])
                    if look.names:
                        at = (place[0] >> _BITS) + 5, (place[1] >> _BITS) - 4
                        _write(drawn, parts[part], at, 0.35, colours[part])
            if len(layer.poses.identity):
                _ambiguous_names(drawn, layer.poses, row, places[row])
        if look.text:
            self._texts(drawn, text)
        return drawn

    def _texts(self, image: NDArray[Any], text: str) -> None:
        _write(image, text, (6, image.shape[0] - 8), 0.45, _WHITE)
        for line, layer in enumerate(one for one in self._shown if one.name):
            place = [10 << _BITS, (12 + 16 * line) << _BITS]
            _mark(image, place, layer.mark, 4, _WHITE)
            _write(image, layer.name, (20, 16 + 16 * line), 0.45, _WHITE)


def _ambiguous_names(
    image: NDArray[Any], poses: PoseTable, row: int, places: NDArray[np.int32]
) -> None:
    """Write the name of each animal with an ambiguous identity, and a question mark."""
    for name, word, animal in zip(
        poses.animals, poses.identity[row], places, strict=True
    ):
        seen = animal[animal[:, 0] != NOWHERE] >> _BITS
        if is_ambiguous(word) and len(seen):
            x, y = seen.mean(axis=0).astype(int).tolist()
            _write(image, f"{name}?", (x, y), 0.45, _AMBIGUOUS)


def _trails(
    image: NDArray[Any], past: NDArray[np.int32], colours: Sequence[Colour]
) -> None:
    """Draw the trail of each body part; older positions are darker."""
    for age, (before, after) in enumerate(pairwise(past.tolist()), start=1):
        for one, other in zip(before, after, strict=True):
            for colour, here, end in zip(colours, one, other, strict=True):
                if NOWHERE not in (here[0], end[0]):
                    faded = tuple(level * age // len(past) for level in colour)
                    _line(image, here, end, faded, 1)


def _mark(
    image: NDArray[Any], place: Any, mark: Mark, radius: int, colour: Any
) -> None:
    import cv2

    x, y = place
    size = radius << _BITS
    if mark == "dot":
        cv2.circle(image, (x, y), size, colour, -1, cv2.LINE_AA, _BITS)
    elif mark == "cross":
        _line(image, (x - size, y - size), (x + size, y + size), colour, 2)
        _line(image, (x - size, y + size), (x + size, y - size), colour, 2)
    else:
        around = (
            [(-1, -1), (1, -1), (1, 1), (-1, 1)]
            if mark == "square"
            else [(0, -1), (1, 0), (0, 1), (-1, 0)]
        )
        corners = np.array(
            [[x + size * dx, y + size * dy] for dx, dy in around], np.int32
        )
        cv2.polylines(image, [corners], True, colour, 2, cv2.LINE_AA, _BITS)


def _line(image: NDArray[Any], one: Any, other: Any, colour: Any, width: int) -> None:
    import cv2

    cv2.line(image, one, other, colour, width, cv2.LINE_AA, _BITS)


@lru_cache(maxsize=64)
def _colours(count: int) -> tuple[Colour, ...]:
    """Return BGR colours from blue over green to red."""
    import cv2

    steps = np.linspace(20, 235, count).astype(np.uint8)[:, None]
    ramp = cv2.applyColorMap(steps, cv2.COLORMAP_TURBO)[:, 0]
    return tuple((int(b), int(g), int(r)) for b, g, r in ramp)


def _write(
    image: NDArray[Any], text: str, place: tuple[int, int], size: float, colour: Any
) -> None:
    import cv2

    font = cv2.FONT_HERSHEY_SIMPLEX
    shade = place[0] + 1, place[1] + 1
    cv2.putText(image, text, shade, font, size, _BLACK, 1, cv2.LINE_AA)
    cv2.putText(image, text, place, font, size, colour, 1, cv2.LINE_AA)
