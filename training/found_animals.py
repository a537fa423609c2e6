"""What a network for several animals found, beside the labels."""

import numpy as np
from numpy.typing import NDArray

from training.animals import Matched, match, padded
from training.labels import Labels, LabelsError
from training.predict import Found


def matched(found: Found, labels: Labels, threshold: float) -> Matched:
    """Return the animals found in the order of those labelled, by body part as found.

    Points below `threshold` are not there. LabelsError: labels of more animals than the
    network tells of.
    """
    count, pictures = len(found.bodyparts), len(found.points)
    there = padded(labels, found.animals)
    own = there.points.reshape(pictures, found.animals, -1, 2)
    truth = np.full((pictures, found.animals, count, 2), np.nan, np.float32)
    for place, name in enumerate(found.bodyparts):
        if name in labels.skeleton.bodyparts:
            truth[:, :, place] = own[:, :, labels.skeleton.bodyparts.index(name)]
    sure = found.confidence.reshape(truth.shape[:3])
    return match(found.points.reshape(truth.shape), sure, truth, threshold)


def told(which: Matched) -> str:
    """Return how many animals were found, in a sentence."""
    if not which.labelled:
        return "no animal is labelled"
    return (
        f"{which.labelled} animals: recall {which.recall:.1%}, precision "
        f"{which.precision:.1%}; found is an animal within {which.near_px:.1f} px"
    )


def check_animals(found: Found, labels: Labels) -> None:
    """Raise LabelsError when the labels have several animals and the network only one."""
    if labels.animals > found.animals:
        raise LabelsError(
            [
                f"{labels.file} labels up to {labels.animals} animals in a picture; the "
                f"network tells of {found.animals}"
            ]
        )


def by_part(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (picture · animal, bodypart) of (picture, animal, bodypart)."""
    return values.reshape(-1, values.shape[2])
