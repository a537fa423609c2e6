"""Table repair: half-written rows at the end are cut off, the original is kept."""

import csv
import os
import shutil
from collections import Counter
from pathlib import Path

from deeplabstream.files.atomic_replace import replace
from deeplabstream.files.foreign_files import open_regular

_TAIL = 1 << 20


def free_backup_path(path: Path) -> Path:
    """Return a free name under which the original of a repaired file can be kept."""
    number, kept = 1, path.with_name(path.name + ".damaged")
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.damaged_{number}")
    return kept


def keep_original(path: Path) -> Path:
    """Copy a file that will be repaired, whole or not at all; return the copy."""
    kept = free_backup_path(path)
    draft = path.with_name(path.name + ".copying")
    shutil.copy2(path, draft)
    replace(draft, kept)
    return kept


def half_written_bytes(path: Path) -> int:
    """Return how many bytes at the end of a table are no complete rows."""
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    end = tail.rfind(b"\n") + 1
    counts = Counter(_cells(line + b"\n") for line in tail[:end].split(b"\n")[:-1])
    counts.pop(0, None)
    columns = counts.most_common(1)[0][0] if counts else 0
    while end:
        start = tail.rfind(b"\n", 0, end - 1) + 1
        if start == 0 and size > len(tail):
            break  # a single row longer than the tail: no row end was found
        if not columns or _cells(tail[start:end]) == columns:
            break
        end = start
    return len(tail) - end


def cut_to(path: Path, size: int) -> Path:
    """Shorten a file, keeping the original; return where it is kept."""
    kept = keep_original(path)
    with path.open("r+b") as file:
        file.truncate(size)
        os.fsync(file.fileno())
    return kept


def cut_rows(path: Path, rows: int) -> Path:
    """Keep the header and the first `rows` rows; return where the original is kept."""
    with open_regular(path) as file:
        for _ in range(1 + rows):
            file.readline()
        size = file.tell()
    return cut_to(path, size)


def _cells(line: bytes) -> int:
    """Return the number of cells of a complete row; 0 when it is none."""
    if not line.endswith(b"\n") or b"\0" in line:
        return 0
    try:
        (row,) = csv.reader([line.decode()], strict=True)
    except (UnicodeDecodeError, csv.Error, ValueError):
        return 0
    return len(row)
