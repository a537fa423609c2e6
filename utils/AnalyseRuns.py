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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

from deeplabstream.analysis.analyse import RunResults
from deeplabstream.analysis.group_statistics import add_comparison
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.plot_style import FORMATS, PlotOptions, save_plot
from deeplabstream.analysis.plots import PLOTS, plot
from deeplabstream.analysis.region_list import RegionOfInterest, change_places
from deeplabstream.analysis.report import (
    check_report_name,
    write_run_report,
    write_study_report,
)
from deeplabstream.analysis.study import (
    analyse_runs,
    check_ending,
    find_runs,
    write_table,
)
from deeplabstream.analysis.study_report import StudyOptions
from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.startup.program import CANT
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.core.regions import parse_region
from deeplabstream.recording.run_folder import stem
from deeplabstream.recording.run_catalogue import RunQuery
from deeplabstream.recording.run_summary import read_notes
from deeplabstream.settings.option_fields import option_fields

WORDS = ("--position", "--head", "--phases")
"""Options that take several words."""
TEXTS = ("--camera", "--arena")
SWITCHES = ("--use-ambiguous", "--raw", "--start-counts")
NUMBERS = (
    "--threshold", "--max-gap-s", "--smoothing-s", "--speed-window-s", "--start-s",
    "--end-s", "--bin-s", "--before-s", "--after-s", "--start-speed", "--stop-speed",
    "--min-immobile-s", "--freezing-speed", "--min-freezing-s", "--enter-margin",
    "--exit-margin", "--min-visit-s", "--min-absence-s", "--wall-distance",
    "--facing-angle", "--contact-distance", "--approach-speed", "--behaviour-threshold",
    "--min-behaviour-s", "--stimulus-gap-s",
)  # fmt: skip


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Write the table; return CANT when a run that was named could not be analysed."""
    asked = _parser().parse_args(argv)
    path = asked.table or (None if asked.report else Path("results.csv"))
    if path is not None:
        check_ending(path)
    if asked.report is not None:
        check_report_name(asked.report)
    runs = _runs(asked)
    figures = _figures(asked.plots, runs, asked.format) if asked.plots else {}
    every = [
        file for files in figures.values() for each in files.values() for file in each
    ]
    written = [each for each in (path, asked.report) if each is not None]
    check_free([*written, *every], asked.overwrite)
    chosen = {name: value for name, value in vars(asked).items() if value is not None}
    names = inspect.signature(AnalysisOptions).parameters
    options: dict[str, Any] = {
        name: tuple(chosen[name]) if isinstance(chosen[name], list) else chosen[name]
        for name in names
        if name in chosen
    }
    if asked.keep_regions:
        for run in runs:
            _keep(run, asked.regions or ())
        options["regions"] = ()
    if asked.report is not None:
        _report(asked, runs, AnalysisOptions(**options))
        if asked.table is None and not figures:
            return 0
    draw = partial(_draw, every=figures, overwrite=asked.overwrite) if figures else None
    study = analyse_runs(runs, AnalysisOptions(**options), asked.long, draw)
    for run, note in study.notes:
        print(f"{run.name}: {note}", file=sys.stderr)
    if len(study.failed) == len(runs):
        raise DeepLabStreamError(
            "no run could be analysed: "
            + "; ".join(dict.fromkeys(error for _, error in study.failed))
        )
    for run, error in study.failed:
        print(f"{run}: left out: {error}", file=sys.stderr)
    if path is not None:
        write_table(path, study.table)
        print(f"{counted(len(runs) - len(study.failed), 'run')}, {path}")
    return CANT if any(run in asked.runs for run, _ in study.failed) else 0


def _report(
    asked: argparse.Namespace, runs: Sequence[Path], options: AnalysisOptions
) -> None:
    """Write the report of the run, or of the study of several runs."""
    if len(runs) == 1:
        print(write_run_report(runs[0], asked.report, options))
        return
    compared = StudyOptions(
        measures=asked.measures,
        by=asked.by,
        levels=asked.levels,
        paired=asked.paired,
        test=asked.test,
    )
    print(
        write_study_report(asked.runs, asked.report, options, compared, _query(asked))
    )


def _query(asked: argparse.Namespace) -> RunQuery:
    return RunQuery(
        animal=asked.animal,
        group=asked.group,
        experiment=asked.experiment,
        tags=asked.tag,
        first=asked.since,
        last=asked.until,
        text=asked.words,
        excluded=asked.with_excluded,
    )


def _runs(asked: argparse.Namespace) -> list[Path]:
    """Return the runs that are wanted; say which are excluded."""
    query = _query(asked)
    found = find_runs(asked.runs, query)
    for run in find_runs(asked.runs, replace(query, excluded=True)):
        if run not in found:
            print(f"{run.name}: excluded: {read_notes(run).excluded}", file=sys.stderr)
    if not found:
        raise DeepLabStreamError("no run fits; --with-excluded adds excluded ones")
    return found


def _keep(run: Path, regions: Sequence[RegionOfInterest]) -> None:
    """Add regions to those that are kept with a run; equal names are replaced."""
    change_places(run, lambda there: there.with_added(regions, ()))


def _figures(
    folder: Path, runs: Sequence[Path], formats: Sequence[str]
) -> dict[Path, dict[str, list[Path]]]:
    """Return the files of each plot of each run."""
    return {
        run: {
            name: [folder / f"{run.name}.{name}.{ending}" for ending in formats]
            for name in PLOTS
        }
        for run in runs
    }


def _draw(
    results: RunResults,
    every: Mapping[Path, Mapping[str, Sequence[Path]]],
    overwrite: bool,
) -> Iterator[str]:
    """Write the plots of a run; yield a sentence for each that can't be drawn."""
    for name, files in every.get(results.data.folder.path, {}).items():
        for animal in results.tracks:
            several = len(results.tracks) > 1
            try:
                figure = plot(results, name, PlotOptions(animal=animal))
            except DeepLabStreamError as error:
                yield f"no plot {name}: {error}"
                continue
            for file in files:
                file.parent.mkdir(parents=True, exist_ok=True)
                own = file.with_stem(f"{file.stem}.{stem(animal)}") if several else file
                check_free([own], overwrite)
                save_plot(figure, own)


def _region(text: str) -> RegionOfInterest:
    name, equals, words = (part.strip() for part in text.partition("="))
    if not (name and equals):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected NAME = circle X Y R, or another region"
        )
    try:
        return RegionOfInterest(name, parse_region(words))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="AnalyseRuns.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "runs", type=Path, nargs="+", metavar="RUN", help="run folders, or their folder"
    )
    add(
        "--table", type=Path, metavar="FILE",
        help="a .csv, .parquet or .xlsx; default: results.csv in this folder",
    )  # fmt: skip
    add("--long", action="store_true", help="one row per number, with its unit")
    add(
        "--region", type=_region, action="append", dest="regions",
        metavar="NAME = REGION", help="a region in pixels, such as left = circle 160 240 60",
    )  # fmt: skip
    add("--keep-regions", action="store_true", help="keep them with the runs")
    add("--plots", type=Path, metavar="FOLDER", help="draw all plots of each run there")
    add("--format", nargs="+", choices=FORMATS, default=["svg"], help="default: svg")
    add(
        "--report", type=Path, metavar="FILE",
        help="an .html or .pdf: of one run its report, of several runs that of the study",
    )  # fmt: skip
    add_overwrite(parser)
    add = parser.add_argument_group(
        "what the report of several runs compares"
    ).add_argument
    add(
        "--measures", nargs="+", default=(), metavar="COLUMN",
        help="columns of the table; default: distance, speed, regions, stimulations …",
    )  # fmt: skip
    add_comparison(add)
    add = parser.add_argument_group("which runs of a folder").add_argument
    for flag in ("--animal", "--group", "--experiment"):
        add(flag, default="", metavar="NAME", help=f"of this {flag[2:]}")
    add("--tag", action="append", default=[], metavar="TAG", help="with this tag")
    add("--since", type=date.fromisoformat, metavar="DAY", help="such as 2026-11-21")
    add("--until", type=date.fromisoformat, metavar="DAY", help="this day included")
    add("--words", default="", metavar="TEXT", help="that contain all of these words")
    add("--with-excluded", action="store_true", help="also those that are excluded")
    group = parser.add_argument_group("how the measures are computed").add_argument
    help_of = {
        name: str(info.description).replace("%", "%%")
        for name, info in option_fields(AnalysisOptions).items()
    }
    group("--unit", choices=["auto", "px", "mm"], help=help_of["unit"])
    kinds: dict[tuple[str, ...], dict[str, Any]] = {
        TEXTS: {"metavar": "NAME"},
        WORDS: {"nargs": "+", "metavar": "NAME"},
        NUMBERS: {"type": float, "metavar": "N"},
        SWITCHES: {"action": "store_true", "default": None},
    }
    for flags, kind in kinds.items():
        for flag in flags:
            group(flag, help=help_of[flag.strip("-").replace("-", "_")], **kind)
    return parser


if __name__ == "__main__":
    sys.exit(main())
