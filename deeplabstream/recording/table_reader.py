"""Table reader: the one reader of a run's tables, by column name.

Broken lines are skipped, counted and reported. A line is valid when it ends, is text, has
as many cells as the header, and each cell holds what its column holds (`run_schema`). A
last line without its end (power cut) is left out without a report.
"""

import csv
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BufferedReader, RawIOBase, StringIO
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from deeplabstream.core.pose import Skeleton
from deeplabstream.files.foreign_files import open_regular
from deeplabstream.recording.cell_formats import is_command
from deeplabstream.recording.run_schema import (
    CAMERA,
    EVENTS,
    FLOAT64,
    FRAME_COLUMNS,
    MATCHES,
    MOMENTS,
    PULSES,
    QUEUE,
    TEXT,
    TRIGGERS,
    VIDEO,
    TableSchema,
    current_names,
    keypoint_columns,
    points_end,
    row_pattern,
)

if TYPE_CHECKING:
    from pandas import DataFrame

_USUAL_FLOAT = r"(?:-?\d{1,12}\.\d{1,20}|nan)"
"""Most floats: a part of `FLOAT64` that is matched in half the time."""
_CHUNK = 1 << 18
"""Bytes that are read at once."""
_SAMPLE = 20
"""Lines whose number of cells replaces that of a broken header."""


class RecordedTable:
    """A table of a run, read line by line; a file that is missing has no lines.

    `columns` are the names of its columns in this program's schema. Where the header is
    broken, those of the schema replace it. `keypoints`: the columns of points, of a camera's
    table whose skeleton is known.
    """

    def __init__(
        self, path: Path, schema: TableSchema, keypoints: Sequence[str] = ()
    ) -> None:
        self.path, self.schema = path, schema
        self.broken: list[int] = []
        """Numbers of the lines that were skipped, the header's is 1; complete at the end."""
        self.end = 0
        """Bytes up to the end of the last valid line that was read."""
        expected = schema.names
        if schema is MOMENTS:
            expected = tuple(schema.fixed)
        if schema is CAMERA:
            frame = (column.name for column in FRAME_COLUMNS)
            expected = (*frame, *keypoints)
        self.columns, self._header_is_valid = self._header(expected)
        is_exact = self.columns[: len(expected)] == expected
        self._pattern = row_pattern(schema, self.columns, keypoints if is_exact else ())
        self._order = schema.order if schema.order in self.columns else ""

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield number and text of each valid line below the header."""
        out_of_order = (
            self._out_of_order() if self._order and self._may_be_disordered() else ()
        )
        self.broken = [] if self._header_is_valid else [1]
        for number, line in self._valid_lines():
            if number in out_of_order:
                self.broken.append(number)
            else:
                yield number, line

    def numbered(self, *names: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield the number of each valid line and its cells in the columns `names`.

        A column that the table lacks reads as empty.
        """
        places = [
            self.columns.index(name) if name in self.columns else -1 for name in names
        ]
        if len(places) > 1 and -1 not in places:
            chosen = itemgetter(*places)
            for number, line in self.lines():
                yield number, chosen(cells_of(line))
            return
        for number, line in self.lines():
            cells = [*cells_of(line), ""]
            yield number, tuple([cells[place] for place in places])

    def select(self, *names: str) -> Iterator[tuple[str, ...]]:
        """Yield the cells of each valid line in the columns `names`, in their order."""
        for _, cells in self.numbered(*names):
            yield cells

    def rows_with(self, word: bytes) -> Iterator[dict[str, str]]:
        """Yield the valid rows whose line contains a word; other lines are not parsed."""
        empty = dict.fromkeys(self.schema.fixed, "")
        for _, raw in self._numbered():
            line = _decoded(raw) if word in raw else None
            if line is not None and self._is_valid(line):
                yield {**empty, **dict(zip(self.columns, cells_of(line), strict=True))}

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield the cells of each valid line by column; columns it lacks are empty."""
        empty = dict.fromkeys(self.schema.fixed, "")
        for _, line in self.lines():
            yield {**empty, **dict(zip(self.columns, cells_of(line), strict=True))}

    def frame(self, **options: Any) -> "DataFrame":
        """Return the valid lines as pandas reads them, text columns as text.

        `options` are those of `pandas.read_csv`.
        """
        texts = [
            name for name, column in self.schema.fixed.items() if column.type is TEXT
        ]
        # A column of texts that look like numbers must stay text.
        dtype = dict.fromkeys((n for n in texts if n in self.columns), "string")
        options["dtype"] = {**dtype, **options.get("dtype", {})}

        # Nearly all tables are whole: check them fast, and let pandas read the file itself.
        if self._has_no_broken_lines():
            with open_regular(self.path) as file:
                found = _read_chunks(self.columns, self._ended(file), **options)
            if self._is_ordered(found):
                return found
        return as_frame(self.columns, (line for _, line in self.lines()), **options)

    def _has_no_broken_lines(self) -> bool:
        """Return whether all ended lines below the header are valid; False: one may not be.

        Reads what `lines` does, in less than half the time.
        """
        if not (self._header_is_valid and self.path.is_file()) or self.schema is EVENTS:
            return False

        # The pattern of the usual notation first: the full one of a float is much
        # slower.
        pattern = self._pattern.pattern.replace(FLOAT64.pattern, _USUAL_FLOAT)
        is_usual, is_valid = re.compile(pattern).fullmatch, self._pattern.fullmatch
        with open_regular(self.path) as file:
            end = len(file.readline())
            while raw := file.readlines(_CHUNK):
                # The last line of a run that is being recorded may be half written.
                if not raw[-1].endswith(b"\n"):
                    raw.pop()
                try:
                    text = b"".join(raw).decode("utf-8")
                except UnicodeDecodeError:
                    return False
                lines = text.split("\n")
                lines.pop()
                valid = all(is_usual(line) or is_valid(line) for line in lines)
                if "\r" in text or not valid:
                    return False
                end += sum(map(len, raw))
        self.broken, self.end = [], end
        return True

    def _ended(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield the lines below the header up to `end`, some at a time."""
        left = self.end - len(file.readline())
        while left and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk

    def _is_ordered(self, frame: "DataFrame") -> bool:
        """Return whether the rows of a table without broken lines are in order."""
        if not self._order:
            return True
        column = frame[self._order].dropna()
        if column.dtype not in ("int64", "Int64"):
            return False
        steps = np.diff(column.to_numpy(np.int64), prepend=-1)
        is_numbered = self.schema.numbered
        return bool((steps == 1).all() if is_numbered else (steps >= 0).all())

    def warning(self) -> str:
        """Read all; return the sentence about broken lines, empty when there are none."""
        for _ in self.lines():
            pass
        return self.warning_of_read()

    def warning_of_read(self) -> str:
        """Return the same after the table was read, without reading it again."""
        if not self.path.exists():
            return f"{self.path.name} is missing"
        if not self.broken:
            return ""
        count, first = len(self.broken), self.broken[0]
        if count == 1:
            return f"{self.path.name}: 1 line is broken and skipped (line {first})"
        return (
            f"{self.path.name}: {count} lines are broken and skipped "
            f"(the first is line {first})"
        )

    def _numbered(self) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of each ended line below the header, and count `end`."""
        self.end = 0
        if not self.path.is_file():
            return
        with open_regular(self.path) as file:
            read = 0
            for number, raw in enumerate(file, 1):
                if not raw.endswith(b"\n"):
                    return
                if number > 1:
                    self.end = read
                    yield number, raw
                read += len(raw)
                if number == 1:
                    self.end = read

    def _valid_lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines whose cells are right."""
        for number, raw in self._numbered():
            line = _decoded(raw)
            if line is None or not self._is_valid(line):
                self.broken.append(number)
                continue
            self.end += len(raw)
            yield number, line

    def _may_be_disordered(self) -> bool:
        """Return, at little cost, whether a line may be out of order."""
        last, place = -1, self.columns.index(self._order)
        for _, raw in self._numbered():
            cells = raw.split(b",", place + 1)
            cell = cells[place] if place < len(cells) else b""
            if cell.isdigit():
                before, last = last, int(cell)
                if last < before or (self.schema.numbered and last != before + 1):
                    return True
            elif cell:
                return True
        return False

    def _out_of_order(self) -> set[int]:
        """Return the numbers of the lines that do not fit between the others.

        In a numbered table, no two rows have the same frame.
        """
        is_numbered = self.schema.numbered
        place, frame = self.columns.index(self._order), self.columns.index("frame")
        found = [
            (number, int(cells[place]), int(cells[frame]))
            for number, line in self._valid_lines()
            if (cells := line.split(",", max(place, frame) + 1))[place]
        ]

        # The longest increasing sequence drops as few lines as possible.
        kept = _rising([value for _, value, _ in found], strict=is_numbered)

        # The device's count grows at least as fast as the rows; a row that is further
        # ahead than the count is of another file or damaged.
        if is_numbered:
            last: tuple[int, int] | None = None
            for at in sorted(kept):
                _, row, index = found[at]
                if last and row - last[0] > max(1, index - last[1]):
                    kept.remove(at)
                else:
                    last = row, index
        return {number for at, (number, _, _) in enumerate(found) if at not in kept}

    def _is_valid(self, line: str) -> bool:
        if not self._pattern.fullmatch(line):
            return False
        if self.schema is not EVENTS or "kind" not in self.columns:
            return True
        return _is_event(dict(zip(self.columns, cells_of(line), strict=True)))

    def _header(self, expected: Sequence[str]) -> tuple[tuple[str, ...], bool]:
        """Return the columns, and whether the file's own header is used."""
        try:
            with open_regular(self.path) as file:
                raw, *following = islice(file, 1 + _SAMPLE)
        except (OSError, ValueError):
            return tuple(expected), True
        text = (
            raw.decode("utf-8-sig", errors="replace").rstrip("\r\n").replace("\0", "")
        )

        # The header is trusted if most lines have as many cells as it.
        found = current_names(cells_of(text))
        lines = [
            line
            for line_bytes in following
            if (line := _decoded(line_bytes)) is not None
        ]
        counts = Counter(len(cells_of(line)) for line in lines)
        count = counts.most_common(1)[0][0] if counts else len(found)
        if len(found) == len(set(found)) == count and self._fits(found, expected):
            return found, True

        # Else the columns are the expected ones; more of them keep their names, made unique.
        rest = max(0, count - len(expected))
        others = list(found[-rest:]) if rest else []
        others = [*(f"column_{n}" for n in range(rest - len(others))), *others]
        others = [
            name if name and others.index(name) == at else f"{name}_{at}"
            for at, name in enumerate(others)
        ]
        return (*expected, *others)[:count], False

    def _fits(self, found: Sequence[str], expected: Sequence[str]) -> bool:
        """Return whether a header is one of this kind of table."""
        if self.schema is MOMENTS:
            return {*expected} <= {*found}
        if self.schema is not CAMERA:
            return set(found) <= {*expected}
        if not {*(column.name for column in FRAME_COLUMNS), "status"} <= {*found}:
            return False
        is_exact = tuple(found[: len(expected)]) == tuple(expected)
        return is_exact or points_end(found) != points_end(expected)


def read_events(path: Path) -> list[dict[str, str]]:
    """Return the rows of `events.csv` by column."""
    return list(events_table(path).rows())


def events_table(path: Path) -> RecordedTable:
    """Return `events.csv`."""
    return RecordedTable(path, EVENTS)


def is_experiment_boundary(kind: str, name: str, text: str) -> bool:
    """Return whether an event is the start or the end of an experiment.

    The text is `started`, or how it ended; a start that was refused is not a boundary.
    """
    return (kind, name) == ("note", "experiment") and not text.startswith("not started")


def experiment_boundaries(path: Path) -> list[tuple[float, str]]:
    """Return time (s since Start Stream) and text of each experiment boundary, in order.

    A file that can't be read has none.
    """
    try:
        rows = list(events_table(path).rows_with(b"experiment"))
    except OSError:
        return []
    return [
        (float(row["time_s"]), row["text"])
        for row in rows
        if is_experiment_boundary(row["kind"], row["name"], row["text"])
    ]


def triggers_table(path: Path) -> RecordedTable:
    """Return `triggers.csv`."""
    return RecordedTable(path, TRIGGERS)


def queue_table(path: Path) -> RecordedTable:
    """Return `queue/frames.csv`."""
    return RecordedTable(path, QUEUE)


def pulses_table(path: Path) -> RecordedTable:
    """Return `pulses.csv`."""
    return RecordedTable(path, PULSES)


def moments_table(path: Path) -> RecordedTable:
    """Return `space.moments.csv`."""
    return RecordedTable(path, MOMENTS)


def matches_table(path: Path) -> RecordedTable:
    """Return `CAMERA.pulses.csv`."""
    return RecordedTable(path, MATCHES)


def camera_table(path: Path, skeleton: Skeleton | None) -> RecordedTable:
    """Return `CAMERA.csv`: rows of skipped frames have no points."""
    return RecordedTable(path, CAMERA, keypoint_columns(skeleton) if skeleton else ())


def video_table(path: Path) -> RecordedTable:
    """Return `CAMERA.frames.csv`."""
    return RecordedTable(path, VIDEO)


def table_warnings(tables: Iterable[RecordedTable]) -> list[str]:
    """Return a sentence for each table with broken lines."""
    return [warning for table in tables if (warning := table.warning())]


def as_frame(
    columns: Sequence[str], lines: Iterable[str], **options: Any
) -> "DataFrame":
    """Return lines as pandas reads them; `options` are those of `pandas.read_csv`."""
    return _read_chunks(columns, (f"{line}\n".encode() for line in lines), **options)


def _read_chunks(
    columns: Sequence[str], chunks: Iterable[bytes], **options: Any
) -> "DataFrame":
    import pandas as pd

    header = StringIO()
    csv.writer(header, lineterminator="\n").writerow(columns)
    stream = _Chunks(chain([header.getvalue().encode()], chunks))
    return pd.read_csv(BufferedReader(stream), **options)


class _Chunks(RawIOBase):
    """Bytes that an iterator yields, read as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            if (chunk := next(self._chunks, None)) is None:
                return 0
            self._left = memoryview(chunk)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8").rstrip("\r\n") if raw.endswith(b"\n") else None
    except UnicodeDecodeError:
        return None


def cells_of(line: str) -> list[str]:
    """Return the cells of a line; none when its quotes are broken."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line]), [""])
    except csv.Error:
        return []


def _is_event(row: Mapping[str, str]) -> bool:
    """Return whether a row of `events.csv` has the cells that its kind needs."""
    needed = {
        "edge": ("level",),
        "command": ("exposed_ns", "level"),
        "mark": ("exposed_ns",),
    }.get(row["kind"], ("kind",))
    if row["kind"] == "command" and not is_command(row.get("text", "")):
        return False
    return all(row.get(name) for name in ("time_s", *needed))


def _rising(numbers: Sequence[int], strict: bool = True) -> set[int]:
    """Return the places of the longest rising part of a sequence, from 0 on.

    >>> sorted(_rising([0, 1, 905, 2, 2, 3]))
    [0, 1, 4, 5]
    """
    find = bisect_left if strict else bisect_right
    tails: list[int] = []
    places: list[int] = []
    before: list[int] = []
    for at, number in enumerate(numbers):
        rank = find(tails, number)
        before.append(places[rank - 1] if rank else -1)
        if number < 0:
            continue
        tails[rank : rank + 1] = [number]
        places[rank : rank + 1] = [at]
    kept, at = set(), places[-1] if places else -1
    while at >= 0:
        kept.add(at)
        at = before[at]
    return kept
