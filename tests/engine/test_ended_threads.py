"""A thread that an error ends is an alarm, in whichever process it runs."""

import multiprocessing
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.frame import Image
from deeplabstream.core.journal_entries import LAST_NOTE, Edge, Note
from deeplabstream.engine.processes.camera_process import camera_main
from deeplabstream.engine.processes.child_process import EngineLinks
from deeplabstream.engine.processes.engine_process import engine_main
from deeplabstream.engine.processes.guard import switch_off
from deeplabstream.engine.processes.recorder_process import recorder_main
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.session_state import Action
from deeplabstream.ipc.journal import create_journal
from deeplabstream.ipc.pipe import Connection, has_message, receive
from deeplabstream.plugins.camera import Camera, CameraStream, CapturedFrame
from deeplabstream.plugins.output import Output, Write
from deeplabstream.settings.loading import parse
from tests.engine.fake_processes import FakeProcesses, session_of
from tests.engine.small_rig import RIG
from tests.engine.stream import FORM

PATIENCE_S = 60.0
CAUSE = "RuntimeError: the device sent nonsense"
ENDED = f"{{}}: the thread 'driver' ended because of an error in the program ({CAUSE})"


def start_driver() -> None:
    """Start a thread that an error ends, and whose end no code checks."""

    def work() -> None:
        raise RuntimeError("the device sent nonsense")

    threading.Thread(target=work, name="driver", daemon=True).start()


@settings(frozen=True, kw_only=True)
class CarelessCamera(Camera):
    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        start_driver()

        def read(image: Image) -> CapturedFrame:
            return CapturedFrame(0)

        yield CameraStream(FORM, read)


@settings(frozen=True, kw_only=True)
class CarelessOutput(Output):
    @contextmanager
    def opened(self) -> Iterator[Write]:
        start_driver()
        yield lambda level: None


class CarelessSemaphore:
    """A library's thread begins at the first wait."""

    def __init__(self, semaphore: Any) -> None:
        self.semaphore, self.begun = semaphore, False
        self.release = semaphore.release

    def __getstate__(self) -> dict[str, Any]:
        return {"semaphore": self.semaphore}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["semaphore"])  # type: ignore[misc]

    def acquire(self, *arguments: Any, **more: Any) -> bool:
        if not self.begun:
            self.begun = True
            start_driver()
        return bool(self.semaphore.acquire(*arguments, **more))


def report_of(
    body: Callable[..., None], name: str, before: tuple[Any, ...], *after: Any
) -> str:
    """Run the body of a process until it reports a problem; return that."""
    context = multiprocessing.get_context(
        "spawn" if sys.platform == "win32" else "forkserver"
    )
    ours, theirs = context.Pipe()
    arguments = *before, theirs, *after
    process = context.Process(target=body, args=arguments, name=name)
    process.start()
    theirs.close()
    try:
        return _problem(ours)
    finally:
        ours.send(messages.Stop())
        process.join(PATIENCE_S)
        process.kill()
        process.join()
        process.close()
        ours.close()


def _problem(pipe: Connection) -> str:
    while has_message(pipe, PATIENCE_S):
        message = receive(pipe)
        if isinstance(message, messages.ProblemReport):
            return message.text
        assert message is not None, "it ended without a report"
    raise AssertionError("no report")


def test_a_thread_of_a_camera_that_ends_is_reported() -> None:
    told = report_of(camera_main, "camera top", ("top", CarelessCamera()), None, False)
    assert told == ENDED.format("camera top")


def test_a_thread_of_the_engine_that_ends_is_reported(tmp_path: Path) -> None:
    rig = parse(RIG, tmp_path)
    rig = replace(rig, outputs={"laser": CarelessOutput()})
    context = multiprocessing.get_context("spawn")
    semaphores = context.Semaphore(0), context.Semaphore(0)
    journal = create_journal(64)
    try:
        links = EngineLinks((), *semaphores, (), journal.spec, 0)
        told = report_of(engine_main, "engine", (rig,), links)
    finally:
        journal.close()
        journal.unlink()
    assert told == ENDED.format("engine")


def test_a_thread_of_the_recorder_that_ends_is_reported() -> None:
    wake = CarelessSemaphore(multiprocessing.get_context("spawn").Semaphore(0))
    journal = create_journal(64)
    try:
        told = report_of(recorder_main, "recorder", (), wake, journal.spec, 0)
    finally:
        journal.close()
        journal.unlink()
    assert told == ENDED.format("recorder")


def test_the_report_of_a_thread_is_an_alarm(tmp_path: Path) -> None:
    fake = FakeProcesses()
    session = session_of(fake, tmp_path, RIG)
    session.do(Action.START_STREAM)
    text = ENDED.format("camera arena")
    fake.report(messages.ProblemReport(text))
    session.poll()
    assert [alarm.text for alarm in session.state.alarms] == [text]


@settings(frozen=True, kw_only=True)
class EndingOutput(Output):
    """Its driver ends the thread in which it is opened."""

    @contextmanager
    def opened(self) -> Iterator[Write]:
        sys.exit("the driver gives up")
        yield lambda level: None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_guards_thread_that_ends_leaves_its_output_reported() -> None:
    class Reports:
        def __init__(self) -> None:
            self.told: list[str] = []
            self.notes: dict[str, str] = {}

        def send(self, message: messages.GuardReport) -> None:
            if isinstance(message, messages.ProblemReport):
                self.told.append(message.text)

        def write(self, entry: Edge | Note) -> None:
            if isinstance(entry, Note):
                self.notes[entry.kind] = entry.text

    reports = Reports()
    switch_off({"laser": EndingOutput()}, "The engine ended", "guard", reports)
    assert reports.told[-1] == "[Output laser] does not answer; it may still be on"
    assert "[Output laser] may still be on" in reports.notes[LAST_NOTE]
