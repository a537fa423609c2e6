"""Run opening: repairs a killed run before it is read."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from deeplabstream.core.errors import DeviceError
from deeplabstream.files.exclusive_writing import discard_lock, is_locked
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.recording.run_repair import RepairReport, check_run_folder, repair
from deeplabstream.recording.run_schema import check_schema
from deeplabstream.recording.table_reader import table_warnings

OBSERVED_S = 2.0
"""A program that writes a run changes a file in its folder at least this often."""
OBSERVATIONS = 10


def open_run_folder(
    path: Path, report: Callable[[str], object], check_tables: bool = True
) -> RunFolder:
    """Return the run; a run that was not closed is repaired, and `report` gets each repair.

    With `check_tables` all tables are read, and `report` gets a sentence about each with broken
    lines. Nothing is deleted: the original of a changed file is kept beside it as NAME.damaged.
    DeviceError: not a run folder, a newer program wrote it, it is still being written,
    or it can't be repaired.
    """
    if not (path / "run.json").is_file():
        raise DeviceError(f"{path} is not a run folder: it has no run.json")

    # Before the repair, which must not change a run of a newer program. A damaged run.json
    # is repaired below.
    with suppress(OSError, ValueError, TypeError):
        check_schema(path, RunFolder(path).facts)
    if not _is_complete(path):
        try:
            done = repair_killed(path).done
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"{path} was killed and can't be repaired: {error}"
            ) from error
        for sentence in done:
            report(f"repaired: {sentence}")

    folder = RunFolder(path)
    if not check_tables:
        return folder
    try:
        for warning in table_warnings(folder.tables()):
            report(warning)
    except OSError as error:
        raise DeviceError(f"{path} can't be read: {error}") from error
    return folder


def repair_killed(path: Path) -> RepairReport:
    """Repair a run that was not closed, or whose `run.json` is damaged.

    Of programs that do so at the same time one repairs it, and the others wait, no longer
    than `exclusive` does. DeviceError: the run is still being written or repaired by another
    program, or its folder can't be written to. OSError, ValueError: it can't be repaired.
    """
    check_run_folder(path)
    being_written = f"{path} is still being written; end that run first"
    if is_locked(path / "run.json"):
        raise DeviceError(being_written)
    with RunFolder(path).repairing():
        if _is_complete(path):
            return RepairReport()
        if goes_on(path):
            raise DeviceError(being_written)
        report = repair(path)
        discard_lock(path / "run.json")
    return report


def _is_complete(path: Path) -> bool:
    """Return whether `run.json` has the end of the run and only valid entries."""
    return ended(path) and not validate_facts(RunFolder(path).facts)[1]


def goes_on(path: Path) -> bool:
    """Return whether a program is writing this run; takes at most `OBSERVED_S`.

    The recorder has `run.json` exclusively. Where files can't be locked, a change of a file
    shows it.
    """
    if not (path / "run.json").exists() or ended(path):
        return False
    if is_locked(path / "run.json"):
        return True
    before = _files(path)
    for _ in range(OBSERVATIONS):
        time.sleep(OBSERVED_S / OBSERVATIONS)
        if _files(path) != before:
            return True
    return False


def ended(path: Path) -> bool:
    """Return whether `run.json` is readable and has the end of the run."""
    try:
        return RunFolder(path).facts["ended"] is not None
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _files(path: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of each file; of an open file, because folders list older ones."""
    found = {}
    for file in path.iterdir():
        with suppress(OSError):  # drafts and locks may be removed at any time
            try:
                with file.open("rb") as opened:
                    facts = os.fstat(opened.fileno())
            except OSError:  # a folder, or on Windows a lock
                facts = file.stat()
            found[file.name] = facts.st_size, facts.st_mtime_ns
    return found
