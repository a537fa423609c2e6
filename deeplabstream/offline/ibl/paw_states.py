"""Paw states per frame: still, moving, turning the wheel, grooming.

As the International Brain Laboratory's iblvideo 3.2.0 prepares it: a paw's place and the
wheel's velocity at 60 Hz go through networks, whose mean counts. The networks themselves
(lightning-action's) are not public files that could be tried here: `network.onnx` of
each takes float32 (1, time, 3): x and y of the paw in px, wheel velocity in rad/s; and gives
(1, time, 5), the probabilities of `STATES`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.numpy_files import read_array
from deeplabstream.offline.ibl.pipeline import load_pipeline
from deeplabstream.pose.runtimes.compute_packages import package

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from pandas import DataFrame

Numbers = NDArray[np.float64]

STATES = ("background", "still", "move", "wheel_turn", "groom")
PAWS = ("paw_l", "paw_r")
HZ = 60.0
"""Rate of the networks' input; poses within `SLACK_HZ` of it are used unchanged."""
SLACK_HZ = 10.0
WHEEL_HZ = 1000.0
CUTOFF_HZ = 20.0
ORDER = 8
"""Order of the wheel's Butterworth filter, which is applied forwards and backwards."""


def lightning_action(
    pose_file: str | Path,
    pose_timestamp_file: str | Path,
    wheel_file: str | Path,
    wheel_timestamp_file: str | Path,
    ckpts_path: str | Path | None = None,
    sequence_length: int = 500,
    force: bool = False,
    remove_files: bool = True,
    *,
    pipeline: str | Path = "ibl",
) -> Path:
    """Classify the paws' states; return the table in `alf/lightningaction/`.

    `ckpts_path` holds `paw_l_networks/network-*/network.onnx`, and of `paw_r`. A row for
    each frame of the poses: `PAW_STATE`, and `PAW_STATE_ens_var` where there are several
    networks. Nothing is left to remove (`remove_files`). DeepLabStreamError names what is
    missing.
    """
    import pandas as pd

    poses, plan = Path(pose_file), load_pipeline(pipeline)
    camera = plan.camera_of(poses)
    path = poses.parent / "lightningaction" / f"_ibl_{camera}Camera.pawstates.pqt"
    if path.is_file() and not force:
        return path
    table, times = _table(poses), _array(Path(pose_timestamp_file))
    if len(times) < len(table):
        raise DeepLabStreamError(
            f"{pose_timestamp_file} has {len(times)} times, {poses.name} {len(table)} rows"
        )
    times = times[len(times) - len(table) :]
    wheel = _array(Path(wheel_file)), _array(Path(wheel_timestamp_file))
    velocity = wheel_velocity(*wheel)
    even = evenly(times)
    turning = np.interp(even, *velocity)
    width, sign = plan.cameras[camera].size[0], 1.0
    mirrored = plan.cameras[camera].flip
    columns: dict[str, Numbers] = {}
    for paw in PAWS:
        networks = _networks(ckpts_path, paw)
        x, y = (_filled(table[f"{paw}_{axis}"].to_numpy(np.float64)) for axis in "xy")
        x, sign = (width - x, -1.0) if mirrored else (x, sign)
        places = [np.interp(even, times, axis) for axis in (x, y)]
        seen = np.stack([*places, sign * turning], axis=1).astype(np.float32)
        by_network = np.stack(
            [_shares(network, seen, sequence_length) for network in networks]
        )
        for place, state in enumerate(STATES):
            shares = by_network[:, :, place]
            columns[f"{paw}_{state}"] = np.interp(times, even, shares.mean(axis=0))
            if len(networks) > 1:
                spread = shares.var(axis=0, ddof=1)
                columns[f"{paw}_{state}_ens_var"] = np.interp(times, even, spread)
    with atomic_file(path) as making:
        pd.DataFrame(columns).to_parquet(making)
    return path


def evenly(times_s: Numbers) -> Numbers:
    """Return the input times of the networks: the frames', or 60 a second."""
    if len(times_s) < 2:
        return times_s
    if abs(1 / float(np.median(np.diff(times_s))) - HZ) <= SLACK_HZ:
        return times_s
    return np.arange(times_s[0], times_s[-1], 1 / HZ)


def wheel_velocity(position: Numbers, times_s: Numbers) -> tuple[Numbers, Numbers]:
    """Return times and velocity, rad/s, of a wheel's position (rad) at any times."""
    if len(position) != len(times_s) or len(position) < 2:
        raise DeepLabStreamError(
            f"the wheel has {len(position)} positions but {len(times_s)} times"
        )
    even = np.arange(times_s[0], times_s[-1], 1 / WHEEL_HZ)
    smooth = butterworth(np.interp(even, times_s, position), CUTOFF_HZ, WHEEL_HZ, ORDER)
    return even, np.diff(smooth, prepend=smooth[:1]) * WHEEL_HZ


def butterworth(values: Numbers, cutoff: float, rate: float, order: int) -> Numbers:
    """Return `values` after a zero-phase low-pass filter.

    Its gain at each frequency is the Butterworth filter's, bilinear, squared; the ends
    are mirrored about their values.
    """
    ends = min(len(values) - 1, round(rate))
    before = 2 * values[0] - values[1 : ends + 1][::-1]
    after = 2 * values[-1] - values[-ends - 1 : -1][::-1]
    long = np.concatenate([before, values, after])
    at = np.fft.rfftfreq(len(long), 1 / rate)
    with np.errstate(over="ignore"):
        warped = np.tan(np.pi * np.minimum(at / rate, 0.4999))
        gain = 1 / (1 + (warped / np.tan(np.pi * cutoff / rate)) ** (2 * order))
    smooth = np.fft.irfft(np.fft.rfft(long) * gain, len(long))
    return np.asarray(smooth[ends : ends + len(values)])


def _networks(folder: str | Path | None, paw: str) -> "Sequence[InferenceSession]":
    ort = package("onnxruntime", "classification of paw states")
    pattern = f"{paw}_networks/network-*/network.onnx"
    files = sorted(Path(folder).glob(pattern)) if folder is not None else []
    if not files:
        where = f" in {folder}" if folder is not None else ""
        raise ModelError(
            f"no networks for paw states{where}: name a folder with {pattern} "
            "(as ckpts_path=)"
        )
    options, sessions = ort.SessionOptions(), []
    options.log_severity_level = 4
    for file in files:
        try:
            session = ort.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except (
            Exception
        ) as error:  # ONNX Runtime's exceptions have no common base class
            reason = str(error).splitlines()[0]
            raise ModelError(f"Can't load {file}: {reason}") from error
        given = session.get_inputs()[0].shape[-1], session.get_outputs()[0].shape[-1]
        if given != (3, len(STATES)):
            raise ModelError(
                f"{file} must have 3 inputs and {len(STATES)} outputs per time, "
                f"not {given[0]} and {given[1]}"
            )
        sessions.append(session)
    return sessions


def _shares(
    session: "InferenceSession", seen: NDArray[np.float32], length: int
) -> Numbers:
    """Return (time, state), piece by piece of `length`."""
    name = session.get_inputs()[0].name
    pieces = [seen[at : at + length] for at in range(0, len(seen), max(1, length))]
    scores = [
        np.asarray(session.run(None, {name: piece[None]})[0])[0] for piece in pieces
    ]
    return np.concatenate(scores).astype(np.float64)


def _filled(values: Numbers) -> Numbers:
    """Return the values with gaps filled linearly."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values))
    rows = np.arange(len(values))
    return np.asarray(np.interp(rows, rows[known], values[known]))


def _table(file: Path) -> "DataFrame":
    import pandas as pd

    try:
        table = pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise DeepLabStreamError(f"Can't read {file}: {error}") from error
    missing = [paw for paw in PAWS if f"{paw}_x" not in table]
    if missing or not len(table):
        raise DeepLabStreamError(
            f"{file} has no poses of {(missing[0] if missing else 'a frame')}"
        )
    return table


def _array(file: Path) -> Numbers:
    try:
        return np.asarray(read_array(file), np.float64)
    except (OSError, ValueError) as error:
        raise DeepLabStreamError(f"Can't read {file}: {error}") from error
