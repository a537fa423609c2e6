"""Atomic file writing: a file gets its name only when it is complete."""

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from deeplabstream.core.clock import SystemClock, rest
from deeplabstream.core.errors import DeviceError

PATIENCE_S = 1.0
"""Time after which readers of a file (our own windows, virus scanners) have closed it."""
_IN_USE = (5, 32)
"""Windows' numbers for "access denied" and "used by another process"."""


def replace(draft: Path, file: Path) -> None:
    """Rename `draft` to `file` atomically; OSError: both are unchanged.

    Windows does not replace a file that a program has open. The renaming is tried again for
    `PATIENCE_S`; then the error names the file, not the draft.
    """
    clock = SystemClock()
    give_up_ns = clock.now_ns() + round(PATIENCE_S * 1e9)
    while True:
        try:
            draft.replace(file)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            if clock.now_ns() > give_up_ns:
                reason = "it can't be replaced; another program may have it open"
                raise PermissionError(errno.EACCES, reason, str(file)) from error
            rest(0.01)
        else:
            return


@contextmanager
def atomic_file(path: Path, *, through_power_cut: bool = False) -> Iterator[Path]:
    """Yield a path to write to; rename the file to `path` when the block succeeds.

    The path has the same name in a hidden folder beside `path`, so that formats chosen by
    the ending work. Other files that are written there, such as a table beside a video, are
    renamed too, before the file itself. After an error, files that were there before are
    unchanged, and nothing is left behind. A file that is replaced keeps its permissions.

    Parameters
    ----------
    path : pathlib.Path
        The file to write. Its folder is made if it is missing.
    through_power_cut : bool
        Whether the file gets its name when its content is on the disk, so that after a power
        cut it has the old or the new content: on return the new one, except on Windows. That
        takes as long as the disk.

    Yields
    ------
    pathlib.Path
        The path to write to.

    Raises
    ------
    OSError
        `path` is a device or a pipe, the folder can't be made, or a file can't be renamed.
    """
    # a renamed file would take the place of a device, as of /dev/null
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        drafts = Path(tempfile.mkdtemp(prefix=f".{path.stem[:40]}.", dir=path.parent))
    except OSError as error:  # name the target in the error, not the draft
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        yield drafts / path.name
        if through_power_cut:
            with (drafts / path.name).open("rb+") as draft_file:
                os.fsync(draft_file.fileno())
        # the target is new, or was removed in the meantime
        with suppress(FileNotFoundError):
            shutil.copymode(path, drafts / path.name)
        others = sorted(draft for draft in drafts.iterdir() if draft.name != path.name)
        for draft in (*others, drafts / path.name):
            replace(draft, path.with_name(draft.name))
        if through_power_cut:
            sync_folder(path.parent)
    finally:
        shutil.rmtree(drafts, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Write the names of the files in a folder to the disk; Windows has no such call."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        # some network drives refuse it
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, content: Any, *, through_power_cut: bool = False) -> None:
    """Write a JSON file in one step, see `atomic_file`; DeviceError: it can't be written."""
    with (
        _named_error(path),
        atomic_file(path, through_power_cut=through_power_cut) as draft,
    ):
        draft.write_text(_json_text(content), "utf-8", newline="\n")


class RewrittenFile:
    """A file that one process writes again and again, each time as a whole.

    Its draft beside it keeps its name, and both paths are kept: Python stores each new part of
    a path in a table. With another name each second that table doubles after 73 minutes, by
    1 MB.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._draft = path, path.with_name(f".{path.name}.part")

    def write_json(self, content: Any) -> None:
        """Write JSON in one step; DeviceError: it can't be written."""
        with _named_error(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._draft.write_text(_json_text(content), "utf-8", newline="\n")
            replace(self._draft, self._path)


def _json_text(content: Any) -> str:
    return f"{json.dumps(content, indent=2, ensure_ascii=False)}\n"


@contextmanager
def _named_error(path: Path) -> Iterator[None]:
    """Raise an OSError as a DeviceError that names the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DeviceError(f"Can't write {path}: {reason}") from error
