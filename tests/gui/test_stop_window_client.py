"""The process of the stop window runs with a stream that has outputs, and with no other."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.stop_window_client import StopWindowClient
from deeplabstream.gui.widgets.stop_button import StopButton
from deeplabstream.ipc.journal import create_journal
from deeplabstream.ipc.pipe import Connection, receive
from deeplabstream.ipc.semaphore import opened_semaphore
from deeplabstream.ipc.stop_link import StopLink
from tests.gui.fake_session import FakeSession

IDLE, STREAMING = SessionState(), SessionState(Phase.STREAMING)


def end_at_once(*_arguments: object) -> None:
    """Stand for a stop window that fails."""


def end_with_pipe(pipe: Connection, *_others: object) -> None:
    """Stand for a stop window that works."""
    while receive(pipe) is not None:
        pass


class LinkedSession(FakeSession):
    """A fake session whose stream has a journal."""

    link: StopLink | None = None

    @property
    def stop_link(self) -> StopLink | None:
        return self.link


@pytest.fixture
def session() -> Iterator[LinkedSession]:
    made, journal = LinkedSession(), create_journal(16)
    made.link = StopLink(journal.spec, opened_semaphore())
    yield made
    journal.close()
    journal.unlink()


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def button(qtbot: QtBot) -> StopButton:
    made = StopButton("STOP")
    qtbot.addWidget(made)
    return made


def test_it_runs_from_the_open_cameras_to_the_end_of_the_stream(
    session: LinkedSession, button: StopButton, complaints: list[str]
) -> None:
    client = StopWindowClient(
        session, button, lambda: True, complaints.append, body=end_with_pipe
    )
    client.follow(SessionState(Phase.STARTING))
    assert client.process is None
    client.follow(STREAMING)
    first = client.process
    assert first is not None
    client.follow(replace(STREAMING, analysing=True))
    client.follow(SessionState(Phase.STOPPING))
    assert client.process is first and first.is_alive()
    client.follow(IDLE)
    assert client.process is None
    assert not first.is_alive()
    assert not complaints


def test_without_outputs_there_is_none(
    session: LinkedSession, button: StopButton, complaints: list[str]
) -> None:
    session.settings = replace(session.settings, outputs={})
    client = StopWindowClient(session, button, lambda: True, complaints.append)
    client.follow(STREAMING)
    assert client.process is None


def test_one_that_fails_is_reported_once_and_starts_with_the_next_stream(
    qtbot: QtBot, session: LinkedSession, button: StopButton, complaints: list[str]
) -> None:
    client = StopWindowClient(
        session, button, lambda: True, complaints.append, body=end_at_once
    )
    client.follow(STREAMING)
    qtbot.waitUntil(lambda: bool(complaints), timeout=60_000)
    client.follow(STREAMING)
    assert client.process is None
    assert [text for text in complaints if "until the next start" in text]
    client.follow(IDLE)
    client.follow(STREAMING)
    assert client.process is not None
    client.finish()
    assert len(complaints) == 1


def test_it_runs_with_a_program_that_switches_an_output(
    button: StopButton, complaints: list[str]
) -> None:
    programs: list[int] = [7]
    client = StopWindowClient(
        FakeSession(),
        button,
        lambda: True,
        complaints.append,
        lambda: tuple(programs),
        end_with_pipe,
    )
    client.follow(IDLE)
    assert client.process is not None
    programs.clear()
    client.follow(IDLE)
    assert client.process is None
