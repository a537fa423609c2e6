"""Camera skew: time differences between the frames of two cameras."""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.frame_accounts import FrameCounts
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.table_reader import video_table


def skew_ms(one_ns: NDArray[np.int64], other_ns: NDArray[np.int64]) -> dict[str, float]:
    """Return percentiles of the time to the nearest frame of the other camera.

    Parameters
    ----------
    one_ns, other_ns : numpy.ndarray of int64, shape (n,) and (m,)
        Times of exposure, growing.

    Returns
    -------
    dict of str to float
        `p50`, `p95` and `max` in ms, over the frames of the camera with fewer frames in the
        time that both cover. Empty when they do not overlap.
    """
    few, many = sorted((one_ns, other_ns), key=len)
    if not len(few):
        return {}
    few = few[(few >= many[0]) & (few <= many[-1])]
    if not len(few):
        return {}
    after = np.searchsorted(many, few).clip(1, max(1, len(many) - 1))
    before = many[after - 1]
    after_ns = many[after.clip(max=len(many) - 1)]
    apart = np.minimum(np.abs(few - before), np.abs(after_ns - few)) / 1e6
    return percentiles_ms(apart)


def percentiles_ms(times_ms: NDArray[np.float64]) -> dict[str, float]:
    """Return `p50`, `p95` and `max` of times in ms, (n,), as `run.json` holds them; n >= 1."""
    p50, p95 = np.percentile(times_ms, [50, 95]).tolist()
    return {
        "p50": round(p50, 4),
        "p95": round(p95, 4),
        "max": round(float(times_ms.max()), 4),
    }


def recorded_skews(
    folder: RunFolder, accounts: Iterable[FrameCounts]
) -> list[dict[str, object]]:
    """Return the skew of each pair of recorded cameras, as `run.json` holds it."""
    tables: dict[str, list[str]] = {}
    for account in accounts:
        names = [name for name in account.files if name.endswith(".frames.csv")]
        tables.setdefault(account.camera, []).extend(names)
    times = {
        camera: np.sort(np.concatenate([_exposed(folder, name) for name in names]))
        for camera, names in tables.items()
        if names
    }

    # Cameras without a common time have no skew.
    skews = [
        (pair, skew_ms(*(times[c] for c in pair))) for pair in combinations(times, 2)
    ]
    return [{"cameras": list(pair), "ms": ms} for pair, ms in skews if ms]


def _exposed(folder: RunFolder, name: str) -> NDArray[np.int64]:
    table = video_table(folder.path / name)
    return np.array([cell for (cell,) in table.select("exposed_ns")], np.int64)
