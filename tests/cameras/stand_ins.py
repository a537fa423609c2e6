"""What plays the device of a camera that needs one, for the contract tests."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import genicam
import pytest

from cameras.basler.camera import Basler
from cameras.genicam.camera import GenICam
from cameras.network import NetworkStream
from cameras.realsense.camera import RealSense
from cameras.zeromq import ZmqCamera
from deeplabstream.plugins.camera import Camera
from tests.cameras.emulation import emulated
from tests.cameras.servers import http_camera, zmq_sender
from tests.free_ports import free_port


@contextmanager
def network_stream() -> Iterator[Camera]:
    with http_camera() as server:
        yield NetworkStream(url=server.url, patience_s=60)


@contextmanager
def zmq_camera() -> Iterator[Camera]:
    port = free_port()
    with zmq_sender(port):
        yield ZmqCamera(port=port, patience_s=60)


@contextmanager
def realsense() -> Iterator[Camera]:
    pytest.importorskip("pyrealsense2")
    from tests.cameras.recordings import write_recording

    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        recording = write_recording(Path(folder) / "film.db3")
        yield RealSense(recording=recording, paced=False)


@contextmanager
def genicam_camera() -> Iterator[Camera]:
    yield GenICam(
        cti=Path(genicam.__file__).with_name("viky.cti"),
        serial="0",
        rate=200,
        patience_s=60,
    )


@contextmanager
def basler() -> Iterator[Camera]:
    with emulated(1):
        yield Basler(region=(0, 0, 80, 64), exposure_us=1000, rate=200)


STAND_INS: dict[str, Callable[[], AbstractContextManager[Camera]]] = {
    "Basler": basler,
    "GenICam": genicam_camera,
    "NetworkStream": network_stream,
    "RealSense": realsense,
    "ZmqCamera": zmq_camera,
}
"""By the camera's kind: gives it, ready to be opened, while the `with` lasts."""
