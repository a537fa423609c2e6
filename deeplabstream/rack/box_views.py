"""Box views: what is shown of each box of a rack: state, last report."""

from collections.abc import Iterator

from pydantic.dataclasses import dataclass

from deeplabstream.core.clock import Clock
from deeplabstream.files.exclusive_writing import is_locked
from deeplabstream.rack.box_status import (
    ENDED,
    NOT_STARTED,
    SILENT,
    STARTING,
    BoxStatus,
    StatusReader,
    status_file,
    waiting_file,
)
from deeplabstream.settings.rack_file import RackFile

KILLED = "ended unexpectedly"


@dataclass(frozen=True, kw_only=True)
class BoxView:
    """A box at one moment."""

    name: str
    runs: bool
    """Whether its program runs."""
    waits: bool
    """Whether its rack will start it at a time of the clock, or restart it."""
    state: str
    """What it does, such as `streaming, analysing`, or why it does nothing."""
    fails: bool
    """Whether a user should look at it: an alarm, silence, or an unexpected end."""
    animal: str
    """Animal of the run, else that in the rack file; empty: none is given there."""
    status: BoxStatus | None
    """Its last report, also after its end; None: there is none."""


class RackReader:
    """Reads the states of all boxes of a rack from their status files.

    It needs no connection to the rack: it can start before it and stay after its end.
    """

    def __init__(self, rack: RackFile, clock: Clock) -> None:
        self.rack = rack
        self._files = {name: status_file(rack.path, name) for name in rack.boxes}
        self._reports = {
            name: StatusReader(file, clock) for name, file in self._files.items()
        }

    def boxes(self) -> list[BoxView]:
        """Return the boxes in the order of the rack file."""
        return list(self._boxes())

    def _boxes(self) -> Iterator[BoxView]:
        for name, report in self._reports.items():
            report.read()
            runs, status = is_locked(self._files[name]), report.status
            waiting, state = self._waiting(name, runs), _state(runs, report)
            yield BoxView(
                name=name,
                runs=runs,
                waits=bool(waiting),
                state=waiting or state,
                fails=state in {SILENT, KILLED} or bool(status and status.alarm),
                animal=(status.animal if runs and status else "")
                or self.rack.boxes[name].subject.get("ANIMAL", ""),
                status=status,
            )

    def _waiting(self, name: str, runs: bool) -> str:
        """Return what a box waits for; empty: it runs, or its rack does not."""
        if runs or not is_locked(self.rack.path):
            return ""
        try:
            return waiting_file(self.rack.path, name).read_text("utf-8")
        except (OSError, ValueError):
            return ""


def _state(runs: bool, report: StatusReader) -> str:
    if report.status is None:
        return STARTING if runs else NOT_STARTED
    if not runs:
        return ENDED if report.status.ended else KILLED
    return SILENT if report.silent else report.status.state
