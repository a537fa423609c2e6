"""Safe reading of HDF5 files: no access to other files, limits of size, memory and time.

An HDF5 file may show the content of other files (external links, external storage, virtual
data sets) and declare arrays far larger than itself. Damaged files may hang or crash the
library. Every file is therefore first read in a process of its own with limits of time and
memory; links and sizes are checked again where it is read. All HDF5 files are opened here.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from math import ceil, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.paths import ROOT

if TYPE_CHECKING:
    import h5py

ALWAYS_ALLOWED = 64 * 2**20
"""Size in bytes that is allowed for any array."""
TIMES_THE_FILE = 64
"""Largest ratio of an array's declared bytes to the bytes of its (compressed) file."""
PATIENCE_S = 30.0
BYTES_PER_S = 5e6
"""Limit of CPU time for a file: `PATIENCE_S`, and more for large ones."""
WAIT_S = 120.0
"""Limit of time for a file: a busy computer delays a process; a pipe would block it without end."""
_PIECE = 16 * 2**20
_MEMORY = 8 * 2**30


@contextmanager
def open_hdf5(file: Path) -> "Iterator[h5py.File]":
    """Open a file for reading.

    ValueError: it is damaged, or refers to other files. OSError: it can't be read. Any other
    exception inside the `with` block becomes a ValueError, because a damaged file may raise
    nearly anything.
    """
    import h5py

    stat = file.stat()
    _try(file.resolve(), stat.st_size, stat.st_mtime_ns)
    try:
        with h5py.File(file, "r") as content:
            check_own(content, stat.st_size)
            yield content
    except (OSError, ValueError, DeepLabStreamError):
        raise
    except MemoryError as error:
        raise ValueError("it needs more memory than this computer has") from error
    except Exception as error:
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error


def whole(dataset: "h5py.Dataset") -> NDArray[Any]:
    """Return a whole array.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of any shape.

    Returns
    -------
    numpy.ndarray
        Of the same shape and type.

    Raises
    ------
    ValueError
        Its cells are references of any length: a small file could fill the memory.
    """
    if dataset.dtype.hasobject:
        raise ValueError(f"{dataset.name} is not a table of numbers")
    return np.asarray(dataset[:])


def check_own(content: "h5py.File", file_size: int) -> None:
    """Raise ValueError when a file refers to other files or declares too large arrays."""
    for item in _datasets(content):
        if item.is_virtual or item.external:
            raise ValueError(
                f"{item.name} shows the content of other files; no other file is read: "
                "have its program write everything into one file"
            )
        most = max(ALWAYS_ALLOWED, TIMES_THE_FILE * file_size)
        for shape in (item.shape or (), item.chunks or ()):
            if (declared := prod(shape) * item.dtype.itemsize) > most:
                raise ValueError(
                    f"{item.name} declares {declared / 2**20:.0f} MB in a file of "
                    f"{file_size / 2**20:.1f} MB: it is damaged"
                )


def _datasets(content: "h5py.File") -> "Iterator[h5py.Dataset]":
    """Yield each array once; ValueError at a link that leaves the file."""
    import h5py

    seen: set[object] = set()
    groups: list[h5py.Group] = [content]
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            # a soft link stays in the file, so its target is checked itself
            if isinstance(link, h5py.SoftLink):
                continue
            if not isinstance(link, h5py.HardLink):
                other = getattr(link, "filename", "elsewhere")
                raise ValueError(
                    f"{group.name.rstrip('/')}/{name} links to another file ({other}); "
                    "no other file is read: have its program write everything into one"
                )
            item = group[name]
            place = h5py.h5o.get_info(item.id).addr
            if place in seen:
                continue
            seen.add(place)
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                yield item


@lru_cache(maxsize=256)
def _try(file: Path, size: int, changed_ns: int) -> None:
    """Read the whole file in another process; `changed_ns` is only a key of the cache."""
    patience_s = PATIENCE_S + size / BYTES_PER_S
    too_long = "it is damaged: reading it by HDF5 did not end within {:.0f} s"
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(file), str(patience_s)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=WAIT_S + size / BYTES_PER_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(too_long.format(error.timeout)) from None
    if done.returncode == _OUT_OF_TIME:
        raise ValueError(too_long.format(patience_s))
    if done.returncode in (_WRONG, _CANT):
        kind = ValueError if done.returncode == _WRONG else OSError
        raise kind(done.stderr.strip())
    if done.returncode:
        raise ValueError("it is damaged: reading it crashes HDF5")


_WRONG, _CANT = 3, 4
_OUT_OF_TIME = -getattr(signal, "SIGXCPU", 0) or None
"""Exit status of a process that the system ended at its limit of CPU time."""


def _read_through(file: Path) -> None:
    """Read every array piece by piece, and every attribute."""
    import h5py

    with h5py.File(file, "r") as content:
        check_own(content, file.stat().st_size)
        for item in _datasets(content):
            if not item.shape:
                continue
            row = max(1, prod(item.shape[1:]) * item.dtype.itemsize)
            step = 1 if item.dtype.hasobject else max(1, _PIECE // row)
            for first in range(0, item.shape[0], step):
                item[first : first + step]
        content.visititems(lambda _, item: dict(item.attrs).clear())


def _limit(what: int, most: int) -> None:
    """Set a limit of this process, unless a lower one is set."""
    if sys.platform != "win32":
        import resource

        _, highest = resource.getrlimit(what)
        if highest == resource.RLIM_INFINITY or most < highest:
            resource.setrlimit(what, (most, highest))


def main(file: Path, patience_s: float) -> int:
    """Read a file within limits; write the error to stderr and return the exit status.

    The CPU time until here, which Python takes to start, is not counted.
    """
    if sys.platform != "win32":
        import resource

        _limit(resource.RLIMIT_AS, _MEMORY + 2 * file.stat().st_size)
        _limit(resource.RLIMIT_CORE, 0)
        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit(
            resource.RLIMIT_CPU, ceil(used.ru_utime + used.ru_stime + patience_s) + 1
        )
    try:
        _read_through(file)
    except OSError as error:
        sys.stderr.write(str(error))
        return _CANT
    except MemoryError:
        sys.stderr.write("it needs more memory than this computer has")
        return _WRONG
    except ValueError as error:
        sys.stderr.write(str(error))
        return _WRONG
    except Exception as error:  # a damaged file can raise almost any exception
        sys.stderr.write(f"it is damaged ({type(error).__name__}: {error})")
        return _WRONG
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2])))
