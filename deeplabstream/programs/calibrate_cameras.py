"""Calibrate several cameras from videos of a ChArUco board: lenses, positions, errors in mm.

    python utils/CalibrateCameras.py left.mp4 right.mp4 top.mp4 --board 8x11 --square-mm 24
    python utils/CalibrateCameras.py left/ right/ --board 8x11 --square-mm 24 --floor 310
    python utils/CalibrateCameras.py a.mp4 b.mp4 --board 4x5 --square-mm 54 --lenses known.toml

VIDEOS are a video, or a folder of images, of each camera; images of one number are of one moment.
Cameras are called as the files, or by --names. Move the board slowly through the space where the
animal will be, near and far, tilted, so that two cameras or more see it; fix the cameras before.
PrintBoard.py makes the board; --board counts squares, --square-mm is measured on the print. A
quarter of the recording is kept back: the verdict is the error of corners and lengths on it, in mm.
A calibration is refused with the reason, and nothing is written. One that is accepted is computed
again from all of the recording. NAME.toml is aniposelib's format (ConvertCalibration.py writes
others); NAME.json has the errors, NAME.worst.png the moment with the largest one.
"""

import sys
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.core.visible_text import visible
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.camera_calibration.board_views import (
    BoardViews,
    ImageSource,
    find_board,
    open_image_folder,
)
from deeplabstream.offline.camera_calibration.calibration_verdict import (
    CalibrationVerdict,
    judge,
    lens_refusals,
    on_floor,
    refusals,
)
from deeplabstream.offline.camera_calibration.caliscope_engine import (
    PACKAGES,
    solve_cameras,
)
from deeplabstream.offline.camera_calibration.charuco_board import CharucoBoard
from deeplabstream.offline.camera_calibration.worst_moment import draw_worst
from deeplabstream.offline.video_files import VIDEO_FILTER
from deeplabstream.programs.board_options import BoardOptions, numbers_of_squares
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.recording.calibrations.aniposelib_toml import write_aniposelib
from deeplabstream.recording.calibrations.calibration_file import read_calibration
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.video.video_reader import open_video

REFUSED = 1
"""Exit status after a refusal."""
_WIDTH_TOLERANCE = 0.01
"""Largest difference of the board's measured width from that of its squares, as a share."""


@program_options
class CalibrateCameras(BoardOptions):
    """Videos of a board, the board, and what is written."""

    videos: tuple[Path, ...] = option(
        positional=True, title="Videos", filter=VIDEO_FILTER, folders=True
    )
    """A video, or a folder of images, of each camera."""
    board: str = option(title="Squares", metavar="COLUMNSxROWS")
    """Squares of the board along its sides, such as 8x11."""
    square_mm: float = option(gt=0, le=1000, title="Square", unit="mm")
    """Side of a square in mm, measured on the print."""
    output: Path = option(
        default=Path("calibration.toml"), title="Calibration", editor="save"
    )
    """File to write."""
    names: tuple[str, ...] = option(default=(), title="Names", metavar="NAME")
    """Names of the cameras, in the order of the videos; default: those of the files."""
    width_mm: float | None = option(default=None, gt=0, title="Width", unit="mm")
    """Measured length of all squares along the first side in mm: a second measurement, which
    --square-mm must fit."""
    lenses: Path | None = option(default=None, title="Lenses", metavar="CALIBRATION")
    """Calibration with the lenses of these cameras; default: calibrated too."""
    floor: int | None = option(default=None, ge=0, title="Floor", metavar="FRAME")
    """Number of a frame with the board on the floor: x and y lie on the floor, z points up;
    default: the axes of the first camera."""
    limit_mm: float | None = option(
        default=None, gt=0, le=100, title="Limit", unit="mm", advanced=True
    )
    """Largest median error of corners on kept-back moments in mm; default: 0.2 per cent of the
    distance between cameras and board."""
    moments: int = option(
        default=400, ge=20, le=100_000, title="Moments", advanced=True
    )
    """Largest number of frames of each video, spread evenly."""
    overwrite: bool = overwrite()


def calibrate_cameras(options: CalibrateCameras) -> int:
    """Write the calibration; print its errors, or why it is refused."""
    if options.output.suffix.lower() != ".toml":
        raise DeepLabStreamError(
            f"--output {options.output}: name a file that ends with .toml"
        )
    figures_file = options.output.with_suffix(".json")
    worst_file = options.output.with_suffix(".worst.png")
    check_free([options.output, figures_file, worst_file], options.overwrite)
    board, names = _board(options), _names(options)
    check_packages("CalibrateCameras", PACKAGES)
    lenses = _lenses(options, names)

    videos = [_opened(path) for path in options.videos]
    counts = [len(video) for video in videos]
    if len(set(counts)) > 1:
        print(
            f"the videos have {min(counts)} to {max(counts)} frames: those with the same "
            "number are taken as one moment. Check that they begin together"
        )
    views = find_board(videos, names, board, options.moments)
    for line in _seen(views):
        print(visible(line))

    reasons = refusals(views) or ([] if lenses else lens_refusals(views))
    if reasons:
        return _refuse(reasons)
    cameras = solve_cameras(views.at(~views.kept_back), lenses)
    verdict = judge(cameras, views, options.limit_mm)
    for line in _errors(views, verdict):
        print(visible(line))
    if verdict.reasons:
        return _refuse(verdict.reasons)

    # More views only improve what was accepted.
    worst = np.flatnonzero(views.kept_back)[int(np.nanargmax(verdict.corner_mm))]
    final = solve_cameras(views, lenses)
    if options.floor is not None:
        final = on_floor(final, views, _moment(views, options.floor))
    figures = _figures(options, views, verdict)
    try:
        draw_worst(videos, cameras, views, int(worst), worst_file)
        write_aniposelib(final, options.output)
    except OSError as error:
        raise DeepLabStreamError(
            f"Can't write {error.filename or options.output}: {error.strerror or error}"
        ) from error
    write_json(figures_file, figures)
    for file in (options.output, figures_file, worst_file):
        print(file)
    return 0


def _board(options: CalibrateCameras) -> CharucoBoard:
    columns, rows = numbers_of_squares(options.board)
    if options.width_mm is not None:
        expected = columns * options.square_mm
        if abs(options.width_mm / expected - 1) > _WIDTH_TOLERANCE:
            raise DeepLabStreamError(
                f"board size: {columns} squares of {options.square_mm:g} mm are "
                f"{expected:g} mm, and --width-mm is {options.width_mm:g}. Measure both "
                "again: printers scale"
            )
    return CharucoBoard(
        columns, rows, options.square_mm, options.dictionary, options.marker_share
    )


def _names(options: CalibrateCameras) -> tuple[str, ...]:
    paths = options.videos
    if len(paths) < 2:
        raise DeepLabStreamError(
            "one video: name the videos of two cameras or more, each once"
        )
    names = options.names or tuple(
        path.name if path.is_dir() else path.stem for path in paths
    )
    if len(names) != len(paths):
        raise DeepLabStreamError(
            f"--names has {len(names)} names for {len(paths)} videos"
        )
    for name in names:
        if names.count(name) > 1:
            raise DeepLabStreamError(
                f"two cameras would be called {name}: name them with --names"
            )
    return names


def _lenses(
    options: CalibrateCameras, names: tuple[str, ...]
) -> tuple[CalibratedCamera, ...]:
    if options.lenses is None:
        return ()
    # Positions in this file do not matter, nor does their unit.
    return read_calibration(options.lenses, "mm", names).cameras


def _opened(path: Path) -> ImageSource:
    return open_image_folder(path) if path.is_dir() else open_video(path)


def _seen(views: BoardViews) -> list[str]:
    """Return lines about the views of the board."""
    board, seen = views.board, views.seen
    pattern = [
        *(["inverted"] if board.inverted else []),
        *(["made by an OpenCV before 4.6"] if board.legacy else []),
    ]
    said = f" ({', '.join(pattern)})" if pattern else ""
    counts = ", ".join(
        f"{name} {count}"
        for name, count in zip(views.names, seen.sum(axis=1), strict=True)
    )
    together = int((seen.sum(axis=0) >= 2).sum())
    return [
        f"board of {board.columns}×{board.rows} squares{said}, frames with it: {counts}",
        f"{together} moments are seen by two cameras or more; a quarter is kept back",
    ]


def _errors(views: BoardViews, verdict: CalibrationVerdict) -> list[str]:
    """Return lines about the errors on kept-back moments."""
    corner = verdict.corner_mm[np.isfinite(verdict.corner_mm)]
    length = verdict.length_share[np.isfinite(verdict.length_share)]
    if not len(corner):
        return []
    return [
        f"{len(corner)} kept-back moments, {verdict.distance_mm:.0f} mm from the cameras:",
        f"  corners: {np.median(corner):.2f} mm off (median), 95 % below "
        f"{np.percentile(corner, 95):.2f} mm; limit {verdict.limit_mm:.2f} mm (median)",
        f"  lengths on the board: {np.median(length):+.2%} (median), 95 % within "
        f"{np.percentile(np.abs(length), 95):.2%}",
        "  left-out error: "
        + ", ".join(
            f"{name} {error:.2f} px"
            for name, error in zip(views.names, verdict.left_out_px, strict=True)
        ),
    ]


def _refuse(reasons: "tuple[str, ...] | list[str]") -> int:
    print("The calibration is refused; nothing was written:", file=sys.stderr)
    for reason in reasons:
        print(f"- {visible(reason)}", file=sys.stderr)
    return REFUSED


def _moment(views: BoardViews, frame: int) -> int:
    """Return the place of the moment that is nearest to a frame."""
    return int(np.abs(views.frames - frame).argmin())


def _figures(
    options: CalibrateCameras, views: BoardViews, verdict: CalibrationVerdict
) -> dict[str, object]:
    corner = verdict.corner_mm[np.isfinite(verdict.corner_mm)]
    length = verdict.length_share[np.isfinite(verdict.length_share)]
    p50, p95 = np.percentile(corner, [50, 95])
    return {
        "videos": [str(path) for path in options.videos],
        "board": {
            "squares": [views.board.columns, views.board.rows],
            "square_mm": views.board.square_mm,
            "dictionary": views.board.dictionary,
            "legacy": views.board.legacy,
            "inverted": views.board.inverted,
        },
        "lenses": str(options.lenses) if options.lenses else "calibrated",
        "kept_back": {
            "moments": len(corner),
            "distance_mm": round(verdict.distance_mm, 1),
            "corner_mm": {"p50": round(float(p50), 4), "p95": round(float(p95), 4)},
            "length_share": {
                "p50": round(float(np.median(length)), 6),
                "p95_of_absolute": round(float(np.percentile(np.abs(length), 95)), 6),
            },
            "left_out_px": dict(
                zip(views.names, verdict.left_out_px.round(3).tolist(), strict=True)
            ),
        },
        "limit_mm": round(verdict.limit_mm, 4),
    }


PROGRAM = Program(CalibrateCameras, calibrate_cameras, __doc__, "CalibrateCameras")
