"""Recordings of other programs: the edges of one TTL line, with the span of each part.

A recording is read by what its kind documents; none needs its program. Nothing in it is
changed.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError
from deeplabstream.recording.alignment.sync_signals import Edges

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_TIMES = ("time", "timestamp", "second", "sample", "onset")
_LEVELS = ("level", "state", "value", "rising", "high", "polarity")
_HIGH, _LOW = (
    {"1", "true", "high", "on", "rising"},
    {"0", "-1", "false", "low", "off", "falling"},
)


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """What a user says about a recording.

    Attributes
    ----------
    line : str
        Line, channel or stream with the sync signal; empty: the only one.
    unit : str
        Unit of the times in a CSV.
    rate : float
        Samples per second, where times in a CSV count samples; 0: they do not.
    both_edges : bool
        Times in a CSV without levels are of rising and falling edges in turn.
    threshold : float
        Level of an analogue line, in its unit, above which it is high; NaN: half-way
        between its lowest and its highest value.
    """

    line: str = ""
    unit: str = "s"
    rate: float = 0.0
    both_edges: bool = False
    threshold: float = float("nan")


@dataclass(frozen=True, slots=True)
class Recording:
    """Edges of one line of a recording.

    Attributes
    ----------
    path : pathlib.Path
        File or folder.
    kind : str
        Key of `READERS`.
    line : str
        Where the edges come from, in words.
    edges : Edges
        On the recorder's clock, in seconds.
    spans_s : tuple of (float, float)
        Start and end of each part on the recorder's clock; empty: not known.
    resolution_s : float
        Time between two samples.
    """

    path: Path
    kind: str
    line: str
    edges: Edges
    spans_s: tuple[tuple[float, float], ...] = ()
    resolution_s: float = 0.0


def read_recording(
    path: Path, kind: str = "", options: RecordingOptions | None = None
) -> Recording:
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
    Recording
        With at least one edge.

    Raises
    ------
    DeviceError
        It can't be read, or the line has no edges.
    """
    kind = kind or kind_of(path)
    if not path.exists():
        raise DeviceError(f"{path} does not exist")
    try:
        recording = READERS[kind](path, options or RecordingOptions())
    except OSError as error:
        raise DeviceError(f"{path} can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, IndexError, TypeError, EOFError) as error:
        raise DeviceError(f"{path} can't be read as {kind}: {error}") from error
    if not len(recording.edges):
        raise DeviceError(f"{path}: {recording.line} has no edges")
    if not np.isfinite(recording.edges.times_s).all():
        raise DeviceError(f"{path}: {recording.line} has times that are no numbers")
    return recording


def kind_of(path: Path) -> str:
    """Return the kind of a recording by its name; DeviceError: it is not known."""
    for kind, endings in ENDINGS.items():
        if path.name.lower().endswith(endings):
            return kind
    raise DeviceError(
        f"{path}: which program wrote it? Give --kind: {', '.join(READERS)}"
    )


def level_edges(
    high: NDArray[np.bool_], start_s: float, rate: float, before: bool | None = None
) -> Edges:
    """Return the edges of a sampled line, half-way between two samples.

    Parameters
    ----------
    high : numpy.ndarray of bool, shape (sample,)
        Level of each sample.
    start_s : float
        Time of the first sample.
    rate : float
        Samples per second.
    before : bool, optional
        Level before the first sample, if known.

    Returns
    -------
    Edges
        One where two neighbours differ.
    """
    changes = np.flatnonzero(np.diff(high)) + 1
    if before is not None and len(high) and bool(high[0]) != before:
        changes = np.concatenate([[0], changes])
    times = start_s + (changes.astype(np.float64) - 0.5) / rate
    return Edges(times, high[changes], np.zeros(len(changes), np.int64))


def _read_csv(path: Path, options: RecordingOptions) -> Recording:
    """Read a table of edges: a column of times, and one of levels if there is one.

    A header is optional. Columns are found by their names, or are the first two. Without
    levels, times are of rising edges.
    """
    text = path.read_text("utf-8-sig")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("the file is empty")
    separator = next((sign for sign in "\t;," if sign in lines[0]), ",")
    rows = [
        [cell.strip() for cell in row]
        for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=separator)
    ]
    header = [] if _number(rows[0][0]) is not None else rows.pop(0)
    time, level = _csv_columns(header, rows, options.line)
    times = np.array(
        [_checked(row, time, number) for number, row in enumerate(rows, 1)]
    )
    times = times / options.rate if options.rate else times * UNITS[options.unit]
    if level is not None:
        rising = np.array([_is_high(row, level, n) for n, row in enumerate(rows, 1)])
        changed = np.concatenate([[True], np.diff(rising)])
        times, rising = times[changed], rising[changed]
    elif options.both_edges:
        rising = np.arange(len(times)) % 2 == 0
    else:
        rising = np.ones(len(times), bool)
    resolution = 1 / options.rate if options.rate else 0.0
    return Recording(path, "csv", "the file", Edges(times, rising), (), resolution)


def _csv_columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], wanted: str
) -> tuple[int, int | None]:
    """Return the columns of times and levels; `wanted` names that of the times."""
    names = [name.lower() for name in header]
    if wanted and wanted.lower() not in names:
        raise ValueError(
            f"no column {wanted}; the columns are {', '.join(header) or 'unnamed'}"
        )
    if not names:
        wide = bool(rows) and all(len(row) > 1 for row in rows)
        is_level = wide and all(row[1].lower() in _HIGH | _LOW for row in rows)
        return 0, 1 if is_level else None
    found = [n for n, name in enumerate(names) if any(word in name for word in _TIMES)]
    time = names.index(wanted.lower()) if wanted else next(iter(found), 0)
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


READERS: Mapping[str, Callable[[Path, RecordingOptions], Recording]] = {
    "csv": _read_csv,
}
"""Readers by kind of recording."""
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "csv": (".csv", ".tsv", ".txt"),
}
"""Ends of names by kind."""
