"""Remote contracts: programs and lines that start and stop the rig, or that it starts."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import InputName
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Sensed
from deeplabstream.plugins.device_address import DeviceAddress

Command: TypeAlias = Literal["start", "stop", "status"]
MOST_LETTERS = 1000
"""Longest message; a longer one is refused."""
_LEAST_LETTERS = 8
"""Shortest token."""


@dataclass(frozen=True, slots=True)
class RemoteCommand:
    """Request of a remote."""

    command: Command
    time_ns: int
    """When it arrived; of an input, when its level changed. On the run's clock."""
    sender: str = ""
    """Address or line that it came from."""
    arguments: str = ""
    """Text that the sender wrote after the command, such as its own time."""
    answer: Callable[[str], object] = lambda text: None
    """Called once with one line for the sender, from another thread; does not block."""


@dataclass(frozen=True, slots=True)
class RemoteLost:
    """A connection was lost or closed; the text says which."""

    text: str
    sender: str = ""


@dataclass(frozen=True, slots=True)
class RemoteEnded:
    """A control has stopped listening after an error; its requests are no longer received."""

    text: str


@dataclass(frozen=True, slots=True)
class RemoteAlarm:
    """Something that a user should see, such as wrong tokens."""

    text: str


ControlEvent: TypeAlias = RemoteCommand | RemoteLost | RemoteEnded | RemoteAlarm
RemoteListener: TypeAlias = Callable[[ControlEvent], object]
"""Called with each request of a remote, from any thread; returns at once."""


@settings(frozen=True, kw_only=True)
class Remote:
    """Another program or line: its fields are its settings."""

    if_lost: Literal["go on", "stop"] = Field(
        "go on",
        description="what happens when the connection is lost while experiment or recording "
        "run; go on: they continue and it is reported; stop: they are stopped",
        title="If the connection is lost",
    )


@settings(frozen=True, kw_only=True)
class RemoteControl(Remote, ABC):
    """A remote that starts and stops this rig."""

    starts: Literal["experiment", "recording"] = Field(
        "experiment",
        description="what its start starts, once the rig is armed; its stop stops "
        "experiment and recording in any case",
        json_schema_extra={"advanced": False},
    )
    rearm: bool = Field(
        False,
        description="yes: when what it started has ended, the rig is armed again, in the "
        "same run; no: the user arms the rig for each start",
        title="Arm again after the end",
    )

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """Ports that no other rig can use meanwhile; by default none."""
        return ()

    @abstractmethod
    def listening(self, listener: RemoteListener) -> AbstractContextManager[None]:
        """Listen, in threads of its own, until the `with` is left; raises DeviceError.

        Calls of `listener` after that are ignored.
        """


@settings(frozen=True, kw_only=True)
class InputControl(RemoteControl):
    """A control that listens to an input of the rig only."""

    input: InputName = Field(description="NAME of the [Input NAME] of the line")

    def listening(self, listener: RemoteListener) -> AbstractContextManager[None]:
        """Do nothing: the engine reads the input."""
        return nullcontext()

    @property
    def alternates(self) -> bool:
        """Whether starts and stops alternate; arming begins with a start."""
        return False

    @abstractmethod
    def command_of(self, seen: Sensed, was: bool) -> RemoteCommand | None:
        """Return the request that a change of an input means; None: none.

        `was`: its last known level of this stream, also from before it was opened again.
        """


@settings(frozen=True, kw_only=True)
class RemoteRecorder(Remote, ABC):
    """A remote recorder that is started and stopped by this rig.

    Its methods are called in a thread of its own, one at a time. They raise DeviceError,
    or any error of the operating system, and return after a few times `timeout_s`.
    """

    needed: bool = Field(
        True,
        description="yes: the experiment does not start unless it answers and records; no: "
        "that is a warning",
        json_schema_extra={"advanced": False},
    )
    timeout_s: float = Field(
        3.0,
        gt=0,
        le=30,
        description="seconds for each answer",
        title="Time-out (s)",
    )

    @abstractmethod
    def check(self, recording: bool) -> str:
        """Return a sentence if it is ready; or still records, if `recording`."""

    @abstractmethod
    def start(self, run: str) -> str:
        """Start its recording, return a sentence once it records; `run`: our run folder.

        If it raises, it leaves nothing recording that it has started.
        """

    @abstractmethod
    def stop(self) -> str:
        """Stop its recording, return a sentence."""


class WrongTokenError(ValueError):
    """A message without the token; it does not count as activity of the sender."""


def is_loopback(host: str) -> bool:
    """Return whether an address can only be reached from this computer."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_listener(host: str, token_file: Path | None) -> None:
    """Raise ValueError if other computers could connect without a token."""
    if not is_loopback(host) and token_file is None:
        raise ValueError(
            f"HOST = {host}: other computers could start the rig; enter a TOKEN_FILE, or "
            "HOST = 127.0.0.1"
        )


def read_token(token_file: Path | None) -> str:
    """Return the token in a file, empty without a file; DeviceError: it has none."""
    if token_file is None:
        return ""
    try:
        token = token_file.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceError(
            f"TOKEN_FILE = {token_file} can't be read: {error}"
        ) from error
    if len(token) < _LEAST_LETTERS or len(token.split()) != 1:
        raise DeviceError(
            f"TOKEN_FILE = {token_file}: must hold one word of {_LEAST_LETTERS} letters or "
            'more. python -c "import secrets; print(secrets.token_hex(16))" prints one'
        )
    return token


def parse_command(text: str, token: str) -> tuple[Command, str]:
    """Return the command and the sender's arguments; ValueError has the answer to the sender.

    A message is `start`, `stop` or `status` and any arguments behind it, and before it
    `token TOKEN` if there is one.
    """
    given, rest = "", text.strip()
    if rest.partition(" ")[0].lower() == "token":
        given, _, rest = rest.partition(" ")[2].strip().partition(" ")
    if token and not secrets.compare_digest(given.encode(), token.encode()):
        raise WrongTokenError("wrong token; begin with: token TOKEN")
    if len(text) > MOST_LETTERS:
        raise ValueError(f"a message has at most {MOST_LETTERS} letters")
    word, _, arguments = rest.strip().partition(" ")
    for command in _commands():
        if word.lower() == command:
            return command, "".join(c for c in arguments.strip() if c.isprintable())
    raise ValueError("unknown command; expected start, stop or status")


def _commands() -> Iterator[Command]:
    yield "start"
    yield "stop"
    yield "status"
