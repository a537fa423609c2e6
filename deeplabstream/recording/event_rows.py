"""Rows of `events.csv`: intents, commands, marks, edges, acknowledgements, inputs, notes."""

from collections import deque

from deeplabstream.core.command import Mark
from deeplabstream.core.journal_entries import (
    Acknowledged,
    Edge,
    Entry,
    Intent,
    Measured,
    Note,
    Pulsed,
    Sensed,
    Step,
    TagRead,
)
from deeplabstream.recording.cell_formats import command_cells, text_cell
from deeplabstream.recording.csv_tables import CsvTable, time_cell

_REMEMBERED = 256


class EventRows:
    """Writes events; every method raises OSError when the disk fails."""

    def __init__(self, table: CsvTable, start_ns: int) -> None:
        self.table = table
        self._start_ns = start_ns
        self._acting = ""
        self._edges: deque[tuple[Edge, str]] = deque(maxlen=_REMEMBERED)
        """The last edges, and the frames that caused them."""
        self._chains: dict[str, dict[str, object]] = {}
        """By frame: the times that led to its commands."""
        self._early: list[Acknowledged] = []
        """Acknowledgements that arrived before the step of the frame that caused them."""

    @property
    def waiting(self) -> bool:
        """Whether an acknowledgement is not written yet, because its frame has not arrived."""
        return bool(self._early)

    def entry(self, entry: Entry) -> None:
        """Write the events of an entry; for an analysed frame, its commands."""
        match entry:
            case Step():
                self.commands(entry)
            case Intent():
                self.intent(entry)
            case Edge():
                self.edge(entry)
            case Acknowledged():
                self.acknowledged(entry)
            case Sensed():
                self.sensed(entry)
            case TagRead():
                self.tag_read(entry)
            case Note():
                self.note(entry)
            case Pulsed() | Measured():  # in pulses.csv; in run.json, at the end
                pass

    def commands(self, step: Step) -> None:
        """Write the commands of an analysed frame."""
        chain: dict[str, object] = {
            "camera": text_cell(step.camera),
            "exposed_ns": step.exposed_ns,
            "arrived_ns": step.arrived_ns,
            "posed_ns": step.posed_ns,
            "decided_ns": step.decided_ns,
            "written_ns": step.written_ns or "",
        }
        for command in step.commands:
            kind = "mark" if isinstance(command, Mark) else "command"
            name, level, text = command_cells(command)
            self._write(
                kind,
                step.exposed_ns,
                **chain,
                frame=step.index,
                name=name,
                level=level,
                text=text,
            )
        # A device acknowledges the commands of recent frames only.
        if step.commands:
            self._chains[str(step.index)] = chain
            while len(self._chains) > _REMEMBERED:
                del self._chains[next(iter(self._chains))]
            self._release()

    def intent(self, intent: Intent) -> None:
        """Write the commands that are about to be written to outputs."""
        self._acting = str(intent.index)
        for command in intent.commands:
            if not isinstance(command, Mark):
                name, level, text = command_cells(command)
                self._write(
                    "intent",
                    intent.time_ns,
                    frame=intent.index,
                    name=name,
                    level=level,
                    decided_ns=intent.time_ns,
                    text=text,
                )

    def edge(self, edge: Edge) -> None:
        """Write an edge of an output, with its frame if the plan caused it."""
        frame = self._acting if edge.cause == "plan" else ""
        self._edges.append((edge, frame))
        self._write(
            "edge",
            edge.written_ns,
            frame=frame,
            name=text_cell(edge.output),
            level=repr(edge.level),
            cause=text_cell(edge.cause),
            decided_ns=edge.requested_ns,
            written_ns=edge.written_ns,
        )

    def acknowledged(self, done: Acknowledged) -> None:
        """Write when a device acted, with all times from the exposure of the frame on."""
        # A fast device acts before the step of its frame is in the journal.
        edge, frame = self._cause_of(done)
        if frame and frame not in self._chains:
            self._early.append(done)
        else:
            self._write_ack(done, edge, frame)

    def finish(self) -> None:
        """Write acknowledgements whose frame has not arrived."""
        self._release(force=True)

    def _release(self, force: bool = False) -> None:
        early, self._early = self._early, []
        for done in early:
            edge, frame = self._cause_of(done)
            if force or frame in self._chains:
                self._write_ack(done, edge, frame)
            else:
                self._early.append(done)

    def _write_ack(self, done: Acknowledged, edge: Edge | None, frame: str) -> None:
        chain = dict(self._chains.get(frame, {}))
        if edge is not None:
            chain |= {"decided_ns": edge.requested_ns, "written_ns": edge.written_ns}
        self._write(
            "ack",
            done.acted_ns,
            **chain,
            frame=frame,
            name=text_cell(done.output),
            level=repr(done.level),
            cause=text_cell(edge.cause if edge is not None else done.cause),
            acted_ns=done.acted_ns,
            acked_ns=done.received_ns,
        )

    def sensed(self, seen: Sensed) -> None:
        """Write a change of an input."""
        self._write(
            "input",
            seen.began_ns,
            name=text_cell(seen.input),
            level=repr(float(seen.active)),
            acted_ns=seen.began_ns,
            acked_ns=seen.received_ns,
            device_us=seen.device_us if seen.device_us >= 0 else "",
            text=f"count {seen.count}",
        )

    def tag_read(self, read: TagRead) -> None:
        """Write a tag that a reader has read."""
        self._write(
            "tag",
            read.received_ns,
            name=text_cell(read.input),
            acked_ns=read.received_ns,
            text=text_cell(read.number),
        )

    def note(self, note: Note) -> None:
        """Write a note."""
        self._write(
            "note", note.time_ns, name=text_cell(note.kind), text=text_cell(note.text)
        )

    def _cause_of(self, done: Acknowledged) -> tuple[Edge | None, str]:
        """Return the edge that a device acknowledges, and the frame that caused it."""
        # The device has the command after the request, and answers during the write.
        for edge, frame in reversed(self._edges):
            same = edge.output == done.output and edge.level == done.level
            if same and edge.requested_ns <= done.sent_ns <= edge.written_ns:
                return edge, frame
        return None, ""

    def _write(self, kind: str, at_ns: int, **cells: object) -> None:
        time_s = time_cell(at_ns, self._start_ns)
        self.table.write_cells({"time_s": time_s, "kind": kind, **cells})
