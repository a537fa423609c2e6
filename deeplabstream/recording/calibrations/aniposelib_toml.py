"""Calibrations of aniposelib (TOML): Anipose, Pose2Sim, Lightning Pose, sleap-anipose, caliscope.

Each camera is a table `cam_N` with name, size (width, height), matrix, distortions, rotation
(a vector, of some programs a matrix) and translation. The file does not say its unit; this
program writes it into `metadata`, which the others ignore. caliscope's own file has the tables
`cameras.N`, in metres.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.recording.calibrations.calibration_parts import (
    CalibrationError,
    StoredCalibration,
    check_writable,
    described,
    read_text,
    required,
    rotation_of,
)
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import MM_PER_UNIT, CameraGroup
from deeplabstream.space.rotations import rotation_vector

_MOST_COEFFICIENTS = 12
_POSITION = "Calibrate the positions of the cameras too"
_FISHEYE = (
    "only lenses with the distortions k1, k2, p1, p2, k3 are supported, no fisheye; "
    "calibrate it again with fisheye = false"
)


def read_aniposelib(file: Path) -> StoredCalibration:
    """Return the cameras of a TOML file; CalibrationError names file, camera and key."""
    try:
        tables = tomllib.loads(read_text(file))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CalibrationError(f"{file} can't be read: {error}") from error

    nested = tables.get("cameras")
    of_caliscope = isinstance(nested, dict)
    tables_of_cameras = nested if isinstance(nested, dict) else tables
    cameras = []
    for key, part in tables_of_cameras.items():
        if not isinstance(part, dict) or "matrix" not in part or part.get("ignore"):
            continue
        name = str(part.get("name", f"cam_{key}" if of_caliscope else key))
        with described(f"{file}, camera {name}"):
            cameras.append(_camera(name, part))

    if not cameras:
        raise CalibrationError(
            f"{file} is not a calibration: it has no table of a camera with the key matrix"
        )
    metadata = tables.get("metadata")
    unit = metadata.get("unit", "") if isinstance(metadata, dict) else ""
    if unit and unit not in MM_PER_UNIT:
        raise CalibrationError(
            f"{file}, metadata: unit = {unit!r}: expected one of {', '.join(MM_PER_UNIT)}"
        )
    return StoredCalibration(file, tuple(cameras), "m" if of_caliscope else unit)


def _camera(name: str, part: Mapping[str, Any]) -> CalibratedCamera:
    if part.get("fisheye"):
        raise ValueError(_FISHEYE)
    width, height = _size(part.get("size", (0, 0)))
    return CalibratedCamera(
        name,
        part["matrix"],
        part.get("distortions", ()),
        rotation_of(required(part, ["rotation"], _POSITION)),
        required(part, ["translation"], _POSITION),
        (height, width),
    )


def _size(value: object) -> tuple[int, int]:
    try:
        width, height = np.array(value, np.float64).ravel().tolist()
        if not (width >= 0 and height >= 0):
            raise ValueError
        return int(width), int(height)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"size = {value!r}: expected width and height") from None


def write_aniposelib(cameras: CameraGroup | StoredCalibration, file: Path) -> None:
    """Write cameras with positions in mm; CalibrationError: a lens does not fit."""
    check_writable(cameras, _MOST_COEFFICIENTS, keeps_skew=False)
    lines = []
    for number, camera in enumerate(cameras.cameras):
        height, width = camera.size
        values = {
            "matrix": camera.matrix.tolist(),
            "distortions": camera.distortion.tolist(),
            "rotation": rotation_vector(camera.rotation).tolist(),
            "translation": camera.translation.tolist(),
        }
        lines += [f"[cam_{number}]", f"name = {json.dumps(camera.name)}"]
        lines += [f"size = [{width}, {height}]"] if height and width else []
        lines += [f"{key} = {value}" for key, value in values.items()]
        lines.append("")
    lines += ["[metadata]", 'unit = "mm"', ""]
    with atomic_file(file) as draft:
        draft.write_text("\n".join(lines), "utf-8", newline="\n")
