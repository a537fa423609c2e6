"""Eight fish of one look: a quick detector, and their true tracks for most of the video.

The detector subtracts the background and takes each connected component as a fish: centre of
its dark core, front and rear end. Fish that touch are one. idtracker.ai's test video has no truth.
Ours follows the cores frame by frame, with components of two fish split in two; 13 places at
which two fish touch, for six frames at most, were looked at image by image, and four swaps of
the splitting were corrected. It ends where two fish lie on each other for 17 frames: their
identities cannot be determined afterwards.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.support.tracking_sets import DATA, Found, Points, Truth
from deeplabstream.core.pose import Skeleton
from deeplabstream.numerics.assignment import assign
from deeplabstream.video.video_reader import open_video

VIDEO = DATA / "fish-8/test_A.avi"
FISH, FRAMES, RATE = 8, 471, 28.0
LENGTH_PX = 85.0
SKELETON = Skeleton(
    ("front", "centre", "rear"), (("front", "centre"), ("centre", "rear"))
)
DARKER, CORE = 25, 50
"""Grey levels below the background: of a fish, and of the core of its body."""
LEAST, LEAST_CORE = 200, 60
"""Smallest number of pixels of both."""
SWAPPED = ((26, 0, 3), (201, 6, 7), (203, 0, 6), (340, 0, 6))
"""First frame and fish that the splitting had swapped, as it had numbered them."""


def fish() -> tuple[Truth, Found] | None:
    """Return the true centres and the detections; None: the video is not there."""
    if not VIDEO.is_file():
        return None
    images = list(_grey_images(VIDEO))
    background = np.median(images[::10], axis=0).astype(np.uint8)
    points, cores = [], []
    for image in images[:FRAMES]:
        darker = cv2.subtract(background, cv2.GaussianBlur(image, (5, 5), 0))
        points.append(np.array([*_detections(darker)]))
        cores.append([*_components(darker > CORE, LEAST_CORE)])
    confidence = [np.ones(one.shape[:2]) for one in points]
    truth = np.full((FRAMES, FISH, len(SKELETON.bodyparts), 2), np.nan)
    truth[:, :, 1] = _followed(cores)
    found = Found(points, confidence)
    return Truth("fish-8", truth, SKELETON, RATE, VIDEO, length=LENGTH_PX), found


def _grey_images(video: Path) -> Iterator[NDArray[np.uint8]]:
    for shown in open_video(video).images():
        if (image := shown.image) is not None:
            yield image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _components(mask: NDArray[np.bool_], least: int) -> Iterator[Points]:
    """Yield the pixels (n, 2) of each connected component of at least so many."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    for number in range(1, count):
        if facts[number, cv2.CC_STAT_AREA] >= least:
            y, x = np.nonzero(labels == number)
            yield np.column_stack([x, y]).astype(float)


def _detections(darker: NDArray[np.uint8]) -> Iterator[Points]:
    """Yield the three points of each fish."""
    for pixels in _components(darker > DARKER, LEAST):
        x, y = pixels.astype(int).T
        middle, dark = pixels.mean(axis=0), darker[y, x] > CORE
        centre = pixels[dark].mean(axis=0) if dark.any() else middle
        axis = np.linalg.svd(pixels - middle, full_matrices=False)[2][0]
        if axis @ (centre - middle) < 0:  # the front half is darker
            axis = -axis
        along = (pixels - middle) @ axis
        yield np.stack([pixels[along.argmax()], centre, pixels[along.argmin()]])


def _followed(cores: list[list[Points]]) -> Points:
    """Return (frame, fish, 2): the centres of the cores, by fish."""
    tracks = np.full((len(cores), FISH, 2), np.nan)
    first = np.array([core.mean(axis=0) for core in cores[0]])
    last, speed = first[np.argsort(first[:, 0])], np.zeros((FISH, 2))
    tracks[0] = last
    for frame, pixels in enumerate(cores[1:], 1):
        expected = last + 0.7 * speed
        now = _assigned(pixels, expected)
        speed, last = (speed + now - last) / 2, now
        tracks[frame] = now
    # The last first: an earlier swap changes the numbers of all later frames
    for frame, one, other in reversed(SWAPPED):
        tracks[frame:, [one, other]] = tracks[frame:, [other, one]]
    return tracks


def _assigned(cores: list[Points], expected: Points) -> Points:
    """Return the centre of each fish; two that share a core get a part of it each."""
    centres = np.array([core.mean(axis=0) for core in cores])
    away = np.linalg.norm(expected[:, None] - centres[None], axis=-1)
    pairs = {fish: core for fish, core in assign(away) if away[fish, core] < LENGTH_PX}
    now = expected.copy()
    for one, core in pairs.items():
        now[one] = centres[core]
    for one in set(range(FISH)) - set(pairs):
        core = int(away[one].argmin())
        for other in [fish for fish, own in pairs.items() if own == core][:1]:
            now[[one, other]] = _two_means(cores[core], expected[[one, other]])
    return now


def _two_means(pixels: Points, means: Points) -> Points:
    means = means.copy()
    for _ in range(10):
        nearest = np.linalg.norm(pixels[:, None] - means[None], axis=-1).argmin(axis=1)
        for part in (0, 1):
            if (nearest == part).any():
                means[part] = pixels[nearest == part].mean(axis=0)
    return means
