"""Labelled frames, from `CollectedData.csv` of DeepLabCut and Lightning Pose, or HDF5."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.delimited_text import read_delimited
from deeplabstream.files.image_header import MOST_PIXELS
from deeplabstream.files.pandas_hdf5 import read_hdf5_table
from deeplabstream.files.path_containment import inside
from deeplabstream.pose.image_files import image_size
from deeplabstream.training.data.predicted_poses import (
    prediction_file_problem,
    prediction_table_problem,
)


def hdf5_rows(file: Path) -> list[list[str]]:
    """Return the rows that the CSV beside it would have, its header first.

    ValueError when it is laid out in another way; OSError when it can't be read.
    """
    table = read_hdf5_table(file)
    blank = [""] * (len(table.rows[0]) - 1) if table.rows else []
    rows = [
        [level, *blank, *[column[place] for column in table.columns]]
        for place, level in enumerate(table.levels)
    ]
    for name, own in zip(table.rows, table.values, strict=True):
        cells = ["" if np.isnan(value) else repr(value) for value in own.tolist()]
        rows.append([*name, *cells])
    return rows


TOLERANCE_PX = 1.0
"""Largest distance outside the image that is attributed to rounding; beyond, it is an error."""
MOST_PX = 1e9
"""Largest plausible coordinate; larger ones are damage, and may not fit into 32 bits."""
VISIBLE = "visible"
TABLE, LABELED_DATA = "CollectedData", "labeled-data"
"""Names of label files and image folders in DeepLabCut and Lightning Pose."""
_SHOWN = 20
"""Most problems that the text of an error lists."""
APART = ("_new", "_test")
"""Suffixes of label files with held-out images, as in Lightning Pose."""
SINGLE = "single"
"""DeepLabCut's name of the owner of points that belong to no animal."""


class LabelsError(DeepLabStreamError):
    """The labels can't be used; `problems` lists each fault and its line."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        more = len(self.problems) - _SHOWN
        rest = (f"and {more} more problems",) if more > 0 else ()
        super().__init__("\n".join((*self.problems[:_SHOWN], *rest)))

    def __reduce__(self) -> tuple[type["LabelsError"], tuple[tuple[str, ...]]]:
        """Return the arguments for pickling."""
        return LabelsError, (self.problems,)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Images and the positions of body parts in them."""

    file: Path
    skeleton: Skeleton
    images: tuple[Path, ...]
    points: NDArray[np.float32]
    """(image, bodypart, 2), px, x right, y down; NaN: not visible there. Of several
    animals one's body parts after the other's: (image, animal · bodypart, 2)."""
    known: NDArray[np.bool_]
    """(image, bodypart); False: unknown, and not used for training."""
    names: tuple[str, ...]
    """Names of the images in the file, for tables of results."""
    root: Path
    """The folder that these names are relative to."""
    animals: int = 1
    """Largest number of animals in an image; training ignores their identity."""
    individuals: tuple[str, ...] = ()
    """Names of the animals; empty: the table has no row `individuals`."""
    left_out: tuple[str, ...] = ()
    """Body parts that belong to no animal; they are not in `points`."""
    tables: int = 1
    """Number of files that the labels come from; `file` is the first."""
    unlabelled: int = 0
    """Rows without any point that were left out."""

    def of_images(self, rows: Sequence[int]) -> "Labels":
        """Return the labels of some images, by index."""
        at = list(rows)
        return replace(
            self,
            images=tuple(self.images[row] for row in at),
            names=tuple(self.names[row] for row in at),
            points=self.points[at],
            known=self.known[at],
        )


def read_labels(
    path: Path,
    with_images: bool = True,
    root: Path | None = None,
    several: bool = False,
    empty: bool = True,
) -> Labels:
    """Return the labels of a folder, or of the `.csv` or `.h5` itself.

    Three header rows (scorer, bodyparts, coords), then one row per image, whose path
    is relative to `root` (the file's folder, or the DeepLabCut project that it lies in),
    must stay inside it, and may be spread over several columns, as newer DeepLabCut versions
    do. A third column `visible` holds 0 (unknown), 1 (not visible) or 2 (visible). With
    `several` there may be a header row `individuals` below the first, as DeepLabCut has
    it for several animals; the columns of its individual `single` (points of no
    animal) are left out. Without `empty`, rows in which all cells are empty are left
    out: DeepLabCut has them for extracted frames without labels. LabelsError lists all faults
    at once; with `with_images` also missing images and points outside of an image.
    """
    file = _find(path)
    rows = read_rows(file)
    table = _header(file, rows, several)
    problems = list(table.problems)
    images, names, points, known = [], [], [], []
    parts = table.bodyparts * max(1, len(table.individuals))
    root = root or _root(file, rows[table.rows :], table.first)

    # All faults are collected, so that a user can correct them in one pass.
    unlabelled = 0
    for line, row in enumerate(rows[table.rows :], start=table.rows + 1):
        where = f"{file.name}, line {line}"
        expected = len(rows[0])
        if len(row) != expected:
            problems.append(f"{where}: {len(row)} columns instead of {expected}")
            continue
        if not empty and not has_points(row[table.first :]):
            unlabelled += 1
            continue

        name = "/".join(row[: table.first]).replace("\\", "/")
        try:
            image = inside(root, name)
        except DeepLabStreamError as error:
            problems.append(f"{where}: {error}")
            continue
        try:
            xy, row_known = _points([row[place] for place in table.cells], table.step)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue

        half = np.isnan(xy).sum(axis=1) == 1
        if half.any() or np.isinf(xy).any():
            problems.append(f"{where}: a point needs both x and y, or neither")
        if with_images:
            problems += _faults(where, image, parts, xy)
        images.append(image)
        names.append(name)
        points.append(xy)
        known.append(row_known)

    # A wrong root makes every image a fault: it is reported once.
    if len(problems) == len(images) > 1 and not any(map(Path.is_file, images)):
        problems = [
            f"{file}: there is no image {images[0]}, nor any of the {len(images) - 1} "
            f"others in {root}"
        ]
    for image, times in Counter(images).items():
        if times > 1:
            problems.append(f"{file.name}: the image {image} has {times} rows")
    if not problems and not images and not unlabelled:
        problems.append(f"{file} labels no image")
    if problems:
        raise LabelsError(problems)

    shape = len(images), len(parts)
    return Labels(
        file, Skeleton(table.bodyparts), tuple(images),
        np.array(points, np.float32).reshape(*shape, 2),
        np.array(known, np.bool_).reshape(shape), tuple(names), root,
        max(1, len(table.individuals)), table.individuals, table.left_out,
        unlabelled=unlabelled,
    )  # fmt: skip


def read_rows(file: Path) -> list[list[str]]:
    """Return the rows of a CSV or HDF5 table, without empty ones; LabelsError: not a table."""
    if problem := prediction_file_problem(file):
        raise LabelsError([problem])
    try:
        if file.suffix == ".h5":
            return hdf5_rows(file)
        return read_delimited(file).rows()
    except (OSError, ValueError, csv.Error) as error:
        is_table = file.suffix.lower() in (".csv", ".h5")
        reason = (
            error
            if is_table
            else (
                "it is not a table of labels (.csv, .h5). Frames of a video are labelled after "
                "PickFrames"
            )
        )
        raise LabelsError([f"{file} can't be read: {reason}"]) from error


def has_points(cells: Sequence[str]) -> bool:
    """Return whether one of the cells of a row is not empty."""
    return any(cell.strip().lower() not in ("", "nan") for cell in cells)


def _points(
    cells: Sequence[str], step: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the points (bodypart, 2) of a row, and which of them are known."""
    numbers = [_number(cell) for cell in cells]
    for cell, number in zip(cells, numbers, strict=True):
        if MOST_PX < abs(number) < np.inf:
            raise ValueError(f"{cell} is too large for a position in an image")
    row = np.array(numbers, np.float32).reshape(-1, step)
    xy = row[:, :2].copy()
    known = np.ones(len(xy), np.bool_)
    if step == 3:
        known = row[:, 2] != 0
        xy[row[:, 2] <= 1] = np.nan
    return xy, known


def _number(cell: str) -> float:
    """Return the number in a cell, NaN if it is empty; ValueError: it is not a number."""
    try:
        return float(cell) if cell.strip() else np.nan
    except ValueError:
        raise ValueError(f"{cell!r} is not a number") from None


def _faults(
    where: str, image: Path, bodyparts: Sequence[str], xy: NDArray[np.float32]
) -> list[str]:
    """Return the errors of an image and of the points (bodypart, 2) in it."""
    if not image.is_file():
        return [f"{where}: there is no image {image}"]
    size = image_size(image)
    if size is None:
        return [f"{where}: the image {image} can't be read"]
    height, width = size
    if height * width > MOST_PIXELS:
        return [
            f"{where}: the image {image} declares {width}x{height} pixels, more than "
            f"{MOST_PIXELS / 1e6:.0f} million: it is not decoded"
        ]
    most = np.array([width, height]) - 0.5 + TOLERANCE_PX
    outside = ((xy < -0.5 - TOLERANCE_PX) | (xy > most)).any(axis=1)
    return [
        f"{where}: {bodyparts[int(place)]} at x {xy[place, 0]:g}, y {xy[place, 1]:g} lies "
        f"outside of {image.name} ({width}x{height})"
        for place in np.flatnonzero(outside)
    ]


def _root(file: Path, rows: Sequence[Sequence[str]], first: int) -> Path:
    """Return the folder that images are relative to.

    Of `labeled-data/VIDEO/CollectedData_NAME.csv` it is the DeepLabCut project, if the
    first image's path begins there.
    """
    clip = file.resolve().parent
    begun = "/".join(rows[0][:first]).replace("\\", "/") if rows else ""
    in_project = clip.parent.name == LABELED_DATA and begun.startswith(
        f"{LABELED_DATA}/"
    )
    return clip.parents[1] if in_project else file.parent


def has_labels(folder: Path) -> bool:
    """Return whether a table of labels lies in the folder."""
    return any(any(folder.glob(f"{TABLE}*{end}")) for end in (".csv", ".h5"))


def _find(path: Path) -> Path:
    if not path.exists():
        raise LabelsError([f"there is no file or folder {path}"])
    if path.is_file():
        return path
    found = sorted(path.glob(f"{TABLE}*.csv")) or sorted(path.glob(f"{TABLE}*.h5"))
    if len(found) > 1:  # tables of held-out images are not requested here
        found = [file for file in found if not file.stem.endswith(APART)]
    if not found:
        above = next(filter(has_labels, path.resolve().parents[:2]), None)
        hint = f"; the labels are in {above}" if above else ""
        if (path / "pose_cfg.yaml").is_file():
            hint = (
                ", but a network of DeepLabCut 2; utils/ImportModel.py says how it is "
                "imported"
            )
        raise LabelsError(
            [
                f"{path} holds no labels{hint}. Name a folder with {TABLE}*.csv, a "
                "DeepLabCut project (the folder of its config.yaml), a .slp file of SLEAP, "
                "or a .json file of COCO's keypoints"
            ]
        )
    first = path / f"{TABLE}.csv"
    if len(found) > 1 and first in found and not other_images(first, found):
        return first
    if len(found) > 1:
        names = ", ".join(file.name for file in found[:5])
        raise LabelsError(
            [f"{path} holds several tables of labels: name one ({names})"]
        )
    return found[0]


def other_images(first: Path, tables: Sequence[Path]) -> bool:
    """Return whether one of the tables labels an image that `first` does not.

    If none does, the others are second labels: another annotator's, of the same images.
    """
    own = _image_names(first)
    return any(_image_names(table) - own for table in tables if table != first)


def _image_names(file: Path) -> set[str]:
    rows = read_rows(file)
    table = _header(file, rows, several=True)
    return {"/".join(row[: table.first]) for row in rows[table.rows :]}


@dataclass(frozen=True, slots=True)
class _Header:
    bodyparts: tuple[str, ...]
    first: int
    """The number of columns before the first point."""
    step: int
    """Columns per body part: x, y and perhaps visible."""
    problems: tuple[str, ...]
    """Faults with which the rows can still be read."""
    individuals: tuple[str, ...]
    rows: int
    """Number of header rows."""
    cells: tuple[int, ...]
    """Columns of the animals' points."""
    left_out: tuple[str, ...]
    """Body parts of the individual `SINGLE`."""


def _header(file: Path, rows: list[list[str]], several: bool) -> _Header:
    if problem := prediction_table_problem(file, rows):
        raise LabelsError([problem])
    starts = [row[0] for row in rows[:4]]
    grouped = starts[1:2] == ["individuals"]
    if grouped and not several:
        raise LabelsError([f"{file} labels several animals; one per image is needed"])
    if grouped:
        starts.pop(1)  # the rest is the header of one animal
    if starts[:3] != ["scorer", "bodyparts", "coords"]:
        raise LabelsError(
            [
                f"{file} does not begin with the rows scorer, bodyparts and coords. Labels "
                "are DeepLabCut's CollectedData, SLEAP's .slp or COCO's .json"
            ]
        )

    # The path of an image takes one column or several, whose header cells are empty.
    first = next((i for i, cell in enumerate(rows[1]) if i and cell), len(rows[1]))
    names, coords = rows[1 + grouped][first:], rows[2 + grouped][first:]
    axes = ["x", "y", VISIBLE] if VISIBLE in coords else ["x", "y"]
    step = len(axes)
    bodyparts = tuple(names[::step])
    problems = []
    if not bodyparts:
        problems.append(f"{file} names no body part")
    repeated = [name for name in bodyparts for _ in axes]
    if names != repeated or coords != axes * len(bodyparts):
        problems.append(f"{file}: each body part needs a column x and a column y")
    if problems:
        raise LabelsError(problems)
    if not all(len(row) == len(rows[0]) for row in rows[: 3 + grouped]):
        problems.append(f"{file}: the rows of the header do not have as many columns")
    if problems:
        raise LabelsError(problems)

    # `single` has points of no animal; they are left out where there are animals.
    owners = rows[1][first::step] if grouped else [""] * len(bodyparts)
    alone = grouped and {SINGLE} < set(owners)
    kept = [
        place for place, name in enumerate(owners) if not (alone and name == SINGLE)
    ]
    left_out = [part for n, part in enumerate(bodyparts) if n not in kept]

    cells = [first + step * place + axis for place in kept for axis in range(step)]
    individuals: tuple[str, ...] = ()
    bodyparts = tuple(bodyparts[place] for place in kept)
    if grouped:
        own = [owners[place] for place in kept]
        individuals, bodyparts = _individuals(file, own, bodyparts)

    doubles = [name for name, times in Counter(bodyparts).items() if times > 1]
    problems += [f"{file} names the body part {name} twice" for name in doubles]
    scorers = sorted({cell for cell in rows[0][first:] if cell})
    if len(scorers) > 1:
        problems.append(
            f"{file} holds the labels of {len(scorers)} scorers, {', '.join(scorers)}; "
            "keep the columns of one"
        )
    return _Header(
        bodyparts, first, step, tuple(problems), individuals, 3 + grouped,
        tuple(cells), tuple(left_out),
    )  # fmt: skip


def known_of(labels: Labels, bodyparts: Sequence[str]) -> NDArray[np.bool_]:
    """Return `known` (image, bodypart) of one animal's body parts, False for others."""
    own = labels.skeleton.bodyparts
    known = np.zeros((len(labels.known), len(bodyparts)), bool)
    for place, name in enumerate(bodyparts):
        if name in own:
            known[:, place] = labels.known[:, own.index(name)]
    return known


def _individuals(
    file: Path, owners: Sequence[str], bodyparts: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the animals and the body parts of each."""
    names = tuple(dict.fromkeys(owners))
    parts = {
        name: tuple(p for p, own in zip(bodyparts, owners, strict=True) if own == name)
        for name in names
    }
    own = parts[names[0]]
    for name in names:
        if parts[name] != own:
            raise LabelsError(
                [
                    f"{file}: all animals need the same body parts in the same order; "
                    f"{name} has {', '.join(parts[name])}, {names[0]} {', '.join(own)}"
                ]
            )
    if list(owners) != [name for name in names for _ in own]:
        raise LabelsError([f"{file}: the columns of an animal are not adjacent"])
    return names, own
