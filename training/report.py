"""What is known of a network's points, one row per point, and the tables of it."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.errors import DeepLabStreamError
from core.subspace import multi_view_error, single_view_error
from pose.confidence import ConfidenceScale
from training.evaluate import Reliability, reliability, share_within
from training.labels import Labels, LabelsError, known_of
from training.predict import Found, spread

Numbers: TypeAlias = NDArray[np.float64]
ORDER = ("train", "validation", "test", "unused", "all")
"""Of the sets; "all" where nobody told them apart."""
TRAINED = ("train", "unused")
"""The sets that tell nothing of what the network does with new pictures."""
MEASURES = {
    "error_px": "distance to the label",
    "spread_px": "spread of the ensemble",
    "pca_singleview_px": "PCA error, the whole pose",
    "pca_multiview_px": "PCA error, several views",
    "temporal_px": "temporal norm",
}
"""What may be known of each point, by the name of its column."""
FIGURES = ("labels", "median_px", "mean_px", "p95_px", "within")


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A network's points in labelled pictures, and how far each measure says they are off."""

    bodyparts: tuple[str, ...]
    names: tuple[str, ...]
    images: tuple[Path, ...]
    sets: tuple[str, ...]
    """One per picture: of `ORDER`, or the label file's name where there are several."""
    points: NDArray[np.float32]
    """(picture, bodypart, 2), px of the pictures, x right, y down."""
    labels: NDArray[np.float32]
    """(picture, bodypart, 2); NaN: no label there."""
    confidence: NDArray[np.float32]
    """(picture, bodypart), 0 to 1."""
    measures: dict[str, Numbers]
    """(picture, bodypart) by its name in `MEASURES`, `error_px` at least; NaN: not known."""
    known: NDArray[np.bool_] | None = None
    """(picture, bodypart): whether it is known where it is, or that it is not; None: all."""
    raw: NDArray[np.float32] | None = None
    """Confidences before they were calibrated; None: they never were."""

    def of_set(self, name: str) -> NDArray[np.bool_]:
        """Return which pictures belong to a set."""
        return np.array([own == name for own in self.sets])

    def set_names(self) -> tuple[str, ...]:
        """Return the sets that there are, training first."""
        return tuple(
            sorted(
                set(self.sets),
                key=lambda name: (ORDER.index(name) if name in ORDER else -1, name),
            )
        )

    def reliability(self, within: float, raw: bool = False) -> Reliability:
        """Return how often a confidence was right, in pictures not trained on."""
        out = ~np.isin(self.sets, TRAINED)
        away = self.measures["error_px"][out].astype(np.float32)
        sure = self.raw if raw and self.raw is not None else self.confidence
        known = None if self.known is None else self.known[out]
        return reliability(away, sure[out], known, within)


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """What can be told of the points of a video, of which there are no labels."""

    name: str
    bodyparts: tuple[str, ...]
    measures: dict[str, Numbers]
    """(frame, bodypart) by name; NaN: not known."""


@dataclass(frozen=True, slots=True)
class Poses:
    """The poses that occur among labels (principal components), and their columns."""

    bodyparts: tuple[str, ...]
    labels: NDArray[np.float32]
    """(picture, bodypart, 2) to learn from."""
    single: tuple[int, ...]
    """The body parts that make up the pose of a single view."""
    views: tuple[tuple[int, ...], ...] = ()
    """For each view, the same body parts in the same order; empty: one view."""

    def errors(self, points: NDArray[np.floating]) -> dict[str, Numbers]:
        """Return by measure (row, bodypart): how far points are from a pose that occurs, px.

        A measure for which there are too few labels is left out.
        """
        found: dict[str, Numbers] = {}
        with suppress(DeepLabStreamError):
            found["pca_singleview_px"] = single_view_error(
                points, self.labels, self.single
            )
        if self.views:
            with suppress(DeepLabStreamError):
                found["pca_multiview_px"] = multi_view_error(
                    points, self.labels, self.views
                )
        return found


def gather(
    labels: Labels,
    sets: Sequence[str],
    found: Found,
    members: Sequence[Found] = (),
    views: Sequence[Sequence[str]] = (),
    single: Sequence[str] | None = None,
    scale: ConfidenceScale | None = None,
) -> tuple[Evidence, Poses]:
    """Return what is known of a network's points, and the poses that the labels show.

    `members` are what all networks of an ensemble found in the same pictures; `scale` is
    what calibrated the network's confidences. `views` and
    `single` name body parts: see `Poses`. Poses are learned from the pictures trained on,
    where that is known. LabelsError: an ensemble of networks with other body parts.
    """
    parts = found.bodyparts
    truth = np.full(found.points.shape, np.nan, np.float32)
    for place, name in enumerate(parts):
        if name in labels.skeleton.bodyparts:
            own = labels.skeleton.bodyparts.index(name)
            truth[:, place] = labels.points[:, own]
    for other in members:
        if other.bodyparts != parts:
            raise LabelsError(
                [f"an ensemble needs the same body parts: {', '.join(other.bodyparts)} "
                 f"are not {', '.join(parts)}"]
            )  # fmt: skip
    seen = np.array(sets) == "train"
    ours = [tuple(parts.index(n) for n in view if n in parts) for view in views]
    together = len({len(view) for view in ours}) == 1 and all(ours)
    poses = Poses(
        parts,
        truth[seen] if seen.any() else truth,
        tuple(i for i, n in enumerate(parts) if single is None or n in single),
        tuple(ours) if together else (),
    )
    away = np.linalg.norm(found.points - truth, axis=2).astype(np.float64)
    measures = {"error_px": away}
    if members:
        measures["spread_px"] = spread(members)
    measures |= poses.errors(found.points)
    evidence = Evidence(
        parts, found.names, labels.images, tuple(sets), found.points, truth,
        found.confidence, measures, known_of(labels, parts),
        None if scale is None else scale.raw(found.confidence),
    )  # fmt: skip
    return evidence, poses


def figures(away: NDArray[np.floating], within: float) -> tuple[object, ...]:
    """Return `FIGURES`: how many, median, mean, 95th percentile, share within `within` px."""
    there = away[np.isfinite(away)]
    if not there.size:
        return 0, np.nan, np.nan, np.nan, np.nan
    median, p95 = np.percentile(there, [50, 95])
    share = share_within(there.astype(np.float32), within)
    return there.size, float(median), float(there.mean()), float(p95), share


def figure_rows(evidence: Evidence, within: float) -> Iterator[tuple[object, ...]]:
    """Yield (set, bodypart, measure, `FIGURES`) for each, and for all parts together."""
    for name in evidence.set_names():
        own = evidence.of_set(name)
        for measure, values in evidence.measures.items():
            yield from _rows(name, evidence.bodyparts, measure, values[own], within)


def film_rows(film: Film, within: float) -> Iterator[tuple[object, ...]]:
    """Yield the same of a video, whose name stands in the place of the set."""
    for measure, values in film.measures.items():
        yield from _rows(film.name, film.bodyparts, measure, values, within)


def _rows(
    name: str, bodyparts: Sequence[str], measure: str, values: Numbers, within: float
) -> Iterator[tuple[object, ...]]:
    for part, column in zip(bodyparts, values.T, strict=True):
        yield (name, part, measure, *figures(column, within))
    yield (name, "together", measure, *figures(values, within))


def write_tables(
    page: Path, evidence: Evidence, films: Sequence[Film], within: float
) -> tuple[Path, ...]:
    """Write all figures of the page as CSV beside it; return the files."""
    files = tuple(
        page.with_name(f"{page.stem}_{end}.csv")
        for end in ("figures", "points", "reliability")
    )
    rows = [*figure_rows(evidence, within)]
    for film in films:
        rows += film_rows(film, within)
    _write(files[0], [("set", "bodypart", "measure", *FIGURES), *rows])
    _write(files[1], _point_rows(evidence))
    evidence.reliability(within).write(files[2])
    return files


def _point_rows(evidence: Evidence) -> Iterator[tuple[object, ...]]:
    measures = evidence.measures
    yield (
        "set", "picture", "bodypart", "x", "y", "label_x", "label_y", "confidence",
        *measures,
    )  # fmt: skip
    for row, name in enumerate(evidence.names):
        for place, part in enumerate(evidence.bodyparts):
            numbers = [
                *evidence.points[row, place].tolist(),
                *evidence.labels[row, place].tolist(),
                float(evidence.confidence[row, place]),
                *(float(values[row, place]) for values in measures.values()),
            ]
            yield (evidence.sets[row], name, part, *numbers)


def _write(
    file: Path,
    rows: Sequence[tuple[object, ...]] | Iterator[tuple[object, ...]],
) -> None:
    with file.open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines, lineterminator="\n")
        for row in rows:
            table.writerow([_cell(cell) for cell in row])


def _cell(value: object) -> object:
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:.6g}"
