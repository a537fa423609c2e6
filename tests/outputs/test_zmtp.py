"""Requests and answers of ZeroMQ: what libzmq sends is understood, and nothing fills the memory."""

import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import zmq

from deeplabstream.ipc.watched_thread import watched_thread
from outputs.remotes.zmtp import (
    Message,
    RequestServer,
    ZmtpError,
    ZmtpStream,
    answer_to,
)

LIMIT_S = 60.0
MOST_BYTES = 2000
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REQ"
DELIMITER = b"\x01\x00"


def ready_stream() -> ZmtpStream:
    """Return the stream of a server whose peer has sent its handshake."""
    stream = ZmtpStream("REP", MOST_BYTES)
    assert list(stream.feed(GREETING + READY)) == []
    assert stream.ready
    return stream


def frame(content: bytes, more: bool = False) -> bytes:
    return bytes([2 | more]) + len(content).to_bytes(8, "big") + content


@contextmanager
def serving(message_s: float = LIMIT_S, peers: int = 4) -> Iterator[int]:
    """Serve a free port; each request is answered with itself, or with "too long"."""
    ended = threading.Event()
    with RequestServer(("127.0.0.1", 0), MOST_BYTES, message_s, peers) as server:

        def serve() -> None:
            while not ended.is_set():
                try:
                    body = server.receive(0.01)
                except TimeoutError:
                    continue
                text = "too long" if body is None else body.decode()
                server.answer(text, valid=text != "wrong")

        problems: list[str] = []
        thread = watched_thread(serve, "server", problems.append)
        try:
            yield server.port
        finally:
            ended.set()
            thread.join()
        assert problems == []


@contextmanager
def zmq_socket(kind: int, port: int) -> Iterator["zmq.Socket[bytes]"]:
    with zmq.Context() as context, context.socket(kind) as link:
        link.linger, link.rcvtimeo = 0, round(LIMIT_S * 1e3)
        link.connect(f"tcp://127.0.0.1:{port}")
        yield link


def test_requests_of_libzmq_are_answered() -> None:
    with (
        serving() as port,
        zmq_socket(zmq.REQ, port) as link,
        zmq_socket(zmq.DEALER, port) as dealer,
    ):
        for text in ("start", "x" * 1000, ""):
            link.send_string(text)
            assert link.recv_string() == text
        link.send_multipart([b"a", b"b"])
        assert link.recv() == b"a b"
        dealer.send_multipart([b"route", b"", b"stop"])
        assert dealer.recv_multipart() == [b"route", b"", b"stop"]


def test_a_heartbeat_is_answered_with_its_context() -> None:
    """Else libzmq would close the connection, and lose its request."""
    stream = ready_stream()
    stream.outgoing = b""
    assert list(stream.feed(b"\x04\x0b\x04PING\x00\x0aabcd")) == []
    assert stream.outgoing == b"\x04\x09\x04PONGabcd"
    (message,) = stream.feed(DELIMITER + frame(b"start"))
    assert message.body == b"start"


def test_many_parts_take_no_memory() -> None:
    """libzmq took 800 MB for these, before the first could be read."""
    stream = ready_stream()
    part = frame(b"x" * 1900, more=True)
    tracemalloc.start()
    try:
        assert list(stream.feed(DELIMITER)) == []
        for _ in range(100_000):
            assert list(stream.feed(part)) == []
        assert stream.unfinished
        (message,) = stream.feed(frame(b"end"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message == Message((b"",), None)
    assert peak < 100_000
    (message,) = stream.feed(DELIMITER + frame(b"status"))
    assert message.body == b"status", "the next one is read"


def test_a_part_is_not_kept_because_its_sender_says_that_it_is_long() -> None:
    stream = ready_stream()
    (message,) = stream.feed(DELIMITER + b"\x02" + (1 << 40).to_bytes(8, "big"))
    assert message.body is None
    tracemalloc.start()
    try:
        for _ in range(100):
            assert list(stream.feed(b"x" * 65_536)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    assert stream.unfinished


@pytest.mark.parametrize("size", [MOST_BYTES - 3, MOST_BYTES - 2, MOST_BYTES - 1])
def test_the_limit_is_exact(size: int) -> None:
    """The empty part and the other each count with one byte more."""
    (message,) = ready_stream().feed(DELIMITER + frame(b"x" * size))
    assert (message.body is not None) == (size <= MOST_BYTES - 2)


def test_a_message_may_come_byte_by_byte() -> None:
    stream = ZmtpStream("REP", MOST_BYTES)
    found: list[Message] = []
    for byte in (
        GREETING + READY + DELIMITER + frame(b"start", more=True) + b"\x00\x01x"
    ):
        found += stream.feed(bytes([byte]))
    assert found == [Message((b"",), b"start x")]
    assert not stream.unfinished


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "not ZeroMQ"),
        (GREETING[:10] + b"\x01", "a version before 4"),
        (GREETING.replace(b"NULL\0", b"PLAIN"), "password"),
        (GREETING + READY.replace(b"REQ", b"SUB"), "does not fit one of type REP"),
        (GREETING + b"\x06" + (1 << 40).to_bytes(8, "big"), "command is too long"),
        (GREETING + DELIMITER, "before the handshake"),
        (GREETING + READY + frame(b"start"), "no empty part"),
    ],
)
def test_another_protocol_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ZmtpError, match=reason):
        list(ZmtpStream("REP", MOST_BYTES).feed(data))


def test_a_message_that_never_ends_is_a_closed_connection() -> None:
    with (
        serving(message_s=0.2) as port,
        socket.create_connection(("127.0.0.1", port), LIMIT_S) as link,
        zmq_socket(zmq.REQ, port) as other,
    ):
        link.sendall(GREETING + READY + DELIMITER)
        began_s = time.perf_counter()
        with pytest.raises(OSError):
            while time.perf_counter() - began_s < LIMIT_S:
                link.sendall(frame(b"x", more=True))
        other.send_string("start")
        assert other.recv_string() == "start", "others are served"


def test_silent_connections_do_not_keep_others_out() -> None:
    with serving(peers=2) as port, zmq_socket(zmq.REQ, port) as known:
        known.send_string("start")
        assert known.recv_string() == "start"
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        with zmq_socket(zmq.REQ, port) as link:
            link.send_string("stop")
            assert link.recv_string() == "stop"
        known.send_string("status")
        assert known.recv_string() == "status", "it was not closed"
        for each in silent:
            each.close()


def test_a_server_that_sends_for_ever_is_no_answer() -> None:
    """Each piece comes in time."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send() -> None:
            link, _ = server.accept()
            with link:
                ready = READY.replace(b"REQ", b"REP")
                link.sendall(GREETING + ready + DELIMITER)
                try:
                    while True:
                        link.sendall(frame(b"x" * 1000, more=True))
                except OSError:
                    return

        thread = watched_thread(send, "endless", lambda text: None)
        place = server.getsockname()
        with pytest.raises(TimeoutError):
            answer_to(place, "status", MOST_BYTES, 0.3)
        thread.join()
