"""Alarm log: each alarm of a rack, and what became of it, in a file beside the rack file."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

MOST_BYTES = 5_000_000
"""Size from which a new file begins; the one before is kept."""
_LONGEST_READ = 1_000_000


def alarm_log(rack: Path) -> Path:
    """Return the file of a rack's alarms."""
    return rack.with_suffix(".boxes") / "alarms.jsonl"


@checked(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class AlarmEvent:
    """What happened to an alarm: it was raised, sent, held, or could not be sent."""

    box: str
    """Name of the box; empty: the rack."""
    alarm: str
    urgent: bool
    event: str
    """Such as `raised`, `delivered to mailto (line 1)`."""
    after_s: float
    """Seconds since the alarm was raised."""

    @property
    def sentence(self) -> str:
        """What the record of a run says about it."""
        return f"alarm {self.event}, {self.after_s:.1f} s after it was raised: {self.alarm}"


_EVENT: TypeAdapter[AlarmEvent] = TypeAdapter(AlarmEvent)


@dataclass
class AlarmLog:
    """Appends events to the file, one JSON object a line."""

    file: Path
    most_bytes: int = MOST_BYTES

    def write(self, event: AlarmEvent) -> None:
        """Append an event with the time of day; OSError: it can't be written."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, **asdict(event)}, ensure_ascii=False)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if self.file.exists() and self.file.stat().st_size >= self.most_bytes:
            self.file.replace(_file_before(self.file))
        with self.file.open("a", encoding="utf-8", newline="\n") as log:
            log.write(f"{line}\n")


class AlarmLogReader:
    """Reads what is appended to the file after the reader was made."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._position = self._size() or 0

    def _size(self) -> int | None:
        try:
            return self._file.stat().st_size
        except OSError:
            return None

    def read(self) -> Iterator[AlarmEvent]:
        """Yield the new events; lines that can't be read are left out."""
        size = self._size()
        if size is None or size == self._position:
            return
        if size < self._position:  # a new file has begun
            yield from self._read_rest(_file_before(self._file))
            self._position = 0
        yield from self._read_rest(self._file)

    def _read_rest(self, file: Path) -> Iterator[AlarmEvent]:
        try:
            with file.open("rb") as log:
                log.seek(self._position)
                data = log.read(_LONGEST_READ)
        except OSError:
            return
        complete, end, _ = data.rpartition(b"\n")
        self._position += len(complete) + len(end)
        for line in complete.splitlines():
            try:
                yield _EVENT.validate_json(line)
            except ValidationError:
                continue


def _file_before(file: Path) -> Path:
    """Return the file of the events before those of a log."""
    return file.with_stem(f"{file.stem} before")
