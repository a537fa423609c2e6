"""Matching of found animals to labelled ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import counted
from deeplabstream.pose.tracking.pose_matching import NEAR, animal_length, same_animals
from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.evaluation.image_prediction import Found

Points = NDArray[np.float32]
Mask = NDArray[np.bool_]
Counts = NDArray[np.intp]
LEAST_PARTS = 2
"""Fewest visible body parts of an animal that must be found: one part is joined to nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Counts of found animals, (image,)."""

    labelled: Counts
    """Labelled animals with two visible body parts at least."""
    found: Counts
    """Those of them that were found."""
    told: Counts
    """Animals that the network gives, right or wrong."""

    def of(self, images: Sequence[bool] | Mask) -> "Counted":
        """Return those of some images."""
        some = np.asarray(images, np.bool_)
        return Counted(self.labelled[some], self.found[some], self.told[some])

    @property
    def recall(self) -> float:
        """Share of the labelled animals that was found; NaN: there are none."""
        return _share(self.found.sum(), self.labelled.sum())

    @property
    def precision(self) -> float:
        """Share of the found animals that is labelled; NaN: there are none."""
        return _share(self.found.sum(), self.told.sum())


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
    """(image, animal): the row of each one told; -1: it has none."""
    right: Mask
    """(image, animal): whether it is the labelled animal of that row."""

    def placed(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return (image, row, bodypart) of values by animal as told; NaN elsewhere."""
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
    """Return found animals (image, animal, bodypart, 2) in the order of the labels'.

    Both have room for as many animals, and are in one unit. In each image the best
    assignment by mean distance counts; what is farther than `near_px` is not found (None:
    `NEAR` of an animal's length, which a single body part does not tell). Points
    below `threshold` are not there, nor is who has no other. An animal that is no labelled
    one takes a row without a label, if one is left.
    """
    near = NEAR * animal_length(labels) if near_px is None else near_px
    least = min(LEAST_PARTS, labels.shape[2])
    believed = np.where((confidence >= threshold)[..., None], points, np.nan)
    out = np.full_like(points, np.nan)
    sure = np.zeros_like(confidence)
    labelled, found, told = np.zeros((3, len(labels)), np.intp)
    of = np.full(points.shape[:2], -1, np.intp)
    right = np.zeros(points.shape[:2], np.bool_)
    for place, (own, truth) in enumerate(zip(believed, labels, strict=True)):
        pairs = same_animals(own, truth, near)
        there = np.isfinite(own).all(axis=2).sum(axis=1)
        wanted = np.isfinite(truth).all(axis=2).sum(axis=1)
        good = sum(int(wanted[row]) >= least for _, row in pairs)
        labelled[place] = (wanted >= least).sum()
        found[place] = good
        # What lies on an animal of which one part is to be seen is neither right nor wrong.
        told[place] = (there > 0).sum() - (len(pairs) - good)
        rows = dict(pairs)
        left = [row for row in range(len(truth)) if row not in rows.values()]
        left.sort(key=lambda row: int(wanted[row]))  # rows without a label first
        for animal in range(len(own)):
            row = rows[animal] if animal in rows else left.pop(0)
            right[place, animal] = animal in rows
            if there[animal] and (animal in rows or not wanted[row]):
                of[place, animal] = row
                out[place, row] = points[place, animal]
                sure[place, row] = confidence[place, animal]
    away = np.linalg.norm(out - labels, axis=3).astype(np.float32)
    counted = Counted(labelled, found, told)
    return Matched(out, sure, labels, away, counted, near, of, right)


def claims(
    points: Points,
    confidence: Points,
    labels: Points,
    known: Mask,
    near_px: float | None = None,
) -> tuple[Points, Points, Mask]:
    """Return of all points told (image, animal · bodypart) how right they are.

    Their distances to the labels, NaN: nothing is there; their confidences; and whether a
    point is told of which it is `known`, as it is of labels (image, animal, bodypart).
    """
    matched = match(points, confidence, labels, near_px=near_px)
    rows, right = matched.rows.clip(0)[..., None], matched.right[..., None]
    own = np.take_along_axis(matched.distance, rows, 1)
    distance = np.where(right, own, np.float32(np.nan))
    asked = ~right | np.take_along_axis(known, rows, 1)
    flat = len(points), -1
    asked = asked & np.isfinite(points).all(axis=3)
    return distance.reshape(flat), confidence.reshape(flat), asked.reshape(flat)


def padded(labels: Labels, animals: int) -> Labels:
    """Return the labels with room for so many animals; LabelsError: there are more."""
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


def beside(found: Found, labels: Labels, room: int) -> tuple[Points, Mask]:
    """Return the labels and of what they are known, as `found` has its body parts.

    (image, animal, bodypart, 2) and (image, animal, bodypart), for `room` animals.
    Nothing is known of body parts that are not labelled.
    """
    there = padded(labels, room)
    shape = len(there.points), room, len(labels.skeleton.bodyparts)
    own, known = there.points.reshape(*shape, 2), there.known.reshape(shape)
    truth = np.full((*shape[:2], len(found.bodyparts), 2), np.nan, np.float32)
    asked = np.zeros(truth.shape[:3], np.bool_)
    for place, name in enumerate(found.bodyparts):
        if name in labels.skeleton.bodyparts:
            part = labels.skeleton.bodyparts.index(name)
            truth[:, :, place], asked[:, :, place] = own[:, :, part], known[:, :, part]
    return truth, asked


def matched(found: Found, labels: Labels, threshold: float) -> Matched:
    """Return the animals found in the order of those labelled, by body part as found.

    There is room for all of both: none that is told is left out. Points below `threshold`
    are not there.
    """
    room = found.animals + labels.animals
    truth, _ = beside(found, labels, room)
    points, sure = found.by_animal
    more = (0, 0), (0, labels.animals), (0, 0)
    points = np.pad(points, (*more, (0, 0)), constant_values=np.nan)
    return match(points, np.pad(sure, more), truth, threshold)


def told(which: Matched) -> str:
    """Return how many animals were found, in a sentence."""
    score = which.counted
    if not score.labelled.any():
        return "no animal is labelled"
    return (
        f"{counted(int(score.labelled.sum()), 'animal')}: recall {score.recall:.1%}, "
        f"precision {score.precision:.1%}; found is an animal within {which.near_px:.1f} px"
    )


def check_animals(found: Found, labels: Labels) -> None:
    """Raise LabelsError when the labels have several animals and the network only one."""
    if labels.animals > found.animals:
        raise LabelsError(
            [
                f"{labels.file} labels up to {labels.animals} animals in an image; the "
                f"network finds {found.animals}"
            ]
        )


def by_part(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (image · animal, bodypart) of (image, animal, bodypart)."""
    return values.reshape(-1, values.shape[2])


def _share(some: int, of: int) -> float:
    return float(some / of) if of else float("nan")
