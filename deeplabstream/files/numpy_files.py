"""Safe reading of `.npy` and `.npz` files: limited in size, without unpickling."""

from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 2**31
"""Largest total size of the arrays of one `.npz` file, 2 GiB."""


def read_array(file: Path) -> NDArray[Any]:
    """Return the array of a `.npy` file.

    A small file may declare any size: memory is allocated only when the file is complete.

    Parameters
    ----------
    file : pathlib.Path
        The file to read.

    Returns
    -------
    numpy.ndarray
        Of any shape and type except Python objects.

    Raises
    ------
    OSError
        The file can't be read.
    ValueError
        The file is damaged.
    """
    try:
        with file.open("rb") as content:
            _check_declared(content, file.stat().st_size)
            content.seek(0)
            return np.asarray(np.load(content, allow_pickle=False))
    except (OSError, ValueError):
        raise
    except Exception as error:  # a damaged header can raise almost any exception
        raise ValueError(f"it is damaged ({type(error).__name__})") from error


def read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a `.npz` file by name.

    A compressed file of some kB may hold gigabytes: declared sizes are added up before any
    array is read.

    Parameters
    ----------
    file : pathlib.Path
        The file to read.

    Returns
    -------
    dict of str to numpy.ndarray
        Of any shape and type except Python objects.

    Raises
    ------
    OSError
        The file can't be read.
    ValueError
        The file is damaged, or declares more than `MOST_BYTES`.
    """
    try:
        with ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            total = sum(entry.file_size for entry in entries)
            if total > MOST_BYTES:
                raise ValueError(
                    f"it declares {total} bytes, more than {MOST_BYTES // 2**30} GiB"
                )
            for entry in entries:
                with archive.open(entry) as content:
                    _check_declared(content, entry.file_size)
            found = {}
            for entry in entries:
                with archive.open(entry) as content:
                    values = np.lib.format.read_array(content, allow_pickle=False)
                    found[entry.filename.removesuffix(".npy")] = values
            return found
    except (OSError, ValueError):
        raise
    except BadZipFile as error:
        raise ValueError(f"it is damaged ({error})") from error
    except Exception as error:  # a damaged header can raise almost any exception
        raise ValueError(f"it is damaged ({type(error).__name__})") from error


def _check_declared(content: IO[bytes], size: int) -> None:
    """Raise ValueError when the header declares more than `size` bytes can hold."""
    version = np.lib.format.read_magic(content)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = header(content)
    if prod(shape) * dtype.itemsize > size - content.tell():
        raise ValueError(
            f"it declares {'×'.join(map(str, shape))} numbers, and ends before"
        )
