"""HDF5 files from outside: nothing of other files is read, nothing too large asked for."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from deeplabstream.files import hdf5
from deeplabstream.files.hdf5 import open_hdf5
from deeplabstream.files.pandas_hdf5 import KEY, read_hdf5_table
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.data.sleap_packages import unpack_sleap
from tests.files.pandas_tables import frame
from tests.training.foreign_projects import sleap


def table(file: Path) -> Path:
    """Write a table as DeepLabCut has it."""
    frame(1).to_hdf(file, key=KEY, format="fixed", mode="w")
    return file


def secret(folder: Path, like: "h5py.Dataset") -> Path:
    """Write another HDF5 file, and its raw numbers, of the shape and type of `like`."""
    file = folder / "secret.h5"
    with h5py.File(file, "w") as content:
        content["numbers"] = np.full(like.shape, 1, like.dtype)
    (folder / "secret.raw").write_bytes(np.full(like.shape, 1, like.dtype).tobytes())
    return file


def by_external_link(holder: "h5py.Group", name: str, folder: Path) -> None:
    other = secret(folder, holder[name])
    del holder[name]
    holder[name] = h5py.ExternalLink(str(other), "numbers")


def by_soft_link_through_external_one(
    holder: "h5py.Group", name: str, folder: Path
) -> None:
    other = secret(folder, holder[name])
    del holder[name]
    holder["aside"] = h5py.ExternalLink(str(other), "/")
    holder[name] = h5py.SoftLink(f"{holder.name}/aside/numbers")


def by_external_storage(holder: "h5py.Group", name: str, folder: Path) -> None:
    shape, dtype = holder[name].shape, holder[name].dtype
    secret(folder, holder[name])
    del holder[name]
    kept = [(str(folder / "secret.raw"), 0, h5py.h5f.UNLIMITED)]
    holder.create_dataset(name, shape, dtype, external=kept)


def by_virtual_data_set(holder: "h5py.Group", name: str, folder: Path) -> None:
    shape, dtype = holder[name].shape, holder[name].dtype
    other = secret(folder, holder[name])
    del holder[name]
    layout = h5py.VirtualLayout(shape=shape, dtype=dtype)
    layout[...] = h5py.VirtualSource(str(other), "numbers", shape=shape)
    holder.create_virtual_dataset(name, layout)


def declared_huge(holder: "h5py.Group", name: str, folder: Path) -> None:
    shape, dtype = holder[name].shape, holder[name].dtype
    del holder[name]
    whole = (4 * 2**30, *shape[1:])
    holder.create_dataset(name, whole, dtype, chunks=True, compression="gzip")


def in_huge_pieces(holder: "h5py.Group", name: str, folder: Path) -> None:
    values = holder[name][:]
    del holder[name]
    pieces = (2**27 // values.dtype.itemsize, *values.shape[1:])
    most = (None, *values.shape[1:])
    holder.create_dataset(
        name, data=values, maxshape=most, chunks=pieces, compression="gzip"
    )


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (by_external_link, "links to another file"),
        (by_soft_link_through_external_one, "links to another file"),
        (by_external_storage, "shows the content of other files"),
        (by_virtual_data_set, "shows the content of other files"),
        (declared_huge, "declares "),
        (in_huge_pieces, "declares "),
    ],
)
@pytest.mark.parametrize("kind", ["table", "sleap"])
def test_no_reader_takes_what_is_not_the_files_own(
    tmp_path: Path,
    spoil: "Callable[[h5py.Group, str, Path], None]",
    sentence: str,
    kind: str,
) -> None:
    if kind == "table":
        file = table(tmp_path / "CollectedData.h5")
        with h5py.File(file, "a") as content:
            spoil(content[KEY], "block0_values", tmp_path)
        with pytest.raises(ValueError, match=sentence):
            read_hdf5_table(file)
    else:
        file = sleap(tmp_path / "a.pkg.slp")
        with h5py.File(file, "a") as content:
            spoil(content, "points", tmp_path)
        with pytest.raises(LabelsError, match=f"a.pkg.slp .*{sentence}"):
            unpack_sleap(file, tmp_path / "unpacked")
        assert not (tmp_path / "unpacked").exists()


def test_no_picture_of_a_sleap_package_comes_from_another_file(tmp_path: Path) -> None:
    file = sleap(tmp_path / "a.pkg.slp")
    (tmp_path / "secret").write_bytes(bytes(range(240)) * 10)
    with h5py.File(file, "a") as content:
        del content["video0/video"]
        kept = [(str(tmp_path / "secret"), 0, h5py.h5f.UNLIMITED)]
        content.create_dataset("video0/video", (2, 30, 40, 1), np.uint8, external=kept)
    with pytest.raises(LabelsError, match="/video0/video shows the content of other"):
        unpack_sleap(file, tmp_path / "unpacked")


def test_links_inside_the_file_are_followed(tmp_path: Path) -> None:
    file = table(tmp_path / "a.h5")
    with h5py.File(file, "a") as content:
        content[KEY]["kept"] = content[KEY]["block0_values"]
        del content[KEY]["block0_values"]
        content[KEY]["block0_values"] = h5py.SoftLink(f"/{KEY}/kept")
        content[KEY]["round"] = content["/"]
        content[KEY]["dangling"] = h5py.SoftLink("/nowhere")
    assert read_hdf5_table(file).values[2, 1] == frame(1).to_numpy()[2, 1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_a_file_that_is_never_read_through_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "a.h5")  # who opens it waits for ever
    monkeypatch.setattr(hdf5, "WAIT_S", 0.5)
    with (
        pytest.raises(ValueError, match="did not end within 0 s"),
        open_hdf5(tmp_path / "a.h5"),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_time_that_the_computer_was_busy_with_other_work_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "PATIENCE_S", 0.0)  # no process starts within it
    with open_hdf5(table(tmp_path / "a.h5")) as content:
        assert KEY in content
    with h5py.File(tmp_path / "long.h5", "w") as content:
        for number in range(1000):  # 62 GB: more than a second of CPU time
            content.create_dataset(f"{number}", (2**26,), np.uint8, chunks=(2**24,))
    with (
        pytest.raises(ValueError, match="did not end within 0 s"),
        open_hdf5(tmp_path / "long.h5"),
    ):
        pass


def test_what_a_damaged_file_makes_of_its_reader_is_a_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="it is damaged"),
        open_hdf5(table(tmp_path / "a.h5")) as content,
    ):
        content["nothing"]


def test_damaged_label_packages_are_sentences(tmp_path: Path) -> None:
    whole = sleap(tmp_path / "a.pkg.slp").read_bytes()
    random = np.random.default_rng(0)
    for n in range(6):
        spoilt = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(0, len(spoilt), 40)
        spoilt[places] = random.integers(0, 256, 40)
        file = tmp_path / f"{n}.pkg.slp"
        spoilt.tofile(file)
        try:
            unpack_sleap(file, tmp_path / f"unpacked{n}")
        except LabelsError as error:
            assert str(file) in str(error) or file.name in str(error)
