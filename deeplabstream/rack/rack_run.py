"""Rack run: starts the boxes of a rack, prints their states, and stops them together."""

from collections.abc import Callable, Sequence
from contextlib import closing

from deeplabstream.core.clock import Clock, SystemClock, rest
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.engine.processes.termination import Termination
from deeplabstream.files.exclusive_writing import BeingWrittenError, exclusive
from deeplabstream.rack.box_process import BoxProcess
from deeplabstream.rack.box_status import BoxStatus
from deeplabstream.settings.rack_file import RackFile

TABLE_NS = 10_000_000_000
"""Interval of the table while no state changes."""
_TICK_S = 0.1
_COLUMNS = (
    "box", "state", "frames/s", "trials", "p50/p99 ms", "lost", "disk GB", "alarm",
)  # fmt: skip


def chosen_boxes(rack: RackFile, only: Sequence[str]) -> list[str]:
    """Return the boxes to run; empty `only`: all. DeepLabStreamError: one is unknown."""
    for name in only:
        if name not in rack.boxes:
            known = ", ".join(rack.boxes)
            raise DeepLabStreamError(
                f"{rack.path.name} has no [Box {name}]; it has: {known}"
            )
    return [name for name in rack.boxes if not only or name in only]


def run_rack(
    rack: RackFile,
    names: Sequence[str],
    command: Callable[[str], Sequence[str]],
    report: Callable[[str], object],
    requests: Termination,
) -> int:
    """Run boxes until all have ended, or `requests` ends them; return the number that failed.

    `command` returns the command that runs a box. A box that fails does not end the others.
    """
    try:
        with exclusive(rack.path, 0.0), closing(_Boxes(report, SystemClock())) as boxes:
            for name in names:
                boxes.start(rack, name, command(name))
            while boxes.run:
                if requests.requested:
                    boxes.stop(requests.reason)
                boxes.watch()
                rest(_TICK_S)
            return boxes.failures
    except BeingWrittenError as error:
        raise DeviceError(f"{rack.path} already runs as a rack") from error


class _Boxes:
    """The boxes of a rack that were started."""

    def __init__(self, report: Callable[[str], object], clock: Clock) -> None:
        self._report, self._clock = report, clock
        self._boxes: list[BoxProcess] = []
        self._states: dict[str, str] = {}
        self._stopped = False
        self._shown_ns: int | None = None
        self.failures = 0

    @property
    def run(self) -> bool:
        """Whether a box still runs, or its end was not yet reported."""
        return any(box.exit_code is None for box in self._boxes) or any(
            self._states.get(box.name) != box.state for box in self._boxes
        )

    def start(self, rack: RackFile, name: str, command: Sequence[str]) -> None:
        """Start a box; one that can't be started does not end the others."""
        try:
            box = BoxProcess(rack.path, name, command, self._clock)
        except OSError as error:
            self.failures += 1
            self._report(f"[Box {name}] can't be started: {error}")
        else:
            self._boxes.append(box)

    def stop(self, reason: str) -> None:
        """Stop all boxes, once."""
        if not self._stopped:
            self._stopped = True
            self._report(f"All boxes are being stopped: {reason}.")
            self.close()

    def close(self) -> None:
        """Ask all boxes to end; those that have ended stay as they are."""
        for box in self._boxes:
            box.stop()

    def watch(self) -> None:
        """Report what has changed, and the table if it is time."""
        for box in self._boxes:
            box.read()
        states = {box.name: box.state for box in self._boxes}
        for box in self._boxes:
            known = self._states.get(box.name)
            if box.exit_code is not None and known != states[box.name]:
                self.failures += box.failed
                self._report(f"[Box {box.name}] {states[box.name]}; see {box.printed}")
        now_ns = self._clock.now_ns()
        due = self._shown_ns is None or now_ns - self._shown_ns >= TABLE_NS
        if due or states != self._states:
            self._report(state_table(self._boxes))
            self._shown_ns = now_ns
        self._states = states


def state_table(boxes: Sequence[BoxProcess]) -> str:
    """Return the states of boxes as a table of text, one line each."""
    rows = [_COLUMNS, *(_row(box) for box in boxes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def _row(box: BoxProcess) -> tuple[str, ...]:
    if box.status is None:
        return (box.name, box.state, *[""] * (len(_COLUMNS) - 2))
    # the rate of a box that has ended is that of the time before
    rates = "" if box.exit_code is not None else _rates(box.status)
    return (box.name, box.state, rates, *_totals(box.status))


def _rates(status: BoxStatus) -> str:
    return ", ".join(f"{name} {rate:.1f}" for name, rate in status.rates.items())


def _totals(status: BoxStatus) -> tuple[str, ...]:
    """Return the cells after the frame rates."""
    latency = (
        "" if status.latency_ms is None else "{:.1f}/{:.1f}".format(*status.latency_ms)
    )
    lost = "?" if status.lost is None else str(status.lost + status.lost_to_video)
    disk = "" if status.disk_free_gb is None else f"{status.disk_free_gb:.0f}"
    alarm = " ".join(status.alarm.split())
    return str(status.trials), latency, lost, disk, alarm
