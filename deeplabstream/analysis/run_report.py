"""Run report: subject, settings, frames, latency, tracking, measures and plots of a run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from deeplabstream.analysis.analyse import POOR, RunResults, Value, analyse
from deeplabstream.analysis.camera_account import (
    acted_times,
    counted_frames,
    latencies,
    losses,
)
from deeplabstream.analysis.options import AnalysisOptions, described
from deeplabstream.analysis.plot_style import PlotOptions
from deeplabstream.analysis.plots import PLOTS, plot
from deeplabstream.analysis.spans import TimeSpan
from deeplabstream.analysis.time_plots import signals_of, stimulations_of
from deeplabstream.analysis.tracking_quality import RULES
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.report_document import (
    Block,
    ReportDocument,
    ReportPlot,
    ReportSection,
    ReportTable,
    ReportText,
    number,
)
from deeplabstream.recording.audit_results import AuditResults, read_results
from deeplabstream.recording.exposure_pulses import pulse_sentences
from deeplabstream.recording.place_account import PlaceAccount, place_accounts
from deeplabstream.recording.recorded_frames import (
    RecordedFrames,
    analysed_cameras,
    read_frames,
)
from deeplabstream.recording.resumed_state import resumed_of
from deeplabstream.recording.run_folder import RunFolder, application_version
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.run_schema import IMPORTED
from deeplabstream.recording.run_summary import RunSummary, summarise
from deeplabstream.recording.table_reader import is_experiment_boundary
from deeplabstream.settings.ini_reading import read_sections

_MOST_EVENTS = 500
_MOST_SPANS = 12
"""Largest number of bins and phases side by side; AnalyseRuns writes more as a table."""
_SPANS_SIDE_BY_SIDE = 4
_MOST_SIGNALS = 8
"""Largest number of peri-stimulus plots of an animal."""
_FIRST_SECTIONS = (
    "Experiment", "Trigger", "Output", "Pose Estimation", "Camera", "Tracking", "Animals",
    "Session",
)  # fmt: skip
"""Sections of the settings in the order of a report; all others follow."""
_PASSWORD = re.compile(r"(\w+://[^\s/:@]+):[^\s/@]+@")


@dataclass(frozen=True, eq=False)
class _Run:
    """Input of a report."""

    folder: RunFolder
    summary: RunSummary
    facts: Mapping[str, Any]
    events: Sequence[Mapping[str, str]]
    frames: Mapping[str, RecordedFrames]
    results: Mapping[str, RunResults]
    """By camera, the deciding one first."""
    failed: Mapping[str, str]
    """By camera, why there are no results."""
    notes: Sequence[str]
    """Repairs, and lines that can't be read."""
    places: Mapping[str, PlaceAccount]
    """Uncertain places, by camera; empty: a single animal."""
    audit: AuditResults | None
    """Figures of the run's audit; None: there is none."""


def run_document(
    run: Path, options: AnalysisOptions, plots: PlotOptions | None = None
) -> ReportDocument:
    """Return the report of a run.

    Parameters
    ----------
    run : pathlib.Path
        The run folder; a run that was killed is repaired first.
    options : AnalysisOptions
        How the measures are computed; without `camera`, of each camera with poses.
    plots : PlotOptions, optional
        What the plots show; every animal is drawn.

    Raises
    ------
    DeepLabStreamError
        Not a run folder, or an option does not fit the run.
    """
    read = _read(run, options)
    sections = [
        ReportSection("Run", [_who(read)]),
        *_quality(read),
        *_measures(read),
        *_trials(read),
        *_audit(read),
        *_plots(read, plots or PlotOptions()),
        ReportSection("Frames and latency", list(_frames(read))),
        ReportSection("Exclusions", list(_exclusions(read))),
        *_settings(read, options),
        *_events(read),
    ]
    summary = read.summary
    parts = [summary.animal, summary.group, summary.experiment]
    written = f"written by DeepLabStream {application_version()}"
    return ReportDocument(
        f"Run {run.resolve().name}",
        " · ".join([*filter(None, parts), written]),
        list(_warnings(read)),
        sections,
    )


def _read(run: Path, options: AnalysisOptions) -> _Run:
    notes: list[str] = []
    folder = open_run_folder(run, notes.append)
    cameras = analysed_cameras(folder) if folder.facts.get("skeleton") else []
    selected = [options.camera] if options.camera else cameras
    results: dict[str, RunResults] = {}
    failed: dict[str, str] = {}
    frames: dict[str, RecordedFrames] = {}
    for camera in selected:
        own = replace(options, camera=camera)
        try:
            results[camera] = analyse(folder, own)
        except DeepLabStreamError as error:
            failed[camera] = str(error)
        try:
            frames[camera] = read_frames(folder, camera)
        except (DeepLabStreamError, OSError, ValueError, KeyError) as error:
            failed.setdefault(camera, str(error))
    if failed and not results and options != AnalysisOptions():
        raise DeepLabStreamError(next(iter(failed.values())))
    places: Mapping[str, PlaceAccount] = {}
    try:
        places = place_accounts(run)
    except (DeepLabStreamError, OSError, ValueError, KeyError) as error:
        notes.append(f"uncertain places are not known: {error}")
    audit = None
    try:
        audit = read_results(run)
    except DeepLabStreamError as error:
        notes.append(str(error))
    deciding = read_sections(folder.settings_text).texts.get("Experiment", {})
    first = deciding.get("CAMERA", "")
    ordered = sorted(results, key=lambda camera: camera != first)
    return _Run(
        folder, summarise(folder.path), folder.facts, folder.events(), frames,
        {camera: results[camera] for camera in ordered}, failed,
        list(dict.fromkeys(notes)), places, audit,
    )  # fmt: skip


def _warnings(run: _Run) -> Iterator[str]:
    """Yield the first remarks: the run is excluded, cut off, or poorly tracked."""
    if run.summary.excluded:
        yield f"This run is excluded from results: {run.summary.excluded}"
    for camera, results in run.results.items():
        where = f"camera {camera}: " if len(run.results) > 1 else ""
        for shares in results.quality.values():
            for share in shares:
                if share.is_poor:
                    yield f"Poor tracking: {where}{share}"
    if not run.results and not run.failed:
        yield "No poses: nothing was analysed, so there are no measures and no plots."
    for camera, error in run.failed.items():
        yield f"No results of camera {camera}: {error}"
    for note in run.summary.repaired:
        yield f"Repaired: {note}"
    yield from (note for note in run.notes if not note.startswith("repaired: "))
    if run.facts.get("how") not in (None, "stopped", "ended", IMPORTED):
        yield f"The run ended: {run.facts['how']}"
    for account in run.facts.get("accounting") or ():
        if not account.get("closes", True):
            yield (
                f"The frame accounts of camera {account['camera']} ({account['span']}) do "
                "not close"
            )


def _who(run: _Run) -> ReportTable:
    summary, facts = run.summary, run.facts
    session = facts.get("session") or {}
    experiment = facts.get("experiment") or {}
    model = facts.get("model") or {}
    networks = {"": model, **model.get("cameras", {})}
    resumed = resumed_of(facts)
    rows = [
        ("run folder", summary.path.resolve().name),
        ("started", summary.started.isoformat(" ", "seconds") if summary.started else ""),
        ("duration", "" if summary.duration_s is None else f"{summary.duration_s:.1f} s"),
        ("experiment", " ".join(filter(None, [
            summary.experiment, f"({experiment['KIND']})" if "KIND" in experiment else "",
        ]))),
        *((name, str(session.get(name) or "")) for name in (
            "animal", "group", "experimenter", "species", "sex", "age",
        )),
        ("notes", summary.notes),
        ("tags", ", ".join(summary.tags)),
        ("ended", summary.outcome),
        ("continues", resumed.sentence if resumed is not None else ""),
        ("cameras", "; ".join(_camera(run, name) for name in facts["cameras"])),
        *((
            f"network {camera}".strip(),
            f"{network.get('name')}, confidence threshold {network.get('threshold'):g}, "
            f"{network.get('provider') or 'provider not known'}"
            + (f", SHA-256 {network['sha256'][:16]}…" if network.get("sha256") else ""),
        ) for camera, network in networks.items() if network),
        ("program", f"DeepLabStream {facts.get('application') or 'of unknown version'}, "
         f"Python {facts.get('python') or 'not known'}, {facts.get('system') or ''}"),
    ]  # fmt: skip
    return ReportTable(("", ""), [(name, text) for name, text in rows if text])


def _camera(run: _Run, name: str) -> str:
    form = run.facts["cameras"][name]
    height, width = form["shape"][:2]
    rate = f", {form['rate']:g} frames/s" if form.get("rate") else ""
    results = run.results.get(name)
    scale = ""
    if results is not None:
        calibration = results.data.calibration
        scale = ", not calibrated"
        if calibration is not None and calibration.marks:
            scale = ", calibrated by MARKS"
        elif calibration is not None:
            scale = f", {calibration.matrix[0][0]:.4g} mm per px"
    return f"{name}, {width} × {height} px{rate}{scale}"


def _quality(run: _Run) -> Iterator[ReportSection]:
    """Yield the tables of lost tracking."""
    if not run.results:
        return
    columns = [
        (f"{animal}, {camera}" if len(run.results) > 1 else animal, shares)
        for camera, results in run.results.items()
        for animal, shares in results.quality.items()
    ]
    rows = []
    for at, rule in enumerate(RULES):
        found = [shares[at] for _, shares in columns]
        cells = [f"{number(share.share)}{' POOR' * share.is_poor}" for share in found]
        rows.append((rule.name, *cells, number(rule.limit), _plain(rule.definition)))
    parts = [
        row
        for camera, found in run.results.items()
        for row in _body_parts(camera, found)
    ]
    blocks: list[Block] = [
        ReportTable(
            ("share", *(name for name, _ in columns), "limit", "definition"), rows
        ),
        ReportTable(
            ("camera", "animal", "body part", "found (share)", "median confidence"),
            parts,
        ),
        *(
            ReportText(f"Names of animals, camera {camera}: {account}.")
            for camera, account in run.places.items()
        ),
    ]
    lost = [losses(camera, frames.rows) for camera, frames in run.frames.items()]
    if any(is_experiment_boundary(e["kind"], e["name"], e["text"]) for e in run.events):
        blocks += [
            ReportText(
                "Lost: analysed frames on which a trigger of the experiment was unknown "
                "(with arenas: in each whose plan runs)."
            ),
            ReportTable(
                (
                    "camera", "lost frames", "analysed frames", "losses", "lost (s)",
                    "longest (s)",
                ),
                [
                    (
                        loss.camera, str(loss.frames), str(loss.analysed), str(loss.times),
                        number(loss.total_s), number(loss.longest_s),
                    )
                    for loss in lost
                ],
            ),
        ]  # fmt: skip
    yield ReportSection("Tracking", blocks)


def _body_parts(
    camera: str, results: RunResults
) -> Iterator[tuple[str, str, str, str, str]]:
    data = results.data
    found = np.isfinite(data.points[..., 0])
    for at, animal in enumerate(data.animals):
        for part, name in enumerate(data.skeleton.bodyparts):
            confidence = data.confidence[:, at, part]
            yield (
                camera, animal, name, number(float(found[:, at, part].mean())),
                number(float(np.nanmedian(confidence))),
            )  # fmt: skip


def _measures(run: _Run) -> Iterator[ReportSection]:
    for camera, results in run.results.items():
        where = f" (camera {camera})" if len(run.results) > 1 else ""
        whole, *others = results.spans
        period = (
            f"From {whole.start_s:.2f} s to {whole.end_s:.2f} s after Start Stream. Lengths "
            f"are in {results.unit}. share: from 0 to 1; –: not defined."
        )
        yield ReportSection(
            f"Measures{where}", [ReportText(period), _values(results, [whole], True)]
        )
        for animal in results.tracks:
            if 0 < len(others) <= _MOST_SPANS:
                of = f", {animal}" if len(results.tracks) > 1 else ""
                tables = [
                    _values(
                        results, others[at : at + _SPANS_SIDE_BY_SIDE], False, animal
                    )
                    for at in range(0, len(others), _SPANS_SIDE_BY_SIDE)
                ]
                yield ReportSection(
                    f"Bins and phases{where}{of}", tables, 3, is_folded=True
                )
        if len(others) > _MOST_SPANS:
            sentence = (
                f"{len(others)} bins and phases: AnalyseRuns.py --table has them."
            )
            yield ReportSection(f"Bins and phases{where}", [ReportText(sentence)], 3)


def _values(
    results: RunResults,
    spans: Sequence[TimeSpan],
    with_definitions: bool,
    animal: str = "",
) -> ReportTable:
    """Return a row per measure, and a column per animal, or per span of one animal."""
    animals = [animal] if animal else list(results.tracks)
    columns = [(name, span) for name in animals for span in spans]
    by_row: dict[tuple[str, str], dict[tuple[str, str], Value]] = {}
    for value in results.values:
        key = value.measure.name, value.of
        by_row.setdefault(key, {})[value.animal, value.span.name] = value
    rows = []
    for (name, of), values in by_row.items():
        cells = [values.get((animal_name, span.name)) for animal_name, span in columns]
        first = next(iter(values.values()))
        unit = "" if first.unit == "count" else first.unit
        numbers = [number(np.nan if cell is None else cell.value) for cell in cells]
        definition = [_plain(first.measure.definition)] if with_definitions else []
        if any(cell is not None for cell in cells):
            rows.append([name, of, unit, *numbers, *definition])
    heads = [span.name for _, span in columns] if animal else animals
    return ReportTable(
        ["measure", "of", "unit", *heads, *["definition"] * with_definitions], rows
    )


def _plain(text: str) -> str:
    """Return a definition without the marks of the documentation."""
    return text.replace("`", "")


def _trials(run: _Run) -> Iterator[ReportSection]:
    results = next(iter(run.results.values()), None)
    if results is None or not results.data.trials:
        return
    zero_s = results.spans[0].start_s
    rows = [
        (
            str(trial.experiment), str(trial.number),
            number(trial.start_s - zero_s), number(trial.end_s - zero_s),
            trial.stimulus, trial.outcome, number(trial.reaction_s),
        )
        for trial in results.data.trials
    ]  # fmt: skip
    times = "start (s)", "end (s)"
    heads = "experiment", "trial", *times, "stimulus", "outcome", "reaction time (s)"
    yield ReportSection("Trials", [ReportTable(heads, rows)])


def _audit(run: _Run) -> Iterator[ReportSection]:
    """Yield what was found out about the errors of triggers: of this run, or an earlier one."""
    blocks: list[Block] = []
    if run.audit is not None:
        blocks.append(
            ReportText(
                "How often triggers and outputs were right, judged by raters on a random "
                "sample of this run. An interval contains the share of the run's frames "
                "with a probability of 95 %."
            )
        )
        rows = [
            (
                f"{row.group} {row.name}", "" if row.hour is None else str(row.hour + 1),
                row.measure, number(row.interval.value), number(row.interval.low),
                number(row.interval.high), str(row.clips),
            )
            for row in run.audit.rows
        ]  # fmt: skip
        heads = "of", "hour", "figure", "value", "95 % from", "to", "clips"
        blocks.append(ReportTable(heads, rows))
        blocks += [ReportText(line) for line in run.audit.remarks()]
    if earlier := validate_facts(run.facts)[0].get("audit"):
        blocks.append(
            ReportText(
                f"This run rests on the audit of the earlier run {earlier['run']}, with "
                f"{earlier['judged']} judged clips."
            )
        )
        blocks += [ReportText(figure) for figure in earlier["figures"]]
        changed = "; ".join(earlier["changed"]) or "nothing"
        blocks.append(ReportText(f"Changed since that audit: {changed}."))
    if blocks:
        yield ReportSection("Audit of triggers", blocks)


def _plots(run: _Run, options: PlotOptions) -> Iterator[ReportSection]:
    several = sum(len(results.tracks) for results in run.results.values()) > 1
    for camera, results in run.results.items():
        for animal in results.tracks:
            where = f": {animal}, camera {camera}" if several else ""
            own = replace(options, animal=animal)
            yield ReportSection(f"Plots{where}", list(plots_of(results, own)))


def plots_of(
    results: RunResults, options: PlotOptions
) -> Iterator[ReportPlot | ReportText]:
    """Yield all plots of one animal; a sentence for each that can't be drawn.

    Signals that never change, such as freezing of an animal that never froze, are not drawn
    around stimulations.
    """
    for name, kind in PLOTS.items():
        if name == "peri-stimulus":
            continue
        try:
            yield ReportPlot(kind.title, plot(results, name, options))
        except DeepLabStreamError as error:
            yield ReportText(f"No plot {name}: {error}")
        if name == "track" and options.colour == "time":
            by_speed = replace(options, colour="speed")
            yield ReportPlot("Track, by speed", plot(results, name, by_speed))
    try:
        stimulations_of(results, options.output)
    except DeepLabStreamError as error:
        yield ReportText(f"No plot peri-stimulus: {error}")
        return
    outputs = [
        name
        for name, spans in results.data.outputs.items()
        if len(spans) and options.output in ("", name)
    ]
    candidates = [
        (output, name, signal)
        for name, signal in signals_of(results, options.animal).items()
        for output in outputs
        if len(set(signal.values[np.isfinite(signal.values)].tolist())) > 1
    ]
    for output, name, signal in candidates[:_MOST_SIGNALS]:
        own = replace(options, output=output, signal=name)
        try:
            figure = plot(results, "peri-stimulus", own)
        except DeepLabStreamError:
            continue  # it was on only outside of the period
        yield ReportPlot(f"{signal.name} around {output}", figure)
    if left := candidates[_MOST_SIGNALS:]:
        named = ", ".join(f"{name} ({output})" for output, name, _ in left)
        yield ReportText(f"Not drawn around stimulations: {named}")


def _import_source(imported: Mapping[str, Any]) -> str:
    video, poses = (Path(str(imported.get(word))).name for word in ("video", "poses"))
    return (
        f"Imported: the video {video} with the poses of {poses} (SHA-256 "
        f"{imported.get('poses_sha256')}). Times are {imported.get('times')}; the start is "
        f"{imported.get('started')}. There are no frame accounts and no latency."
    )


def _frames(run: _Run) -> Iterator[Block]:
    if run.facts.get(IMPORTED):
        yield ReportText(_import_source(run.facts[IMPORTED]))
        return
    names = (
        "exposed", "delivered", "lost", "dropped", "analysed", "skipped", "recorded",
    )  # fmt: skip
    rows = []
    for account in counted_frames(run.folder):
        counts = [_count(account.get(name)) for name in names]
        losses_of_video = _count(account.get("recording_losses"))
        closes = {"True": "yes", "False": "NO"}.get(str(account.get("closes")), "–")
        rows.append(
            (account["camera"], account["span"], *counts, losses_of_video, closes)
        )
    yield ReportText(
        "exposed = delivered + lost at the device; delivered = analysed + skipped; "
        "delivered = recorded + recording losses. dropped: known to be missing where the "
        "camera does not report its losses. –: not known, or does not apply."
    )
    heads = "camera", "span", *names, "recording losses", "closes"
    yield ReportTable(heads, rows)
    if any(row[1] == "tables" for row in rows):
        yield ReportText(
            "span tables: counted from the rows of the tables, because the run has no "
            "frame accounts."
        )
    if run.facts.get("rehearsal"):
        yield ReportText(
            "A simulation: its times are simulated, so there is no latency."
        )
        return
    found = [
        latency
        for camera, frames in run.frames.items()
        for latency in latencies(camera, frames.rows, acted_times(run.events, camera))
    ]
    if found:
        yield ReportText(
            "Latency in ms. exposed: time of exposure, or of arrival where the camera does not "
            "report it; posed: pose ready; written: last output written."
        )
        yield ReportTable(
            ("camera", "latency", "n", "p50 (ms)", "p95 (ms)", "p99 (ms)", "max (ms)"),
            [
                (
                    latency.camera, latency.what, str(latency.count),
                    *map(number, (latency.p50, latency.p95, latency.p99, latency.longest)),
                )
                for latency in found
            ],
        )  # fmt: skip
    skew = run.facts.get("skew") or ()
    if skew:
        yield ReportText("Time between the frames of two cameras, ms.")
        yield ReportTable(
            ("cameras", "p50", "p95", "max"),
            [
                (
                    " and ".join(entry["cameras"]),
                    *(number(float(entry["ms"][name])) for name in ("p50", "p95", "max")),
                )
                for entry in skew
            ],
        )  # fmt: skip
    if pulses := validate_facts(run.facts)[0].get("pulses"):
        yield ReportText("Frames and the numbered pulses of their exposures.")
        for sentence in pulse_sentences(pulses):
            yield ReportText(sentence)


def _count(value: Any) -> str:
    return "–" if value is None else str(value)


def _exclusions(run: _Run) -> Iterator[Block]:
    excluded = run.summary.excluded
    yield ReportText(
        f"The run is excluded from results: {excluded}"
        if excluded
        else "The run is not excluded."
    )
    rows = []
    for camera, results in run.results.items():
        data, whole = results.data, results.spans[0]
        outside = int((~((data.t >= whole.start_s) & (data.t <= whole.end_s))).sum())
        rows.append((camera, "", "analysed frames outside of the period", str(outside)))
        for at, animal in enumerate(data.animals):
            low = ~(data.confidence[:, at] >= data.threshold)
            reasons = (
                (f"points with a confidence below {data.threshold:g}", low),
                ("points that [Tracking] rejected", data.rejected[:, at]),
                ("frames with ambiguous identity", data.ambiguous[:, at]),
            )
            for reason, flags in reasons:
                if flags.any() or reason.startswith("points with"):
                    cell = f"{int(flags.sum())} of {flags.size}"
                    rows.append((camera, animal, reason, cell))
            track = results.tracks[animal]
            gap_s = results.options.max_gap_s
            unknown = track.t[1:][~track.known] - track.t[:-1][~track.known]
            cell = f"{unknown.sum():.1f} s"
            reason = f"gaps longer than {gap_s:g} s, not interpolated"
            rows.append((camera, animal, reason, cell))
    if rows:
        yield ReportText("What does not count in the measures:")
        yield ReportTable(("camera", "animal", "left out", "how much"), rows)
    notes = [
        f"{camera}: {note}" if len(run.results) > 1 else note
        for camera, results in run.results.items()
        for note in results.notes
        if not note.startswith(POOR)
    ]
    if notes:
        yield ReportText("Notes: " + "; ".join(notes))


def _settings(run: _Run, options: AnalysisOptions) -> Iterator[ReportSection]:
    usual = described(AnalysisOptions())
    rows = [
        (name, text, "" if text == usual[name] else "changed")
        for name, text in described(options).items()
    ]
    rows.sort(key=lambda row: not row[2])
    if run.results:
        table = ReportTable(("option", "value", ""), rows)
        yield ReportSection("Options of the measures", [table], is_folded=True)
    text = _PASSWORD.sub(r"\1:…@", run.folder.settings_text)
    sections = read_sections(text).texts
    first = {name: at for at, name in enumerate(_FIRST_SECTIONS)}

    def place(title: str) -> int:
        kind = title if title in first else title.partition(" ")[0]
        return first.get(kind, len(first))

    ordered = sorted(sections, key=place)
    rows = [
        (f"[{title}]", key, value)
        for title in ordered
        for key, value in sections[title].items()
    ]
    yield ReportSection(
        "Settings", [ReportTable(("section", "key", "value"), rows)], is_folded=True
    )
    yield ReportSection(
        "settings.ini as used", [ReportText(text, "file")], is_folded=True
    )


def _events(run: _Run) -> Iterator[ReportSection]:
    rows = [
        (f"{float(row['time_s']):.3f}", row["kind"], row["name"], row["text"])
        for row in run.events
        if row["kind"] in ("note", "mark")
    ]
    blocks: list[Block] = [
        ReportTable(("time (s)", "kind", "subject", "text"), rows[:_MOST_EVENTS])
    ]
    if len(rows) > _MOST_EVENTS:
        blocks.append(ReportText(f"{len(rows) - _MOST_EVENTS} more are in events.csv."))
    yield ReportSection(f"Notes and marks ({len(rows)})", blocks, is_folded=True)
