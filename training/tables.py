"""The tables that a training run leaves, laid out as Lightning Pose's are."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PREDICTIONS = "predictions.csv"


def write_predictions(
    file: Path,
    scorer: str,
    bodyparts: Sequence[str],
    names: Sequence[str],
    points: NDArray[np.float32],
    confidence: NDArray[np.float32],
    sets: Sequence[str] | None = None,
) -> None:
    """Write points (row, bodypart, 2) and confidences (row, bodypart).

    Three header rows (scorer, bodyparts, coords), x, y and likelihood of each; `sets` adds
    a last column that says train, validation, test or unused.
    """
    triple = [name for name in bodyparts for _ in range(3)]
    head = [
        ["scorer", *[scorer] * len(triple)],
        ["bodyparts", *triple],
        ["coords", *["x", "y", "likelihood"] * len(bodyparts)],
    ]
    if sets is not None:
        for row, word in zip(head, ("set", "", ""), strict=True):
            row.append(word)
    values = np.concatenate([points, confidence[..., None]], axis=2)
    _write(file, head, names, values.reshape(len(points), -1), sets)


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
    """Return for each picture of a `predictions.csv` the set that it was in."""
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))
    if not rows or rows[0][-1] != "set":
        return {}
    return {row[0]: row[-1] for row in rows[3:]}


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
