"""Parent watch: a process that another one started ends with it, however that ended."""

import multiprocessing
import os
import threading
from multiprocessing.context import SpawnContext

import psutil

from deeplabstream.ipc.parent_watch import end_with_parent
from deeplabstream.ipc.pipe import Connection

SPAWN: SpawnContext = multiprocessing.get_context("spawn")
SOON_S = 300.0


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


def test_a_process_that_nobody_started_goes_on() -> None:
    threads = threading.active_count()
    end_with_parent()
    assert threading.active_count() == threads
