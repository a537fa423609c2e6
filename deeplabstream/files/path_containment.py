"""Containment: paths that a table or a project names must stay inside their folder."""

import re
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError

_LONGEST, _LONGEST_PATH = 255, 2000
"""Longest file name and longest path in a folder, in bytes."""
_DRIVE = re.compile(r"[A-Za-z]:")


def inside(folder: Path, name: str) -> Path:
    r"""Return the path in `folder` that a table or a project calls `name`.

    Both / and \\ separate, on every system. DeepLabStreamError: the name is absolute, has
    a drive letter, or is outside the folder by `..`. Symbolic links are followed: they
    belong to the user. Call `inside_for_writing` for files to write.
    """
    plain = name.replace("\\", "/")
    if plain.startswith("/") or _DRIVE.match(plain) or "\0" in plain:
        raise _leaves(folder, name)
    encoded = plain.encode(errors="replace")
    if len(encoded) > _LONGEST_PATH or max(map(len, encoded.split(b"/"))) > _LONGEST:
        raise DeepLabStreamError(f"the path {name[:50]}… is too long for a file")
    parts: list[str] = []
    for part in plain.split("/"):
        if part == ".." and not parts:
            raise _leaves(folder, name)
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return folder.joinpath(*parts)


def inside_for_writing(folder: Path, name: str) -> Path:
    """Return the path as `inside` does, but reject symbolic links out of the folder."""
    path = inside(folder, name)
    whole = folder.resolve()
    if whole not in (path.resolve(), *path.resolve().parents):
        raise _leaves(folder, name)
    return path


def _leaves(folder: Path, name: str) -> DeepLabStreamError:
    return DeepLabStreamError(
        f"the path {name!r} is outside the folder {folder}: only files inside it are used"
    )
