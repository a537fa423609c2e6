"""The processes of a rig and the shared memory between them: their life and death."""

import multiprocessing
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from core.errors import DeviceError
from core.frame import ImageFormat
from core.journal import JournalReader, create_journal
from core.pipe import Connection, opened_pipe, speaks
from core.ring import Ring, RingSpec, create_ring
from engine.camera_process import camera_main
from engine.child import tell
from engine.engine_links import EngineLinks
from engine.engine_process import engine_main
from engine.guard import guard_main
from engine.recorder import recorder_main
from engine.settings import Settings
from recording.rescue import complete_events

RING_S = 2.0
"""Seconds of frames that a ring holds."""
RING_BYTES = 512 * 1024 * 1024
"""The most memory that a ring takes."""


@dataclass(frozen=True)
class Member:
    """A process and our end of its pipe."""

    process: BaseProcess
    pipe: Connection

    def told(self) -> list[Any]:
        """Return what it has sent, without waiting."""
        messages = []
        try:
            while speaks(self.pipe):
                messages.append(self.pipe.recv())
        except (EOFError, ConnectionError):
            return messages
        return messages

    def tell(self, message: object) -> None:
        """Send it a message; a dead process does not mind."""
        tell(self.pipe, message)


class Crew:
    """All processes of a stream. None is daemonic; all end with their parent."""

    def __init__(self, settings: Settings, zero_ns: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._spawn = spawn
        self._engine_wake, self._recorder_wake = spawn.Semaphore(0), spawn.Semaphore(0)
        self.journal = create_journal()
        self.cut_short = False
        """The engine had to be killed at the end: it was busy, perhaps loading."""
        self.rings: dict[str, Ring] = {}
        self.cameras = {
            name: self._start(
                f"camera {name}",
                camera_main,
                (name, camera),
                (self._engine_wake if camera.analyse else None,),
            )
            for name, camera in settings.cameras.items()
        }
        heart_out, heart_in = opened_pipe(duplex=False)
        links = EngineLinks(
            guard=heart_in,
            wake=self._engine_wake,
            listeners=(self._recorder_wake,),
            journal=self.journal.spec,
            zero_ns=zero_ns,
        )
        self.engine = self._start("engine", engine_main, (settings,), (links,))
        heart_in.close()
        watched = dict(settings.outputs), heart_out, self.engine.process.pid
        self.guard = self._start("guard", guard_main, watched, ())
        heart_out.close()
        links_of_recorder = self._recorder_wake, self.journal.spec, zero_ns
        self.recorder = self._start("recorder", recorder_main, (), links_of_recorder)

    @property
    def members(self) -> list[Member]:
        """All processes."""
        return [*self.cameras.values(), self.engine, self.guard, self.recorder]

    def tell_engine(self, message: object) -> None:
        """Send the engine a message and wake it."""
        self.engine.tell(message)
        self._engine_wake.release()

    def tell_recorder(self, message: object) -> None:
        """Send the recorder a message and wake it."""
        self.recorder.tell(message)
        self._recorder_wake.release()

    def add_ring(self, camera: str, form: ImageFormat) -> Ring:
        """Make the ring of a camera that has opened; one that it had is given back."""
        slots = max(8, round((form.rate or 30) * RING_S))
        slots = min(slots, RING_BYTES // form.nbytes)
        room = _shared_memory_room()
        if room is not None:
            slots = min(slots, room // 2 // form.nbytes)
        if slots < 8:
            raise DeviceError(
                f"[Camera {camera}] there is no room in shared memory for its pictures "
                f"({form}): make /dev/shm larger"
            )
        before = self.rings.pop(camera, None)
        if before is not None:
            before.close()
            before.unlink()
        try:
            self.rings[camera] = create_ring(camera, form, slots)
        except OSError as error:
            raise DeviceError(
                f"[Camera {camera}] there is no memory for its pictures ({form}): "
                f"{error.strerror}"
            ) from error
        return self.rings[camera]

    def begin(self, posed: tuple[RingSpec, ...], cameras: Sequence[str]) -> None:
        """Let the engine and these cameras begin: every camera is armed by now."""
        self.tell_engine(posed)
        for name in cameras:
            self.cameras[name].tell(self.rings[name].spec)

    def dead(self) -> list[str]:
        """Return the names of the processes that are no longer alive."""
        return [m.process.name for m in self.members if not m.process.is_alive()]

    def ending(self, last_words: Sequence[object], run: Path | None) -> Iterator[None]:
        """End all processes, outputs first; yield while waiting, then free all memory.

        The recorder is told the last words when everybody else has fallen silent; when it
        was killed, the events of the run are completed without it.
        """
        self.tell_engine(None)
        yield from _until_ended([self.engine], 3.0, self._cut_short)
        for camera in self.cameras.values():
            camera.tell(None)
        yield from _until_ended([*self.cameras.values()], 3.0)
        yield from _until_ended([self.guard], 20.0)
        for words in last_words:
            self.tell_recorder(words)
        yield from _until_ended([self.recorder], 20.0)
        if run is not None and self.recorder.process.exitcode:
            complete_events(run, JournalReader(self.journal).unrecorded())
        yield
        for member in self.members:
            member.pipe.close()
            member.process.join()
            member.process.close()
        for ring in self.rings.values():
            ring.close()
            ring.unlink()
        self.journal.close()
        self.journal.unlink()

    def _cut_short(self) -> None:
        self.cut_short = True

    def _start(
        self, name: str, body: Any, before: tuple[Any, ...], after: tuple[Any, ...]
    ) -> Member:
        """Spawn a process: `body` is called with before, its end of the pipe, after."""
        ours, theirs = opened_pipe()
        arguments = (*before, theirs, *after)
        process = self._spawn.Process(target=body, name=name, args=arguments)
        with _ctrl_c_held():
            process.start()
        theirs.close()
        return Member(process, ours)


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Hold Ctrl-C back: what is started meanwhile never hears it, not while it imports.

    On Windows deafness is inherited, and a Ctrl-C of this moment is lost.
    """
    if sys.platform == "win32":
        from ctypes import WinDLL

        be_deaf = WinDLL("kernel32").SetConsoleCtrlHandler
        be_deaf(None, True)
        try:
            yield
        finally:
            be_deaf(None, False)
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _until_ended(
    members: Sequence[Member],
    patience_s: float,
    killing: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Yield until they have ended; after `patience_s` kill those that have not.

    `killing` is called just before.
    """
    give_up = time.perf_counter() + patience_s
    while running := [m for m in members if m.process.is_alive()]:
        if time.perf_counter() > give_up:
            killing()
            for member in running:
                member.process.kill()
        wait([m.process.sentinel for m in running], timeout=0.01)
        yield


def _shared_memory_room() -> int | None:
    """Return the free bytes of shared memory; None where it has no limit of its own."""
    folder = Path("/dev/shm")
    return shutil.disk_usage(folder).free if folder.is_dir() else None
