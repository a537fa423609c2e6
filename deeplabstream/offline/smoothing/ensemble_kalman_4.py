"""Ensemble Kalman smoothing as the package `ensemble-kalman-smoother` has it since 4.

Against version 3 (`ensemble_kalman`): the smoothing parameter is sought with one variance
of the networks for all frames; views whose networks agree on a place that the other views
contradict get a larger variance; a pupil's parameters are sought too. Checked against 4.6.2.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.offline.smoothing.ensemble_kalman import EnsemblePoses, SmoothedPoses
from deeplabstream.offline.smoothing.kalman import Model, smooth

Numbers = NDArray[np.float64]

KEEP = 95.0
"""Per cent of the frames, those of least variance, from which components are learnt."""
LATENT = 3
FAR = 5.0
"""Mahalanobis distance, squared, above which a view contradicts the others."""
INFLATION = 10.0
MOST_ROUNDS = 50
_GUESSED_FROM = 2000
_LEAST_VARIANCE = 1e-4
_BOUNDS = -8.0, 8.0
_STEPS = 300
_TOLERANCE = 1e-2
_GRADIENT = 1e-4


def smooth_single_4(ensemble: EnsemblePoses, s: float | None = None) -> SmoothedPoses:
    """Smooth each body part of one camera separately.

    Parameters
    ----------
    ensemble : EnsemblePoses
        Medians (row, body part, 2) in px; NaN: not seen.
    s : float, optional
        Variance of a step from frame to frame, px²; None: sought for each body part.

    Returns
    -------
    SmoothedPoses
        What was never seen stays NaN.
    """
    points, variance = ensemble.median.copy(), ensemble.variance.copy()
    for part in range(points.shape[1]):
        seen, noise = ensemble.median[:, part], ensemble.variance[:, part]
        known = _known(seen, noise)
        if not known.any():
            continue
        middle = seen[known].mean(axis=0)
        start = np.diag(seen[known].var(axis=0) + 1e-9)
        model = Model(np.eye(2), np.eye(2), np.eye(2), np.zeros(2), start)
        mean, spread, _ = _smoothed(model, seen - middle, noise, s)
        points[:, part], variance[:, part] = mean + middle, spread
    return SmoothedPoses(points, variance, ensemble)


def smooth_views_4(
    ensembles: Sequence[EnsemblePoses], s: float | None = None, inflate: bool = True
) -> list[SmoothedPoses]:
    """Smooth what several cameras, or mirrors, see of the same body parts at one time.

    Parameters
    ----------
    ensembles : sequence of EnsemblePoses
        One for each view, two or more; each (row, body part, 2) in px.
    s : float, optional
        Scale of the steps' covariance, whose largest entry is 1; None: estimated.
    inflate : bool
        Raise the variance where views contradict each other.

    Returns
    -------
    list of SmoothedPoses
        For each view. The variance is the smoother's and the networks' together.
    """
    rows, parts = ensembles[0].median.shape[:2]
    seen = [np.hstack([e.median[:, part] for e in ensembles]) for part in range(parts)]
    noise = [
        np.hstack([e.variance[:, part] for e in ensembles]) for part in range(parts)
    ]
    good = [_agreed(y, v) for y, v in zip(seen, noise, strict=True)]
    fewest = min(len(rows) for rows in good)
    shape = len(ensembles), rows, parts, 2
    means, spreads, inflated = np.empty(shape), np.empty(shape), np.empty(shape)
    for part in range(parts):
        chosen = good[part][:fewest]
        middle = seen[part][chosen].mean(axis=0)
        y, variance = seen[part] - middle, noise[part]
        if inflate:
            variance = inflated_variance(y, variance)
        _, _, right = np.linalg.svd(y[chosen], full_matrices=False)
        components = right[:LATENT]
        latent = y[good[part]] @ components.T
        size = len(components)
        steps = np.atleast_2d(np.cov(np.diff(latent, axis=0).T))
        steps = steps / (np.abs(steps).max() or 1.0) + 1e-9 * np.eye(size)
        start = np.diag(latent.var(axis=0) + 1e-9)
        model = Model(np.eye(size), steps, components.T, np.zeros(size), start)
        mean, spread, _ = _smoothed(model, y, variance, s)
        for view in range(len(ensembles)):
            pair = slice(2 * view, 2 * view + 2)
            means[view][:, part] = (mean + middle)[:, pair]
            spreads[view][:, part] = (spread + np.nan_to_num(variance))[:, pair]
            inflated[view][:, part] = variance[:, pair]
    return [
        SmoothedPoses(mean, spread, EnsemblePoses(e.median, variance, e.likelihood))
        for mean, spread, variance, e in zip(
            means, spreads, inflated, ensembles, strict=True
        )
    ]


def inflated_variance(y: Numbers, variance: Numbers) -> Numbers:
    """Return variances, raised where a view contradicts the others.

    Factor analysis of the frames whose networks agree best predicts the point in each
    view. While a view is further away than `FAR`, its variance grows; of two views,
    both do.

    Parameters
    ----------
    y, variance : numpy.ndarray of float64, shape (row, 2 * view)
        Points in px around their mean, and variances in px². NaN: not seen.

    Returns
    -------
    numpy.ndarray of float64, shape (row, 2 * view)
        Unchanged where a view has no point, and where too few frames agree.
    """
    variance, known = variance.copy(), _known(y, variance)
    views = y.shape[1] // 2
    for _ in range(MOST_ROUNDS):
        worst = variance[known].max(axis=1)
        learnt = y[known][worst < np.percentile(worst, 50)]
        if len(learnt) <= y.shape[1]:
            return variance
        loadings, middle = factor_analysis(learnt, LATENT)
        far = _distances(y[known], variance[known], loadings, middle) > FAR
        if not far.any():
            return variance
        if views == 2:
            far[:] = far.any(axis=1, keepdims=True)
        own = variance[known]
        own[np.repeat(far, 2, axis=1)] *= INFLATION
        variance[known] = own
    return variance


def factor_analysis(y: Numbers, factors: int) -> tuple[Numbers, Numbers]:
    """Return loadings (number, factor) and mean (number,) of `y` (row, number).

    Expectation maximisation by singular values, until the log likelihood grows by less
    than 0.01, as scikit-learn does it.
    """
    rows, count = y.shape
    middle = y.mean(axis=0)
    centred = y - middle
    variance = centred.var(axis=0)
    own, before = np.ones(count), -np.inf
    loadings = np.zeros((factors, count))
    for _ in range(1000):
        root = np.sqrt(own) + 1e-12
        _, values, right = np.linalg.svd(
            centred / (root * np.sqrt(rows)), full_matrices=False
        )
        squares = values[:factors] ** 2
        loadings = np.sqrt(np.maximum(squares - 1, 0))[:, None] * right[:factors] * root
        likelihood = (
            -rows
            / 2
            * (
                count * np.log(2 * np.pi)
                + np.log(squares).sum()
                + factors
                + (values[factors:] ** 2).sum()
                + np.log(own).sum()
            )
        )
        if likelihood - before < 1e-2:
            break
        before = likelihood
        own = np.maximum(variance - (loadings**2).sum(axis=0), 1e-12)
    return loadings.T, middle


def best_scale_4(model: Model, y: Numbers, variance: Numbers) -> float:
    """Return s, by which the steps' covariance times s makes the observations most likely.

    The variance of an observation is its median over all rows. Adam descends along log s
    until the negative log likelihood changes little, as in the package: a part of its
    result depends on where it starts and stops. Rows with NaN are left out.
    """
    known = _known(y, variance)
    constant = np.maximum(np.median(variance[known], axis=0), _LEAST_VARIANCE)
    changes = np.diff(variance[:_GUESSED_FROM], axis=0)
    changes = changes[np.isfinite(changes)]
    guess = (round(float(changes.std()), 5) if len(changes) else 0.0) or 2.0
    log_s = float(np.log(np.clip(guess, 1e-6, 1e3)))
    before, mean, square = np.inf, 0.0, 0.0
    shifts = np.array([0.0, _GRADIENT, -_GRADIENT])
    for step in range(1, _STEPS + 1):
        scales = np.exp(np.clip(log_s + shifts, *_BOUNDS))
        cost, higher, lower = _costs(model, scales, y[known], constant)
        gradient = (higher - lower) / (2 * _GRADIENT)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        size = np.sqrt(square / (1 - 0.999**step))
        log_s -= mean / (1 - 0.9**step) / max(size, 1e-12)
        tolerance = _TOLERANCE * abs(np.log(max(before, 1e-12)))
        if np.isfinite(before) and abs(cost - before) < tolerance + 1e-6:
            break
        before = cost
    return float(np.exp(np.clip(log_s, *_BOUNDS)))


def _costs(model: Model, scales: Numbers, y: Numbers, variance: Numbers) -> Numbers:
    """Return the negative log likelihood (scale,) of rows with one variance for all.

    The covariances do not depend on `y`. Once they are settled, the means of all further
    rows are computed together.
    """
    seen, noise = model.seen, np.diag(variance)
    mean = np.tile(model.mean, (len(scales), 1))
    covariance = np.tile(model.variance, (len(scales), 1, 1))
    steps = scales[:, None, None] * model.noise
    total = np.zeros(len(scales))
    for place, row in enumerate(y):
        spread = seen @ covariance @ seen.T + noise
        inverse = np.linalg.inv(spread)
        gain = covariance @ seen.T @ inverse
        after = covariance - gain @ seen @ covariance + steps
        height = np.linalg.slogdet(spread)[1] + len(row) * np.log(2 * np.pi)
        if np.allclose(after, covariance, rtol=1e-12, atol=0):
            means = _settled_means(mean, gain, seen, y[place:])
            off = y[place:] - means @ seen.T
            total += off.shape[1] * height + np.einsum(
                "sti,sij,stj->s", off, inverse, off
            )
            break
        covariance = (after + after.transpose(0, 2, 1)) / 2
        off = row - mean @ seen.T
        total += height + np.einsum("si,sij,sj->s", off, inverse, off)
        mean = mean + np.einsum("sij,sj->si", gain, off)
    return np.asarray(total / 2)


def _settled_means(first: Numbers, gain: Numbers, seen: Numbers, y: Numbers) -> Numbers:
    """Return the means (scale, row, state) before each row of `y`.

    Each is F times the one before, plus the gain times the row before. The sums are doubled
    in length until F to that power is nothing.
    """
    kept = np.eye(seen.shape[1]) - gain @ seen
    means = np.empty((len(first), len(y), seen.shape[1]))
    means[:, 0] = first
    means[:, 1:] = y[:-1] @ gain.transpose(0, 2, 1)
    length = 1
    while length < len(y) and np.abs(kept).max() > 1e-20:
        means[:, length:] += means[:, :-length].copy() @ kept.transpose(0, 2, 1)
        kept, length = kept @ kept, 2 * length
    return means


def _smoothed(
    model: Model, y: Numbers, variance: Numbers, s: float | None
) -> tuple[Numbers, Numbers, float]:
    scale = best_scale_4(model, y, variance) if s is None else s
    scaled = Model(
        model.step, scale * model.noise, model.seen, model.mean, model.variance
    )
    found = smooth(scaled, y, variance)
    return found.mean, found.variance, scale


def _distances(
    y: Numbers, variance: Numbers, loadings: Numbers, middle: Numbers
) -> Numbers:
    """Return (row, view): squared Mahalanobis distance from where the views together say."""
    weight = 1 / (variance + 1e-6)
    together = np.einsum("ik,ri,il->rkl", loadings, weight, loadings)
    spread = np.linalg.pinv(together, hermitian=True)
    pulled = np.einsum("ik,ri->rk", loadings, weight * (y - middle))
    off = y - middle - np.einsum("rkl,rl->rk", spread, pulled) @ loadings.T
    distances = []
    for view in range(y.shape[1] // 2):
        pair = slice(2 * view, 2 * view + 2)
        own = np.einsum("ik,rkl,jl->rij", loadings[pair], spread, loadings[pair])
        own = own + variance[:, pair, None] * np.eye(2)
        solved = np.linalg.solve(own, off[:, pair, None])[..., 0]
        distances.append((off[:, pair] * solved).sum(axis=1))
    return np.stack(distances, axis=1)


def _agreed(y: Numbers, variance: Numbers) -> NDArray[np.intp]:
    """Return the rows whose largest variance is among the lowest `KEEP` per cent."""
    known, worst = _known(y, variance), variance.max(axis=1)
    return np.flatnonzero(known & (worst <= np.percentile(worst[known], KEEP)))


def _known(y: Numbers, variance: Numbers) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(y + variance).all(axis=1))
