"""Other computers: states, images and commands of the pages of other racks, over HTTP."""

import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import quote

import anyio
import httpx
from pydantic import TypeAdapter, ValidationError

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.plugins.remote import read_token
from deeplabstream.rack.box_views import BoxView
from deeplabstream.settings.computer_section import ComputerSection
from deeplabstream.web.rack_link import ANSWER_S

STATE_S = 1.0
"""Interval in which each computer is asked for its states."""
IMAGE_S = 0.2
"""Shortest time between two requests for an image, whatever the number of viewers."""
SILENT_S = 4.0
"""Time after which a request without an answer is a problem."""
_IMAGE_SILENT_S = 1.0
"""The same for an image: a browser has six connections, which a command needs, too."""
LONGEST_ANSWER = 1_000_000
"""Longest answer in bytes; a longer one is refused."""
_JPEG = b"\xff\xd8"
_COMMAND_S = ANSWER_S + 1.0
"""The other page waits `ANSWER_S` for its rack, and then says so."""


@dataclass(frozen=True)
class RackState:
    """The states of a rack, as a page sends them."""

    rack: str
    commands: bool
    """Whether its page takes commands."""
    boxes: list[BoxView]


@dataclass(frozen=True)
class _Answer:
    answer: str


@dataclass(frozen=True, kw_only=True)
class ComputerView:
    """Another computer at one moment."""

    name: str
    address: str
    problem: str
    """Why its states are unknown or old; empty: they are current."""
    rack: str = ""
    commands: bool = False
    boxes: list[BoxView] = field(default_factory=list)
    """As last received."""


@dataclass
class _Image:
    """The newest image of a camera, and when it was requested; None: never."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    number: int = 0
    jpeg: bytes = b""
    asked_s: float | None = None


_STATE = TypeAdapter(RackState)
_ANSWER = TypeAdapter(_Answer)


class OtherComputer:
    """A client of the page of another computer."""

    def __init__(self, name: str, section: ComputerSection) -> None:
        """Prepare the connection; DeviceError: token or certificate can't be used."""
        self.name, self._address = name, section.address
        token = read_token(section.token_file)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # a proxy of the network has no part in it: the token is for that computer only
        self.client = httpx.AsyncClient(
            base_url=section.address,
            headers=headers,
            verify=_trust(name, section),
            timeout=SILENT_S,
            trust_env=False,
        )
        self._images: dict[tuple[str, str], _Image] = {}
        self._state = RackState("", False, [])
        self._problem = "not yet reached"

    @property
    def view(self) -> ComputerView:
        """What is known of it."""
        return ComputerView(
            name=self.name,
            address=self._address,
            problem=self._problem,
            rack=self._state.rack,
            commands=self._state.commands and not self._problem,
            boxes=self._state.boxes,
        )

    async def keep_reading(self) -> None:
        """Read its states until it is cancelled."""
        while True:
            await self.read()
            await anyio.sleep(STATE_S)

    async def read(self) -> None:
        """Read its states once; what does not answer becomes its problem."""
        try:
            self._state = _STATE.validate_json(await self._get("/api/boxes"))
        except ValidationError:
            self._problem = "the answer is not that of a rack's page of this version"
        except DeepLabStreamError as error:
            self._problem = str(error)
        else:
            self._problem = ""
            seen = _cameras(self._state)
            self._images = {k: v for k, v in self._images.items() if k in seen}

    async def newest(self, box: str, camera: str) -> tuple[int, bytes] | None:
        """Return number and JPEG of the newest image of a camera; None: there is none."""
        if self._problem or (box, camera) not in _cameras(self._state):
            return None
        image = self._images.setdefault((box, camera), _Image())
        async with image.lock:  # one request serves all viewers
            now_s = anyio.current_time()
            if image.asked_s is None or now_s - image.asked_s >= IMAGE_S:
                image.asked_s = now_s
                path = f"/api/image/{quote(box, safe='')}/{quote(camera, safe='')}"
                try:
                    jpeg = await self._get(path, _IMAGE_SILENT_S)
                except DeepLabStreamError:
                    return None
                # bytes that are no JPEG are not passed on to a browser
                if jpeg != image.jpeg and jpeg.startswith(_JPEG):
                    image.number, image.jpeg = image.number + 1, jpeg
        return (image.number, image.jpeg) if image.jpeg else None

    async def send(self, line: str) -> str:
        """Return its rack's answer to a command; DeepLabStreamError: there is none."""
        try:
            answer = await self.client.post(
                "/api/commands", json={"command": line}, timeout=_COMMAND_S
            )
            return _ANSWER.validate_json(answer.content).answer
        except (httpx.HTTPError, ValidationError) as error:
            raise DeepLabStreamError(
                f"{self.name} ({self._address}) has not answered; the command may still be "
                "carried out"
            ) from error

    async def _get(self, path: str, timeout_s: float = SILENT_S) -> bytes:
        """Return an answer; DeepLabStreamError says why there is none."""
        try:
            async with self.client.stream("GET", path, timeout=timeout_s) as answer:
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    raise DeepLabStreamError("wrong token: see its TOKEN_FILE")
                if answer.status_code != httpx.codes.OK:
                    raise DeepLabStreamError(f"HTTP status {answer.status_code}")
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > LONGEST_ANSWER:
                        raise DeepLabStreamError("the answer is too long")
                return body
        except httpx.TimeoutException as error:
            raise DeepLabStreamError(f"no answer for {timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise DeepLabStreamError(f"no connection: {error}") from error


class OtherComputers:
    """The other computers of a rack file."""

    def __init__(self, sections: Mapping[str, ComputerSection]) -> None:
        """Prepare all connections; DeviceError: a token or certificate can't be used."""
        self._computers = {
            name: OtherComputer(name, section) for name, section in sections.items()
        }

    def __getitem__(self, name: str) -> OtherComputer:
        return self._computers[name]

    def __contains__(self, name: str) -> bool:
        return name in self._computers

    def views(self) -> list[ComputerView]:
        """Return all computers in the order of the rack file."""
        return [computer.view for computer in self._computers.values()]

    async def keep_reading(self) -> None:
        """Read the states of all, each at its own pace, until it is cancelled."""
        async with AsyncExitStack() as clients:
            for computer in self._computers.values():
                await clients.enter_async_context(computer.client)
            tasks = await clients.enter_async_context(anyio.create_task_group())
            for computer in self._computers.values():
                tasks.start_soon(computer.keep_reading)


def _cameras(state: RackState) -> set[tuple[str, str]]:
    """Return box and camera of each image that a page can show."""
    return {
        (box.name, camera)
        for box in state.boxes
        if box.runs and box.status is not None
        for camera in box.status.rings
    }


def _trust(name: str, section: ComputerSection) -> ssl.SSLContext:
    """Return which certificates are accepted; DeviceError: the file can't be read."""
    try:
        return ssl.create_default_context(cafile=section.certificate)
    except (OSError, ssl.SSLError) as error:
        raise DeviceError(
            f"[Computer {name}] CERTIFICATE = {section.certificate} can't be read: {error}"
        ) from error
