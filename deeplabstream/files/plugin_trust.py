"""Trust in the plug-ins of rig folders: they are programs, so the user confirms them once.

A folder is trusted when it has no plug-ins, when its plug-ins are those that the user has
confirmed, or when this process or the one that started it has confirmed them. The files are
compared by their SHA-256, which are kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.machinery import all_suffixes
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.core.visible_text import visible
from deeplabstream.files.paths import ROOT
from deeplabstream.files.user_cache import add_entries, cache_folder, read_entries

VARIABLE = "DEEPLABSTREAM_TRUSTED"
"""Environment variable with the trusted folders, for child processes; `ALL`: every folder."""
ALL = "*"
PLUGIN_FOLDERS = ("cameras", "experiments", "outputs")
"""The folders of plug-ins that a rig may have."""
_CACHE = "trusted_plugins.json"
_COMPILED = "__pycache__"
_MOST = 1000
"""Largest number of stored folders."""
_MOST_NAMED = 10
"""Largest number of files named in a question."""


def plugin_hashes(rig: Path) -> dict[str, str]:
    """Return the SHA-256 of all files of a rig that Python can import, by relative path."""
    return {
        file.relative_to(rig).as_posix(): _hash(file) for file in importable_files(rig)
    }


def _hash(file: Path) -> str:
    """Return the SHA-256 of a file; empty: it is not a file, or can't be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
    except OSError:
        return ""


def importable_files(rig: Path) -> Iterator[Path]:
    """Yield the files of a rig that Python can import, also through links to folders."""
    for family in PLUGIN_FOLDERS:
        yield from _importable_files(rig / family)


def _importable_files(folder: Path) -> Iterator[Path]:
    visited = set[Path]()
    for place, folders, files in os.walk(folder, followlinks=True):
        resolved = Path(place).resolve()
        if resolved in visited:
            folders.clear()
            continue
        visited.add(resolved)
        folders[:] = sorted(set(folders) - {_COMPILED})
        for name in sorted(files):
            if name.endswith(tuple(all_suffixes())):
                yield Path(place, name)


def is_trusted(rig: Path) -> bool:
    """Return whether the plug-ins of a rig folder may be run."""
    rig = rig.resolve()
    if rig == ROOT.resolve() or _is_inherited(rig):
        return True
    return _is_confirmed(rig, plugin_hashes(rig))


def _inherited() -> list[str]:
    return os.environ.get(VARIABLE, "").split(os.pathsep)


def _is_inherited(rig: Path) -> bool:
    """Return whether this process, or the one that started it, has confirmed the rig."""
    return not {ALL, str(rig)}.isdisjoint(_inherited())


def _is_confirmed(rig: Path, hashes: dict[str, str]) -> bool:
    """Return whether the user has confirmed these files, here or in another folder.

    In another folder compiled files beside them could differ from what was confirmed.
    """
    if not hashes:
        return True
    known = _confirmed()
    if known.get(str(rig)) == hashes:
        return True
    compiled = any(any((rig / family).rglob(_COMPILED)) for family in PLUGIN_FOLDERS)
    return not compiled and hashes in known.values()


def _confirmed() -> dict[str, dict[str, str]]:
    with suppress(DeepLabStreamError):
        return read_entries(cache_folder() / _CACHE)
    return {}


def trust(rig: Path, hashes: dict[str, str] | None = None) -> None:
    """Store the plug-ins of a rig folder as confirmed.

    `hashes` are those of the files that the user has seen; None: of the present ones.
    """
    rig = rig.resolve()
    confirmed = plugin_hashes(rig) if hashes is None else hashes
    # if it can't be saved, the user confirms again next time
    with suppress(DeepLabStreamError):
        add_entries(cache_folder() / _CACHE, {str(rig): confirmed}, _MOST)


def _inherit(rig: Path) -> None:
    """Keep the decision for this process and those that it starts."""
    if not _is_inherited(rig):
        os.environ[VARIABLE] = os.pathsep.join([*filter(None, _inherited()), str(rig)])


Question = Callable[[str], bool]
"""Shows a question to the user and returns whether the answer is yes."""


def question_in_terminal(question: str) -> bool:
    """Ask in the terminal; False without one."""
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def _is_terminal(stream: object) -> bool:
    return bool(getattr(stream, "isatty", bool)())


class TrustQuestion:
    """Asks, once per process, whether plug-ins may be run."""

    def __init__(self) -> None:
        self.show: Question = question_in_terminal
        self.answered = False
        """Whether the first question is already answered with yes, by the option
        --trust."""
        self._refused: list[tuple[Path, dict[str, str]]] = []

    def check(self, rig: Path) -> None:
        """Ask the user where plug-ins are not trusted; SettingsError: they may not be run."""
        rig = rig.resolve()
        if rig == ROOT.resolve() or _is_inherited(rig):
            return
        hashes = plugin_hashes(rig)
        if _is_confirmed(rig, hashes):
            if hashes:
                _inherit(rig)
            return

        question = _question(rig, hashes)
        if self.answered or (
            (rig, hashes) not in self._refused and self.show(f"{question} Run them?")
        ):
            self.answered = False
            trust(rig, hashes)
            _inherit(rig)
            return
        self._refused.append((rig, hashes))
        raise SettingsError(
            [
                f"{question} They were not run. Read them. If you trust their author, start "
                "once with --trust: deeplabstream check --rig "
                f"{visible(str(rig))} --trust"
            ]
        )


def _question(rig: Path, hashes: dict[str, str]) -> str:
    """Return a sentence that names the files which are new or changed."""
    known = _confirmed().get(str(rig))
    if not known:
        what, files = "are new to this computer", sorted(hashes)
    else:
        what = "have changed since you confirmed them"
        files = sorted(
            name for name in hashes | known if hashes.get(name) != known.get(name)
        )
    named = ", ".join(visible(name) for name in files[:_MOST_NAMED])
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    return (
        f"{visible(str(rig))}: plug-ins {what}: {named}{more}. They are programs, and can "
        "do whatever you can."
    )


TRUST = TrustQuestion()
"""The question of this process."""
