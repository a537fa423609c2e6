"""Uptime record: what one run has recorded of its exposures, its end and its restart."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Any

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.foreign_files import read_json
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import stream_start, validate_facts
from deeplabstream.recording.run_schema import current_facts
from deeplabstream.recording.table_reader import camera_table, events_table, video_table
from deeplabstream.settings.ini_reading import read_sections

GAP_S = 1.0
"""Shortest gap; of slow cameras three frames."""
RESTARTED = re.compile(
    r"restarted after a gap of (?P<gap>[\d.]+) s.* because (?P<cause>.*); "
    r"previous run folder: (?P<run>.*)"
)
"""A note `rack` of a box that was restarted."""
INTERRUPTED = re.compile(
    r"(?P<cause>started again after an interruption.*): .*; previous run folder: (?P<run>.*)"
)
"""A note `rack` of a box that was started again, such as after a power cut."""


@dataclass
class CameraExposures:
    """Frames of one camera with a row."""

    rate: float | None
    """Nominal rate, 1/s."""
    rows: int = 0
    first_ns: int = 0
    last_ns: int = 0
    last_frame: int = 0
    lost: int = 0
    """Missing frame numbers, but those of the gaps."""
    gaps: list[tuple[int, int, int]] = field(default_factory=list)
    """Begin and end in ns, missing frame numbers."""
    covered_ns: int = 0
    """Time outside gaps."""
    intervals: int = 0
    """Exposures in that time, but the first."""

    @property
    def limit_s(self) -> float:
        """Shortest gap."""
        return max(GAP_S, 3 / self.rate) if self.rate else GAP_S

    def add(self, frame: int, time_ns: int) -> None:
        """Add a row; rows come in the order of their times."""
        if self.rows and (frame, time_ns) == (self.last_frame, self.last_ns):
            return  # it is in the table of the camera and in that of a video
        if not self.rows:
            self.first_ns = time_ns
        else:
            lost, past_ns = max(frame - self.last_frame - 1, 0), time_ns - self.last_ns
            if self.rate:  # a damaged number must not count as millions of losses
                lost = min(lost, ceil(2 * past_ns / 1e9 * self.rate) + 10)
            if past_ns > self.limit_s * 1e9:
                self.gaps.append((self.last_ns, time_ns, lost))
            else:
                self.lost += lost
                self.covered_ns += past_ns
                self.intervals += 1 + lost
        self.rows += 1
        self.last_frame, self.last_ns = frame, time_ns

    @property
    def measured_rate(self) -> float:
        """Rate of exposures outside gaps, 1/s; else the nominal one; 0: unknown."""
        if self.covered_ns:
            return self.intervals / (self.covered_ns / 1e9)
        return self.rate or 0.0

    @property
    def missing(self) -> int:
        """Exposures without a row between the first and the last one."""
        rate = self.measured_rate
        in_gaps = (
            max(lost, round((end - begin) / 1e9 * rate) - 1)
            for begin, end, lost in self.gaps
        )
        return self.lost + sum(in_gaps)


@dataclass(frozen=True)
class Continuation:
    """That a run goes on for another one."""

    run: str
    """Name of the folder of the run before."""
    cause: str
    gap_s: float | None
    """None: not measured, as after a power cut."""


@dataclass(frozen=True)
class RunRecord:
    """What one run has recorded; times in s since Start Stream."""

    path: Path
    start_ns: int
    """Start Stream on the clock of the frames."""
    started: datetime | None
    how: str | None
    begin_s: float
    """When the run folder was made."""
    cameras: Mapping[str, CameraExposures]
    counted: Mapping[str, int]
    """Losses that the run's account has, by camera."""
    last_event_s: float
    notes: Sequence[tuple[float, str, str]]
    """Time, kind and text."""
    follows: Continuation | None
    restarts: int
    planned_s: float

    @property
    def stream_started(self) -> datetime | None:
        """Date and time of Start Stream; None: unknown."""
        return self.started and self.started - timedelta(seconds=self.begin_s)

    @property
    def seen(self) -> list[CameraExposures]:
        """Cameras with at least one row."""
        return [camera for camera in self.cameras.values() if camera.rows]

    @property
    def first_s(self) -> float:
        """Time of the first row of any camera, s; without one, the begin."""
        firsts = [self.seconds(camera.first_ns) for camera in self.seen]
        return min(firsts, default=self.begin_s)

    @property
    def last_s(self) -> float:
        """Time of the last row of any camera, s; without one, the begin."""
        lasts = [self.seconds(camera.last_ns) for camera in self.seen]
        return max(lasts, default=self.begin_s)

    def seconds(self, time_ns: int) -> float:
        """Return a time of the frames' clock in s since Start Stream."""
        return (time_ns - self.start_ns) / 1e9


def read_run(path: Path) -> RunRecord:
    """Return what a run has recorded; DeepLabStreamError or OSError: it can't be read."""
    folder = RunFolder(path)
    facts = validate_facts(current_facts(dict(read_json(path / "run.json"))))[0]
    cameras = {}
    for name, form in facts["cameras"].items():
        cameras[name] = camera = CameraExposures(form.get("rate"))
        for frame, time_ns in _rows(folder, name):
            camera.add(frame, time_ns)

    firsts = [camera.first_ns for camera in cameras.values() if camera.rows]
    start_ns = facts["start_ns"]
    if start_ns is None:
        start_ns = min(firsts, default=0)
    opened_ns = facts.get("started_ns") or min(firsts, default=start_ns)

    notes, last_s = [], 0.0
    for row in events_table(folder.events_path).rows():
        time_s = float(row["time_s"] or 0.0)
        last_s = max(last_s, time_s)
        if row["kind"] == "note":
            notes.append((time_s, row["name"], row["text"]))
    return RunRecord(
        path=path,
        start_ns=start_ns,
        started=_started(facts),
        how=facts["how"],
        begin_s=(opened_ns - start_ns) / 1e9,
        cameras=cameras,
        counted=_counted(facts["accounting"]),
        last_event_s=last_s,
        notes=notes,
        follows=_follows(notes),
        restarts=sum(_restart(kind, text) is not None for _, kind, text in notes),
        planned_s=_planned_s(folder),
    )


def _rows(folder: RunFolder, camera: str) -> Iterator[tuple[int, int]]:
    """Yield frame number and time of each exposure with a row, in the order of the times."""
    tables = [camera_table(folder.table_path(camera), None)]
    videos = chain.from_iterable(
        _cells(video_table(path)) for path in folder.video_tables(camera)
    )
    return merge(
        *(_cells(table) for table in tables), videos, key=lambda row: (row[1], row[0])
    )


def _cells(table: Any) -> Iterator[tuple[int, int]]:
    for frame, time_ns in table.select("frame", "exposed_ns"):
        yield int(frame), int(time_ns)


def _started(facts: Mapping[str, Any]) -> datetime | None:
    if not facts["started"]:
        return None
    started = datetime.fromisoformat(facts["started"])
    if facts["start_ns"] is None:
        return started.astimezone()
    since = timedelta(
        microseconds=(facts.get("started_ns", facts["start_ns"]) - facts["start_ns"])
        // 1000
    )
    return (stream_start(facts) + since).astimezone()


def _counted(accounts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return by camera the losses in the accounts of a run.

    Analysis and recording count the same exposures: the span with more losses has them all.
    """
    spans: dict[tuple[str, str], int] = {}
    for account in accounts:
        key = account["camera"], account["span"]
        names = "lost", "dropped", "unlisted", "recording_losses"
        losses = sum(max(account.get(name) or 0, 0) for name in names)
        spans[key] = spans.get(key, 0) + losses
    found: dict[str, int] = {}
    for (camera, _), losses in spans.items():
        found[camera] = max(found.get(camera, 0), losses)
    return found


def _restart(kind: str, text: str) -> re.Match[str] | None:
    if kind != "rack":
        return None
    return RESTARTED.fullmatch(text) or INTERRUPTED.fullmatch(text)


def _follows(notes: Sequence[tuple[float, str, str]]) -> Continuation | None:
    for _, kind, text in notes:
        if (found := _restart(kind, text)) is not None:
            gap = found.groupdict().get("gap")
            name = Path(found["run"].replace("\\", "/")).name
            return Continuation(name, found["cause"], float(gap) if gap else None)
    return None


def _planned_s(folder: RunFolder) -> float:
    """Return PLANNED_MINUTES of a run's settings in s; 0: none, or they can't be read."""
    try:
        recording = read_sections(folder.settings_text).texts.get("Recording", {})
        return 60 * float(recording.get("PLANNED_MINUTES", 0))
    except (OSError, ValueError, DeepLabStreamError):
        return 0.0
