"""Pictures, and where the program that trained a network saw the body parts in them."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from pose.comparing import outputs
from pose.importers.description import Description
from pose.matching import match_animals
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
    """(n, animal, bodypart, 2), pixels of the input; NaN where it saw nothing."""
    confidences: NDArray[np.float32]
    """(n, animal, bodypart)."""

    def check(self, model: ModelFolder) -> dict[str, object]:
        """Return how far the imported network's points are; ModelError when too far."""
        network = OnnxNetwork(model, "cpu", 0)
        points, sure = model.read(outputs(network, self.pictures))
        order = [match_animals(*pair) for pair in zip(self.points, points, strict=True)]
        rows = np.arange(len(points))[:, None]
        points, sure = points[rows, order], sure[rows, order]
        compared = np.isfinite(self.points).all(axis=3)
        compared &= self.confidences >= LEAST_SURE
        if not compared.any():
            raise ModelError(
                f"{model.path}: the original sees no body part in the pictures of the "
                "reference, so nothing can be compared; give its script --video"
            )
        away = np.linalg.norm(points - self.points, axis=3)[compared]
        found = np.isfinite(away)
        away[~found] = np.inf  # of several animals, those that it does not find
        median, p95 = np.percentile(away, [50, 95], method="higher").tolist()
        if not p95 <= MOST_PX:
            raise ModelError(
                f"{model.path}: half of the imported network's points are more than "
                f"{median:.2g} px, 5 in 100 more than {p95:.2g} px from where the "
                f"original sees them; it is not imported"
            )
        unsure = np.abs(sure.clip(0, 1) - self.confidences.clip(0, 1))[compared]
        said: dict[str, object] = {
            "points": int(away.size),
            "median_px": round(median, 4),
            "p95_px": round(p95, 4),
            "max_px": round(float(away[found].max()), 4),
            "confidence": round(float(unsure[found].max()), 4),
        }
        if model.animals > 1:
            more = np.isfinite(points[..., 0]) & np.isnan(self.points[..., 0])
            said |= {"missed": int((~found).sum()), "more": int(more.sum())}
        return said


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
    count, animals = len(pictures), () if words.most == 1 else (words.most,)
    shape = (count, *animals, len(words.bodyparts))
    wanted = {
        "pictures": (pictures, (count, words.input.height, words.input.width, 3)),
        "points": (points, (*shape, 2)),
        "confidences": (confidences, shape),
    }
    for name, (array, wants) in wanted.items():
        if array.shape != wants or not count:
            raise ModelError(
                f"{file} is damaged: {name} are {list(array.shape)}, and not {list(wants)} "
                "as the description says"
            )
    if pictures.dtype != np.uint8:
        raise ModelError(f"{file} is damaged: pictures are {pictures.dtype}, not uint8")
    shape = (count, words.most, len(words.bodyparts))
    return Reference(
        pictures,
        points.astype(np.float32).reshape(*shape, 2),
        confidences.astype(np.float32).reshape(shape),
    )
