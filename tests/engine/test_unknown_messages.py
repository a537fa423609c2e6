"""A message that a process does not know is a bug with a name, and never ends a run."""

import multiprocessing
from pathlib import Path

import pytest

from deeplabstream.core.journal_entries import Note, Step
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.session_state import Action, Failed
from deeplabstream.ipc.pipe import receive
from deeplabstream.recording.run_folder import RunFolder
from tests.engine.test_session import Watched, experiment, rig


class Unheard:
    """A message of no union."""


def bugs(it: Watched) -> str:
    notes = [news for news in it.told if isinstance(news, Note)]
    return "\n".join(note.text for note in notes if note.kind == "bug")


@pytest.mark.usefixtures("fork_server")
def test_every_process_reports_it_and_the_run_continues(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        experiment(it)
        processes = it.session._processes
        assert processes is not None
        receivers = [
            *processes.cameras.values(),
            processes.engine,
            processes.recorder,
            processes.second_guard,
        ]
        for child in receivers:
            child.pipe.send(Unheard())
        processes.send_engine(messages.SetIdentity("top", None))  # wakes it
        processes.send_recorder(messages.WriteNote(Note("test", "still here", 0)))
        *at_once, _second_guard = receivers  # that reads its pipe at the end
        for child in at_once:
            name = child.process.name
            expected = f"Bug: process '{name}' ignored an unknown message (Unheard)"
            it.until(lambda it, expected=expected: expected in bugs(it))  # type: ignore[misc]
        seen = len(it.of(Step))
        it.until(lambda it: len(it.of(Step)) > seen + 20)
        assert it.session.state.experimenting
        failed = [each for each in it.told if isinstance(each, Failed) and each.grave]
        assert failed == []
        it.stop()
        assert "process 'second guard' ignored" in bugs(it)
        folder = it.session.state.run_folder
        assert it.session.state.allowed == {Action.START_STREAM}
    assert folder is not None
    run = RunFolder(folder)
    assert run.facts["how"] == "stopped"
    texts = [row["text"] for row in run.events() if row["name"] == "bug"]
    assert len(texts) >= len(at_once)
    assert "still here" in [row["text"] for row in run.events()]


def test_a_message_that_cannot_be_decoded_is_named() -> None:
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        here = globals()
        kind = here["Unheard"]
        ours.send(kind())
        del here["Unheard"]
        try:
            received = receive(theirs)
        finally:
            here["Unheard"] = kind
        report = messages.UnknownMessage.received(received)
        assert "ignored an unknown message (AttributeError: " in report.text
        assert "Unheard" in report.text
        ours.close()
        assert receive(theirs) is None
