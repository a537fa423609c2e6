"""Run catalogue: an index of all run folders in a folder, for lists of thousands of runs.

The index `runs.sqlite` is beside the run folders. It holds nothing that they do not hold,
and each use brings it up to date: a run is read again when its `run.json` or `notes.json`
has changed. A missing or damaged index is built again. Where none can be written, it is kept
in memory.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from deeplabstream.files.foreign_files import parse_json
from deeplabstream.recording.run_summary import (
    NOT_ENDED,
    NOTES,
    UNREADABLE,
    RunSummary,
    summarise,
)

INDEX = "runs.sqlite"
_VERSION = 3
"""Version of the table below; an index of another version is rebuilt."""
_BUSY_S = 5.0
"""Longest wait for another program that writes the index."""
_NEW_S = 60.0
"""Age below which a file may change again without a new modification time."""
_LISTS = ("tags", "cameras", "repaired")
_SUMMARY = [field.name for field in fields(RunSummary)]
_TABLE = f"""CREATE TABLE runs (
    stamp TEXT NOT NULL, newest REAL NOT NULL,
    {", ".join(f'"{name}"' for name in _SUMMARY)}, PRIMARY KEY ("path"))"""


@dataclass(frozen=True, kw_only=True)
class RunQuery:
    """Conditions for runs of a catalogue; empty conditions are ignored.

    Attributes
    ----------
    animal : str
        Exactly this name, in any case.
    group : str
        Exactly this name, in any case.
    experiment : str
        Exactly this name, in any case.
    tags : sequence of str
        Runs that have all of these tags.
    outcome : str
        Exactly this outcome, in any case.
    first : datetime.date, optional
        Runs that started on this day or later, in local time.
    last : datetime.date, optional
        Runs that started on this day or earlier.
    text : str
        Runs with all of these words in any of: animal, group, experiment, outcome,
        notes, tags, day, name of the folder.
    excluded : bool
        Whether runs that are excluded from results are among them.
    """

    animal: str = ""
    group: str = ""
    experiment: str = ""
    tags: Sequence[str] = ()
    outcome: str = ""
    first: date | None = None
    last: date | None = None
    text: str = ""
    excluded: bool = True


class RunCatalogue:
    """The runs in one folder.

    Attributes
    ----------
    folder : pathlib.Path
        The folder that contains the run folders.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._memory: sqlite3.Connection | None = None

    def runs(
        self, query: RunQuery | None = None, most: int | None = None
    ) -> list[RunSummary]:
        """Return the matching runs, the newest first.

        Parameters
        ----------
        query : RunQuery, optional
            Left out: all runs.
        most : int, optional
            Return no more runs than this.

        Returns
        -------
        list of RunSummary
            Path, start, animal, group, experiment, duration, outcome, notes, tags, cameras,
            repairs and exclusion of each run.
        """
        query = query or RunQuery()
        found: list[RunSummary] = []
        for cells in self._rows():
            if most is not None and len(found) >= most:
                break
            run = self._summary(cells)
            if fits(query, run):
                found.append(run)
        return found

    def _rows(self) -> list[tuple[Any, ...]]:
        """Return the rows of the index, brought up to date; the newest run first."""
        # Twice: a damaged index is deleted and built again. Where that fails, for example in
        # a folder of another user, the index is in memory.
        for _ in range(2):
            if self._memory is not None or not self._is_used():
                break
            try:
                with closing(_opened(self.folder / INDEX)) as index:
                    return self._updated(index)
            except (
                sqlite3.OperationalError
            ):  # it is not writable, or locked for too long
                break
            except sqlite3.DatabaseError:  # damaged
                with suppress(OSError):
                    (self.folder / INDEX).unlink()
        if self._memory is None:
            self._memory = _with_table(sqlite3.connect(":memory:"))
        return self._updated(self._memory)

    def _is_used(self) -> bool:
        """Return whether there is an index, or a run to be listed in it."""
        return (self.folder / INDEX).is_file() or any(self._stamps())

    def _updated(self, index: sqlite3.Connection) -> list[tuple[Any, ...]]:
        """Return the rows after `_update`."""
        self._update(index)
        columns = ", ".join(f'"{name}"' for name in _SUMMARY)
        return index.execute(
            f"SELECT {columns} FROM runs ORDER BY newest DESC, path DESC"
        ).fetchall()

    def _update(self, index: sqlite3.Connection) -> None:
        """Read new and changed runs; remove deleted ones."""
        known = dict(index.execute("SELECT path, stamp FROM runs"))
        stamps = dict(self._stamps())
        changed = [name for name in stamps if stamps[name] != known.get(name)]

        # One transaction: several programs may update the index at the same time.
        with index:
            gone = [(name,) for name in known if name not in stamps]
            index.executemany("DELETE FROM runs WHERE path = ?", gone)
            marks = ", ".join("?" * (2 + len(_SUMMARY)))
            index.executemany(
                f"INSERT OR REPLACE INTO runs VALUES ({marks})",
                (self._row(name, stamps[name]) for name in changed),
            )

    def _stamps(self) -> Iterator[tuple[str, str]]:
        """Yield name and state of each run folder."""
        try:
            with os.scandir(self.folder) as entries:
                names = [entry.name for entry in entries if entry.is_dir()]
        except OSError:  # there is no such folder
            return
        for name in names:
            run = _stamp(self.folder / name / "run.json")
            if run:
                yield name, f"{run} {_stamp(self.folder / name / NOTES)}"

    def _row(self, name: str, stamp: str) -> tuple[object, ...]:
        run = summarise(self.folder / name)
        cells: dict[str, object] = dict(zip(_SUMMARY, astuple(run), strict=True))
        cells |= {"path": name, "started": run.started and run.started.isoformat()}
        cells |= {field: json.dumps(getattr(run, field)) for field in _LISTS}
        if run.outcome in (NOT_ENDED, UNREADABLE):
            stamp = ""  # its tables may change later, without a change of run.json
        return stamp, run.newest, *cells.values()

    def _summary(self, cells: Sequence[object]) -> RunSummary:
        values: dict[str, Any] = dict(zip(_SUMMARY, cells, strict=True))
        values["path"] = self.folder / values["path"]
        if values["started"]:
            values["started"] = datetime.fromisoformat(values["started"])
        for name in _LISTS:
            values[name] = tuple(parse_json(values[name]))
        return RunSummary(**values)


def list_runs(folder: Path, most: int) -> list[RunSummary]:
    """Return the runs in a folder, the newest first."""
    return RunCatalogue(folder).runs(most=most)


def fits(query: RunQuery, run: RunSummary) -> bool:
    """Return whether a run is wanted."""
    day = f"{run.started:%Y-%m-%d}" if run.started else ""
    for name in ("animal", "group", "experiment", "outcome"):
        word = getattr(query, name).casefold()
        if word and word != getattr(run, name).casefold():
            return False
    if query.tags:
        tags = {tag.casefold() for tag in run.tags}
        if any(tag.casefold() not in tags for tag in query.tags):
            return False
    if query.text:
        texts = (
            *(run.animal, run.group, run.experiment, run.outcome, run.notes),
            *(*run.tags, run.excluded, day, run.path.name),
        )
        text = " ".join(texts).casefold()
        if any(word not in text for word in query.text.casefold().split()):
            return False
    return (
        (query.first is None or day >= query.first.isoformat())
        and (query.last is None or (bool(day) and day <= query.last.isoformat()))
        and (query.excluded or not run.excluded)
    )


def _opened(path: Path) -> sqlite3.Connection:
    """Open an index; one of another version is built again."""
    if not path.parent.is_dir():
        raise sqlite3.OperationalError(f"no folder {path.parent}")
    index = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        return index if _version(index) == _VERSION else _with_table(index)
    except sqlite3.Error:
        index.close()
        raise


def _with_table(index: sqlite3.Connection) -> sqlite3.Connection:
    """Make the table, unless another program has made it meanwhile."""
    with index:
        index.execute("BEGIN IMMEDIATE")
        if _version(index) != _VERSION:
            index.execute("DROP TABLE IF EXISTS runs")
            index.execute(_TABLE)
            index.execute(f"PRAGMA user_version = {_VERSION}")
    return index


def _version(index: sqlite3.Connection) -> int:
    (version,) = index.execute("PRAGMA user_version").fetchone()
    return int(version)


def _stamp(file: Path) -> str:
    """Return size and time of a file, and its number if it is new; empty: it does not exist.

    Two files that replace each other within a tick of the file system's clock have the
    same time, not the same number. A copy has another number, and on some file systems
    (exFAT, FAT, SSHFS) the number changes by itself: it can't show changes of an older
    file.
    """
    try:
        facts = file.stat()
    except OSError:
        return ""
    is_new = datetime.now(UTC).timestamp() - facts.st_mtime < _NEW_S
    number = f":{facts.st_ino}" if is_new else ""
    return f"{facts.st_size}:{facts.st_mtime_ns}{number}"
