"""Comparison of a new network with the present one, on images that neither was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.model.model_opening import find_model, open_estimator
from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.evaluation.animal_matching import check_animals, matched
from deeplabstream.training.evaluation.image_prediction import (
    ImagePredictions,
    predict_by_network,
    together,
)
from deeplabstream.training.evaluation.learned_images import learned_images

RESAMPLED = 2000
"""Bootstrap samples of the images, for the interval of the difference."""
FEWEST = 6
"""Fewest images for a bootstrap interval of the difference."""


@dataclass(frozen=True, slots=True)
class NetworkComparison:
    """Errors of two networks in the same images, px."""

    images: int
    points: int
    """Labels that both networks found."""
    new_px: float
    """Median error of the new network."""
    old_px: float
    difference_px: tuple[float, float]
    """95 % interval of the difference of the medians, new minus old; images resampled."""
    new_missed: int
    """Labels of several animals that the new network did not find."""
    old_missed: int

    @property
    def verdict(self) -> str:
        """The better network, as a sentence."""
        low, high = self.difference_px
        interval = f" (95 % interval of the difference {low:+.2f} to {high:+.2f} px)"
        if self.images < FEWEST:
            what = f"at least {FEWEST} images are needed to say which is better"
            interval = ""
        elif high < 0:
            what = "the new network is better"
        elif low > 0:
            what = "the new network is worse"
        else:
            what = "no difference is certain"
        sentence = (
            f"{self.images} image{'s' * (self.images != 1)} that neither network learned "
            f"from: median error {self.old_px:.2f} px of the present network, {self.new_px:.2f} "
            f"px of the new one; {what}{interval}"
        )
        if self.new_missed or self.old_missed:
            sentence += f"; labels not found: {self.old_missed} and {self.new_missed}"
        return sentence


def compare(
    new: str | Path,
    old: str | Path,
    labels: Labels,
    runtime: str = "auto",
    threads: int = 0,
) -> NetworkComparison:
    """Return the errors of two networks in labelled images that neither was trained on.

    What a network learned from is in its `predictions.csv`, and in its `model.json` what
    its start network did; one without these did not learn from these images. LabelsError:
    all images were learned from, or the networks and the labels share no body part.
    """
    folders = find_model(new), find_model(old)
    learned = {name for folder in folders for name in learned_images(folder)}
    rows = [row for row, name in enumerate(labels.names) if name not in learned]
    if not rows:
        raise LabelsError(
            [
                f"{folders[0].name} and {folders[1].name} cannot be compared: they learned "
                f"from all {len(labels.names)} labelled images; label more frames"
            ]
        )

    some = labels.of_images(rows)
    distances, missed = zip(
        *(_errors(folder, some, runtime, threads) for folder in folders), strict=True
    )

    # Medians are comparable only over the points that both networks have found.
    both = np.isfinite(distances[0]) & np.isfinite(distances[1])
    if not both.any():
        raise LabelsError(
            [
                f"{folders[0].name} and {folders[1].name} find no labelled body part in common"
            ]
        )
    errors = [np.where(both, distance, np.nan) for distance in distances]
    new_px, old_px = (float(np.nanmedian(error)) for error in errors)
    interval = _interval(errors, both)
    return NetworkComparison(
        len(rows), int(both.sum()), new_px, old_px, interval, *missed
    )


def _errors(
    folder: Path, labels: Labels, runtime: str, threads: int
) -> tuple[NDArray[np.float64], int]:
    """Return (image, animal · body part of the labels) distances, and labels not found."""
    estimator = open_estimator(folder, runtime, threads)
    found = together(predict_by_network(estimator, labels.images, labels.names))
    check_animals(found, labels)
    parts = labels.skeleton.bodyparts
    away = np.full((len(labels.names), labels.animals, len(parts)), np.nan)
    if found.animals == 1:
        own = found.distance(labels)[:, None]
    else:
        which = matched(found, labels, estimator.threshold)
        own = which.distance[:, : labels.animals]
    for place, name in enumerate(found.bodyparts):
        if name in parts:
            away[..., parts.index(name)] = own[..., place]
    missed = int((_comparable(found, labels) & ~np.isfinite(away)).sum())
    return away.reshape(len(away), -1), missed


def _comparable(found: ImagePredictions, labels: Labels) -> NDArray[np.bool_]:
    """Return (image, animal, body part): labelled, and known to the network."""
    parts = labels.skeleton.bodyparts
    shape = len(labels.names), labels.animals, len(parts)
    labelled = np.isfinite(labels.points).all(axis=2).reshape(shape)
    known = np.array([name in found.bodyparts for name in parts])
    return np.asarray(labelled & known)


def _interval(
    errors: Sequence[NDArray[np.float64]], both: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the difference of medians.

    Whole images are resampled: points of one image are not independent.
    """
    images = np.flatnonzero(both.any(axis=1))
    new, old = (error[images] for error in errors)
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(RESAMPLED):
        rows = rng.integers(len(images), size=len(images))
        differences.append(np.nanmedian(new[rows]) - np.nanmedian(old[rows]))
    low, high = np.percentile(differences, [2.5, 97.5])
    return float(low), float(high)
