"""The rig folder: the settings, plug-ins, networks and experiments of one rig.

A rig folder holds `settings.ini` and, where the lab has its own, `cameras/`, `experiments/`,
`outputs/` and `models/`. The folder of the program itself (ROOT) is one too. The rig in use is

1. the folder that `--rig` names, or that a settings file was loaded from,
2. else the working directory, if it holds a `settings.ini`,
3. else ROOT.

The environment variable DEEPLABSTREAM_RIG holds the first, so that child processes and
programs that the window starts use the same rig.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deeplabstream.files.paths import INSTALLED, ROOT
from deeplabstream.files.plugin_trust import PLUGIN_FOLDERS, TRUST, is_trusted

VARIABLE = "DEEPLABSTREAM_RIG"
SETTINGS = "settings.ini"
MODELS = "models"
CONFIGS = Path("experiments", "configs")
_PACKAGES = ("cameras", "experiments", "experiments.triggers", "outputs")
MANIFEST = "manifest-sha256.txt"
_RECORDS = ("run.json", MANIFEST)
"""Files that identify a folder as a run folder or an evidence bundle, not a rig."""


def current() -> Path:
    """Return the rig folder in use."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    try:
        here = Path.cwd()
    except OSError:  # the working directory was deleted
        return ROOT
    rig = (here / SETTINGS).is_file() and not _is_record(here)
    return here if rig else ROOT


def is_named() -> bool:
    """Return whether the rig in use was named, not found in the working directory."""
    return bool(os.environ.get(VARIABLE))


def _is_record(folder: Path) -> bool:
    """Return whether a folder is a run folder: its code is never executed."""
    return any((folder / name).exists() for name in _RECORDS)


def settings_file() -> Path | None:
    """Return the settings file of the rig in use; None: there is no rig.

    An installed program has no rig of its own: runs would be written into the folder of
    the installed packages.
    """
    folder = current()
    return None if INSTALLED and folder == ROOT else folder / SETTINGS


def model_places() -> list[Path]:
    """Return the folders that are searched for networks by name, the rig's first."""
    return list(dict.fromkeys([current() / MODELS, ROOT / MODELS]))


def config_places(folder: Path | None = None) -> list[Path]:
    """Return the folders of ready-made experiments: those of a rig, then the built-in ones.

    `folder` is the rig's; None: the rig in use.
    """
    own = (current() if folder is None else folder) / CONFIGS
    return list(dict.fromkeys([own, ROOT / CONFIGS]))


def use(folder: Path) -> None:
    """Use a folder as the rig, in this process and its child processes."""
    os.environ[VARIABLE] = str(folder.resolve())
    refresh_plugins()


@contextmanager
def used(folder: Path) -> Iterator[None]:
    """Use a folder as the rig in the block, and then again the one before."""
    before = os.environ.get(VARIABLE)
    use(folder)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before
        refresh_plugins()


def use_for_settings(folder: Path) -> None:
    """Use the plug-ins in `folder`, from which the settings were loaded.

    A folder without plug-ins, a run folder and an evidence bundle do not change the rig in
    use: the code in them is never executed. SettingsError: the plug-ins of the rig in use
    are not trusted.
    """
    own = any((folder / name).is_dir() for name in PLUGIN_FOLDERS)
    if own and not _is_record(folder):
        TRUST.check(folder)
        use(folder)
    else:
        TRUST.check(current())
        refresh_plugins()


_own_folders: dict[str, str] = {}
"""Rig folders that extend the loaded packages of plug-ins, by package."""


def plugin_path(built_in: Iterable[str], package: str) -> list[str]:
    """Return the `__path__` of a package of plug-ins: the built-in folder, then the rig's.

    Other folders that the package extends over stay. A rig that is not trusted is left out.

    >>> plugin_path(["/nowhere/cameras"], "no_such_family")
    ['/nowhere/cameras']
    """
    first, *others = built_in
    others = [folder for folder in others if folder != _own_folders.get(package)]
    rig = current()
    own = rig.joinpath(*package.split("."))
    built_in_only = Path(first).resolve() == own.resolve() or not own.is_dir()
    if built_in_only or not is_trusted(rig):
        _own_folders.pop(package, None)
        return [first, *others]
    _own_folders[package] = str(own)
    return [first, str(own), *others]


def refresh_plugins() -> None:
    """Update the loaded packages of plug-ins to the rig in use.

    Modules of another rig's folder are unloaded, because files here may have the same names.
    """
    for name in _PACKAGES:
        package = sys.modules.get(name)
        if package is None:
            continue
        before = list(package.__path__)
        path = plugin_path(before, name)
        if path == before:
            continue
        package.__path__[:] = path
        gone = [Path(entry) for entry in before if entry not in path]
        for module in [key for key in sys.modules if key.startswith(f"{name}.")]:
            file = getattr(sys.modules[module], "__file__", None)
            if file and any(Path(file).is_relative_to(folder) for folder in gone):
                del sys.modules[module]
    importlib.invalidate_caches()
