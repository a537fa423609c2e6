"""Requests and answers of ZeroMQ over TCP (ZMTP 3), within limits of size, time and number.

libzmq collects all parts of a message before a program sees the first, and limits each part
only (ZMQ_MAXMSGSIZE): every sender could fill the memory, before its token is read. Here a
message that is too long is dropped while it arrives. Specifications: 23/ZMTP, and 28/REQREP
for the empty part between envelope and body, both at https://rfc.zeromq.org.
"""

import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Self

from outputs.remotes.limits import answer_within

_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
"""Signature, version 3.0, and the mechanism without encryption."""
_SIGNATURE, _VERSION, _MECHANISM = slice(0, 1), 10, slice(12, 32)
_MORE, _LONG, _COMMAND = 1, 2, 4
_LONGEST_COMMAND = 1024
_PIECE = 65_536
"""Bytes that are read at once."""
_PEERS = {"REP": (b"REQ", b"DEALER"), "REQ": (b"REP", b"ROUTER")}
_SENDING_S = 1.0
"""Longest time to send an answer to a peer that does not read."""


class ZmtpError(OSError):
    """A peer does not speak ZMTP 3 as a ZeroMQ socket of the fitting type does."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer."""

    envelope: tuple[bytes, ...]
    """Parts up to the empty one; an answer begins with those of its request."""
    body: bytes | None
    """The other parts, joined by spaces; None: too long."""


@dataclass
class ZmtpStream:
    """State of one connection: received bytes become messages, `outgoing` has to be sent."""

    own: Literal["REQ", "REP"]
    most_bytes: int
    """Size of a message, each part counted with one byte more."""
    outgoing: bytes = _GREETING
    ready: bool = False
    """Whether messages can be sent."""
    _greeted: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _parts: list[bytes] = field(default_factory=list)
    _left: int = 0
    _skipped: int = 0
    """Bytes to come of a part that is dropped."""

    def __post_init__(self) -> None:
        self._left = self.most_bytes

    @property
    def unfinished(self) -> bool:
        """Whether the connection is not ready, or a part of a message has arrived."""
        return bool(not self.ready or self._buffer or self._parts or self._skipped)

    def send(self, *parts: bytes) -> None:
        """Add a message to `outgoing`."""
        for number, part in enumerate(parts, 1):
            self.outgoing += _frame(part, _MORE if number < len(parts) else 0)

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take received bytes; yield the messages that they complete."""
        self._buffer += data
        while (flags := self._next_part()) is not None:
            if not flags & (_MORE | _COMMAND):
                yield self._completed()

    def _next_part(self) -> int | None:
        """Keep, drop or obey the next part; return its flags, None: it has not arrived."""
        dropped = min(self._skipped, len(self._buffer))
        del self._buffer[:dropped]
        self._skipped -= dropped
        if self._skipped or not (self._greeted or self._read_greeting()):
            return None
        if not self._buffer:
            return None

        flags = self._buffer[0]
        head = 9 if flags & _LONG else 2
        size = int.from_bytes(self._buffer[1:head], "big")
        if len(self._buffer) < head:
            return None
        if flags & _COMMAND:
            if size > _LONGEST_COMMAND:
                raise ZmtpError("a command is too long")
        elif not self.ready:
            raise ZmtpError("a message came before the handshake")
        elif size >= self._left:
            # nothing of it is kept: its size is what the sender says
            del self._buffer[:head]
            self._left, self._skipped = -1, size
            return flags

        if len(self._buffer) < head + size:
            return None
        part = bytes(self._buffer[head : head + size])
        del self._buffer[: head + size]
        if flags & _COMMAND:
            self._obey(part)
        else:
            self._left -= size + 1
            self._parts.append(part)
        return flags

    def _read_greeting(self) -> bool:
        """Check the greeting; return whether it has arrived."""
        greeting = self._buffer[: len(_GREETING)]
        old = len(greeting) > _VERSION and greeting[_VERSION] < _GREETING[_VERSION]
        if greeting[_SIGNATURE] not in (b"", _GREETING[_SIGNATURE]) or old:
            raise ZmtpError("it is not ZeroMQ, or a version before 4")
        if len(greeting) < len(_GREETING):
            return False
        if greeting[_MECHANISM] != _GREETING[_MECHANISM]:
            raise ZmtpError("it asks for a password or for encryption")
        del self._buffer[: len(_GREETING)]
        self._greeted = True
        kind = self.own.encode()
        ready = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
        self.outgoing += _frame(ready, _COMMAND)
        return True

    def _obey(self, command: bytes) -> None:
        length = command[0] if command else 0
        name, content = command[1 : 1 + length], command[1 + length :]
        if name == b"READY":
            if _socket_type(content) not in _PEERS[self.own]:
                raise ZmtpError(f"its socket does not fit one of type {self.own}")
            self.ready = True
        elif name == b"PING":
            # two bytes of time, then a context that is sent back
            self.outgoing += _frame(b"\x04PONG" + content[2:], _COMMAND)
        elif name == b"ERROR":
            raise ZmtpError(f"it refused the connection {content[1:]!r:.80}")

    def _completed(self) -> Message:
        parts, self._parts = self._parts, []
        whole, self._left = self._left >= 0, self.most_bytes
        if b"" not in parts:
            raise ZmtpError("a message has no empty part before its body")
        body = parts.index(b"") + 1
        return Message(tuple(parts[:body]), b" ".join(parts[body:]) if whole else None)


def _frame(content: bytes, flags: int) -> bytes:
    if len(content) > 255:
        return bytes([flags | _LONG]) + len(content).to_bytes(8, "big") + content
    return bytes([flags, len(content)]) + content


def _socket_type(properties: bytes) -> bytes:
    """Return the value of the property `Socket-Type` of a handshake; empty: it has none."""
    while properties:
        name = properties[1 : 1 + properties[0]]
        size = int.from_bytes(properties[1 + len(name) : 5 + len(name)], "big")
        value = properties[5 + len(name) : 5 + len(name) + size]
        if name.lower() == b"socket-type":
            return value
        properties = properties[5 + len(name) + size :]
    return b""


def answer_to(
    place: tuple[str, int], request: str, most_bytes: int, seconds: float
) -> bytes | None:
    """Send a request (REQ) and return the answer, None: it is too long; OSError: none came."""
    with (
        socket.create_connection(place, seconds) as link,
        answer_within(link, seconds),
    ):
        stream, sent = ZmtpStream("REQ", most_bytes), False
        while True:
            if stream.ready and not sent:
                stream.send(b"", request.encode())
                sent = True
            link.sendall(stream.outgoing)
            stream.outgoing = b""
            if not (data := link.recv(_PIECE)):
                raise ConnectionError("it closed the connection")
            for message in stream.feed(data):
                return message.body


@dataclass(eq=False)
class _Peer:
    """A connection of a server."""

    link: socket.socket
    stream: ZmtpStream
    requests: deque[Message] = field(default_factory=deque)
    known: bool = False
    """Whether one of its requests was valid."""
    began_s: float = field(default_factory=time.perf_counter)
    """When the unfinished message began."""


class RequestServer:
    """Server of requests (REP): receives one, which is answered before the next.

    A connection is closed when a message, or the handshake, takes longer than `message_s`.
    A new one beyond `most_peers` closes the oldest that has sent no valid request.
    """

    def __init__(
        self,
        place: tuple[str, int],
        most_bytes: int,
        message_s: float,
        most_peers: int,
    ) -> None:
        """Open the port; OSError: it can't be used."""
        self._most_bytes, self._message_s = most_bytes, message_s
        self._most_peers = most_peers
        self._peers: list[_Peer] = []
        """Oldest first."""
        self._asking: _Peer | None = None
        family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        self._socket = socket.socket(family)
        try:
            # on Windows, SO_REUSEADDR would share the port
            shared = sys.platform != "win32"
            name = "SO_REUSEADDR" if shared else "SO_EXCLUSIVEADDRUSE"
            self._socket.setsockopt(socket.SOL_SOCKET, getattr(socket, name), 1)
            self._socket.bind(place)
            self._socket.listen(most_peers)
        except BaseException:
            self._socket.close()
            raise
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port and all connections."""
        for peer in [*self._peers]:
            self._close(peer)
        self._selector.close()
        self._socket.close()

    def receive(self, seconds: float) -> bytes | None:
        """Return the next request, None: it is too long; TimeoutError: none came.

        TimeoutError also means that no request was waiting when the time was over.
        """
        end_s = time.perf_counter() + seconds
        while True:
            for peer in self._peers:
                if peer.requests:
                    self._asking = peer
                    return peer.requests[0].body
            left_s = end_s - time.perf_counter()
            ready = self._selector.select(max(0.0, left_s))
            if not ready and left_s <= 0:
                raise TimeoutError("timed out")
            for key, _ in ready:
                if key.data is None:
                    self._accept()
                else:
                    self._read(key.data)
            self._close_slow_peers()

    def answer(self, text: str, valid: bool) -> None:
        """Answer the last request; `valid`: it had the token."""
        peer, self._asking = self._asking, None
        if peer is None or peer not in self._peers:
            return
        peer.known |= valid
        peer.stream.send(*peer.requests.popleft().envelope, text.encode())
        self._send(peer)
        if peer in self._peers and not peer.requests:
            peer.began_s = time.perf_counter()
            self._selector.register(peer.link, selectors.EVENT_READ, peer)

    def _accept(self) -> None:
        with suppress(OSError):  # it has been closed meanwhile
            link, _ = self._socket.accept()
            if len(self._peers) >= self._most_peers:
                oldest = next((peer for peer in self._peers if not peer.known), None)
                if oldest is None:
                    link.close()
                    return
                self._close(oldest)
            link.settimeout(_SENDING_S)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            peer = _Peer(link, ZmtpStream("REP", self._most_bytes))
            self._peers.append(peer)
            self._selector.register(link, selectors.EVENT_READ, peer)
            self._send(peer)

    def _read(self, peer: _Peer) -> None:
        if peer not in self._peers:  # closed for a newer one
            return
        was_unfinished = peer.stream.unfinished
        try:
            if not (data := peer.link.recv(_PIECE)):
                self._close(peer)
                return
            peer.requests += peer.stream.feed(data)
        except OSError:
            self._close(peer)
            return
        if not was_unfinished:
            peer.began_s = time.perf_counter()
        if peer.requests:
            # no more is read until they are answered: the sender has to wait
            self._selector.unregister(peer.link)
        self._send(peer)

    def _send(self, peer: _Peer) -> None:
        try:
            peer.link.sendall(peer.stream.outgoing)
            peer.stream.outgoing = b""
        except OSError:
            self._close(peer)

    def _close_slow_peers(self) -> None:
        now_s = time.perf_counter()
        for peer in [*self._peers]:
            slow = peer.stream.unfinished and not peer.requests
            if slow and now_s - peer.began_s > self._message_s:
                self._close(peer)

    def _close(self, peer: _Peer) -> None:
        self._peers.remove(peer)
        with suppress(KeyError):  # one with requests is not registered
            self._selector.unregister(peer.link)
        peer.link.close()
