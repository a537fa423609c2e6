"""What plays the device of a camera that needs one, for the contract tests."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from cameras.camera import Camera
from cameras.network import NetworkStream
from tests.cameras.servers import http_camera


@contextmanager
def network_stream() -> Iterator[Camera]:
    with http_camera() as server:
        yield NetworkStream(url=server.url)


STAND_INS: dict[str, Callable[[], AbstractContextManager[Camera]]] = {
    "NetworkStream": network_stream,
}
"""By the camera's kind: gives it, ready to be opened, while the `with` lasts."""
