"""Run review: frames, trigger states, outputs and marks of a run at any time."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.cell_formats import parse_state
from deeplabstream.recording.recorded_frames import (
    RecordedFrames,
    analysed_cameras,
    read_frames,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import stream_start
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.run_schema import TRIGGER_STATE, keypoint_columns, members
from deeplabstream.recording.table_reader import triggers_table


@dataclass(frozen=True, slots=True)
class StateSpan:
    """An interval with a constant value."""

    start_s: float
    end_s: float
    """Seconds since Start Stream."""
    value: float | None
    """State of a trigger, 1 or 0, None: unknown; level of an output."""


@dataclass(frozen=True, slots=True)
class Lane:
    """States of a trigger, levels of an output, or uncertain places, over the whole run."""

    name: str
    kind: Literal["trigger", "output", "place"]
    spans: Sequence[StateSpan]
    """Spans in order; in gaps the value is not known: not evaluated, or not open."""

    def at(self, time_s: float) -> float | None:
        """Return the value at a time; None: not known."""
        starts = [span.start_s for span in self.spans]
        place = bisect_right(starts, time_s) - 1
        if place < 0 or time_s > self.spans[place].end_s:
            return None
        return self.spans[place].value


@dataclass(frozen=True, eq=False)
class Review:
    """A run, read completely."""

    folder: RunFolder
    facts: Mapping[str, Any]
    """Content of `run.json`."""
    cameras: Mapping[str, RecordedFrames]
    """The cameras that have poses."""
    events: Sequence[Mapping[str, str]]
    lanes: Sequence[Lane]
    marks: Sequence[tuple[float, str]]
    """Times, in seconds since Start Stream, and texts of the experiment's marks."""
    end_s: float
    """Time of the last frame or event, seconds since Start Stream."""
    warnings: Sequence[str] = ()
    """Sentences on lines that could not be read, and on repairs."""

    @property
    def skeleton(self) -> Skeleton:
        """The body parts of its poses."""
        return self.folder.skeleton

    @property
    def stream_start(self) -> datetime | None:
        """Local time of Start Stream, the zero of all times; None: not known."""
        try:
            return stream_start(self.facts).astimezone()
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return None

    @property
    def experiment_start_s(self) -> float | None:
        """Time of the first Start Experiment, seconds since Start Stream; None: none."""
        starts = (
            float(row["time_s"])
            for row in self.events
            if (row["kind"], row["name"], row["text"])
            == ("note", "experiment", "started")
        )
        return min(starts, default=None)

    def row_at(self, camera: str, time_s: float) -> int:
        """Return the row of the last frame at a time; the first one before it."""
        return self.cameras[camera].row_at(time_s)

    def time_of(self, camera: str, row: int) -> float:
        """Return the time of the frame of a row, in seconds since Start Stream."""
        return float(self.cameras[camera].rows["time_s"].iat[row])

    def first_row(self, camera: str) -> int:
        """Return the first row with image and pose, else with image, else with pose, else 0."""
        rows = self.cameras[camera].rows
        recorded = rows["video"].fillna("").astype(bool).to_numpy(bool)
        analysed = rows["analysed"].fillna(False).to_numpy(bool)
        for chosen in (recorded & analysed, recorded, analysed):
            if chosen.any():
                return int(np.flatnonzero(chosen)[0])
        return 0

    def shape_of(self, camera: str) -> tuple[int, int] | None:
        """Return height and width of a camera's frames; None: not in `run.json`."""
        try:
            height, width = self.facts["cameras"][camera]["shape"][:2]
            return int(height), int(width)
        except (KeyError, TypeError, ValueError):
            return None

    def video_frame_of(self, camera: str, row: int) -> tuple[Path, int] | None:
        """Return the video of a row and the frame in it; None: it was not recorded."""
        return self.cameras[camera].video_frame_of(row)

    def step_of(self, camera: str, row: int) -> Step | None:
        """Return the step of a row's frame; None: not analysed."""
        whole = self.cameras[camera]
        if not whole.analysed[row]:
            return None

        # Besides the fixed columns and points: a column for each trigger.
        values = whole.rows.iloc[row]
        names = [str(name) for name in whole.rows.columns]
        keypoints = keypoint_columns(whole.skeleton)
        others = [name for name in names if name not in keypoints]
        return Step(
            camera=camera,
            index=int(values["frame"]),
            exposed_ns=int(values["exposed_ns"]),
            arrived_ns=int(values["arrived_ns"]),
            posed_ns=int(values["posed_ns"]),
            decided_ns=int(values["decided_ns"]),
            written_ns=int(values["written_ns"]),
            pose=whole.poses.pose(row),
            triggers={
                name: _state(values[column])
                for name, column in members(others, TRIGGER_STATE).items()
            },
            commands=(),
            lost=values["lost"] == 1,
            too_old=values["too_old"] == 1,
        )

    def levels_at(self, time_s: float) -> dict[str, float]:
        """Return the levels of the outputs at a time."""
        outputs = [lane for lane in self.lanes if lane.kind == "output"]
        return {lane.name: lane.at(time_s) or 0.0 for lane in outputs}


def review(path: Path) -> Review:
    """Read a run; DeviceError: it can't be read.

    A run that was killed is repaired first; its `run.json` lists the repairs.
    """
    warnings: list[str] = []
    folder = open_run_folder(path, warnings.append)
    try:
        facts = folder.facts
        events = folder.events()
        cameras = {name: read_frames(folder, name) for name in analysed_cameras(folder)}
        changes = _changes(folder.triggers_path)
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise DeviceError(f"{path} can't be read as a run: {error}") from error

    # The last states of triggers and outputs hold until the end of the run.
    last = [float(t.rows["time_s"].max()) for t in cameras.values() if len(t.rows)]
    end_s = max([0.0, *last, *(float(row["time_s"]) for row in events)])
    lanes = [
        *(_lane(name, "trigger", changed, end_s) for name, changed in changes.items()),
        *(
            _lane(name, "output", edges, end_s)
            for name, edges in _edges(events).items()
        ),
    ]
    marks = [
        (float(row["time_s"]), row["text"]) for row in events if row["kind"] == "mark"
    ]
    return Review(folder, facts, cameras, events, lanes, marks, end_s, warnings)


_Changes = dict[str, list[tuple[float, float | None]]]


def _changes(path: Path) -> _Changes:
    found: _Changes = defaultdict(list)
    for row in triggers_table(path).rows():
        state = parse_state(row["answer"])
        value = None if state is None else float(state)
        found[row["trigger"]].append((float(row["time_s"]), value))
    return dict(found)


def _edges(events: Sequence[Mapping[str, str]]) -> _Changes:
    found: _Changes = defaultdict(list)
    for row in events:
        if row["kind"] == "edge":
            found[row["name"]].append((float(row["time_s"]), float(row["level"])))
    return {name: sorted(edges) for name, edges in found.items()}


def _lane(
    name: str,
    kind: Literal["trigger", "output"],
    changes: Sequence[tuple[float, float | None]],
    end_s: float,
) -> Lane:
    """Return the spans between changes; equal neighbours are joined."""
    spans: list[StateSpan] = []
    for at, (start_s, value) in enumerate(changes):
        until_s = changes[at + 1][0] if at + 1 < len(changes) else end_s
        if spans and spans[-1].value == value:
            spans[-1] = StateSpan(spans[-1].start_s, until_s, value)
        else:
            spans.append(StateSpan(start_s, until_s, value))
    return Lane(name, kind, spans)


def _state(value: Any) -> bool | None:
    return None if np.isnan(float(value)) else bool(float(value))
