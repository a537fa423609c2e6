"""Alarm messages: lines between a rack and the process that sends its alarms."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from deeplabstream.rack.line_splitter import LineSplitter

LONGEST_TEXT = 2000
"""Letters of an alarm that are sent."""
_LONGEST_LINE = 16 * 1024


@dataclass(frozen=True)
class RaisedAlarm:
    """An alarm of a box, or of the rack itself."""

    number: int
    source: str
    """Name of the box; empty: the rack."""
    text: str
    urgent: bool
    """Whether it is sent in quiet hours too."""
    raised_ns: int
    """Time by `SystemClock`, which all processes share."""
    kind: Literal["raised"] = "raised"


@dataclass(frozen=True)
class RackAlive:
    """The rack runs; sent once a second."""

    well: bool
    """Whether every box that should run answers."""
    kind: Literal["alive"] = "alive"


@dataclass(frozen=True)
class RackEnded:
    """The rack has ended in order: its silence must not raise an alarm."""

    kind: Literal["ended"] = "ended"


@dataclass(frozen=True)
class AlarmSettled:
    """An alarm was delivered to all addresses, given up, or is not sent again so soon."""

    number: int
    kind: Literal["settled"] = "settled"


@dataclass(frozen=True)
class SenderReport:
    """A sentence for the user; empty: the sender only shows that it runs."""

    text: str = ""
    kind: Literal["report"] = "report"


AlarmMessage: TypeAlias = Annotated[
    RaisedAlarm | RackAlive | RackEnded | AlarmSettled | SenderReport,
    Field(discriminator="kind"),
]
_MESSAGE: TypeAdapter[AlarmMessage] = TypeAdapter(AlarmMessage)


def encode(message: AlarmMessage) -> bytes:
    """Return a message as a line."""
    return json.dumps(asdict(message)).encode() + b"\n"


class AlarmDecoder:
    """Decodes messages from the bytes of a pipe; invalid lines are dropped."""

    def __init__(self) -> None:
        self._splitter = LineSplitter(_LONGEST_LINE)

    def decode(self, data: bytes) -> Iterator[AlarmMessage]:
        """Yield the messages that are complete with these bytes."""
        for line in self._splitter.split(data):
            if len(line) <= _LONGEST_LINE:
                try:
                    yield _MESSAGE.validate_json(line)
                except ValidationError:
                    continue
