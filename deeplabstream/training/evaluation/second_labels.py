"""Second labels of the same images: inter-annotator distance, the human limit.

A network whose error is as small cannot be shown to be better with these labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.training.data.labels import (
    APART,
    TABLE,
    Labels,
    LabelsError,
    known_of,
    read_labels,
)
from deeplabstream.training.evaluation.animal_matching import matched
from deeplabstream.training.evaluation.image_prediction import ImagePredictions


@dataclass(frozen=True, slots=True)
class PersonDistance:
    """Distances between two persons' labels of one body part."""

    bodypart: str
    labels: int
    """Labels that both persons placed."""
    median_px: float
    p95_px: float
    unlike: int
    """Labels that one person placed and the other marked as not visible."""

    @property
    def text(self) -> str:
        """The distance as text for users."""
        if not self.labels:
            return "none labelled by both"
        return (
            f"median {self.median_px:5.1f}   95 % below {self.p95_px:5.1f}   "
            f"({self.labels} labels)"
        )


@dataclass(frozen=True, slots=True, eq=False)
class SecondLabels:
    """Distances between the labels of two or more persons."""

    files: tuple[Path, ...]
    """Tables of the other persons."""
    bodyparts: tuple[str, ...]
    distance: NDArray[np.float32]
    """(image, animal, body part), px, in the order of the first labels; the mean over the
    other persons. NaN: not labelled by two."""
    unlike: NDArray[np.bool_]
    """(image, animal, body part): placed by one person, not visible for the other."""
    problems: tuple[str, ...] = ()
    """Why other tables are not compared."""

    def summary(self) -> tuple[PersonDistance, ...]:
        """Return the distances of each body part; NaN where there are none."""
        parts = []
        for place, name in enumerate(self.bodyparts):
            column = self.distance[..., place]
            values = column[np.isfinite(column)]
            median, p95 = (
                np.percentile(values, [50, 95]) if values.size else (np.nan, np.nan)
            )
            unlike = int(self.unlike[..., place].sum())
            parts.append(
                PersonDistance(name, values.size, float(median), float(p95), unlike)
            )
        return tuple(parts)

    def rows(self, bodyparts: Sequence[str], room: int) -> NDArray[np.float64]:
        """Return (image · room, body part): the distances with `room` animals per image."""
        images, animals = self.distance.shape[:2]
        out = np.full((images, room, len(bodyparts)), np.nan)
        for place, name in enumerate(bodyparts):
            if name in self.bodyparts:
                own = self.distance[..., self.bodyparts.index(name)]
                out[:, :animals, place] = own
        return out.reshape(-1, len(bodyparts))


def second_labels(labels: Labels, files: Sequence[Path] = ()) -> SecondLabels | None:
    """Return the distances of other persons' labels of the same images from these.

    Without `files`, the tables beside `labels` count, `CollectedData_NAME.csv`; those of a
    DeepLabCut project lie in the folder of each video. None: there is none. LabelsError: a
    table of `files` labels none of these images, is a copy (as DeepLabCut keeps one when it
    converts a project to several animals), or can't be read; a table that was only found is
    named in `problems`.
    """
    groups = [[file] for file in files] or _beside(labels)
    compared: list[Path] = []
    problems: list[str] = []
    distances, unlike = [], []
    for group in groups:
        try:
            away, differs = _compare(labels, group)
        except LabelsError as error:
            # A table that the user named must be usable; one that was only found may not.
            if files:
                raise
            problems += error.problems
            continue
        compared += group
        distances.append(away)
        unlike.append(differs)
    if not compared:
        return None

    # The mean over the persons, of the points that they have labelled.
    stack = np.stack(distances)
    count = np.isfinite(stack).sum(axis=0)
    total = np.nansum(stack, axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return SecondLabels(
        tuple(compared),
        labels.skeleton.bodyparts,
        mean,
        np.any(unlike, axis=0),
        tuple(problems),
    )


def _beside(labels: Labels) -> list[list[Path]]:
    """Return the tables of other persons, grouped by person."""
    folders = [labels.file.parent, *(image.parent for image in labels.images)]
    found: dict[str, list[Path]] = {}
    for folder in dict.fromkeys(path.resolve() for path in folders):
        for file in sorted(folder.glob(f"{TABLE}*.csv")):
            own = file.name == labels.file.with_suffix(".csv").name
            if not own and not file.stem.endswith(APART):
                found.setdefault(file.name, []).append(file)
    return list(found.values())


def _compare(
    labels: Labels, files: Sequence[Path]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return distances and visibility differences (image, animal, body part)."""
    parts = labels.skeleton.bodyparts
    shape = len(labels.names), labels.animals, len(parts)
    away, unlike = np.full(shape, np.nan, np.float32), np.zeros(shape, np.bool_)
    places = {name: place for place, name in enumerate(labels.names)}
    shared = 0
    for file in files:
        other = read_labels(file, with_images=False, root=labels.root, several=True)
        common = [part for part in parts if part in other.skeleton.bodyparts]

        rows = [row for row, name in enumerate(other.names) if name in places]
        shared += len(rows) if common else 0
        at = [places[other.names[row]] for row in rows]
        theirs = _ordered(other, parts)[rows]
        own = labels.points.reshape(*shape, 2)[at]
        if labels.animals == other.animals == 1:
            away[at] = np.linalg.norm(theirs - own, axis=3)
            known = known_of(other, parts)[rows, None] & labels.known.reshape(shape)[at]
            visible, their_visible = (
                np.isfinite(points).all(axis=3) for points in (own, theirs)
            )
            unlike[at] = known & (visible != their_visible)
        else:
            away[at] = _matched(labels, at, theirs)

    # Two persons never place all points at the same pixel.
    names = ", ".join(map(str, files))
    if not unlike.any() and np.isfinite(away).any() and not np.nanmax(away):
        raise LabelsError([f"{names}: a copy of {labels.file}, and no second reading"])
    if not shared:
        raise LabelsError(
            [f"{names}: no image and body part of {labels.file} is labelled"]
        )
    return away, unlike


def _matched(
    labels: Labels, at: Sequence[int], theirs: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the distances of several animals, by the best assignment in each image."""
    some = labels.of_images(at)
    flat = theirs.reshape(len(at), -1, 2)
    sure = np.asarray(np.isfinite(flat).all(axis=2), np.float32)
    parts = labels.skeleton.bodyparts
    found = ImagePredictions(parts, some.names, flat, sure, theirs.shape[1])
    return matched(found, some, 0.0).distance[:, : labels.animals]


def _ordered(labels: Labels, bodyparts: Sequence[str]) -> NDArray[np.float32]:
    """Return (image, animal, body part, 2) in that order; NaN for other body parts."""
    own = labels.skeleton.bodyparts
    points = labels.points.reshape(len(labels.names), labels.animals, len(own), 2)
    out = np.full((*points.shape[:2], len(bodyparts), 2), np.nan, np.float32)
    for place, name in enumerate(bodyparts):
        if name in own:
            out[:, :, place] = points[:, :, own.index(name)]
    return out
