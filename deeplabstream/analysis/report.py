"""Reports: one HTML page or PDF of a run, or of a study."""

from collections.abc import Sequence
from pathlib import Path

from deeplabstream.analysis.group_statistics import StudyOptions
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.plot_style import PlotOptions, svg_of
from deeplabstream.analysis.report_pdf import pdf_of
from deeplabstream.analysis.run_report import run_document
from deeplabstream.analysis.study_report import study_document
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.report_document import ReportDocument
from deeplabstream.files.report_html import html_of
from deeplabstream.recording.run_catalogue import RunQuery

ENDINGS = (".html", ".pdf")


def write_run_report(
    folder: str | Path,
    file: str | Path,
    options: AnalysisOptions | None = None,
    plots: PlotOptions | None = None,
) -> Path:
    """Write the report of a run.

    Parameters
    ----------
    folder : str or pathlib.Path
        The run folder; a run that was killed is repaired first.
    file : str or pathlib.Path
        Its ending is the format: .html or .pdf. An existing file is replaced.
    options : AnalysisOptions, optional
        How the measures are computed; left out: the defaults.
    plots : PlotOptions, optional
        What the plots show; every animal is drawn.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DeepLabStreamError
        Not a run folder, an option that does not fit the run, another ending, or the file
        can't be written.
    """
    check_report_name(Path(file))
    return _write(
        run_document(Path(folder), options or AnalysisOptions(), plots), Path(file)
    )


def write_study_report(
    folders: Sequence[str | Path],
    file: str | Path,
    options: AnalysisOptions | None = None,
    study: StudyOptions | None = None,
    query: RunQuery | None = None,
    excluded: Sequence[str | Path] = (),
    processes: int = 0,
) -> Path:
    """Write the report of several runs: groups compared, every animal a point.

    Parameters
    ----------
    folders : sequence of str or pathlib.Path
        Run folders, and folders with run folders. A run that is named is always analysed.
    file : str or pathlib.Path
        Its ending is the format: .html or .pdf. An existing file is replaced.
    options : AnalysisOptions, optional
        How the measures are computed; left out: the defaults.
    study : StudyOptions, optional
        What is compared; left out: groups, in the usual measures.
    query : RunQuery, optional
        Which runs of the folders are wanted; left out: those that are not excluded.
        Excluded ones are listed with their reasons.
    excluded : sequence of str or pathlib.Path, optional
        More runs that are listed as excluded.
    processes : int
        How many runs are analysed at the same time; 0: as many as there are cores.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DeepLabStreamError
        No run could be analysed, a column is missing, another ending, or the file can't be
        written.
    """
    check_report_name(Path(file))
    document = study_document(
        [Path(folder) for folder in folders],
        options or AnalysisOptions(),
        study or StudyOptions(),
        query,
        [Path(folder) for folder in excluded],
        processes,
    )
    return _write(document, Path(file))


def check_report_name(file: Path) -> None:
    """Raise DeepLabStreamError if a report can't have this name."""
    if file.suffix.casefold() not in ENDINGS:
        raise DeepLabStreamError(
            f"{file}: the report's name must end with .html or .pdf"
        )


def _write(document: ReportDocument, file: Path) -> Path:
    try:
        with atomic_file(file) as draft:
            if file.suffix.casefold() == ".pdf":
                draft.write_bytes(pdf_of(document))
            else:
                draft.write_text(html_of(document, svg_of), encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise DeepLabStreamError(f"Can't write {file}: {reason}") from error
    return file
