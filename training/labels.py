"""Labelled frames, read from DeepLabCut's `CollectedData.csv`."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import DeepLabStreamError
from core.pose import Skeleton


class LabelsError(DeepLabStreamError):
    """The labels can't be used; `problems` names each fault and its line."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type["LabelsError"], tuple[tuple[str, ...]]]:
        """Return what rebuilds the error in another process."""
        return LabelsError, (self.problems,)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Pictures and where the body parts are in them."""

    file: Path
    skeleton: Skeleton
    images: tuple[Path, ...]
    points: NDArray[np.float32]
    """(picture, bodypart, 2), px, x right, y down; NaN: not to be seen there."""


def read_labels(path: Path, pictures: bool = True) -> Labels:
    """Return the labels of a folder, or of the `.csv` itself.

    Three header rows (scorer, bodyparts, coords), then one row per picture, whose path
    is relative to the file's folder and may be spread over several columns, as newer
    DeepLabCut versions do. LabelsError tells all faults at once; with `pictures` a picture
    that is not there is one.
    """
    file = _find(path)
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = [row for row in csv.reader(lines) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelsError([f"{file} can't be read: {error}"]) from error
    bodyparts, first = _header(file, rows)
    images, points, problems = [], [], []
    for line, row in enumerate(rows[3:], start=4):
        where = f"{file.name}, line {line}"
        if len(row) != first + 2 * len(bodyparts):
            expected = first + 2 * len(bodyparts)
            problems.append(f"{where}: {len(row)} columns instead of {expected}")
            continue
        image = file.parent.joinpath(
            *"/".join(row[:first]).replace("\\", "/").split("/")
        )
        if pictures and not image.is_file():
            problems.append(f"{where}: there is no picture {image}")
        try:
            numbers = [float(cell) if cell.strip() else np.nan for cell in row[first:]]
        except ValueError as error:
            problems.append(f"{where}: {str(error).replace('could not convert', 'no')}")
            continue
        xy = np.array(numbers, np.float32).reshape(-1, 2)
        half = np.isnan(xy).sum(axis=1) == 1
        if half.any() or np.isinf(xy).any():
            problems.append(f"{where}: a point needs both x and y, or neither")
        images.append(image)
        points.append(xy)
    for image, times in Counter(images).items():
        if times > 1:
            problems.append(f"{file.name}: the picture {image} has {times} rows")
    if not problems and not images:
        problems.append(f"{file} labels no picture")
    if problems:
        raise LabelsError(problems)
    return Labels(file, Skeleton(bodyparts), tuple(images), np.stack(points))


def _find(path: Path) -> Path:
    if not path.exists():
        raise LabelsError([f"there is no file or folder {path}"])
    if path.is_file():
        return path
    found = sorted(path.glob("CollectedData*.csv"))
    if len(found) != 1:
        raise LabelsError(
            [f"{path} holds {len(found)} files CollectedData*.csv; one is needed"]
        )
    return found[0]


def _header(file: Path, rows: list[list[str]]) -> tuple[tuple[str, ...], int]:
    """Return the body parts, and the number of columns before the first point."""
    starts = [row[0] for row in rows[:3]]
    if starts[1:2] == ["individuals"]:
        raise LabelsError([f"{file} labels several animals; one per picture is needed"])
    if starts != ["scorer", "bodyparts", "coords"]:
        raise LabelsError(
            [f"{file} does not begin with the rows scorer, bodyparts and coords"]
        )
    first = next((i for i, cell in enumerate(rows[1]) if i and cell), len(rows[1]))
    names, coords = rows[1][first:], rows[2][first:]
    bodyparts = tuple(names[::2])
    problems = []
    if not bodyparts:
        problems.append(f"{file} names no body part")
    if names[1::2] != list(bodyparts) or coords != ["x", "y"] * len(bodyparts):
        problems.append(f"{file}: each body part needs a column x and a column y")
    doubles = [name for name, times in Counter(bodyparts).items() if times > 1]
    problems += [f"{file} names the body part {name} twice" for name in doubles]
    if problems:
        raise LabelsError(problems)
    return bodyparts, first
