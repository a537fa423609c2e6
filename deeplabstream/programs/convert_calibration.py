"""Show the cameras of a calibration, and write it for another program.

    python utils/ConvertCalibration.py calibration.toml
    python utils/ConvertCalibration.py camera_array.toml --to aniposelib --output calibration.toml
    python utils/ConvertCalibration.py label3d.mat --to jarvis --output calib_params
    python utils/ConvertCalibration.py jarvis_folder --to label3d --output cameras.mat

CALIBRATION is aniposelib's .toml (Anipose, Pose2Sim, Lightning Pose, caliscope), Label3D's .mat, or
a folder with a file for each camera: .yaml of OpenCV or JARVIS, NAME_params.mat of DANNCE. The
format is recognised. Positions are shown and written in mm; opencv and jarvis are folders.
"""

from pathlib import Path

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.visible_text import visible
from deeplabstream.files.overwriting import check_free
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import calibration, length_unit, overwrite
from deeplabstream.recording.calibrations.calibration_file import (
    FOLDERS,
    WRITERS,
    files_written,
    read_calibration,
)
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup


@program_options
class ConvertCalibration:
    """A calibration, and the format to write."""

    calibration: Path = calibration()
    unit: str = length_unit()
    cameras: tuple[str, ...] = option(default=(), metavar="NAME")
    """Cameras to use, in this order; default: all."""
    to: str = option(default="", choices=list(WRITERS))
    """Format to write."""
    output: Path | None = option(default=None, metavar="PATH")
    """File, or for opencv and jarvis folder, to write."""
    overwrite: bool = overwrite()

    def __post_init__(self) -> None:
        if bool(self.to) != bool(self.output):
            raise DeepLabStreamError("give both --to and --output, or neither")


def convert_calibration(options: ConvertCalibration) -> int:
    """Print a line for each camera; write the calibration where a format is given."""
    cameras = read_calibration(options.calibration, options.unit, options.cameras)
    for line in described_cameras(cameras):
        print(visible(line))
    if options.output is None:
        return 0

    check_free(files_written(cameras, options.output, options.to), options.overwrite)
    try:
        WRITERS[options.to](cameras, options.output)
    except OSError as error:
        raise DeepLabStreamError(
            f"Can't write {options.output}: {error.strerror or error}"
        ) from error
    kind = "folder" if options.to in FOLDERS else "file"
    print(f"{kind} written: {options.output}")
    return 0


def described_cameras(cameras: CameraGroup) -> list[str]:
    """Return a line for each camera, and one about their distances."""
    lines = [
        f"{'camera':<16} {'size':>11} {'focal length':>13} {'field of view':>14}   "
        "position (mm)"
    ]
    lines += [_line(camera) for camera in cameras.cameras]
    centres = cameras.centres
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    nearest = apart[np.triu_indices(len(cameras), 1)].min()
    lines.append(
        f"distances of two cameras: {nearest:.0f} to {cameras.largest_baseline:.0f} mm"
    )
    return lines


def _line(camera: CalibratedCamera) -> str:
    height, width = camera.size
    size = f"{width} × {height}" if height and width else "not known"
    focal = float(camera.matrix[0, 0])
    view = f"{2 * np.degrees(np.arctan(width / 2 / focal)):.0f}°" if width else ""
    place = " ".join(f"{value:>8.1f}" for value in camera.centre)
    return f"{camera.name[:16]:<16} {size:>11} {focal:>10.0f} px {view:>14}   {place}"


PROGRAM = Program(
    ConvertCalibration, convert_calibration, __doc__, "ConvertCalibration"
)
