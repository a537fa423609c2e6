"""A network on the CPU beside a GPU is told at start, in the log and in run.json."""

import pytest

from deeplabstream.core.journal_entries import Note
from deeplabstream.core.pose import Skeleton
from deeplabstream.engine import network_loading
from deeplabstream.engine.network_loading import network_ready_message
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.recording.run_folder import ModelFacts
from deeplabstream.settings.loading import parse
from tests.engine.fake_processes import FakeProcesses, session_of
from tests.engine.small_rig import FOLDER, RIG

REMARK = "RUNTIME = auto computes arena on the CPU, although this computer has a GPU: …"
FACTS = ModelFacts("arena", "0" * 64, 0.5, "CPUExecutionProvider")


def ready(*remarks: str) -> messages.NetworkReady:
    return messages.NetworkReady(Skeleton(("snout",)), FACTS, remarks)


def network_ready(
    message: messages.NetworkReady,
) -> tuple[RigSession, list[object], list[Note]]:
    """A session whose network is ready, what its recorder got, and its notes."""
    fake = FakeProcesses()
    session = session_of(fake, FOLDER, RIG)
    session.do(Action.START_STREAM)
    fake.report(message)
    notes = [news for news in session.poll() if isinstance(news, Note)]
    return session, fake.recorder, notes


def test_the_remark_is_news_for_window_and_console_and_a_row_of_the_record() -> None:
    session, written, notes = network_ready(ready(REMARK))
    (note,) = notes
    assert (note.kind, note.text) == ("computer", REMARK)
    assert written == [messages.WriteNote(note)]
    assert session.state.network_ready


def test_it_is_in_the_facts_for_run_json() -> None:
    session, *_ = network_ready(ready(REMARK))
    assert session.state.run_facts()["remarks"] == [REMARK]


def test_without_a_remark_nothing_is_told() -> None:
    session, written, _ = network_ready(ready())
    assert "remarks" not in session.state.run_facts()
    assert written == []


def test_the_engine_hands_on_what_the_network_s_loading_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network_loading, "gpu_remarks", lambda: (REMARK,))
    settings = parse(RIG, FOLDER)
    assert network_ready_message(open_estimator("stand-in:0"), settings).remarks == (
        REMARK,
    )
