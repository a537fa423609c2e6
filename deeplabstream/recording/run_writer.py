"""Writes what happened in a run into its tables, in the order in which it happened.

The recorder process and a replay write through this one class, so that equal input
gives equal files, byte for byte.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict

from deeplabstream.core.closing import Closing
from deeplabstream.core.journal_entries import Entry, Step
from deeplabstream.core.pose import Skeleton
from deeplabstream.ipc.ring import Stamp
from deeplabstream.recording.csv_tables import (
    ANSWERS,
    EVENT_COLUMNS,
    TRIGGER_COLUMNS,
    CameraTable,
    Table,
    cell,
)
from deeplabstream.recording.event_rows import EventRows
from deeplabstream.recording.identity_totals import IdentityTotals
from deeplabstream.recording.run_folder import RunFolder


class RunWriter(Closing):
    """The open tables of one run; every method raises OSError when the disk refuses."""

    def __init__(self, folder: RunFolder, start_ns: int) -> None:
        self.folder = folder
        self._start_ns = start_ns
        self._triggers = Table(folder.triggers_path, TRIGGER_COLUMNS)
        self._events = EventRows(Table(folder.events_path, EVENT_COLUMNS), start_ns)
        self._cameras: dict[str, CameraTable] = {}
        self._answers: dict[tuple[str, str], bool | None] = {}
        self._identity = IdentityTotals()

    def begin(
        self,
        camera: str,
        skeleton: Skeleton,
        triggers: tuple[str, ...] = (),
        behaviours: tuple[str, ...] = (),
        inputs: tuple[str, ...] = (),
    ) -> None:
        """Open the camera's table, or go on with it when it is analysed again.

        `triggers`, `behaviours` and `inputs` become columns; a run can't change them later.
        """
        self._answers = {
            key: answer for key, answer in self._answers.items() if key[0] != camera
        }
        if camera not in self._cameras:
            if self.folder.facts["skeleton"] is None:
                self.folder.update(skeleton=asdict(skeleton))
            path = self.folder.table_path(camera)
            self._cameras[camera] = CameraTable(
                path,
                skeleton,
                triggers,
                self._start_ns,
                behaviours,
                inputs,
            )

    def step(self, step: Step) -> None:
        """Write an analysed frame, the changes of its triggers and its commands."""
        self._cameras[step.camera].step(step)
        self._identity.add(step)
        time = self._time(step.exposed_ns)
        camera = cell(step.camera)
        for name, answer in step.triggers.items():
            key = step.camera, name
            if key not in self._answers or self._answers[key] is not answer:
                self._answers[key] = answer
                self._triggers.write(
                    f"{camera},{step.index},{time},{cell(name)},{ANSWERS[answer]}"
                )
        self._events.commands(step)

    def skipped(self, camera: str, stamp: Stamp) -> None:
        """Write a frame that was delivered and not analysed."""
        self._cameras[camera].skipped(stamp)

    def entry(self, entry: Entry) -> None:
        """Write whatever it is."""
        if isinstance(entry, Step):
            self.step(entry)
        else:
            self._events.entry(entry)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write the rows of all that is written meanwhile at once, table by table."""
        tables = self._tables()
        for table in tables:
            table.hold()
        try:
            yield
        finally:
            with ExitStack() as stack:
                for table in tables:
                    stack.callback(table.release)

    def sync(self) -> None:
        """Have the disk itself take everything; from any thread.

        The time of the events' file is renewed, so that whoever opens a run in which
        nothing happens just now can tell it from a killed one.
        """
        for table in self._tables():
            table.sync()
        with suppress(OSError):
            os.utime(self.folder.events_path)

    def close(self, closed: Callable[[], object] = lambda: None) -> None:
        """Close all tables; `closed` is called after each."""
        with suppress(OSError):
            self._events.finish()
            if told := self._identity.facts():
                self.folder.update(identity=told)
        for table in self._tables():
            table.close()
            closed()

    def _tables(self) -> list[Table]:
        cameras = [camera.table for camera in list(self._cameras.values())]
        return [self._triggers, self._events.table, *cameras]

    def _time(self, time_ns: int) -> str:
        return f"{(time_ns - self._start_ns) / 1e9:.6f}"
