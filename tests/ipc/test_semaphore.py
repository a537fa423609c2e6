"""Semaphores: a child that starts after its parent has removed them ends quietly."""

import sys
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.synchronize import Semaphore

import pytest

from deeplabstream.engine.processes.second_guard import names_of
from deeplabstream.ipc.semaphore import opened_semaphore


def release(semaphore: Semaphore) -> None:
    semaphore.release()


def test_a_child_releases_what_its_parent_waits_for() -> None:
    semaphore = opened_semaphore()
    process = get_context("spawn").Process(target=release, args=(semaphore,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert semaphore.acquire(block=False)


@pytest.mark.skipif(sys.platform == "win32", reason="its semaphores have no names")
def test_a_child_that_starts_too_late_prints_no_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    semaphore = opened_semaphore()
    (name,) = names_of(semaphore)
    system = import_module("_multiprocessing")
    system.sem_unlink(name)
    process = get_context("spawn").Process(target=release, args=(semaphore,))
    process.start()
    process.join()
    system.SemLock(1, 0, 1, name, False)  # removed when `semaphore` is collected
    assert process.exitcode == 1
    assert capfd.readouterr().err == ""
