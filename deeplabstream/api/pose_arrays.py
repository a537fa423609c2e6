"""Poses of a camera or a video as arrays, and as a dataset in the layout of movement."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.pose_table import PoseTable

if TYPE_CHECKING:
    from xarray import Dataset

SOFTWARE = "DeepLabStream"


@dataclass(frozen=True, slots=True, eq=False)
class PoseArrays:
    """Poses of the frames of one camera or one video.

    Nothing is thresholded: a point below `threshold` is a guess.

    Attributes
    ----------
    time_s : numpy.ndarray of float64, shape (time,)
        Time of each frame in seconds: of a run since Start Stream, of a video since its
        first frame.
    position : numpy.ndarray of float32, shape (time, space, keypoints, individuals)
        Points in pixels of the camera's frames; space is x (right), y (down). NaN: the
        point was not found, or the frame was not analysed.
    confidence : numpy.ndarray of float32, shape (time, keypoints, individuals)
        From 0 to 1. NaN: the frame was not analysed, or could not be decoded.
    keypoints : tuple of str
        Names of the body parts.
    individuals : tuple of str
        Names of the animals.
    fps : float
        Frames per second as the camera or the video states it; 0: unknown.
    threshold : float
        Confidence below which triggers treat a point as not seen.
    source : str
        The run folder, or the video.
    """

    time_s: NDArray[np.float64]
    position: NDArray[np.float32]
    confidence: NDArray[np.float32]
    keypoints: tuple[str, ...]
    individuals: tuple[str, ...]
    fps: float
    threshold: float
    source: str

    def to_xarray(self) -> "Dataset":
        """Return the same as a dataset in the layout of the package movement.

        Returns
        -------
        xarray.Dataset
            Variables `position` (time, space, keypoints, individuals), pixels, and
            `confidence` (time, keypoints, individuals); the coordinate `time` in seconds;
            attributes `fps` (None: unknown), `time_unit`, `source_software`,
            `source_file`, `ds_type` and `threshold`. NaN as in `PoseArrays`.

        Raises
        ------
        ImportError
            xarray is not installed.
        """
        from xarray import Dataset

        dims = ("time", "space", "keypoints", "individuals")
        return Dataset(
            {
                "position": (dims, self.position),
                "confidence": (("time", *dims[2:]), self.confidence),
            },
            coords={
                "time": self.time_s,
                "space": ["x", "y"],
                "keypoints": list(self.keypoints),
                "individuals": list(self.individuals),
            },
            attrs={
                "source_software": SOFTWARE,
                "ds_type": "poses",
                "fps": self.fps or None,
                "time_unit": "seconds",
                "source_file": self.source,
                "threshold": self.threshold,
            },
        )


def labelled(poses: PoseArrays) -> Any:
    """Return the xarray Dataset of `poses`; where xarray is missing, `poses`."""
    try:
        return poses.to_xarray()
    except ImportError:
        return poses


def arrays_of(
    table: PoseTable, fps: float, threshold: float, source: str
) -> PoseArrays:
    """Return poses with the axes in the order of movement.

    `fps`: frames per second, 0: unknown; `threshold`: of the confidence, 0 to 1; `source`:
    the run folder, or the video. NaN stays NaN.
    """
    return PoseArrays(
        np.asarray(table.times_s, np.float64),
        np.ascontiguousarray(table.points.transpose(0, 3, 2, 1), np.float32),
        np.ascontiguousarray(table.confidence.transpose(0, 2, 1), np.float32),
        table.skeleton.bodyparts,
        table.animals,
        fps,
        threshold,
        source,
    )
