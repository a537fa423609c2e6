"""Frame queue of a run: uncertain frames to label, with the reason of each, at most some per hour.

It is read from the recorded tables after the run, so a run pays nothing for it. A frame is
uncertain when a confidence is low, a point jumps, `[Tracking]` rejected a point, or an identity
is ambiguous.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.uncertain_frames import uncertainty
from deeplabstream.recording.cell_formats import parse_flags
from deeplabstream.recording.recorded_frames import RecordedFrames, recorded_parts
from deeplabstream.recording.run_opening import open_run_folder

PER_HOUR = 12
"""Frames of each hour, unless another number is given."""
APART_S = 2.0
"""Queued frames are at least this far apart: neighbours look alike."""
REJECTED = ("jump", "bone")
"""Flags of points that `[Tracking]` rejected."""
AMBIGUOUS = ("doubt", "stray", "exchanged")
"""Beginnings of the flags of animals with an ambiguous or corrected identity."""
HALF = 0.5
"""Confidence below which a point is uncertain, where the run names no threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class QueuedFrames:
    """Uncertain frames of one video of a run."""

    video: Path
    rows: NDArray[np.int64]
    """The most uncertain first."""
    times_s: NDArray[np.float64]
    """(row,) seconds since Start Stream."""
    reasons: tuple[str, ...]


def queued_frames(run: Path, per_hour: int = PER_HOUR) -> Iterator[QueuedFrames]:
    """Yield the uncertain frames of each video of a run, at most `per_hour` in an hour.

    DeepLabStreamError: no video of the run shows frames with poses.
    """
    folder = open_run_folder(run, lambda told: None)
    threshold = float((folder.facts["model"] or {}).get("threshold") or HALF)
    found = False
    for _, part in recorded_parts(folder):
        frames = part.of_video(part.video.name).of_analysis()
        if not len(frames):
            continue
        found = True
        rows = frames.rows["video_frame"].to_numpy(np.int64)
        doubt, reasons = _doubts(frames, rows, threshold)
        chosen = queue(frames.times_s, doubt, per_hour)
        yield QueuedFrames(
            part.video,
            rows[chosen],
            frames.times_s[chosen],
            tuple(reasons[place] for place in chosen.tolist()),
        )
    if not found:
        raise DeepLabStreamError(
            f"{run} contains no video with poses of its frames: record a video to label them"
        )


def queue(
    times_s: NDArray[np.float64], doubt: NDArray[np.float64], per_hour: int
) -> NDArray[np.int64]:
    """Return the places of the most uncertain frames, the most uncertain first.

    Parameters
    ----------
    times_s : numpy.ndarray of float64, shape (frame,)
        In seconds, increasing.
    doubt : numpy.ndarray of float64, shape (frame,)
        0: not uncertain, never queued.
    per_hour : int
        Most frames of each hour since the first one.

    Returns
    -------
    numpy.ndarray of int64
        None is nearer than `APART_S` to another.
    """
    hours = 1 + int((times_s[-1] - times_s[0]) // 3600) if len(times_s) else 0
    most = hours * per_hour
    taken: list[int] = []
    counts: dict[int, int] = {}
    for place in np.argsort(-doubt, kind="stable").tolist():
        if not doubt[place] > 0:
            break
        hour = int((times_s[place] - times_s[0]) // 3600)
        near = any(abs(times_s[place] - times_s[other]) < APART_S for other in taken)
        if counts.get(hour, 0) < per_hour and not near:
            counts[hour] = counts.get(hour, 0) + 1
            taken.append(place)
        if len(taken) == most:
            break
    return np.array(taken, np.int64)


def _doubts(
    frames: RecordedFrames, rows: NDArray[np.int64], threshold: float
) -> tuple[NDArray[np.float64], list[str]]:
    """Return (frame,) doubt, 0 where there is no reason; and the reasons."""
    poses, flat = frames.poses, (len(rows), -1)
    points = poses.points.reshape(*flat, 2)
    sure = np.nan_to_num(poses.confidence.reshape(flat))
    lack = 1.0 - np.clip(sure, 0, 1).mean(axis=1)
    jumps = uncertainty(points, sure, rows) - lack
    low = (sure < threshold).mean(axis=1)
    names = _point_names(frames)
    doubt, reasons = np.zeros(len(rows)), []
    for place, cell in enumerate(frames.rows["flags"].tolist()):
        flags = parse_flags(cell)
        rejected = [
            name for name, flag in flags.items() if {*flag.split("+")} & {*REJECTED}
        ]
        ambiguous = any(flag.startswith(AMBIGUOUS) for flag in flags.values())
        told = []
        if low[place]:
            worst = int(sure[place].argmin())
            told.append(f"{names[worst]} has confidence {sure[place, worst]:.2f}")
        if jumps[place] > 0:
            told.append("points jump")
        if rejected:
            told.append(f"[Tracking] rejected {', '.join(rejected)}")
        if ambiguous:
            told.append("an identity is ambiguous")
        if told:
            share = min(1.0, len(rejected) / len(names))
            doubt[place] = lack[place] + jumps[place] + share + ambiguous
        reasons.append("; ".join(told))
    return doubt, reasons


def _point_names(frames: RecordedFrames) -> Sequence[str]:
    animals, parts = frames.skeleton.animals, frames.skeleton.bodyparts
    if len(animals) < 2:
        return parts
    return [f"{animal} {part}" for animal in animals for part in parts]
