"""ALF: file names and folders of a session in the International Brain Laboratory's format."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.numpy_files import read_array
from deeplabstream.files.paths import paths_below
from deeplabstream.offline.video_files import ENDINGS

RAW = "raw_video_data"


@dataclass(frozen=True, slots=True)
class CameraFiles:
    """The files of one camera of one session."""

    session: Path
    camera: str
    """left, right, body, or the laboratory's own name."""

    @property
    def alf(self) -> Path:
        """Folder of processed data."""
        return self.session / "alf"

    @property
    def times(self) -> Path:
        """File of frame times, s, on the session's clock."""
        return self.alf / f"_ibl_{self.camera}Camera.times.npy"

    @property
    def motion_energy(self) -> Path:
        """Motion energy, one value per frame."""
        return self.alf / f"{self.camera}Camera.ROIMotionEnergy.npy"

    @property
    def motion_position(self) -> Path:
        """Its region: width, height, x, y."""
        return self.alf / f"{self.camera}ROIMotionEnergy.position.npy"

    @property
    def features(self) -> Path:
        """Pupil diameters, one row per frame."""
        return self.alf / f"_ibl_{self.camera}Camera.features.pqt"

    @property
    def quality(self) -> Path:
        """File of quality checks and their results."""
        return self.alf / f"_ibl_{self.camera}Camera.quality.json"

    def poses(self, attribute: str) -> Path:
        """Poses, one row per frame."""
        return self.alf / f"_ibl_{self.camera}Camera.{attribute}.pqt"

    def motion_of(self, region: str) -> tuple[Path, Path]:
        """Energy and position of a further region of the same camera."""
        return (
            self.alf / f"{self.camera}Camera.{region}MotionEnergy.npy",
            self.alf / f"{self.camera}{region.capitalize()}MotionEnergy.position.npy",
        )

    def times_for(self, rows: int) -> NDArray[np.float64] | None:
        """Return (row,) times of the video's frames, s; None when there is no file.

        Of more times than frames the last ones count. DeepLabStreamError: there are fewer.
        """
        if not self.times.is_file():
            return None
        return read_times(self.times, rows)


def read_times(file: Path, rows: int) -> NDArray[np.float64]:
    """Return (row,) times of a video's frames, s, from an .npy file.

    Of more times than frames the last ones count. DeepLabStreamError: there are fewer, or
    something else than times.
    """
    try:
        times = np.asarray(read_array(file), np.float64)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise DeepLabStreamError(f"Can't read {file}: {error}") from error
    if times.ndim != 1:
        raise DeepLabStreamError(
            f"{file} does not contain times: one number for each frame"
        )
    if len(times) < rows:
        raise DeepLabStreamError(
            f"{file} has {len(times)} times, but the video has {rows} frames"
        )
    return np.asarray(times[len(times) - rows :])


def files_of(video: Path, camera: str) -> CameraFiles:
    """Return the files that belong to a video in `raw_video_data`, or anywhere."""
    folder = video.resolve().parent
    return CameraFiles(folder.parent if folder.name == RAW else folder, camera)


def session_videos(session: Path) -> dict[str, Path]:
    """Return the raw video of each camera of a session, by the camera's name."""
    folder = session / RAW
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        label = path.stem.split(".")[0].split("_")[-1]
        video = path.suffix.lower() in ENDINGS and ".labeled" not in path.name
        if video and label.lower().endswith("camera"):
            found.setdefault(label[: -len("camera")], path)
    return found


def sessions_under(root: Path) -> Iterator[Path]:
    """Yield the sessions of a tree, SUBJECT/DATE/NUMBER with raw videos, in order.

    Other workers may write and remove files in the tree meanwhile.
    """
    dates = paths_below(root, "????-??-??")
    for raw in sorted(raw for date in dates for raw in date.glob(f"*/{RAW}")):
        if raw.is_dir() and raw.parent.name.isdigit():
            yield raw.parent


def save_array(path: Path, values: NDArray[np.generic]) -> None:
    """Write a NumPy file atomically."""
    with atomic_file(path) as making:
        np.save(making, values)


def save_json(path: Path, facts: object) -> None:
    """Write facts as text, whole or not at all."""
    with atomic_file(path) as making:
        making.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
