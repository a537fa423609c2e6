r"""Points in space from the poses of several calibrated cameras, with the error of each.

    python utils/TriangulatePoses.py calibration.toml output/RUN
    python utils/TriangulatePoses.py calibration.toml left.csv right.csv top.csv --fps 100
    python utils/TriangulatePoses.py label3d.mat a.slp b.slp --cameras Camera1 Camera2

POSES are a run, or a file of each camera: of this program, DeepLabCut, Lightning Pose, SLEAP or
JABS. Files are of the camera whose name they contain. Frames of a run are matched by the numbers of
their exposure pulses, else by their times of exposure within half a period; those of files by
frame number. A point needs two views that agree, and a majority of those that saw it; views are
weighted by confidence. Points in mm, in the axes of the calibration, go to NAME.csv with errors,
to NAME.anipose.csv for Anipose and movement, and the figures to NAME.json.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.visible_text import visible
from deeplabstream.files.atomic_replace import atomic_file, write_json
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.space_poses import (
    CameraPoses,
    SpacePoses,
    read_camera_poses,
    space_poses,
)
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import (
    TABLE_FILTER,
    calibration,
    length_unit,
    overwrite,
)
from deeplabstream.recording.calibrations.calibration_file import (
    read_calibration,
    read_stored,
)
from deeplabstream.recording.space_table import SPACE_WRITERS
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.space.triangulation import LIMIT_PX, NOISE_PX

NAME = "poses3d"
"""Name of the files, without ending."""
_MANY = 0.1
"""Share of rejected views of a camera above which a warning is printed."""


@program_options
class TriangulatePoses:
    """A calibration, the poses of its cameras, and how they are triangulated."""

    calibration: Path = calibration()
    poses: tuple[Path, ...] = option(
        positional=True,
        title="Poses",
        metavar="POSES",
        filter=TABLE_FILTER,
        folders=True,
    )
    """Run folder, or a file of poses of each camera."""
    cameras: tuple[str, ...] = option(default=(), title="Cameras", metavar="NAME")
    """Calibrated cameras in the order of the files or of the run's cameras; default: by
    name."""
    output: Path | None = option(
        default=None, title="Output", metavar="FILE", editor="save"
    )
    """Table to write; default: poses3d.csv in export/ of the run, or beside the first
    file."""
    unit: str = length_unit()
    animal: str = option(default="", title="Animal", metavar="NAME")
    """Animal, if the poses have several."""
    threshold: float | None = option(default=None, ge=0, le=1, title="Threshold")
    """Confidence below which a point does not count; default: the run's, of SLEAP 0, else
    0.6."""
    reject_px: float = option(
        default=LIMIT_PX, gt=0, le=1000, title="Largest distance", metavar="PX"
    )
    """Distance in px of a view from the point's projection above which it is rejected."""
    noise_px: float = option(
        default=NOISE_PX, gt=0, le=100, title="Noise", metavar="PX", advanced=True
    )
    """Smallest noise of a view in px, for the errors."""
    fps: float | None = option(default=None, gt=0, lt=1e6, title="Frames per second")
    """Frames per second of files, for the times; default: no times."""
    overwrite: bool = overwrite()


def triangulate_poses(options: TriangulatePoses) -> int:
    """Write the tables of points in space and print a summary."""
    table_file = _output(options)
    files = {kind: table_file.with_suffix(f".{kind}") for kind in SPACE_WRITERS}
    figures_file = table_file.with_suffix(".json")
    check_free([*files.values(), figures_file], options.overwrite)

    known = [camera.name for camera in read_stored(options.calibration).cameras]
    poses = read_camera_poses(
        options.poses, known, options.cameras, options.animal, options.threshold, print
    )
    cameras = read_calibration(options.calibration, options.unit, poses.names)
    for note in poses.notes:
        print(visible(note))
    found = space_poses(cameras, poses, options.reject_px, options.noise_px)
    table = found.table
    if options.fps is not None and poses.matched_by == "frame numbers":
        table = replace(table, times_s=table.frames / options.fps)

    for line in _summary(found, poses):
        print(visible(line))
    try:
        for kind, file in files.items():
            with atomic_file(file) as draft:
                SPACE_WRITERS[kind](table, draft)
            print(file)
    except OSError as error:
        raise DeepLabStreamError(
            f"Can't write {error.filename or table_file}: {error.strerror or error}"
        ) from error
    write_json(figures_file, _figures(options, found, poses))
    print(figures_file)
    return 0


def _output(options: TriangulatePoses) -> Path:
    if options.output is not None:
        if options.output.suffix.lower() != ".csv":
            raise DeepLabStreamError(
                f"--output {options.output}: name a file that ends with .csv"
            )
        return options.output
    first = options.poses[0]
    folder = first / "export" if first.is_dir() else first.parent
    return folder / f"{NAME}.csv"


def _summary(found: SpacePoses, poses: CameraPoses) -> list[str]:
    """Return lines about the points, the cameras and the errors."""
    table, points = found.table, found.found
    known = np.asarray(np.isfinite(table.points).all(axis=-1))
    lines = [
        f"{len(table)} moments, matched by {poses.matched_by}; {len(table.bodyparts)} body "
        f"parts: {known.sum()} of {known.size} points ({known.mean():.1%}) are known",
        f"{'camera':<16} {'seen':>8} {'used':>8} {'rejected':>9} "
        f"{'left-out error, px: median':>27} {'95 %':>7}",
    ]
    for camera, name in enumerate(table.cameras):
        seen, used = points.seen[camera], points.used[camera]
        rejected = int((seen & ~used & known).sum())
        median, most = _percentiles(points.left_out_px[camera])
        lines.append(
            f"{name[:16]:<16} {seen.sum():>8} {used.sum():>8} {rejected:>9} "
            f"{median:>27.2f} {most:>7.2f}"
        )
    lines += _rejections(found, known)
    median, most = _percentiles(table.error_mm)
    lines.append(f"standard error: median {median:.2f} mm, 95 % below {most:.2f} mm")
    median, most = _percentiles(table.left_out_mm)
    if np.isfinite(median):
        lines.append(
            "without one camera a point moves by "
            f"{median:.2f} mm (median), 95 % by less than {most:.2f} mm"
        )
    return lines


def _rejections(found: SpacePoses, known: NDArray[np.bool_]) -> list[str]:
    """Return a line for each camera with many rejected views."""
    lines = []
    for camera, name in enumerate(found.table.cameras):
        seen = found.found.seen[camera] & known
        rejected = seen & ~found.found.used[camera]
        share = rejected.sum() / max(1, seen.sum())
        if share > _MANY:
            lines.append(
                f"warning: {share:.0%} of the views of {name} do not fit those of the "
                "others. Check its calibration, and that its poses are of the same moments"
            )
    return lines


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return median and 95th percentile of what is known; NaN: nothing is."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    median, most = np.percentile(finite, [50, 95]).tolist()
    return median, most


def _figures(
    options: TriangulatePoses, found: SpacePoses, poses: CameraPoses
) -> dict[str, object]:
    """Return what the points were computed from, and their errors."""
    table, points = found.table, found.found
    known = np.isfinite(table.points).all(axis=-1)
    cameras = {}
    for camera, name in enumerate(table.cameras):
        median, most = _percentiles(points.left_out_px[camera])
        cameras[name] = {
            "poses": str(poses.tables[camera].source),
            "seen": int(points.seen[camera].sum()),
            "used": int(points.used[camera].sum()),
            "left_out_px": _rounded(median, most),
        }
    return {
        "calibration": str(options.calibration),
        "matched_by": poses.matched_by,
        "reject_px": options.reject_px,
        "noise_px": options.noise_px,
        "moments": len(table),
        "points": int(known.size),
        "known": int(known.sum()),
        "error_mm": _rounded(*_percentiles(table.error_mm)),
        "left_out_mm": _rounded(*_percentiles(table.left_out_mm)),
        "cameras": cameras,
    }


def _rounded(median: float, most: float) -> dict[str, float | None]:
    pairs = {"p50": median, "p95": most}
    return {
        name: round(value, 4) if np.isfinite(value) else None
        for name, value in pairs.items()
    }


PROGRAM = Program(TriangulatePoses, triangulate_poses, __doc__, "TriangulatePoses")
