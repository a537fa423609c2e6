"""A new rig folder: the example's settings, and empty folders for what a lab adds."""

from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.rig_folder import CONFIGS, MODELS, PLUGIN_FOLDERS, SETTINGS
from deeplabstream.settings.shipped_example import example_text

_README = Path(__file__).with_name("rig_readme.md")


def make_rig(folder: Path) -> Path:
    """Make a rig folder and return its path.

    DeepLabStreamError: something is there already, or it can't be written.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DeepLabStreamError(f"{folder} is not empty: name a new folder")
    try:
        for name in (*PLUGIN_FOLDERS, MODELS, CONFIGS):
            (folder / name).mkdir(parents=True, exist_ok=True)
        readme = _README.read_text(encoding="utf-8").replace("NAME", folder.name, 1)
        (folder / "README.md").write_text(readme, encoding="utf-8")
        text = _for_a_rig(example_text())
        (folder / SETTINGS).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        reason = error.strerror or error
        raise DeepLabStreamError(f"{folder} can't be made: {reason}") from error
    return folder


def _for_a_rig(text: str) -> str:
    """Return the example's text, its comments for somebody who has the command.

    Its paths stay: they are relative to the settings file, and networks go by name.
    """
    return text.replace("python utils/CheckSettings.py", "deeplabstream check").replace(
        "python utils/LearnBones.py", "deeplabstream learn-tracking"
    )
