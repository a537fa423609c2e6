"""The end of a process is explained by its last message, whichever is seen first."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from deeplabstream.engine.session import messages as say
from deeplabstream.engine.session import session as session_module
from deeplabstream.engine.session.session import Session
from deeplabstream.engine.session.session_state import Action, Failed
from deeplabstream.settings.loading import parse
from tests.engine.small_rig import RIG
from tests.engine.test_experiment_start import ProcessesFake


class _EndingProcesses(ProcessesFake):
    """An engine that sends its last messages and ends after its pipe was read."""

    def __init__(self, last: list[object]) -> None:
        super().__init__()
        self.last, self.sent = last, list[object]()
        self.cameras: dict[str, object] = {}
        self.children = [SimpleNamespace(received=self._received)]

    def _received(self) -> list[object]:
        sent, self.sent = self.sent, []
        return sent

    def ended_early(self) -> list[str]:
        self.sent, self.last = self.last, []
        return ["'engine' ended unexpectedly"]


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ([say.ProcessFailed("no network 'a'")], "no network 'a'"),
        ([], "The process 'engine' ended unexpectedly"),
    ],
    ids=["with a reason", "without"],
)
def test_the_last_message_of_an_ended_process_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, last: list[object], told: str
) -> None:
    fake = _EndingProcesses(last)
    monkeypatch.setattr(session_module, "ProcessManager", lambda *_: fake)
    journal = SimpleNamespace(read=list)
    monkeypatch.setattr(session_module, "JournalReader", lambda *_, **__: journal)
    session = Session(parse(RIG, tmp_path))
    session.do(Action.START_STREAM)
    news = session.poll()
    assert [each.text for each in news if isinstance(each, Failed)] == [told]
