"""Live timeline: recent states of triggers, outputs and marks of a running rig."""

from collections import deque
from collections.abc import Iterable
from typing import Literal, TypeAlias

from deeplabstream.core.command import Mark
from deeplabstream.core.journal_entries import Edge, Step
from deeplabstream.recording.run_review import Lane, StateSpan

Kind: TypeAlias = Literal["trigger", "output"]
MEMORY_S = 120.0
"""Time span that is kept, s."""


class LiveLanes:
    """Lanes of triggers and outputs of a running session; times in s since stream start."""

    def __init__(self, triggers: Iterable[str], outputs: Iterable[str]) -> None:
        self._spans: dict[tuple[Kind, str], deque[StateSpan]] = {}
        for name in triggers:
            self._spans["trigger", name] = deque()
        for name in outputs:
            self._spans["output", name] = deque()
        self.marks: deque[tuple[float, str]] = deque()
        self.now_s = 0.0

    def clear(self) -> None:
        """Delete all data, for a new stream."""
        for spans in self._spans.values():
            spans.clear()
        self.marks.clear()
        self.now_s = 0.0

    def step(self, step: Step, start_ns: int) -> None:
        """Add trigger states and marks of a frame."""
        time_s = (step.exposed_ns - start_ns) / 1e9
        self.now_s = max(self.now_s, time_s)
        for name, answer in step.triggers.items():
            value = None if answer is None else float(answer)
            self._change("trigger", name, time_s, value)
        for command in step.commands:
            if isinstance(command, Mark):
                self.marks.append((time_s, command.text))
        while self.marks and self.marks[0][0] < self.now_s - MEMORY_S:
            self.marks.popleft()

    def edge(self, edge: Edge, start_ns: int) -> None:
        """Add a change of an output."""
        time_s = (edge.written_ns - start_ns) / 1e9
        self._change("output", edge.output, time_s, edge.level)

    @property
    def lanes(self) -> list[Lane]:
        """Lanes of all triggers, then all outputs; current states end now."""
        found = []
        for (kind, name), spans in self._spans.items():
            ended = list(spans)
            if ended:
                last = ended[-1]
                until_s = max(self.now_s, last.start_s)
                ended[-1] = StateSpan(last.start_s, until_s, last.value)
            found.append(Lane(name, kind, ended))
        return found

    def _change(
        self, kind: Kind, name: str, time_s: float, value: float | None
    ) -> None:
        spans = self._spans.get((kind, name))
        if spans is None or (spans and spans[-1].value == value):
            return
        if spans:
            last = spans[-1]
            spans[-1] = StateSpan(last.start_s, max(time_s, last.start_s), last.value)
        spans.append(StateSpan(time_s, time_s, value))
        while len(spans) > 1 and spans[0].end_s < self.now_s - MEMORY_S:
            spans.popleft()
