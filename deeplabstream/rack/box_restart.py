"""Box restart: what a box writes into its record that runs again after an unexpected end."""

from dataclasses import asdict
from pathlib import Path

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.foreign_files import read_json

MOST_PAUSE_S = 3600.0
"""Longest pause before a restart."""


def pause_s(first_s: float, number: int) -> float:
    """Return the pause before restart `number` (1, 2, ...): doubled each time.

    >>> [pause_s(10.0, number) for number in (1, 2, 3)]
    [10.0, 20.0, 40.0]
    """
    # a large exponent would overflow; twelve doublings exceed the longest pause
    return min(first_s * 2.0 ** min(number - 1, 12), MOST_PAUSE_S)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class Restart:
    """A restart of a box after an unexpected end, or by a user."""

    number: int
    """Number of the unexpected end, from 1, since a user has started the box."""
    limit: int
    """Largest number of restarts."""
    cause: str
    """How the box has ended, such as `was killed by SIGKILL`."""
    ended_ns: int
    """Time of that end by `SystemClock`."""
    run_folder: str
    """Folder of the run before; empty: it had none."""
    by_user: bool = False
    """Whether a user has restarted it, which the limit does not count."""

    @property
    def which(self) -> str:
        """Which restart it is, as a part of a sentence."""
        return (
            "restart by a user"
            if self.by_user
            else f"restart {self.number} of {self.limit}"
        )

    def sentence(self, now_ns: int) -> str:
        """Return the text for the new run; the gap is that without a record."""
        gap_s = (now_ns - self.ended_ns) / 1e9
        return (
            f"restarted after a gap of {gap_s:.1f} s ({self.which}) because the box "
            f"{self.cause}; previous run folder: {self.run_folder or 'none'}"
        )


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class Interruption:
    """An unexpected end that no rack saw, such as a power cut."""

    last_report: str
    """Local date and time of the last report of the box."""
    run_folder: str
    """Folder of the run before; empty: it had none."""
    is_over: bool = False
    """Whether that run belongs to an earlier time of DAILY, so that it does not go on."""

    def sentence(self, now_ns: int) -> str:
        """Return the text for the new run."""
        return (
            f"started again after an interruption, such as a power cut: the last report was "
            f"at {self.last_report}; previous run folder: {self.run_folder or 'none'}"
        )


def write_restart(file: Path, cause: Restart | Interruption) -> None:
    """Write why a box starts again, in one step; DeviceError: it can't be written."""
    write_json(file, asdict(cause))


def read_restart(file: Path) -> Restart | Interruption | None:
    """Return what is in a file; None: there is none, or it can't be read."""
    for kind in (Restart, Interruption):
        try:
            return kind(**read_json(file))
        except (OSError, ValueError, TypeError):
            continue
    return None
