"""48 flies in wells of one camera, and an independent threshold script that finds them.

The recording is MARGO's sample video; without it, wells are simulated. The script is no part of
the program and sees the whole video before it decides: its background is a high percentile of
each pixel over time. A fly that rests for most of the video has no such background; there a
grey closing of it replaces it. It takes the largest group of darker pixels, unweighted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.support.tracking_sets import DATA
from deeplabstream.core.frame import Image
from deeplabstream.core.regions import Circle
from deeplabstream.simulation.wells import Wells
from deeplabstream.video.video_reader import open_video

VIDEO = DATA / "arenas-48/singletrack_48arena_high_contrast.mp4"
ROWS, COLUMNS = 6, 8
RECORDED = "ROWS = 6\nCOLUMNS = 8\nCORNERS = 192 75, 1057 76, 1061 848, 177 844\n"
EVERY, PERCENTILE = 10, 99.5
DARKER = 40
"""Grey levels below the background from which on the script takes a pixel for the fly's."""
LEAST, SIDE = 5, 25
"""Smallest group of pixels, and side of the closing, px."""
PATCH_PX = 16
"""Half of the square that replaces a fly in an emptied well, px."""
Places = NDArray[np.float64]
"""(frame, arena, 2), px; NaN: not found."""


@dataclass(frozen=True)
class FlyWells:
    """Frames of 48 wells, and what is known of them."""

    name: str
    shape: tuple[int, int]
    frames: int
    rate: float
    arenas: str
    """Keys of [Arenas]."""
    images: Callable[[], Iterator[Image]]
    truth: Places | None = None
    """None: not known."""


def recorded(frames: int) -> FlyWells | None:
    """Return the recording, up to so many frames; None: it is not there."""
    if not VIDEO.is_file():
        return None
    reader = open_video(VIDEO)
    count = min(frames, len(reader)) if frames else len(reader)

    def images() -> Iterator[Image]:
        for shown, _ in zip(reader.images(), range(count), strict=False):
            if shown.image is not None:
                yield shown.image

    shape = reader.form.height, reader.form.width
    arenas = f"{RECORDED}SHAPE = circle 48"
    return FlyWells("recorded", shape, count, reader.form.rate, arenas, images)


def simulated(frames: int, shape: tuple[int, int] = (960, 1280)) -> FlyWells:
    """Return simulated wells."""
    plate, rate, count = Wells(shape, ROWS, COLUMNS), 30.0, frames or 2700
    first, last = plate.centres[0], plate.centres[-1]
    corners = f"{first[0]:.1f} {first[1]:.1f}, {last[0]:.1f} {last[1]:.1f}"
    arenas = (
        f"ROWS = {ROWS}\nCOLUMNS = {COLUMNS}\nCORNERS = {corners}\n"
        f"SHAPE = circle {plate.radius:.1f}"
    )

    def images() -> Iterator[Image]:
        for index in range(count):
            image = np.empty(shape, np.uint8)
            plate.draw(image, index / rate, index)
            yield image

    truth = np.array([plate.truth(index / rate) for index in range(count)])
    return FlyWells("simulated", shape, count, rate, arenas, images, truth)


def threshold_script(wells: FlyWells, arenas: Mapping[str, Circle]) -> Places:
    """Return where the script finds each fly."""
    some = [_grey(image) for n, image in enumerate(wells.images()) if n % EVERY == 0]
    background = np.percentile(some, PERCENTILE, axis=0)
    boxes = [_Box(wells.shape, circle) for circle in arenas.values()]
    places = _found(wells, boxes, [box.cut(background) for box in boxes])

    rests = np.isnan(places[..., 0]).mean(axis=0) > 0.5
    closed = ndimage.grey_closing(background, (SIDE, SIDE))
    still = [box for box, is_still in zip(boxes, rests, strict=True) if is_still]
    if still:
        places[:, rests] = _found(wells, still, [box.cut(closed) for box in still])
    return places


def emptied(wells: FlyWells, script: Places, frames: int) -> tuple[FlyWells, list[int]]:
    """Return the first frames with every other well without a fly, and these wells.

    A square of the same well from another frame, in which the fly is elsewhere, hides it.
    A well whose fly the script loses, or that rests all the time, keeps it.
    """
    frames = min(frames, wells.frames)
    own = script[:frames]
    donors = {
        well: pair
        for well in range(0, own.shape[1], 2)
        if (pair := _two_far_apart(own[:, well])) is not None
    }
    images = {
        n: image.copy()
        for n, image in enumerate(wells.images())
        if any(n in pair for pair in donors.values())
    }

    def without_flies() -> Iterator[Image]:
        for n, image in zip(range(frames), wells.images(), strict=False):
            painted = image.copy()
            for well, pair in donors.items():
                place = own[n, well]
                donor = max(pair, key=lambda it: _away(own[it, well], place))
                x, y = (max(PATCH_PX, round(it)) for it in place.tolist())
                patch = np.s_[y - PATCH_PX : y + PATCH_PX, x - PATCH_PX : x + PATCH_PX]
                painted[patch] = images[donor][patch]
            yield painted

    empty = replace(wells, frames=frames, images=without_flies, truth=None)
    return empty, list(donors)


def _two_far_apart(places: Places) -> tuple[int, int] | None:
    """Return two frames so that on any frame one shows the fly elsewhere; None: there are none."""
    if np.isnan(places).any():
        return None
    first = int(np.argmax(np.linalg.norm(places - places[0], axis=1)))
    second = int(np.argmax(np.linalg.norm(places - places[first], axis=1)))
    away = [np.abs(places - places[it]).max(axis=1) for it in (first, second)]
    return (first, second) if np.maximum(*away).min() > 2 * PATCH_PX else None


def _away(one: Places, other: Places) -> float:
    return float(np.abs(one - other).max())


class _Box:
    """Square around an arena, and which of its pixels are in it."""

    def __init__(self, shape: tuple[int, int], circle: Circle) -> None:
        reach = int(np.ceil(circle.r))
        self.top = max(0, round(circle.y) - reach)
        self.left = max(0, round(circle.x) - reach)
        bottom = min(shape[0], round(circle.y) + reach + 1)
        right = min(shape[1], round(circle.x) + reach + 1)
        self._part = slice(self.top, bottom), slice(self.left, right)
        y, x = np.mgrid[self._part]
        self.inside = np.hypot(x - circle.x, y - circle.y) <= circle.r

    def cut(self, image: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the square of an image."""
        return image[self._part].astype(np.float64)


def _found(
    wells: FlyWells, boxes: Sequence[_Box], backgrounds: Sequence[NDArray[np.float64]]
) -> Places:
    places = np.full((wells.frames, len(boxes), 2), np.nan)
    for frame, image in enumerate(wells.images()):
        grey = _grey(image)
        for arena, (box, background) in enumerate(zip(boxes, backgrounds, strict=True)):
            dark = box.inside & (background - box.cut(grey) > DARKER)
            labels, count = ndimage.label(dark, np.ones((3, 3)))
            if not count:
                continue
            sizes = np.bincount(labels.ravel())[1:]
            if sizes.max() >= LEAST:
                y, x = ndimage.center_of_mass(labels == 1 + sizes.argmax())
                places[frame, arena] = box.left + x, box.top + y
    return places


def _grey(image: Image) -> NDArray[np.float64]:
    return image.astype(np.float64) if image.ndim == 2 else image.mean(axis=2)
