"""Camera group: calibrated cameras of one arena, in common world axes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.lens_distortion import Floats
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.fast_undistortion import Undistortion

MM_PER_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
"""Units of length that a calibration can have."""
_SAME_PLACE = 1e-6
"""Distance of two cameras, as a share of the largest one, at which they are the same."""


@dataclass(frozen=True, slots=True, eq=False)
class CameraGroup:
    """Calibrated cameras with common world axes; their names differ.

    Raises
    ------
    DeepLabStreamError
        There are fewer than two cameras, a name is there twice, or two cameras are at the
        same place.
    """

    cameras: tuple[CalibratedCamera, ...]
    _inverses: Floats = field(init=False, repr=False)
    _principal_points: Floats = field(init=False, repr=False)
    _undistorted: Undistortion = field(init=False, repr=False)
    names: tuple[str, ...] = field(init=False, repr=False)
    """Names of the cameras, in their order."""
    px_axes: tuple[Floats, Floats, Floats] = field(init=False, repr=False)
    """Rotations (camera, 1, 3, 3) and translations (camera, 1, 3), their x and y times the
    focal lengths, and the focal lengths (camera, 1, 2) in px: points seen by the cameras are
    then in px from the optical axis, without distortion."""

    def __post_init__(self) -> None:
        if len(self.cameras) < 2:
            raise DeepLabStreamError(
                f"points in space need two calibrated cameras or more, not "
                f"{len(self.cameras)}"
            )
        names = tuple(camera.name for camera in self.cameras)
        object.__setattr__(self, "names", names)
        for name in names:
            if names.count(name) > 1:
                raise DeepLabStreamError(
                    f"two cameras are called {name}; rename one of them"
                )
        lenses = np.array([camera.matrix[:2, :2] for camera in self.cameras])
        for name, value in {
            "_inverses": np.linalg.inv(lenses).swapaxes(1, 2),
            "_principal_points": np.array([c.matrix[:2, 2] for c in self.cameras]),
            "_undistorted": Undistortion([it.distortion for it in self.cameras]),
        }.items():
            object.__setattr__(self, name, value)
        focal = np.array([np.diag(camera.matrix)[:2] for camera in self.cameras])
        scale = np.concatenate([focal, np.ones((len(focal), 1))], axis=1)
        rotations = np.array([camera.rotation for camera in self.cameras])
        translations = np.array([camera.translation for camera in self.cameras])
        px_axes = (
            (rotations * scale[..., None])[:, None],
            (translations * scale)[:, None],
            focal[:, None],
        )
        object.__setattr__(self, "px_axes", px_axes)
        if same := self._same_place():
            one, other = same
            raise DeepLabStreamError(
                f"the cameras {one} and {other} are at the same place: the values of one "
                "were copied to the other, or were never measured. Calibrate them again, or "
                "leave one out"
            )

    @property
    def centres(self) -> Floats:
        """Positions (camera, 3) of the cameras in the world."""
        return np.array([camera.centre for camera in self.cameras])

    @property
    def largest_baseline(self) -> float:
        """Largest distance of two cameras, in the unit of the world."""
        return max(_distances(self.centres))

    def __len__(self) -> int:
        return len(self.cameras)

    def camera(self, name: str) -> CalibratedCamera:
        """Return the camera of a name; DeepLabStreamError: there is none."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise DeepLabStreamError(
            f"has no camera {name}; its cameras are {', '.join(self.names)}"
        )

    def select(self, names: Sequence[str]) -> "CameraGroup":
        """Return the cameras of those names, in their order."""
        return CameraGroup(tuple(self.camera(name) for name in names))

    def equals(self, other: "CameraGroup") -> bool:
        """Return whether another group has the same cameras, to the last bit."""
        return self.names == other.names and all(
            one.size == two.size
            and np.array_equal(one.matrix, two.matrix)
            and np.array_equal(one.distortion, two.distortion)
            and np.array_equal(one.rotation, two.rotation)
            and np.array_equal(one.translation, two.translation)
            for one, two in zip(self.cameras, other.cameras, strict=True)
        )

    def scaled(self, factor: float) -> "CameraGroup":
        """Return the same cameras with positions in a unit that is `factor` times smaller.

        >>> import numpy as np
        >>> one = CalibratedCamera("a", np.eye(3), np.zeros(5), np.eye(3), np.zeros(3))
        >>> other = CalibratedCamera(
        ...     "b", np.eye(3), np.zeros(5), np.eye(3), [0.5, 0, 0]
        ... )
        >>> CameraGroup((one, other)).scaled(1000.0).largest_baseline
        500.0
        """
        return CameraGroup(
            tuple(
                replace(camera, translation=camera.translation * factor)
                for camera in self.cameras
            )
        )

    def project(self, points: ArrayLike) -> Floats:
        """Return where each camera sees points.

        Parameters
        ----------
        points : array of float, shape (..., 3)
            In the world. NaN stays NaN.

        Returns
        -------
        numpy.ndarray of float64, shape (camera, ..., 2)
            x, y in pixels. NaN: behind the camera.
        """
        return np.stack([camera.project(points) for camera in self.cameras])

    def undistort(self, pixels: NDArray[np.floating]) -> Floats:
        """Return the directions in which the cameras see pixels.

        Parameters
        ----------
        pixels : numpy.ndarray of float, shape (camera, ..., 2)
            x, y in the image of each camera. NaN stays NaN.

        Returns
        -------
        numpy.ndarray of float64, shape (camera, ..., 2)
            As `CalibratedCamera.undistort`.
        """
        # all cameras at once: of few points, each operation of numpy costs more than its work
        centred = pixels.reshape(len(self), -1, 2) - self._principal_points[:, None]
        flat = self._undistorted(centred @ self._inverses)
        return flat.reshape(pixels.shape)

    def _same_place(self) -> tuple[str, str] | None:
        """Return the names of two cameras at the same place; None: there are none."""
        limit = _SAME_PLACE * self.largest_baseline
        places = combinations(range(len(self)), 2)
        for (one, other), apart in zip(places, _distances(self.centres), strict=True):
            if apart <= limit:
                return self.names[one], self.names[other]
        return None


def _distances(places: Floats) -> list[float]:
    """Return the distance of each pair of places, in the order of `combinations`."""
    return [
        float(np.linalg.norm(one - other)) for one, other in combinations(places, 2)
    ]
