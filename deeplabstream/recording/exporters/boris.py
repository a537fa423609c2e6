"""BORIS' table of aggregated events: triggers, outputs and behaviours as state events."""

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from deeplabstream.files.delimited_text import plain_cell
from deeplabstream.recording.exporters.export_files import ExportFile
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_review import Review, review
from deeplabstream.recording.run_schema import BEHAVIOUR, members

COLUMNS = (
    "Observation id",
    "Observation date",
    "Media file name",
    "FPS",
    "Subject",
    "Behavior",
    "Behavioral category",
    "Behavior type",
    "Start (s)",
    "Stop (s)",
    "Duration (s)",
)
NO_SUBJECT = "No focal subject"
"""BORIS' name of events that are of no animal."""
LEAST_PROBABILITY = 0.5
"""Probability of a behaviour from which on it is exported."""

_Interval = tuple[str, str, float, float]
"""Category, name, start and end, in seconds since Start Stream."""


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
    subject = _subject(run)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        found = [*_lanes(run), *_behaviours(run)]
        for category, name, start_s, end_s in sorted(found, key=lambda row: row[2]):
            own = NO_SUBJECT if category == "output" else subject
            about = folder.path.name, date, media, rate, own, name, category, "STATE"
            times = (start_s - zero_s, end_s - zero_s, end_s - start_s)
            cells = [*map(plain_cell, about), *(f"{time_s:.6f}" for time_s in times)]
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
    for lane in run.lanes:
        for span in lane.spans:
            if span.value:
                yield lane.kind, lane.name, span.start_s, span.end_s


def _behaviours(run: Review) -> Iterator[_Interval]:
    """Yield the intervals in which a behaviour was more probable than not."""
    for frames in run.cameras.values():
        analysed = frames.of_analysis()
        times_s = analysed.times_s
        for name, column in members(list(analysed.rows), BEHAVIOUR).items():
            shown = analysed.rows[column].to_numpy(np.float64) > LEAST_PROBABILITY
            edges = np.flatnonzero(np.diff(shown, prepend=False, append=False))
            for first, last in edges.reshape(-1, 2).tolist():
                end_s = times_s[min(last, len(times_s) - 1)]
                yield "behaviour", name, float(times_s[first]), float(end_s)
