"""Last guard: the rack switches a box's outputs off when its processes, guards too, were killed.

It acts only when the box has ended without closing its record, its engine and both guards
have ended, and the record does not say that the outputs are off: then no other process opens
the ports. Outputs that can't be reached are tried until the box starts again.
"""

import csv
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from deeplabstream.core.clock import Clock, SystemClock, rest
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.journal_entries import LAST_NOTE, Edge, Note
from deeplabstream.engine.processes.guard import (
    SIGNALS_S,
    SwitchOff,
    last_entry_text,
    switch_off,
)
from deeplabstream.engine.session.messages import (
    GuardReport,
    GuardTookOver,
    ProblemReport,
)
from deeplabstream.ipc.shared_memory_cleanup import remove_abandoned
from deeplabstream.plugins.output import Output
from deeplabstream.rack.box_outputs import BoxOutputs
from deeplabstream.rack.box_process import BoxProcess, runs
from deeplabstream.rack.box_status import BoxAlarm
from deeplabstream.recording.journal_recovery import append_event, complete_events
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.rack_file import RackBox

RACK = "rack"
"""Cause of an edge that the rack has written."""
SUSPENDED_NS = 3_000_000_000
"""An engine or guard of an ended box that is suspended for this long is killed."""
RECORD_S = 60.0
"""How long to wait for the recorder of the box to end before its record is completed."""
_SWITCHING = frozenset({"engine", "guard", "second guard"})
"""Processes of a box that switch its outputs off."""
_TAIL = 1 << 16


class LastGuard:
    """Watches the end of a box's processes.

    ::

        idle ── the box was killed ──► waiting ── its guards have switched off ──► idle
                                          │ engine and guards have ended
                                          ▼
                                        acting ── off, or not reached ──► idle
    """

    def __init__(self, box: RackBox, clock: Clock) -> None:
        self._box, self._clock = box, clock
        self._known = BoxOutputs(box)
        self._outputs: Mapping[str, Output] = {}
        self._process: BoxProcess | None = None
        """The box that has ended; None: there is nothing to watch."""
        self._ended_ns = 0
        self._attempt: _Attempt | None = None

    @property
    def active(self) -> bool:
        """Whether the outputs may be on, and the rack waits for guards or acts."""
        acts = self._attempt is not None and not self._attempt.settled
        return self._process is not None or acts

    def prepare(self) -> None:
        """Read the outputs ahead after a change of the settings, so that a start is fast."""
        self._known.read_ahead()

    def box_starts(self) -> None:
        """Store the outputs of the box, which starts now; the box opens them from here on."""
        if self._attempt is not None:
            self._attempt.stop()
        self._process = self._attempt = None
        self._outputs = self._known.read()

    def box_ended(self, process: BoxProcess) -> None:
        """Take the end of the box; one that has closed its record has switched off itself."""
        status = process.status
        if self._outputs and status is not None and not status.ended:
            self._process, self._ended_ns = process, self._clock.now_ns()

    def watch(self) -> list[BoxAlarm]:
        """Act if it is time; return what a user has to know."""
        if self._process is not None:
            self._act_if_alone(self._process)
        return self._attempt.take_reports() if self._attempt is not None else []

    def _act_if_alone(self, process: BoxProcess) -> None:
        left = process.left_of(_SWITCHING)
        if left:
            late = self._clock.now_ns() - self._ended_ns >= SUSPENDED_NS
            for each in left if late else ():
                with suppress(psutil.Error):
                    if each.status() == psutil.STATUS_STOPPED:
                        each.kill()
            return

        self._process = None
        folder = process.status.run_folder if process.status else ""
        run = Path(folder) if folder else None
        if run is None or not recorded_as_off(run):
            others = process.left_of()
            self._known.discard()
            self._attempt = _Attempt(self._box.name, self._outputs, run, others)


def recorded_as_off(run: Path) -> bool:
    """Return whether the record says that an engine or guard has switched all outputs off."""
    try:
        with (run / "events.csv").open("rb") as file:
            columns = file.readline().decode().rstrip("\r\n").split(",")
            file.seek(max(file.tell(), file.seek(0, 2) - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return False
    rows = (dict(zip(columns, row, strict=False)) for row in csv.reader(lines))
    last = [row.get("text", "") for row in rows if row.get("name") == LAST_NOTE]
    return bool(last) and last[-1].endswith("outputs are off")


class _Attempt(threading.Thread):
    """Switches outputs off and completes the record, in place of a box's guards.

    In a thread: a driver that blocks, or a slow disk, must not keep the rack from other boxes.
    """

    def __init__(
        self,
        box: str,
        outputs: Mapping[str, Output],
        run: Path | None,
        others: Sequence[psutil.Process],
    ) -> None:
        super().__init__(name=f"last guard {box}", daemon=True)
        self.settled = False
        """Whether all outputs have been tried, and the record is complete."""
        self._box, self._outputs, self._run_folder = box, outputs, run
        self._others = others
        self._clock = SystemClock()
        self._began_ns = self._clock.now_ns()
        self._reports: deque[BoxAlarm] = deque()
        self._entries: list[Edge | Note] = []
        self._stopped = threading.Event()
        self.start()

    def stop(self) -> None:
        """Begin no other attempt."""
        self._stopped.set()

    def take_reports(self) -> list[BoxAlarm]:
        """Return what was reported since the last call."""
        return [self._reports.popleft() for _ in range(len(self._reports))]

    def send(self, message: GuardReport) -> None:
        """Report a message to the user."""
        if isinstance(message, ProblemReport):
            # that the box has ended is an urgent alarm already
            self._report(message.text, urgent=not isinstance(message, GuardTookOver))

    def write(self, entry: Edge | Note) -> None:
        """Keep an entry for the record, and report it."""
        self._entries.append(entry)
        if isinstance(entry, Edge):
            self._report_off(entry)
        elif entry.kind == "guard" and entry.text.startswith("[Output"):
            self._report(entry.text, urgent=False)

    def run(self) -> None:
        """Switch off, complete the record, and try again what could not be reached."""
        switch_off(self._outputs, "all its processes were killed", RACK, self)
        off = {entry.output for entry in self._entries if isinstance(entry, Edge)}
        left_on = {
            name: output
            for name, output in self._outputs.items()
            if output.reopens and name not in off
        }
        self._complete_record()
        self.settled = True
        self._try_again(left_on)

    def _report_off(self, edge: Edge) -> None:
        seconds = (edge.written_ns - self._began_ns) / 1e9
        text = (
            f"the rack has switched [Output {edge.output}] off, after {seconds:.2f} s"
        )
        self._report(text, urgent=False)

    def _report(self, text: str, urgent: bool) -> None:
        report = BoxAlarm(f"[Box {self._box}] {text}", urgent, self._clock.now_ns())
        self._reports.append(report)

    def _complete_record(self) -> None:
        """Add what was done to the record, when no process of the box writes it any more."""
        give_up_ns = self._clock.now_ns() + round(RECORD_S * 1e9)
        while any(map(runs, self._others)) and self._clock.now_ns() < give_up_ns:
            rest(SIGNALS_S)
        if self._run_folder is not None:
            add_to_record(self._run_folder, self._entries)
        remove_abandoned()

    def _try_again(self, left_on: Mapping[str, Output]) -> None:
        """Try what could not be reached until the box starts again."""
        attempts = [SwitchOff(name, it, RACK) for name, it in left_on.items()]
        while attempts and not self._stopped.wait(SIGNALS_S):
            for attempt in [*attempts]:
                if not isinstance(edge := attempt.result, Edge):
                    continue
                attempts.remove(attempt)
                self._report_off(edge)
                names = [each.output_name for each in attempts]
                text = last_entry_text(names, RACK)
                note = Note(LAST_NOTE, text, edge.written_ns)
                if self._run_folder is not None:
                    _append(self._run_folder, [edge, note])
        for attempt in attempts:
            attempt.stop()


def add_to_record(run: Path, entries: Sequence[Edge | Note]) -> None:
    """Add entries to the events of a run, whether its recorder was killed or has closed it."""
    try:
        closed = RunFolder(run).facts["ended"] is not None
    except (DeepLabStreamError, OSError, ValueError, KeyError):
        return  # the record is damaged or deleted
    if closed:
        _append(run, entries)
    else:
        complete_events(run, entries)


def _append(run: Path, entries: Sequence[Edge | Note]) -> None:
    with suppress(DeepLabStreamError, ValueError, KeyError):
        for entry in entries:
            append_event(RunFolder(run), entry)
