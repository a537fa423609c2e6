"""Live views: corners of a board found in newest images, and what is still missing."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from deeplabstream.offline.camera_calibration.board_views import BoardViews
from deeplabstream.offline.camera_calibration.calibration_verdict import (
    LEAST_KEPT_BACK,
    LEAST_VIEWS,
)
from deeplabstream.offline.camera_calibration.charuco_board import CharucoBoard
from deeplabstream.offline.camera_calibration.view_coverage import (
    bare_regions,
    needed_pair,
)

ENOUGH = LEAST_VIEWS + LEAST_KEPT_BACK + 6
"""Views of each camera, and common ones, at which a recording is likely to suffice."""
_MOST = 2000
"""Moments that are kept."""
_MOVED_SHARE = 0.02
"""Move of the board, as a share of the image's width, that makes another view."""


class LiveViews:
    """Views of a board since the start; a board at rest counts once."""

    def __init__(self, board: CharucoBoard, names: Sequence[str]) -> None:
        self.board = board
        self.names = tuple(names)
        self._sizes: dict[str, tuple[int, int]] = {}
        self._moments: list[NDArray[np.float64]] = []

    def add(
        self,
        corners: Mapping[str, NDArray[np.float64]],
        sizes: Mapping[str, tuple[int, int]],
    ) -> bool:
        """Add the corners that cameras see at one moment; False: the board has not moved.

        `corners`: (corner, 2) by camera, NaN: not found. `sizes`: height and width.
        """
        self._sizes.update(sizes)
        moment = np.full((len(self.names), self.board.corners, 2), np.nan)
        for number, name in enumerate(self.names):
            if name in corners:
                moment[number] = corners[name]
        if not self._is_new(moment):
            return False
        self._moments = [*self._moments[1 - _MOST :], moment]
        return True

    @property
    def views(self) -> BoardViews:
        """All views so far."""
        pixels = np.full((len(self.names), 0, self.board.corners, 2), np.nan)
        if self._moments:
            pixels = np.stack(self._moments, axis=1)
        sizes = tuple(self._sizes.get(name, (1, 1)) for name in self.names)
        frames = np.arange(pixels.shape[1])
        return BoardViews(self.board, self.names, sizes, frames, pixels)

    def _is_new(self, moment: NDArray[np.float64]) -> bool:
        """Return whether a camera sees the board elsewhere than at the last moment."""
        if not np.isfinite(moment).any():
            return False
        if not self._moments:
            return True
        last = self._moments[-1]
        for number, name in enumerate(self.names):
            known = np.isfinite(moment[number, :, 0])
            if not known.any():
                continue
            both = known & np.isfinite(last[number, :, 0])
            if not both.any():
                return True
            moved = np.linalg.norm(moment[number, both] - last[number, both], axis=1)
            if np.median(moved) > _MOVED_SHARE * self._sizes[name][1]:
                return True
        return False


def missing_lines(views: BoardViews) -> list[str]:
    """Return what is still to be shown to which camera; empty: a recording may suffice."""
    seen, covered = views.seen.sum(axis=1), views.covered
    lines = []
    for camera, name in enumerate(views.names):
        bare = bare_regions(covered[camera])
        if seen[camera] < ENOUGH:
            lines.append(
                f"Camera {name}: show the board in more places, near, far and tilted "
                f"({seen[camera]} of {ENOUGH} views)"
            )
        elif bare:
            lines.append(f"Camera {name}: show the board in the {place_text(bare[0])}")
    if pair := needed_pair(views, ENOUGH):
        one, other, count = pair
        lines.append(
            f"Cameras {one} and {other}: show the board where both see it "
            f"({count} of {ENOUGH} moments)"
        )
    return lines


def pair_lines(views: BoardViews) -> list[str]:
    """Return how often each pair of cameras saw the board together."""
    shared = views.shared
    return [
        f"{views.names[one]} and {views.names[other]}: {shared[one, other]}"
        for one, other in combinations(range(len(views.names)), 2)
    ]


def place_text(region: str) -> str:
    """Return a ninth of an image in words.

    >>> place_text("upper right"), place_text("middle"), place_text("left")
    ('upper right corner', 'middle', 'left part')
    """
    first, _, second = region.partition(" ")
    if not second:
        return region if region == "middle" else f"{region} part"
    return f"{region} corner" if second != "middle" else f"{first} part"
