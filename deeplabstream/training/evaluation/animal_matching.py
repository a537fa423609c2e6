"""Matching of predicted animals to labelled ones, for recall, precision and distances."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import counted
from deeplabstream.pose.tracking.pose_matching import NEAR, animal_length, same_animals
from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.evaluation.image_prediction import ImagePredictions

Points = NDArray[np.float32]
Mask = NDArray[np.bool_]
Counts = NDArray[np.intp]
LEAST_PARTS = 2
"""Fewest visible body parts of an animal that must be found: one alone has no edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Counts of labelled, found and predicted animals, (image,)."""

    labelled: Counts
    """Labelled animals with two visible body parts at least."""
    found: Counts
    """Those of them that were found."""
    predicted: Counts
    """Animals that the network predicts, correct or not."""

    def of(self, images: Sequence[bool] | Mask) -> "Counted":
        """Return the counts of some images."""
        some = np.asarray(images, np.bool_)
        return Counted(self.labelled[some], self.found[some], self.predicted[some])

    @property
    def recall(self) -> float:
        """Share of the labelled animals that was found; NaN: there are none."""
        return _share(self.found.sum(), self.labelled.sum())

    @property
    def precision(self) -> float:
        """Share of the found animals that is labelled; NaN: there are none."""
        return _share(self.found.sum(), self.predicted.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Found animals in the order of the labelled ones, and their distances."""

    points: Points
    """(image, animal, bodypart, 2); those that match no label fill the other rows."""
    confidence: Points
    labels: Points
    """(image, animal, bodypart, 2); NaN: not labelled."""
    distance: Points
    """(image, animal, bodypart), px; NaN: not labelled, or not found."""
    counted: Counted
    near_px: float
    rows: Counts
    """(image, animal): row of each predicted animal; -1: none."""
    right: Mask
    """(image, animal): whether it is the labelled animal of that row."""

    def placed(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return (image, row, bodypart) of values by predicted animal; NaN elsewhere."""
        out = np.full(self.distance.shape, np.nan)
        images, animals = np.nonzero(self.rows >= 0)
        out[images, self.rows[images, animals]] = values[images, animals]
        return out


def match(
    points: Points,
    confidence: Points,
    labels: Points,
    threshold: float = 0.0,
    near_px: float | None = None,
) -> Matched:
    """Return predicted animals (image, animal, bodypart, 2) in the order of the labels.

    Points and labels have room for as many animals, in one unit. In each image the
    assignment with the smallest mean distance counts. An animal farther away than `near_px`
    is not found (None: `NEAR` of an animal's length; a single body part has no length).
    Points below `threshold` are ignored, and so are animals without other points. A
    predicted animal that matches no label takes a row without a label, if one is left.
    """
    near = NEAR * animal_length(labels) if near_px is None else near_px
    least = min(LEAST_PARTS, labels.shape[2])
    confident = np.where((confidence >= threshold)[..., None], points, np.nan)

    out = np.full_like(points, np.nan)
    sure = np.zeros_like(confidence)
    labelled, found, predicted = np.zeros((3, len(labels)), np.intp)
    rows_of = np.full(points.shape[:2], -1, np.intp)
    right = np.zeros(points.shape[:2], np.bool_)
    for image, (own, truth) in enumerate(zip(confident, labels, strict=True)):
        pairs = same_animals(own, truth, near)
        visible = np.isfinite(own).all(axis=2).sum(axis=1)
        labelled_parts = np.isfinite(truth).all(axis=2).sum(axis=1)
        correct = sum(int(labelled_parts[row]) >= least for _, row in pairs)
        labelled[image] = (labelled_parts >= least).sum()
        found[image] = correct
        # A match with an animal that has one labelled part counts neither as correct
        # nor as wrong.
        predicted[image] = (visible > 0).sum() - (len(pairs) - correct)

        # Unmatched animals take the rows that are left, rows without a label first.
        rows = dict(pairs)
        left = [row for row in range(len(truth)) if row not in rows.values()]
        left.sort(key=lambda row: int(labelled_parts[row]))
        for animal in range(len(own)):
            row = rows[animal] if animal in rows else left.pop(0)
            right[image, animal] = animal in rows
            if visible[animal] and (animal in rows or not labelled_parts[row]):
                rows_of[image, animal] = row
                out[image, row] = points[image, animal]
                sure[image, row] = confidence[image, animal]

    distance = np.linalg.norm(out - labels, axis=3).astype(np.float32)
    counted = Counted(labelled, found, predicted)
    return Matched(out, sure, labels, distance, counted, near, rows_of, right)


def claims(
    points: Points,
    confidence: Points,
    labels: Points,
    known: Mask,
    near_px: float | None = None,
) -> tuple[Points, Points, Mask]:
    """Return the correctness of all predicted points (image, animal · bodypart).

    Returns
    -------
    distance
        To the label, px; NaN: there is no label.
    confidence
        Of the points.
    decidable
        Whether it is `known` (image, animal, bodypart) from the labels if the point is
        right.
    """
    matched = match(points, confidence, labels, near_px=near_px)
    rows, right = matched.rows.clip(0)[..., None], matched.right[..., None]
    own = np.take_along_axis(matched.distance, rows, 1)
    distance = np.where(right, own, np.float32(np.nan))

    # A point of an animal that matches no label is wrong, independent of its row.
    decidable = ~right | np.take_along_axis(known, rows, 1)
    decidable = decidable & np.isfinite(points).all(axis=3)
    flat = len(points), -1
    return distance.reshape(flat), confidence.reshape(flat), decidable.reshape(flat)


def padded(labels: Labels, animals: int) -> Labels:
    """Return the labels with rows for `animals` animals; LabelsError: there are more."""
    if labels.animals > animals:
        raise LabelsError(
            [
                f"{labels.file} labels up to {labels.animals} animals, more than {animals}"
            ]
        )
    more = (animals - labels.animals) * len(labels.skeleton.bodyparts)
    spread = (0, 0), (0, more)
    return replace(
        labels,
        points=np.pad(labels.points, (*spread, (0, 0)), constant_values=np.nan),
        known=np.pad(labels.known, spread, constant_values=True),
        animals=animals,
        individuals=(),
    )


def beside(
    predictions: ImagePredictions, labels: Labels, room: int
) -> tuple[Points, Mask]:
    """Return the labels, and where they are known, by the predicted body parts.

    (image, animal, bodypart, 2) and (image, animal, bodypart), for `room` animals.
    Nothing is known of body parts that are not labelled.
    """
    roomy = padded(labels, room)
    shape = len(roomy.points), room, len(labels.skeleton.bodyparts)
    points, known = roomy.points.reshape(*shape, 2), roomy.known.reshape(shape)
    truth = np.full((*shape[:2], len(predictions.bodyparts), 2), np.nan, np.float32)
    truth_known = np.zeros(truth.shape[:3], np.bool_)
    for place, name in enumerate(predictions.bodyparts):
        if name in labels.skeleton.bodyparts:
            part = labels.skeleton.bodyparts.index(name)
            truth[:, :, place] = points[:, :, part]
            truth_known[:, :, place] = known[:, :, part]
    return truth, truth_known


def matched(predictions: ImagePredictions, labels: Labels, threshold: float) -> Matched:
    """Return the predicted animals in the order of the labelled ones.

    There is room for all of both, so that no prediction is left out. Points below
    `threshold` are ignored.
    """
    room = predictions.animals + labels.animals
    truth, _ = beside(predictions, labels, room)
    points, sure = predictions.by_animal
    more = (0, 0), (0, labels.animals), (0, 0)
    points = np.pad(points, (*more, (0, 0)), constant_values=np.nan)
    return match(points, np.pad(sure, more), truth, threshold)


def recall_sentence(matching: Matched) -> str:
    """Return recall and precision as a sentence."""
    score = matching.counted
    if not score.labelled.any():
        return "no animal is labelled"
    return (
        f"{counted(int(score.labelled.sum()), 'animal')}: recall {score.recall:.1%}, "
        f"precision {score.precision:.1%}; found is an animal within "
        f"{matching.near_px:.1f} px"
    )


def check_animals(predictions: ImagePredictions, labels: Labels) -> None:
    """Raise LabelsError when the labels have several animals and the network only one."""
    if labels.animals > predictions.animals:
        raise LabelsError(
            [
                f"{labels.file} labels up to {labels.animals} animals in an image; the "
                f"network finds {predictions.animals}"
            ]
        )


def by_part(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (image · animal, bodypart) of (image, animal, bodypart)."""
    return values.reshape(-1, values.shape[2])


def _share(some: int, of: int) -> float:
    return float(some / of) if of else float("nan")
