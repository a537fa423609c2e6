"""Results process: analyses recorded runs and draws plots, so that the window stays responsive.

The window sends requests through a pipe; the process handles them one after the other. It
keeps the last results, so that another plot of a run needs no new analysis. It does not
import Qt. Its priority is the usual one, as the user waits for it; while a rig runs, the
window lowers it.
"""

import io
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from deeplabstream.analysis.group_statistics import StudyOptions
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.plot_style import FigureColours, drawn_in
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.ipc.parent_watch import end_with_parent
from deeplabstream.ipc.pipe import Connection
from deeplabstream.startup.progress import VARIABLE, parse_progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from deeplabstream.analysis.analyse import RunResults
    from deeplabstream.analysis.run_data import RunData
    from deeplabstream.analysis.spans import TimeSpan
    from deeplabstream.analysis.study import Study

_MOST_ROWS = 500
"""Largest number of rows of a study that is shown."""


@dataclass(frozen=True)
class AnalyseRun:
    """Analyses a run. Answered by `RunMeasures`."""

    run: Path
    options: AnalysisOptions


@dataclass(frozen=True)
class Draw:
    """Draws a plot of a run. Answered by `Drawn`, at most `size` (width, height) px."""

    run: Path
    options: AnalysisOptions
    plot: str
    chosen: Mapping[str, Any]
    """Fields of `PlotOptions`."""
    size: tuple[int, int]
    colours: FigureColours


@dataclass(frozen=True)
class SavePlots:
    """Writes plots of a run to files, by the name of the plot. Answered by `Written`."""

    run: Path
    options: AnalysisOptions
    chosen: Mapping[str, Any]
    files: Mapping[str, Path]


@dataclass(frozen=True)
class SaveTable:
    """Writes the table of a run. Answered by `Written`."""

    run: Path
    options: AnalysisOptions
    file: Path


@dataclass(frozen=True)
class WriteReport:
    """Writes the report of a run. Answered by `Written`."""

    run: Path
    options: AnalysisOptions
    chosen: Mapping[str, Any]
    file: Path


@dataclass(frozen=True)
class WriteStudyReport:
    """Writes the report of several runs. Answered by `Written`."""

    runs: tuple[Path, ...]
    excluded: tuple[Path, ...]
    """Excluded runs: the report lists them only."""
    options: AnalysisOptions
    compared: StudyOptions
    file: Path
    processes: int


@dataclass(frozen=True)
class AnalyseStudy:
    """Analyses several runs. Answered by `StudyTable`."""

    runs: tuple[Path, ...]
    options: AnalysisOptions
    processes: int


@dataclass(frozen=True)
class SaveStudy:
    """Writes the table of a study. Answered by `Written`."""

    study: AnalyseStudy
    file: Path


@dataclass(frozen=True)
class Compare:
    """Compares groups in the table of a study. Answered by `Compared`."""

    study: AnalyseStudy
    column: str
    by: str
    span: str
    paired: bool
    test: Literal["auto", "means", "ranks"]
    size: tuple[int, int]
    colours: FigureColours


@dataclass(frozen=True)
class SaveGroups:
    """Writes the plot of a comparison. Answered by `Written`."""

    comparison: Compare
    file: Path


Shown = AnalyseRun | Draw | AnalyseStudy | Compare
"""Requests for something to show: only the newest of a kind is processed."""
Saved = SavePlots | SaveTable | WriteReport | SaveStudy | SaveGroups | WriteStudyReport
Request = Shown | Saved


@dataclass(frozen=True)
class MeasureRow:
    """One measure, for each animal and span."""

    name: str
    label: str
    unit: str
    definition: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Place:
    """A region or point of a run, in pixels."""

    name: str
    text: str
    is_point: bool
    is_own: bool
    """Whether it was added after the run."""


@dataclass(frozen=True)
class RunMeasures:
    """Results of a run, as shown in the window."""

    columns: tuple[tuple[str, str], ...]
    """Animal and label of the span, by column."""
    rows: tuple[MeasureRow, ...]
    notes: tuple[str, ...]
    animals: tuple[str, ...]
    bodyparts: tuple[str, ...]
    outputs: tuple[str, ...]
    """Outputs that were switched on."""
    signals: tuple[str, ...]
    """Signals for a peri-stimulus average."""
    has_trials: bool
    has_stages: bool
    has_light_cycle: bool
    camera: str
    image: Image | None
    """Image of the arena; None: there is no video."""
    size: tuple[int, int]
    """Height and width of the camera's image."""
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Drawn:
    """A plot as PNG. Reply to `Draw`."""

    png: bytes


@dataclass(frozen=True)
class Written:
    """Files that were written, and problems with others."""

    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyTable:
    """The first rows of a table of several runs."""

    header: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    count: int
    """Number of rows of the whole table."""
    runs: int
    """Number of analysed runs."""
    measures: tuple[str, ...]
    """Numeric columns that can be compared between groups."""
    spans: tuple[str, ...]
    failed: tuple[tuple[Path, str], ...]
    notes: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Compared:
    """A plot of groups, and one sentence per statistical test."""

    png: bytes
    sentences: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Progressed:
    """Progress of a request: `done` of `total` (0: unknown) steps of `what`."""

    done: int
    total: int
    what: str


@dataclass(frozen=True)
class Refused:
    """Reply to a request that failed: the reason."""

    reason: str


def serve(pipe: Connection) -> None:
    """Process requests until the pipe is closed: the main function of the process."""
    _set_up()
    work = _Work()
    while True:
        try:
            request = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            with redirect_stdout(_ProgressLines(pipe)):
                reply = work.answer(request)
        except DeepLabStreamError as error:
            reply = Refused(str(error))
        except Exception as error:  # a bug is reported without ending the process
            reply = Refused(
                f"{type(error).__name__}: {error}. This is a bug: report it"
            )
        try:
            pipe.send(reply)
        except OSError:
            return


def _set_up() -> None:
    """Ignore Ctrl-C, and end when the window's process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ[VARIABLE] = "1"
    end_with_parent()


class _ProgressLines(io.TextIOBase):
    """Sends progress lines through the pipe; other lines are dropped."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if found := parse_progress(line):
                with suppress(OSError):
                    self._pipe.send(Progressed(*found))
        return len(text)


@dataclass
class _Work:
    """Processes requests; keeps the last results and the last study."""

    _key: object = None
    _results: "RunResults | None" = None
    _studied: object = None
    """Runs and options of the last study."""
    _study: "Study | None" = None
    _images: dict[Path, Image | None] = field(default_factory=dict)

    def answer(self, request: Request) -> object:
        match request:
            case AnalyseRun(run, options):
                return self._measured(self._of(run, options))
            case Draw(run, options, name, chosen, size, colours):
                with drawn_in(colours):
                    return Drawn(_png(self._figure(run, options, name, chosen), size))
            case SavePlots(run, options, chosen, files):
                return self._save_plots(run, options, chosen, files)
            case SaveTable(run, options, file):
                from deeplabstream.analysis.study import write_table

                write_table(file, self._of(run, options).table())
                return Written((file,))
            case WriteReport(run, options, chosen, file):
                from deeplabstream.analysis.plot_style import PlotOptions
                from deeplabstream.analysis.report import write_run_report

                plots = PlotOptions(**chosen)
                return Written((write_run_report(run, file, options, plots),))
            case WriteStudyReport(runs, excluded, options, compared, file, processes):
                from deeplabstream.analysis.report import write_study_report

                written = write_study_report(
                    runs, file, options, compared,
                    excluded=excluded, processes=processes,
                )  # fmt: skip
                return Written((written,))
            case AnalyseStudy():
                return _shown(self._analysed(request), len(request.runs))
            case SaveStudy(study, file):
                from deeplabstream.analysis.study import write_table

                write_table(file, self._table(study))
                return Written((file,))
            case Compare():
                return self._compared(request)
            case SaveGroups(compared, file):
                from deeplabstream.analysis.plot_style import save_plot

                _, figure = self._groups(compared)
                return Written((save_plot(figure, file),))

    def _of(self, run: Path, options: AnalysisOptions) -> "RunResults":
        from deeplabstream.analysis.analyse import analyse

        key = run, options, _state(run)
        if self._results is None or key != self._key:
            self._results, self._key = None, None
            self._results = analyse(run, options)
            self._key = key
        return self._results

    def _measured(self, results: "RunResults") -> RunMeasures:
        from deeplabstream.analysis.arena_image import arena_image
        from deeplabstream.analysis.time_plots import signals_of

        data = results.data
        zero_s = results.spans[0].start_s
        columns = dict.fromkeys((value.animal, value.span) for value in results.values)
        found: dict[tuple[str, str], dict[tuple[str, TimeSpan], float]] = {}
        about: dict[tuple[str, str], tuple[str, str, str]] = {}
        for value in results.values:
            key = value.measure.name, value.of
            found.setdefault(key, {})[value.animal, value.span] = value.value
            label = value.measure.label_of(value.of)
            about[key] = label, value.unit, value.measure.definition

        # A measure may lack values: not every animal has every region.
        rows = tuple(
            MeasureRow(
                name, *about[name, of],
                tuple(numbers.get(column, float("nan")) for column in columns),
            )
            for (name, of), numbers in found.items()
        )  # fmt: skip

        # Decoding is slow, and other options of the same run need the same image.
        path = data.folder.path
        if path not in self._images:
            self._images = {path: arena_image(data)}

        signals = dict.fromkeys(
            name for animal in results.tracks for name in signals_of(results, animal)
        )
        return RunMeasures(
            tuple((animal, _heading(span, zero_s)) for animal, span in columns),
            rows,
            results.notes,
            tuple(results.tracks),
            tuple(data.skeleton.bodyparts),
            tuple(name for name, spans in data.outputs.items() if len(spans)),
            tuple(signals),
            bool(data.trials),
            bool(data.stages),
            data.light_cycle is not None,
            data.camera,
            self._images[path],
            (int(data.size[0]), int(data.size[1])),
            tuple(_places(data)),
        )

    def _figure(
        self,
        run: Path,
        options: AnalysisOptions,
        name: str,
        chosen: Mapping[str, Any],
    ) -> "Figure":
        from deeplabstream.analysis.plot_style import PlotOptions
        from deeplabstream.analysis.plots import plot

        return plot(self._of(run, options), name, PlotOptions(**chosen))

    def _save_plots(
        self,
        run: Path,
        options: AnalysisOptions,
        chosen: Mapping[str, Any],
        files: Mapping[str, Path],
    ) -> Written:
        from deeplabstream.analysis.plot_style import save_plot

        written, problems = [], []
        for name, file in files.items():
            try:
                figure = self._figure(run, options, name, chosen)
            except DeepLabStreamError as error:
                problems.append(f"no plot {name}: {error}")
                continue
            written.append(save_plot(figure, file))
        return Written(tuple(written), tuple(problems))

    def _analysed(self, request: AnalyseStudy) -> "Study":
        from deeplabstream.analysis.study import analyse_runs

        self._studied = self._study = None
        self._study = analyse_runs(
            request.runs, request.options, processes=request.processes
        )
        self._studied = request.runs, request.options
        return self._study

    def _table(self, request: AnalyseStudy) -> "DataFrame":
        """Return the table of a study; analyse the runs again in a restarted process."""
        study = self._study
        if study is None or self._studied != (request.runs, request.options):
            study = self._analysed(request)
        if study.table.empty:
            raise DeepLabStreamError("none of the runs could be analysed")
        return study.table

    def _groups(self, comparison: Compare) -> "tuple[DataFrame, Figure]":
        """Return the rows that are compared, and their plot."""
        from deeplabstream.analysis.plots import group_plot

        table = self._table(comparison.study)
        if comparison.by == "span":
            table = table[table["kind"] != "whole"]
        else:  # a bin or phase is compared like a whole run
            table = table[table["span"] == comparison.span].assign(span="whole")
        return table, group_plot(table, comparison.column, comparison.by)

    def _compared(self, comparison: Compare) -> Compared:
        from deeplabstream.analysis.group_statistics import (
            compare_groups,
            results_sentence,
        )

        with drawn_in(comparison.colours):
            table, figure = self._groups(comparison)
            png = _png(figure, comparison.size)
        try:
            found = compare_groups(
                table,
                [comparison.column],
                comparison.by,
                (),
                comparison.paired,
                comparison.test,
            )
        except DeepLabStreamError as error:  # for example if there is only one group
            return Compared(png, (), (str(error),))
        rows = found.table.to_dict("records")
        return Compared(png, tuple(map(results_sentence, rows)), tuple(found.notes))


def _places(data: "RunData") -> Iterator[Place]:
    """Yield regions and points in pixels; those in mm can't be edited."""
    calibration = data.calibration
    for region in data.places.regions:
        text, is_own = str(region.region), region.source == "added"
        if region.unit == "mm":
            if calibration is None:
                continue
            numbers = calibration.outline_px(region.region.outline()).ravel()
            text = " ".join(["polygon", *(f"{number:.1f}" for number in numbers)])
            is_own = False
        yield Place(region.name, text, False, is_own)
    for point in data.places.points:
        x, y, is_own = point.x, point.y, point.source == "added"
        if point.unit == "mm":
            if calibration is None:
                continue
            (x, y), is_own = calibration.to_px(np.array([[x, y]]))[0].tolist(), False
        yield Place(point.name, f"{x:.1f}, {y:.1f}", True, is_own)


def _heading(span: "TimeSpan", zero_s: float) -> str:
    """Return the name of a span, or the times of a time bin."""
    if span.kind != "bin":
        return span.name
    return f"{span.start_s - zero_s:g}–{span.end_s - zero_s:.6g} s"


def _png(figure: "Figure", size: tuple[int, int]) -> bytes:
    """Return a figure as PNG of at most `size` px."""
    from deeplabstream.analysis.plot_style import png_of

    width, height = figure.get_size_inches()
    return png_of(figure, max(20.0, min(size[0] / width, size[1] / height)))


def _state(run: Path) -> tuple[tuple[str, int, int], ...]:
    """Return names, sizes and times of the files in a run folder."""
    try:
        with os.scandir(run) as entries:
            found = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    except OSError:
        return ()
    return tuple(sorted((n, facts.st_size, facts.st_mtime_ns) for n, facts in found))


def _shown(study: "Study", count: int) -> StudyTable:
    table = study.table
    known = (
        "run",
        "started",
        "experiment",
        "group",
        "camera",
        "animal",
        "span",
        "kind",
    )
    measures = [
        str(name)
        for name in table.select_dtypes("number").columns
        if name not in ("start_s", "end_s") and table[name].notna().any()
    ]
    first: Sequence[Any] = table.head(_MOST_ROWS).itertuples(index=False, name=None)
    return StudyTable(
        tuple(str(name) for name in table.columns),
        tuple(tuple(row) for row in first),
        len(table),
        count - len(study.failed),
        tuple(name for name in measures if name not in known),
        tuple(dict.fromkeys(table["span"])) if len(table) else (),
        study.failed,
        study.notes,
    )
