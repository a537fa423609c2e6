"""Where a lab's sessions lie, when nobody says: in the pipeline's file or the settings."""

from configparser import ConfigParser, Error
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.rig_folder import settings_file
from deeplabstream.offline.ibl.pipeline import Pipeline


def sessions_root(
    plan: Pipeline, folder: str | Path | None = None, settings: Path | None = None
) -> Path:
    """Return the tree of sessions: `folder`, else the pipeline's, else the settings'.

    The settings are those given, else the rig's; only [Video] SESSIONS is read of them.
    DeepLabStreamError: none is named, or it is no folder.
    """
    named = Path(folder) if folder is not None else plan.general.sessions
    own = settings or settings_file()
    root = named or (_of_settings(own) if own else None)
    if root is None or not root.is_dir():
        raise DeepLabStreamError(
            f"there is no folder of sessions{f' {root}' if root else ''}: name one, or set "
            "[Video] SESSIONS in settings.ini"
        )
    return root.resolve()


def _of_settings(file: Path) -> Path | None:
    words = ConfigParser(interpolation=None, default_section="", strict=False)
    try:
        words.read_string(file.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, Error) as error:
        reason = str(error).splitlines()[0]
        raise DeepLabStreamError(
            f"{file} can't be read, in which [Video] SESSIONS stands: {reason}"
        ) from error
    named = words.get("Video", "SESSIONS", fallback="").strip()
    return file.parent / named if named else None
