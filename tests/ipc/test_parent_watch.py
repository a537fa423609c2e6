"""Parent watch: a process that another one started ends with it, however that ended."""

import multiprocessing
import os
import sys
import threading
from multiprocessing.context import SpawnContext

import psutil
import pytest

from deeplabstream.ipc.parent_watch import end_with_parent
from deeplabstream.ipc.pipe import Connection

SPAWN: SpawnContext = multiprocessing.get_context("spawn")
SOON_S = 300.0
GONE_S = 60.0


def child(pipe: Connection) -> None:
    end_with_parent()
    pipe.send(os.getpid())
    threading.Event().wait()


def program(pipe: Connection) -> None:
    SPAWN.Process(target=child, args=(pipe,)).start()
    threading.Event().wait()


def test_a_process_ends_when_the_one_that_started_it_was_killed() -> None:
    ours, theirs = SPAWN.Pipe(duplex=False)
    with ours, theirs:
        started = SPAWN.Process(target=program, args=(theirs,))
        started.start()
        assert ours.poll(SOON_S)
        watching = psutil.Process(ours.recv())
        started.kill()
        started.join()
        watching.wait(SOON_S)


def forking_program(pipe: Connection) -> None:
    SPAWN.Process(target=child, args=(pipe,)).start()
    if number := os.fork():
        pipe.send((number,))
    threading.Event().wait()


@pytest.mark.skipif(sys.platform != "linux", reason="needs pidfd")
def test_a_forked_child_does_not_hide_the_end_of_its_parent() -> None:
    """It has copies of all pipes of the parent, also of the one that stands for its life."""
    ours, theirs = SPAWN.Pipe(duplex=False)
    with ours, theirs:
        started = SPAWN.Process(target=forking_program, args=(theirs,))
        started.start()
        assert ours.poll(SOON_S)
        told = ours.recv(), ours.recv()
        (forked,) = (psutil.Process(*it) for it in told if isinstance(it, tuple))
        (watching,) = (psutil.Process(it) for it in told if isinstance(it, int))
        started.kill()
        started.join()
        try:
            watching.wait(GONE_S)
        finally:
            forked.kill()


def test_a_process_that_nobody_started_goes_on() -> None:
    threads = threading.active_count()
    end_with_parent()
    assert threading.active_count() == threads
