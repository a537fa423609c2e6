"""Pupil: diameter and centre from four points, and their joint smoothing."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.ibl.pipeline import Quirks
from deeplabstream.offline.smoothing.ensemble_kalman import EnsemblePoses, SmoothedPoses
from deeplabstream.offline.smoothing.kalman import (
    Model,
    negative_log_likelihood,
    smooth,
)

Numbers = NDArray[np.float64]

SIDES = ("top", "bottom", "right", "left")


def places_of_sides(bodyparts: Sequence[str]) -> list[int]:
    """Return the indices of pupil_top…, pupil_bottom…, …_right…, …_left… in `bodyparts`."""
    places = []
    for side in SIDES:
        found = [i for i, name in enumerate(bodyparts) if f"pupil_{side}" in name]
        if len(found) != 1:
            raise DeepLabStreamError(
                f"a pupil needs one body part pupil_{side}…, but there are {len(found)}"
            )
        places += found
    return places


def diameter(sides: NDArray[np.floating]) -> Numbers:
    """Return (row,): the median of six estimates from `sides` (row, side, 2).

    The two diameters, and √2 times the four distances between neighbours on a circle.
    NaN where no two points are known.
    """
    top, bottom, right, left = np.moveaxis(sides.astype(np.float64), 1, 0)
    estimates = [top - bottom, left - right]
    root = 2**0.5
    for one in (top, bottom):
        estimates += [(one - other) * root for other in (left, right)]
    lengths = np.linalg.norm(np.array(estimates), axis=-1)
    return _nanmedian(lengths)


def centre(sides: NDArray[np.floating]) -> Numbers:
    """Return (row, 2): the middle of `sides` (row, side, 2).

    x: the median of the values of top and bottom (one is enough) and of left and right
    (both are needed); y the other way round.
    """
    top, bottom, right, left = np.moveaxis(sides.astype(np.float64), 1, 0)
    upright = _nanmedian(np.array([top[:, 0], bottom[:, 0]]))
    across = (right[:, 0] + left[:, 0]) / 2
    x = _nanmedian(np.array([upright, across]))
    level = (top[:, 1] + bottom[:, 1]) / 2
    beside = _nanmedian(np.array([right[:, 1], left[:, 1]]))
    return np.stack([x, _nanmedian(np.array([level, beside]))], axis=1)


def smooth_pupil(
    ensemble: EnsemblePoses,
    bodyparts: Sequence[str],
    diameter_s: float | None = 0.9999,
    centre_s: float | None = 0.999,
    quirks: Quirks | None = None,
) -> SmoothedPoses:
    """Smooth the four points of a pupil as a circle whose size and place drift.

    Diameter and centre are autoregressive: `diameter_s` and `centre_s` are the shares of
    the last frame that remain; the nearer to 1, the smoother. None: both are
    fitted by maximum likelihood. Other body parts stay as the median. `quirks` reproduce
    the errors of the published smoother.
    """
    quirks = quirks or Quirks()
    places = places_of_sides(bodyparts)
    sides = ensemble.median[:, places]
    sizes, middles = diameter(sides), centre(sides)
    known = np.isfinite(sizes) & np.isfinite(middles).all(axis=1)
    points, spread = ensemble.median.copy(), ensemble.variance.copy()
    if known.any():
        middle = middles[known].mean(axis=0)
        spreads = np.array([sizes[known].var(), *(middles[known] - middle).var(axis=0)])

        def model(of_size: float, of_place: float) -> Model:
            kept = np.array([of_size, of_place, of_place])
            return Model(
                step=np.diag(kept),
                noise=np.diag(spreads * (1 - kept**2)),
                seen=_CIRCLE,
                mean=np.array([sizes[known].mean(), 0.0, 0.0]),
                variance=np.diag(spreads + 1e-9),
                first_variance=quirks.pupil_variance,
            )

        offset = np.tile(middle, 4)
        rows = len(sides)
        noise = ensemble.variance[:, places].reshape(rows, 8)
        y = sides.reshape(rows, 8) - offset
        if diameter_s is None or centre_s is None:
            diameter_s, centre_s = _likeliest(model, y, noise)
        found = smooth(model(diameter_s, centre_s), y, noise)
        smoothed = (found.mean + offset).reshape(rows, 4, 2)
        variances = found.variance.reshape(rows, 4, 2)
        named = places
        if quirks.pupil_labels == "compat":
            top, bottom, right, left = places
            named = [top, right, bottom, left]
            ensemble = _swapped(ensemble, bottom, right)
        points[:, named], spread[:, named] = smoothed, variances
        if quirks.pupil_variance == "compat":
            shifted = [place for side in range(4) for place in (side, side + 1)]
            spread[:, places] = found.variance[:, shifted].reshape(rows, 4, 2)
    return SmoothedPoses(points, spread, ensemble)


def _likeliest(
    model: Callable[[float, float], Model], y: Numbers, noise: Numbers
) -> tuple[float, float]:
    """Return the two parameters of maximum likelihood.

    Newton's method on their logits, from 0.99 and 0.98.
    """

    def kept(place: Numbers) -> tuple[float, float]:
        one, other = 1e-3 + (1 - 2e-3) / (1 + np.exp(-place))
        return float(one), float(other)

    def cost(place: Numbers) -> float:
        return negative_log_likelihood(model(*kept(place)), y, noise)

    place, width = np.log([0.99 / 0.01, 0.98 / 0.02]), 0.05
    one, other = width * np.eye(2)
    for _ in range(30):
        here = cost(place)
        up = np.array([cost(place + one), cost(place + other)])
        down = np.array([cost(place - one), cost(place - other)])
        slope = (up - down) / (2 * width)
        bend = np.diag((up - 2 * here + down) / width**2)
        mixed = cost(place + one + other) - up.sum() + here
        bend += (1 - np.eye(2)) * mixed / width**2
        values, axes = np.linalg.eigh(bend)
        # a descent direction also where the function is not convex
        step = -axes @ ((axes.T @ slope) / np.maximum(np.abs(values), 1e-3))
        step = np.clip(step, -1, 1)
        place = place + step
        if np.abs(step).max() < 1e-3:
            break
    return kept(place)


_CIRCLE = np.array(
    [
        [0, 1, 0],
        [-0.5, 0, 1],
        [0, 1, 0],
        [0.5, 0, 1],
        [0.5, 1, 0],
        [0, 0, 1],
        [-0.5, 1, 0],
        [0, 0, 1],
    ]
)
"""(x, y of top, bottom, right, left) from (diameter, x, y of the centre)."""


def _swapped(ensemble: EnsemblePoses, one: int, other: int) -> EnsemblePoses:
    order = list(range(ensemble.median.shape[1]))
    order[one], order[other] = other, one
    return EnsemblePoses(
        ensemble.median[:, order],
        ensemble.variance[:, order],
        ensemble.likelihood[:, order],
    )


def _nanmedian(values: Numbers) -> Numbers:
    """Return the median over the first axis, NaN without values."""
    blank = np.isnan(values).all(axis=0)
    return np.asarray(
        np.where(blank, np.nan, np.nanmedian(np.where(blank, 0.0, values), axis=0))
    )
