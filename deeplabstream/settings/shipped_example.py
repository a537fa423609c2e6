"""The example rig: settings.ini as it was shipped, kept to tell it apart and to restore it."""

from pathlib import Path

from deeplabstream.core.paths import ROOT
from deeplabstream.settings.ini_reading import read_text

SETTINGS = ROOT / "settings.ini"
"""The rig of the program's own folder: the example, until a lab edits it."""
_TEXT = Path(__file__).with_name("example_settings.ini")


def example_text() -> str:
    """Return the text of settings.ini as it was shipped."""
    return read_text(_TEXT)


def is_example(path: Path, text: str) -> bool:
    """Return whether the file at `path`, which holds `text`, is the unchanged example.

    A copy elsewhere is the user's own, and so is this file once it was changed.
    """
    same = text.splitlines() == example_text().splitlines()
    return same and path.resolve() == SETTINGS.resolve()
