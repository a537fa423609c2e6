"""Measures of error for each point (distance, PCK, PCA errors), and their tables."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.delimited_text import plain_cell
from deeplabstream.numerics.pose_pca import multi_view_error, single_view_error
from deeplabstream.training.evaluation.animal_matching import Counted
from deeplabstream.training.evaluation.error_kinds import KIND_COLUMNS, ErrorKinds
from deeplabstream.training.evaluation.evaluate import (
    Reliability,
    reliability,
    share_within,
)
from deeplabstream.training.evaluation.learned_images import TRAINED

Numbers: TypeAlias = NDArray[np.float64]
ORDER = ("train", "validation", "test", "unused", "all")
"""Order of the sets; "all" where images have no stated use."""
MEASURES = {
    "error_px": "distance to the label",
    "human_px": "distance between two persons' labels",
    "spread_px": "spread of the ensemble",
    "pca_singleview_px": "PCA error, whole pose",
    "pca_multiview_px": "PCA error, several views",
    "temporal_px": "temporal norm",
}
"""Measures of each point, by the name of their column."""
ANIMALS = ("labelled", "found", "told", "recall", "precision")
"""Columns of the table of animals; `told`: all predicted animals."""
FIGURES = ("labels", "median_px", "mean_px", "p95_px", "within")


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Points of a network in labelled images, and measures of their error.

    There is a row for each image; of several animals as many as `animals`, those of an
    image one after the other. An animal that was found is in its label's row.
    """

    bodyparts: tuple[str, ...]
    names: tuple[str, ...]
    images: tuple[Path, ...]
    sets: tuple[str, ...]
    """One per image: of `ORDER`, or the label file's name where there are several."""
    points: NDArray[np.float32]
    """(row, bodypart, 2), px of the images, x right, y down; NaN: not found."""
    labels: NDArray[np.float32]
    """(row, bodypart, 2); NaN: no label there."""
    confidence: NDArray[np.float32]
    """(row, bodypart), 0 to 1."""
    measures: dict[str, Numbers]
    """(row, bodypart) by its name in `MEASURES`, `error_px` at least; NaN: not known."""
    known: NDArray[np.bool_] | None = None
    """(row, bodypart): whether the labels decide if the predicted point is right; None: for
    all of them."""
    raw: NDArray[np.float32] | None = None
    """Confidences before calibration; None: not calibrated."""
    animals: int = 1
    """Number of rows per image."""
    counted: Counted | None = None
    """Numbers of animals found; None: one animal."""
    edges: tuple[tuple[int, int], ...] = ()
    kinds: ErrorKinds | None = None
    """Kinds of error; None: not split."""

    def of_set(self, name: str) -> NDArray[np.bool_]:
        """Return which rows belong to a set."""
        return np.repeat([own == name for own in self.sets], self.animals)

    def set_names(self) -> tuple[str, ...]:
        """Return the names of the present sets, training first."""
        return tuple(
            sorted(
                set(self.sets),
                key=lambda name: (ORDER.index(name) if name in ORDER else -1, name),
            )
        )

    @property
    def held_out(self) -> NDArray[np.bool_]:
        """Flags of the rows from images that were not used for training."""
        return np.repeat(~np.isin(self.sets, TRAINED), self.animals)

    def reliability(self, within: float, raw: bool = False) -> Reliability:
        """Return the reliability of confidences in images not trained on."""
        out = self.held_out
        away = self.measures["error_px"][out].astype(np.float32)
        sure = self.raw if raw and self.raw is not None else self.confidence
        known = None if self.known is None else self.known[out]
        return reliability(away, sure[out], known, within)


@dataclass(frozen=True, slots=True, eq=False)
class VideoMeasures:
    """Measures of the points of a video, without labels."""

    name: str
    bodyparts: tuple[str, ...]
    measures: dict[str, Numbers]
    """(frame, bodypart) by name; NaN: not known."""


@dataclass(frozen=True, slots=True)
class Poses:
    """Principal components of labelled poses, and their columns."""

    bodyparts: tuple[str, ...]
    labels: NDArray[np.float32]
    """(image, bodypart, 2) for the principal components."""
    single: tuple[int, ...]
    """The body parts that make up the pose of a single view."""
    views: tuple[tuple[int, ...], ...] = ()
    """For each view, the same body parts in the same order; empty: one view."""

    def errors(self, points: NDArray[np.floating]) -> dict[str, Numbers]:
        """Return the errors (row, bodypart) by measure: distances to a plausible pose, px.

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


def figures(away: NDArray[np.floating], within: float) -> tuple[object, ...]:
    """Return `FIGURES`: how many, median, mean, 95th percentile, share within `within` px."""
    values = away[np.isfinite(away)]
    if not values.size:
        return 0, np.nan, np.nan, np.nan, np.nan
    median, p95 = np.percentile(values, [50, 95])
    share = share_within(values.astype(np.float32), within)
    return values.size, float(median), float(values.mean()), float(p95), share


def figure_rows(evidence: Evidence, within: float) -> Iterator[tuple[object, ...]]:
    """Yield (set, bodypart, measure, `FIGURES`) for each, and for all parts together."""
    for name in evidence.set_names():
        own = evidence.of_set(name)
        for measure, values in evidence.measures.items():
            yield from _rows(name, evidence.bodyparts, measure, values[own], within)


def animal_rows(evidence: Evidence) -> Iterator[tuple[object, ...]]:
    """Yield (set, `ANIMALS`): how many of several animals were found."""
    if (counted := evidence.counted) is None:
        return
    for name in evidence.set_names():
        of_set = counted.of([set_name == name for set_name in evidence.sets])
        counts = of_set.labelled, of_set.found, of_set.predicted
        totals = (int(count.sum()) for count in counts)
        yield (name, *totals, of_set.recall, of_set.precision)


def kind_rows(evidence: Evidence) -> Iterator[tuple[object, ...]]:
    """Yield `KIND_COLUMNS` for each kind of error, of images not trained on."""
    if evidence.kinds is not None:
        yield from evidence.kinds.rows(evidence.measures["error_px"], evidence.held_out)


def video_rows(video: VideoMeasures, within: float) -> Iterator[tuple[object, ...]]:
    """Yield the same rows for a video, with its name as the set."""
    for measure, values in video.measures.items():
        yield from _rows(video.name, video.bodyparts, measure, values, within)


def _rows(
    name: str, bodyparts: Sequence[str], measure: str, values: Numbers, within: float
) -> Iterator[tuple[object, ...]]:
    for part, column in zip(bodyparts, values.T, strict=True):
        yield (name, part, measure, *figures(column, within))
    yield (name, "together", measure, *figures(values, within))


def table_files(page: Path) -> tuple[Path, ...]:
    """Return the CSV files beside a page; the last one only if there are several animals."""
    ends = ("figures", "points", "reliability", "kinds", "animals")
    return tuple(page.with_name(f"{page.stem}_{end}.csv") for end in ends)


def write_tables(
    page: Path, evidence: Evidence, videos: Sequence[VideoMeasures], within: float
) -> tuple[Path, ...]:
    """Write all figures of the page as CSV beside it; return the files."""
    *files, of_animals = table_files(page)
    rows = [*figure_rows(evidence, within)]
    for video in videos:
        rows += video_rows(video, within)
    _write(files[0], [("set", "bodypart", "measure", *FIGURES), *rows])
    _write(files[1], _point_rows(evidence))
    evidence.reliability(within).write(files[2])
    _write(files[3], [KIND_COLUMNS, *kind_rows(evidence)])
    if evidence.counted is None:
        return tuple(files)
    _write(of_animals, [("set", *ANIMALS), *animal_rows(evidence)])
    return (*files, of_animals)


def _point_rows(evidence: Evidence) -> Iterator[tuple[object, ...]]:
    measures, several = evidence.measures, evidence.animals > 1
    yield (
        "set", "picture", *(["animal"] if several else []), "bodypart", "x", "y",
        "label_x", "label_y", "confidence", *measures, "kind",
    )  # fmt: skip
    for row in range(len(evidence.points)):
        place, animal = divmod(row, evidence.animals)
        first = [evidence.sets[place], evidence.names[place]]
        for part, name in enumerate(evidence.bodyparts):
            ends = [
                *evidence.points[row, part].tolist(),
                *evidence.labels[row, part].tolist(),
            ]
            if several and np.isnan(ends).all():
                continue
            sure = float(evidence.confidence[row, part])
            numbers = [
                *ends,
                sure,
                *(float(own[row, part]) for own in measures.values()),
            ]
            kind = "" if evidence.kinds is None else evidence.kinds.name(row, part)
            yield (*first, *([animal + 1] if several else []), name, *numbers, kind)


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
        return plain_cell(value)
    return "" if np.isnan(value) else f"{value:.6g}"
