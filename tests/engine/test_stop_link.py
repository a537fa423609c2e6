"""A stop request that does not pass through the main process ends the experiment."""

from pathlib import Path

import pytest

from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.engine.session.session_state import Action
from deeplabstream.ipc.stop_link import StopRequester
from tests.engine.test_session import Watched, begin_experiment, experiment, rig

pytestmark = pytest.mark.usefixtures("fork_server")


def requester(it: Watched) -> StopRequester:
    link = it.session.stop_link
    assert link is not None
    return StopRequester(link)


def notes(it: Watched) -> list[str]:
    """Return the notes on the experiment so far."""
    told = [news for news in it.told if isinstance(news, Note)]
    return [note.text for note in told if note.kind == "experiment"]


def test_the_engine_switches_off_and_says_who_stopped_it(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        assert it.session.stop_link is None
        experiment(it)
        user = requester(it)
        assert user.done
        user.request()
        it.until(lambda it: not it.session.state.experimenting)
        it.until(lambda _: user.done)
        last = [news for news in it.told if isinstance(news, Edge)][-1]
        assert (last.level, last.cause) == (0.0, "stop")
        assert notes(it)[-1].startswith("stopped: STOP was pressed in the stop window")
        assert it.session.state.analysing


def test_nothing_starts_that_was_requested_before_the_stop(tmp_path: Path) -> None:
    """The main process was blocked between the user's request and its message."""
    with rig(tmp_path) as it:
        it.do(Action.START_STREAM, Action.START_ANALYSIS)
        it.until(lambda it: Action.START_EXPERIMENT in it.session.state.allowed)
        requester(it).request()
        it.session.do(Action.START_EXPERIMENT)
        it.until(lambda it: any("not started: STOP" in text for text in notes(it)))
        it.until(lambda it: not it.session.state.experiment_starting)
        assert not it.session.state.experimenting
        assert not any(news.level for news in it.told if isinstance(news, Edge))

        assert it.session.stop_requested()
        assert not it.session.stop_requested()
        begin_experiment(it)
