"""DeepLabCut's label tables in HDF5, as the rows of the CSV that is usually beside them."""

from pathlib import Path

import numpy as np

from core.pandas_hdf5 import read_hdf5_table


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
