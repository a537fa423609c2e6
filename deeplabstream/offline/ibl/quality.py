"""Checks of one camera's poses, times and images: PASS, WARNING or FAIL.

Rules and limits are the International Brain Laboratory's (ibllib 4.0.0: qc/dlc.py,
qc/camera.py), those that need only poses, times and images.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.offline.ibl.pipeline import CameraPlan
from deeplabstream.offline.ibl.pose_signals import signal_to_noise

if TYPE_CHECKING:
    from pandas import DataFrame

Outcome: TypeAlias = Literal["PASS", "WARNING", "FAIL", "NOT_SET"]
Numbers = NDArray[np.float64]

_BOXES = {
    "body": (201, 499, 81, 329),
    "left": (301, 699, 181, 469),
    "right": (301, 599, 110, 274),
}
"""x from, x to, y from, y to: where the mean of all points should be."""


def pose_checks(
    camera: str, poses: "DataFrame", times_s: Numbers | None
) -> dict[str, Outcome]:
    """Return the outcomes of the poses, which have NaN where the likelihood is low."""
    x = [name for name in poses if str(name).endswith("_x")]
    y = [f"{str(name)[:-2]}_y" for name in x]
    seen = [name for name in x if "tube" not in str(name)]
    checks: dict[str, Outcome] = {
        "time_trace_length_match": "NOT_SET"
        if times_s is None
        else _fails(len(times_s) != len(poses)),
        "trace_all_nan": _fails(any(poses[name].isna().all() for name in seen)),
    }
    if camera in _BOXES:
        left, right, top, bottom = _BOXES[camera]
        middle = _mean(poses[x].to_numpy()), _mean(poses[y].to_numpy())
        inside = left <= middle[0] <= right and top <= middle[1] <= bottom
        checks["mean_in_bbox"] = _fails(not inside)
    tongue = ["tongue_end_l_x", "tongue_end_r_x"]
    if set(tongue) <= set(poses):
        always = all(poses[name].isna().mean() < 0.1 for name in tongue)
        checks["lick_detection"] = _fails(always)
    return checks


def pupil_checks(camera: str, raw: Numbers, smooth: Numbers) -> dict[str, Outcome]:
    """Return the checks of the pupil's diameter."""
    most, limit = (10, 10) if camera == "left" else (5, 5)
    blocked = np.mean(np.isnan(raw)) > 0.9 or np.nanstd(smooth) > most
    ratio = signal_to_noise(raw, smooth)
    return {
        "pupil_blocked": _fails(bool(blocked)),
        "pupil_diameter_snr": _fails(not ratio >= limit),
    }


def image_checks(images: Sequence[Image]) -> dict[str, Outcome]:
    """Return checks of light and focus on about a hundred images."""
    import cv2

    grey = [
        image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        for image in images
    ]
    if not grey:
        return {"brightness": "NOT_SET", "focus": "NOT_SET"}
    light = np.array([float(np.mean(image)) for image in grey])
    within = np.mean((light > 40) & (light < 200)) >= 0.75 and np.std(light) < 20
    sharp = [float(cv2.Laplacian(image, cv2.CV_64F).var()) for image in grey]
    return {
        "brightness": _fails(not within),
        "focus": _fails(not np.mean(np.array(sharp) > 100) >= 0.5),
    }


def video_checks(
    plan: CameraPlan, size: tuple[int, int], rate: float, times_s: Numbers | None
) -> dict[str, Outcome]:
    """Return the checks of size, rate and times; `size` is (width, height)."""
    checks: dict[str, Outcome] = {
        "resolution": _fails(size != plan.size),
        "file_rate": _fails(abs(rate - plan.rate) >= 1),
        "framerate": "NOT_SET",
        "timestamps": "NOT_SET",
        "dropped_frames": "NOT_SET",
    }
    if times_s is not None and len(times_s) > 1:
        between = np.diff(times_s)
        usual = float(np.median(between))
        checks["framerate"] = _fails(not abs(1 / usual - plan.rate) < 1)
        good = bool(np.isfinite(times_s).all() and (between > 0).all())
        checks["timestamps"] = _fails(not good)
        dropped = float(np.sum(np.maximum(np.round(between / usual) - 1, 0)))
        checks["dropped_frames"] = _fails(not dropped / len(times_s) < 0.001)
    return checks


def overall(checks: dict[str, Outcome]) -> Outcome:
    """Return the worst outcome; pupil_diameter_snr does not count, as with IBL."""
    counted = {check for name, check in checks.items() if name != "pupil_diameter_snr"}
    for outcome in ("FAIL", "WARNING", "PASS"):
        if outcome in counted:
            return outcome
    return "NOT_SET"


def _fails(wrong: bool) -> Outcome:
    return "FAIL" if wrong else "PASS"


def _mean(values: Numbers) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
