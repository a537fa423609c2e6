"""Background model: the image without animals, learned from the first frame on.

Small spots of the first frame are removed by a morphological closing (of dark animals), an
opening (of bright ones) or a median: so an animal that never moves is found, too. After that,
each pixel follows the image, except where an animal is: as a mean at first, slowly later, and
at once where it is on the other side of the background than animals are: an animal has left.
"""

from collections.abc import Sequence
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.pose.background.objects import Objects
from deeplabstream.pose.background.pixel_areas import PixelAreas

Polarity = Literal["dark", "bright", "both"]

MAD_TO_SD = 1.4826
"""Standard deviation of normal noise, in median absolute deviations."""
LEAST_NOISE = 1.0
"""Smallest noise, in grey levels: rounding and compression hide smaller noise."""
NOISE_EVERY = 10
"""Frames between two measurements of the noise."""
_NOISE_SHARE = 0.2
"""Share of a new measurement in the noise."""
LEFT_SHARE = 0.25
"""Share of the image by which the background follows where an animal has left."""
UPDATE_EVERY = 5
"""Frames between two slow updates."""
SHIFT_PX = 0.5
"""Shift of the image against the background, px, that makes no object: of a wall, or of a
plate that vibrates. There a contrast is below that of an edge times this shift."""


class BackgroundModel:
    """Background and noise of the areas of one camera."""

    def __init__(
        self,
        areas: PixelAreas,
        polarity: Polarity,
        threshold: float,
        length_px: int,
        adapt_frames: float,
    ) -> None:
        self.areas = areas
        self._polarity = polarity
        self._threshold = threshold
        self._length_px = length_px
        self._update_share = min(1.0, UPDATE_EVERY / adapt_frames)
        self._frames = self._updates = 0
        self._level: NDArray[np.float32]
        self._rounded: Image
        self._limits: Image
        self.noise = np.full(areas.count, LEAST_NOISE)
        """Standard deviation of the noise of each area, grey levels."""

    def contrast(self, image: Image) -> tuple[Image, NDArray[np.uint8]]:
        """Return the contrast of each pixel to the background, and where it is an animal's.

        Parameters
        ----------
        image : Image
            Grey, of the camera.

        Returns
        -------
        contrast : Image
            (height, width) of the areas' rectangle, grey levels; 0 on the other side of
            the background than animals are.
        differs : numpy.ndarray of uint8
            (height, width), 255 where the contrast is above the threshold of the area; 0
            outside of all areas.
        """
        import cv2

        part = self.areas.part(image)
        if self._frames == 0:
            self._level = part.astype(np.float32)
            self.learn_again(image, range(self.areas.count))
        if self._frames % NOISE_EVERY == 0:
            self._measure_noise(part)
        self._frames += 1

        if self._polarity == "dark":
            contrast = cv2.subtract(self._rounded, part)
        elif self._polarity == "bright":
            contrast = cv2.subtract(part, self._rounded)
        else:
            contrast = cv2.absdiff(part, self._rounded)
        differs = cv2.compare(contrast, self._limits, cv2.CMP_GT)
        return cast("Image", contrast), cast("NDArray[np.uint8]", differs)

    def below(self, objects: Objects) -> NDArray[np.float64]:
        """Return the mean brightness of the background below each object, grey levels."""
        level = self._level[objects.places]
        return np.asarray(np.bincount(objects.number, level) / objects.pixels)

    def floor(self) -> NDArray[np.float64]:
        """Return the median brightness of the background of each area, grey levels."""
        return np.asarray(np.median(self._level.ravel()[self.areas.samples], axis=1))

    def learn_again(self, image: Image, areas: Sequence[int]) -> None:
        """Learn the background of some areas from one image alone."""
        for area in areas:
            rows, columns = self.areas.boxes[area]
            around, inside = self._around(image, area)
            learned = _without_neighbours(
                around, inside, self._polarity, self._length_px
            )
            own = self.areas.labels[rows, columns] == area + 1
            self._level[rows, columns][own] = learned[inside]
        self._round(self.areas.part(image))

    def _around(self, image: Image, area: int) -> tuple[Image, NDArray[np.bool_]]:
        """Return an area with what is around it, and which of those pixels are its own."""
        rows, columns = self.areas.boxes[area]
        top, left = self.areas.y + rows.start, self.areas.x + columns.start
        margin = 2 * self._length_px
        above, before = max(0, top - margin), max(0, left - margin)
        around = image[
            above : self.areas.y + rows.stop + margin,
            before : self.areas.x + columns.stop + margin,
        ]
        own = self.areas.labels[rows, columns] == area + 1
        inside = np.zeros(around.shape[:2], np.bool_)
        height, width = own.shape
        y, x = top - above, left - before
        inside[y : y + height, x : x + width] = own
        return around, inside

    def update(self, image: Image, animals: NDArray[np.uint8]) -> None:
        """Follow the image; `animals` (height, width): 255 where they hide the background."""
        import cv2

        image, changed = self.areas.part(image), False
        if self._polarity != "both":
            dark = self._polarity == "dark"
            pair = (image, self._rounded) if dark else (self._rounded, image)
            left = cv2.compare(cv2.subtract(*pair), self._limits, cv2.CMP_GT)
            if cv2.countNonZero(left):
                cv2.accumulateWeighted(image, self._level, LEFT_SHARE, left)
                changed = True

        if self._frames % UPDATE_EVERY == 0:
            self._updates += 1
            share = max(self._update_share, 1 / (1 + self._updates))
            shown = cv2.bitwise_not(animals)
            cv2.accumulateWeighted(image, self._level, share, shown)
            changed = True
        if changed:
            self._round(image)

    def _round(self, image: Image) -> None:
        self._rounded = cast("Image", np.rint(self._level).astype(image.dtype))

    def _measure_noise(self, image: Image) -> None:
        """Measure the noise by the median absolute deviation of each area, and set limits."""
        samples = self.areas.samples
        away = image.ravel()[samples] - self._level.ravel()[samples]
        middle = np.median(away, axis=1, keepdims=True)
        noise = MAD_TO_SD * np.median(np.abs(away - middle), axis=1)
        share = 1.0 if self._frames == 0 else _NOISE_SHARE
        self.noise += share * (np.maximum(noise, LEAST_NOISE) - self.noise)

        # outside of the areas no contrast is above the limit
        most = np.iinfo(image.dtype).max
        limits = np.minimum(np.round(self._threshold * self.noise), most)
        by_label = np.concatenate([[most], limits]).astype(np.float32)
        pixel_limits = by_label[self.areas.labels] + SHIFT_PX * _steepest(self._level)
        limited = np.minimum(pixel_limits, most).astype(image.dtype)
        self._limits = cast("Image", limited)


def _steepest(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the steepest change of brightness at each pixel or beside it, per px."""
    import cv2

    # the difference to the darkest and to the brightest neighbour, of one pixel
    beside = np.ones((3, 3), np.uint8)
    change = cv2.morphologyEx(level, cv2.MORPH_GRADIENT, beside)
    return np.asarray(change / 2, np.float32)


def _without_neighbours(
    image: Image, inside: NDArray[np.bool_], polarity: Polarity, length_px: int
) -> Image:
    """Return an image without spots, of an area in even surroundings.

    Beside bright wells, or at the border of the image, a narrow wall is a dark spot, as an
    animal is. So what is around the area gets the brightness of its surroundings at most, and
    the border of the image too.
    """
    import cv2

    near = cv2.dilate(inside.astype(np.uint8), np.ones((2 * length_px + 1,) * 2))
    outside = (near > 0) & ~inside
    if polarity == "both" or not outside.any():
        return without_spots(image, polarity, length_px)

    level = np.asarray(np.median(image[outside])).astype(image.dtype)
    bound = np.minimum if polarity == "dark" else np.maximum
    even = np.pad(
        np.where(inside, image, bound(image, level)),
        length_px,
        constant_values=level.item(),
    )
    learned = without_spots(even, polarity, length_px)
    return learned[length_px:-length_px, length_px:-length_px]


def without_spots(image: Image, polarity: Polarity, length_px: int) -> Image:
    """Return an image without the spots that are smaller than an animal.

    Parameters
    ----------
    image : Image
        Grey, (height, width).
    polarity : "dark", "bright" or "both"
        Whether animals are darker or brighter than what is around them.
    length_px : int
        Length of an animal, px. Spots that fit into a square of this side are removed.

    Returns
    -------
    Image
        (height, width): morphological closing, opening or median [1]_.

    References
    ----------
    .. [1] Serra J. Image analysis and mathematical morphology. Academic Press, 1982.
    """
    import cv2

    side = length_px | 1
    if polarity == "both":
        # a spot of up to half of the window does not change its median
        wide = 2 * length_px + 1
        if image.dtype == np.uint8:
            return cast("Image", cv2.medianBlur(image, min(wide, 255)))

        # OpenCV's median of a wide window takes 8 bits only
        from scipy.ndimage import median_filter

        return cast("Image", median_filter(image, wide))
    how = cv2.MORPH_CLOSE if polarity == "dark" else cv2.MORPH_OPEN
    # a square: OpenCV computes it row by row and column by column, a disc slowly
    square = np.ones((side, side), np.uint8)
    return cast("Image", cv2.morphologyEx(image, how, square))
