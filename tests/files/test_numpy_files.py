import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.numpy_files import MOST_BYTES, read_array, read_arrays
from deeplabstream.offline.ibl.alf import read_times


def huge(file: Path) -> Path:
    """Write the header of 2 TB, and three numbers."""
    with file.open("wb") as content:
        words = {"descr": "<f8", "fortran_order": False, "shape": (2**38,)}
        np.lib.format.write_array_header_1_0(content, words)
        content.write(np.arange(3.0).tobytes())
    return file


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_an_array_is_read_as_it_was_written(
    tmp_path: Path, version: tuple[int, int]
) -> None:
    file, given = tmp_path / "a.npy", np.arange(12.0).reshape(3, 4)
    with file.open("wb") as content:
        np.lib.format.write_array(content, given, version)
    np.testing.assert_array_equal(read_array(file), given)


def test_what_declares_more_than_the_file_holds_asks_for_no_memory(
    tmp_path: Path,
) -> None:
    with pytest.raises(ValueError, match="declares 274877906944 numbers, and ends"):
        read_array(huge(tmp_path / "a.npy"))
    with pytest.raises(DeepLabStreamError, match=r"Can't read .*a\.npy: it declares"):
        read_times(tmp_path / "a.npy", 3)


@pytest.mark.parametrize(
    "data", [b"", b"no array", b"\x93NUMPY\x01\x00\x10\x00{'shape'"]
)
def test_what_is_no_array_is_a_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises((ValueError, OSError)):
        read_array(tmp_path / "a.npy")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([print], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_array(tmp_path / "a.npy")


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    file, given = tmp_path / "a.npz", np.arange(12.0).reshape(3, 4)
    np.savez_compressed(file, given=given, other=np.array([True]))
    found = read_arrays(file)
    assert set(found) == {"given", "other"}
    np.testing.assert_array_equal(found["given"], given)


def packed(file: Path, content: bytes) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", content)
    return file


def test_an_array_in_an_archive_may_not_declare_more_than_it_holds(
    tmp_path: Path,
) -> None:
    file = packed(tmp_path / "a.npz", huge(tmp_path / "a.npy").read_bytes())
    with pytest.raises(ValueError, match="declares 274877906944 numbers, and ends"):
        read_arrays(file)


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    file = packed(tmp_path / "a.npz", b"")
    data = bytearray(file.read_bytes())
    place = data.index(b"PK\x01\x02") + 24  # the size after unpacking
    data[place : place + 4] = (MOST_BYTES + 1).to_bytes(4, "little")
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"declares 2147483649 bytes, more than 2 GiB"):
        read_arrays(file)


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04", b"PK\x05\x06"])
def test_what_is_no_archive_is_a_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises((ValueError, OSError)):
        read_arrays(tmp_path / "a.npz")


def test_nothing_in_an_archive_is_unpickled(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.array([print], object), allow_pickle=True)
    file = packed(tmp_path / "a.npz", content.getvalue())
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_arrays(file)
