"""Example rig: the shipped settings, and new rig folders made from them."""

from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.paths import ROOT
from deeplabstream.files.plugin_trust import PLUGIN_FOLDERS, trust
from deeplabstream.files.rig_folder import CONFIGS, MODELS, SETTINGS
from deeplabstream.settings.ini_reading import read_text

EXAMPLE = ROOT / SETTINGS
"""The rig in the program's own folder: initially the example, which a lab may edit."""
_TEXT = Path(__file__).with_name("example_settings.ini")
_README = Path(__file__).with_name("rig_readme.md")


def example_text(folder: Path = ROOT) -> str:
    """Return the text of the shipped settings.ini, with the commands of a rig folder.

    Its paths are relative to the settings file, and its networks go by name, so it is
    valid in every folder.
    """
    text = read_text(_TEXT)
    if folder.resolve() == ROOT.resolve():
        return text
    return text.replace("python utils/CheckSettings.py", "deeplabstream check").replace(
        "python utils/LearnTracking.py", "deeplabstream learn-tracking"
    )


def is_example(path: Path, text: str) -> bool:
    """Return whether the file at `path`, with this text, is the unchanged example.

    A copy elsewhere is the user's own, and so is this file once it was changed.
    """
    same = text.splitlines() == example_text().splitlines()
    return same and path.resolve() == EXAMPLE.resolve()


def make_rig(folder: Path, settings: str | None = None) -> Path:
    """Make a rig folder, whose content is trusted, and return its path.

    `settings`: the text of its settings; None: the shipped example.

    DeepLabStreamError: the folder is not empty, or it can't be written.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DeepLabStreamError(f"{folder} is not empty. Name a new folder")
    try:
        for name in (*PLUGIN_FOLDERS, MODELS, CONFIGS):
            (folder / name).mkdir(parents=True, exist_ok=True)
        readme = _README.read_text(encoding="utf-8").replace("NAME", folder.name, 1)
        (folder / "README.md").write_text(readme, encoding="utf-8")
        text = example_text(folder) if settings is None else settings
        (folder / SETTINGS).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        reason = error.strerror or error
        raise DeepLabStreamError(f"Can't create {folder}: {reason}") from error
    trust(folder)
    return folder
