"""Kinds of error: where a network's points lie that are far from their labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.network_estimator import RIGHT_PX
from deeplabstream.pose.tracking.pose_matching import animal_length

KINDS = {
    "jitter": "near the label",
    "inversion": "at the label of another body part",
    "far": "far from all labels of the view, asserted",
    "missed": "not found, or far from all labels and below the threshold",
    "label": "suspicious label: the networks agree with each other, not with the label",
}
"""Kinds of error by name; `ErrorKinds.kind` has their places."""
NEAR_SHARE = 0.1
"""Largest distance to a label at which a point is near it, as a share of an animal's length."""
KIND_COLUMNS = ("kind", "points", "share", "squared_error", "asserted")
"""Columns of the table of kinds: number and share of the labelled points, share of the
squared error, number of points at or above the threshold."""

_JITTER, _INVERSION, _FAR, _MISSED, _LABEL = range(len(KINDS))


@dataclass(frozen=True, slots=True, eq=False)
class ErrorKinds:
    """Kind of error of each labelled point."""

    kind: NDArray[np.int8]
    """(row, bodypart): place in `KINDS`; -1: no label."""
    at: NDArray[np.intp]
    """(row, bodypart): body part at whose label an inverted point lies; -1: none."""
    asserted: NDArray[np.bool_]
    """(row, bodypart): whether the confidence reaches the threshold."""
    near_px: float
    """Largest distance to a label at which a point is near it."""

    def rows(
        self, error_px: NDArray[np.floating], which: NDArray[np.bool_]
    ) -> Iterator[tuple[str, int, float, float, int]]:
        """Yield `KIND_COLUMNS` for each kind, of the rows `which`.

        Points that were not found have no distance, and no share of the squared error.
        """
        kind, asserted = self.kind[which], self.asserted[which]
        squared = np.nan_to_num(np.square(error_px[which]))
        squared[kind < 0] = 0
        points, total = max(1, int((kind >= 0).sum())), float(squared.sum()) or 1.0
        for place, name in enumerate(KINDS):
            own = kind == place
            count = int(own.sum())
            share = float(squared[own].sum()) / total
            yield name, count, count / points, share, int((own & asserted).sum())

    def name(self, row: int, part: int) -> str:
        """Return the name of a point's kind; empty: no label."""
        place = int(self.kind[row, part])
        return tuple(KINDS)[place] if place >= 0 else ""


def error_kinds(
    points: NDArray[np.floating],
    labels: NDArray[np.floating],
    confidence: NDArray[np.floating],
    threshold: float,
    views: Sequence[Sequence[int]] = (),
    spread_px: NDArray[np.floating] | None = None,
) -> ErrorKinds:
    """Return the kind of error of each labelled point.

    Jitter, inversion and miss are those of Ronchi and Perona (2017), "Benchmarking and error
    diagnosis in multi-instance pose estimation". The first kind that applies counts, in the
    order jitter, suspicious label, inversion, missed, far.

    Parameters
    ----------
    points, labels
        (row, bodypart, 2), px, a row for each animal of an image; NaN: not found, not
        labelled.
    confidence
        (row, bodypart), 0 to 1.
    threshold
        Confidence from which a point is asserted.
    views
        Body parts of each view. Only body parts of one view are inverted; empty: all body
        parts are in one.
    spread_px
        (row, bodypart): spread of an ensemble's networks; NaN: not known; None: one network.
    """
    length = animal_length(np.asarray(labels, np.float32))
    near_px = NEAR_SHARE * length if np.isfinite(length) else RIGHT_PX
    labelled = np.isfinite(labels).all(axis=2)
    asserted = np.isfinite(points).all(axis=2) & (confidence >= threshold)
    near = np.linalg.norm(points - labels, axis=2) <= near_px

    # Distances of each point to the labels of the other body parts of its view.
    to_labels = np.linalg.norm(points[:, :, None] - labels[:, None], axis=3)
    to_labels[:, ~_same_view(labels.shape[1], views)] = np.nan
    to_labels = np.where(np.isfinite(to_labels), to_labels, np.inf)
    nearest = to_labels.argmin(axis=2)
    inverted = to_labels.min(axis=2) <= near_px

    # Later lines replace earlier ones.
    kind = np.full(labelled.shape, _FAR, np.int8)
    kind[~asserted] = _MISSED
    kind[inverted] = _INVERSION
    if spread_px is not None:
        kind[asserted & (spread_px <= near_px)] = _LABEL
    kind[near] = _JITTER
    kind[~labelled] = -1
    at = np.where(inverted & ~near & labelled, nearest, -1)
    return ErrorKinds(kind, at, asserted, float(near_px))


def _same_view(parts: int, views: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    """Return (bodypart, other): whether both are different parts of one view."""
    view_of = np.full(parts, -1)
    for number, view in enumerate(views):
        view_of[list(view)] = number
    same: NDArray[np.bool_] = view_of[:, None] == view_of
    return same & ~np.eye(parts, dtype=bool)
