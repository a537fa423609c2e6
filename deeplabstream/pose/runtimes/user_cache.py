"""Where this computer keeps what it found out once: engines, converted networks, speeds.

All of it can be deleted at any time; it is made anew when it is needed.
"""

import os
import sys
from pathlib import Path

from deeplabstream.core.errors import ModelError

VARIABLE = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
"""That says where the user's cache is, if it does."""
_USUAL = {"win32": "AppData/Local", "darwin": "Library/Caches"}


def cache_folder() -> Path:
    """Return the user's folder for it, made if need be; ModelError when it can't be."""
    usual = _USUAL.get(sys.platform, ".cache")
    folder = Path(os.environ.get(VARIABLE) or Path.home() / usual) / "DeepLabStream"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"{folder}, where what was found out about networks is kept, can't be made "
            f"({error.strerror}): say {VARIABLE} = a folder that can be written in the "
            "environment, or RUNTIME = cpu in [Pose Estimation]"
        ) from error
    return folder
