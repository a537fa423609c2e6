"""The recorder as a process of its own."""

import json
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection, wait
from pathlib import Path

import pytest

from deeplabstream.engine.processes import recorder_process
from deeplabstream.engine.processes.recorder_process import recorder_main
from deeplabstream.engine.session import messages
from deeplabstream.ipc.journal import Journal, JournalSpec, JournalWriter
from deeplabstream.ipc.pipe import has_message
from deeplabstream.ipc.ring import FrameRing, RingWriter
from deeplabstream.recording.run_folder import RunFolder
from tests.engine.stream import SKELETON, TICK_NS, memory, step


def film_and_decide(rings: dict[str, FrameRing], journal: Journal, frames: int) -> None:
    ring, engine = RingWriter(rings["top"]), JournalWriter(journal)
    for index in range(1, frames + 1):
        ring.slot()[:] = index
        ring.publish(index, index * TICK_NS, index * TICK_NS + 1000)
        engine.write(step(index))


def test_the_process_records_and_ends_when_told(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    with memory("top") as (rings, journal):
        ours, theirs = spawn.Pipe()
        wake = spawn.Semaphore(0)
        arguments = theirs, wake, journal.spec, 0
        process = spawn.Process(target=recorder_main, args=arguments)
        process.start()
        theirs.close()
        specs = tuple(ring.spec for ring in rings.values())
        for message in (
            messages.AttachStream(specs, SKELETON, 0, {}),
            messages.OpenRun(tmp_path, ""),
            messages.StartAnalysis(("top",)),
            messages.StartRecording(("top",)),
            messages.StopRecording(),
            messages.StartRecording(("top",)),
        ):
            ours.send(message)
        wake.release()
        opened = ours.recv()
        assert isinstance(opened, messages.RunOpened)
        while not isinstance(ours.recv(), messages.RecordingProgress):
            pass  # the second recording runs when progress is reported
        film_and_decide(rings, journal, 40)
        wake.release()
        ours.send(messages.CloseRun("stopped"))
        ours.send(messages.Stop())
        wake.release()
        process.join()
        told = []
        while has_message(ours):
            try:
                told.append(ours.recv())
            except EOFError:
                break
        ours.close()
        assert process.exitcode == 0
        process.close()
    (closed,) = (each for each in told if isinstance(each, messages.RunClosed))
    assert all(account.is_balanced() for account in closed.accounts)
    assert len(list(RunFolder(opened.path).steps("top"))) == 40


def session(
    root: Path, journal: JournalSpec, alive: Connection, said: Connection
) -> None:
    """Start a recorder, as the session does, and wait to be killed."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    wake = spawn.Semaphore(0)
    arguments = theirs, wake, journal, 0, alive
    spawn.Process(target=watched_recorder, args=arguments).start()
    ours.send(messages.OpenRun(root, ""))
    wake.release()
    said.send(ours.recv().path)
    ours.recv()


def watched_recorder(
    pipe: Connection, wake: object, journal: JournalSpec, zero: int, alive: Connection
) -> None:
    recorder_process.ORPHAN_S = 0.5
    recorder_main(pipe, wake, journal, zero)  # type: ignore[arg-type]
    alive.send("ended")


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_recorder_whose_session_was_killed_completes_its_files(
    tmp_path: Path,
) -> None:
    spawn = multiprocessing.get_context("spawn")
    with memory("top") as (_, journal):
        alive, its_end = spawn.Pipe(duplex=False)
        said, mouth = spawn.Pipe(duplex=False)
        arguments = tmp_path, journal.spec, its_end, mouth
        process = spawn.Process(target=session, args=arguments)
        process.start()
        its_end.close()
        mouth.close()
        path = said.recv()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        process.close()
        assert wait([alive], timeout=60)
        assert alive.recv() == "ended"
        for end in (alive, said):
            end.close()
    facts = json.loads((path / "run.json").read_text("utf-8"))
    assert facts["how"] == "the application ended unexpectedly"
    assert facts["ended"]
