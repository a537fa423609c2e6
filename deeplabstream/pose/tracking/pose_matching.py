"""Matching of the animals in two poses of one frame, by linear assignment of distances."""

import math
import warnings
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from deeplabstream.numerics.assignment import assign

Points = NDArray[np.float32]
NEAR = 0.25
"""Gate: largest mean distance of the points of one animal in two poses, in animal lengths."""


def distances(points: Points, others: Points) -> Points:
    """Return (animal, other): mean distance of the parts that both have, px; NaN: none.

    `points` and `others`: (animal, bodypart, 2); NaN: not found.
    """
    away = np.linalg.norm(points[:, None] - others[None], axis=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NaN without a common part
        return np.asarray(np.nanmean(away, axis=2), np.float32)


def same_animals(points: Points, others: Points, near: float) -> list[tuple[int, int]]:
    """Return pairs (animal, other), none farther apart than `near`, px; NaN: no pair.

    As many pairs as possible; among these, those with the smallest sum of distances.
    """
    costs = distances(points, others)
    return assign(np.where(costs <= near, costs, np.nan))


def match_animals(points: Points, others: Points) -> list[int]:
    """Return for each animal the matching one, so that all are used.

    Both have the same number of animals. The nearest pairs match; the others keep their order.
    """
    pairs = dict(assign(distances(points, others)))
    left = [other for other in range(len(others)) if other not in pairs.values()]
    animals = range(len(points))
    return [pairs[n] if n in pairs else left.pop(0) for n in animals]


def nearest_px(points: Points) -> float:
    """Return the shortest distance between parts of two animals, `points` (animal, bodypart, 2).

    Infinity when there are no two animals.
    """
    least = math.inf
    for one, other in combinations(points, 2):
        away = np.linalg.norm(one[:, None] - other[None], axis=2)
        least = min(least, float(np.nan_to_num(away, nan=math.inf).min()))
    return least


def animal_length(points: Points) -> float:
    """Return the median length of animals (…, bodypart, 2); NaN: none has two points."""
    lengths = animal_lengths(points)
    known = lengths[lengths > 0]
    return float(np.median(known)) if known.size else float("nan")


def animal_lengths(points: Points) -> Points:
    """Return (…): largest distance between two points of each animal (…, bodypart, 2).

    0 where there are no two.
    """
    away = np.linalg.norm(points[..., :, None, :] - points[..., None, :, :], axis=-1)
    return np.asarray(np.nan_to_num(away, nan=0.0).max(axis=(-2, -1)), np.float32)
