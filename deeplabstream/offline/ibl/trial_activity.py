"""What an animal did around the events of its trials, averaged over them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.numpy_files import read_array
from deeplabstream.offline.ibl.alf import CameraFiles

Numbers = NDArray[np.float64]

WHEEL_HZ = 100
"""At which a wheel's velocity is computed."""
_FEATURES = ("pupilDiameter_smooth", "paw_r_speed", "paw_l_speed")


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """A number over a session."""

    name: str
    unit: str
    times_s: Numbers
    values: Numbers
    """(time,); NaN: not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """One signal around an event of all trials."""

    offsets_s: Numbers
    """(offset,) from the event."""
    trials: Numbers
    """(trial, offset); NaN: not known."""

    @property
    def mean(self) -> Numbers:
        """(offset,) over the trials that are known there."""
        known = np.isfinite(self.trials)
        total = np.where(known, self.trials, 0).sum(axis=0)
        count = known.sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    @property
    def error(self) -> Numbers:
        """(offset,) standard error of the mean; NaN with fewer than two trials."""
        known = np.isfinite(self.trials)
        count = known.sum(axis=0)
        off = np.where(known, self.trials - self.mean, 0)
        variance = (off**2).sum(axis=0) / np.maximum(count - 1, 1)
        return np.where(count > 1, np.sqrt(variance / np.maximum(count, 1)), np.nan)


def around(
    signal: Signal, events_s: Numbers, before_s: float, after_s: float, rate: float = 50
) -> Around:
    """Return a signal around each event that has a time, linearly between its samples.

    NaN where one of the two samples is not known, and outside of the session.
    """
    offsets = np.arange(-round(before_s * rate), round(after_s * rate) + 1) / rate
    events = events_s[np.isfinite(events_s)]
    wanted = events[:, None] + offsets
    known = np.isfinite(signal.values)
    if known.sum() < 2:
        return Around(offsets, np.full(wanted.shape, np.nan))
    times = signal.times_s
    filled = np.interp(times, times[known], signal.values[known])
    values = np.interp(wanted, times, filled, np.nan, np.nan)
    unknown = np.interp(wanted, times, (~known).astype(float), 1.0, 1.0)
    return Around(offsets, np.where(unknown > 0, np.nan, values))


def signals(session: Path) -> Iterator[Signal]:
    """Yield what the ALF files of a session tell over time."""
    import pandas as pd

    alf = session / "alf"
    for path in sorted(alf.glob("_ibl_*Camera.times.npy")):
        camera = path.name.removeprefix("_ibl_").removesuffix("Camera.times.npy")
        files, all_times = CameraFiles(session, camera), _loaded(path)
        if files.features.is_file():
            table = pd.read_parquet(files.features)
            times = _last(all_times, len(table), files.features)
            for name in _FEATURES:
                if name in table:
                    unit = "px/s" if name.endswith("speed") else "px"
                    values = table[name].to_numpy(np.float64)
                    yield Signal(f"{camera} {name}", unit, times, values)
        if files.motion_energy.is_file():
            energy = _loaded(files.motion_energy)
            times = _last(all_times, len(energy), files.motion_energy)
            yield Signal(f"{camera} motion energy", "grey levels", times, energy)
    yield from _wheel(alf)
    licks = alf / "licks.times.npy"
    if licks.is_file() and len(times_s := _loaded(licks)):
        edges = np.arange(times_s.min() - 1, times_s.max() + 1, 0.05)
        rate = np.histogram(times_s, edges)[0] / 0.05
        yield Signal("lick frames", "1/s", (edges[:-1] + edges[1:]) / 2, rate)


def _wheel(alf: Path) -> Iterator[Signal]:
    found = sorted(alf.glob("**/_ibl_wheel.position.npy"))
    if not found:
        return
    position = _loaded(found[0])
    stamps = _loaded(found[0].with_name("_ibl_wheel.timestamps.npy"))
    if len(position) != len(stamps) or len(position) < 2:
        raise DeepLabStreamError(f"{found[0]} and its timestamps do not match")
    times = np.arange(stamps[0], stamps[-1], 1 / WHEEL_HZ)
    velocity = np.gradient(np.interp(times, stamps, position)) * WHEEL_HZ
    yield Signal("wheel velocity", "rad/s", times, velocity)


def _loaded(path: Path) -> Numbers:
    try:
        return read_array(path).astype(np.float64)
    except (OSError, ValueError) as error:
        raise DeepLabStreamError(f"Can't read {path}: {error}") from error


def _last(times: Numbers, rows: int, path: Path) -> Numbers:
    if len(times) < rows:
        raise DeepLabStreamError(f"{path} has {rows} rows, but {len(times)} times")
    return times[len(times) - rows :]
