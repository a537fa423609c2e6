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
    """What is told."""

    name: str
    """Of the output; `mark` for a word of the plan."""
    value: float | str
    """The level, or the word."""
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
    """What all kinds have in common."""

    word: str = Field(
        "level",
        min_length=1,
        description="what its own level is called in its messages",
    )
    everything: bool = Field(
        True,
        description="yes: it also tells each level of all other outputs and each mark of "
        "the experiment; no: its own level only",
    )

    @abstractmethod
    def sending(self) -> AbstractContextManager[Send]:
        """Open what sends a message, without waiting."""

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Open the connection, if the protocol has such a thing."""
        with self.sending() as send:
            yield (
                _BroadcastSender(send, self.word)
                if self.everything
                else _Own(send, self.word)
            )


@runtime_checkable
class EventSender(Protocol):
    """A `Write` that is also told what other outputs do."""

    def __call__(self, level: float) -> object:
        """Set its own level."""

    def tell(self, event: Edge | Mark) -> object:
        """Hear of it, right after it happened."""


@dataclass(frozen=True)
class _Own:
    send: Send
    word: str

    def __call__(self, level: float) -> None:
        self.send(Event(self.word, level, "own", 0))


class _BroadcastSender(_Own):
    def tell(self, event: Edge | Mark) -> None:
        match event:
            case Edge():
                told = Event(event.output, event.level, event.cause, event.written_ns)
            case Mark():
                told = Event("mark", event.text, "", 0)
        self.send(told)


class EventSenders:
    """The open outputs that are told what happens; the bank's side."""

    def __init__(self) -> None:
        self._event_senders: dict[str, EventSender] = {}

    def add(self, name: str, write: Write) -> None:
        """Tell this output from now on, if it is a sender."""
        if isinstance(write, EventSender):
            self._event_senders[name] = write

    def tell(self, event: Edge | Mark) -> None:
        """Tell all, but not an output what it did itself; DeviceError: one can't be told."""
        for name, sender in self._event_senders.items():
            if isinstance(event, Mark) or event.output != name:
                with error_context(f"Output {name}"):
                    sender.tell(event)
