"""Overlay: pose, regions and text drawn on a copy of an image."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose

_COLOURS = (
    (80, 80, 255),
    (80, 220, 255),
    (255, 200, 80),
    (255, 90, 220),
    (110, 255, 110),
    (255, 255, 120),
)
_ANIMALS = (
    *((74, 213, 255), (255, 208, 77), (216, 138, 255), (122, 255, 156)),
    *((90, 160, 255), (255, 157, 179), (107, 107, 255), (214, 255, 90)),
)
"""Colours of the animals' edges and names, BGR."""
_HOLDS, _FAILS, _UNKNOWN = (80, 220, 80), (220, 220, 220), (120, 120, 120)
_BORDER = {True: _HOLDS, False: _FAILS, None: _UNKNOWN}
_FRACTION = 4  # bits of a pixel's fraction, for cv2's `shift`


def draw_overlay(
    image: Image,
    pose: Pose,
    zones: Mapping[str, tuple[NDArray[np.float64], bool | None]],
    text: str,
) -> Image:
    """Return a BGR copy of an image with pose, regions and a line of text.

    Parameters
    ----------
    image : numpy.ndarray of uint8, shape (height, width, 3) or (height, width)
        BGR or grey.
    pose : Pose
        Points in pixels of the image; NaN is not drawn. Animals with names are labelled,
        with a question mark while their identity is ambiguous.
    zones : mapping of str to (numpy.ndarray of float, shape (corner, 2), bool or None)
        Closed outlines in pixels by name, and the states of their triggers: green while
        true, white while false, grey while unknown.
    text : str
        Drawn in the lower left corner.

    Returns
    -------
    numpy.ndarray of uint8, shape (height, width, 3)
        BGR.
    """
    import cv2

    bgr = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image
    drawn: NDArray[Any] = bgr.copy()
    for name, (outline, answer) in zones.items():
        corners = _fixed(outline)
        cv2.polylines(
            drawn, [corners], True, _BORDER[answer], 2, cv2.LINE_AA, _FRACTION
        )
        x, y = (int(c) for c in outline.min(axis=0))
        _write(drawn, name, (max(x, 2), max(y - 4, 12)), _BORDER[answer])

    names = pose.skeleton.animals
    for animal in range(len(pose.points)):
        edge = _ANIMALS[animal % len(_ANIMALS)] if len(names) > 1 else _FAILS
        for first, second in pose.skeleton.edges:
            ends = pose.select((first, second), animal)
            if np.isfinite(ends).all():
                one, two = (tuple(end.tolist()) for end in _fixed(ends))
                cv2.line(drawn, one, two, edge, 1, cv2.LINE_AA, _FRACTION)
        for part, point in enumerate(pose.points[animal]):
            if np.isfinite(point).all():
                # OpenCV scales centre and radius alike: both have fraction bits.
                centre = tuple(_fixed(point[None])[0].tolist())
                colour = _COLOURS[part % len(_COLOURS)]
                radius = 4 << _FRACTION
                cv2.circle(drawn, centre, radius, colour, -1, cv2.LINE_AA, _FRACTION)

        visible = pose.points[animal][np.isfinite(pose.points[animal]).all(axis=1)]
        if names and len(visible):
            ambiguous = pose.is_ambiguous(animal)
            name = f"{names[animal]}{'?' if ambiguous else ''}"
            x, y = int(visible[:, 0].min()), int(visible[:, 1].min())
            _write(drawn, name, (x, max(y - 6, 12)), _UNKNOWN if ambiguous else edge)

    _write(drawn, text, (6, drawn.shape[0] - 8), (255, 255, 255))
    return drawn


def _fixed(points: NDArray[Any]) -> NDArray[np.int32]:
    return np.round(np.asarray(points) * (1 << _FRACTION)).astype(np.int32)


def _write(
    drawn: NDArray[Any], text: str, place: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    import cv2

    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    shade = place[0] + 1, place[1] + 1  # OpenCV's thicker text would also be wider
    cv2.putText(drawn, text, shade, font, size, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(drawn, text, place, font, size, colour, 1, cv2.LINE_AA)
