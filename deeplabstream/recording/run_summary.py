"""Run summary: animal, start, duration and outcome of a run without its tables, and notes.

`notes.json` in a run folder holds what a user writes about the run later: notes, tags, and
why the run is excluded from results. The recorded files never change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from deeplabstream.core.errors import DeviceError
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.files.foreign_files import open_regular, read_json
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.recording.run_schema import VIDEO_ENDED
from deeplabstream.recording.table_reader import experiment_boundaries

NOTES = "notes.json"
UNREADABLE = "run.json can't be read"
NOT_ENDED = "not ended"
_REGULAR = ("stopped", "ended", "finished", "end of the video")
"""Ends of a run that was not broken off."""
_WITH_RUN = ("stopped", VIDEO_ENDED, "the video is over")
"""Ends of an experiment that ended with its run; the last one is of earlier versions."""
_STARTED = "started"
_TAIL = 20_000
"""Bytes that hold the last row of a table."""


@dataclass(frozen=True)
class RunNotes:
    """Notes of a user about a run."""

    notes: str | None = None
    """None: there are no notes."""
    tags: tuple[str, ...] = ()
    excluded: str = ""
    """Why the run is excluded from results; empty: it is not."""


@dataclass(frozen=True)
class RunSummary:
    """One run in a list."""

    path: Path
    started: datetime | None
    """None: not known."""
    animal: str
    group: str
    experiment: str
    duration_s: float | None
    """Duration of the experiment; without one, of the run.

    None: not known, or the run has not ended.
    """
    outcome: str
    """How the experiment ended; without one, how the run ended."""
    notes: str
    tags: tuple[str, ...]
    cameras: tuple[str, ...]
    repaired: tuple[str, ...]
    """Repairs, one sentence each."""
    excluded: str
    """Why the run is excluded from results; empty: it is not."""

    @property
    def newest(self) -> float:
        """Return a key that sorts by time; a run of unknown time is the oldest."""
        return self.started.timestamp() if self.started else 0.0


def summarise(path: Path) -> RunSummary:
    """Return the summary of a run from `run.json` and `notes.json`; damaged files are ignored."""
    read = _read(path / "run.json")
    facts = validate_facts(read)[0]
    session, experiment = _table(facts, "session"), _table(facts, "experiment")
    written = read_notes(path)
    ended = facts["how"] is not None
    boundaries = experiment_boundaries(RunFolder(path).events_path) if ended else []
    outcome = _outcome(facts["how"] or NOT_ENDED, boundaries)
    if facts.get("rehearsal"):
        outcome = f"simulation, {outcome}"
    return RunSummary(
        path,
        _time(facts["started"]),
        str(session.get("animal", "")),
        str(session.get("group", "")),
        str(experiment.get("NAME") or ""),
        _experiment_duration(boundaries) or _duration(path, facts),
        outcome if read else UNREADABLE,
        str(session.get("notes", "")) if written.notes is None else written.notes,
        written.tags,
        tuple(facts["cameras"]),
        tuple(facts.get("repaired", ())),
        written.excluded,
    )


def read_notes(path: Path) -> RunNotes:
    """Return the notes of a user about a run; a damaged file is ignored."""
    content = _read(path / NOTES)
    notes, tags = content.get("notes"), content.get("tags", [])
    excluded = content.get("excluded", "")
    good = isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
    return RunNotes(
        notes if isinstance(notes, str) else None,
        tuple(tags if good else ()),
        excluded if isinstance(excluded, str) else "",
    )


def change_notes(
    path: Path,
    *,
    notes: str | None = None,
    tags: Sequence[str] | None = None,
    excluded: str | None = None,
    patience_s: float | None = None,
) -> None:
    """Change what a user has written about a run; None: it stays as the file has it.

    Nothing is lost when several programs write. DeviceError: the file is damaged, another
    program keeps it for `patience_s` (see `exclusive`), or it can't be written.
    """
    if not (path / "run.json").is_file():
        raise DeviceError(f"{path} is not a run folder any more: refresh the list")

    # Read and write under one lock: another program may change other fields meanwhile.
    file = path / NOTES
    with exclusive(file, patience_s):
        try:
            known = read_json(file) if file.exists() else {}
            content = {"tags": [], **known}
        except (OSError, ValueError, TypeError) as error:
            raise DeviceError(
                f"{file} can't be read: {error}; correct it, or delete it with its notes"
            ) from error

        if notes is not None:
            content["notes"] = notes
        if tags is not None:
            content["tags"] = list(dict.fromkeys(tags))
        if excluded is not None:
            content["excluded"] = excluded
        if not content.get("excluded"):
            content.pop("excluded", None)
        write_json(file, content)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = read_json(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _table(facts: dict[str, Any], name: str) -> dict[str, Any]:
    found = facts.get(name)
    return found if isinstance(found, dict) else {}


def _time(word: str | None) -> datetime | None:
    """Return a time of `run.json` in local time; None: it is missing or impossible."""
    try:
        return datetime.fromisoformat(word).astimezone() if word else None
    except (ValueError, OverflowError, OSError):  # for example a date in year 1
        return None


def _outcome(how: str, boundaries: Sequence[tuple[float, str]]) -> str:
    """Return how the last experiment ended, and how the run did if it was broken off."""
    text = boundaries[-1][1] if boundaries else _STARTED
    if text in (_STARTED, *_WITH_RUN):
        return how
    return text if how in _REGULAR else f"{text}; recording {how}"


def _experiment_duration(boundaries: Sequence[tuple[float, str]]) -> float | None:
    """Return the seconds from the first start to the last end; None: there is no such end."""
    starts = [time_s for time_s, text in boundaries if text == _STARTED]
    if not starts or boundaries[-1][1] == _STARTED:
        return None
    return boundaries[-1][0] - min(starts)


def _duration(path: Path, facts: dict[str, Any]) -> float | None:
    """Return the seconds of a run; of a simulation, the time of its last frame."""
    if facts.get("rehearsal"):
        times = [
            _last_time(RunFolder(path).table_path(name)) for name in facts["cameras"]
        ]
        return max((time_s for time_s in times if time_s is not None), default=None)
    started, ended = _time(facts["started"]), _time(facts["ended"])
    return (ended - started).total_seconds() if started and ended else None


def _last_time(table: Path) -> float | None:
    """Return `time_s` of the last row of a camera's table, without reading the others."""
    try:
        with open_regular(table) as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            rows = file.read().decode("utf-8", "replace").splitlines()
        return float(rows[-1].split(",")[1])
    except (OSError, ValueError, IndexError):
        return None
