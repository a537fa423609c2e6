"""Writes what happened in a run into its tables, in the order in which it happened.

The recorder process and a replay write through this one class, so that equal input
gives equal files, byte for byte.
"""

from dataclasses import asdict
from types import TracebackType

from core.command import Command, Mark, Pulse
from core.pose import Skeleton
from core.record import Edge, Entry, Intent, Note, Step
from core.ring import Stamp
from recording.run_folder import RunFolder
from recording.tables import (
    ANSWERS,
    EVENT_COLUMNS,
    TRIGGER_COLUMNS,
    CameraTable,
    Table,
    cell,
)


class RunWriter:
    """The open tables of one run; every method raises OSError when the disk refuses."""

    def __init__(self, folder: RunFolder, start_ns: int) -> None:
        self.folder = folder
        self._start_ns = start_ns
        self._triggers = Table(folder.triggers_path, TRIGGER_COLUMNS)
        self._events = Table(folder.events_path, EVENT_COLUMNS)
        self._cameras: dict[str, CameraTable] = {}
        self._answers: dict[tuple[str, str], bool | None] = {}
        self._acting = ""

    def begin(
        self,
        camera: str,
        skeleton: Skeleton,
        triggers: tuple[str, ...] = (),
        animals: int = 1,
    ) -> None:
        """Open the camera's table, or go on with it when it is analysed again.

        `triggers` become its columns; a run can't change them later.
        """
        self._answers = {
            key: answer for key, answer in self._answers.items() if key[0] != camera
        }
        if camera not in self._cameras:
            if self.folder.facts["skeleton"] is None:
                self.folder.update(skeleton=asdict(skeleton))
            path = self.folder.table_path(camera)
            self._cameras[camera] = CameraTable(
                path, skeleton, triggers, animals, self._start_ns
            )

    def step(self, step: Step) -> None:
        """Write an analysed frame, the changes of its triggers and its commands."""
        self._cameras[step.camera].step(step)
        time = self._time(step.exposed_ns)
        camera = cell(step.camera)
        for name, answer in step.triggers.items():
            key = step.camera, name
            if key not in self._answers or self._answers[key] is not answer:
                self._answers[key] = answer
                self._triggers.write(
                    f"{camera},{step.index},{time},{cell(name)},{ANSWERS[answer]}"
                )
        chain = (
            f"{step.exposed_ns},{step.arrived_ns},{step.posed_ns},{step.decided_ns},"
            f"{step.written_ns or ''}"
        )
        for command in step.commands:
            kind = "mark" if isinstance(command, Mark) else "command"
            name, level, text = _described(command)
            self._events.write(
                f"{time},{kind},{camera},{step.index},{name},{level},,{chain},{text}"
            )

    def skipped(self, camera: str, stamp: Stamp) -> None:
        """Write a frame that was delivered and not analysed."""
        self._cameras[camera].skipped(stamp)

    def intent(self, intent: Intent) -> None:
        """Write what is about to be done to the outputs."""
        time = self._time(intent.time_ns)
        self._acting = str(intent.index)
        for command in intent.commands:
            if not isinstance(command, Mark):
                name, level, text = _described(command)
                self._events.write(
                    f"{time},intent,,{intent.index},{name},{level},,,,,"
                    f"{intent.time_ns},,{text}"
                )

    def edge(self, edge: Edge) -> None:
        """Write that an output was written; one of the plan's names its frame."""
        frame = self._acting if edge.cause == "plan" else ""
        self._events.write(
            f"{self._time(edge.written_ns)},edge,,{frame},{cell(edge.output)},"
            f"{edge.level!r},{cell(edge.cause)},,,,{edge.asked_ns},{edge.written_ns},"
        )

    def note(self, note: Note) -> None:
        """Write a sentence for people."""
        self._events.write(
            f"{self._time(note.time_ns)},note,,,{cell(note.kind)},,,,,,,,{cell(note.text)}"
        )

    def entry(self, entry: Entry) -> None:
        """Write whatever it is."""
        match entry:
            case Step():
                self.step(entry)
            case Intent():
                self.intent(entry)
            case Edge():
                self.edge(entry)
            case Note():
                self.note(entry)

    def sync(self) -> None:
        """Have the disk itself take everything; from any thread."""
        for table in self._tables():
            table.sync()

    def close(self) -> None:
        """Close all tables."""
        for table in self._tables():
            table.close()

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _tables(self) -> list[Table]:
        cameras = [camera.table for camera in list(self._cameras.values())]
        return [self._triggers, self._events, *cameras]

    def _time(self, time_ns: int) -> str:
        return f"{(time_ns - self._start_ns) / 1e9:.6f}"


def _described(command: Command) -> tuple[str, str, str]:
    """Return a command's name, level and text, as cells; `reading` is its inverse."""
    if isinstance(command, Mark):
        return "", "", cell(command.text)
    what = f"pulse {command.seconds!r}" if isinstance(command, Pulse) else "set"
    return cell(command.output), repr(float(command.level)), what
