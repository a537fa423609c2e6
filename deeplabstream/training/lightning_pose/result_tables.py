"""Result tables of a training run, in Lightning Pose's layout."""

import csv
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.training.data.labels import LabelsError, read_rows

PREDICTIONS = "predictions.csv"


def write_predictions(
    file: Path,
    scorer: str,
    bodyparts: Sequence[str],
    names: Sequence[str],
    points: NDArray[np.float32],
    confidence: NDArray[np.float32],
    sets: Sequence[str] | None = None,
    animals: int = 1,
) -> None:
    """Write points (row, bodypart, 2) and confidences (row, bodypart).

    Three header rows (scorer, bodyparts, coords), x, y and likelihood of each; `sets`
    adds a last column: train, validation, test or unused. Of several animals (row,
    animal · bodypart, …) a row `individuals` comes second, as DeepLabCut has it.
    """
    triple = [name for name in bodyparts for _ in range(3)] * animals
    head = [
        ["scorer", *[scorer] * len(triple)],
        ["bodyparts", *triple],
        ["coords", *["x", "y", "likelihood"] * (len(bodyparts) * animals)],
    ]
    if animals > 1:
        own = [f"animal{n}" for n in range(1, animals + 1)]
        head.insert(
            1,
            ["individuals", *[name for name in own for _ in range(3 * len(bodyparts))]],
        )
    if sets is not None:
        for place, row in enumerate(head):
            row.append("" if place else "set")
    values = np.concatenate([points, confidence[..., None]], axis=2)
    _write(file, head, names, values.reshape(len(points), -1), sets)


_METRICS = ("pixel_error", "pca_singleview_error", "pca_multiview_error")


def copy_to_image_preds(folder: Path, tables: Mapping[str, Path]) -> None:
    """Copy tables to `image_preds/<label file>/`, the folder that Lightning Pose's programs read.

    `tables` has the label file of each mark: "" of the project's, "_new", "_test", or
    "_view" of each camera.
    """
    for mark, labels in tables.items():
        place = folder / "image_preds" / labels.name
        for metric in ("", *(f"_{name}" for name in _METRICS)):
            table = folder / f"predictions{mark}{metric}.csv"
            if table.is_file():
                place.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(table, place / f"predictions{metric}.csv")


def write_metric(
    file: Path,
    bodyparts: Sequence[str],
    names: Sequence[str],
    values: NDArray[np.floating],
    sets: Sequence[str] | None = None,
) -> None:
    """Write one number per row and body part (row, bodypart); NaN is an empty cell."""
    head = [["", *bodyparts, *(["set"] if sets is not None else [])]]
    _write(file, head, names, values, sets)


def read_sets(file: Path) -> dict[str, str]:
    """Return for each image of a `predictions.csv` the set that it was in."""
    rows = read_rows(file)
    if not rows or rows[0][-1] != "set":
        return {}
    header = 4 if rows[1:2] and rows[1][0] == "individuals" else 3
    return {row[0]: row[-1] for row in rows[header:]}


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """A `predictions.csv`, read back."""

    names: tuple[str, ...]
    """Names of the images."""
    bodyparts: tuple[str, ...]
    points: NDArray[np.float32]
    """(image, bodypart, 2), px; NaN: nothing. Of several animals (image, animal ·
    bodypart, 2), one's body parts after the other's."""
    confidence: NDArray[np.float32]
    """(image, bodypart)"""
    sets: tuple[str, ...]
    """train, validation, test or unused; empty where the file has no sets."""
    animals: int = 1


def read_predictions(file: Path) -> Predictions:
    """Read the file of `write_predictions`; LabelsError: it can't be read."""
    try:
        rows = read_rows(file)
        has_sets = rows[0][-1] == "set"
        end = -1 if has_sets else None
        animals = 1
        if rows[1][0] == "individuals":
            animals = len(dict.fromkeys(rows.pop(1)[1:end]))
        columns = rows[1][1:end:3]
        bodyparts = tuple(columns[: len(columns) // animals])
        cells = [[float(cell or "nan") for cell in row[1:end]] for row in rows[3:]]
        values = np.array(cells, np.float32).reshape(-1, len(columns), 3)
    except (ValueError, IndexError) as error:
        raise LabelsError([f"{file} can't be read: {error}"]) from error
    sets = tuple(row[-1] if has_sets else "" for row in rows[3:])
    names = tuple(row[0] for row in rows[3:])
    points, sure = values[..., :2], values[..., 2]
    return Predictions(names, bodyparts, points, sure, sets, animals)


def _write(
    file: Path,
    head: Sequence[Sequence[str]],
    names: Sequence[str],
    values: NDArray[np.floating],
    sets: Sequence[str] | None,
) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerows(head)
        for place, (name, row) in enumerate(zip(names, values, strict=True)):
            cells = ["" if np.isnan(v) else f"{v:.6g}" for v in row.tolist()]
            table.writerow([name, *cells, *([sets[place]] if sets is not None else [])])
