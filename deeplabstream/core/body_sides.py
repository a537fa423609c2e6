"""Left and right body parts: the counterpart of each in a mirror image."""

import re
from collections.abc import Iterator

from deeplabstream.core.pose import Skeleton

_PAIRS = (
    ("left", "right"),
    ("Left", "Right"),
    ("LEFT", "RIGHT"),
    ("l", "r"),
    ("L", "R"),
)
_SWAPPED = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}
_SIDES = re.compile("left|right", re.IGNORECASE)
_INSIDE = re.compile(r"(?<![A-Z])[LR](?![a-z])|(?<![A-Za-z])[lr](?![A-Za-z])")
"""A letter that may denote a side: L and R at the start of a word, l and r alone."""


def mirrored(skeleton: Skeleton) -> list[int]:
    """Return the index of each body part's counterpart in a mirror image.

    Names differ in `left` and `right`, in a first or last letter L and R, or in a
    separate one inside. A name without a counterpart is its own.

    >>> mirrored(Skeleton(("snout", "leftear", "rightear")))
    [0, 2, 1]
    >>> mirrored(Skeleton(("tail", "paw_r", "paw_l", "LH", "RH", "wingL")))
    [0, 2, 1, 4, 3, 5]
    >>> mirrored(Skeleton(("legL1", "legR1", "paw_l_hind", "paw_r_hind")))
    [1, 0, 3, 2]
    """
    places = {name: place for place, name in enumerate(skeleton.bodyparts)}
    other = [
        next((places[side] for side in _other_sides(name) if side in places), own)
        for own, name in enumerate(skeleton.bodyparts)
    ]
    return [place if other[place] == own else own for own, place in enumerate(other)]


def _other_sides(name: str) -> Iterator[str]:
    """Yield possible names of the body part of the other side."""
    swapped = _SIDES.sub(lambda side: _SWAPPED.get(side[0], side[0]), name)
    if swapped != name:
        yield swapped
        return
    if name[-1:] in _SWAPPED:
        yield name[:-1] + _SWAPPED[name[-1]]
    if name[:1] in _SWAPPED:
        yield _SWAPPED[name[0]] + name[1:]
    for letter in _INSIDE.finditer(name):
        yield name[: letter.start()] + _SWAPPED[letter[0]] + name[letter.end() :]
