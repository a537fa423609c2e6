"""Base class of outputs that send events to other programs."""

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import Mark
from deeplabstream.core.errors import error_context
from deeplabstream.core.journal_entries import Edge
from deeplabstream.plugins.output import Output, Write


@dataclass(frozen=True, slots=True)
class Event:
    """An event that is sent to other programs."""

    name: str
    """Name of the output; `mark` for a mark of the plan."""
    value: float | str
    """The level, or the text of the mark."""
    cause: str
    """As in `events.csv`; empty for a mark."""
    time_ns: int
    """When it was written, on the run's clock, as in `events.csv`; 0 for a mark."""

    def as_json(self) -> bytes:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self)).encode()


Send: TypeAlias = Callable[[Event], object]


@settings(frozen=True, kw_only=True)
class EventOutput(Output):
    """Settings of all kinds that send events to other programs."""

    word: str = Field(
        "level",
        min_length=1,
        description="name of its own level in messages",
    )
    everything: bool = Field(
        True,
        description="yes: it also sends the levels of all other outputs and the marks of "
        "the experiment; no: its own level only",
    )

    @abstractmethod
    def sending(self) -> AbstractContextManager[Send]:
        """Open the connection and yield a function that sends a message without blocking."""

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Open the connection."""
        with self.sending() as send:
            yield (
                _BroadcastSender(send, self.word)
                if self.everything
                else _LevelSender(send, self.word)
            )


@runtime_checkable
class EventSender(Protocol):
    """A `Write` that also gets the events of other outputs."""

    def __call__(self, level: float) -> object:
        """Set the output's own level."""

    def send_event(self, event: Edge | Mark) -> object:
        """Send an event, right after it happened."""


@dataclass(frozen=True)
class _LevelSender:
    send: Send
    word: str

    def __call__(self, level: float) -> None:
        self.send(Event(self.word, level, "own", 0))


class _BroadcastSender(_LevelSender):
    def send_event(self, event: Edge | Mark) -> None:
        match event:
            case Edge():
                sent = Event(event.output, event.level, event.cause, event.written_ns)
            case Mark():
                sent = Event("mark", event.text, "", 0)
        self.send(sent)


class EventSenders:
    """The open outputs that send events; used by the output bank."""

    def __init__(self) -> None:
        self._event_senders: dict[str, EventSender] = {}

    def add(self, name: str, write: Write) -> None:
        """Add an output if it sends events."""
        if isinstance(write, EventSender):
            self._event_senders[name] = write

    def send_event(self, event: Edge | Mark) -> None:
        """Send an event by all outputs except its own; DeviceError: one failed."""
        for name, sender in self._event_senders.items():
            if isinstance(event, Mark) or event.output != name:
                with error_context(f"Output {name}"):
                    sender.send_event(event)
