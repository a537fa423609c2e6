"""Rows of `events.csv`: intents, commands, marks, edges of outputs, notes."""

from core.command import Command, Mark, Pulse
from core.record import Edge, Entry, Intent, Note, Step
from recording.tables import Table, cell


class EventRows:
    """Writes events; every method raises OSError when the disk refuses."""

    def __init__(self, table: Table, start_ns: int) -> None:
        self.table = table
        self._start_ns = start_ns
        self._acting = ""

    def entry(self, entry: Entry) -> None:
        """Write the events of an entry; an analysed frame's are its commands."""
        match entry:
            case Step():
                self.commands(entry)
            case Intent():
                self.intent(entry)
            case Edge():
                self.edge(entry)
            case Note():
                self.note(entry)

    def commands(self, step: Step) -> None:
        """Write what was asked for on an analysed frame, its events without its row."""
        time, camera = self._time(step.exposed_ns), cell(step.camera)
        chain = (
            f"{step.exposed_ns},{step.arrived_ns},{step.posed_ns},{step.decided_ns},"
            f"{step.written_ns or ''}"
        )
        for command in step.commands:
            kind = "mark" if isinstance(command, Mark) else "command"
            name, level, text = _described(command)
            self.table.write(
                f"{time},{kind},{camera},{step.index},{name},{level},,{chain},{text}"
            )

    def intent(self, intent: Intent) -> None:
        """Write what is about to be done to the outputs."""
        time = self._time(intent.time_ns)
        self._acting = str(intent.index)
        for command in intent.commands:
            if not isinstance(command, Mark):
                name, level, text = _described(command)
                self.table.write(
                    f"{time},intent,,{intent.index},{name},{level},,,,,"
                    f"{intent.time_ns},,{text}"
                )

    def edge(self, edge: Edge) -> None:
        """Write that an output was written; one of the plan's names its frame."""
        frame = self._acting if edge.cause == "plan" else ""
        self.table.write(
            f"{self._time(edge.written_ns)},edge,,{frame},{cell(edge.output)},"
            f"{edge.level!r},{cell(edge.cause)},,,,{edge.asked_ns},{edge.written_ns},"
        )

    def note(self, note: Note) -> None:
        """Write a sentence for people."""
        self.table.write(
            f"{self._time(note.time_ns)},note,,,{cell(note.kind)},,,,,,,,{cell(note.text)}"
        )

    def _time(self, time_ns: int) -> str:
        return f"{(time_ns - self._start_ns) / 1e9:.6f}"


def _described(command: Command) -> tuple[str, str, str]:
    """Return a command's name, level and text, as cells; `reading` is its inverse."""
    if isinstance(command, Mark):
        return "", "", cell(command.text)
    what = f"pulse {command.seconds!r}" if isinstance(command, Pulse) else "set"
    return cell(command.output), repr(float(command.level)), what
