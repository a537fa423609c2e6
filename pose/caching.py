"""Where this computer keeps what it found out once: engines, converted networks, speeds.

All of it can be deleted at any time; it is made anew when it is needed.
"""

import os
import sys
from pathlib import Path

from core.errors import ModelError


def cache_folder() -> Path:
    """Return the user's folder for it, made if need be; ModelError when it can't be."""
    home = Path.home()
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = home / "Library" / "Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    folder = root / "DeepLabStream"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"{folder} can't be made: {error.strerror}") from error
    return folder
