"""Access: which requests the page answers."""

import secrets
from dataclasses import dataclass, field

import anyio
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "deeplabstream"
LOGIN = "/login"
WRONG_TOKEN_S = 0.2
"""Time that an answer to a wrong token takes: with the limit of connections, that of guesses."""
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""Headers of every answer: the page loads nothing from elsewhere and is in no other page."""


@dataclass
class Tokens:
    """Checks the token of a request, or the cookie that a browser got for it."""

    token: str
    """Empty: everyone on this computer may read."""
    cookie: str = field(default_factory=lambda: secrets.token_hex(32))
    """Of this start of the program only."""

    async def allows(self, headers: Headers) -> bool:
        """Return whether a request has the token or the cookie."""
        if not self.token:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self.is_token(given.strip())
        cookies = cookie_parser(headers.get("cookie", ""))
        return _equal(cookies.get(COOKIE, ""), self.cookie)

    async def is_token(self, given: str) -> bool:
        """Return whether a text is the token; a wrong one is answered slowly."""
        if _equal(given, self.token):
            return True
        await anyio.sleep(WRONG_TOKEN_S)
        return False


class Access:
    """Middleware: refuses requests without the token, and adds the `HEADERS`."""

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app, self._tokens = app, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        app = self._app
        is_open = scope["path"] in {LOGIN, "/page.css"}
        if not (is_open or await self._tokens.allows(Headers(scope=scope))):
            wants_page = scope["path"] == "/"
            app = (
                RedirectResponse(LOGIN, 303)
                if wants_page
                else PlainTextResponse(
                    "token missing: send the header Authorization: Bearer TOKEN\n", 401
                )
            )
        await app(scope, receive, send_with_headers)


def _equal(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode(), wanted.encode())
