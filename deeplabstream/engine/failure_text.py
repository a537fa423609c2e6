"""Failure text: what the record says of an error, with the section and the line it is from."""

import traceback
from collections.abc import Sequence
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError, ExperimentError

MEASURES = "computing the measures so far"
"""Subject of an error that a measure raises while a trigger reads it."""


def error_text(error: Exception) -> str:
    """Return an error for the record: its sentence; of a bug, its traceback."""
    notes: Sequence[str] = getattr(error, "__notes__", ())
    text = str(error)
    if isinstance(error, ExperimentError) and notes:
        text = notes[-1]
    # other errors are bugs, of a plug-in or of this program: their traceback is
    # needed to fix them
    if not isinstance(error, DeepLabStreamError):
        text = "".join(traceback.format_exception(error)).strip()
    return text


def add_place(error: Exception, section: str) -> None:
    """Append the section of an error, and the line of a plug-in, to its message."""
    notes: Sequence[str] = getattr(error, "__notes__", ())
    if not any(note.startswith(MEASURES) for note in notes):
        place = ""
        for frame, line in traceback.walk_tb(error.__traceback__):
            if str(frame.f_globals.get("__name__")).startswith("experiments."):
                place = f" ({Path(frame.f_code.co_filename).name}, line {line})"
        what = f" failed: {type(error).__name__}"
        if isinstance(error, DeepLabStreamError):
            what = ""
        error.add_note(f"{section}{what}: {error}{place}")
