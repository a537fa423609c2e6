"""Measure a run and print [Tracking] limits that reject what never occurred in it."""

import sys
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.offline.run_import import settings_of
from deeplabstream.pose.filters.edge_lengths import FEWEST, WIDER, measured_edges
from deeplabstream.programs.program import Program
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.settings.option_fields import option, program_options

FASTER = 2.0
"""Margin of the speed, as a factor."""


@program_options
class LearnTracking:
    """A run with good tracking."""

    run: Path = option(positional=True)
    """Run folder with good tracking."""
    camera: str = option(default="")
    """Camera, if the run has several."""
    unit: Literal["px", "mm"] = option(default="px")
    """Unit of the lines."""


def learn_tracking(options: LearnTracking) -> int:
    """Print the lines of the section [Tracking]."""
    folder = open_run_folder(options.run, lambda text: print(text, file=sys.stderr))
    print("\n".join(_lines(folder, options.camera, options.unit)))
    return 0


def _lines(folder: RunFolder, camera: str, unit: str) -> list[str]:
    try:
        rig = settings_of(folder)
    except SettingsError as error:
        raise DeepLabStreamError(f"{folder.path} can't be used: {error}") from error
    camera = camera or rig.deciding_camera
    if not folder.table_path(camera).exists():
        raise DeepLabStreamError(f"{folder.path} has no poses of the camera {camera}")
    threshold = folder.thresholds.of(camera)
    steps = list(folder.steps(camera))
    unseen = f"no edge is visible in {FEWEST} frames of {folder.path} ({camera})"
    if not steps:
        raise DeepLabStreamError(unseen)
    points = np.array([step.pose.seen(threshold).points for step in steps], np.float64)
    if unit == "mm":
        if camera not in rig.calibrations:
            raise DeepLabStreamError(
                f"[Camera {camera}] has no MM_PER_PIXEL and no MARKS"
            )
        points = rig.calibrations[camera].to_mm(points)
    times_s = np.array([step.exposed_ns for step in steps]) / 1e9
    edges = measured_edges(folder.skeleton, points)
    if not edges:
        raise DeepLabStreamError(unseen)
    return [
        f"# measured on {len(steps)} frames of {folder.path.name}: edge lengths "
        f"of 0.5 to 99.5 % of the frames, {WIDER:.0%} wider; 99.5 % speed times "
        f"{FASTER:g}",
        "[Tracking]",
        f"UNIT = {unit}",
        f"BONES = {', '.join(map(str, edges))}",
        f"MAX_SPEED = {_fastest(points, times_s):.3g}",
    ]


def _fastest(points: NDArray[np.float64], times_s: NDArray[np.float64]) -> float:
    """Return a speed that no body part reaches; of frames that follow each other soon."""
    steps_s = np.diff(times_s)
    speeds = np.linalg.norm(np.diff(points, axis=0), axis=-1) / steps_s[:, None, None]
    speeds = speeds[steps_s <= 2 * np.median(steps_s)]
    return FASTER * float(np.nanpercentile(speeds, 99.5))


PROGRAM = Program(LearnTracking, learn_tracking, __doc__, "LearnTracking")
