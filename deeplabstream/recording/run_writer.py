"""Run writer: writes steps and events into the tables of a run, in their order.

The recorder process and the replay share it: equal input gives equal files, byte for byte.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from deeplabstream.core.closing import Closing
from deeplabstream.core.journal_entries import Entry, Measured, Pulsed, Step
from deeplabstream.core.pose import Skeleton
from deeplabstream.core.space_pose import SPACE, SpacePose
from deeplabstream.ipc.ring import Stamp
from deeplabstream.recording.cell_formats import STATES, text_cell
from deeplabstream.recording.csv_tables import CameraTable, CsvTable, time_cell
from deeplabstream.recording.event_rows import EventRows
from deeplabstream.recording.frame_queue import QueueWriter
from deeplabstream.recording.identity_totals import IdentityTotals
from deeplabstream.recording.moment_table import MomentTable
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import measure_facts, skeleton_facts
from deeplabstream.recording.run_schema import EVENTS, PULSES, TRIGGERS


class RunWriter(Closing):
    """The open tables of one run; methods raise OSError when the disk fails, `close` does not."""

    def __init__(self, folder: RunFolder, start_ns: int) -> None:
        self.folder = folder
        self._start_ns = start_ns
        self._triggers = CsvTable(folder.triggers_path, TRIGGERS.names)
        self._events = EventRows(CsvTable(folder.events_path, EVENTS.names), start_ns)
        self._cameras: dict[str, CameraTable] = {}
        self._states: dict[tuple[str, str], bool | None] = {}
        self._identity = IdentityTotals()
        self._measured: dict[int, Measured] = {}
        """The last measures of each experiment, by its first frame; of the analysis too."""
        self._pulses: CsvTable | None = None
        self._moments: MomentTable | None = None
        self.errors: list[OSError] = []
        """Errors of the disk when the tables were closed: it may not have the last rows."""
        self.queue: QueueWriter | None = None
        """Queues uncertain frames; None: none are queued."""

    def begin(
        self,
        camera: str,
        skeleton: Skeleton,
        triggers: tuple[str, ...] = (),
        behaviours: tuple[str, ...] = (),
        inputs: tuple[str, ...] = (),
        optional: tuple[str, ...] = (),
    ) -> None:
        """Open the camera's table, or continue it when the camera is analysed again.

        `triggers`, `behaviours`, `inputs` and `optional` (of `OPTIONAL_COLUMNS`) become
        columns; a run can't change them later.
        """
        self._states = {
            key: state for key, state in self._states.items() if key[0] != camera
        }
        if camera not in self._cameras:
            if self.folder.facts["skeleton"] is None:
                self.folder.update(skeleton=skeleton_facts(skeleton))
            path = self.folder.table_path(camera)
            self._cameras[camera] = CameraTable(
                path,
                skeleton,
                triggers,
                self._start_ns,
                behaviours,
                inputs,
                optional,
            )

    def step(self, step: Step) -> None:
        """Write an analysed frame, the changes of its triggers and its commands."""
        self._cameras[step.camera].step(step)
        self._identity.add(step)

        self._changes(step.triggers, step.camera, step.index, step.exposed_ns)
        if step.space is not None:
            self._moment(step, step.space)

        self._events.commands(step)
        if self.queue is not None:
            self.queue.step(step)

    def _changes(
        self, states: Mapping[str, bool | None], camera: str, frame: int, time_ns: int
    ) -> None:
        """Write the changes of triggers: most have the same state for minutes."""
        for name, state in states.items():
            key = camera, name
            if key not in self._states or self._states[key] is not state:
                self._states[key] = state
                self._triggers.write_cells(
                    {
                        "camera": text_cell(camera),
                        "frame": frame,
                        "time_s": time_cell(time_ns, self._start_ns),
                        "trigger": text_cell(name),
                        "answer": STATES[state],
                    }
                )

    def _moment(self, step: Step, pose: SpacePose) -> None:
        """Write the moment that has ended with a step; the first makes the table."""
        states = step.space_triggers
        if self._moments is None:
            path, names = self.folder.moments_path, tuple(states)
            self._moments = MomentTable(path, pose, names, self._start_ns)
        self._changes(states, SPACE, self._moments.rows, pose.time_ns)
        self._moments.step(step, pose)

    def skipped(self, camera: str, stamp: Stamp) -> None:
        """Write a frame that was delivered and not analysed."""
        self._cameras[camera].skipped(stamp)

    def entry(self, entry: Entry) -> None:
        """Write an entry of the journal."""
        if isinstance(entry, Step):
            self.step(entry)
        elif isinstance(entry, Measured):
            self._measured[entry.start_ns] = entry
        elif isinstance(entry, Pulsed):
            self._pulse(entry)
        else:
            self._events.entry(entry)

    @property
    def waiting(self) -> bool:
        """Whether an entry is not written yet, because it needs a later one."""
        return self._events.waiting

    def _pulse(self, pulse: Pulsed) -> None:
        """Write a pulse; the first makes the table."""
        if self._pulses is None:
            self._pulses = CsvTable(self.folder.pulses_path, PULSES.names)
        self._pulses.write_cells(
            {
                "input": text_cell(pulse.input),
                "pulse": pulse.number,
                "time_s": time_cell(pulse.began_ns, self._start_ns),
                "acted_ns": pulse.began_ns,
                "acked_ns": pulse.received_ns,
                "device_us": pulse.device_us,
            }
        )

    @contextmanager
    def together(self) -> Iterator[None]:
        """Collect the rows written inside the block, and write them table by table at its end."""
        tables = self._tables()
        for table in tables:
            table.hold()
        try:
            yield
        finally:
            # An error of one table must not keep the rows of the others in memory.
            with ExitStack() as stack:
                for table in tables:
                    stack.callback(table.release)

    def sync(self) -> None:
        """Write all tables to the disk itself; from any thread.

        The modification time of `events.csv` is renewed before each table, because a disk may
        be slow. It shows programs that open the run that it is still being written.
        """
        for table in self._tables():
            with suppress(OSError):
                os.utime(self.folder.events_path)
            table.sync()

    def close(self, closed: Callable[[], object] = lambda: None) -> None:
        """Close all tables; `closed` is called after each. `errors` has what the disk refused."""
        with suppress(OSError):
            self._events.finish()
            if counts := self._identity.facts():
                self.folder.update(identity=counts)
            if measures := measure_facts([*self._measured.values()], self._start_ns):
                self.folder.update(measures=measures)
        if self.queue is not None:
            self.queue.close()
        for table in self._tables():
            if error := table.close():
                self.errors.append(error)
            closed()

    def _tables(self) -> list[CsvTable]:
        cameras = [camera.table for camera in list(self._cameras.values())]
        queue = self.queue.table if self.queue is not None else None
        return [
            self._triggers,
            self._events.table,
            *cameras,
            *([queue] if queue else []),
            *([self._pulses] if self._pulses else []),
            *([self._moments.table] if self._moments else []),
        ]
