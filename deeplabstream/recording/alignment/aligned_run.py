"""Aligned run: the times of a run on another recorder's clock, in files beside its tables.

`RUN/aligned/NAME/` holds a table beside each table of the run, with the same rows, the
clock's map, the residual of each edge, and `alignment.json`. The run itself is not changed.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from configparser import Error as IniError
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deeplabstream.core.errors import DeviceError, counted
from deeplabstream.files.atomic_replace import atomic_file, write_json
from deeplabstream.files.overwriting import check_free
from deeplabstream.recording.alignment.clock_map import (
    MOST_ERROR_S,
    AlignedTimes,
    ClockMap,
    map_clocks,
)
from deeplabstream.recording.alignment.recording_data import RecordedLine
from deeplabstream.recording.alignment.sync_signals import Edges, Floats
from deeplabstream.recording.run_folder import RunFolder, stem
from deeplabstream.recording.run_schema import CAMERA, EVENTS, PULSES, VIDEO
from deeplabstream.recording.table_reader import RecordedTable, events_table
from deeplabstream.startup.progress import progress

ALIGNED = "aligned"
FACTS, CLOCK, RESIDUALS = (
    "alignment.json",
    "alignment.clock.csv",
    "alignment.residuals.csv",
)
PLOTS = "alignment.residuals.svg", "alignment.residuals.png"
SYNC_KIND = "BoardSync"
ADDED = ("recording_s", "error_ms", "segment")
"""Columns of aligned tables after those that name the row."""
_KEYS: Mapping[str, tuple[str, ...]] = {
    CAMERA.file: ("frame", "time_s", "exposed_ns"),
    VIDEO.file: ("video_frame", "frame", "exposed_ns"),
    EVENTS.file: ("time_s", "kind", "name", "level"),
    PULSES.file: ("input", "pulse", "time_s"),
    "triggers.csv": ("camera", "frame", "time_s", "trigger", "answer"),
}
"""Columns of the run's tables that aligned tables repeat, by table."""


@dataclass(frozen=True, slots=True)
class RunSignal:
    """An input or output of a run.

    Attributes
    ----------
    name : str
        Of the input or output.
    kind : str
        `input` or `output`.
    edges : Edges
        Seconds since Start Stream.
    """

    name: str
    kind: str
    edges: Edges


@dataclass(frozen=True, slots=True)
class AlignedRun:
    """A run, a recording, and the map of their clocks."""

    folder: RunFolder
    recording: RecordedLine
    signal: RunSignal
    clocks: ClockMap
    most_error_s: float = MOST_ERROR_S


def run_signals(folder: RunFolder) -> dict[str, RunSignal]:
    """Return all inputs and outputs that changed in a run, by name.

    An input and an output of the same name are `input NAME` and `output NAME`. Edges of an
    output are those that its device reported, or else those that were written.
    """
    start_ns = int(folder.facts["start_ns"])
    found: dict[tuple[str, str], list[tuple[int, bool]]] = {}
    columns = "kind", "name", "level", "written_ns", "acted_ns"
    for kind, name, level, written, acted in events_table(folder.events_path).select(
        *columns
    ):
        at = acted if kind in ("input", "ack") else written if kind == "edge" else ""
        if at and level:
            edge = int(at) - start_ns, float(level) > 0
            found.setdefault((kind, name), []).append(edge)

    signals: dict[str, RunSignal] = {}
    inputs = {name for kind, name in found if kind == "input"}
    outputs = {name for kind, name in found if kind != "input"}
    for (kind, name), rows in found.items():
        if kind == "edge" and ("ack", name) in found:
            continue  # the device's own times are more exact

        # Only changes of the level are edges: a level may be written twice.
        rows.sort()
        before = [kind == "input" and rows[0][1]]  # an output is initially off
        before += [high for _, high in rows[:-1]]
        kept = [row for row, was in zip(rows, before, strict=True) if row[1] != was]

        times = np.array([at for at, _ in kept], np.float64) / 1e9
        rising = np.array([high for _, high in kept], bool)
        parts = np.zeros(len(kept), np.int64)
        what = "input" if kind == "input" else "output"
        own = f"{what} {name}" if name in inputs & outputs else name
        signals[own] = RunSignal(own, what, Edges(times, rising, parts))
    return signals


def run_signal(folder: RunFolder, name: str = "") -> RunSignal:
    """Return the signal that another recorder has seen.

    Parameters
    ----------
    folder : RunFolder
        The run.
    name : str, optional
        Of an input or output; empty: the sync signal of the board, or the only signal.

    Returns
    -------
    RunSignal
        With at least one edge.

    Raises
    ------
    DeviceError
        There is none of this name, or several could be meant.
    """
    signals = run_signals(folder)
    names = ", ".join(
        f"{signal.name} ({counted(len(signal.edges), 'edge')})"
        for signal in signals.values()
    )
    if name:
        if name not in signals or not len(signals[name].edges):
            raise DeviceError(
                f"the run has no edges of {name}; it has {names or 'none at all'}"
            )
        return signals[name]

    # Without a name: an input that is set up for synchronisation, else the only signal.
    inputs = {signal.name for signal in signals.values() if signal.kind == "input"}
    syncs = [
        own
        for name in sync_inputs(folder)
        for own in (name, f"input {name}")
        if own in inputs
    ]
    meant = syncs or [signal.name for signal in signals.values() if len(signal.edges)]
    if len(meant) == 1:
        return signals[meant[0]]
    if not meant:
        raise DeviceError(
            f"{folder.path} has no sync signal: no input or output changed; see docs/alignment.md"
        )
    raise DeviceError(f"which signal did the recorder see? Give --signal: {names}")


def sync_inputs(folder: RunFolder) -> list[str]:
    """Return the names of the inputs that are sync signals of a board.

    Flashes are none: they light an LED, and no recorder is connected to it.
    """
    ini = RawConfigParser(strict=False)
    try:
        ini.read_string(folder.settings_text)
    except (IniError, DeviceError):
        return []
    return [
        section.partition(" ")[2].strip()
        for section in ini.sections()
        if section.lower().startswith("input ")
        and ini.get(section, "kind", fallback="").strip() == SYNC_KIND
        and ini.get(section, "pattern", fallback="").strip() != "flashes"
    ]


def align_run(
    folder: RunFolder,
    recording: RecordedLine,
    signal: str = "",
    most_error_s: float = MOST_ERROR_S,
) -> AlignedRun:
    """Map the clock of a run to that of a recording; DeviceError: they do not fit."""
    seen = run_signal(folder, signal)
    clocks = map_clocks(
        seen.edges, recording.edges, recording.spans_s, recording.resolution_s
    )
    return AlignedRun(folder, recording, seen, clocks, most_error_s)


def aligned_folder(run: Path, recording: Path, name: str = "") -> Path:
    """Return the folder for a recording's alignment; `name` instead of that of the file."""
    return run / ALIGNED / stem(name or recording.stem)


def planned_files(folder: RunFolder, into: Path) -> list[Path]:
    """Return the files that `write_aligned` writes."""
    return [
        *(into / table.path.name for table in _tables(folder)),
        into / CLOCK,
        into / RESIDUALS,
        into / FACTS,
    ]


def _tables(folder: RunFolder) -> list[RecordedTable]:
    """Return the tables of a run that have times."""
    return [
        table
        for table in folder.tables()
        if table.schema.file in _KEYS and table.path.exists()
    ]


def write_aligned(
    aligned: AlignedRun, into: Path, overwrite: bool = False
) -> dict[str, Any]:
    """Write the aligned tables into a folder; return the content of `alignment.json`.

    Each file gets its name when it is complete. DeepLabStreamError: one exists already,
    or no row has a time of the recording; then nothing is written.
    """
    check_free(planned_files(aligned.folder, into), overwrite)
    tables, clocks = _tables(aligned.folder), aligned.clocks
    found = [
        clocks.align(_row_times(aligned, table), aligned.most_error_s)
        for table in tables
    ]
    if not any((times.segments >= 0).any() for times in found):
        raise DeviceError(_nothing_aligned(aligned))

    counts: dict[str, dict[str, int]] = {}
    steps = zip(tables, found, strict=True)
    for table, times in progress(steps, "writing tables", len(tables), "tables"):
        _write_rows(into / table.path.name, _aligned_rows(table, times))
        count = int((times.segments >= 0).sum())
        counts[table.path.name] = {"rows": len(times.segments), "aligned": count}
    _write_rows(into / CLOCK, _clock_rows(clocks))
    _write_rows(into / RESIDUALS, _residual_rows(clocks))
    facts = summary(aligned) | {"rows": counts}
    write_json(into / FACTS, facts)
    return facts


def summary(aligned: AlignedRun) -> dict[str, Any]:
    """Return the numbers of an alignment, as `alignment.json` holds them."""
    clocks, recording = aligned.clocks, aligned.recording
    times = recording.edges.times_s.tobytes()
    return {
        "run": aligned.folder.path.name,
        "recording": str(recording.path.resolve()),
        "kind": recording.kind,
        "line": recording.line,
        "edges_sha256": hashlib.sha256(
            times + recording.edges.rising.tobytes()
        ).hexdigest(),
        "signal": aligned.signal.name,
        "identified_by": clocks.matching.kind,
        "inverted": clocks.matching.inverted,
        "most_error_ms": aligned.most_error_s * 1e3,
        "edges": {
            "run": len(clocks.run),
            "recording": len(clocks.recording),
            "used": len(clocks.used),
            "outliers": clocks.outliers,
        },
        "residual_ms": _percentiles(clocks.residuals_s),
        "segments": [
            _segment(clocks, number) for number in range(len(clocks.segments))
        ],
        "ambiguous_s": [list(span) for span in clocks.matching.ambiguous_s],
    }


def _percentiles(residuals_s: Floats) -> dict[str, float]:
    size = np.abs(residuals_s) * 1e3
    if not len(size):
        return {}
    return {
        "p50": round(float(np.median(size)), 5),
        "p95": round(float(np.percentile(size, 95)), 5),
        "p99": round(float(np.percentile(size, 99)), 5),
        "max": round(float(size.max()), 5),
    }


def _segment(clocks: ClockMap, number: int) -> dict[str, Any]:
    segment, own = clocks.segments[number], clocks.used[:, 2] == number
    pairs = clocks.used[own]
    first, last = (float(clocks.run.times_s[pairs[at, 0]]) for at in (0, -1))
    tried = pairs[-1, 0] - pairs[0, 0] + 1
    inside = (segment.times_s >= first) & (segment.times_s <= last)
    drifts = segment.drifts[inside] if inside.any() else segment.drifts
    return {
        "first_edge_s": first,
        "last_edge_s": last,
        "part": segment.part,
        "offset_s": round(float(segment.offset(np.array([first]))[0]), 6),
        "drift_ppm": [
            round(float(f(drifts)) * 1e6, 3) for f in (np.min, np.median, np.max)
        ],
        "edges": len(pairs),
        "lost_edges": int(tried - len(pairs)),
        "longest_gap_s": round(
            float(np.diff(clocks.run.times_s[pairs[:, 0]]).max()), 3
        ),
        "residual_ms": _percentiles(clocks.residuals_s[own]),
    }


def sentences(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the content of `alignment.json` as sentences."""
    edges, residual = facts["edges"], facts["residual_ms"]
    inverted = ", the line is inverted" if facts["inverted"] else ""
    yield (
        f"{edges['used']} of {edges['run']} edges of {facts['signal']} found in "
        f"{edges['recording']} of the recording, by {facts['identified_by']}{inverted}; "
        f"{edges['outliers']} outliers"
    )
    for number, segment in enumerate(facts["segments"]):
        low, middle, high = segment["drift_ppm"]
        yield (
            f"segment {number}: {segment['first_edge_s']:.1f} to {segment['last_edge_s']:.1f} s of "
            f"the run, offset {segment['offset_s']:.6f} s, drift {middle:.2f} ppm ({low:.2f} to "
            f"{high:.2f}), {segment['lost_edges']} edges lost, longest gap "
            f"{segment['longest_gap_s']:.1f} s"
        )
    yield (
        f"residuals: 50 % below {residual['p50']:.4f} ms, 95 % below {residual['p95']:.4f} "
        f"ms, 99 % below {residual['p99']:.4f} ms, largest {residual['max']:.4f} ms"
    )
    for start, end in facts["ambiguous_s"]:
        yield (
            f"not aligned: {start:.1f} to {end:.1f} s of the run, where the edges fit in "
            "several places"
        )
    for name, count in facts["rows"].items():
        if count["rows"] > count["aligned"]:
            yield (
                f"{name}: {count['aligned']} of {count['rows']} rows have a time of the "
                "recording"
            )


def _aligned_keys(table: RecordedTable) -> list[str]:
    """Return the columns that the aligned table repeats."""
    return [name for name in _KEYS[table.schema.file] if name in table.columns]


def _row_times(aligned: AlignedRun, table: RecordedTable) -> Floats:
    """Return the time of each row of a table on the run's clock, in seconds."""
    # `time_s` is rounded to microseconds: the time of exposure is used where there is one.
    if "exposed_ns" not in _aligned_keys(table):
        return np.array([float(time) for (time,) in table.select("time_s")], np.float64)
    start_ns = int(aligned.folder.facts["start_ns"])
    exposed = table.select("exposed_ns")
    return np.array([(int(at) - start_ns) / 1e9 for (at,) in exposed], np.float64)


def _nothing_aligned(aligned: AlignedRun) -> str:
    """Return the message that no row of the run has a time of the recording."""
    recording, clocks = aligned.recording, aligned.clocks
    edges = clocks.run.times_s[clocks.used[:, 0]]
    errors_s = clocks.align(edges, np.inf).errors_s
    least_ms = 1e3 * float(np.nanmin(errors_s, initial=np.inf))
    return (
        f"{recording.path}: {recording.line}: {len(edges)} edges were found, but no row of "
        f"the run has a time of the recording: the expected error is {least_ms:.3f} ms or "
        f"more, allowed are {aligned.most_error_s * 1e3:g} ms (--most-error-ms). The line is "
        f"sampled every {recording.resolution_s * 1e3:g} ms, which limits the error"
    )


def _aligned_rows(
    table: RecordedTable, times: AlignedTimes
) -> Iterator[tuple[object, ...]]:
    """Yield the header and the rows of a table with their times of the recorder."""
    keys = _aligned_keys(table)
    yield (*keys, *ADDED)
    columns = times.times_s.tolist(), times.errors_s.tolist(), times.segments.tolist()
    for row, *cells in zip(table.select(*keys), *columns, strict=True):
        yield (*row, *_cells(*cells))


def _cells(at_s: float, error_s: float, segment: int) -> tuple[str, str, str]:
    if segment < 0 or math.isnan(at_s):
        return "", "", ""
    return f"{at_s:.7f}", f"{error_s * 1e3:.4f}", str(segment)


def _clock_rows(clocks: ClockMap) -> Iterator[tuple[object, ...]]:
    yield "segment", "time_s", "recording_s", "drift_ppm", "error_ms"
    for number, segment in enumerate(clocks.segments):
        for at, offset, drift, error in zip(
            segment.times_s,
            segment.offsets_s,
            segment.drifts,
            segment.errors_s,
            strict=True,
        ):
            yield (
                number,
                f"{at:.6f}",
                f"{at + offset:.7f}",
                f"{drift * 1e6:.4f}",
                (f"{1.96e3 * error:.5f}"),
            )


def _residual_rows(clocks: ClockMap) -> Iterator[tuple[object, ...]]:
    yield "segment", "time_s", "recording_s", "rising", "residual_ms"
    for (run, recording, number), residual in zip(
        clocks.used.tolist(), clocks.residuals_s.tolist(), strict=True
    ):
        yield (
            number,
            f"{clocks.run.times_s[run]:.7f}",
            f"{clocks.recording.times_s[recording]:.7f}",
            int(clocks.run.rising[run]),
            f"{residual * 1e3:.5f}",
        )


def _write_rows(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV table under its name when it is complete."""
    with (
        atomic_file(path) as draft,
        draft.open("w", encoding="utf-8", newline="") as file,
    ):
        for row in rows:
            file.write(",".join(map(_cell, row)) + "\n")


def _cell(value: object) -> str:
    text = str(value)
    quoted = '"' + text.replace('"', '""') + '"'
    return quoted if any(sign in text for sign in ',"') else text
