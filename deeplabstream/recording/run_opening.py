"""Opens the folder of a run to read it: one that was killed is made whole first."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from deeplabstream.core.errors import DeviceError
from deeplabstream.recording.repair import repair
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.sound_facts import sound_facts
from deeplabstream.recording.table_reader import table_warnings

LOOK_S = 2.0
"""Who writes a run renews something in its folder within this time."""
LOOKS = 10


def opened_run(path: Path, say: Callable[[str], object]) -> RunFolder:
    """Return the run; one that never ended is repaired, and `say` is told what was done.

    Nothing is deleted by that: what is changed is kept beside it, as NAME.damaged.
    DeviceError: it is no run folder, or still being written, or can't be repaired.
    """
    if not (path / "run.json").is_file():
        raise DeviceError(f"{path} is no run folder: it has no run.json")
    if not ended(path) or not _sound(path):
        if goes_on(path):
            raise DeviceError(f"{path} is still being written; end that run first")
        try:
            done = repair(path).done
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"{path} was killed and can't be repaired: {error}"
            ) from error
        for sentence in done:
            say(f"repaired: {sentence}")
    folder = RunFolder(path)
    try:
        for warning in table_warnings(folder.tables()):
            say(warning)
    except OSError as error:
        raise DeviceError(f"{path} can't be read: {error}") from error
    return folder


def _sound(path: Path) -> bool:
    """Return whether all entries of `run.json` can be used."""
    return not sound_facts(RunFolder(path).facts)[1]


def goes_on(path: Path) -> bool:
    """Return whether somebody is writing this run at present; takes a while to see."""
    if not (path / "run.json").exists() or ended(path):
        return False
    before = _files(path)
    for _ in range(LOOKS):
        time.sleep(LOOK_S / LOOKS)
        if _files(path) != before:
            return True
    return False


def ended(path: Path) -> bool:
    """Return whether `run.json` is whole and says when the run ended."""
    try:
        return RunFolder(path).facts["ended"] is not None
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _files(path: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of each file."""
    found = {}
    for file in path.iterdir():
        with suppress(FileNotFoundError):  # run.json.new comes and goes
            facts = file.stat()
            found[file.name] = facts.st_size, facts.st_mtime_ns
    return found
