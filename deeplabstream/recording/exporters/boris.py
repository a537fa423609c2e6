"""BORIS' table of aggregated events: triggers, outputs and behaviours as state events.

The subject of a behaviour is its animal; of a pair it is the actor, and the first modifier is the
target.
"""

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deeplabstream.files.delimited_text import plain_cell
from deeplabstream.recording.behaviour_columns import shown_behaviour
from deeplabstream.recording.exporters.export_files import ExportFile
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_review import Review, review
from deeplabstream.recording.run_schema import BEHAVIOUR, members

SUBJECT, MODIFIER = "Subject", "Modifier #1"
"""Columns for actor and target of a pair."""
COLUMNS = (
    "Observation id",
    "Observation date",
    "Media file name",
    "FPS",
    SUBJECT,
    "Behavior",
    "Behavioral category",
    MODIFIER,
    "Behavior type",
    "Start (s)",
    "Stop (s)",
    "Duration (s)",
)
NO_SUBJECT = "No focal subject"
"""BORIS' name of events that are of no animal."""
LEAST_PROBABILITY = 0.5
"""Probability of a behaviour from which on it is exported."""


class _Interval(NamedTuple):
    """An interval in which something was true, on or shown."""

    category: str
    name: str
    start_s: float
    """Since Start Stream."""
    end_s: float
    subject: str
    target: str = ""
    """Animal at which the behaviour of the subject is directed."""


def boris(folder: RunFolder, into: Path) -> Iterator[ExportFile]:
    """Plan `events.boris.csv`: intervals in which something was true, on or shown.

    Times count from the first frame of the camera's only video, as BORIS counts them; of
    a run without a video, or with several, from Start Stream.
    """
    yield ExportFile(into / "events.boris.csv", partial(_write, folder))


def _write(folder: RunFolder, path: Path) -> None:
    run = review(folder.path)
    media, zero_s, rate = _media(run)
    started = run.stream_start
    date = started.strftime("%Y-%m-%d %H:%M:%S") if started else ""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        found = [*_lanes(run), *_behaviours(run)]
        for it in sorted(found, key=lambda interval: interval.start_s):
            about = folder.path.name, date, media, rate, it.subject, it.name
            kind = it.category, it.target, "STATE"
            times = (it.start_s - zero_s, it.end_s - zero_s, it.end_s - it.start_s)
            texts = map(plain_cell, (*about, *kind))
            cells = [*texts, *(f"{time_s:.6f}" for time_s in times)]
            table.writerow(cells)


def _media(run: Review) -> tuple[str, float, str]:
    """Return file name and first time of the only video, and frames per second."""
    videos = [
        (name, float(frames.of_video(name).times_s[0]), camera)
        for camera, frames in run.cameras.items()
        for name in map(str, frames.rows["video"].unique())
        if name
    ]
    if len(videos) != 1:
        return "", 0.0, ""
    name, start_s, camera = videos[0]
    return name, start_s, str(run.facts["cameras"][camera].get("rate") or "")


def _subject(run: Review) -> str:
    """Return the animal, if there is one; its name in `[Session]` before that of the pose."""
    if run.skeleton.count > 1:
        return NO_SUBJECT
    session = run.facts.get("session") or {}
    return str(session.get("animal") or "".join(run.skeleton.animals) or NO_SUBJECT)


def _lanes(run: Review) -> Iterator[_Interval]:
    """Yield the intervals of triggers that were true and outputs that were on."""
    animal = _subject(run)
    for lane in run.lanes:
        subject = NO_SUBJECT if lane.kind == "output" else animal
        for span in lane.spans:
            if span.value:
                times = span.start_s, span.end_s
                yield _Interval(lane.kind, lane.name, *times, subject)


def _behaviours(run: Review) -> Iterator[_Interval]:
    """Yield the intervals in which a behaviour was more probable than not."""
    for frames in run.cameras.values():
        analysed = frames.of_analysis()
        times_s = analysed.times_s
        for key, column in members(list(analysed.rows), BEHAVIOUR).items():
            it = shown_behaviour(key, run.facts, run.skeleton)
            subject = it.actor or _subject(run)
            shown = analysed.rows[column].to_numpy(np.float64) > LEAST_PROBABILITY
            edges = np.flatnonzero(np.diff(shown, prepend=False, append=False))
            for first, last in edges.reshape(-1, 2).tolist():
                end_s = times_s[min(last, len(times_s) - 1)]
                times = float(times_s[first]), float(end_s)
                yield _Interval("behaviour", it.behaviour, *times, subject, it.target)
