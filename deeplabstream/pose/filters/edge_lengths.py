"""Ranges of the lengths of a skeleton's edges, given or measured."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton

FEWEST = 100
"""Minimum number of frames on which an edge is visible."""
WIDER = 0.25
"""Margin of edge lengths, as a share."""


@dataclass(frozen=True)
class EdgeRange:
    """Permitted length of the edge between two body parts: `snout - neck 10 60`."""

    one: str
    other: str
    shortest: float
    longest: float

    def __str__(self) -> str:
        return f"{self.one} - {self.other} {self.shortest:g} {self.longest:g}"


def measured_edges(
    skeleton: Skeleton,
    points: NDArray[np.floating],
    percentiles: tuple[float, float] = (0.5, 99.5),
) -> list[EdgeRange]:
    """Return the ranges of the skeleton's edges; without any, from each part to the next.

    Parameters
    ----------
    skeleton : Skeleton
        Body parts and edges.
    points : numpy.ndarray of float, shape (frame, animal, body part, 2)
        Positions, px or mm; NaN: not visible.
    percentiles : tuple of float
        Of the lengths: lengths between them are permitted.

    Returns
    -------
    list of EdgeRange
        Between the percentiles and 25 % wider, in the unit of `points`; without edges that are
        visible in fewer than 100 frames.
    """
    pairs = skeleton.edges or list(pairwise(skeleton.bodyparts))
    found = [_measured(pair, skeleton, points, percentiles) for pair in pairs]
    return [edge for edge in found if edge is not None]


def _measured(
    pair: tuple[str, str],
    skeleton: Skeleton,
    points: NDArray[np.floating],
    percentiles: tuple[float, float],
) -> EdgeRange | None:
    one, other = skeleton.indices(pair)
    lengths = np.linalg.norm(points[:, :, one] - points[:, :, other], axis=-1).ravel()
    lengths = lengths[np.isfinite(lengths)]
    if len(lengths) < FEWEST:
        return None
    low, high = np.percentile(lengths, percentiles) * (1 - WIDER, 1 + WIDER)
    return EdgeRange(*pair, float(f"{low:.3g}"), float(f"{high:.3g}"))
