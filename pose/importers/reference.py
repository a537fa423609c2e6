"""Pictures, and where the program that trained a network saw the body parts in them."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from pose.comparing import outputs
from pose.importers.description import Description
from pose.model_folder import ModelFolder
from pose.onnx_runtime import OnnxNetwork

MOST_PX = 0.5
"""Input pixels within which 95 in 100 points must be where the original saw them."""
LEAST_SURE = 0.05
"""Points of which the original is less sure than this are not compared."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Pictures of the network's size, and the original's own poses in them."""

    pictures: NDArray[np.uint8]
    """(n, height, width, 3), BGR."""
    points: NDArray[np.float32]
    """(n, bodypart, 2), pixels of the input; NaN where it saw nothing."""
    confidences: NDArray[np.float32]
    """(n, bodypart)."""

    def check(self, model: ModelFolder) -> dict[str, object]:
        """Return how far the imported network's points are; ModelError when too far."""
        network = OnnxNetwork(model, "cpu", 0)
        read = model.read(outputs(network, self.pictures))
        points, sure = (each[:, 0] for each in read)
        compared = np.isfinite(self.points).all(axis=2)
        compared &= self.confidences >= LEAST_SURE
        if not compared.any():
            raise ModelError(
                f"{model.path}: the original sees no body part in the pictures of the "
                "reference, so nothing can be compared; give its script --video"
            )
        away = np.linalg.norm(points - self.points, axis=2)[compared]
        median, p95, most = (float(each) for each in np.percentile(away, [50, 95, 100]))
        if not p95 <= MOST_PX:
            raise ModelError(
                f"{model.path}: half of the imported network's points are more than "
                f"{median:.2g} px, 5 in 100 more than {p95:.2g} px from where the "
                f"original sees them; it is not imported"
            )
        unsure = np.abs(sure.clip(0, 1) - self.confidences.clip(0, 1))[compared]
        return {
            "points": int(away.size),
            "median_px": round(median, 4),
            "p95_px": round(p95, 4),
            "max_px": round(most, 4),
            "confidence": round(float(unsure.max()), 4),
        }


def read_reference(file: Path, words: Description) -> Reference:
    """Return what the file holds; nothing is unpickled. ModelError says what is wrong."""
    try:
        with np.load(file, allow_pickle=False) as held:
            pictures, points = held["pictures"], held["points"]
            confidences = held["confidences"]
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ModelError(f"{file} is damaged: {error}") from error
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror or error}") from error
    count, parts = len(pictures), len(words.bodyparts)
    wanted = {
        "pictures": (pictures, (count, words.input.height, words.input.width, 3)),
        "points": (points, (count, parts, 2)),
        "confidences": (confidences, (count, parts)),
    }
    for name, (array, shape) in wanted.items():
        if array.shape != shape or not count:
            raise ModelError(
                f"{file} is damaged: {name} are {list(array.shape)}, and not {list(shape)} "
                "as the description says"
            )
    if pictures.dtype != np.uint8:
        raise ModelError(f"{file} is damaged: pictures are {pictures.dtype}, not uint8")
    return Reference(
        pictures, points.astype(np.float32), confidences.astype(np.float32)
    )
