"""Calibration files: recognised by their content, read in mm, written for other programs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deeplabstream.recording.calibrations.aniposelib_toml import (
    read_aniposelib,
    write_aniposelib,
)
from deeplabstream.recording.calibrations.calibration_parts import (
    CalibrationError,
    StoredCalibration,
)
from deeplabstream.recording.calibrations.label3d_mat import (
    PARAMS_ENDING,
    read_label3d,
    read_params_files,
    write_label3d,
)
from deeplabstream.recording.calibrations.opencv_yaml import (
    ENDINGS,
    STEREO,
    files_of_cameras,
    read_stereo,
    read_yaml_cameras,
    write_jarvis,
    write_opencv,
)
from deeplabstream.space.camera_group import MM_PER_UNIT, CameraGroup

FILTER = "Calibrations (*.toml *.mat *.yaml *.yml);;All files (*)"
WRITERS: Mapping[str, Callable[[CameraGroup, Path], None]] = {
    "aniposelib": write_aniposelib,
    "label3d": write_label3d,
    "opencv": write_opencv,
    "jarvis": write_jarvis,
}
"""Functions that write cameras with positions in mm, by format."""
FOLDERS = ("opencv", "jarvis")
"""Formats that are a folder with a file for each camera."""
_NEAREST_MM = 10.0
"""Largest distance of two cameras in mm, below which the unit is hardly mm."""
_KINDS = (
    "expected aniposelib's .toml, Label3D's .mat, or a folder with .yaml files of OpenCV or "
    f"JARVIS or NAME{PARAMS_ENDING} files of DANNCE"
)


def read_calibration(
    path: Path, unit: str = "", names: Sequence[str] = ()
) -> CameraGroup:
    """Read the cameras of a calibration, with positions in mm.

    Parameters
    ----------
    path : pathlib.Path
        aniposelib's TOML (Anipose, Pose2Sim, Lightning Pose, caliscope), Label3D's `.mat`,
        or a folder with a file for each camera (OpenCV, JARVIS, DANNCE).
    unit : str
        Unit of the file, a key of `MM_PER_UNIT`; empty: as the file says, else mm.
    names : sequence of str
        Cameras to use, in this order; none: all.

    Returns
    -------
    CameraGroup
        The cameras.

    Raises
    ------
    DeepLabStreamError
        It can't be read; the message names file, camera and key. Or the unit can't be mm:
        no two cameras would be 10 mm apart.
    """
    stored = read_stored(path)
    known = unit or stored.unit
    cameras = stored.group(names)
    apart = cameras.largest_baseline
    if not known and apart < _NEAREST_MM:
        raise CalibrationError(
            f"{path} does not say its unit, and its cameras are only {apart:.3g} mm apart "
            "if that is mm: give --unit m, or cm, or mm"
        )
    return cameras.scaled(MM_PER_UNIT[known or "mm"])


def files_written(cameras: CameraGroup, path: Path, kind: str) -> list[Path]:
    """Return the files that a format's writer writes; DeepLabStreamError: a bad name."""
    return files_of_cameras(cameras, path) if kind in FOLDERS else [path]


def read_stored(path: Path) -> StoredCalibration:
    """Return the cameras as a file or folder describes them, in its own unit.

    DeepLabStreamError: it can't be read, or is not a calibration.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise CalibrationError(f"{path}: file not found")
    ending = path.suffix.lower()
    if ending == ".toml":
        return read_aniposelib(path)
    if ending == ".mat":
        if path.name.endswith(PARAMS_ENDING):
            return _read_folder(path.parent)
        return read_label3d(path)
    if ending in ENDINGS:
        return _read_folder(path.parent)
    raise CalibrationError(f"{path} is not a calibration: {_KINDS}")


def _read_folder(folder: Path) -> StoredCalibration:
    if all((folder / name).is_file() for name in STEREO):
        return read_stereo(folder)
    files = sorted(file for file in folder.iterdir() if file.is_file())
    yaml = [file for file in files if file.suffix.lower() in ENDINGS]
    params = [file for file in files if file.name.endswith(PARAMS_ENDING)]
    if yaml and params:
        raise CalibrationError(
            f"{folder} has .yaml files and NAME{PARAMS_ENDING} files: keep one kind"
        )
    if yaml:
        return read_yaml_cameras(yaml)
    if params:
        return read_params_files(params)
    tables = [file for file in files if file.suffix.lower() == ".toml"]
    if len(tables) == 1:
        return read_aniposelib(tables[0])
    raise CalibrationError(f"{folder} is not a calibration: {_KINDS}")
