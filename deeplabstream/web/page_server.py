"""Page server: serves the page over HTTP or HTTPS until the program is asked to end."""

import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil
import uvicorn

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.plugins.remote import is_loopback
from deeplabstream.rack.box_views import RackReader
from deeplabstream.settings.rack_file import RackFile
from deeplabstream.web.access import Tokens
from deeplabstream.web.camera_images import CameraImages
from deeplabstream.web.other_computers import OtherComputers
from deeplabstream.web.rack_link import RackLink
from deeplabstream.web.rack_page import RackPage

CONNECTIONS = 64
"""Largest number of connections at once."""
_NICE = 10
_LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]"]
_LONGEST_HEAD = 16 * 1024
_KEEP_ALIVE_S = 5
_GRACE_S = 3
"""Time in which streams to viewers end: longer than their intervals."""


@dataclass(frozen=True)
class Address:
    """Where the page is served."""

    host: str
    port: int
    """0: any free port."""
    certificate: Path | None = None
    """Certificate and key in PEM; None: without encryption."""
    key: Path | None = None


def serve_page(
    rack: RackFile,
    address: Address,
    token: str,
    link: RackLink | None,
    report: Callable[[str], object],
) -> None:
    """Serve the page of a rack until Ctrl-C.

    DeviceError: the address, or a token or certificate of another computer, can't be used.

    `report` gets the address when the page answers. `link`: takes commands to the rack.
    """
    with _listening(address) as listener:
        secure = address.certificate is not None
        clock = SystemClock()
        page = RackPage(
            RackReader(rack, clock),
            CameraImages(clock),
            Tokens(token),
            secure,
            link,
            OtherComputers(rack.computers),
        )
        hosts = _LOOPBACK_NAMES if is_loopback(address.host) else ["*"]
        try:
            config = uvicorn.Config(
                page.app(hosts),
                log_level="error",
                lifespan="on",
                ws="none",
                server_header=False,
                limit_concurrency=CONNECTIONS,
                h11_max_incomplete_event_size=_LONGEST_HEAD,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
                ssl_certfile=address.certificate,
                ssl_keyfile=address.key,
            )
            config.load()
        except OSError as error:
            raise DeviceError(
                f"certificate {address.certificate} and key {address.key} can't be used: "
                f"{error}"
            ) from error

        _yield_to_the_rigs()
        port = listener.getsockname()[1]
        host = f"[{address.host}]" if ":" in address.host else address.host
        report(f"http{'s' if secure else ''}://{host}:{port}")
        _Server(config, page).run([listener])


class _Server(uvicorn.Server):
    """Ends the streams to viewers when it is asked to end: they have no other end."""

    def __init__(self, config: uvicorn.Config, page: RackPage) -> None:
        super().__init__(config)
        self._page = page

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle Ctrl-C or a request to end."""
        self._page.end()
        super().handle_exit(sig, frame)


def _listening(address: Address) -> socket.socket:
    """Return a socket that listens; an address of IPv6 has colons."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        # on Windows, SO_REUSEADDR would share the port
        shared = sys.platform != "win32"
        name = "SO_REUSEADDR" if shared else "SO_EXCLUSIVEADDRUSE"
        listener.setsockopt(socket.SOL_SOCKET, getattr(socket, name), 1)
        listener.bind((address.host, address.port))
        listener.listen(CONNECTIONS)  # the address is printed: it must already answer
    except (OSError, OverflowError) as error:
        listener.close()
        raise DeviceError(
            f"the page can't be served at {address.host}, port {address.port}: {error}; "
            "choose another one with --port"
        ) from error
    return listener


def _yield_to_the_rigs() -> None:
    """Lower the priority of this process: a viewer must not slow a loop."""
    with suppress(OSError, psutil.Error):
        if sys.platform == "win32":
            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            os.nice(_NICE)
