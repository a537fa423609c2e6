"""The end of a process is explained by its last message, whichever is seen first."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deeplabstream.engine.processes import engine_process
from deeplabstream.engine.processes.child_process import EngineLinks, UnblockedPipe
from deeplabstream.engine.processes.guard import Heartbeat
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.session_state import Action, Failed
from deeplabstream.ipc.journal import create_journal
from deeplabstream.ipc.pipe import opened_pipe, receive
from deeplabstream.settings.loading import parse
from tests.engine.fake_processes import FakeProcesses, session_of
from tests.engine.small_rig import RIG


class _EndingProcesses(FakeProcesses):
    """An engine that sends its last messages and ends after its pipe was read."""

    def __init__(self, last: list[object]) -> None:
        super().__init__()
        self.last = last

    def ended_early(self) -> list[str]:
        self.report(*self.last)
        self.last = []
        return ["'engine' ended unexpectedly"]


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ([messages.ProcessFailed("no network 'a'")], "no network 'a'"),
        ([], "The process 'engine' ended unexpectedly"),
    ],
    ids=["with a reason", "without"],
)
def test_the_last_message_of_an_ended_process_is_read(
    tmp_path: Path, last: list[object], told: str
) -> None:
    session = session_of(_EndingProcesses(last), tmp_path, RIG)
    session.do(Action.START_STREAM)
    news = session.poll()
    assert [each.text for each in news if isinstance(each, Failed)] == [told]


def test_the_engine_ends_its_guards_after_its_reason_was_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else a guard has ended before the session knows why."""
    happened: list[str] = []
    flush, goodbye = UnblockedPipe.flush, Heartbeat.goodbye

    def flushed(pipe: UnblockedPipe, *patience: float) -> None:
        flush(pipe, *patience)
        happened.append("sent")

    def dismissed(heart: Heartbeat) -> None:
        goodbye(heart)
        happened.append("guards end")

    monkeypatch.setattr(UnblockedPipe, "flush", flushed)
    monkeypatch.setattr(Heartbeat, "goodbye", dismissed)
    monkeypatch.setattr(engine_process, "set_up_child", lambda **_: None)
    monkeypatch.setattr(engine_process.sys, "setswitchinterval", lambda _: None)
    settings = parse(f"{RIG}\n[Pose Estimation]\nMODEL = nothing_there\n", tmp_path)
    news, into = opened_pipe(duplex=False)
    heard, guard = opened_pipe(duplex=False)
    unused: Any = SimpleNamespace(release=lambda: None, acquire=lambda **_: True)
    journal = create_journal(64)
    try:
        links = EngineLinks((guard,), unused, unused, (), journal.spec, 0)
        engine_process.engine_main(settings, into, links)
        arrived: list[object] = []
        while not arrived or not isinstance(arrived[-1], messages.ProcessFailed):
            arrived.append(receive(news))
    finally:
        journal.close()
        journal.unlink()
    assert "nothing_there" in arrived[-1].text
    assert happened == ["sent", "guards end"]
    for pipe in (news, into, heard, guard):
        pipe.close()
