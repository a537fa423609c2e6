"""Study report: the runs, groups compared in each measure, and what was excluded and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deeplabstream.analysis.analyse import POOR
from deeplabstream.analysis.group_statistics import (
    GroupComparison,
    StudyOptions,
    compare_groups,
)
from deeplabstream.analysis.measures import label_of_column, measure_of
from deeplabstream.analysis.options import AnalysisOptions, described
from deeplabstream.analysis.plots import group_plot
from deeplabstream.analysis.study import Study, analyse_runs, find_runs
from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.files.report_document import (
    Block,
    ReportDocument,
    ReportPlot,
    ReportSection,
    ReportTable,
    ReportText,
    number,
)
from deeplabstream.recording.run_catalogue import RunQuery
from deeplabstream.recording.run_folder import application_version
from deeplabstream.recording.run_summary import read_notes

if TYPE_CHECKING:
    from pandas import DataFrame

USUAL = (
    "distance", "mean_speed", "immobile_time", "freezing_time", "region_time",
    "region_entries", "stimuli",
)  # fmt: skip
"""Measures that are compared where none are chosen."""
_MOST_POOR = 15
"""Sentences on poor tracking at the top."""
_COLUMNS = 5
"""Measures side by side in the table of values."""


def study_document(
    folders: Sequence[Path],
    options: AnalysisOptions,
    design: StudyOptions,
    query: RunQuery | None = None,
    excluded: Sequence[Path] = (),
    processes: int = 0,
) -> ReportDocument:
    """Return the report of several runs.

    Parameters
    ----------
    folders : sequence of pathlib.Path
        Run folders, and folders with run folders.
    options : AnalysisOptions
        How the measures are computed.
    design : StudyOptions
        What is compared.
    query : RunQuery, optional
        Which runs of the folders are wanted; excluded ones are left out and listed.
    excluded : sequence of pathlib.Path, optional
        More runs that are listed as excluded.
    processes : int
        How many runs are analysed at the same time; 0: as many as there are cores.

    Raises
    ------
    DeepLabStreamError
        No run could be analysed, or a column is missing.
    """
    query = query or RunQuery(excluded=False)
    runs = find_runs(folders, query)
    with_excluded = find_runs(folders, replace(query, excluded=True))
    left_out = [
        (run.name, read_notes(run).excluded)
        for run in dict.fromkeys([*with_excluded, *excluded])
        if run not in runs
    ]
    if not runs:
        raise DeepLabStreamError("no run fits: all are excluded, or there is none")
    study = analyse_runs(runs, options, processes=processes)
    if study.table.empty:
        errors = dict.fromkeys(error for _, error in study.failed)
        raise DeepLabStreamError(f"no run could be analysed: {'; '.join(errors)}")
    rows = study.table
    rows = rows if design.by == "span" else rows[rows["span"] == "whole"]
    measures = list(design.measures) or _usual(rows)
    for name in (design.by, *measures):
        if name not in rows:
            columns = ", ".join(map(str, rows.columns))
            raise DeepLabStreamError(f"no column {name}; the table has: {columns}")
    rows = rows.assign(**{design.by: rows[design.by].fillna("").astype(str)})
    sections = [
        ReportSection("Study", [_facts(rows, runs, design, options)]),
        ReportSection("Groups", list(_groups(study, rows, measures, design))),
        ReportSection("Runs", [_runs(study)]),
        ReportSection("Exclusions", list(_exclusions(left_out, study))),
        *_details(study, rows, measures, options),
    ]
    subtitle = f"{counted(len(runs), 'run')} · written by DeepLabStream {application_version()}"
    return ReportDocument(
        _title(folders), subtitle, list(_warnings(study, left_out)), sections
    )


def _title(folders: Sequence[Path]) -> str:
    only = folders[0].resolve() if len(folders) == 1 else None
    return f"Study {only.name}" if only is not None else f"Study of {len(folders)} runs"


def _usual(rows: "DataFrame") -> list[str]:
    return [
        str(column)
        for name in USUAL
        for column in rows.columns
        if (measure := measure_of(str(column))) is not None
        and measure.name == name
        and rows[column].notna().any()
    ]


def _warnings(study: Study, excluded: Sequence[tuple[str, str]]) -> Iterator[str]:
    poor = [(run, note) for run, note in study.notes if note.startswith(POOR)]
    if poor:
        count = len({run for run, _ in poor})
        total = study.table["run"].nunique()
        yield f"Runs with poor tracking: {count} of {total}"
    for run, note in poor[:_MOST_POOR]:
        yield f"{run.name}: {note}"
    if left := poor[_MOST_POOR:]:
        yield f"{len(left)} more sentences on poor tracking are in the notes at the end."
    if excluded:
        yield f"Excluded runs: {len(excluded)}; the reasons are below"
    if study.failed:
        yield f"Runs that could not be analysed: {len(study.failed)}; the reasons are below"


def _facts(
    rows: "DataFrame",
    runs: Sequence[Path],
    design: StudyOptions,
    options: AnalysisOptions,
) -> ReportTable:
    groups = rows.groupby(design.by)["animal"].nunique()
    days = sorted(str(started)[:10] for started in rows["started"] if started)
    usual = described(AnalysisOptions())
    changed = {
        name: value
        for name, value in described(options).items()
        if value != usual[name]
    }
    found = [
        ("runs", str(len(runs))),
        ("animals", str(rows["animal"].nunique())),
        (
            f"animals per {design.by}",
            ", ".join(f"{name or '(empty)'}: {n}" for name, n in groups.items()),
        ),
        ("experiments", ", ".join(sorted({str(e) for e in rows["experiment"] if e}))),
        ("days", f"{days[0]} to {days[-1]}" if days else ""),
        (
            "options that are not the defaults",
            ", ".join(f"{name} = {value}" for name, value in changed.items()) or "none",
        ),
    ]
    return ReportTable(("", ""), [(name, text) for name, text in found if text])


def _groups(
    study: Study,
    rows: "DataFrame",
    measures: Sequence[str],
    design: StudyOptions,
) -> Iterator[Block]:
    """Yield a plot of each measure, the numbers, and the tests."""
    yield ReportText(
        "Every point is an animal: the mean of its runs. Beside the points: mean ± s.e.m."
    )
    shown = rows[rows[design.by].isin(design.levels)] if design.levels else rows
    for column in measures:
        try:
            plot = group_plot(shown, column, design.by)
            yield ReportPlot(label_of_column(column), plot)
        except DeepLabStreamError as error:
            yield ReportText(f"No plot of {label_of_column(column)}: {error}")
    yield ReportTable(
        ("measure", design.by, "n", "mean", "s.d.", "median", "lowest", "highest"),
        list(_described(shown, measures, design.by)),
    )
    try:
        compared = compare_groups(
            study.table, measures, design.by, design.levels, design.paired, design.test
        )
    except DeepLabStreamError as error:
        yield ReportText(f"Groups are not tested: {error}", "warning")
    else:
        yield from _tests(compared)
    yield ReportTable(("measure", "definition"), list(_definitions(measures)))


def _described(
    rows: "DataFrame", measures: Sequence[str], by: str
) -> Iterator[tuple[str, ...]]:
    for column in measures:
        means = rows.dropna(subset=[column]).groupby([by, "animal"])[column].mean()
        for group, values in means.groupby(level=0):
            means_of = values.to_numpy(np.float64)
            spread = float(means_of.std(ddof=1)) if len(means_of) > 1 else np.nan
            middle, lowest, highest = (
                np.median(means_of),
                means_of.min(),
                means_of.max(),
            )
            cells = map(
                number, (float(means_of.mean()), spread, middle, lowest, highest)
            )
            label = label_of_column(column)
            yield (label, str(group) or "(empty)", str(len(means_of)), *cells)


def _tests(compared: GroupComparison) -> Iterator[Block]:
    yield ReportText(
        "The animal is the unit of observation. Difference: the first group minus the second, "
        "with its 95 % interval. p (Holm) is corrected for all measures, or for the pairs of "
        "groups."
    )
    rows = []
    for row in compared.table.to_dict("records"):
        difference = _interval(row, "difference", "ci_low", "ci_high")
        effect = _interval(row, "effect", "effect_low", "effect_high")
        rows.append((
            label_of_column(row["measure"]), row["comparison"], row["n"],
            row["test"] or "not tested",
            f"of {row['of']}: {difference}" if row["of"] else "–",
            f"{row['effect_size']} {effect}" if row["effect_size"] else "–",
            _p(row["p"]), _p(row["p_holm"]), row["reason"],
        ))  # fmt: skip
    heads = (
        "measure", "comparison", "n", "test", "difference [95 %]", "effect size [95 %]",
        "p", "p (Holm)", "why this test",
    )  # fmt: skip
    yield ReportTable(heads, rows)
    if compared.notes:
        yield ReportText("; ".join(compared.notes))


def _interval(row: Mapping[Any, Any], value: str, low: str, high: str) -> str:
    text = number(float(row[value]))
    if np.isfinite(row[low]) and np.isfinite(row[high]):
        text += f" [{number(float(row[low]))}, {number(float(row[high]))}]"
    return text


def _p(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def _definitions(measures: Sequence[str]) -> Iterator[tuple[str, str]]:
    for column in measures:
        measure = measure_of(column)
        definition = (
            measure.definition.replace("`", "") if measure else "column of the table"
        )
        yield label_of_column(column), definition


def _runs(study: Study) -> ReportTable:
    whole = study.table[study.table["span"] == "whole"]
    poor = {run.name for run, note in study.notes if note.startswith(POOR)}
    return ReportTable(
        (
            "run", "started", "animal", "group", "experiment", "duration (s)",
            "missing (share)", "tracking",
        ),
        [
            (
                str(row["run"]), str(row["started"])[:16], str(row["animal"]),
                str(row["group"]), str(row["experiment"]), number(float(row["duration_s"])),
                number(float(row["missing"])), "POOR" if row["run"] in poor else "",
            )
            for row in whole.to_dict("records")
        ],
    )  # fmt: skip


def _exclusions(
    excluded: Sequence[tuple[str, str]], study: Study
) -> Iterator[ReportText | ReportTable]:
    rows = [(name, "excluded", reason) for name, reason in excluded]
    rows += [(run.name, "can't be analysed", error) for run, error in study.failed]
    if rows:
        yield ReportTable(("run", "", "reason"), rows)
    else:
        yield ReportText("No run was left out.")


def _details(
    study: Study,
    rows: "DataFrame",
    measures: Sequence[str],
    options: AnalysisOptions,
) -> Iterator[ReportSection]:
    tables = []
    for at in range(0, len(measures), _COLUMNS):
        chosen = list(measures[at : at + _COLUMNS])
        cells = [
            (
                str(row["run"]), str(row["animal"]), str(row["span"]),
                *(number(float(row[column])) for column in chosen),
            )
            for row in rows.to_dict("records")
        ]  # fmt: skip
        tables.append(ReportTable(("run", "animal", "span", *chosen), cells))
    yield ReportSection("Values", tables, is_folded=True)
    used = list(described(options).items())
    yield ReportSection(
        "Options of the measures",
        [ReportTable(("option", "value"), used)],
        is_folded=True,
    )
    if study.notes:
        notes = [(run.name, note) for run, note in study.notes]
        yield ReportSection(
            "Notes", [ReportTable(("run", "note"), notes)], is_folded=True
        )
