"""HDF5 tables from outside: what is in them, and that nothing of theirs is run."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from deeplabstream.files.pandas_hdf5 import KEY, read_hdf5_table
from tests.files.pandas_tables import frame


@pytest.mark.parametrize("layout", ["table", "fixed"])
@pytest.mark.parametrize("animals", [1, 3])
def test_both_of_pandas_layouts_are_read(
    tmp_path: Path, layout: str, animals: int
) -> None:
    file, given = tmp_path / "poses.h5", frame(animals)
    given.to_hdf(file, key=KEY, format=layout, mode="w")
    read = read_hdf5_table(file)
    assert read.levels == tuple(given.columns.names)
    assert read.columns == list(given.columns)
    np.testing.assert_array_equal(read.values, given.to_numpy())


def test_columns_in_another_order_than_their_values_are_put_right(
    tmp_path: Path,
) -> None:
    file, given = tmp_path / "poses.h5", frame(1)
    turned = given[list(given.columns)[::-1]]
    for layout in ("table", "fixed"):
        turned.to_hdf(file, key="anything", format=layout, mode="w")
        read = read_hdf5_table(file)
        assert read.columns == list(turned.columns)
        np.testing.assert_array_equal(read.values, turned.to_numpy())


class _Calls:
    """What a pickle that does harm is made of."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("where", ["non_index_axes", "values_block_0_kind"])
def test_nothing_that_a_file_names_is_called(tmp_path: Path, where: str) -> None:
    file, harm = tmp_path / "poses.h5", tmp_path / "harm"
    frame(1).to_hdf(file, key=KEY, format="table", mode="w")
    with h5py.File(file, "a") as content:
        holder = content[KEY] if where == "non_index_axes" else content[KEY]["table"]
        holder.attrs[where] = np.bytes_(pickle.dumps(_Calls(harm), protocol=0))
    with pytest.raises(ValueError, match="try to call"):
        read_hdf5_table(file)
    assert not harm.exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "poses.h5"
    mixed = frame(1)
    mixed[("net", "snout", "note")] = ["a", "b", "c"]
    with h5py.File(file, "w") as content:
        content["tracks"] = np.zeros(3)
    with pytest.raises(ValueError, match=f"no table {KEY}"):
        read_hdf5_table(file)
    mixed.to_hdf(file, key=KEY, format="table", mode="w")
    with pytest.raises(ValueError, match="not of numbers alone"):
        read_hdf5_table(file)
    frame(1).to_hdf(file, key=KEY, format="table", mode="w")
    with h5py.File(file, "a") as content:
        content[KEY].attrs["non_index_axes"] = np.bytes_(b"(lp0\nno pickle")
    with pytest.raises(ValueError, match="can't be read"):
        read_hdf5_table(file)
