"""Calibrations as YAML of OpenCV: a file for each camera (also JARVIS), or a stereo pair.

JARVIS stores intrinsicMatrix and R transposed, in mm. The stereo pair is that of OpenCV's
sample: `intrinsics.yml` with M1, D1, M2, D2 and `extrinsics.yml` with R, T beside it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deeplabstream.core.errors import check_packages
from deeplabstream.core.lens_distortion import Floats
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.recording.calibrations.calibration_parts import (
    CalibrationError,
    StoredCalibration,
    check_writable,
    described,
    numbers,
    read_text,
    required,
    rotation_of,
)
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup

ENDINGS = (".yaml", ".yml")
STEREO = ("intrinsics.yml", "extrinsics.yml")
"""Names of the files of OpenCV's stereo sample."""
_TAG = "tag:yaml.org,2002:opencv-matrix"
_MATRIX = ("camera_matrix", "cameraMatrix", "K", "CameraIntrinsicMatrix")
_DISTORTION = ("distortion_coefficients", "distCoeffs", "D", "dist")
_ROTATION = ("R", "rotation", "rvec")
_TRANSLATION = ("T", "translation", "tvec", "t")
_JARVIS = "intrinsicMatrix"
_POSITION = "Calibrate the positions of the cameras too, and store R and T in this file"
_LENS = "Store the lens of each camera as OpenCV or JARVIS does"
_MOST_COEFFICIENTS = {False: 12, True: 5}


def read_yaml_cameras(files: list[Path]) -> StoredCalibration:
    """Return the cameras of files, one for each; CalibrationError names file and key."""
    cameras, kinds = [], set()
    for file in files:
        content = _content(file)
        kinds.add(_JARVIS in content)
        with described(str(file)):
            cameras.append(_camera(file.stem, content))
    if len(kinds) > 1:
        raise CalibrationError(
            f"{files[0].parent} has files of JARVIS and of OpenCV: keep one kind"
        )
    unit = "mm" if kinds == {True} else ""
    return StoredCalibration(files[0].parent, tuple(cameras), unit)


def read_stereo(folder: Path) -> StoredCalibration:
    """Return the two cameras of OpenCV's stereo sample: left and right."""
    lenses, places = (_content(folder / name) for name in STEREO)
    cameras = []
    for number, name in enumerate(("left", "right"), 1):
        with described(f"{folder / STEREO[0]}, camera {name}"):
            matrix = required(lenses, [f"M{number}"], _LENS)
            distortion = required(lenses, [f"D{number}"], _LENS)
        with described(str(folder / STEREO[1])):
            rotation = required(places, ["R"], _POSITION) if number == 2 else np.eye(3)
            moved = required(places, ["T"], _POSITION) if number == 2 else np.zeros(3)
            camera = CalibratedCamera(name, matrix, distortion, rotation, moved)
        cameras.append(camera)
    return StoredCalibration(folder, tuple(cameras))


def _camera(name: str, content: Mapping[str, Any]) -> CalibratedCamera:
    size = (_count(content, "image_height"), _count(content, "image_width"))
    distortion: Any
    rotation = required(content, _ROTATION, _POSITION)
    moved = required(content, _TRANSLATION, _POSITION)
    if _JARVIS in content:
        distortion = content.get("distortionCoefficients", ())
        matrix = numbers(_JARVIS, content[_JARVIS]).T
        turned = numbers("R", rotation).T
        return CalibratedCamera(name, matrix, distortion, turned, moved, size)
    matrix = required(content, _MATRIX, _LENS)
    distortion = next((content[key] for key in _DISTORTION if key in content), ())
    return CalibratedCamera(
        name, matrix, distortion, rotation_of(rotation), moved, size
    )


def _count(content: Mapping[str, Any], key: str) -> int:
    value = content.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{key} = {value!r}: expected a whole number")
    return value


def _content(file: Path) -> Mapping[str, Any]:
    """Return the values of a YAML file by key, matrices as arrays."""
    check_packages(f"Reading {file.name}", ["yaml"])
    import yaml

    text = read_text(file)
    # OpenCV's first line, %YAML:1.0, is not one of YAML.
    if text.startswith("%YAML"):
        text = text.partition("\n")[2]

    class Loader(yaml.SafeLoader):
        """Reads plain values and OpenCV's matrices, and makes no other objects."""

    Loader.add_constructor(_TAG, _matrix)
    try:
        content = yaml.load(text, Loader)
    except (
        Exception
    ) as error:  # values that do not match their tags raise almost anything
        reason = " ".join(str(error).split())[:300]
        raise CalibrationError(f"{file} is not valid YAML: {reason}") from error
    if not isinstance(content, dict):
        raise CalibrationError(f"{file} is not a calibration: it has no keys")
    # ROS writes matrices without a tag.
    return {
        str(key): _plain_matrix(value) if isinstance(value, dict) else value
        for key, value in content.items()
    }


def _matrix(loader: Any, node: Any) -> Any:
    return _plain_matrix(loader.construct_mapping(node, deep=True))


def _plain_matrix(value: Mapping[Any, Any]) -> Any:
    """Return rows, cols and data as an array; other mappings stay."""
    if not {"rows", "cols", "data"} <= value.keys():
        return value
    return np.array(value["data"], np.float64).reshape(value["rows"], value["cols"])


def write_opencv(cameras: CameraGroup, folder: Path) -> None:
    """Write a file for each camera, positions in mm; CalibrationError: one does not fit."""
    _write(cameras, folder, jarvis=False)


def write_jarvis(cameras: CameraGroup, folder: Path) -> None:
    """Write a file of JARVIS for each camera; CalibrationError: one does not fit."""
    _write(cameras, folder, jarvis=True)


def files_of_cameras(cameras: CameraGroup, folder: Path) -> list[Path]:
    """Return a file for each camera; CalibrationError: a name can't be one of a file."""
    for name in cameras.names:
        if not name or Path(name).name != name or "\\" in name:
            raise CalibrationError(f"the camera name {name!r} can't be a file name")
    return [folder / f"{name}{ENDINGS[0]}" for name in cameras.names]


def _write(cameras: CameraGroup, folder: Path, jarvis: bool) -> None:
    check_writable(cameras, _MOST_COEFFICIENTS[jarvis], keeps_skew=False)
    files = files_of_cameras(cameras, folder)
    for camera, file in zip(cameras.cameras, files, strict=True):
        moved = camera.translation[:, None]
        distortion = camera.distortion[None]
        if jarvis:
            values = {
                _JARVIS: camera.matrix.T,
                "distortionCoefficients": distortion,
                "R": camera.rotation.T,
                "T": moved,
            }
        else:
            values = {
                _MATRIX[0]: camera.matrix,
                _DISTORTION[0]: distortion,
                "R": camera.rotation,
                "T": moved,
            }
        sizes = zip(("image_height", "image_width"), camera.size, strict=True)
        lines = [f"{key}: {size}" for key, size in sizes if size]
        lines += [_written(key, value) for key, value in values.items()]
        with atomic_file(file) as draft:
            text = "\n".join(["%YAML:1.0", "---", *lines, ""])
            draft.write_text(text, "utf-8", newline="\n")


def _written(key: str, value: Floats) -> str:
    """Return a matrix as OpenCV writes it; the numbers are read back exactly."""
    rows, cols = value.shape
    data = ", ".join(f"{number:.17e}" for number in value.ravel())
    return (
        f"{key}: !!opencv-matrix\n   rows: {rows}\n   cols: {cols}\n   dt: d\n"
        f"   data: [ {data} ]"
    )
