"""Page messages: lines between a rack and the page in the browser that it has started."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TypeAlias

from pydantic import TypeAdapter, ValidationError

from deeplabstream.rack.line_splitter import LineSplitter

LONGEST_LINE = 4096
"""Longest line in bytes; a longer one is dropped."""


@dataclass(frozen=True)
class PageServed:
    """The page answers at an address."""

    address: str


@dataclass(frozen=True)
class PageCommand:
    """A viewer's command, as it could be typed to the rack."""

    number: int
    line: str


@dataclass(frozen=True)
class PageAnswer:
    """The rack's answer to the command of that number: `ok: …` or `error: …`."""

    number: int
    text: str


PageMessage: TypeAlias = PageServed | PageCommand | PageAnswer
_MESSAGE: TypeAdapter[PageMessage] = TypeAdapter(PageMessage)


def encode(message: PageMessage) -> bytes:
    """Return a message as a line."""
    return json.dumps(asdict(message)).encode() + b"\n"


class LineDecoder:
    """Decodes messages from the bytes of a pipe; invalid lines are dropped."""

    def __init__(self) -> None:
        self._splitter = LineSplitter(LONGEST_LINE)

    def decode(self, data: bytes) -> Iterator[PageMessage]:
        """Yield the messages that are complete with these bytes."""
        for line in self._splitter.split(data):
            if len(line) <= LONGEST_LINE:
                try:
                    yield _MESSAGE.validate_json(line)
                except ValidationError:
                    continue
