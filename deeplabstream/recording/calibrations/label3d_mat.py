"""Calibrations of Label3D and DANNCE (MATLAB): `params` of a `.mat`, or a file per camera.

MATLAB multiplies row vectors: `K` and `r` are stored transposed. It counts pixels from 1, so
its principal point lies one pixel further than OpenCV's. `RDistort` has k1, k2 and perhaps k3,
`TDistort` p1 and p2; `K` may have a skew. Lengths are in mm.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deeplabstream.core.errors import check_packages
from deeplabstream.core.lens_distortion import Floats
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.foreign_files import parse_json
from deeplabstream.files.paths import ROOT
from deeplabstream.recording.calibrations.calibration_parts import (
    CalibrationError,
    StoredCalibration,
    check_writable,
    described,
    numbers,
    required,
)
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup

PARAMS_ENDING = "_params.mat"
"""End of the names of DANNCE's files, one for each camera."""
_KEYS = ("K", "r", "t", "RDistort", "TDistort")
_FIRST_PIXEL = 1.0
"""MATLAB's number of the first pixel."""
_MOST_COEFFICIENTS = 5
_PATIENCE_S = 120.0
_CANT = 3
"""Exit status of the process that reads, where it says the reason."""
_ADVICE = "Use a file that Label3D or DANNCE's calibration has written"


def read_label3d(file: Path) -> StoredCalibration:
    """Return the cameras of a `.mat` of Label3D; CalibrationError names camera and key."""
    content = _loaded(file, ["params", "camnames"])
    if "params" not in content:
        raise CalibrationError(
            f"{file} is not a calibration of Label3D: it has no variable params. {_ADVICE}; of "
            f"files of single cameras (NAME{PARAMS_ENDING}), name their folder"
        )
    parts = content["params"]
    parts = parts if isinstance(parts, list) else [parts]
    if not all(isinstance(part, dict) for part in parts):
        raise CalibrationError(
            f"{file}: params is not a struct for each camera. {_ADVICE}"
        )
    names = [str(name) for name in content.get("camnames", ())]
    names = names or [f"Camera{number}" for number in range(1, len(parts) + 1)]
    if len(names) != len(parts):
        raise CalibrationError(
            f"{file}: camnames has {len(names)} names and params {len(parts)} cameras"
        )
    pairs = zip(names, parts, strict=True)
    cameras = tuple(_camera(file, name, part) for name, part in pairs)
    return StoredCalibration(file, cameras, "mm")


def read_params_files(files: list[Path]) -> StoredCalibration:
    """Return the cameras of DANNCE's files `NAME_params.mat`, one for each camera."""
    cameras = tuple(
        _camera(file, file.name.removesuffix(PARAMS_ENDING), _loaded(file, _KEYS))
        for file in files
    )
    return StoredCalibration(files[0].parent, cameras, "mm")


def _loaded(file: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return variables of a `.mat` as lists, texts and mappings of structs.

    In a process of its own, because a damaged file crashes scipy. CalibrationError: it can't
    be read.
    """
    check_packages(f"Reading {file.name}", ["scipy"])
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(file.resolve()), *names],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
        content = parse_json(done.stdout) if done.returncode == 0 else None
    except subprocess.TimeoutExpired:
        raise CalibrationError(
            f"{file} can't be read: it did not end within {_PATIENCE_S:.0f} s"
        ) from None
    except ValueError as error:
        raise CalibrationError(f"{file} can't be read: {error}") from error
    if not isinstance(content, dict):
        told = done.stderr.strip() if done.returncode == _CANT else "it is damaged"
        raise CalibrationError(f"{file} can't be read: {told}")
    return content


def main(file: Path, names: Sequence[str]) -> int:
    """Write variables of a `.mat` as JSON to stdout, or the reason to stderr."""
    import scipy.io

    try:
        found = scipy.io.loadmat(file, variable_names=list(names))
        text = json.dumps(
            {name: _plain(found[name]) for name in names if name in found}
        )
    except NotImplementedError:
        sys.stderr.write(
            "it is a MATLAB file of version 7.3; save params and camnames in MATLAB with "
            "save(FILE, 'params', 'camnames', '-v7')"
        )
        return _CANT
    except Exception as error:  # scipy raises almost anything for a damaged file
        reason = (str(error) or type(error).__name__).splitlines()[0]
        sys.stderr.write(reason)
        return _CANT
    sys.stdout.write(text)
    return 0


def _plain(value: Any) -> Any:
    """Return an array of MATLAB as lists, a struct as a mapping, a cell as a list."""
    array = np.asarray(value)
    if array.dtype.names:
        cells = [
            {name: _plain(cell[name]) for name in array.dtype.names}
            for cell in array.ravel()
        ]
        return cells[0] if len(cells) == 1 else cells
    if array.dtype == object:
        return [_plain(cell) for cell in array.ravel()]
    if array.dtype.kind in "US":
        return "".join(map(str, array.ravel()))
    return array.tolist()


def _camera(file: Path, name: str, part: Mapping[str, Any]) -> CalibratedCamera:
    with described(f"{file}, camera {name}"):
        matrix = numbers("K", required(part, ["K"], _ADVICE)).T.copy()
        if matrix.shape != (3, 3):
            raise ValueError("K must be 3 × 3 numbers")
        if matrix[2, :2].any():
            raise ValueError(
                "K is not transposed, as MATLAB's is. Check r and the principal point too, "
                "then store the transposed K and r"
            )
        matrix[:2, 2] -= _FIRST_PIXEL
        rotation = numbers("r", required(part, ["r", "R"], _ADVICE))
        radial = numbers("RDistort", part.get("RDistort", ())).ravel()
        tangential = numbers("TDistort", part.get("TDistort", ())).ravel()
        return CalibratedCamera(
            name,
            matrix,
            _distortion(radial, tangential),
            rotation.T,
            required(part, ["t"], _ADVICE),
        )


def _distortion(radial: Floats, tangential: Floats) -> Floats:
    if len(radial) > 3 or len(tangential) > 2:
        raise ValueError(
            "RDistort must have up to three numbers and TDistort up to two"
        )
    k1, k2, k3 = np.concatenate([radial, np.zeros(3 - len(radial))])
    p1, p2 = np.concatenate([tangential, np.zeros(2 - len(tangential))])
    return np.array([k1, k2, p1, p2, k3])


def write_label3d(cameras: CameraGroup, file: Path) -> None:
    """Write cameras with positions in mm; CalibrationError: a lens does not fit."""
    check_writable(cameras, _MOST_COEFFICIENTS, keeps_skew=True)
    check_packages(f"Writing {file.name}", ["scipy"])
    import scipy.io

    params = np.empty((len(cameras), 1), object)
    names = np.empty((1, len(cameras)), object)
    for place, camera in enumerate(cameras.cameras):
        matrix = camera.matrix.copy()
        matrix[:2, 2] += _FIRST_PIXEL
        k1, k2, p1, p2, k3 = camera.distortion
        params[place, 0] = {
            "K": matrix.T,
            "RDistort": np.array([[k1, k2, k3]]),
            "TDistort": np.array([[p1, p2]]),
            "r": camera.rotation.T,
            "t": camera.translation[None],
        }
        names[0, place] = camera.name
    with atomic_file(file) as draft:
        scipy.io.savemat(draft, {"params": params, "camnames": names})


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
