"""Rack page: the HTTP interface to the boxes of a rack."""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qs

import anyio
from pydantic import TypeAdapter, ValidationError
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
from deeplabstream.rack.box_views import BoxView, RackReader
from deeplabstream.web.access import COOKIE, LOGIN, Access, Tokens
from deeplabstream.web.box_metrics import MEDIA_TYPE, metrics
from deeplabstream.web.camera_images import CameraImages
from deeplabstream.web.rack_link import RackLink

STATE_S = 1.0
"""Interval in which the states are read and sent."""
IMAGE_S = 0.2
"""Interval in which each viewer's connection looks for a new image."""
LONGEST_BODY = 1000
"""Longest body of a request, in bytes; all others are refused."""
_STATIC = PACKAGE / "web" / "static"
_FILES = ("page.css", "page.js")
_BOUNDARY = "image"


@dataclass(frozen=True)
class _Command:
    """Body of a command."""

    command: str


_COMMAND = TypeAdapter(_Command)


class RackPage:
    """Answers the requests; one reading of the boxes serves all viewers."""

    def __init__(
        self,
        reader: RackReader,
        images: CameraImages,
        tokens: Tokens,
        secure: bool,
        link: RackLink | None,
    ) -> None:
        """Store what the page shows, who may see it, and where commands go; None: nowhere."""
        self._reader, self._images = reader, images
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
                Route("/api/commands", self._command, methods=["POST"]),
                Route("/api/image/{box}/{camera}", self._image),
                Route("/api/images/{box}/{camera}", self._moving_images),
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
        self._state = as_json(self._reader.rack.path.stem, boxes, commands)
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
        found = self._images.newest(**request.path_params)
        if found is None:
            return PlainTextResponse("no image\n", 404)
        return Response(found[1], media_type="image/jpeg")

    async def _moving_images(self, request: Request) -> Response:
        if self._images.newest(**request.path_params) is None:
            return PlainTextResponse("no image\n", 404)
        return StreamingResponse(
            self._parts(**request.path_params),
            media_type=f"multipart/x-mixed-replace; boundary={_BOUNDARY}",
        )

    async def _parts(self, box: str, camera: str) -> AsyncIterator[bytes]:
        """Yield each new image, until the stream of the box ends."""
        sent = 0
        while found := self._images.newest(box, camera):
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

    async def _command(self, request: Request) -> Response:
        """Take a command to the rack; the answer says whether it was carried out."""
        if self._link is None or not self._link.takes_commands:
            return _answer(
                403, "error: this page reads only; start it by the rack, with a token"
            )
        # a form of another site can't have this type without the browser asking first
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind.strip().lower() != "application/json":
            return _answer(415, "error: send application/json")
        try:
            command = _COMMAND.validate_json(await _body(request)).command
        except ValidationError:
            return _answer(422, 'error: send {"command": "stop NAME"}')
        try:
            answer = await self._link.send(command)
        except DeepLabStreamError as error:
            return _answer(504, f"error: {error}")
        return _answer(200 if answer.startswith("ok") else 409, answer)

    async def _description(self, request: Request) -> Response:
        return JSONResponse(description())


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


def as_json(rack: str, boxes: list[BoxView], commands: bool) -> str:
    """Return the answer of `/api/boxes`; times and counts that are unknown are null."""
    views = [asdict(box) for box in boxes]
    return json.dumps({"rack": rack, "commands": commands, "boxes": views})


def description() -> dict[str, Any]:
    """Return the OpenAPI description of the interface."""
    boxes = TypeAdapter(list[BoxView]).json_schema(
        ref_template="#/components/schemas/{model}"
    )
    schemas = boxes.pop("$defs")
    answer = {
        "rack": {"type": "string"},
        "commands": {
            "type": "boolean",
            "description": "whether the page takes commands",
        },
        "boxes": boxes,
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in ("box", "camera")
    ]
    return {
        "openapi": "3.1.0",
        "info": {"title": "DeepLabStream rack", "version": "1"},
        "paths": {
            "/api/boxes": _get("States of all boxes", "application/json", answer),
            "/api/events": _get(
                "The same as server-sent events, one each second",
                "text/event-stream",
                answer,
            ),
            "/metrics": _get("The same for Prometheus", "text/plain", None),
            "/api/commands": {
                "post": {
                    "summary": "`start NAME`, `stop NAME`, `stop` (all boxes) or `mark NAME TEXT`",
                    "requestBody": {
                        "content": {
                            "application/json": {"schema": _COMMAND.json_schema()}
                        }
                    },
                    "responses": {
                        "200": {"description": "carried out: `ok: …`"},
                        "409": {"description": "refused: `error: …`"},
                        "403": {"description": "the page reads only"},
                        "504": {"description": "the rack does not answer"},
                    },
                }
            },
            "/api/image/{box}/{camera}": {
                "parameters": parameters,
                **_get("Newest frame", "image/jpeg", None),
            },
            "/api/images/{box}/{camera}": {
                "parameters": parameters,
                **_get("Motion JPEG", "multipart/x-mixed-replace", None),
            },
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _get(about: str, kind: str, properties: dict[str, Any] | None) -> dict[str, Any]:
    schema = (
        {"type": "string", "contentMediaType": kind}
        if properties is None
        else {"type": "object", "properties": properties}
    )
    answer = {"description": about, "content": {kind: {"schema": schema}}}
    return {"get": {"summary": about, "responses": {"200": answer}}}
