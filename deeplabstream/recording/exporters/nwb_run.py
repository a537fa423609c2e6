"""NWB export of a run: poses, frame times, triggers, outputs, events and timing in one file."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deeplabstream.recording.alignment.aligned_run import (
    ALIGNED,
    CLOCK,
    FACTS,
    RESIDUALS,
)
from deeplabstream.recording.audit_results import read_results
from deeplabstream.recording.cell_formats import STATE_NAMES
from deeplabstream.recording.exporters.export_files import ExportFile
from deeplabstream.recording.exporters.nwb import (
    UNKNOWN_SEX,
    NwbPoses,
    NwbSession,
    NwbSubject,
    camera_device,
    nwb_name,
    timing,
    write_nwb,
)
from deeplabstream.recording.moment_table import read_points
from deeplabstream.recording.recorded_frames import (
    RecordedFrames,
    analysed_cameras,
    read_frames,
    video_frames,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import (
    stream_start,
    timing_figures,
    validate_facts,
)
from deeplabstream.recording.run_review import Review, review
from deeplabstream.recording.run_schema import EVENTS, INT64, MATCHES, PULSES
from deeplabstream.recording.table_reader import matches_table

if TYPE_CHECKING:
    from pandas import DataFrame

EVENT_TABLES: Mapping[str, str] = {
    "intent": "commands that were about to be written to the outputs",
    "command": "commands of the experiment",
    "mark": "marks of the experiment",
    "edge": "changes of the outputs' levels, when they were written",
    "ack": "reports of devices that they switched an output, when they did",
    "input": "changes of inputs",
    "tag": "RFID tags that readers have read",
    "note": "notes and alarms of the program",
}
"""Tables in `events`, by the kind of event in `events.csv`."""
PERCENTILES = "p50", "p95", "p99", "max", "jitter"
_TIMING_MODULE = "timing", "delay of the rig and pulses of its exposures"
_TIMING_COLUMNS: Mapping[str, str] = {
    "output": "output that was measured; empty: none, half the loop to the decision",
    "camera": "camera that was measured",
    "measured": "date and time of the test",
    "file": "result of the test in the rig folder",
    "sha256": "of that file",
    "flashes": "number of flashes",
    "figure": "what was measured",
    "p50": "median, ms",
    "p95": "95th percentile, ms",
    "p99": "99th percentile, ms",
    "max": "maximum, ms",
    "jitter": "standard deviation, ms",
    "changed": "settings that differed in the run; empty: none",
}


_AUDIT_COLUMNS: Mapping[str, str] = {
    "kind": "trigger, output or animal",
    "of": "its name",
    "hour": "hour since Start Stream, from 0 on; -1: the whole run",
    "figure": "precision, recall, or wrong pulses per hour",
    "value": "median of the posterior distribution",
    "low": "lower end of the 95 % interval",
    "high": "upper end of the 95 % interval",
    "clips": "number of judged clips on which it rests",
}


def nwb(
    folder: RunFolder, into: Path, subject: NwbSubject | None = None
) -> Iterator[ExportFile]:
    """Plan `run.nwb`: one row per frame, in pixels, seconds from Start Stream.

    Facts that are missing in `subject` are taken from the run, where known.
    """
    write = partial(_write_run, folder, into, subject_of(folder, subject))
    yield ExportFile(into / "run.nwb", write)


def subject_of(folder: RunFolder, subject: NwbSubject | None = None) -> NwbSubject:
    """Return the subject, completed by `[Session]` of the run."""
    known = subject or NwbSubject()
    own = folder.facts.get("session") or {}
    given = {
        field.name: getattr(known, field.name) or str(own.get(field.name) or "")
        for field in fields(NwbSubject)
    }
    in_arenas = {**(folder.facts.get("subjects") or {})}
    given["in_arenas"] = ", ".join(f"{k} {name}" for k, name in in_arenas.items())
    if not known.sex and given["sex"] == UNKNOWN_SEX:
        given["sex"] = ""
    return replace(known, **given)


def _write_run(folder: RunFolder, into: Path, subject: NwbSubject, path: Path) -> None:
    facts = folder.facts
    own, experiment = facts.get("session") or {}, facts.get("experiment") or {}
    name = experiment.get("NAME")
    session = NwbSession(
        "closed-loop experiment, recorded by DeepLabStream",
        f"{folder.path.name} {facts['start_ns']}",
        stream_start(facts),
        subject,
        {
            "session_id": folder.path.name,
            "experimenter": own.get("experimenter"),
            "notes": own.get("notes"),
            "experiment_description": f"experiment {name}" if name else None,
            "protocol": folder.settings_text,
        },
    )
    version = str(facts.get("application") or "")
    sources = []
    for camera in analysed_cameras(folder):
        frames = read_frames(folder, camera).without_absent_animals()
        sources.append(
            NwbPoses(frames.poses, _videos(frames), version, frames.corrections)
        )
    write_nwb(path, session, sources, partial(_add_run, review(folder.path), into))


def _videos(frames: RecordedFrames) -> dict[str, Any]:
    """Return the poses of each video by its file name."""
    names = [name for name in dict.fromkeys(frames.rows["video"]) if name]
    return {name: frames.of_video(name).poses for name in names}


def _add_run(run: Review, into: Path, file: Any) -> None:
    """Add events, videos and settings to an `NWBFile`."""
    for camera in run.facts["cameras"]:
        _add_videos(run, camera, into, file)
    _add_space(run.folder, file)
    _add_triggers(run, file)
    _add_outputs(run, file)
    _add_events(run, file)
    _add_timing(run, file)
    _add_pulses(run, file)
    _add_audit(run, file)
    _add_alignments(run, file)


def _add_videos(run: Review, camera: str, into: Path, file: Any) -> None:
    """Add a camera's videos as one series, with the time of each frame."""
    from pynwb.image import ImageSeries

    folder = run.folder
    listed = video_frames(folder, camera)
    names = [name for name in dict.fromkeys(listed["video"]) if name]
    names = [name for name in names if (folder.path / name).exists()]
    if not names:
        return
    parts = [listed[listed["video"] == name] for name in names]
    exposed = np.concatenate([part["exposed_ns"].to_numpy(np.int64) for part in parts])
    starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
    height, width = run.facts["cameras"][camera]["shape"][:2]
    name = nwb_name(camera)
    file.add_acquisition(
        ImageSeries(
            name=name,
            description=f"recorded frames of camera {camera}, at their times of exposure",
            unit="n.a.",
            format="external",
            external_file=[_relative(folder.path / name, into) for name in names],
            starting_frame=[int(start) for start in starts],
            dimension=[int(width), int(height)],
            device=camera_device(file, name),
            **_external(timing((exposed - run.facts["start_ns"]) / 1e9), len(exposed)),
        )
    )


def _add_space(folder: RunFolder, file: Any) -> None:
    """Add the points in space of a run with [Space]: a series of each body part."""
    from pynwb.behavior import Position, SpatialSeries

    if not folder.moments_path.exists():
        return
    bodyparts = folder.skeleton.bodyparts
    recorded = read_points(folder.moments_path, bodyparts)
    if recorded is None or not len(recorded.t):
        return

    module = file.create_processing_module(
        "space", "points in space, computed from several calibrated cameras"
    )
    times = timing(recorded.t)
    series: list[Any] = []
    for part, bodypart in enumerate(bodyparts):
        made = SpatialSeries(
            name=nwb_name(bodypart),
            description=f"x, y, z of {bodypart} in mm; NaN: not known",
            data=recorded.points[:, part],
            unit="meters",
            conversion=0.001,
            reference_frame="axes of the cameras' calibration, z up",
            **times,
        )
        series.append(made)
        if "timestamps" in times:
            times = {"timestamps": made}  # the others refer to the first one
    module.add(Position(spatial_series=series))


def _external(times: dict[str, Any], frames: int) -> dict[str, Any]:
    """Return the times of frames that lie in other files."""
    return {**times, "num_samples": frames} if "rate" in times else times


def _relative(video: Path, into: Path) -> str:
    try:
        return Path(os.path.relpath(video, into)).as_posix()
    except ValueError:  # on another drive
        return video.resolve().as_posix()


def _add_triggers(run: Review, file: Any) -> None:
    """Add the intervals in which each trigger was true, false or unknown."""
    rows = [
        {
            "start_time": span.start_s,
            "stop_time": span.end_s,
            "trigger": lane.name,
            "state": STATE_NAMES[None if span.value is None else bool(span.value)],
        }
        for lane in run.lanes
        if lane.kind == "trigger"
        for span in lane.spans
    ]
    _add_intervals(
        file,
        "triggers",
        "states of the triggers on the frames' poses",
        {"trigger": "name of the trigger", "state": "true, false or unknown"},
        rows,
    )


def _add_outputs(run: Review, file: Any) -> None:
    """Add the intervals in which each output was on."""
    causes = {
        (row["name"], float(row["time_s"])): row["cause"]
        for row in run.events
        if row["kind"] == "edge"
    }
    rows = [
        {
            "start_time": span.start_s,
            "stop_time": span.end_s,
            "output": lane.name,
            "level": span.value,
            "cause": causes.get((lane.name, span.start_s), ""),
            "end_cause": causes.get((lane.name, span.end_s), "end of the recording"),
        }
        for lane in run.lanes
        if lane.kind == "output"
        for span in lane.spans
        if span.value
    ]
    _add_intervals(
        file,
        "outputs",
        "intervals in which an output was on; all changes are in the events `edge`",
        {
            "output": "name of the output",
            "level": "level of the output, above 0 and up to 1",
            "cause": "cause of the edge that began the interval",
            "end_cause": "cause of the edge that ended it",
        },
        rows,
    )


def _add_intervals(
    file: Any,
    name: str,
    about: str,
    columns: Mapping[str, str],
    rows: list[dict[str, Any]],
) -> None:
    """Add a table of intervals, unless it is empty, in the order of their starts."""
    from pynwb.epoch import TimeIntervals

    if not rows:
        return
    table = TimeIntervals(name=name, description=about)
    for column, meaning in columns.items():
        table.add_column(column, meaning)
    for row in sorted(rows, key=lambda row: float(row["start_time"])):
        table.add_interval(**row)
    file.add_time_intervals(table)


def _add_events(run: Review, file: Any) -> None:
    """Add a table for each kind of event, with the columns that are filled in it."""
    from pynwb.event import EventsTable

    by_kind: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for row in run.events:
        by_kind[row["kind"]].append(row)

    start_ns = run.facts["start_ns"]
    for kind, rows in by_kind.items():
        rows.sort(key=lambda row: float(row["time_s"]))
        about = EVENT_TABLES.get(kind, kind)
        table = EventsTable(name=nwb_name(kind), description=about)
        values: dict[str, list[Any]] = {"timestamp": [float(r["time_s"]) for r in rows]}
        for column in EVENTS.columns:
            name, found = column.name, [row.get(column.name, "") for row in rows]
            if name in ("time_s", "kind") or not any(found):
                continue

            # NWB has seconds, and no empty cells: a number or text stands for them.
            about = column.meaning
            if name.endswith("_ns"):
                name = name.removesuffix("_ns") + "_s"
                about += ", seconds since Start Stream; NaN: none"
                values[name] = [
                    (int(cell) - start_ns) / 1e9 if cell else np.nan for cell in found
                ]
            elif column.type is INT64:
                values[name] = [int(cell) if cell else -1 for cell in found]
                about += "; -1: none"
            elif name == "level":
                values[name] = [float(cell) if cell else np.nan for cell in found]
            else:
                name = _SUBJECT.get(kind, "output") if name == "name" else name
                values[name] = found
            table.add_column(name, about)

        for cells in zip(*values.values(), strict=True):
            table.add_event(**dict(zip(values, cells, strict=True)))
        file.add_events_table(table)


_SUBJECT = {"input": "input", "note": "subject"}
"""Column of the name, by the kind of event; `name` is taken by the table itself."""


def _add_timing(run: Review, file: Any) -> None:
    """Add the latency tests that the run names: `timing` of `run.json`, a row per figure."""
    facts, _ = validate_facts(run.facts)
    texts = "output", "camera", "measured", "file", "sha256"
    rows = [
        {name: entry[name] for name in texts}
        | {"flashes": entry["flashes"], "figure": figure.removesuffix("_ms")}
        | {name: float(entry[figure].get(name, np.nan)) for name in PERCENTILES}
        | {"changed": "; ".join(entry["changed"])}
        for entry in facts.get("timing") or ()
        for figure in timing_figures(entry)
    ]
    if rows:
        _add_table(
            file,
            _TIMING_MODULE,
            "latency_tests",
            "latency tests of the rig before the run, one row per figure",
            rows,
            _TIMING_COLUMNS,
        )


def _add_audit(run: Review, file: Any) -> None:
    """Add the figures of the run's audit, one per row."""
    audit = read_results(run.folder.path)
    if audit is None or not audit.rows:
        return
    rows = [
        {
            "kind": row.group,
            "of": row.name,
            "hour": -1 if row.hour is None else row.hour,
            "figure": row.measure,
            "value": row.interval.value,
            "low": row.interval.low,
            "high": row.interval.high,
            "clips": row.clips,
        }
        for row in audit.rows
    ]
    about = "errors of triggers and outputs, judged by raters on a random sample: "
    _add_table(
        file,
        ("audit", "audit of the triggers"),
        "figures",
        about + "; ".join(audit.remarks()),
        rows,
        _AUDIT_COLUMNS,
    )


def _add_pulses(run: Review, file: Any) -> None:
    """Add the numbered pulses of exposures, and the pulse of each frame."""
    for table in run.folder.tables():
        if table.schema is PULSES:
            pulses = table.frame(**_TEXTS).sort_values("time_s", kind="stable")
            if len(pulses):
                file.add_events_table(_pulse_events(pulses))
    for camera in run.facts["cameras"]:
        path = run.folder.matches_path(camera)
        if not path.exists():
            continue
        numbers = dict.fromkeys(("part", "pulse", "frame"), "Int64")
        matches = matches_table(path).frame(**_TEXTS, dtype=numbers)
        matches = matches.reindex(columns=list(MATCHES.fixed))
        if len(matches):
            for name in numbers:
                matches[name] = matches[name].fillna(-1).astype(np.int64)
            _add_table(
                file,
                _TIMING_MODULE,
                nwb_name(f"pulses {camera}"),
                f"rows of {path.name}: frames of the camera and the pulses of their "
                "exposures; NaN or -1: none",
                matches,
                {name: column.meaning for name, column in MATCHES.fixed.items()},
            )


def _pulse_events(pulses: "DataFrame") -> Any:
    """Return the rows of `pulses.csv` as a table of events, made of whole columns."""
    from hdmf.common import VectorData
    from pynwb.event import EventsTable, TimestampVectorData

    columns = [
        TimestampVectorData(
            name="timestamp",
            description=PULSES.fixed["time_s"].meaning,
            data=pulses["time_s"].to_numpy(np.float64),
        )
    ]
    for name, kind in (("input", object), ("pulse", np.int64), ("device_us", np.int64)):
        about, cells = PULSES.fixed[name].meaning, pulses[name].to_numpy(kind)
        columns.append(VectorData(name=name, description=about, data=cells))
    return EventsTable(
        name="pulse",
        description="numbered pulses of exposures",
        columns=columns,
        id=np.arange(len(pulses)),
    )


_TEXTS: Mapping[str, Any] = {"keep_default_na": False, "na_values": [""]}
"""Arguments with which pandas reads an input named NA as text."""


def _add_table(
    file: Any,
    module: tuple[str, str],
    name: str,
    about: str,
    rows: "Sequence[Mapping[str, Any]] | DataFrame",
    meanings: Mapping[str, str] | None = None,
) -> None:
    """Add a table to a module, given by name and description, which is made if need be.

    `meanings`: of its columns, if `about` does not say them.
    """
    import pandas as pd
    from hdmf.common import DynamicTable

    title, purpose = module
    if title not in file.processing:
        file.create_processing_module(title, purpose)
    table = pd.DataFrame(rows)

    # HDF5 stores text only as objects of one type, not as mixed columns.
    for column in table:
        if not pd.api.types.is_numeric_dtype(table[column]):
            table[column] = table[column].fillna("").astype(str).astype(object)
    file.processing[title].add(
        DynamicTable.from_dataframe(
            df=table,
            name=name,
            table_description=about,
            columns=[
                {"name": column, "description": meanings[column]} for column in table
            ]
            if meanings
            else None,
        )
    )


def _add_alignments(run: Review, file: Any) -> None:
    """Add the aligned tables: times of the run on the clocks of other recorders."""
    import pandas as pd

    for facts in sorted((run.folder.path / ALIGNED).glob(f"*/{FACTS}")):
        for path in sorted(facts.parent.glob("*.csv")):
            if path.name in (CLOCK, RESIDUALS):
                continue
            rows = pd.read_csv(path, **_TEXTS).rename(columns={"name": "subject"})
            rows["segment"] = rows["segment"].fillna(-1).astype(np.int64)
            _add_table(
                file,
                ("alignment", "times of the run on the clocks of other recorders"),
                nwb_name(f"{facts.parent.name} {path.stem}"),
                f"rows of {path.name} in the order of the run: "
                f"recording_s is the time in {facts.parent.name}, s, NaN: not known; "
                "error_ms the error to expect; segment -1: none",
                rows,
            )
