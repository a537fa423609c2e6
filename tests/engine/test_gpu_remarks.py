"""A network on the CPU beside a GPU is told at start, in the log and in run.json."""

from types import SimpleNamespace

import pytest

from deeplabstream.core.journal_entries import Note
from deeplabstream.core.pose import Skeleton
from deeplabstream.engine import network_loading
from deeplabstream.engine.network_loading import introduced
from deeplabstream.engine.session import messages as say
from deeplabstream.engine.session.session_events import SessionEvents
from deeplabstream.engine.session.stream import Stream
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.recording.run_folder import ModelFacts
from deeplabstream.settings.loading import parse
from tests.engine.small_rig import FOLDER, RIG

REMARK = "RUNTIME = auto computes arena on the CPU, although this computer has a GPU: …"
FACTS = ModelFacts("arena", "0" * 64, 0.5, "CPUExecutionProvider")


def ready(*remarks: str) -> say.NetworkReady:
    return say.NetworkReady(Skeleton(("snout",)), FACTS, remarks)


def hearing(message: say.NetworkReady) -> tuple[SessionEvents, list[object]]:
    """A session that has heard that its network is ready, and what the recorder got."""
    rig = SessionEvents(parse(RIG, FOLDER))
    rig._stream = Stream.of(rig.settings, 0)
    told: list[object] = []
    crew = SimpleNamespace(tell_recorder=told.append, rings={}, complete=False)
    rig._attach = lambda crew: None  # type: ignore[method-assign]
    rig._heard(crew, message)  # type: ignore[arg-type]
    return rig, told


def test_the_remark_is_news_for_window_and_console_and_a_row_of_the_record() -> None:
    rig, told = hearing(ready(REMARK))
    (note,) = [news for news in rig._news if isinstance(news, Note)]
    assert (note.kind, note.text) == ("computer", REMARK)
    assert [each.note.text for each in told if isinstance(each, say.WriteNote)] == [
        REMARK
    ]
    assert rig.status.network_ready


def test_it_is_in_the_facts_for_run_json() -> None:
    rig, _ = hearing(ready(REMARK))
    assert rig._stream.facts()["remarks"] == [REMARK]


def test_without_a_remark_nothing_is_told() -> None:
    rig, told = hearing(ready())
    assert "remarks" not in rig._stream.facts()
    assert told == []


def test_the_engine_hands_on_what_the_network_s_loading_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network_loading, "gpu_remarks", lambda: (REMARK,))
    settings = parse(RIG, FOLDER)
    assert introduced(open_estimator("stand-in:0"), settings).remarks == (REMARK,)
