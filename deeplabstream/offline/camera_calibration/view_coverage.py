"""View coverage: which parts of each image, and which pairs of cameras, lack views of a board."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from deeplabstream.offline.camera_calibration.board_views import (
    COVERAGE_GRID,
    BoardViews,
)

_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "middle", "right")
_LEAST_IN_REGION = 1 / 6
"""A region with a smaller share of covered cells needs views."""


def coverage_share(views: BoardViews) -> NDArray[np.float64]:
    """Return the covered share of each camera's image, (camera,)."""
    return np.asarray(views.covered.mean(axis=(1, 2)), np.float64)


def bare_regions(covered: NDArray[np.bool_]) -> list[str]:
    """Return the ninths of an image that hardly any corner covers: `upper left`, `middle`.

    `covered`: (row, column), of one camera.
    """
    rows, columns = COVERAGE_GRID
    ninths = covered.reshape(3, rows // 3, 3, columns // 3).mean(axis=(1, 3))
    return [
        f"{_ROWS[row]} {_COLUMNS[column]}".strip()
        for row in range(3)
        for column in range(3)
        if ninths[row, column] < _LEAST_IN_REGION
    ]


def needed_regions(views: BoardViews, camera: int) -> str:
    """Return where a camera needs views: `upper left, right of its image`.

    Empty: all of the image is covered.
    """
    regions = bare_regions(views.covered[camera])
    if len(regions) > 6:  # a list of nearly all regions is hard to read
        return "everywhere in its image"
    return f"{', '.join(regions)} of its image" if regions else ""


def needed_pair(views: BoardViews, least: int) -> tuple[str, str, int] | None:
    """Return the pair of cameras that needs shared views most, and their number.

    None: chains of pairs with at least `least` shared views connect all cameras. Otherwise,
    of the pairs that would connect a separate group, the one that shares most.
    """
    groups = connected_groups(views, least)
    if len(groups) < 2:
        return None
    group_of = {camera: n for n, group in enumerate(groups) for camera in group}
    apart = [
        (int(views.shared[one, other]), one, other)
        for one, other in combinations(range(len(views.names)), 2)
        if group_of[one] != group_of[other]
    ]
    count, one, other = max(apart, key=lambda pair: (pair[0], -pair[1], -pair[2]))
    return views.names[one], views.names[other], count


def connected_groups(views: BoardViews, least: int) -> list[set[int]]:
    """Return the groups of cameras that chains of pairs with shared views connect."""
    groups: list[set[int]] = [{camera} for camera in range(len(views.names))]
    shared = views.shared
    for one, other in combinations(range(len(views.names)), 2):
        if shared[one, other] >= least:
            joined = [group for group in groups if one in group or other in group]
            groups = [group for group in groups if group not in joined]
            groups.append(set().union(*joined))
    return sorted(groups, key=min)


def coverage_lines(views: BoardViews) -> list[str]:
    """Return a line for each camera, and one of the moments that pairs share."""
    shares, seen = coverage_share(views), views.seen.sum(axis=1)
    width = max(len(name) for name in views.names)
    lines = []
    for camera, name in enumerate(views.names):
        needed = needed_regions(views, camera)
        lines.append(
            f"  {name:<{width}}  {seen[camera]:>4} frames with the board, corners in "
            f"{shares[camera]:>3.0%} of the image"
            + (f"; few: {needed}" if needed else "")
        )
    if len(views.names) < 2:
        return lines
    shared = views.shared
    pairs = [
        f"{views.names[one]} and {views.names[other]} {shared[one, other]}"
        for one, other in combinations(range(len(views.names)), 2)
    ]
    return [*lines, f"  moments that two cameras share: {', '.join(pairs)}"]


def coverage_facts(views: BoardViews) -> dict[str, object]:
    """Return coverage and shared views, for a file."""
    shares, seen, shared = coverage_share(views), views.seen.sum(axis=1), views.shared
    cameras = {
        name: {
            "frames": int(seen[camera]),
            "covered_share": round(float(shares[camera]), 3),
            "needs_views": bare_regions(views.covered[camera]),
        }
        for camera, name in enumerate(views.names)
    }
    pairs = [
        {
            "cameras": [views.names[one], views.names[other]],
            "moments": int(shared[one, other]),
        }
        for one, other in combinations(range(len(views.names)), 2)
    ]
    return {"cameras": cameras, "pairs": pairs}
