r"""Compute the measures of recorded runs and write them as one table.

    python utils/AnalyseRuns.py output/2026-11-21_10-58-55
    python utils/AnalyseRuns.py output --bin-s 60 --phases stimulation:laser --table all.csv
    python utils/AnalyseRuns.py RUN --plots figures --format svg pdf
    python utils/AnalyseRuns.py RUN --report report.html
    python utils/AnalyseRuns.py output --report study.pdf --levels treated control
    python utils/AnalyseRuns.py output --group control --since 2026-11-01 --table all.xlsx
    python utils/AnalyseRuns.py RUN --region "left = circle 160 240 60" --keep-regions

One row per run, animal, and time bin or phase; docs/results.md defines each measure. A
folder with run folders stands for those in it that fit --animal, --group and so on and are
not excluded. Regions of the triggers count; --region adds
others, in pixels, and --keep-regions keeps these with the run, in regions.json. With
--report, a table is written only where --table names it.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from deeplabstream.analysis import study
from deeplabstream.analysis.analyse import RunResults
from deeplabstream.analysis.group_statistics import StudyOptions
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.plot_style import FORMATS, PlotOptions, save_plot
from deeplabstream.analysis.plots import PLOTS, plot
from deeplabstream.analysis.region_list import change_places
from deeplabstream.analysis.report import (
    check_report_name,
    write_run_report,
    write_study_report,
)
from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.core.visible_text import visible
from deeplabstream.files.overwriting import check_free
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.recording.run_catalogue import RunQuery
from deeplabstream.recording.run_folder import stem
from deeplabstream.recording.run_summary import read_notes
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.startup.program import CANT

_RUNS = "which runs of a folder"
"""Group of the options that select runs."""


@program_options
class AnalyseRuns(AnalysisOptions, StudyOptions):
    """Runs, how their measures are computed and compared, and the files to write."""

    runs: tuple[Path, ...] = option(positional=True, metavar="RUN")
    """Run folders, or their folder."""
    table: Path | None = option(default=None, metavar="FILE")
    """.csv, .parquet or .xlsx file; default: results.csv in this folder."""
    long: bool = option(default=False)
    """One row per number, with its unit."""
    keep_regions: bool = option(default=False)
    """Keep the added regions with the runs."""
    plots: Path | None = option(default=None, metavar="FOLDER")
    """Folder to which all plots of each run are drawn."""
    format: tuple[str, ...] = option(default=("svg",), choices=FORMATS)
    """Formats of the plots."""
    report: Path | None = option(default=None, metavar="FILE")
    """.html or .pdf file: of one run its report, of several runs that of the study."""
    overwrite: bool = overwrite()

    animal: str = option(default="", metavar="NAME", group=_RUNS)
    """Name of the animal."""
    group: str = option(default="", metavar="NAME", group=_RUNS)
    """Name of the group."""
    experiment: str = option(default="", metavar="NAME", group=_RUNS)
    """Name of the experiment."""
    tag: tuple[str, ...] = option(default=(), metavar="TAG", repeated=True, group=_RUNS)
    """Tag of the run; may be given several times."""
    since: date | None = option(default=None, metavar="DAY", group=_RUNS)
    """First day, such as 2026-11-21."""
    until: date | None = option(default=None, metavar="DAY", group=_RUNS)
    """Last day."""
    text: str = option(default="", aliases=["--words"], metavar="TEXT", group=_RUNS)
    """Words that the run contains, in any order."""
    with_excluded: bool = option(default=False, group=_RUNS)
    """Also runs that are excluded."""

    def query(self) -> RunQuery:
        """Return the conditions for the runs of a folder."""
        return RunQuery(
            animal=self.animal,
            group=self.group,
            experiment=self.experiment,
            tags=self.tag,
            first=self.since,
            last=self.until,
            text=self.text,
            excluded=self.with_excluded,
        )


def analyse_runs(options: AnalyseRuns) -> int:
    """Write the table; return CANT when a run that was named could not be analysed."""
    table = options.table or (None if options.report else Path("results.csv"))
    if table is not None:
        study.check_ending(table)
    if options.report is not None:
        check_report_name(options.report)
    runs = _runs(options)
    figures = _Figures(options.plots, options.format, options.overwrite)
    files = [path for path in (table, options.report) if path is not None]
    check_free([*files, *figures.files(runs)], options.overwrite)

    if options.keep_regions:
        for run in runs:
            change_places(run, lambda places: places.with_added(options.regions, ()))
        options = replace(options, regions=())
    if options.report is not None:
        _write_report(options, options.report, runs)
        if options.table is None and options.plots is None:
            return 0

    draw = None if options.plots is None else figures.draw
    results = study.analyse_runs(runs, options, options.long, draw)
    for run, note in results.notes:
        print(visible(f"{run.name}: {note}"), file=sys.stderr)
    if len(results.failed) == len(runs):
        reasons = dict.fromkeys(error for _, error in results.failed)
        raise DeepLabStreamError(f"no run could be analysed: {'; '.join(reasons)}")
    for run, error in results.failed:
        print(visible(f"{run}: left out: {error}"), file=sys.stderr)

    if table is not None:
        study.write_table(table, results.table)
        print(f"{counted(len(runs) - len(results.failed), 'run')}, {table}")
    return CANT if any(run in options.runs for run, _ in results.failed) else 0


def _runs(options: AnalyseRuns) -> list[Path]:
    """Return the runs that fit; print which are excluded."""
    query = options.query()
    runs = study.find_runs(options.runs, query)
    for run in study.find_runs(options.runs, replace(query, excluded=True)):
        if run not in runs:
            print(
                visible(f"{run.name}: excluded: {read_notes(run).excluded}"),
                file=sys.stderr,
            )
    if not runs:
        raise DeepLabStreamError("no run fits; --with-excluded adds excluded ones")
    return runs


def _write_report(options: AnalyseRuns, file: Path, runs: Sequence[Path]) -> None:
    """Write the report of the run, or of the study of several runs."""
    if len(runs) == 1:
        print(write_run_report(runs[0], file, options))
    else:
        query = options.query()
        print(write_study_report(options.runs, file, options, options, query))


@dataclass(frozen=True)
class _Figures:
    """The plots of runs: their files, and drawing them."""

    folder: Path | None
    formats: Sequence[str]
    overwrite: bool

    def files(self, runs: Sequence[Path]) -> list[Path]:
        """Return the files of all plots of runs."""
        return [path for run in runs for name in PLOTS for path in self._of(run, name)]

    def draw(self, results: RunResults) -> Iterator[str]:
        """Write the plots of a run; yield a sentence for each that can't be drawn."""
        several = len(results.tracks) > 1
        for name in PLOTS:
            for animal in results.tracks:
                try:
                    figure = plot(results, name, PlotOptions(animal=animal))
                except DeepLabStreamError as error:
                    yield f"no plot {name}: {error}"
                    continue

                for file in self._of(results.data.folder.path, name):
                    file.parent.mkdir(parents=True, exist_ok=True)
                    own = f"{file.stem}.{stem(animal)}" if several else file.stem
                    check_free([file.with_stem(own)], self.overwrite)
                    save_plot(figure, file.with_stem(own))

    def _of(self, run: Path, name: str) -> list[Path]:
        if self.folder is None:
            return []
        return [self.folder / f"{run.name}.{name}.{ending}" for ending in self.formats]


PROGRAM = Program(AnalyseRuns, analyse_runs, __doc__, "AnalyseRuns")
