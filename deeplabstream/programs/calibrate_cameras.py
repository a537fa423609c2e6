"""Calibrate cameras from videos of a ChArUco board: lenses, positions, errors in mm.

    python utils/CalibrateCameras.py left.mp4 right.mp4 top.mp4 --board 8x11 --square-mm 24
    python utils/CalibrateCameras.py left/ right/ --board 8x11 --square-mm 24 --floor 310
    python utils/CalibrateCameras.py a.mp4 b.mp4 --board 4x5 --square-mm 54 --lenses known.toml
    python utils/CalibrateCameras.py top.mp4 --board 8x11 --square-mm 24 --floor 310

VIDEOS are a video, or a folder of images, of each camera; images of one number are of one
moment, those of a run's videos are matched by times of exposure; the first part of a camera's
recording brings the later ones.
Cameras are called as the files, or by --names. Move the board slowly through the space where the
animal will be, near and far, tilted, so that two cameras or more see it; fix the cameras before.
PrintBoard.py makes the board; --board counts squares, --square-mm is measured on the print. A
quarter of the recording is kept back: the verdict is the error of corners and lengths on it, in mm.
A calibration is refused with the reason (NAME.refused.json), and not written. One that is accepted
is computed again from all of the recording. NAME.toml is aniposelib's format (ConvertCalibration.py
writes others); NAME.json has errors and coverage, NAME.worst.png the moment with the largest error
(or NAME.refused.worst.png), NAME.coverage.png the corners of all views, bare parts red. With
--floor, z points to the side of the cameras, and the board's first corner is the origin. Of one
camera, the lens is calibrated, and with --floor its place over the floor; the keys LENS and MARKS
for its section of settings.ini are printed.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.core.visible_text import visible
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.camera_calibration.board_views import (
    BoardViews,
    ImageSource,
    find_board,
    find_board_at,
    open_image_folder,
)
from deeplabstream.offline.camera_calibration.calibration_verdict import (
    CalibrationVerdict,
    judge,
    least_cameras,
    lens_refusals,
    on_floor,
    refusals,
)
from deeplabstream.offline.camera_calibration.caliscope_engine import (
    PACKAGES,
    solve_cameras,
    solve_lens,
)
from deeplabstream.offline.camera_calibration.charuco_board import CharucoBoard
from deeplabstream.offline.camera_calibration.one_camera import (
    board_place,
    camera_settings,
    judge_lens,
    on_floor_below,
)
from deeplabstream.offline.camera_calibration.recorded_videos import (
    JoinedVideo,
    matched_by_exposure,
    recorded_parts,
)
from deeplabstream.offline.camera_calibration.view_coverage import (
    coverage_facts,
    coverage_lines,
)
from deeplabstream.offline.camera_calibration.view_images import (
    draw_coverage,
    draw_worst,
)
from deeplabstream.offline.video_files import VIDEO_FILTER
from deeplabstream.programs.board_options import BoardOptions, numbers_of_squares
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.recording.calibrations.aniposelib_toml import write_aniposelib
from deeplabstream.recording.calibrations.calibration_file import (
    read_calibration,
    read_stored,
)
from deeplabstream.recording.calibrations.calibration_parts import StoredCalibration
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.triangulation import triangulate
from deeplabstream.startup.progress import progress_bar
from deeplabstream.video.video_reader import open_video

REFUSED = 1
"""Exit status after a refusal."""
FACTS, WORST, COVERAGE = ".json", ".worst.png", ".coverage.png"
REFUSED_FACTS, REFUSED_WORST = ".refused.json", ".refused.worst.png"
"""Endings of the files beside a calibration."""
_COMPUTING = "computing the cameras"
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
    square_mm: float = option(gt=0, le=1000, title="Square", unit="mm", decimals=2)
    """Side of a square in mm, measured on the print."""
    output: Path = option(
        default=Path("calibration.toml"), title="Calibration", editor="save"
    )
    """File to write."""
    names: tuple[str, ...] = option(
        default=(), title="Names of the cameras", metavar="NAME"
    )
    """Names of the cameras, in the order of the videos; default: those of the files."""
    width_mm: float | None = option(
        default=None, gt=0, title="All squares of a row, mm", unit="mm"
    )
    """Measured length of all squares along the first side in mm: a second measurement, which
    --square-mm must fit."""
    lenses: Path | None = option(
        default=None, title="Known lenses", metavar="CALIBRATION", advanced=True
    )
    """Calibration with the lenses of these cameras; default: calibrated too."""
    floor: int | None = option(default=None, ge=0, title="Floor", metavar="FRAME")
    """Number of a frame with the board on the floor: x and y lie on the floor, z points up;
    default: the axes of the first camera."""
    from_below: bool = option(
        default=False, title="Cameras look from below the floor", advanced=True
    )
    """With --floor: most cameras look from below, through the floor."""
    known: Path | None = option(default=None, metavar="CALIBRATION")
    """Calibration to keep: with --floor, only its axes are set."""
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
    check_free([options.output], options.overwrite)
    board, names = _board(options), _names(options)
    if options.known is not None:
        return _move_to_floor(options, board, names)
    if len(names) == 1 and options.lenses is not None:
        raise DeepLabStreamError("--lenses: of one camera, only the lens is calibrated")
    check_packages("CalibrateCameras", PACKAGES)
    lenses = _lenses(options, names)

    videos = _videos(options)
    floor = [] if options.floor is None else [options.floor]
    views = find_board(videos, names, board, options.moments, floor)
    coverage_file = options.output.with_suffix(COVERAGE)
    with _writing(coverage_file):
        draw_coverage(videos, views, coverage_file)
    print(visible(str(coverage_file)))
    for line in _seen(views):
        print(visible(line))
    floor_moment = _floor_moment(options, views)

    reasons = refusals(views) or ([] if lenses else lens_refusals(views))
    if reasons:
        return _refuse(options, views, reasons)
    if len(names) == 1:
        return _calibrate_one(options, videos, views, floor_moment)
    with progress_bar(_COMPUTING):
        cameras = solve_cameras(views.at(~views.kept_back), lenses)
    verdict = judge(cameras, views, options.limit_mm)
    for line in _errors(views, verdict):
        print(visible(line))
    worst = _worst(views, verdict)
    found = triangulate(cameras, views.pixels[:, worst], limit_px=np.inf)
    drawn = _Worst(videos, cameras.project(found.points), worst)
    if verdict.reasons:
        return _refuse(options, views, verdict.reasons, verdict, drawn)

    # More views only improve what was accepted.
    with progress_bar(_COMPUTING):
        final = solve_cameras(views, lenses)
    if floor_moment is not None:
        final = on_floor(final, views, floor_moment, from_below=options.from_below)
    return _accept(options, views, verdict, drawn, final)


def _calibrate_one(
    options: CalibrateCameras,
    videos: Sequence[ImageSource],
    views: BoardViews,
    floor_moment: int | None,
) -> int:
    """Calibrate the lens of one camera, and its place over the floor."""
    with progress_bar(_COMPUTING):
        camera = solve_lens(views.at(~views.kept_back))
    verdict = judge_lens(camera, views, options.limit_mm)
    for line in _errors(views, verdict):
        print(visible(line))
    worst = _worst(views, verdict)
    pixels, board_mm = views.pixels[0, worst], views.board.corners_mm
    known = np.isfinite(pixels[:, 0])
    place = board_place(camera, pixels[known], board_mm[known])
    expected = np.full((1, len(board_mm), 2), np.nan)
    if place is not None:
        seen = replace(camera, rotation=place[0], translation=place[1])
        expected[0] = seen.project(board_mm)
    drawn = _Worst(videos, expected, worst)
    if verdict.reasons:
        return _refuse(options, views, verdict.reasons, verdict, drawn)

    with progress_bar(_COMPUTING):
        final = solve_lens(views)
    if floor_moment is not None:
        below = options.from_below
        final = on_floor_below(final, views, floor_moment, from_below=below)
    code = _accept(
        options,
        views,
        verdict,
        drawn,
        StoredCalibration(options.output, (final,), "mm"),
    )
    _print_settings(final)
    return code


def _print_settings(camera: CalibratedCamera) -> None:
    """Print the keys of the camera's section in settings.ini."""
    print(visible(f"for [Camera {camera.name}] of settings.ini:"))
    found = camera_settings(camera)
    for key, value in found.items():
        print(f"{key} = {value}")
    if "MARKS" not in found:
        print("millimetres need MM_PER_PIXEL or MARKS, too: --floor gives MARKS")


@dataclass(frozen=True, eq=False)
class _Worst:
    """What the image of the worst moment shows."""

    videos: Sequence[ImageSource]
    expected: NDArray[np.float64]
    """Where the corners should be, (camera, corner, 2)."""
    moment: int

    def draw(self, views: BoardViews, file: Path) -> None:
        """Write the image."""
        draw_worst(self.videos, views, self.expected, self.moment, file)


def _accept(
    options: CalibrateCameras,
    views: BoardViews,
    verdict: CalibrationVerdict,
    drawn: _Worst,
    final: CameraGroup | StoredCalibration,
) -> int:
    """Write a calibration with its errors and images."""
    worst_file = options.output.with_suffix(WORST)
    with _writing(options.output):
        drawn.draw(views, worst_file)
        write_aniposelib(final, options.output)
        for ending in (REFUSED_FACTS, REFUSED_WORST):
            options.output.with_suffix(ending).unlink(missing_ok=True)
    figures_file = options.output.with_suffix(FACTS)
    write_json(figures_file, _figures(options, views, verdict))
    for file in (options.output, figures_file, worst_file):
        print(visible(str(file)))
    return 0


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    """Report a file that can't be written."""
    try:
        yield
    except OSError as error:
        raise DeepLabStreamError(
            f"Can't write {error.filename or file}: {error.strerror or error}"
        ) from error


def _move_to_floor(
    options: CalibrateCameras, board: CharucoBoard, names: tuple[str, ...]
) -> int:
    """Write a known calibration in the axes of the floor."""
    known, floor = options.known, options.floor
    if known is None or floor is None:
        raise DeepLabStreamError("--known: name the frame with the board by --floor")
    if len(names) == 1:
        return _move_one_to_floor(options, board, names, known, floor)
    cameras = read_calibration(known, "", names)
    videos = _videos(options)
    views = find_board_at(videos, names, board, floor)
    moved = on_floor(cameras, views, 0, from_below=options.from_below)
    with _writing(options.output):
        write_aniposelib(moved, options.output)
    heights = ", ".join(
        f"{name} {height:.0f}"
        for name, height in zip(names, moved.centres[:, 2], strict=True)
    )
    print(visible(f"heights of the cameras above the floor in mm: {heights}"))
    print(visible(str(options.output)))
    return 0


def _move_one_to_floor(
    options: CalibrateCameras,
    board: CharucoBoard,
    names: tuple[str, ...],
    known: Path,
    floor: int,
) -> int:
    """Write the known calibration of one camera in the axes of the floor."""
    camera = read_stored(known).camera(names[0])
    views = find_board_at(_videos(options), names, board, floor)
    moved = on_floor_below(camera, views, 0, from_below=options.from_below)
    with _writing(options.output):
        write_aniposelib(
            StoredCalibration(options.output, (moved,), "mm"), options.output
        )
    _print_settings(moved)
    print(
        visible(
            f"heights of the cameras above the floor in mm: {names[0]} "
            f"{moved.centre[2]:.0f}"
        )
    )
    print(visible(str(options.output)))
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
    """Open a folder of images, or a video with the later parts of its recording."""
    if path.is_dir():
        return open_image_folder(path)
    first, *later = recorded_parts(path)
    if not later:
        return open_video(first)
    print(
        visible(f"{first.name} and its later parts: {', '.join(p.name for p in later)}")
    )
    return JoinedVideo(tuple(map(open_video, (first, *later))))


def _videos(options: CalibrateCameras) -> list[ImageSource]:
    """Return the videos, numbered as the frames of the first one; print what matched them."""
    opened = [_opened(path) for path in options.videos]
    videos, by_exposure = matched_by_exposure(opened)
    counts = [len(video) for video in videos]
    if by_exposure:
        print("frames of the run are matched by times of exposure")
    elif len(set(counts)) > 1:
        print(
            f"the videos have {min(counts)} to {max(counts)} frames: those with the same "
            "number are taken as one moment. Check that they begin together"
        )
    return videos


def _seen(views: BoardViews) -> list[str]:
    """Return lines about the views of the board."""
    board, seen = views.board, views.seen
    pattern = [
        *(["inverted"] if board.inverted else []),
        *(["made by an OpenCV before 4.6"] if board.legacy else []),
    ]
    said = f" ({', '.join(pattern)})" if pattern else ""
    together = int((seen.sum(axis=0) >= least_cameras(views)).sum())
    by = "two cameras or more" if len(views.names) > 1 else "the camera"
    return [
        f"board of {board.columns}×{board.rows} squares{said}:",
        *coverage_lines(views),
        f"{together} moments are seen by {by}; a quarter is kept back",
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


def _floor_moment(options: CalibrateCameras, views: BoardViews) -> int | None:
    """Return the place of the moment with the board on the floor; None: not named."""
    if options.floor is None:
        return None
    there = np.flatnonzero(views.frames == options.floor)
    least = least_cameras(views)
    if not len(there) or views.seen[:, there[0]].sum() < least:
        who = "fewer than two cameras see" if least > 1 else "the camera does not see"
        raise DeepLabStreamError(
            f"--floor {options.floor}: {who} the board in this frame"
        )
    return int(there[0])


def _refuse(
    options: CalibrateCameras,
    views: BoardViews,
    reasons: Sequence[str],
    verdict: CalibrationVerdict | None = None,
    drawn: _Worst | None = None,
) -> int:
    """Print why a calibration is refused, and write it with the coverage."""
    if drawn is not None:
        worst_file = options.output.with_suffix(REFUSED_WORST)
        with _writing(worst_file):
            drawn.draw(views, worst_file)
        print(visible(str(worst_file)))
    facts_file = options.output.with_suffix(REFUSED_FACTS)
    write_json(facts_file, _figures(options, views, verdict, reasons))
    print(visible(str(facts_file)))
    print("The calibration is refused and was not written:", file=sys.stderr)
    for reason in reasons:
        print(f"- {visible(reason)}", file=sys.stderr)
    return REFUSED


def _worst(views: BoardViews, verdict: CalibrationVerdict) -> int:
    """Return the kept-back moment with the largest error; none is known: the first."""
    kept_back = np.flatnonzero(views.kept_back)
    return int(kept_back[np.nan_to_num(verdict.corner_mm, nan=-1.0).argmax()])


def _figures(
    options: CalibrateCameras,
    views: BoardViews,
    verdict: CalibrationVerdict | None,
    refused: Sequence[str] = (),
) -> dict[str, object]:
    """Return board, coverage, errors and reasons, for a file."""
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
        "coverage": coverage_facts(views),
        **({} if verdict is None else _measured(views, verdict)),
        **({"refused": [*refused]} if refused else {}),
    }


def _measured(views: BoardViews, verdict: CalibrationVerdict) -> dict[str, object]:
    """Return the errors on kept-back moments, for a file; nothing: they are not known."""
    corner = verdict.corner_mm[np.isfinite(verdict.corner_mm)]
    length = verdict.length_share[np.isfinite(verdict.length_share)]
    if not len(corner):
        return {}
    p50, p95 = np.percentile(corner, [50, 95])
    left_out = {
        name: round(float(error), 3)
        for name, error in zip(views.names, verdict.left_out_px, strict=True)
        if np.isfinite(error)
    }
    return {
        "kept_back": {
            "moments": len(corner),
            "distance_mm": round(verdict.distance_mm, 1),
            "corner_mm": {"p50": round(float(p50), 4), "p95": round(float(p95), 4)},
            "length_share": {
                "p50": round(float(np.median(length)), 6),
                "p95_of_absolute": round(float(np.percentile(np.abs(length), 95)), 6),
            },
            "left_out_px": left_out,
        },
        "limit_mm": round(verdict.limit_mm, 4),
    }


PROGRAM = Program(CalibrateCameras, calibrate_cameras, __doc__, "CalibrateCameras")
