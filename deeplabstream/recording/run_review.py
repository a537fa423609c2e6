"""A run as a person looks back at it: what was seen, asked and done at any moment."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import opened_run
from deeplabstream.recording.run_reader import identity_states
from deeplabstream.recording.table_reader import triggers_table
from deeplabstream.recording.timeline import Timeline, analysed_cameras, timeline

_ANSWERS: Mapping[str, bool | None] = {"1": True, "0": False, "unknown": None}


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted."""

    start_s: float
    end_s: float
    """On the run's time, seconds since the stream began."""
    value: float | None
    """Of a trigger 1 or 0, None: unknown; of an output its level."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A trigger or an output over the whole run."""

    name: str
    kind: Literal["trigger", "output"]
    spans: Sequence[Span]
    """In order; what is not covered was not known: not asked, or not open."""

    def at(self, time_s: float) -> float | None:
        """Return the value at a moment; None where nothing was known."""
        starts = [span.start_s for span in self.spans]
        place = bisect_right(starts, time_s) - 1
        if place < 0 or time_s > self.spans[place].end_s:
            return None
        return self.spans[place].value


@dataclass(frozen=True, eq=False)
class Review:
    """A run that was read whole."""

    folder: RunFolder
    facts: Mapping[str, Any]
    """What run.json says."""
    cameras: Mapping[str, Timeline]
    """Those that have poses."""
    events: Sequence[Mapping[str, str]]
    lanes: Sequence[Lane]
    marks: Sequence[tuple[float, str]]
    """When the experiment marked what."""
    end_s: float
    """The time of the last thing that is known."""
    warnings: Sequence[str] = ()
    """Sentences on what could not be read, and on what was repaired."""

    @property
    def skeleton(self) -> Skeleton:
        """The body parts of its poses."""
        return self.folder.skeleton

    def row_at(self, camera: str, time_s: float) -> int:
        """Return the row of the last frame at a moment; the first one before it."""
        return self.cameras[camera].row_at(time_s)

    def time_of(self, camera: str, row: int) -> float:
        """Return when the frame of a row was taken, in seconds since the stream began."""
        return float(self.cameras[camera].rows["time_s"].iat[row])

    def first_row(self, camera: str) -> int:
        """Return the first row that has a picture, else the first with a pose, else 0."""
        rows = self.cameras[camera].rows
        filmed = rows["video"].fillna("").astype(bool).to_numpy(bool)
        analysed = rows["analysed"].fillna(False).to_numpy(bool)
        for chosen in (filmed & analysed, filmed, analysed):
            if chosen.any():
                return int(np.flatnonzero(chosen)[0])
        return 0

    def shape_of(self, camera: str) -> tuple[int, int] | None:
        """Return height and width of a camera's pictures; None: the run does not say."""
        try:
            height, width = self.facts["cameras"][camera]["shape"][:2]
            return int(height), int(width)
        except (KeyError, TypeError, ValueError):
            return None

    def picture_of(self, camera: str, row: int) -> tuple[Path, int] | None:
        """Return the video and the picture in it of a row; None: it was not recorded."""
        return self.cameras[camera].picture_of(self.folder.path, row)

    def step_of(self, camera: str, row: int) -> Step | None:
        """Return what was found and decided on a row's frame; None: not analysed."""
        whole = self.cameras[camera]
        if not whole.rows["analysed"].iat[row]:
            return None
        part = Timeline(camera, whole.rows.iloc[row : row + 1], whole.skeleton)
        values = part.rows.iloc[0]
        pose = Pose(
            self.skeleton,
            part.points[0].astype(np.float32),
            part.confidence[0].astype(np.float32),
            identity_states(self.skeleton, values["doubts"]),
        )
        answers = {
            str(name).removeprefix("trigger_"): _answer(values[name])
            for name in part.rows.columns
            if str(name).startswith("trigger_")
        }
        return Step(
            camera,
            int(values["frame"]),
            int(values["exposed_ns"]),
            int(values["arrived_ns"]),
            int(values["posed_ns"]),
            int(values["decided_ns"]),
            int(values["written_ns"]),
            pose,
            answers,
            (),
            lost=values["lost"] == 1,
            too_old=values["too_old"] == 1,
        )

    def levels_at(self, time_s: float) -> dict[str, float]:
        """Return the levels of the outputs at a moment."""
        outputs = [lane for lane in self.lanes if lane.kind == "output"]
        return {lane.name: lane.at(time_s) or 0.0 for lane in outputs}


def review(path: Path) -> Review:
    """Read a run; DeviceError says why it can't be looked at.

    A run that was killed is made whole first; what was done stands in its `run.json`.
    """
    told: list[str] = []
    folder = opened_run(path, told.append)
    try:
        facts = folder.facts
        events = folder.events()
        cameras = {name: timeline(folder, name) for name in analysed_cameras(folder)}
        changes = _changes(folder.triggers_path)
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise DeviceError(f"{path} can't be read as a run: {error}") from error
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
    return Review(folder, facts, cameras, events, lanes, marks, end_s, told)


_Changes = dict[str, list[tuple[float, float | None]]]


def _changes(path: Path) -> _Changes:
    found: _Changes = defaultdict(list)
    for row in triggers_table(path).rows():
        answer = _ANSWERS[row["answer"]]
        value = None if answer is None else float(answer)
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
    """Return the spans between changes, those without a change joined."""
    spans: list[Span] = []
    for at, (start_s, value) in enumerate(changes):
        until_s = changes[at + 1][0] if at + 1 < len(changes) else end_s
        if spans and spans[-1].value == value:
            spans[-1] = Span(spans[-1].start_s, until_s, value)
        else:
            spans.append(Span(start_s, until_s, value))
    return Lane(name, kind, spans)


def _answer(value: Any) -> bool | None:
    return None if np.isnan(float(value)) else bool(float(value))
