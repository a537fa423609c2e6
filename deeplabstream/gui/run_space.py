"""Run space: the points in space of a finished run, at any of its times."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.core.pose import Skeleton
from deeplabstream.gui.space_scene import (
    TRAIL_POINTS,
    SpaceMoment,
    SpaceScene,
    centre_of,
    read_scene,
)
from deeplabstream.gui.widgets.frame_overlay import TRAIL_NS
from deeplabstream.recording.moment_table import read_points
from deeplabstream.recording.run_review import Review
from deeplabstream.settings.loading import parse


@dataclass(frozen=True, slots=True, eq=False)
class RunSpace:
    """Moments of a run, with the calibration that it was recorded with."""

    path: Path
    """The run folder."""
    scene: SpaceScene
    skeleton: Skeleton
    t: NDArray[np.float64]
    """(moment,): seconds since Start Stream, increasing."""
    points: NDArray[np.float64]
    """(moment, body part, 3), mm; NaN: not known."""

    def moment_at(
        self, time_s: float, answers: Mapping[str, bool | None]
    ) -> SpaceMoment | None:
        """Return the moment of a frame; None: there is none within half a period."""
        if not len(self.t):
            return None
        period_s = float(np.median(np.diff(self.t))) if len(self.t) > 1 else 0.0
        place = int(np.abs(self.t - time_s).argmin())
        if abs(self.t[place] - time_s) > period_s / 2:
            return None
        first = int(np.searchsorted(self.t, self.t[place] - TRAIL_NS / 1e9))
        step = 1 + (place - first) // TRAIL_POINTS
        trail = tuple(
            centre_of(self.points[row]) for row in range(place, first - 1, -step)
        )
        return SpaceMoment(
            self.skeleton,
            round(float(self.t[place]) * 1e9),
            self.points[place],
            answers,
            trail[::-1],
        )


@dataclass(frozen=True, slots=True)
class UnreadableSpace:
    """Why the points in space of a run can't be shown."""

    path: Path
    """The run folder."""
    reason: str


def read_run_space(run: Review) -> RunSpace | UnreadableSpace | None:
    """Read the points in space of a run; None: it has none."""
    folder = run.folder
    if not folder.moments_path.exists():
        return None
    try:
        scene = read_scene(parse(folder.settings_text, folder.path))
        found = read_points(folder.moments_path, run.skeleton.bodyparts)
    except SettingsError as error:
        about = [it for it in error.problems if it.startswith("[Space]")]
        return UnreadableSpace(folder.path, (about or error.problems)[0])
    except (DeepLabStreamError, OSError, ValueError) as error:
        return UnreadableSpace(folder.path, str(error))
    if found is None:
        return None
    return RunSpace(folder.path, scene, run.skeleton, found.t, found.points)
