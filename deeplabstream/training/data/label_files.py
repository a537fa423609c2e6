"""The files that labels are written to: one table of a folder, or DeepLabCut's own.

`write_individuals` changes the `config.yaml` of a project and keeps its comments.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.files import atomic_replace
from deeplabstream.files.pandas_hdf5 import write_hdf5_table
from deeplabstream.training.data.labels import (
    SINGLE,
    TABLE,
    VISIBLE,
    Labels,
    LabelsError,
)
from deeplabstream.training.data.projects import listed_names, read_yaml


@dataclass(frozen=True, slots=True)
class UniqueParts:
    """DeepLabCut's body parts that belong to no animal, with the cells as they were read."""

    bodyparts: tuple[str, ...] = ()
    cells: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By image: x and y of each body part."""

    def row(self, name: str) -> Sequence[str]:
        """Return the cells of an image."""
        return self.cells.get(name, [""] * (2 * len(self.bodyparts)))


NO_PARTS = UniqueParts()


def _columns(
    scorer: str,
    bodyparts: Sequence[str],
    individuals: Sequence[str],
    unique: UniqueParts,
    axes: Sequence[str] = ("x", "y"),
) -> dict[str, list[str]]:
    """Return the header rows by their first cell."""
    parts = [*bodyparts] * max(1, len(individuals)) + [*unique.bodyparts]
    owners = [name for name in individuals for _ in bodyparts]
    owners += [SINGLE] * len(unique.bodyparts)
    rows = {"scorer": [scorer] * len(parts) * len(axes)}
    if individuals:
        rows["individuals"] = [name for name in owners for _ in axes]
    rows["bodyparts"] = [part for part in parts for _ in axes]
    rows["coords"] = [*axes] * len(parts)
    return rows


def with_visibility(
    points: NDArray[np.float32], known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return points with the third value that `write_labels` writes as `visible`.

    Parameters
    ----------
    points
        (image, bodypart, 2), px; NaN: not visible.
    known
        (image, bodypart); False: nothing is known of it.

    Returns
    -------
    points
        (image, bodypart, 3): x, y, and 0 unknown, 1 not visible, 2 visible.
    """
    placed = np.isfinite(points).all(axis=2)
    visible = np.where(known, 1 + placed, 0).astype(np.float32)
    return np.concatenate([points, visible[..., None]], axis=2)


def write_labels(
    file: Path,
    scorer: str,
    bodyparts: Sequence[str],
    names: Sequence[str],
    points: NDArray[np.floating],
    *,
    spread: bool = False,
    individuals: Sequence[str] = (),
    unique: UniqueParts = NO_PARTS,
    digits: int = 2,
) -> None:
    """Write points as DeepLabCut's CSV, whole or not at all.

    Parameters
    ----------
    file, scorer, bodyparts, names
        The table, its scorer, the body parts of each animal, the images.
    points
        (image, bodypart, 2), px; of several animals (image, animal · bodypart, 2). NaN:
        not visible. With a third value, the column `visible`: 0 unknown, 1 not visible,
        2 visible; not with `unique`.
    spread
        Write each folder of an image's path in a column of its own, as DeepLabCut since
        2.2.
    individuals
        Names of the animals; with any, there is a header row of them.
    unique
        Body parts of no animal; only with `individuals`.
    digits
        Decimal places.

    Raises
    ------
    OSError
        It can't be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")

    # Header: scorer, (individuals,) bodyparts, coords; as DeepLabCut's.
    empty = ["", ""] if spread else []
    axes = ["x", "y", VISIBLE][: points.shape[-1]]
    for word, cells in _columns(scorer, bodyparts, individuals, unique, axes).items():
        table.writerow([word, *empty, *cells])
    for name, own in zip(names, points, strict=True):
        cells = ["" if np.isnan(n) else f"{n:.{digits}f}" for n in own.ravel().tolist()]
        first = name.split("/") if spread else [name]
        table.writerow([*first, *cells, *unique.row(name)])

    draft = file.with_name(f"{file.name}.new")
    draft.write_text(text.getvalue(), encoding="utf-8", newline="")
    atomic_replace.replace(draft, file)


def write_joined(labels: Labels, folder: Path) -> Labels:
    """Write labels of several files as one table; return them with it as their file.

    It has the name of the first file. Animals without names are animal1, animal2 and so on.
    OSError: it can't be written.
    """
    file = folder / f"{labels.file.stem}.csv"
    individuals = labels.individuals
    if labels.animals > 1 and not individuals:
        individuals = tuple(f"animal{n}" for n in range(1, labels.animals + 1))
    points = labels.points
    if not labels.known.all():
        points = with_visibility(points, labels.known)
    scorer = labels.file.stem.removeprefix(f"{TABLE}_")
    folder.mkdir(parents=True, exist_ok=True)
    write_labels(
        file, scorer, labels.skeleton.bodyparts, labels.names, points,
        individuals=individuals, digits=3,
    )  # fmt: skip
    return replace(labels, file=file)


def write_dlc_table(
    file: Path,
    scorer: str,
    bodyparts: Sequence[str],
    names: Sequence[str],
    points: NDArray[np.float32],
    individuals: Sequence[str] = (),
    unique: UniqueParts = NO_PARTS,
) -> None:
    """Write the HDF5 that DeepLabCut trains from, beside its CSV; see `write_labels`."""
    import pandas as pd

    header = _columns(scorer, bodyparts, individuals, unique)
    columns = pd.MultiIndex.from_arrays(list(header.values()), names=list(header))
    index = pd.MultiIndex.from_tuples([tuple(name.split("/")) for name in names])
    values = points.reshape(len(points), -1).astype(np.float64).round(2)
    more = [[float(cell or "nan") for cell in unique.row(name)] for name in names]
    values = np.hstack([values, np.array(more, np.float64).reshape(len(names), -1)])
    draft = file.with_name(f"{file.name}.new")
    write_hdf5_table(pd.DataFrame(values, index=index, columns=columns), draft)
    atomic_replace.replace(draft, file)


def write_dlc_video(
    folder: Path,
    scorer: str,
    bodyparts: Sequence[str],
    names: Sequence[str],
    points: NDArray[np.float32],
    individuals: Sequence[str] = (),
    unique: UniqueParts = NO_PARTS,
) -> None:
    """Write CSV and HDF5 into the folder of a DeepLabCut video; none where no name is."""
    file = folder / f"CollectedData_{scorer}.csv"
    table = file.with_suffix(".h5")
    if names:
        write_labels(
            file, scorer, bodyparts, names, points,
            spread=True, individuals=individuals, unique=unique,
        )  # fmt: skip
        write_dlc_table(table, scorer, bodyparts, names, points, individuals, unique)
    else:
        file.unlink(missing_ok=True)
        table.unlink(missing_ok=True)


_INDIVIDUALS = "individuals"
_INDIVIDUALS_BLOCK = re.compile(
    rf"^{_INDIVIDUALS}:.*\n(?:(?:[ \t]+\S.*|-.*)\n)*", re.MULTILINE
)
"""The key with its list: in brackets, perhaps over several lines, or one name a line."""


def write_individuals(config: Path, names: Sequence[str]) -> None:
    """Replace the names of the animals; nothing else of the file changes.

    LabelsError: the file is written in a way that this can't change; OSError: it can't be
    written.
    """
    import yaml

    before = read_yaml(config)
    if listed_names(before, _INDIVIDUALS) == tuple(names):
        return
    text = config.read_bytes().decode("utf-8")
    listed = yaml.safe_dump(
        {_INDIVIDUALS: [*names]}, allow_unicode=True, sort_keys=False
    )
    lines = text.replace("\r\n", "\n").rstrip("\n") + "\n"
    changed = _INDIVIDUALS_BLOCK.sub(lambda _: listed, lines, count=1)
    if "\r\n" in text:
        changed = changed.replace("\n", "\r\n")
    draft = config.with_name(f"{config.name}.new")
    draft.write_bytes(changed.encode("utf-8"))
    try:
        same = read_yaml(draft) == {**before, _INDIVIDUALS: [*names]}
    except LabelsError:
        same = False
    if not same:
        draft.unlink()
        raise LabelsError(
            [
                f"{config}: write the names of the animals into {_INDIVIDUALS} yourself: "
                f"{', '.join(names)}"
            ]
        )
    atomic_replace.replace(draft, config)
