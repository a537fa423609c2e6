"""Recorded runs of a settings' output directory, and deciding one of them again."""

from pathlib import Path

from PyQt5.QtWidgets import QWidget

from deeplabstream.gui.dialogs.program_window import ProgramWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.settings.sections import Settings


def runs_of(settings: Settings | None, most: int) -> list[Path]:
    """Return the newest run folders, the newest first."""
    if settings is None or not settings.output_directory.is_dir():
        return []
    found = sorted(settings.output_directory.glob("*/run.json"), reverse=True)
    return [file.parent for file in found[:most]]


def decide_again(document: Document, run: Path, parent: QWidget) -> ProgramWindow:
    """Compare what was decided with what the text in the window decides, saved or not."""
    settings = str(document.file_as_shown())
    arguments = ["--run", str(run), "--settings", settings]
    window = ProgramWindow("Decide again", "VideoAnalyzer.py", arguments, parent)
    window.show()
    return window
