"""Cameras in the network, played by the test on 127.0.0.1."""

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import zmq

from tests.cameras.videos import numbered_image


def jpeg(index: int) -> bytes:
    """Return `numbered_image(index)` as JPEG; a plain field comes out as it went in."""
    done, data = cv2.imencode(".jpg", numbered_image(index % 25))
    assert done
    return np.asarray(data).tobytes()


def every_other_cut_off(index: int) -> bytes:
    """Return `jpeg(index)`; of every other one only the first half."""
    data = jpeg(index)
    return data if index % 2 == 0 else data[: len(data) // 2]


def textured_jpeg(index: int) -> bytes:
    """Return a JPEG file of 320x240 pixels with detail, as a webcam sends it."""
    noise = np.random.default_rng(index).integers(0, 255, (48, 64), np.uint8)
    image = cv2.cvtColor(cv2.resize(noise, (320, 240)), cv2.COLOR_GRAY2BGR)
    done, data = cv2.imencode(".jpg", image)
    assert done
    return np.asarray(data).tobytes()


def without_end(data: bytes) -> bytes:
    """Cut a JPEG file off within its image data."""
    return data[: len(data) * 2 // 3]


def with_gap(data: bytes) -> bytes:
    """Take a piece out of a JPEG file's image data, as a lost USB packet does."""
    return data[: len(data) // 2] + data[len(data) * 2 // 3 :]


def without_end_but_marked(data: bytes) -> bytes:
    """Cut a JPEG file off, and put the marker of its end there."""
    return without_end(data) + b"\xff\xd9"


DAMAGES = (without_end, with_gap, without_end_but_marked)


class HttpCamera(ThreadingHTTPServer):
    """Sends JPEG after JPEG to who asks, from 0 for everyone, 100 a second."""

    daemon_threads = False

    def __init__(self, make: Callable[[int], bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.make = make
        self.silent, self.over = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/video.mjpg"


class _Answer(BaseHTTPRequestHandler):
    server: HttpCamera

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        index = 0
        while not self.server.over.wait(0.01):
            if self.server.silent.is_set():
                continue
            data = self.server.make(index)
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
            try:
                self.wfile.write(head.encode() + b"\r\n\r\n" + data + b"\r\n")
            except OSError:
                return
            index += 1

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def http_camera(make: Callable[[int], bytes] | None = None) -> Iterator[HttpCamera]:
    """Serve while the `with` lasts."""
    with HttpCamera(make or jpeg) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


@contextmanager
def zmq_sender(
    port: int,
    *,
    base64: bool = False,
    password: bytes = b"",
    data: bytes = b"",
    make: Callable[[int], bytes] = jpeg,
) -> Iterator[threading.Event]:
    """Send images to a port as SmoothStream does, 100 a second, until the event."""
    over = threading.Event()

    def send() -> None:
        with zmq.Context() as context, context.socket(zmq.PUB) as link:
            link.linger = 0
            link.reconnect_ivl = 10
            if password:
                link.plain_username, link.plain_password = b"camera", password
            link.connect(f"tcp://127.0.0.1:{port}")
            index = 0
            while not over.wait(0.01):
                message = data or make(index)
                link.send(b64encode(message) if base64 else message)
                index += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield over
    finally:
        over.set()
        thread.join()
