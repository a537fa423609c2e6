"""A broker of MQTT 3.1.1 for tests: it keeps retained messages and publishes last wills."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

CONNECT, PUBLISH, PING, DISCONNECT = 1, 3, 12, 14


@dataclass
class StandInBroker:
    """What the broker has received."""

    port: int = 0
    retained: dict[str, str] = field(default_factory=dict)
    connections: int = 0
    kinds: set[int] = field(default_factory=set)
    """Types of the packets that clients have sent."""

    def serve(self, line: socket.socket) -> None:
        """Answer one client until it disconnects; then publish its will."""
        will: tuple[str, str] | None = None
        with line, suppress(ConnectionError, EOFError):
            while True:
                kind, flags, body = _packet(line)
                self.kinds.add(kind)
                if kind == CONNECT:
                    will = _will(body)
                    self.connections += 1
                    line.sendall(b"\x20\x02\x00\x00")
                elif kind == PUBLISH:
                    topic, rest = _text(body)
                    if flags & 0b110:
                        line.sendall(b"\x40\x02" + rest[:2])
                        rest = rest[2:]
                    assert flags & 1, "only retained messages are expected"
                    self.retained[topic] = rest.decode()
                elif kind == PING:
                    line.sendall(b"\xd0\x00")
                elif kind == DISCONNECT:
                    will = None
        if will is not None:
            self.retained[will[0]] = will[1]


@contextmanager
def stand_in_broker(port: int = 0) -> Iterator[StandInBroker]:
    """Serve a broker at a port of this computer."""
    broker, lines = StandInBroker(), []
    with socket.create_server(("127.0.0.1", port)) as listener:
        broker.port = listener.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    line, _ = listener.accept()
                    lines.append(line)
                    threading.Thread(
                        target=broker.serve, args=(line,), daemon=True
                    ).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield broker
        finally:
            with suppress(OSError):  # wakes `accept`
                listener.shutdown(socket.SHUT_RDWR)
            for line in lines:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)


@contextmanager
def hanging_broker() -> Iterator[int]:
    """Accept connections at a port, and answer nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def _packet(line: socket.socket) -> tuple[int, int, bytes]:
    first = _bytes(line, 1)[0]
    length, shift = 0, 0
    while True:
        digit = _bytes(line, 1)[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return first >> 4, first & 0xF, _bytes(line, length)


def _bytes(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = line.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _text(body: bytes) -> tuple[str, bytes]:
    end = 2 + int.from_bytes(body[:2], "big")
    return body[2:end].decode(), body[end:]


def _will(body: bytes) -> tuple[str, str] | None:
    _, rest = _text(body)
    flags, rest = rest[1], rest[4:]
    _, rest = _text(rest)
    if not flags & 0b100:
        return None
    topic, rest = _text(rest)
    text, _ = _text(rest)
    return topic, text
