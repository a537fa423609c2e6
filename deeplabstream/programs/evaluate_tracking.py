"""Compare the identities of tracked animals with true ones: HOTA, IDF1, identity switches.

    python utils/EvaluateTracking.py output/RUN --truth output/RUN
    python utils/EvaluateTracking.py ours.csv theirs.slp --truth proofread.slp
    python utils/EvaluateTracking.py mouse.csv --truth mouse_pose_est_v5.h5 --frames 900 1799

Tracks and truth are run folders, or files of poses of this program, DeepLabCut, Lightning Pose,
SLEAP or JABS. A run that is evaluated is as it was recorded; as truth it has its corrections.
Frame n of a run is frame n of its video. Frames without an animal in the truth are left out.
TrackEval 1.3.0 computes HOTA, DetA, AssA (means over similarities of 0.05 to 0.95), IDF1, IDP,
IDR and identity switches (at a similarity of 0.5). Similarity of two animals: the mean of
exp(-d² / (2 (t L)²)) over the true body parts; d: distance of a body part in px (one that was
not found counts as 0), t: --tolerance, L: length of an animal. `known identity`: without animals
whose identity was ambiguous.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.core.visible_text import visible
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.tracking_evaluation import (
    TOLERANCE,
    TrackingEvaluation,
    TrackingScores,
    evaluate_tracking,
)
from deeplabstream.offline.video_identity import with_identity
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.recorded_frames import analysed_cameras, read_frames
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.settings.option_fields import option, program_options

_HEAD = (
    f"{'':<40} {'frames':>7} {'HOTA':>6} {'DetA':>6} {'AssA':>6} {'IDF1':>6} "
    f"{'IDP':>6} {'IDR':>6} {'switches':>9}"
)
_WIDEST = 40


@program_options
class EvaluateTracking:
    """Tracks, the true ones, and how they are compared."""

    tracks: tuple[Path, ...] = option(positional=True, metavar="TRACKS")
    """Run folders, or files of poses with named animals: .csv, .h5, .slp or .parquet."""
    truth: Path = option(metavar="TRUTH")
    """Run folder or file with the true tracks."""
    camera: str = option(default="")
    """Camera, if a run has several."""
    threshold: float | None = option(default=None, ge=0, le=1)
    """Confidence below which a tracked point counts as not found; default: the run's, 0 for
    files."""
    frames: tuple[int, int] | None = option(default=None, metavar=("FIRST", "LAST"))
    """First and last frame to compare; default: all."""
    tolerance: float = option(default=TOLERANCE, gt=0, le=1)
    """Distance, in animal lengths, at which the similarity of a point is 0.61."""
    length_px: float | None = option(default=None, gt=0, metavar="PX")
    """Length of an animal; default: median largest distance of two of its true points."""
    json: Path | None = option(default=None, metavar="FILE")
    """File for all figures."""
    overwrite: bool = overwrite()


def evaluate(options: EvaluateTracking) -> int:
    """Print a line for each file of tracks, two where it says whose identity was known."""
    check_free([options.json], options.overwrite)
    check_packages("EvaluateTracking", ["trackeval"])  # before files are read for long
    truth = _read(options.truth, options.camera, None, corrected=True)

    rows = []
    print(_HEAD)
    for path in options.tracks:
        tracked = _read(path, options.camera, options.threshold, corrected=False)
        found = evaluate_tracking(
            tracked, truth, options.tolerance, options.length_px, options.frames
        )
        for line in _lines(path, found):
            print(visible(line))
        rows.append({"tracks": str(path), **asdict(found)})

    print(
        f"similarity: t = {options.tolerance:g}, L = {found.length_px:.1f} px, "
        f"body parts: {', '.join(found.bodyparts)}"
    )
    if options.json:
        written = {"truth": str(options.truth), "tolerance": options.tolerance}
        write_json(options.json, {**written, "rows": rows})
    return 0


def _lines(path: Path, found: TrackingEvaluation) -> Iterator[str]:
    yield _line(path.name, found.all)
    if found.known is not None:
        yield _line("  known identity", found.known)


def _line(name: str, scores: TrackingScores) -> str:
    shares = (
        f"{share:>6.3f}"
        for share in (
            *(scores.hota, scores.deta, scores.assa),
            *(scores.idf1, scores.idp, scores.idr),
        )
    )
    return (
        f"{name[:_WIDEST]:<{_WIDEST}} {scores.frames:>7} {' '.join(shares)} "
        f"{scores.switches:>9}"
    )


def _read(
    path: Path, camera: str, threshold: float | None, corrected: bool
) -> PoseTable:
    """Return the poses of a run folder or a file, without points below the threshold."""
    if path.is_dir():
        folder = open_run_folder(path, print)
        table = _run_poses(RunFolder(path, corrected=corrected), camera)
        if threshold is None:
            threshold = folder.thresholds.of(table.camera)
    else:
        table = with_identity(read_poses(path))
    return replace(table, points=table.seen(threshold or 0.0))


def _run_poses(folder: RunFolder, camera: str) -> PoseTable:
    """Return the poses of a camera; of a recorded one by the frames of its video."""
    cameras = analysed_cameras(folder)
    if camera not in cameras and (camera or len(cameras) != 1):
        which = f"no poses of the camera {camera}" if camera else "no single camera"
        raise DeepLabStreamError(
            f"{folder.path} has {which}; name one with --camera: {', '.join(cameras)}"
        )

    recorded = read_frames(folder, camera or cameras[0])
    videos = [str(name) for name in recorded.rows["video"].unique() if name]
    if len(videos) != 1:
        return recorded.poses
    of_video = recorded.of_video(videos[0])
    numbers = of_video.rows["video_frame"].to_numpy(np.int64)
    return replace(of_video.poses, frames=numbers)


PROGRAM = Program(EvaluateTracking, evaluate, __doc__, "EvaluateTracking")
