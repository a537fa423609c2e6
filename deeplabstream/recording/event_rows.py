"""Rows of `events.csv`: intents, commands, marks, edges and answers of outputs, inputs, notes."""

from collections import deque

from deeplabstream.core.command import Command, Mark, Pulse, Train
from deeplabstream.core.journal_entries import (
    Acknowledged,
    Edge,
    Entry,
    Intent,
    Note,
    Sensed,
    Step,
)
from deeplabstream.recording.csv_tables import EVENT_COLUMNS, Table, cell

_REMEMBERED = 256


class EventRows:
    """Writes events; every method raises OSError when the disk refuses."""

    def __init__(self, table: Table, start_ns: int) -> None:
        self.table = table
        self._start_ns = start_ns
        self._acting = ""
        self._edges: deque[tuple[Edge, str]] = deque(maxlen=_REMEMBERED)
        """The last edges, and the frames that led to them."""
        self._chains: dict[str, dict[str, object]] = {}
        """By frame: what led to its commands."""
        self._early: list[Acknowledged] = []
        """Answers that came before the frame that led to them was told."""

    def entry(self, entry: Entry) -> None:
        """Write the events of an entry; an analysed frame's are its commands."""
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
            case Note():
                self.note(entry)

    def commands(self, step: Step) -> None:
        """Write what was asked for on an analysed frame, its events without its row."""
        chain: dict[str, object] = {
            "camera": cell(step.camera),
            "exposed_ns": step.exposed_ns,
            "arrived_ns": step.arrived_ns,
            "posed_ns": step.posed_ns,
            "decided_ns": step.decided_ns,
            "written_ns": step.written_ns or "",
        }
        for command in step.commands:
            kind = "mark" if isinstance(command, Mark) else "command"
            name, level, text = _described(command)
            self._write(
                kind,
                step.exposed_ns,
                **chain,
                frame=step.index,
                name=name,
                level=level,
                text=text,
            )
        if step.commands:
            self._chains[str(step.index)] = chain
            while len(self._chains) > _REMEMBERED:
                del self._chains[next(iter(self._chains))]
            self._release()

    def intent(self, intent: Intent) -> None:
        """Write what is about to be done to the outputs."""
        self._acting = str(intent.index)
        for command in intent.commands:
            if not isinstance(command, Mark):
                name, level, text = _described(command)
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
        """Write that an output was written; one of the plan's names its frame."""
        frame = self._acting if edge.cause == "plan" else ""
        self._edges.append((edge, frame))
        self._write(
            "edge",
            edge.written_ns,
            frame=frame,
            name=cell(edge.output),
            level=repr(edge.level),
            cause=cell(edge.cause),
            decided_ns=edge.asked_ns,
            written_ns=edge.written_ns,
        )

    def acknowledged(self, done: Acknowledged) -> None:
        """Write when a device acted, with the whole chain that led to it."""
        edge, frame = self._led_to(done)
        if frame and frame not in self._chains:
            self._early.append(done)
        else:
            self._answer(done, edge, frame)

    def finish(self) -> None:
        """Write what waited for a frame that will not come any more."""
        self._release(anyway=True)

    def _release(self, anyway: bool = False) -> None:
        early, self._early = self._early, []
        for done in early:
            edge, frame = self._led_to(done)
            if anyway or frame in self._chains:
                self._answer(done, edge, frame)
            else:
                self._early.append(done)

    def _answer(self, done: Acknowledged, edge: Edge | None, frame: str) -> None:
        chain = dict(self._chains.get(frame, {}))
        if edge is not None:
            chain |= {"decided_ns": edge.asked_ns, "written_ns": edge.written_ns}
        self._write(
            "ack",
            done.acted_ns,
            **chain,
            frame=frame,
            name=cell(done.output),
            level=repr(done.level),
            cause=cell(edge.cause if edge is not None else done.cause),
            acted_ns=done.acted_ns,
            acked_ns=done.heard_ns,
        )

    def sensed(self, seen: Sensed) -> None:
        """Write that an input changed."""
        self._write(
            "input",
            seen.began_ns,
            name=cell(seen.input),
            level=repr(float(seen.active)),
            acted_ns=seen.began_ns,
            acked_ns=seen.heard_ns,
            text=f"count {seen.count}",
        )

    def note(self, note: Note) -> None:
        """Write a sentence for people."""
        self._write("note", note.time_ns, name=cell(note.kind), text=cell(note.text))

    def _led_to(self, done: Acknowledged) -> tuple[Edge | None, str]:
        """Return the edge that a device answers, and the frame that led to it."""
        for edge, frame in reversed(self._edges):
            same = edge.output == done.output and edge.level == done.level
            if same and edge.asked_ns <= done.sent_ns <= edge.written_ns:
                return edge, frame
        return None, ""

    def _write(self, kind: str, at_ns: int, **cells: object) -> None:
        time_s = f"{(at_ns - self._start_ns) / 1e9:.6f}"
        first = {"time_s": time_s, "kind": kind}
        row = {**first, **cells}
        self.table.write(",".join(str(row.get(name, "")) for name in EVENT_COLUMNS))


def _described(command: Command) -> tuple[str, str, str]:
    """Return a command's name, level and text, as cells; `reading` is its inverse."""
    match command:
        case Mark(text):
            return "", "", cell(text)
        case Pulse(_, seconds, _):
            what = f"pulse {seconds!r}"
        case Train(_, frequency, width_s, count, _):
            what = f"train {frequency!r} {width_s!r} {count}"
        case _:
            what = "set"
    return cell(command.output), repr(float(command.level)), what
