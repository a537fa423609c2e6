"""The size of a network's input, shaped as the images are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.image_files import image_size
from deeplabstream.pose.image_fitting import Fitting

SIZES = {
    "small": Fitting(height=160, width=224),
    "usual": Fitting(height=240, width=320),
    "fine": Fitting(height=368, width=480),
}
"""Input sizes, by number of pixels."""
LOOKED_AT = 10
"""Images whose sizes are read."""


def parse_size(text: str) -> Fitting | str:
    """Return the network's input of `WIDTHxHEIGHT`, or the name of one of `SIZES`.

    ModelError: it is neither.
    """
    if text in SIZES:
        return text
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise ModelError(f"{text!r}: expected WIDTHxHEIGHT, or {', '.join(SIZES)}")
    sides = (int(width), int(height))
    if any(side % 16 or not 32 <= side <= 2048 for side in sides):
        raise ModelError(f"{text!r}: both must be multiples of 16, from 32 to 2048")
    return Fitting(height=sides[1], width=sides[0])


def fitting_like(images: Sequence[Path], usual: Fitting, multiple: int) -> Fitting:
    """Return a size with about as many pixels as `usual`, shaped as most images are.

    Both sides are multiples of `multiple`. Without an image that can be read, those of
    `usual` decide.
    """
    some = images[:: max(1, len(images) // LOOKED_AT)]
    sizes = [size for size in map(image_size, some) if size is not None]
    height, width = np.median(sizes or [(usual.height, usual.width)], axis=0)
    scale = (usual.height * usual.width / (height * width)) ** 0.5
    sides = [
        max(multiple, round(side * scale / multiple) * multiple)
        for side in (height, width)
    ]
    return Fitting(*sides)
