"""Recordings of other programs: the edges of one TTL line, with the span of each part.

A recording is read by what its kind documents; none needs its program. Nothing in it is
changed.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import DeviceError, package_missing
from deeplabstream.files.delimited_text import DECIMAL_COMMA, read_delimited
from deeplabstream.recording.alignment.recorders import (
    read_nwb,
    read_open_ephys,
    read_pyphotometry,
    read_spikeglx,
    read_xdf,
)
from deeplabstream.recording.alignment.recording_data import (
    RecordedLine,
    RecorderOptions,
)
from deeplabstream.recording.alignment.sync_signals import Edges

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_LATEST_S = 1e11
"""Latest plausible time, 3,000 years; larger ones are damaged numbers."""
_TIMES = ("time", "timestamp", "second", "sample", "onset")
_LEVELS = ("level", "state", "value", "rising", "high", "polarity")
_HIGH, _LOW = (
    {"1", "true", "high", "on", "rising"},
    {"0", "-1", "false", "low", "off", "falling"},
)


def read_recording(
    path: Path, kind: str = "", options: RecorderOptions | None = None
) -> RecordedLine:
    """Read the edges of a recording.

    Parameters
    ----------
    path : pathlib.Path
        File or folder.
    kind : str, optional
        Key of `READERS`; empty: by the name of the file.
    options : RecordingOptions, optional
        Which line, and how a CSV is to be read.

    Returns
    -------
    RecordedLine
        With at least one edge.

    Raises
    ------
    DeviceError
        It can't be read, or the line has no edges.
    """
    kind = kind or kind_of(path)
    if not path.exists():
        raise DeviceError(f"{path} does not exist")

    # Readers trust the layout of the file: any other error means that it is damaged.
    try:
        with np.errstate(all="ignore"):  # the times are checked below
            recording = READERS[kind](path, options or RecorderOptions())
    except ImportError as error:
        raise DeviceError(package_missing(error.name or str(error))) from error
    except OSError as error:
        where = error.filename or path
        raise DeviceError(
            f"{where} can't be read: {error.strerror or error}"
        ) from error
    except KeyError as error:
        raise DeviceError(f"{path}: {error.args[0]} is missing") from error
    except ValueError as error:
        raise DeviceError(f"{path} can't be read as {kind}: {error}") from error
    except (IndexError, TypeError, EOFError) as error:
        raise DeviceError(
            f"{path} can't be read as {kind}: it is damaged ({error})"
        ) from error

    # Alignment relies on these properties, whichever reader was used.
    edges, where = recording.edges, f"{path}: {recording.line}"
    if not len(edges):
        raise DeviceError(f"{where} has no edges")
    if not edges.times_s.shape == edges.rising.shape == (len(edges),):
        raise DeviceError(f"{where}: times and levels differ in number")
    if not np.all(np.abs(edges.times_s) < _LATEST_S):
        raise DeviceError(f"{where} has times that are no numbers of seconds")
    return recording


def kind_of(path: Path) -> str:
    """Return the kind of a recording by its name; DeviceError: it is not known."""
    for kind, endings in ENDINGS.items():
        if path.name.lower().endswith(endings):
            return kind
    if path.is_dir():
        return "open-ephys"
    raise DeviceError(
        f"{path}: which program wrote it? Give --kind: {', '.join(READERS)}"
    )


def _read_csv(path: Path, options: RecorderOptions) -> RecordedLine:
    """Read a table of edges: a column of times, and one of levels if there is one.

    A header is optional. Columns are found by their names, or are the first two. Without
    levels, times are of rising edges.
    """
    try:
        table = read_delimited(path)
        stored = table.rows()
    except csv.Error as error:
        raise ValueError(str(error)) from error

    # In many countries a comma is the decimal sign: 1,5 would be read as two columns.
    is_whole = options.rate or options.unit == "ns"
    if table.separator == "," and not is_whole:
        _check_commas(stored)
    rows = [[cell.strip() for cell in row] for row in stored]
    if not any(map(any, rows)):
        raise ValueError("the file is empty")

    header = [] if _number(rows[0][0]) is not None else rows.pop(0)
    time, level = _csv_columns(header, rows, options.line)
    times = np.array(
        [_checked(row, time, number) for number, row in enumerate(rows, 1)]
    )
    if not 0 <= options.rate < np.inf:
        raise ValueError(f"--rate {options.rate:g}: expected a positive number")

    times = times / options.rate if options.rate else times * UNITS[options.unit]
    if level is not None:
        rising = np.array([_is_high(row, level, n) for n, row in enumerate(rows, 1)])
        # Some programs write a row per sample: only changes of the level are edges.
        changed = np.concatenate([[True], np.diff(rising)])
        times, rising = times[changed], rising[changed]
    elif options.both_edges:
        rising = np.arange(len(times)) % 2 == 0
    else:
        rising = np.ones(len(times), bool)

    resolution = 1 / options.rate if options.rate else 0.0
    return RecordedLine(path, "csv", "the file", Edges(times, rising), (), resolution)


def _check_commas(rows: Sequence[Sequence[str]]) -> None:
    """Raise ValueError if the commas of a table without header may be decimal commas."""
    joined = [",".join(row[:2]) for row in rows if len(row) > 1]
    if joined and all(map(DECIMAL_COMMA.fullmatch, joined)):
        raise ValueError(
            f"{joined[0]} in its first row may be one number or two cells: save it with "
            "decimal points, or name the columns in a first row: time,level"
        )


def _csv_columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], time_column: str
) -> tuple[int, int | None]:
    """Return the columns of times and levels; `time_column` names that of the times."""
    names = [name.lower() for name in header]
    if time_column and time_column.lower() not in names:
        raise ValueError(
            f"no column {time_column}; the columns are {', '.join(header) or 'unnamed'}"
        )
    if not names:
        wide = bool(rows) and all(len(row) > 1 for row in rows)
        is_level = wide and all(row[1].lower() in _HIGH | _LOW for row in rows)
        return 0, 1 if is_level else None
    times = [n for n, name in enumerate(names) if any(word in name for word in _TIMES)]
    time = names.index(time_column.lower()) if time_column else next(iter(times), 0)
    levels = [
        n
        for n, name in enumerate(names)
        if any(w in name for w in _LEVELS) and n != time
    ]
    return time, next(iter(levels), None)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _checked(row: Sequence[str], column: int, number: int) -> float:
    value = _number(row[column]) if column < len(row) else None
    if value is None:
        raise ValueError(f"row {number}, column {column + 1}: a time is missing")
    return value


def _is_high(row: Sequence[str], column: int, number: int) -> bool:
    cell = row[column].lower() if column < len(row) else ""
    value = _number(cell)
    if cell in _HIGH or (value is not None and value > 0):
        return True
    if cell in _LOW or value is not None:
        return False
    raise ValueError(
        f"row {number}, column {column + 1}: {cell!r}: expected a level, such as 0 or 1"
    )


READERS: Mapping[str, Callable[[Path, RecorderOptions], RecordedLine]] = {
    "open-ephys": read_open_ephys,
    "spikeglx": read_spikeglx,
    "nwb": read_nwb,
    "pyphotometry": read_pyphotometry,
    "xdf": read_xdf,
    "csv": _read_csv,
}
"""Readers by kind of recording."""
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "open-ephys": (".oebin",),
    "spikeglx": (".bin", ".meta"),
    "nwb": (".nwb",),
    "pyphotometry": (".ppd",),
    "xdf": (".xdf", ".xdfz"),
    "csv": (".csv", ".tsv", ".txt"),
}
"""Suffixes of file names, by kind."""
