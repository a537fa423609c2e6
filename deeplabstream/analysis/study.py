"""Study: several runs analysed with the same options, as one tidy table.

Runs are analysed side by side in processes of their own, so that only the rows of the table
stay in memory.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from deeplabstream.analysis.analyse import RunResults, analyse
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.core.errors import DeepLabStreamError, package_missing
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.delimited_text import (
    plain_cell,
    read_delimited,
    written_cell,
)
from deeplabstream.ipc.parent_watch import end_with_parent
from deeplabstream.recording.run_catalogue import RunCatalogue, RunQuery
from deeplabstream.startup.progress import progress

if TYPE_CHECKING:
    from pandas import DataFrame

Also: TypeAlias = Callable[[RunResults], Iterable[str]]
_FEW = 4
"""Number of runs up to which no processes are started, because their start takes longer."""
CSV, PARQUET, EXCEL = (".csv",), (".parquet", ".pqt"), (".xlsx",)


@dataclass(frozen=True, eq=False)
class Study:
    """Results of several runs.

    Attributes
    ----------
    table : pandas.DataFrame
        The rows of all runs, in the order of the runs; see `RunResults.table`.
    failed : tuple of (pathlib.Path, str)
        Runs that could not be analysed, and why.
    notes : tuple of (pathlib.Path, str)
        What was noted about a run, a sentence each.
    """

    table: "DataFrame"
    failed: tuple[tuple[Path, str], ...]
    notes: tuple[tuple[Path, str], ...]


@dataclass(frozen=True, eq=False)
class _Done:
    table: "DataFrame | None"
    notes: tuple[str, ...] = ()
    error: str = ""


def find_runs(paths: Sequence[Path], query: RunQuery | None = None) -> list[Path]:
    """Return run folders: those given, and matching ones in given folders.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Run folders, and folders with run folders.
    query : RunQuery, optional
        Which runs of the folders are wanted; a run that is named is always wanted.

    Raises
    ------
    DeepLabStreamError
        A path is neither a run folder nor a folder with run folders.
    """
    found: list[Path] = []
    for path in paths:
        if (path / "run.json").is_file():
            found.append(path)
            continue
        catalogue = RunCatalogue(path)
        if not catalogue.runs(most=1):
            advice = (
                f". Poses of a video become a run by: python utils/ImportRun.py VIDEO {path}"
                " --to RUN"
            )
            raise DeepLabStreamError(
                f"{path} is not a run folder and has none in it"
                f"{advice if path.is_file() else ''}"
            )
        found += reversed([run.path for run in catalogue.runs(query)])
    return list(dict.fromkeys(found))


def analyse_runs(
    runs: Sequence[Path],
    options: AnalysisOptions | None = None,
    is_long: bool = False,
    also: Also | None = None,
    processes: int = 0,
) -> Study:
    """Analyse runs with the same options.

    Parameters
    ----------
    runs : sequence of pathlib.Path
        Run folders.
    options : AnalysisOptions, optional
        Left out: the defaults.
    is_long : bool
        Whether the table has one row per number, as `RunResults.long_table`.
    also : callable, optional
        Gets the results of each run in the process that analysed it, and returns notes: to
        draw plots, for instance. It must be known by its name in its module.
    processes : int
        How many runs are analysed at the same time; 0: as many as there are cores.

    Returns
    -------
    Study
        A run that can't be analysed is in `failed`.
    """
    import pandas as pd

    options = options or AnalysisOptions()
    cores = processes or os.cpu_count() or 1
    several = _in_processes if min(cores, len(runs)) > 1 and len(runs) > _FEW else _here
    done: dict[int, _Done] = {}
    analyse_run = partial(_analyse, options=options, is_long=is_long, also=also)
    work = several(runs, analyse_run, cores)
    for at, analysis in progress(work, "results", len(runs), "runs"):
        done[at] = analysis
    ordered = [(runs[at], done[at]) for at in sorted(done)]
    tables = [analysis.table for _, analysis in ordered if analysis.table is not None]
    return Study(
        pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(),
        tuple((run, analysis.error) for run, analysis in ordered if analysis.error),
        tuple((run, note) for run, analysis in ordered for note in analysis.notes),
    )


def _here(
    runs: Sequence[Path], analyse_run: Callable[[Path], _Done], cores: int
) -> Iterator[tuple[int, _Done]]:
    for at, run in enumerate(runs):
        yield at, analyse_run(run)


def _in_processes(
    runs: Sequence[Path], analyse_run: Callable[[Path], _Done], cores: int
) -> Iterator[tuple[int, _Done]]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(cores, len(runs)), context, initializer=end_with_parent
    )
    try:
        futures = {pool.submit(analyse_run, run): at for at, run in enumerate(runs)}
        for future in as_completed(list(futures)):
            yield futures.pop(future), future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _analyse(
    run: Path, options: AnalysisOptions, is_long: bool, also: Also | None
) -> _Done:
    try:
        results = analyse(run, options)
        notes = () if also is None else tuple(also(results))
    except DeepLabStreamError as error:
        return _Done(None, error=str(error))
    table = results.long_table() if is_long else results.table()
    return _Done(table, (*results.notes, *notes))


def write_table(path: Path, table: "DataFrame") -> None:
    """Write a table as CSV, Parquet or Excel, by the ending of its name.

    No text in it becomes a formula of a spreadsheet.

    Raises
    ------
    DeepLabStreamError
        Another ending, or the file can't be written.
    """
    check_ending(path)
    ending = path.suffix.casefold()
    if ending not in PARQUET:
        table = _with_cells(table, plain_cell)
    try:
        with atomic_file(path) as draft:
            if ending in CSV:
                table.to_csv(draft, index=False)
            elif ending in PARQUET:
                table.to_parquet(draft, index=False)
            else:
                table.to_excel(draft, index=False, engine="openpyxl")
    except ImportError as error:
        raise DeepLabStreamError(
            f"{path} {package_missing(error.name or str(error))}"
        ) from error
    except (OSError, ValueError) as error:
        raise DeepLabStreamError(f"Can't write {path}: {error}") from error


def _with_cells(table: "DataFrame", changed: Callable[[object], object]) -> "DataFrame":
    """Return a table with other texts in its cells and in the names of its columns."""
    import pandas as pd

    texts = {
        name: column.map(changed, na_action="ignore").astype(column.dtype)
        for name, column in table.items()
        if pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)
    }
    return table.assign(**{str(name): column for name, column in texts.items()}).rename(
        columns=changed
    )


def read_table(path: Path) -> "DataFrame":
    """Read a table that `write_table` has written.

    Raises
    ------
    DeepLabStreamError
        Another ending, or the file can't be read.
    """
    import pandas as pd

    check_ending(path)
    ending = path.suffix.casefold()
    names = dict.fromkeys(("run", "animal", "group", "experiment"), "string")
    # keep names such as 007 as text
    options: dict[str, Any] = {
        "dtype": names,
        "keep_default_na": False,
        "na_values": [""],
    }
    try:
        if ending in PARQUET:
            table = pd.read_parquet(path)
        elif ending in EXCEL:
            table = pd.read_excel(path, **options)
        else:
            source = read_delimited(path)
            table = pd.read_csv(
                source.checked(), sep=source.separator, decimal=source.decimal,
                **options,
            )  # fmt: skip
    except ImportError as error:
        raise DeepLabStreamError(
            f"{path} {package_missing(error.name or str(error))}"
        ) from error
    except Exception as error:  # each reader raises its own exceptions
        raise DeepLabStreamError(f"Can't read {path} as a table: {error}") from error
    if ending not in PARQUET:
        table = _with_cells(table, written_cell)
    for name in names:
        with suppress(KeyError):
            table[name] = table[name].fillna("").astype(str)
    return table


def check_ending(path: Path) -> None:
    """Raise DeepLabStreamError unless a table can have this name."""
    if path.suffix.casefold() not in (*CSV, *PARQUET, *EXCEL):
        raise DeepLabStreamError(
            f"{path}: the table's name must end with .csv, .parquet or .xlsx"
        )
