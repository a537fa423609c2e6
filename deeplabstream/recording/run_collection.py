"""Run collection: copies finished runs to another place by rclone, and compares checksums."""

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.deleted_videos import DELETED

_NO_HASH = "hashes could not be checked"
_LEFT = "--exclude", f"/{DELETED}"
"""What is not copied: the account of deleted videos changes after the end of a run, and lists
videos here, not their copies."""


RCLONE = "rclone"


@dataclass(frozen=True)
class Collected:
    """What has become of one run."""

    run: Path
    problem: str = ""
    """Why it is not complete at the destination; empty: it is."""
    by_size: bool = False
    """Whether the destination has no checksums, so that sizes alone were compared."""

    def __str__(self) -> str:
        """Return it as a line."""
        if self.problem:
            return f"{self.run.name}: NOT collected: {self.problem}"
        how = (
            "sizes are equal (no checksums there)"
            if self.by_size
            else "checksums are equal"
        )
        return f"{self.run.name}: {how}"


def collect(
    runs: Iterable[Path], destination: str, program: str
) -> Iterator[Collected]:
    """Copy runs; yield what became of each. Nothing is deleted or replaced, here or there.

    `destination`: a folder, or REMOTE:PATH of rclone. A file that differs there is a problem
    of its run; the other runs are collected all the same.
    """
    for run in runs:
        place = _place(run, destination)
        # --immutable: a file that is there already is never replaced
        copied = _rclone(
            program, "copy", run, place, "--checksum", "--immutable", *_LEFT
        )
        compared = _rclone(program, "check", run, place, "--one-way", *_LEFT)
        if copied.returncode or compared.returncode:
            failed = copied if copied.returncode else compared
            yield Collected(run, _problem(failed.stderr))
        else:
            yield Collected(run, by_size=_NO_HASH in compared.stderr)


def installed(program: str = RCLONE) -> str:
    """Return the path of rclone; DeepLabStreamError: it is not installed."""
    path = shutil.which(program)
    if path is None:
        raise DeepLabStreamError(
            f"{program} is not installed: https://rclone.org/downloads"
        )
    return path


def is_collected(file: Path, destination: str, program: str) -> bool:
    """Return whether a file of a run is at the destination with an equal checksum.

    False where the destination has no checksums: equal sizes are no proof.
    """
    place = _place(file.parent, destination)
    listed = "--one-way", "--files-from-raw", "-", "--combined", "-"
    done = _rclone(
        program, "check", file.parent, place, *listed, given=f"{file.name}\n"
    )
    equal = done.returncode == 0 and f"= {file.name}" in done.stdout.splitlines()
    return equal and _NO_HASH not in done.stderr


def _place(run: Path, destination: str) -> str:
    return f"{destination.rstrip('/')}/{run.name}"


def _rclone(
    program: str, action: str, run: Path, place: str, *more: str, given: str = ""
) -> "subprocess.CompletedProcess[str]":
    # a question at a terminal would never be answered
    command = [program, action, str(run), place, *more, "--ask-password=false"]
    try:
        return subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise DeepLabStreamError(f"rclone ({program}) can't be run: {error}") from error


def _problem(text: str) -> str:
    """Return the first error of rclone's messages, without its time."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line] or lines[-1:]
    if not errors:
        return "rclone has failed"
    return " ".join(errors[0].rpartition("ERROR :")[2].split())
