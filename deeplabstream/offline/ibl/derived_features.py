"""Features of one camera's poses, written as ALF files, and checks of their quality."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.ibl.alf import CameraFiles, save_array
from deeplabstream.offline.ibl.pipeline import Pipeline
from deeplabstream.offline.ibl.pose_signals import (
    licks,
    likely,
    pupil_diameter,
    smooth_diameter,
    speed,
)
from deeplabstream.offline.ibl.pupil import SIDES
from deeplabstream.offline.ibl.quality import Outcome, pose_checks, pupil_checks

if TYPE_CHECKING:
    from pandas import DataFrame

Numbers = NDArray[np.float64]
WINDOWS = {"left": 31, "right": 75}
"""Frames of the pupil's filter: about half a second."""
_PAWS = ("paw_l", "paw_r")
_TONGUE = ("tongue_end_l_x", "tongue_end_r_x")
_log = logging.getLogger("offline")


def derive(
    files: CameraFiles,
    poses: Path,
    times_s: Numbers | None,
    rate: float,
    plan: Pipeline,
) -> tuple[list[Path], dict[str, Outcome]]:
    """Write pupil diameters and paws' speeds, as far as there are pupils and paws.

    Without a file of times the video's rate counts. Returns the files written, and checks.
    """
    import pandas as pd

    table = pd.read_parquet(poses)
    sure = likely(table, plan.general.likelihood)
    checks = pose_checks(files.camera, sure, times_s)
    columns: dict[str, Numbers] = {}
    if all(f"pupil_{side}_r_x" in table for side in SIDES):
        raw = pupil_diameter(sure)
        smooth = np.full(len(raw), np.nan)
        if "pupil_top_r_x_ens_median" in table:
            raw = pupil_diameter(_medians(table, plan.general.likelihood))
            smooth = pupil_diameter(table)
        else:
            window = WINDOWS.get(files.camera, int(rate / 2) | 1)
            try:
                smooth = smooth_diameter(raw, rate, window)
            except DeepLabStreamError as error:
                _log.warning("%s: %s", files.camera, error)
        columns |= {"pupilDiameter_raw": raw, "pupilDiameter_smooth": smooth}
        checks |= pupil_checks(files.camera, raw, smooth)
    times = np.arange(len(table)) / rate if times_s is None else times_s
    scale = 2.0 if files.camera == "left" else 1.0
    for paw in _PAWS:
        if f"{paw}_x" in table and len(table) > 1:
            columns[f"{paw}_speed"] = speed(sure, times, paw, scale)
    if not columns:
        return [], checks
    with atomic_file(files.features) as making:
        pd.DataFrame(columns).to_parquet(making)
    return [files.features], checks


def lick_times(session: Path, cameras: Sequence[str], plan: Pipeline) -> list[Path]:
    """Write the times of licks that any camera detected, s, sorted; empty without a tongue."""
    import pandas as pd

    found: list[Numbers] = []
    for camera in cameras:
        files = CameraFiles(session, camera)
        poses = files.poses(plan.general.attribute)
        if not poses.is_file():
            continue
        table = pd.read_parquet(poses)
        if not set(_TONGUE) <= set(table):
            continue
        times = files.times_for(len(table))
        if times is None:
            _log.warning(
                "%s: no licks, because %s is missing", camera, files.times.name
            )
            continue
        found.append(times[licks(likely(table, plan.general.likelihood))])
    if not found:
        return []
    path = session / "alf/licks.times.npy"
    save_array(path, np.sort(np.concatenate(found)))
    return [path]


def _medians(table: "DataFrame", likelihood: float) -> "DataFrame":
    """Return the networks' medians instead of the smoothed points."""
    found = table.copy()
    for name in table:
        if str(name).endswith("_ens_median"):
            found[str(name).removesuffix("_ens_median")] = table[name]
    return likely(found, likelihood)
