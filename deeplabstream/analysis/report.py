"""Reports: one HTML page of a run."""

from pathlib import Path

from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.plots import PlotOptions
from deeplabstream.analysis.report_document import Document
from deeplabstream.analysis.report_html import html_of
from deeplabstream.analysis.run_report import run_document
from deeplabstream.core.atomic_replace import atomic_file
from deeplabstream.core.errors import DeepLabStreamError

ENDINGS = (".html",)


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
        Its ending is .html. An existing file is replaced.
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


def check_report_name(file: Path) -> None:
    """Raise DeepLabStreamError unless a report can have this name."""
    if file.suffix.casefold() not in ENDINGS:
        raise DeepLabStreamError(f"{file}: the report's name must end with .html")


def _write(document: Document, file: Path) -> Path:
    try:
        with atomic_file(file) as draft:
            draft.write_text(html_of(document), encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise DeepLabStreamError(f"Can't write {file}: {reason}") from error
    return file
