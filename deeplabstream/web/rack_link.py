"""Rack link: takes commands of viewers to the rack that has started the page."""

import asyncio
import os
import threading
from collections.abc import Callable
from itertools import count

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.rack.page_messages import (
    LineDecoder,
    PageAnswer,
    PageCommand,
    PageServed,
    encode,
)

ANSWER_S = 5.0
"""Time after which a rack that does not answer is an error; the command may still be done."""


class RackLink:
    """Writes commands to one pipe and reads the answers from another."""

    def __init__(self, answers: int, commands: int, takes_commands: bool) -> None:
        """Store the descriptors of the pipes, and whether viewers may send commands."""
        self.takes_commands = takes_commands
        self._answers, self._commands = answers, commands
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[str]] = {}

    def served(self, address: str) -> None:
        """Tell the rack that the page answers."""
        os.write(self._commands, encode(PageServed(address)))

    def open(self, on_end: Callable[[], object]) -> None:
        """Read answers in a thread; `on_end` is called in the loop when the rack has ended."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop, on_end), daemon=True).start()

    async def send(self, line: str) -> str:
        """Return the rack's answer to a command; DeepLabStreamError: there is none."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            os.write(self._commands, encode(PageCommand(number, line)))
            return await asyncio.wait_for(answer, ANSWER_S)
        except OSError as error:
            raise DeepLabStreamError("the rack has ended") from error
        except TimeoutError as error:
            raise DeepLabStreamError(
                f"the rack has not answered for {ANSWER_S:g} s; the command may still be "
                "carried out"
            ) from error
        finally:
            del self._waiting[number]

    def _read(
        self, loop: asyncio.AbstractEventLoop, on_end: Callable[[], object]
    ) -> None:
        decoder = LineDecoder()
        try:
            while data := os.read(self._answers, 65536):
                for message in decoder.decode(data):
                    if isinstance(message, PageAnswer):
                        loop.call_soon_threadsafe(self._take, message)
        except OSError:
            pass  # a closed pipe is an end of the rack as well
        loop.call_soon_threadsafe(on_end)

    def _take(self, message: PageAnswer) -> None:
        answer = self._waiting.get(message.number)
        if answer is not None and not answer.done():
            answer.set_result(message.text)
