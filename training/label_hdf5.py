"""DeepLabCut's label tables in HDF5, read without pandas: that might unpickle.

The layout is pandas' `fixed` one: of each axis the levels' names and, for each row or
column, which of them it has; then blocks of values.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import h5py

KEY = "df_with_missing"
LEVELS = ("scorer", "individuals", "bodyparts", "coords")


def hdf5_rows(file: Path) -> list[list[str]]:
    """Return the rows that the CSV beside it would have, its header first.

    ValueError when it is laid out in another way; OSError when it can't be read.
    """
    import h5py

    with h5py.File(file) as content:
        table = content.get(KEY)
        if table is None or "block0_values" not in table or "block1_values" in table:
            raise ValueError(
                f"it holds no table {KEY} of the kind that DeepLabCut writes"
            )
        columns, names = _axis(table, "axis0"), _axis(table, "axis1")
        order = _axis(table, "block0_items")
        values = np.asarray(table["block0_values"][:], np.float64)
    levels = LEVELS if len(columns[0]) == 4 else (LEVELS[0], *LEVELS[2:])
    if {len(column) for column in columns} != {len(levels)}:
        raise ValueError(f"its columns do not have the levels {', '.join(levels)}")
    values = values[:, [order.index(column) for column in columns]]
    blank = [""] * (len(names[0]) - 1) if names else []
    rows = [
        [level, *blank, *[column[place] for column in columns]]
        for place, level in enumerate(levels)
    ]
    for name, own in zip(names, values, strict=True):
        cells = ["" if np.isnan(value) else repr(value) for value in own.tolist()]
        rows.append([*name, *cells])
    return rows


def _axis(table: "h5py.Group", name: str) -> list[tuple[str, ...]]:
    """Return the labels of an axis, one word per level."""
    if name in table:
        return [(_text(word),) for word in table[name][:]]
    levels = sum(f"{name}_level{n}" in table for n in range(8))
    if not levels:
        raise ValueError(f"it has no {name}")
    words = []
    for level in range(levels):
        known = [_text(word) for word in table[f"{name}_level{level}"][:]]
        chosen = table[f"{name}_label{level}"][:].tolist()
        words.append([known[place] if place >= 0 else "" for place in chosen])
    return list(zip(*words, strict=True))


def _text(word: object) -> str:
    return word.decode("utf-8") if isinstance(word, bytes) else str(word)
