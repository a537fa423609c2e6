"""Process marks: all that a program started is found, whoever started it and when."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from deeplabstream.gui import program_process
from deeplabstream.gui.program_process import (
    MARKS,
    await_end,
    new_mark,
    with_own_marks,
)
from tests.gui.endless_program import START_ENDLESS, has_ended

SOON_S = 300.0


@pytest.fixture
def mark() -> str:
    return new_mark()


@pytest.fixture
def orphan(mark: str) -> Iterator[psutil.Process]:
    """An endless process with a mark, whose parent has ended."""
    started = subprocess.run(
        [sys.executable, "-c", START_ENDLESS],
        env={**os.environ, MARKS: with_own_marks(mark)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    )
    made = psutil.Process(int(started.stdout))
    yield made
    with suppress(psutil.NoSuchProcess):
        made.kill()


def test_a_process_whose_parent_has_ended_is_found_and_ended(
    mark: str, orphan: psutil.Process
) -> None:
    assert not await_end(mark, 0)
    assert not has_ended(orphan)
    assert await_end(new_mark(), SOON_S, kill=True), "others are left alone"
    assert not has_ended(orphan)
    assert await_end(mark, SOON_S, kill=True)
    assert has_ended(orphan)


def test_a_process_that_began_after_the_others_were_listed_is_found(
    mark: str, orphan: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that started it was in the list, but had ended when it was looked at."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lists = [[ended.pid]]
    usual = psutil.pids
    monkeypatch.setattr(psutil, "pids", lambda: lists.pop() if lists else usual())
    assert await_end(mark, SOON_S, kill=True)
    assert has_ended(orphan)


def test_processes_of_others_that_end_all_the_time_do_not_matter(
    mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, pauses = psutil.pids, list[float]()
    monkeypatch.setattr(psutil, "pids", lambda: [*usual(), 2**22 + len(pauses)])
    monkeypatch.setattr(program_process, "rest", pauses.append)
    assert await_end(mark, 5)
    assert 1 <= len(pauses) < 50, "it looked again, not until its patience ended"


@pytest.mark.skipif(sys.platform != "linux", reason="is about Linux' exec")
def test_a_process_that_is_being_replaced_by_a_program_is_found(
    mark: str, orphan: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile it has neither environment nor command line."""
    environ, cmdline = psutil.Process.environ, psutil.Process.cmdline
    pauses: list[float] = []

    def replaced(process: psutil.Process) -> bool:
        return process == orphan and len(pauses) < 3

    monkeypatch.setattr(program_process, "rest", pauses.append)
    monkeypatch.setattr(
        psutil.Process, "environ", lambda self: {} if replaced(self) else environ(self)
    )
    monkeypatch.setattr(
        psutil.Process, "cmdline", lambda self: [] if replaced(self) else cmdline(self)
    )
    assert await_end(mark, SOON_S, kill=True)
    assert has_ended(orphan)


def test_a_program_has_the_marks_of_the_one_that_started_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(MARKS, raising=False)
    assert with_own_marks("one") == "one"
    monkeypatch.setenv(MARKS, "one")
    assert with_own_marks("two") == "one two"
