"""Camera that receives JPEG images by ZeroMQ, as SmoothStream sends them."""

import binascii
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic.dataclasses import dataclass

from deeplabstream.plugin import (
    Camera,
    CameraStream,
    CapturedFrame,
    DeviceAddress,
    DeviceError,
    Image,
    ImageFormat,
    JpegDecoder,
    SystemClock,
    copy_frame,
    declared_size,
    too_large,
)

if TYPE_CHECKING:
    from zmq import Context, Socket
    from zmq.auth.thread import ThreadAuthenticator

_SILENCE_S = 0.95
_LARGEST = 64 * 2**20
"""Longest message, bytes; the sender of a longer one is disconnected."""
_MOST_PIXELS = 2**26
"""Most pixels that the first image may declare; the others must have its size."""
_JPEG = b"\xff\xd8\xff"
_USER = "camera"


@dataclass(frozen=True, kw_only=True)
class ZmqCamera(Camera):
    """Listens at a port for JPEG images, one per message; the newest is taken.

    A message is the JPEG file, or the same in base64 as SmoothStream sends it. Nothing
    else is decoded.
    """

    port: int = Field(5555, ge=1, le=65535, description="port at which frames arrive")
    address: str = Field(
        "127.0.0.1",
        pattern=r"^(\*|[0-9.]+|\[[0-9a-fA-F:]+\])$",
        description="this computer's address to wait at; 127.0.0.1: only programs on "
        "this computer can send; any other needs PASSWORD_FILE",
    )
    password_file: Path | None = Field(
        None,
        description="file whose first line the sender has to know (ZeroMQ PLAIN, user "
        "camera); it goes through the network in clear",
    )
    patience_s: float = Field(
        5.0, gt=0, le=60, description="seconds in which a first frame has to come"
    )

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The port on which it waits."""
        return (DeviceAddress("TCP port", str(self.port)),)

    def __post_init__(self) -> None:
        if not self.address.startswith("127.") and self.password_file is None:
            raise ValueError(
                f"ADDRESS = {self.address} lets others send frames: it needs "
                "PASSWORD_FILE"
            )

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Listen, and wait for a first frame, which shows the format.

        Frames are numbered as they are read: neither those that a newer one replaced
        before, nor losses in the network are counted.
        """
        clock, index = SystemClock(), -1
        with self._listening() as socket:
            decoder = JpegDecoder(_MOST_PIXELS)
            first, _, _ = self._received(socket, clock, decoder, self.patience_s)
            shape, size = first.shape, (first.shape[0], first.shape[1])

            def read(image: Image) -> CapturedFrame:
                nonlocal index
                frame, arrived_ns, damaged = self._received(
                    socket, clock, decoder, _SILENCE_S, size
                )
                copy_frame(frame, image)
                index += 1 + damaged
                return CapturedFrame(index, arrived_ns, damaged=damaged)

            yield CameraStream(ImageFormat(shape, 0.0), read, device=self._endpoint)

    @property
    def _endpoint(self) -> str:
        return f"tcp://{self.address}:{self.port}"

    @contextmanager
    def _listening(self) -> "Iterator[Socket[bytes]]":
        """Return a socket that keeps only the newest message."""
        import zmq

        with ExitStack() as stack:
            context = stack.enter_context(zmq.Context())
            if self.password_file is not None:
                stack.callback(_guard(context, self._password()).stop)
            socket = stack.enter_context(context.socket(zmq.SUB))
            socket.linger = 0
            socket.setsockopt(zmq.CONFLATE, 1)
            socket.setsockopt(zmq.MAXMSGSIZE, _LARGEST)
            if self.password_file is not None:
                socket.plain_server = True
            socket.subscribe(b"")
            try:
                socket.bind(self._endpoint)
            except zmq.ZMQError as error:
                cures = {
                    zmq.Errno.EADDRINUSE: "; end the program or camera that uses it, or "
                    "give PORT and the sender another one",
                    zmq.Errno.EADDRNOTAVAIL: "; ADDRESS is none of this computer",
                }
                cure = next((c for e, c in cures.items() if e == error.errno), "")
                raise DeviceError(
                    f"can't listen at {self._endpoint}: {error.strerror}{cure}"
                ) from error
            yield socket

    def _received(
        self,
        socket: "Socket[bytes]",
        clock: SystemClock,
        decoder: JpegDecoder,
        patience_s: float,
        size: tuple[int, int] | None = None,
    ) -> tuple[Image, int, int]:
        """Wait for a new image; return it, its arrival time, and the number of damaged ones before.

        One whose header does not declare `size` (height, width) is not decoded; a damaged
        one is dropped.
        """
        end_ns, damaged = clock.now_ns() + round(patience_s * 1e9), 0
        while socket.poll(max(0, (end_ns - clock.now_ns()) // 1_000_000)):
            message, arrived_ns = socket.recv(), clock.now_ns()
            image = _decoded(message, decoder, size)
            if image is not None:
                return image, arrived_ns, damaged
            damaged += 1
        dropped = f" ({damaged} were damaged JPEG files)" if damaged else ""
        raise DeviceError(
            f"gave no frame for {round(patience_s)} s at {self._endpoint}{dropped}"
        )

    def _password(self) -> str:
        """Return the first line of the file."""
        path = self.password_file or Path()
        try:
            lines = path.read_text("utf-8").splitlines()
        except OSError as error:
            raise DeviceError(f"{path} can't be read: {error.strerror}") from error
        if not lines or not lines[0].strip():
            raise DeviceError(f"the first line of {path} is not a password")
        return lines[0].strip()


def _guard(context: "Context[Socket[bytes]]", password: str) -> "ThreadAuthenticator":
    """Start and return the authenticator that refuses senders without the password."""
    from zmq.auth.thread import ThreadAuthenticator

    guard = ThreadAuthenticator(context)
    guard.start()
    guard.configure_plain(domain="*", passwords={_USER: password})
    return guard


def _decoded(
    message: bytes, decoder: JpegDecoder, size: tuple[int, int] | None
) -> Image | None:
    """Decode a JPEG image, colour or grey; its size must be `size`, if given.

    None: it is damaged.
    """
    if not message.startswith(_JPEG):
        try:
            message = b64decode(message, validate=True)
        except binascii.Error:
            message = b""
    declared = declared_size(message) if message.startswith(_JPEG) else None
    if declared is not None:
        if size is not None and declared != size:
            raise DeviceError(
                f"changed its frame size from {size[1]}×{size[0]} to "
                f"{declared[1]}×{declared[0]}"
            )
        if reason := too_large(message, _MOST_PIXELS):
            raise DeviceError(f"sent an image that {reason}")
        return decoder.image(message)
    raise DeviceError("got something that is not a JPEG image")
