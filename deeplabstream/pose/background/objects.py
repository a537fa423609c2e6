"""Objects: groups of connected pixels, with sub-pixel centroid and body axis."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.pose.background.pixel_areas import PixelAreas

_PIXEL_VARIANCE = 1 / 12
"""Variance of a position within a pixel, px²."""


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects of one image, in no order; all arrays have one row for each."""

    area: NDArray[np.intp]
    """Number of the area that it lies in, from 0 on."""
    pixels: NDArray[np.intp]
    """Number of its pixels."""
    contrast: NDArray[np.float64]
    """Sum of its pixels' contrast, grey levels."""
    centre: NDArray[np.float64]
    """(object, 2): centroid, weighted by the contrast, px of the image."""
    half_axis: NDArray[np.float64]
    """(object, 2): from the centroid along the longer axis to the end of the ellipse with
    the same second moments, px."""
    number: NDArray[np.intp]
    """(pixel,): row of the object that each of `places` belongs to."""
    places: tuple[NDArray[np.int32], NDArray[np.int32]]
    """Rows and columns of all pixels, in the rectangle of the areas."""

    def __len__(self) -> int:
        return len(self.area)


def find_objects(
    contrast: Image, differs: NDArray[np.uint8], areas: PixelAreas
) -> Objects:
    """Return the connected groups of pixels of each area.

    Parameters
    ----------
    contrast : Image
        (height, width), grey levels: weights of the pixels.
    differs : numpy.ndarray of uint8
        (height, width): not 0 where there is an object; 0 outside of all areas.
    areas : PixelAreas
        The areas. Connected pixels of two areas are two objects.

    Returns
    -------
    Objects
        Their areas, sizes, centroids and axes. The axis is that of the largest variance of
        the weighted positions; half its length is twice the standard deviation, as in an
        ellipse of equal weight [1]_.

    References
    ----------
    .. [1] Haralick RM, Shapiro LG. Computer and robot vision, vol. 1, appendix A.
       Addison-Wesley, 1992.
    """
    import cv2

    _, labels = cv2.connectedComponents(differs, connectivity=8)
    found = cv2.findNonZero(differs)
    pixels = np.asarray(() if found is None else found, np.int32)
    x, y = pixels.reshape(-1, 2).T
    keys = np.asarray(labels)[y, x] * (areas.count + 1) + areas.labels[y, x]
    unique, number = np.unique(keys, return_inverse=True)
    weights = contrast[y, x].astype(np.float64)

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(number, values, len(unique)).astype(np.float64)

    summed = total(weights)
    centre = np.column_stack([total(weights * x), total(weights * y)]) / summed[:, None]
    dx, dy = x - centre[number, 0], y - centre[number, 1]
    xx = total(weights * dx * dx) / summed + _PIXEL_VARIANCE
    yy = total(weights * dy * dy) / summed + _PIXEL_VARIANCE
    xy = total(weights * dx * dy) / summed
    return Objects(
        unique % (areas.count + 1) - 1,
        np.bincount(number, minlength=len(unique)),
        summed,
        centre + np.array([areas.x, areas.y]),
        _half_axes(xx, yy, xy),
        number,
        (y, x),
    )


def _half_axes(
    xx: NDArray[np.float64], yy: NDArray[np.float64], xy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return twice the standard deviation along the axis of the largest variance."""
    angle = np.arctan2(2 * xy, xx - yy) / 2
    largest = (xx + yy) / 2 + np.hypot((xx - yy) / 2, xy)
    direction = np.column_stack([np.cos(angle), np.sin(angle)])
    return np.asarray(2 * np.sqrt(largest)[:, None] * direction)
