"""The one reader of a run's tables: lines that are broken are skipped, counted and told.

A line is whole when it ends, is text, has as many cells as the header, and each cell holds
what its column holds. A last line without its end (the power went) is left out silently.
"""

import csv
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeplabstream.core.pose import Skeleton, part_names
from deeplabstream.recording.csv_tables import (
    EVENT_COLUMNS,
    FRAME_COLUMNS,
    STATUS_COLUMNS,
    TRIGGER_COLUMNS,
    VIDEO_COLUMNS,
)

if TYPE_CHECKING:
    from pandas import DataFrame

_INT = r"-?[0-8]?\d{1,18}"
_DECIMAL = r"-?\d{1,12}(?:\.\d{0,20})?(?:e[-+]?\d\d?)?"
_NUMBER = rf"(?:{_DECIMAL}|nan|-?inf)"
_TEXT = r'(?:[^",\r\n\0]*|"(?:[^"\r\n\0]|"")*")'
_COLUMNS = {
    "time_s": _DECIMAL,
    "level": rf"(?:{_DECIMAL})?",
    "answer": "(?:0|1|unknown)",
    "analysed": "1",
    **dict.fromkeys(("lost", "too_old"), "[01]?"),
    **dict.fromkeys(("video_frame", "frame", "exposed_ns", "arrived_ns"), _INT),
    **dict.fromkeys(("posed_ns", "decided_ns"), _INT),
    **dict.fromkeys(("written_ns", "device_id"), f"(?:{_INT})?"),
}
"""What a cell of a column holds, as a regular expression."""
_POINT = re.compile(".*_(x|y|confidence)")
_COMMAND = re.compile(rf"set|pulse {_DECIMAL}|train {_DECIMAL} {_DECIMAL} \d{{1,9}}")
_LOOKED_AT = 20
"""Lines that tell how many cells a table has whose header is broken."""


class RunTable:
    """A table of a run, read line by line; a file that is missing has no lines.

    `expected` are the columns that it must have, in their order; where the header is broken
    they replace what stands there. `free`: others follow them. `order` names the column
    that rises from line to line.
    """

    def __init__(
        self,
        path: Path,
        expected: Sequence[str] = (),
        free: bool = False,
        order: str = "",
    ) -> None:
        self.path = path
        self.broken: list[int] = []
        """Numbers of the lines that were skipped, the header's is 1; complete at the end."""
        self.end = 0
        """Bytes up to the end of the last whole line that was read."""
        self.columns, self._header_is_whole = self._header(expected, free)
        exact = self.columns[: len(expected)] == tuple(expected)
        sure = len(expected) if exact or not free else len(FRAME_COLUMNS)
        self._whole = _pattern(self.columns, sure)
        self._order = order if order in self.columns else ""

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield number and text of each whole line below the header."""
        out_of_order = (
            self._out_of_order() if self._order and self._disordered() else ()
        )
        self.broken = [] if self._header_is_whole else [1]
        for number, line in self._whole_lines():
            if number in out_of_order:
                self.broken.append(number)
            else:
                yield number, line

    def __iter__(self) -> Iterator[list[str]]:
        """Yield the cells of each whole line below the header."""
        for _, line in self.lines():
            yield _cells(line)

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield the whole lines by column."""
        for cells in self:
            yield dict(zip(self.columns, cells, strict=True))

    def frame(self, **options: Any) -> "DataFrame":
        """Return the whole lines as pandas reads them."""
        return framed(self.columns, (line for _, line in self.lines()), **options)

    def warning(self) -> str:
        """Read all; return the sentence about broken lines, empty when there are none."""
        if not self.path.exists():
            return f"{self.path.name} is missing"
        for _ in self.lines():
            pass
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
        with self.path.open("rb") as file:
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

    def _whole_lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines whose cells are right."""
        for number, raw in self._numbered():
            line = _decoded(raw)
            if line is None or not self._is_whole(line):
                self.broken.append(number)
                continue
            self.end += len(raw)
            yield number, line

    def _disordered(self) -> bool:
        """Return, at little cost, whether a line may be out of order."""
        last, place = -1, self.columns.index(self._order)
        for _, raw in self._numbered():
            cells = raw.split(b",", place + 1)
            cell = cells[place] if place < len(cells) else b""
            if cell.isdigit():
                before, last = last, int(cell)
                if last < before or (place == 0 and last != before + 1):
                    return True
            elif cell:
                return True
        return False

    def _out_of_order(self) -> set[int]:
        """Return the numbers of the lines that don't fit between the others.

        Of pictures each has a frame of its own.
        """
        place = self.columns.index(self._order)
        found = []
        for number, line in self._whole_lines():
            cells = line.split(",", place + 2)
            if cells[place]:
                found.append((number, int(cells[place]), cells))
        kept = _rising([value for _, value, _ in found], strict=place == 0)
        if place == 0:
            last: tuple[int, int] | None = None
            for at in sorted(kept):
                picture, frame = found[at][1], int(found[at][2][1])
                if last and picture - last[0] > max(1, frame - last[1]):
                    kept.remove(at)
                else:
                    last = picture, frame
        return {number for at, (number, _, _) in enumerate(found) if at not in kept}

    def _is_whole(self, line: str) -> bool:
        if not self._whole.fullmatch(line):
            return False
        if "kind" not in self.columns:
            return True
        return _event_is_whole(dict(zip(self.columns, _cells(line), strict=True)))

    def _header(
        self, expected: Sequence[str], free: bool
    ) -> tuple[tuple[str, ...], bool]:
        """Return the columns, and whether the header has them."""
        try:
            with self.path.open("rb") as file:
                raw, *following = islice(file, 1 + _LOOKED_AT)
        except (OSError, ValueError):
            return tuple(expected), True
        text = (
            raw.decode("utf-8-sig", errors="replace").rstrip("\r\n").replace("\0", "")
        )
        found = _cells(text)
        lines = [line for each in following if (line := _decoded(each)) is not None]
        counts = Counter(len(_cells(line)) for line in lines)
        count = counts.most_common(1)[0][0] if counts else len(found)
        if len(found) == count and len(set(found)) == count:
            if not free and set(found) <= {*expected}:
                return tuple(found), True
            if free and {*FRAME_COLUMNS, "status"} <= {*found}:
                ours = tuple(expected)
                if tuple(found[: len(ours)]) == ours or _points(found) != _points(ours):
                    return tuple(found), True
        rest = max(0, count - len(expected))
        others = found[-rest:] if rest else []
        others = [*(f"column_{n}" for n in range(rest - len(others))), *others]
        others = [
            name if name and others.index(name) == at else f"{name}_{at}"
            for at, name in enumerate(others)
        ]
        return (*expected, *others)[:count], False


def read_events(path: Path) -> list[dict[str, str]]:
    """Return the rows of the events by column."""
    empty = dict.fromkeys(EVENT_COLUMNS, "")
    return [{**empty, **row} for row in events_table(path).rows()]


def events_table(path: Path) -> RunTable:
    """Return `events.csv`."""
    return RunTable(path, EVENT_COLUMNS)


def triggers_table(path: Path) -> RunTable:
    """Return `triggers.csv`."""
    return RunTable(path, TRIGGER_COLUMNS)


def camera_table(path: Path, skeleton: Skeleton | None) -> RunTable:
    """Return `CAMERA.csv`: skipped frames have no points."""
    points: list[str] = []
    if skeleton is not None:
        names = part_names(skeleton, skeleton.count)
        points = [f"{n}_{what}" for n in names for what in ("x", "y", "confidence")]
    return RunTable(path, (*FRAME_COLUMNS, *points), free=True, order="posed_ns")


def pictures_table(path: Path) -> RunTable:
    """Return `CAMERA.frames.csv`; its rows are read by `picture_rows`."""
    return RunTable(path, VIDEO_COLUMNS, order="video_frame")


def picture_rows(table: RunTable) -> dict[int, tuple[int, str]]:
    """Return number and text of the whole lines of `CAMERA.frames.csv`, by picture."""
    return {
        int(line.partition(",")[0]): (number, line) for number, line in table.lines()
    }


def bodyparts_of(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the points in a header of `CAMERA.csv`; empty when unclear."""
    first = len(FRAME_COLUMNS)
    points = columns[first : first + _points(columns)]
    names = tuple(name.removesuffix("_x") for name in points[::3])
    wanted = [f"{name}_{what}" for name in names for what in ("x", "y", "confidence")]
    return names if wanted == list(points) else ()


def table_warnings(tables: Iterable[RunTable]) -> list[str]:
    """Return a sentence for each table with broken lines."""
    return [warning for table in tables if (warning := table.warning())]


def framed(columns: Sequence[str], lines: Iterable[str], **options: Any) -> "DataFrame":
    """Return lines as pandas reads them."""
    import pandas as pd

    header = StringIO()
    csv.writer(header, lineterminator="\n").writerow(columns)
    text = header.getvalue() + "".join(f"{line}\n" for line in lines)
    return pd.read_csv(StringIO(text), **options)


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8").rstrip("\r\n") if raw.endswith(b"\n") else None
    except UnicodeDecodeError:
        return None


def _cells(line: str) -> list[str]:
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line]), [""])
    except csv.Error:
        return []


def _pattern(columns: Sequence[str], sure: int) -> re.Pattern[str]:
    """Return what a whole line looks like; rows of frames that were skipped have no points.

    Of columns from `sure` on only the name tells what they are.
    """
    if "kind" in columns:  # most cells of an event are empty
        cells = [f"(?:{_kind(name)})?" for name in columns]
        return re.compile(",".join(cells))
    kinds = [_kind(name, at < sure) for at, name in enumerate(columns)]
    analysed = ",".join(kinds)
    if "analysed" not in columns:
        return re.compile(analysed)
    first = {*FRAME_COLUMNS[:4]}
    skipped = [_kind(name) if name in first else "" for name in columns]
    skipped[columns.index("analysed")] = "0"
    return re.compile(f"(?:{analysed}|{','.join(skipped)})")


def _kind(name: str, sure: bool = False) -> str:
    """Return what a cell of a column looks like."""
    if name in _COLUMNS:
        return _COLUMNS[name]
    if name.endswith("_ns"):
        return f"(?:{_INT})?"
    if sure and _POINT.fullmatch(name):
        return _NUMBER
    if name.startswith("trigger_") and not _POINT.fullmatch(name):
        return "[01]?"
    if _POINT.fullmatch(name) or name.startswith(("behaviour_", "input_")):
        return f"(?:{_NUMBER})?"
    return _TEXT


def _event_is_whole(row: Mapping[str, str]) -> bool:
    match row.get("kind"):
        case "edge":
            needed = row.get("level")
        case "command":
            needed = row.get("exposed_ns") and row.get("level")
            needed = needed and _COMMAND.fullmatch(row.get("text", "")) and "1"
        case "mark":
            needed = row.get("exposed_ns")
        case kind:
            needed = kind
    return bool(needed and row.get("time_s"))


def _points(columns: Sequence[str]) -> int:
    """Return how many columns follow those of the frame, up to the triggers."""
    rest = columns[len(FRAME_COLUMNS) :]
    ends = (
        at
        for at, name in enumerate(rest)
        if name in STATUS_COLUMNS
        or (name.startswith("trigger_") and not _POINT.fullmatch(name))
    )
    return next(ends, len(rest))


def _rising(numbers: Sequence[int], strict: bool = True) -> set[int]:
    """Return the places of the longest rising part of a sequence, from 0 on.

    >>> sorted(_rising([0, 1, 905, 2, 2, 3]))
    [0, 1, 3, 5]
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
