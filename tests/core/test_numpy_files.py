from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.numpy_files import read_array
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
    with pytest.raises(DeepLabStreamError, match=r"a\.npy can't be read: it declares"):
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
