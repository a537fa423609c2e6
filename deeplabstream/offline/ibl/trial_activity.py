"""Trial-averaged activity: signals of an animal around the events of its trials."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.numpy_files import read_array
from deeplabstream.files.paths import paths_below
from deeplabstream.numerics.peri_event import Signal
from deeplabstream.offline.ibl.alf import CameraFiles

Numbers = NDArray[np.float64]

WHEEL_HZ = 100
"""Sampling rate of a wheel's velocity."""
_FEATURES = ("pupilDiameter_smooth", "paw_r_speed", "paw_l_speed")


def signals(session: Path) -> Iterator[Signal]:
    """Yield the signals in the ALF files of a session."""
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
    found = paths_below(alf, "_ibl_wheel.position.npy")
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
