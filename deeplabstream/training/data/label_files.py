"""The files that labels are written to: one table of a folder, or DeepLabCut's own."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.atomic_replace import replace
from deeplabstream.core.pandas_hdf5 import KEY


def write_labels(
    file: Path,
    scorer: str,
    bodyparts: Sequence[str],
    names: Sequence[str],
    points: NDArray[np.float32],
    *,
    spread: bool = False,
) -> None:
    """Write points (image, body part, 2) as DeepLabCut's CSV, whole or not at all.

    `spread` gives each folder of an image's path a column of its own, as DeepLabCut has
    done since 2.2. OSError: it can't be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    empty = ["", ""] if spread else []
    parts = [part for part in bodyparts for _ in "xy"]
    table.writerow(["scorer", *empty, *[scorer] * len(parts)])
    table.writerow(["bodyparts", *empty, *parts])
    table.writerow(["coords", *empty, *["x", "y"] * len(bodyparts)])
    for name, own in zip(names, points, strict=True):
        cells = ["" if np.isnan(n) else f"{n:.2f}" for n in own.ravel().tolist()]
        table.writerow([*(name.split("/") if spread else [name]), *cells])
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(text.getvalue(), encoding="utf-8", newline="")
    replace(draft, file)


def write_dlc_table(
    file: Path,
    scorer: str,
    bodyparts: Sequence[str],
    names: Sequence[str],
    points: NDArray[np.float32],
) -> None:
    """Write the HDF5 that DeepLabCut trains from, beside its CSV; OSError as above."""
    import pandas as pd

    levels = [[scorer], list(bodyparts), ["x", "y"]]
    columns = pd.MultiIndex.from_product(
        levels, names=["scorer", "bodyparts", "coords"]
    )
    index = pd.MultiIndex.from_tuples([tuple(name.split("/")) for name in names])
    values = points.reshape(len(points), -1).astype(np.float64).round(2)
    draft = file.with_name(f"{file.name}.new")
    table = pd.DataFrame(values, index=index, columns=columns)
    table.to_hdf(draft, key=KEY, mode="w")
    replace(draft, file)


def write_dlc_video(
    folder: Path,
    scorer: str,
    bodyparts: Sequence[str],
    names: Sequence[str],
    points: NDArray[np.float32],
) -> None:
    """Write CSV and HDF5 into the folder of a DeepLabCut video; none where no name is."""
    file = folder / f"CollectedData_{scorer}.csv"
    table = file.with_suffix(".h5")
    if names:
        write_labels(file, scorer, bodyparts, names, points, spread=True)
        write_dlc_table(table, scorer, bodyparts, names, points)
    else:
        file.unlink(missing_ok=True)
        table.unlink(missing_ok=True)
