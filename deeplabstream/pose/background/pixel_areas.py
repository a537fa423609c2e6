"""Pixel areas: the pixels of an image that belong to each of several regions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.regions import Region

SAMPLES = 512
"""Pixels of an area whose noise is measured."""


@dataclass(frozen=True, eq=False)
class PixelAreas:
    """Pixels of several regions, within the smallest rectangle that has all of them."""

    labels: NDArray[np.int32]
    """(height, width) of the rectangle: 1 + number of the region; 0: none."""
    x: int
    """First column of the rectangle in the image."""
    y: int
    """First row of the rectangle in the image."""
    count: int
    """Number of regions."""
    pixels: NDArray[np.intp]
    """(region,): number of pixels of each."""
    samples: NDArray[np.intp]
    """(region, SAMPLES): indices of pixels of each region in the flat rectangle."""
    boxes: tuple[tuple[slice, slice], ...]
    """Rows and columns of each region in the rectangle."""

    def part(self, image: Image) -> Image:
        """Return the rectangle of an image, without a copy."""
        height, width = self.labels.shape
        return image[self.y : self.y + height, self.x : self.x + width]


def pixel_areas(shape: tuple[int, ...], regions: Sequence[Region]) -> PixelAreas:
    """Return the pixels of each region; without regions the whole image is one.

    Parameters
    ----------
    shape : tuple of int
        (height, width, …) of the image.
    regions : sequence of Region
        In px. A pixel belongs to a region that contains its centre; to the first one
        where regions overlap.

    Returns
    -------
    PixelAreas
        The areas, in the order of the regions. A region beside the image has no pixel.
    """
    height, width = shape[:2]
    labels = np.zeros((height, width), np.int32)
    if not regions:
        labels[:] = 1
    for number, region in enumerate(regions, start=1):
        x, y = region.outline().T
        left, right = max(0, int(x.min())), min(width, int(x.max()) + 2)
        top, bottom = max(0, int(y.min())), min(height, int(y.max()) + 2)
        if left >= right or top >= bottom:
            continue
        rows, columns = np.mgrid[top:bottom, left:right]
        inside = region.contains(np.column_stack([columns.ravel(), rows.ravel()]))
        part = labels[top:bottom, left:right]
        part[inside.reshape(part.shape) & (part == 0)] = number

    count = max(1, len(regions))
    pixels = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    rows, columns = (
        np.flatnonzero(labels.any(axis=1)),
        np.flatnonzero(labels.any(axis=0)),
    )
    if not len(rows):  # all regions lie beside the image
        rows = columns = np.zeros(1, np.intp)
    top, left = int(rows[0]), int(columns[0])
    labels = np.ascontiguousarray(labels[top : rows[-1] + 1, left : columns[-1] + 1])
    samples, boxes = _samples(labels, count), _boxes(labels, count)
    return PixelAreas(labels, left, top, count, pixels, samples, boxes)


def _boxes(labels: NDArray[np.int32], count: int) -> tuple[tuple[slice, slice], ...]:
    """Return the smallest rectangle of each area."""
    boxes = []
    for number in range(1, count + 1):
        rows, columns = np.nonzero(labels == number)
        box = slice(0, 0), slice(0, 0)
        if len(rows):
            box = (
                slice(int(rows.min()), int(rows.max()) + 1),
                slice(int(columns.min()), int(columns.max()) + 1),
            )
        boxes.append(box)
    return tuple(boxes)


def _samples(labels: NDArray[np.int32], count: int) -> NDArray[np.intp]:
    """Return evenly spaced pixels of each area; of an empty one, any pixel."""
    order = np.argsort(labels.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(labels.ravel(), minlength=count + 1))
    places = [
        np.linspace(start, max(start, end - 1), SAMPLES).astype(np.intp)
        for start, end in pairwise(ends)
    ]
    return order[np.minimum(places, labels.size - 1)]
