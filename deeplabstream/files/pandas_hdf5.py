"""HDF5 tables of pandas, read without pandas, because it would unpickle objects.

Both layouts are read. `fixed` stores the levels of each axis, the level of each row or
column, and a block of values. `table` stores rows as records and the names of columns as a
pickled list. From that pickle only lists, tuples, strings and numbers are read: any name
of a callable is refused.
"""

import errno
import io
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from deeplabstream.files.hdf5 import open_hdf5, whole

if TYPE_CHECKING:
    import h5py
    from pandas import DataFrame

KEY = "df_with_missing"
"""Name of DeepLabCut's table."""
LEVELS = ("scorer", "individuals", "bodyparts", "coords")

Labels = list[tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Hdf5Table:
    """A table in the layout of DeepLabCut."""

    levels: tuple[str, ...]
    """`LEVELS`, or all but `individuals`."""
    columns: Labels
    """One label per level."""
    rows: Labels
    """Name of each row, in one part or three."""
    values: NDArray[np.float64]
    """(row, column)."""


def read_hdf5_table(file: Path) -> Hdf5Table:
    """Read a table; ValueError: another layout. OSError: the file can't be read."""
    import h5py

    with open_hdf5(file) as content:
        names = [KEY] if KEY in content else list(content)
        table = content[names[0]] if len(names) == 1 else None
        if not isinstance(table, h5py.Group):
            raise ValueError(f"it holds no table {KEY}, as DeepLabCut writes it")
        read = _records(table) if "table" in table else _fixed(table)
    columns, rows, values = read
    widths = {len(column) for column in columns}
    levels = LEVELS if widths == {4} else (LEVELS[0], *LEVELS[2:])
    if widths != {len(levels)}:
        raise ValueError(f"its columns do not have the levels {', '.join(levels)}")
    return Hdf5Table(levels, columns, rows, values)


def write_hdf5_table(
    table: "DataFrame", file: Path, layout: Literal["fixed", "table"] = "fixed"
) -> None:
    """Write a table in DeepLabCut's layout; OSError: it can't be written."""
    try:
        table.to_hdf(file, key=KEY, mode="w", format=layout)
    except RuntimeError as error:  # HDF5ExtError of tables
        full = os.strerror(errno.ENOSPC)
        number = errno.ENOSPC if full in str(error) else errno.EIO
        raise OSError(number, os.strerror(number), str(file)) from error


def _fixed(table: "h5py.Group") -> tuple[Labels, Labels, NDArray[np.float64]]:
    if "block0_values" not in table or "block1_values" in table:
        raise ValueError("its table is not of numbers alone, as DeepLabCut writes it")
    columns, rows = _axis(table, "axis0"), _axis(table, "axis1")
    order = _axis(table, "block0_items")
    values = np.asarray(whole(table["block0_values"]), np.float64)
    return columns, rows, values[:, [order.index(column) for column in columns]]


def _records(table: "h5py.Group") -> tuple[Labels, Labels, NDArray[np.float64]]:
    records = whole(table["table"])
    if records.dtype.names != ("index", "values_block_0"):
        raise ValueError("its table is not of numbers alone, as DeepLabCut writes it")
    ((_, named),) = _plain(table.attrs["non_index_axes"])
    order = _plain(table["table"].attrs["values_block_0_kind"])
    columns, own = (
        [tuple(map(str, column)) for column in rows] for rows in (named, order)
    )
    values = np.asarray(records["values_block_0"], np.float64)
    rows: Labels = [(_text(name),) for name in records["index"].tolist()]
    return columns, rows, values[:, [own.index(column) for column in columns]]


class _Plain(pickle.Unpickler):
    """Unpickler that creates only lists, tuples, strings and numbers, and calls nothing."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise ValueError(f"its column names try to call {module}.{name}")


def _plain(attribute: object) -> Any:
    """Return the content of an attribute; trailing zeros were dropped and are not needed."""
    try:
        return _Plain(io.BytesIO(np.asarray(attribute).tobytes())).load()
    except ValueError:
        raise
    except Exception as error:  # a damaged pickle can raise almost any exception
        raise ValueError("its column names can't be read") from error


def _axis(table: "h5py.Group", name: str) -> Labels:
    """Return the labels of an axis, one word per level."""
    if name in table:
        return [(_text(word),) for word in whole(table[name])]
    levels = sum(f"{name}_level{n}" in table for n in range(8))
    if not levels:
        raise ValueError(f"it has no {name}")
    labels = []
    for level in range(levels):
        known = [_text(word) for word in whole(table[f"{name}_level{level}"])]
        chosen = whole(table[f"{name}_label{level}"]).tolist()
        labels.append([known[place] if place >= 0 else "" for place in chosen])
    return list(zip(*labels, strict=True))


def _text(word: object) -> str:
    return word.decode("utf-8") if isinstance(word, bytes) else str(word)
