"""A camera that speaks RTSP, played by the test: H.264 over RTP, inside the connection."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import av

from deeplabstream.core.clock import SystemClock
from tests.cameras.videos import numbered_image

RATE = 50
FIRST = 3
"""The player comes into the middle: it gets no whole image before the tenth."""
SDP = f"""v=0
o=- 0 0 IN IP4 127.0.0.1
s=test
c=IN IP4 127.0.0.1
t=0 0
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1
a=framerate:{RATE}
a=control:track
""".replace("\n", "\r\n")


@dataclass
class RtspCamera:
    """What the test may do to it."""

    url: str
    silent: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def rtsp_camera() -> Iterator[RtspCamera]:
    """Serve one player, from the middle of the video, while the `with` lasts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        camera = RtspCamera(f"rtsp://127.0.0.1:{server.getsockname()[1]}/stream")
        thread = threading.Thread(target=_serve, args=(server, camera))
        thread.start()
        try:
            yield camera
        finally:
            camera.over.set()
            thread.join()


def _serve(server: socket.socket, camera: RtspCamera) -> None:
    server.settimeout(60)
    link, _ = server.accept()
    with link, suppress(ConnectionError):
        while not _answered(link, camera.url):
            pass
        _play(link, camera)


def _answered(link: socket.socket, url: str) -> bool:
    """Answer one request; return whether it was PLAY."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        part = link.recv(1)
        if not part:
            raise ConnectionError
        request += part
    lines = request.decode().splitlines()
    words = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    head, body = [f"CSeq: {words['CSeq']}"], ""
    match lines[0].split()[0]:
        case "OPTIONS":
            head.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        case "DESCRIBE":
            body = SDP
            head += [f"Content-Base: {url}/", "Content-Type: application/sdp"]
            head.append(f"Content-Length: {len(body)}")
        case "SETUP":
            head += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
        case "PLAY":
            head.append("Session: 1")
    link.sendall(("\r\n".join(["RTSP/1.0 200 OK", *head]) + "\r\n\r\n" + body).encode())
    return lines[0].startswith("PLAY")


def _play(link: socket.socket, camera: RtspCamera) -> None:
    """Send small images, each piece of H.264 in one packet, stamped by the clock."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.framerate, encoder.gop_size = RATE, 10
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "qp": "10"}
    clock, sequence, index = SystemClock(), 0, 0
    start_ns = clock.now_ns()
    while not camera.over.wait(1 / RATE):
        if camera.silent.is_set():
            continue
        index += 1
        stamp = (clock.now_ns() - start_ns) * 9 // 100_000  # 90 000 a second
        frame = av.VideoFrame.from_ndarray(numbered_image(index % 25), format="bgr24")
        data = b"".join(bytes(packet) for packet in encoder.encode(frame))
        if index < FIRST:
            continue
        pieces = [piece.strip(b"\0") for piece in data.split(b"\0\0\1")]
        pieces = [piece for piece in pieces if piece]
        for number, piece in enumerate(pieces):
            kind = 96 | (0x80 if number == len(pieces) - 1 else 0)
            packet = struct.pack(">BBHII", 0x80, kind, sequence, stamp, 7) + piece
            link.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
            sequence += 1
