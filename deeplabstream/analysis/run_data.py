"""Run data: input of the results, read once from a run folder.

Everything that reads poses for results takes them from `read_run`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deeplabstream.analysis.events import TrialRecord, on_spans, stages_of, trials_of
from deeplabstream.analysis.region_list import (
    PlacesOfRun,
    places_of_triggers,
    read_places,
    trigger_settings,
)
from deeplabstream.analysis.tracks import Bools, Floats, Spans
from deeplabstream.core.calibration import (
    Calibration,
    from_marks,
    from_scale,
    parse_mark,
)
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.lens import parse_lens
from deeplabstream.core.light_cycle import LightCycle
from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.corrected_poses import ambiguous_animals, rejected_points
from deeplabstream.recording.light_facts import recorded_light_cycle
from deeplabstream.recording.moment_table import RecordedPoints, read_points
from deeplabstream.recording.pose_corrections import poses_in_use
from deeplabstream.recording.recorded_frames import (
    RecordedFrames,
    analysed_cameras,
    read_frames,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.run_schema import BEHAVIOUR, members
from deeplabstream.recording.table_reader import (
    RecordedTable,
    events_table,
    is_experiment_boundary,
    triggers_table,
)
from deeplabstream.settings.arena_instances import in_arena
from deeplabstream.settings.arenas import NO_EXPERIMENT
from deeplabstream.settings.ini_reading import SectionTexts, read_sections


@dataclass(frozen=True, eq=False)
class RunData:
    """Poses and events of one camera of a run.

    Attributes
    ----------
    folder : RunFolder
        The run folder.
    facts : mapping
        Content of `run.json`.
    camera : str
        The camera whose poses these are.
    t : numpy.ndarray of float64, shape (frame,)
        Time of exposure of each analysed frame, s since Start Stream, increasing.
    points : numpy.ndarray of float64, shape (frame, animal, body part, 2)
        Pixels. NaN: not found, confidence below the threshold, rejected by [Tracking], or
        identity ambiguous.
    confidence : numpy.ndarray of float64, shape (frame, animal, body part)
        From 0 to 1.
    skeleton : Skeleton
        Body parts, edges, names of the animals.
    animals : tuple of str
        A name for each animal.
    threshold : float
        Confidence below which a point counts as not found.
    size : tuple of int
        Height and width of the frames in pixels.
    calibration : Calibration or None
        Pixels to mm; None: the camera was not calibrated.
    places : PlacesOfRun
        Regions and points of the triggers, and those added after the run.
    behaviours : mapping of str to numpy.ndarray, shape (frame,)
        Probability of each behaviour; NaN: unknown.
    outputs : mapping of str to numpy.ndarray, shape (pulse, 2)
        Spans in which each output is on, s.
    triggers : mapping of str to numpy.ndarray, shape (span, 2)
        Spans in which each trigger is true, s.
    marks : sequence of (float, str)
        Marks of the experiment: time, s, and text.
    trials : tuple of Trial
        The trials that the experiment marked.
    stages : mapping of str to numpy.ndarray, shape (span, 2)
        Spans of each status of the experiment, s.
    period : tuple of float
        Start and end of the results, s: start of the first experiment and end of the
        last one, or those of the analysis when no experiment ran.
    rejected : numpy.ndarray of bool, shape (frame, animal, body part)
        Points that [Tracking] rejected.
    ambiguous : numpy.ndarray of bool, shape (frame, animal)
        Where the identity of an animal is ambiguous.
    corrected : numpy.ndarray of bool, shape (frame, animal, body part), optional
        Whether a correction concerns the point; None: no corrections.
    notes : tuple of str
        Sentences for the user, such as broken lines in tables.
    space : RecordedPoints, optional
        Points in space of the animal; None: the run has none.
    light_cycle : LightCycle, optional
        Phases of the room; None: not known.
    """

    folder: RunFolder
    facts: Mapping[str, Any]
    camera: str
    t: Floats
    points: Floats
    confidence: Floats
    skeleton: Skeleton
    animals: tuple[str, ...]
    threshold: float
    size: tuple[int, int]
    calibration: Calibration | None
    places: PlacesOfRun
    behaviours: Mapping[str, Floats]
    outputs: Mapping[str, Spans]
    triggers: Mapping[str, Spans]
    marks: Sequence[tuple[float, str]]
    trials: tuple[TrialRecord, ...]
    stages: Mapping[str, Spans]
    period: tuple[float, float]
    rejected: Bools
    ambiguous: Bools
    corrected: Bools | None = None
    notes: tuple[str, ...] = ()
    space: RecordedPoints | None = None
    light_cycle: LightCycle | None = None

    @property
    def subjects(self) -> Mapping[str, str]:
        """Name of the animal in each arena that was given one."""
        return dict(self.facts.get("subjects") or {})

    def experiment_of(self, animal: str) -> str | None:
        """Return the experiment of an animal's arena; None: that of the run."""
        name = (self.facts.get("arena_experiments") or {}).get(animal)
        return "" if name == NO_EXPERIMENT else name

    @property
    def arenas(self) -> Collection[str]:
        """Arenas, each with the animal of its name; empty: the animals share one."""
        return frozenset(self.facts.get("arenas") or ())


class OpenedRun(Protocol):
    """A run that was opened, such as `RecordedRun` or `RunFolder`."""

    @property
    def path(self) -> Path: ...  # noqa: D102


def read_run(
    run: str | Path | OpenedRun,
    camera: str = "",
    threshold: float | None = None,
    use_ambiguous: bool = False,
    raw: bool = False,
) -> RunData:
    """Read a run for results.

    Parameters
    ----------
    run : str, pathlib.Path, RecordedRun or RunFolder
        The run folder. Given as a path, a run that was killed is repaired first.
    camera : str
        A camera with poses; empty: the deciding camera, else the first one with poses.
    threshold : float, optional
        Confidence below which a point counts as not found; None: that of the network.
    use_ambiguous : bool
        Whether positions count while the identity of an animal is ambiguous.
    raw : bool
        Whether the poses are those that were recorded, without the corrections of the run.

    Raises
    ------
    DeviceError
        Not a run folder, damaged beyond repair, still being written, or without poses.
    """
    notes: list[str] = []
    if isinstance(run, str | Path):
        folder = open_run_folder(Path(run), notes.append, check_tables=False)
    else:
        folder = RunFolder(run.path)
    folder.corrected = not raw
    try:
        return _read(folder, camera, threshold, use_ambiguous, notes)
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise DeviceError(f"{folder.path} can't be read as a run: {error}") from error


def _read(
    run: RunFolder,
    camera: str,
    threshold: float | None,
    use_ambiguous: bool,
    notes: list[str],
) -> RunData:
    facts, text = run.facts, run.settings_text
    sections = read_sections(text).texts
    deciding = sections.get("Experiment", {}).get("CAMERA", "")
    camera = _camera(run, camera or deciding, bool(camera))
    frames = read_frames(run, camera).without_absent_animals().of_analysis()
    t = np.round(frames.times_s, 6)  # rounded as in the tables
    keep = np.concatenate([[True], np.diff(t) > 0]) if len(t) else np.zeros(0, bool)
    poses = frames.poses
    notes += _correction_notes(run, frames)
    threshold = run.thresholds.of(camera) if threshold is None else threshold
    points = poses.seen(threshold).astype(np.float64)
    flags = frames.rows["flags"].fillna("")
    flagged = (flags != "").to_numpy(bool)
    rejected = np.zeros(points.shape[:3], np.bool_)
    rejected[flagged] = rejected_points(flags[flagged].tolist(), frames.skeleton)
    points[rejected] = np.nan
    ambiguous = (
        ambiguous_animals(poses.identity, points.shape[1])
        if len(poses.identity)
        else np.zeros(points.shape[:2], np.bool_)
    )
    if not use_ambiguous:
        points[ambiguous] = np.nan
    columns = members([str(name) for name in frames.rows.columns], BEHAVIOUR)
    behaviours = {
        name: frames.rows[column].to_numpy(np.float64)[keep]
        for name, column in columns.items()
    }
    t = t[keep]
    event_table, trigger_table = (
        events_table(run.events_path),
        triggers_table(run.triggers_path),
    )
    events = list(event_table.rows())
    ends = [float(row["time_s"]) for row in events]
    end_s = max([0.0, *ends, *t[-1:].tolist()])
    triggers = _trigger_spans(trigger_table, end_s)
    tables = (event_table, trigger_table)
    space = read_points(run.moments_path, frames.skeleton.bodyparts)
    of_space = "" if space is None else space.warning
    read = frames.warning, of_space, *(table.warning_of_read() for table in tables)
    notes += [warning for warning in read if warning]
    marks = [(float(r["time_s"]), r["text"]) for r in events if r["kind"] == "mark"]
    ran = sum(text == "started" for _, text in _experiment_notes(events))
    if ran > 1:
        notes.append(
            f"{ran} experiments ran: results span from the start of the first one to the "
            "end of the last one; choose a part with start_s and end_s"
        )
    status = frames.rows["status"].fillna("").to_numpy(object)[keep]
    answer = _experiment_keys(facts, sections).get("ANSWER", "")
    arenas = _arenas_with_marks(facts, marks)
    added = read_places(run.path)
    known = places_of_triggers(trigger_settings(facts, text), deciding or camera)
    return RunData(
        folder=run,
        facts=facts,
        camera=camera,
        t=t,
        points=points[keep],
        confidence=poses.confidence[keep],
        skeleton=frames.skeleton,
        animals=_animals(facts, poses.animals),
        threshold=threshold,
        size=poses.size,
        calibration=_calibration(sections.get(f"Camera {camera}", {}), notes),
        places=known.of(camera).with_added(
            added.of(camera).regions, added.of(camera).points
        ),
        behaviours=behaviours,
        outputs=_output_spans(events, end_s),
        triggers=triggers,
        marks=marks,
        trials=tuple(_trials(events, _answers(answer, arenas, triggers), end_s)),
        # the status is the last mark of any arena
        stages={} if arenas else stages_of(status, t),
        period=_period(events, t),
        rejected=rejected[keep],
        ambiguous=ambiguous[keep],
        corrected=frames.corrected[keep] if frames.corrections else None,
        notes=tuple(notes),
        space=space,
        light_cycle=recorded_light_cycle(facts),
    )


def _camera(run: RunFolder, camera: str, is_chosen: bool) -> str:
    found = analysed_cameras(run)
    if camera in found:
        return camera
    if is_chosen or not found:
        names = ", ".join(found) or "none"
        of = f" of camera {camera}" if is_chosen else ""
        raise DeviceError(f"{run.path} has no poses{of}; cameras with poses: {names}")
    return found[0]


def _correction_notes(run: RunFolder, frames: RecordedFrames) -> Iterator[str]:
    """Yield which poses the results use, where there are corrections."""
    if sentence := poses_in_use(run.path, run.corrected, frames.camera):
        share = frames.corrected.any(axis=(1, 2)).mean() if len(frames) else 0
        yield f"{sentence}, on {share:.1%} of the frames" if run.corrected else sentence


def _animals(facts: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    own = str((facts.get("session") or {}).get("animal") or "")
    return (own,) if len(names) == 1 and own else names


def _calibration(keys: SectionTexts, notes: list[str]) -> Calibration | None:
    scale, marks = keys.get("MM_PER_PIXEL", ""), keys.get("MARKS", "")
    try:
        lens = parse_lens(keys.get("LENS", ""))
        if marks:
            return from_marks([parse_mark(mark) for mark in marks.split(",")], lens)
        return from_scale(float(scale), lens) if scale else None
    except ValueError as error:
        notes.append(f"settings.ini: the calibration can't be used: {error}")
        return None


def _experiment_keys(
    facts: Mapping[str, Any], sections: Mapping[str, SectionTexts]
) -> Mapping[str, Any]:
    recorded = facts.get("experiment")
    if isinstance(recorded, Mapping):
        return recorded
    name = sections.get("Experiment", {}).get("EXP_NAME", "")
    return sections.get(f"Experiment {name}", {})


def _output_spans(
    events: Sequence[Mapping[str, str]], end_s: float
) -> dict[str, Spans]:
    edges: dict[str, list[tuple[float, float]]] = {}
    for row in events:
        if row["kind"] == "edge":
            edge = float(row["time_s"]), float(row["level"])
            edges.setdefault(row["name"], []).append(edge)
    found = {}
    for name, found_edges in edges.items():
        ordered = sorted(found_edges, key=lambda edge: edge[0])
        times_s, levels = zip(*ordered, strict=True)
        found[name] = on_spans(times_s, levels, end_s)
    return found


def _trigger_spans(table: RecordedTable, end_s: float) -> dict[str, Spans]:
    changes: dict[str, list[tuple[float, float]]] = {}
    for row in table.rows():
        change = float(row["time_s"]), float(row["answer"] == "1")
        changes.setdefault(row["trigger"], []).append(change)
    return {
        name: on_spans([time for time, _ in change], [on for _, on in change], end_s)
        for name, change in changes.items()
    }


def _arenas_with_marks(
    facts: Mapping[str, Any], marks: Sequence[tuple[float, str]]
) -> Collection[str]:
    """Return the arenas if each had an experiment of its own, which marks like `A7: trial 3`.

    Development versions ran one experiment for all arenas.
    """
    arenas: Collection[str] = facts.get("arenas") or ()
    starts = tuple(f"{arena}: " for arena in arenas)
    return arenas if any(text.startswith(starts) for _, text in marks) else ()


def _answers(
    trigger: str, arenas: Collection[str], spans: Mapping[str, Spans]
) -> dict[str, Spans]:
    """Return the spans in which the answer trigger is true, by arena; without arenas, of ""."""
    none = np.zeros((0, 2))
    if arenas:
        return {it: spans.get(in_arena(trigger, it), none) for it in arenas}
    return {"": spans.get(trigger, none)}


def _trials(
    events: Sequence[Mapping[str, str]], answers: Mapping[str, Spans], end_s: float
) -> Iterator[TrialRecord]:
    """Yield the trials of each experiment; each one counts its trials from 1.

    Rows decide which marks are of an experiment, not times: a mark has the time of its
    frame's exposure, which may be before the experiment was started. Experiments have
    numbers from 1, also one whose start was not recorded.
    """
    marks: list[tuple[float, str]] = []
    ended_s: float | None = None
    experiment = 1
    for row in events:
        time_s, text = float(row["time_s"]), row["text"]
        if row["kind"] == "mark":
            marks.append((time_s, text))
        elif not is_experiment_boundary(row["kind"], row["name"], text):
            continue
        elif text == "started":
            until_s = time_s if ended_s is None else ended_s
            for arena, spans in answers.items():
                yield from trials_of(marks, spans, until_s, experiment, arena)
            experiment += bool(marks) or ended_s is not None
            marks, ended_s = [], None
        else:
            ended_s = time_s
    until_s = end_s if ended_s is None else ended_s
    for arena, spans in answers.items():
        yield from trials_of(marks, spans, until_s, experiment, arena)


def _experiment_notes(
    events: Sequence[Mapping[str, str]],
) -> list[tuple[float, str]]:
    return [
        (float(row["time_s"]), row["text"])
        for row in events
        if is_experiment_boundary(row["kind"], row["name"], row["text"])
    ]


def _period(
    events: Sequence[Mapping[str, str]], t: NDArray[np.float64]
) -> tuple[float, float]:
    """Return start and end of the experiments; of the analysis if none ran."""
    first, last = (float(t[0]), float(t[-1])) if len(t) else (0.0, 0.0)
    notes = _experiment_notes(events)
    starts = [time_s for time_s, text in notes if text == "started"]
    if not starts:
        return first, last
    start = max(first, min(starts))
    ends = [time_s for time_s, text in notes if text != "started" and time_s >= start]
    still_ran = notes[-1][1] == "started"  # the recorder was killed
    end = last if still_ran else min(last, max(ends, default=last))
    return (start, end) if end > start else (first, last)
