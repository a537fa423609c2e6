"""Files that forked children release: the lock of a port, the end of a pipe."""

import os
import time

import pytest

from deeplabstream.ipc.forked_children import close_in_forked_children
from deeplabstream.ipc.pipe import opened_pipe

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
SOON_S = 60.0


def test_a_pipe_ends_though_a_forked_child_lives() -> None:
    reader, writer = opened_pipe(duplex=False)
    held, holding = os.pipe()
    close_in_forked_children(writer)
    if not (child := os.fork()):
        os.close(holding)
        os.read(held, 1)
        os._exit(0)
    try:
        writer.close()
        assert reader.poll(SOON_S)
        with pytest.raises(EOFError):
            reader.recv()
    finally:
        for end in (held, holding):
            os.close(end)
        reader.close()
        os.waitpid(child, 0)


def test_a_lock_ends_though_a_forked_child_lives() -> None:
    fcntl = pytest.importorskip("fcntl")
    from outputs.serial_line import SerialLine

    board, line = os.openpty()
    held, holding = os.pipe()
    with SerialLine(port=os.ttyname(line)).opened():
        if not (child := os.fork()):
            os.close(holding)
            os.read(held, 1)
            os._exit(0)
    try:
        give_up_s = time.perf_counter() + SOON_S
        while True:  # until the child has run for a moment
            try:
                fcntl.flock(line, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                assert time.perf_counter() < give_up_s
                time.sleep(0.01)
    finally:
        for end in (held, holding, board, line):
            os.close(end)
        os.waitpid(child, 0)
