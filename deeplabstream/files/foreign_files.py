"""Foreign files: regular files only, and JSON within limits of size and depth."""

import errno
import json
import os
import stat
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

MOST_BYTES = 64 << 20
"""Size of a JSON file."""
MOST_DEEP = 100
"""Lists and objects inside each other."""
_TOO_DEEP = f"it has more than {MOST_DEEP} lists and objects inside each other"

_AT_ONCE = getattr(os, "O_NONBLOCK", 0)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file to read its bytes.

    OSError: it can't be read, or it is a pipe, a socket or a device: opening one may
    block, or change the device.
    """
    _check_regular(path.stat(), path)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | _AT_ONCE)
    try:
        _check_regular(os.fstat(handle), path)  # it may have been replaced meanwhile
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def is_special(path: Path) -> bool:
    """Return whether a path is a pipe, a socket or a device."""
    return path.exists() and not (path.is_file() or path.is_dir())


def _check_regular(status: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(status.st_mode):
        reason = "it is a pipe, a socket or a device, not a file"
        raise OSError(errno.EINVAL, reason, str(path))


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file; see `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; OSError or ValueError: it can't be read."""
    with open_regular(path) as file:
        # A read of the limit would allocate all of it; a file that grows meanwhile is cut.
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise ValueError(f"it is longer than {MOST_BYTES >> 20} MiB")
        content = file.read(size)
    return parse_json(content)


def parse_json(text: str | bytes) -> Any:
    """Return the content of a JSON text.

    ValueError: it is none, or too deep for the functions that look through it.

    >>> parse_json(b'{"tags": ["a"]}')
    {'tags': ['a']}
    """
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    _check_depth(found)
    return found


def _check_depth(found: object) -> None:
    level = [found]
    for _ in range(MOST_DEEP):
        level = [
            part
            for value in level
            for part in _parts(value)
            if isinstance(part, list | dict)
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _parts(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []
