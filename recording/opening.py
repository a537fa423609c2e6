"""Opens the folder of a run to read it: one that was killed is made whole first."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from recording.repair import repair
from recording.run_folder import RunFolder

LOOK_S = 1.0
"""A run that goes on writes something within this time."""


def opened_run(path: Path, say: Callable[[str], object]) -> RunFolder:
    """Return the run; one that never ended is repaired, and `say` is told what was done.

    Nothing is deleted by that: what is changed is kept beside it, as NAME.damaged.
    ValueError: it is no run folder, or still being written; OSError: it can't be repaired.
    """
    if not (path / "run.json").is_file():
        raise ValueError(f"{path} is no run folder: it has no run.json")
    if not ended(path):
        if goes_on(path):
            raise ValueError(f"{path} is still being written")
        for sentence in repair(path).done:
            say(f"repaired: {sentence}")
    return RunFolder(path)


def goes_on(path: Path) -> bool:
    """Return whether somebody is writing this run at present; takes a second to see."""
    if not (path / "run.json").exists() or ended(path):
        return False
    before = _sizes(path)
    time.sleep(LOOK_S)
    return _sizes(path) != before


def ended(path: Path) -> bool:
    """Return whether `run.json` is whole and says when the run ended."""
    try:
        return RunFolder(path).facts["ended"] is not None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError):
        return False


def _sizes(path: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in path.iterdir()}
