"""What differs between systems when processes are started."""

import ctypes
import errno
import os
import sys
import threading
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Never

import pytest

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.engine.processes.termination import terminal_signals_held
from deeplabstream.engine.session import messages, process_manager
from deeplabstream.engine.session.process_manager import ProcessManager
from deeplabstream.ipc.journal import create_journal
from deeplabstream.ipc.ring import create_ring


class Kernel:
    """Windows' kernel32, as far as Ctrl-C is concerned."""

    def __init__(self) -> None:
        self.deaf = False

    def SetConsoleCtrlHandler(self, _handler: None, deaf: bool) -> None:
        self.deaf = deaf


def test_what_is_started_on_windows_inherits_that_it_does_not_hear_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel = Kernel()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda _name: kernel, raising=False)
    with terminal_signals_held():
        assert kernel.deaf
    assert not kernel.deaf
    with pytest.raises(OSError, match="no process"), terminal_signals_held():
        raise OSError("no process")
    assert not kernel.deaf


def test_a_camera_without_memory_for_its_pictures_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(22, "The paging file is too small")

    monkeypatch.setattr(process_manager, "create_ring", full)
    rig = object.__new__(ProcessManager)
    rig.rings, rig.cameras = {}, {"top": None}  # type: ignore[dict-item]
    with pytest.raises(DeviceError, match=r"\[Camera top\].*paging file is too small"):
        rig.add_ring("top", ImageFormat((480, 640, 3), 30.0))


def test_cameras_share_the_shared_memory_that_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """64 MB, as in a container: the second camera must not find it used up."""
    free, form = 64_000_000, ImageFormat((480, 640, 3), 30.0)
    rig = object.__new__(ProcessManager)
    rig.rings, rig.cameras = {}, {"top": None, "side": None}  # type: ignore[dict-item]
    slots: dict[str, int] = {}

    def create(camera: str, form: ImageFormat, count: int) -> object:
        slots[camera] = count
        return object()

    monkeypatch.setattr(process_manager, "create_ring", create)
    monkeypatch.setattr(ProcessManager, "announce_resources", lambda self: None)
    monkeypatch.setattr(
        process_manager,
        "_shared_memory_room",
        lambda: free - sum(slots.values()) * form.nbytes,
    )
    for camera in rig.cameras:
        rig.add_ring(camera, form)
    assert min(slots.values()) >= 30
    assert sum(slots.values()) * form.nbytes < free
    rig.rings, free = {}, 10_000_000
    slots.clear()
    with pytest.raises(
        DeviceError, match=r"\[Camera top\].*10 MB are free.*16 MB are needed.*--shm"
    ):
        rig.add_ring("top", form)


@pytest.mark.skipif(
    not hasattr(os, "posix_fallocate"), reason="the system reserves memory itself"
)
def test_memory_that_is_not_there_is_refused_when_it_is_made(
    monkeypatch: pytest.MonkeyPatch, shared_memory_made: list[str]
) -> None:
    ring = create_ring("top", ImageFormat((480, 640), 30.0), 8)
    memory = Path("/dev/shm")
    if memory.is_dir():
        assert (memory / ring.spec.memory).stat().st_blocks * 512 >= 8 * 480 * 640
    ring.close()
    ring.unlink()

    def full(file: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    before = len(shared_memory_made)
    with pytest.raises(OSError, match="No space left"):
        create_ring("top", ImageFormat((480, 640), 30.0), 8)
    with pytest.raises(OSError, match="No space left"):
        create_journal()
    refused = shared_memory_made[before:]  # by this process: others make some, too
    assert len(refused) == 2
    for name in refused:
        with pytest.raises(FileNotFoundError):
            SharedMemory(name)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_engine_may_have_been_ended_by_the_guard() -> None:
    camera = SimpleNamespace(name="camera top", exitcode=-9)
    engine = SimpleNamespace(name="engine", exitcode=-9)
    memory = "did the computer run out of memory?"
    said = f" (killed by SIGKILL; {memory})"
    assert process_manager.end_cause(camera) == said  # type: ignore[arg-type]
    said = process_manager.end_cause(engine)  # type: ignore[arg-type]
    assert "trigger or experiment take more than 1 s for a frame" in said
    assert said.endswith(f"or {memory})")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0xC0000005, " (Windows error 0xC0000005, access violation)"),
        (
            0xC0000017,
            " (Windows error 0xC0000017; did the computer run out of memory?)",
        ),
        (0xC0000374, " (Windows error 0xC0000374)"),
        (15, ""),
        (None, ""),
    ],
)
def test_an_error_that_ended_a_process_on_windows_is_named(
    code: int | None, said: str
) -> None:
    ended = SimpleNamespace(exitcode=code)
    assert process_manager.end_cause(ended) == said  # type: ignore[arg-type]


class EndedChild:
    """A child process that has ended, with what it was sent."""

    def __init__(self, name: str, sent: list[tuple[str, object]]) -> None:
        self.name, self.sent, self.closed = name, sent, False
        self.exitcode = 1
        self.process: Any = self
        self.pipe: Any = SimpleNamespace(close=lambda: None)

    def send(self, message: object) -> None:
        self.sent.append((self.name, message))

    def is_alive(self) -> bool:
        return False

    def join(self) -> None:
        return

    def close(self) -> None:
        self.closed = True


class UnreachableChild(EndedChild):
    """A child process that runs, and can't be sent anything."""

    def send(self, message: object) -> None:
        raise OSError("no buffer space")

    def is_alive(self) -> bool:
        return (self.name, "killed") not in self.sent

    def kill(self) -> None:
        self.sent.append((self.name, "killed"))


def test_an_engine_that_an_error_leaves_running_is_killed_before_its_guards_end() -> (
    None
):
    manager: Any = object.__new__(ProcessManager)
    sent: list[tuple[str, object]] = []
    names = ("guard", "recorder", "second_guard")
    vars(manager).update({name: EndedChild(name, sent) for name in names})
    manager.engine = UnreachableChild("engine", sent)
    manager.cameras = {"top": EndedChild("top", sent)}
    manager._recorder_wake = threading.Semaphore()
    manager._run, manager._settled, manager._cores = None, True, set()
    manager.saved_s, manager.journal, manager.rings = 0.0, create_journal(16), {}
    reports: list[Any] = []
    for _ in manager.ending(lambda: (messages.Stop(),), reports.append, iter(())):
        pass
    assert [each.text for each in reports] == [
        "An error at the end of the stream: no buffer space"
    ]
    assert sent[0] == ("engine", "killed")
    assert [name for name, _ in sent[1:]] == ["top", "recorder", "second_guard"]


def test_an_error_of_the_main_process_that_switches_off_is_reported() -> None:
    class Unforeseen:
        @property
        def reopens(self) -> Never:
            raise RuntimeError("no such device")

    manager: Any = object.__new__(ProcessManager)
    sent: list[tuple[str, object]] = []
    names = ("engine", "guard", "recorder", "second_guard")
    vars(manager).update({name: EndedChild(name, sent) for name in names})
    manager.cameras, manager.outputs = {}, {"laser": Unforeseen()}
    manager._engine_wake = manager._recorder_wake = threading.Semaphore()
    manager._run, manager._settled, manager._cores = None, False, set()
    manager.saved_s, manager.journal, manager.rings = 0.0, create_journal(16), {}
    reports: list[Any] = []
    for _ in manager.ending(lambda: (messages.Stop(),), reports.append, iter(())):
        pass
    assert reports[-1].text == (
        "The main process could not switch the outputs off: the thread 'switch off' ended "
        "because of an error in the program (RuntimeError: no such device); they may still "
        "be on"
    )


def test_an_error_at_the_end_is_reported_and_everything_else_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events can't be completed, and one memory can't be removed."""

    def broken(*_: object) -> Never:
        raise OSError("the disk failed")

    manager: Any = object.__new__(ProcessManager)
    sent: list[tuple[str, object]] = []
    names = ("engine", "guard", "recorder", "second_guard")
    children = {name: EndedChild(name, sent) for name in names}
    vars(manager).update(children)
    manager.cameras = {"top": EndedChild("top", sent)}
    manager._engine_wake = manager._recorder_wake = threading.Semaphore()
    manager._run, manager._settled, manager._cores = tmp_path, True, set()
    manager.saved_s, manager.journal = 0.0, create_journal(16)
    ring = create_ring("top", ImageFormat((8, 8), 30.0), 8)
    stuck = SimpleNamespace(close=lambda: None, unlink=broken)
    manager.rings = {"side": stuck, "top": ring}
    monkeypatch.setattr(process_manager, "complete_events", broken)
    reports: list[Any] = []
    for _ in manager.ending(lambda: (messages.Stop(),), reports.append, iter(())):
        pass
    assert [each.text for each in reports] == [
        "An error at the end of the stream: the disk failed",
        "Shared memory could not be removed: the disk failed",
    ]
    assert [name for name, _ in sent] == ["engine", "top", "recorder", "second_guard"]
    assert all(child.closed for child in children.values())
    for memory in (ring.spec.memory, manager.journal.spec.memory):
        with pytest.raises(FileNotFoundError):
            SharedMemory(memory)


@pytest.mark.parametrize("names", [("left", "right", "front"), ("left",)])
def test_cameras_of_a_rig_begin_together_and_one_begins_alone(
    names: tuple[str, ...],
) -> None:
    received: dict[str, list[Any]] = {name: [] for name in names}
    rig = object.__new__(ProcessManager)
    rig.cameras = {
        name: SimpleNamespace(send=received[name].append)  # type: ignore[misc]
        for name in names
    }
    rig.rings = {name: SimpleNamespace(spec=name) for name in names}  # type: ignore[misc]
    to_engine: list[object] = []
    rig.send_engine = to_engine.append  # type: ignore[method-assign, assignment]

    before_ns = SystemClock().now_ns()
    rig.begin((), names)
    fills = [fill for own in received.values() for fill in own]
    assert [fill.ring for fill in fills] == [*names]
    starts = {fill.start_ns for fill in fills}
    if len(names) == 1:
        assert starts == {None}
    else:
        (start_ns,) = starts
        assert before_ns <= start_ns <= SystemClock().now_ns()
    assert to_engine == [messages.AttachRings(())]


class Child:
    """A process that runs until it is killed, and its pipe."""

    def __init__(self) -> None:
        self.process = SimpleNamespace(
            name="plate watch",
            exitcode=None,
            is_alive=lambda: self.process.exitcode is None,
            join=list,
            close=list,
        )
        self.pipe = SimpleNamespace(close=list)


def test_a_plate_process_that_ends_is_started_again_but_not_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[Child] = []

    def start(rig: ProcessManager, *_: object) -> Child:
        started.append(Child())
        return started[-1]

    monkeypatch.setattr(ProcessManager, "_start", start)
    rig = object.__new__(ProcessManager)
    # without markers there is nothing to start
    assert (rig.keep_plate_watch(0), started) == ("", [])
    rig._plate_pipe = SimpleNamespace()  # type: ignore[assignment]
    rig._start_plate_watch()
    began_ns, second_ns = rig._plate_started_ns, 1_000_000_000
    assert rig.keep_plate_watch(began_ns + 5 * second_ns) == ""

    # soon after its start: once told, and not started again before its time
    started[0].process.exitcode = -9
    text = rig.keep_plate_watch(began_ns + 6 * second_ns)
    assert text.startswith("The process 'plate watch' ended unexpectedly (killed by")
    again_ns = began_ns + round(process_manager.PLATE_AGAIN_S * second_ns)
    assert (rig.keep_plate_watch(again_ns - 1), len(started)) == ("", 1)
    assert (rig.keep_plate_watch(again_ns), len(started)) == ("", 2)

    # long after its start: at once
    started[1].process.exitcode = 1
    late_ns = rig._plate_started_ns + 3600 * second_ns
    assert rig.keep_plate_watch(late_ns)
    assert (rig.plate_watch, len(started)) == (started[2], 3)
