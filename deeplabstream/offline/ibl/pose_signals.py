"""Signals computed from poses: pupil diameter, licks, sniffs, speed of paws.

Formulas and constants are the International Brain Laboratory's (ibllib 4.0.0,
brainbox.behavior.dlc). Poses are a table with BODYPART_x, _y, _likelihood.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.ibl.pupil import SIDES, diameter

if TYPE_CHECKING:
    from pandas import DataFrame

Numbers = NDArray[np.float64]

LIKELIHOOD = 0.9
"""Likelihood below which points count as not visible."""
_TONGUE = ("tongue_end_l", "tongue_end_r")


def likely(poses: "DataFrame", threshold: float = LIKELIHOOD) -> "DataFrame":
    """Return the poses with NaN for x and y where the likelihood is below `threshold`."""
    found = poses.copy()
    for name in poses:
        if str(name).endswith("_likelihood"):
            part = str(name).removesuffix("_likelihood")
            below = ~(poses[name].to_numpy() >= threshold)
            found.loc[below, [f"{part}_x", f"{part}_y"]] = np.nan
    return found


def pupil_diameter(poses: "DataFrame", suffix: str = "") -> Numbers:
    """Return (row,) px: the median of six estimates from the pupil's four points.

    `suffix` chooses other columns, as _ens_median. NaN where too little is known.
    """
    sides = [
        [poses[f"pupil_{side}_r_{axis}{suffix}"].to_numpy(np.float64) for axis in "xy"]
        for side in SIDES
    ]
    return diameter(np.moveaxis(np.array(sides), 2, 0))


def smooth_diameter(raw: Numbers, rate: float, window: int) -> Numbers:
    """Return the diameter without outliers and noise (Savitzky-Golay, order 3).

    Frames further than 5 standard deviations from the smoothed line are left out and it
    is drawn again; gaps are filled linearly, but not those longer than 1 s.
    DeepLabStreamError: fewer than 10 % of the frames have a diameter.
    """
    if len(raw) == 0 or np.mean(np.isnan(raw)) > 0.9:
        raise DeepLabStreamError("fewer than 10 % of the frames have a pupil diameter")
    line = _drawn(raw, window)
    off = raw - line
    kept = np.where(np.abs(off) > 5 * np.nanstd(off), np.nan, raw)
    # empty if all points have the same distance to the line
    if np.isfinite(kept).any():
        line = _drawn(kept, window)
    blank = np.concatenate([[False], np.isnan(raw), [False]]).astype(int)
    starts, ends = (
        np.flatnonzero(np.diff(blank) == 1),
        np.flatnonzero(np.diff(blank) == -1),
    )
    for start, end in zip(starts, ends, strict=True):
        if end - start > rate and start > 0 and end < len(raw):
            line[start:end] = np.nan
    return line


def licks(poses: "DataFrame") -> NDArray[np.intp]:
    """Return the frames at which the tongue jumps.

    A jump of any tongue coordinate by more than a quarter of its jumps' standard
    deviation.
    """
    return _jumps(poses, [f"{part}_{axis}" for part in _TONGUE for axis in "xy"])


def sniffs(poses: "DataFrame") -> NDArray[np.intp]:
    """Return the frames of sniffs, by vertical jumps of the nose."""
    return _jumps(poses, ["nose_tip_y"])


def speed(
    poses: "DataFrame", times_s: Numbers, part: str = "paw_r", scale: float = 1
) -> Numbers:
    """Return (row,) px/s of a body part, at the frames' times.

    `scale` divides pixels: 2 for IBL's left camera, which has twice the resolution of the
    right one.
    """
    x = poses[f"{part}_x"].to_numpy(np.float64) / scale
    y = poses[f"{part}_y"].to_numpy(np.float64) / scale
    between = np.diff(times_s)
    moved = np.hypot(np.diff(x), np.diff(y)) / np.nanmedian(between)
    middle = times_s[:-1] + between / 2
    known = np.isfinite(moved)
    if known.sum() < 2:
        return np.full(len(times_s), np.nan)
    found = np.interp(times_s, middle[known], moved[known])
    lost = np.interp(times_s, middle, (~known).astype(float)) >= 0.5
    return np.where(lost, np.nan, found)


def signal_to_noise(raw: Numbers, smooth: Numbers) -> float:
    """Return the ratio of the variances of the smoothed diameter and of the residual."""
    good = np.isfinite(raw) & np.isfinite(smooth)
    if good.sum() < 2:
        return float("nan")
    noise = float(np.var(smooth[good] - raw[good]))
    return float(np.var(smooth[good]) / noise) if noise else float("inf")


def _jumps(poses: "DataFrame", columns: Sequence[str]) -> NDArray[np.intp]:
    found: list[NDArray[np.intp]] = [np.empty(0, np.intp)]
    for name in columns:
        moved = np.diff(poses[name].to_numpy(np.float64))
        if np.isfinite(moved).any():
            found.append(np.flatnonzero(np.abs(moved) > np.nanstd(moved) / 4))
    return np.unique(np.concatenate(found))


def _drawn(values: Numbers, window: int) -> Numbers:
    """Return a Savitzky-Golay filter's curve through the known frames."""
    at = np.flatnonzero(np.isfinite(values)).astype(np.float64)
    known = values[np.isfinite(values)]
    line = savitzky_golay(at, known, min(window, _odd(len(at))), 3)
    rows = np.arange(len(values), dtype=np.float64)
    drawn = np.interp(rows, at, line)
    if len(at) > 1:
        before, after = rows < at[0], rows > at[-1]
        drawn[before] = line[0] + (rows[before] - at[0]) * (line[1] - line[0]) / (
            at[1] - at[0]
        )
        last = (line[-1] - line[-2]) / (at[-1] - at[-2])
        drawn[after] = line[-1] + (rows[after] - at[-1]) * last
    return drawn


def savitzky_golay(x: Numbers, y: Numbers, window: int, order: int) -> Numbers:
    """Return `y` at `x` (increasing, unevenly spaced) by local polynomials.

    Each point is the value of the polynomial that fits the `window` (odd) points around
    it best; within half a window of an end, of that end's.
    """
    count, half = len(x), window // 2
    order = min(order, window - 1)
    if count < 3:
        return y.copy()
    starts = np.clip(np.arange(count) - half, 0, count - window)
    take = starts[:, None] + np.arange(window)
    near = x[take] - x[:, None]
    size = np.maximum(np.abs(near).max(axis=1, keepdims=True), 1e-9)
    powers = (near / size)[..., None] ** np.arange(order + 1)
    normal = np.einsum("nwi,nwj->nij", powers, powers)
    right = np.einsum("nwi,nw->ni", powers, y[take])
    fitted = np.linalg.solve(normal + 1e-12 * np.eye(order + 1), right[..., None])
    return np.asarray(fitted[:, 0, 0])


def _odd(count: int) -> int:
    return count if count % 2 else max(count - 1, 1)
