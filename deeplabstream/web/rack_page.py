"""Rack page: the HTTP interface to the boxes of a rack."""

import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from urllib.parse import parse_qs

import anyio
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.paths import PACKAGE
from deeplabstream.rack.box_views import RackReader
from deeplabstream.rack.rack_commands import COMMANDS
from deeplabstream.web.access import COOKIE, LOGIN, Access, Tokens
from deeplabstream.web.box_metrics import MEDIA_TYPE, metrics
from deeplabstream.web.camera_images import CameraImages
from deeplabstream.web.other_computers import (
    IMAGE_S,
    STATE_S,
    ComputerView,
    OtherComputer,
    OtherComputers,
    RackState,
)
from deeplabstream.web.page_description import COMMAND, OTHER, description
from deeplabstream.web.rack_link import RackLink

LONGEST_BODY = 1000
"""Longest body of a request, in bytes; all others are refused."""
_STATIC = PACKAGE / "web" / "static"
_FILES = ("page.css", "page.js")
_BOUNDARY = "image"


class RackPage:
    """Answers the requests; one reading of the boxes serves all viewers."""

    def __init__(
        self,
        reader: RackReader,
        images: CameraImages,
        tokens: Tokens,
        secure: bool,
        link: RackLink | None,
        others: OtherComputers,
    ) -> None:
        """Store what the page shows, who may see it, and where commands go; None: nowhere."""
        self._reader, self._images, self._others = reader, images, others
        self._tokens, self._secure = tokens, secure
        self._link = link
        self._state = self._metrics_text = ""
        self._ending = False

    def end(self) -> None:
        """End the streams to all viewers."""
        self._ending = True

    def _rack_ended(self) -> None:
        """End the program as Ctrl-C does: the rack that has started it has ended."""
        signal.raise_signal(signal.SIGTERM)

    def app(self, hosts: list[str]) -> Starlette:
        """Return the application; `hosts`: names by which browsers may call it."""
        return Starlette(
            routes=[
                Route("/", self._page),
                *(Route(f"/{name}", self._static) for name in _FILES),
                Route(LOGIN, self._login_form),
                Route(LOGIN, self._log_in, methods=["POST"]),
                Route("/api/boxes", self._boxes),
                Route("/metrics", self._metrics),
                Route("/api/events", self._events),
                Route("/api/commands", self._commands),
                Route("/api/commands", self._command, methods=["POST"]),
                Route("/api/image/{box}/{camera}", self._image),
                Route("/api/images/{box}/{camera}", self._moving_images),
                Route(f"{OTHER}/commands", self._command_of_other, methods=["POST"]),
                Route(f"{OTHER}/image/{{box}}/{{camera}}", self._image),
                Route(f"{OTHER}/images/{{box}}/{{camera}}", self._moving_images),
                Route("/openapi.json", self._description),
            ],
            middleware=[
                # another site that a browser shows must not read the page under its own name
                Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
                Middleware(Access, tokens=self._tokens),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._read()
        if self._link is not None:
            self._link.open(self._rack_ended)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_reading)
            tasks.start_soon(self._others.keep_reading)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                self._images.close()

    async def _keep_reading(self) -> None:
        while True:
            await anyio.sleep(STATE_S)
            self._read()

    def _read(self) -> None:
        boxes = self._reader.boxes()
        self._images.follow(boxes)
        commands = self._link is not None and self._link.takes_commands
        state = RackState(self._reader.rack.path.stem, commands, boxes)
        self._state = as_json(state, self._others.views(), bool(self._tokens.token))
        self._metrics_text = metrics(boxes)

    async def _page(self, request: Request) -> Response:
        return FileResponse(_STATIC / "index.html")

    async def _static(self, request: Request) -> Response:
        return FileResponse(_STATIC / request.url.path.lstrip("/"))

    async def _login_form(self, request: Request) -> Response:
        return FileResponse(_STATIC / "login.html")

    async def _log_in(self, request: Request) -> Response:
        body = await _body(request)
        given = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        if not await self._tokens.is_token(given.strip()):
            return RedirectResponse(f"{LOGIN}?wrong", 303)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE,
            self._tokens.cookie,
            httponly=True,
            samesite="strict",
            secure=self._secure,
        )
        return answer

    async def _boxes(self, request: Request) -> Response:
        return Response(self._state, media_type="application/json")

    async def _metrics(self, request: Request) -> Response:
        return Response(self._metrics_text, media_type=MEDIA_TYPE)

    async def _events(self, request: Request) -> Response:
        async def states() -> AsyncIterator[str]:
            while not self._ending:
                # sent even if nothing has changed: silence means a lost connection
                yield f"data: {self._state}\n\n"
                await anyio.sleep(STATE_S)

        return StreamingResponse(states(), media_type="text/event-stream")

    async def _image(self, request: Request) -> Response:
        found = await self._newest(**request.path_params)
        if found is None:
            return PlainTextResponse("no image\n", 404)
        return Response(found[1], media_type="image/jpeg")

    async def _newest(
        self, box: str, camera: str, computer: str = ""
    ) -> tuple[int, bytes] | None:
        """Return number and JPEG of the newest image; `computer`: empty is this one."""
        if not computer:
            return self._images.newest(box, camera)
        return await self._other(computer).newest(box, camera)

    def _other(self, name: str) -> OtherComputer:
        if name not in self._others:
            raise HTTPException(404, f"[Computer {name}] is not in the rack file")
        return self._others[name]

    async def _moving_images(self, request: Request) -> Response:
        if await self._newest(**request.path_params) is None:
            return PlainTextResponse("no image\n", 404)
        return StreamingResponse(
            self._parts(**request.path_params),
            media_type=f"multipart/x-mixed-replace; boundary={_BOUNDARY}",
        )

    async def _parts(
        self, box: str, camera: str, computer: str = ""
    ) -> AsyncIterator[bytes]:
        """Yield each new image, until the stream of the box ends."""
        sent = 0
        while found := await self._newest(box, camera, computer):
            if self._ending:
                return
            number, jpeg = found
            if number != sent:
                sent = number
                yield (
                    f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                    f"Content-Length: {len(jpeg)}\r\n\r\n"
                ).encode() + jpeg
                # browsers show a part when the next boundary has arrived
                yield f"\r\n--{_BOUNDARY}\r\n".encode()
            await anyio.sleep(IMAGE_S)

    async def _commands(self, request: Request) -> Response:
        return JSONResponse({action: asdict(it) for action, it in COMMANDS.items()})

    async def _command(self, request: Request) -> Response:
        """Take a command to the rack; the answer says whether it was carried out."""
        if self._link is None or not self._link.takes_commands:
            return _answer(
                403, "error: this page reads only; start it by the rack, with a token"
            )
        return await _carried_out(request, self._link.send)

    async def _command_of_other(self, request: Request) -> Response:
        """Take a command to the page of another computer, with that page's token."""
        other = self._other(request.path_params["computer"])
        if not self._tokens.token:
            return _answer(
                403, "error: this page reads only; give it a token with --token-file"
            )
        if not other.view.commands:
            return _answer(403, f"error: the page of {other.name} takes no commands")
        return await _carried_out(request, other.send)

    async def _description(self, request: Request) -> Response:
        return JSONResponse(description())


async def _carried_out(
    request: Request, send: Callable[[str], Awaitable[str]]
) -> Response:
    """Answer a request with what `send` answers to its command."""
    # a form of another site can't have this type without the browser asking first
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind.strip().lower() != "application/json":
        return _answer(415, "error: send application/json")
    try:
        command = COMMAND.validate_json(await _body(request)).command
    except ValidationError:
        return _answer(422, 'error: send {"command": "stop NAME"}')
    try:
        answer = await send(command)
    except DeepLabStreamError as error:
        return _answer(504, f"error: {error}")
    return _answer(200 if answer.startswith("ok") else 409, answer)


async def _body(request: Request) -> bytes:
    """Return the body of a request; HTTPException 413: it is too long."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            raise HTTPException(413, "body too long")
    return body


def _answer(status: int, text: str) -> Response:
    return JSONResponse({"answer": text}, status)


def as_json(state: RackState, computers: list[ComputerView], token: bool) -> str:
    """Return the answer of `/api/boxes`; times and counts that are unknown are null.

    Without a token, this page takes no commands to other computers.
    """
    others = [
        {**asdict(computer), "commands": computer.commands and token}
        for computer in computers
    ]
    return json.dumps({**asdict(state), "computers": others})
