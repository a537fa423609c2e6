"""The processes of a rig and the shared memory between them: their life and death."""

import multiprocessing
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import LAST_NOTE, Edge, Entry, Note
from deeplabstream.engine.processes.child_process import run_body, send_message
from deeplabstream.engine.processes.engine_links import EngineLinks
from deeplabstream.engine.processes.guard import GuardLinks, switch_off
from deeplabstream.engine.processes.second_guard import SharedResources, names_of
from deeplabstream.engine.processes.termination import terminal_signals_held
from deeplabstream.ipc.journal import JournalReader, JournalWriter, create_journal
from deeplabstream.ipc.pipe import Connection, has_message, opened_pipe
from deeplabstream.ipc.ring import Ring, RingSpec, create_ring
from deeplabstream.recording.journal_recovery import complete_events
from deeplabstream.settings.loading import Settings

_PROCESSES = "deeplabstream.engine.processes"
CAMERA = f"{_PROCESSES}.camera_process:camera_main"
ENGINE = f"{_PROCESSES}.engine_process:engine_main"
GUARD = f"{_PROCESSES}.guard:guard_main"
RECORDER = f"{_PROCESSES}.recorder_process:recorder_main"
SECOND_GUARD = f"{_PROCESSES}.second_guard:second_guard_main"
"""Functions that child processes run, by name: the main process does not import them."""

RING_S = 2.0
"""Seconds of frames that a ring holds."""
TAKE_OVER_S = 20.0
"""The second guard has so long to switch off, then the main process does."""
MAIN = "main process"
LAST_CAUSES = frozenset({"close", "guard", "second guard", MAIN})
"""Causes of edges that switch off for good at the end of a stream."""
RING_BYTES = 512 * 1024 * 1024
"""The most memory that a ring takes."""

SAVING_S = 60.0
"""How long to wait for a recorder that ends and tells of no progress."""


@dataclass(frozen=True)
class ChildProcess:
    """A process and our end of its pipe."""

    process: BaseProcess
    pipe: Connection

    def told(self) -> list[Any]:
        """Return what it has sent, without waiting."""
        messages = []
        try:
            while has_message(self.pipe):
                messages.append(self.pipe.recv())
        except (EOFError, ConnectionError):
            return messages
        return messages

    def tell(self, message: object) -> None:
        """Send it a message; a dead process does not mind."""
        send_message(self.pipe, message)


class ProcessManager:
    """All processes of a stream. None is daemonic; all end with their parent."""

    def __init__(self, settings: Settings, zero_ns: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._spawn = spawn
        self._engine_wake, self._recorder_wake = spawn.Semaphore(0), spawn.Semaphore(0)
        self._guarded = spawn.Semaphore(0)
        self._others, self._presence = opened_pipe(duplex=False)
        self.outputs = dict(settings.outputs)
        self._last_edges: dict[str, Edge] = {}
        self._settled = False
        """Somebody has written the journal's last words."""
        self._run: Path | None = None
        self.journal = create_journal()
        self.cut_short = False
        """The engine had to be killed at the end: it was busy, perhaps loading."""
        self.saved_s = 0.0
        """When the recorder last said that it had written more."""
        self.rings: dict[str, Ring] = {}
        self.cameras = {
            name: self._start(
                f"camera {name}",
                CAMERA,
                (name, camera),
                (self._engine_wake if camera.analyse else None,),
            )
            for name, camera in settings.cameras.items()
        }
        self._start_engine(settings, zero_ns)
        links_of_recorder = self._recorder_wake, self.journal.spec, zero_ns
        self.recorder = self._start("recorder", RECORDER, (), links_of_recorder)
        self._presence.close()
        self.remain()

    def _start_engine(self, settings: Settings, zero_ns: int) -> None:
        """Start the engine and both guards; it opens its outputs when they watch."""
        heart, heart_in = opened_pipe(duplex=False)
        second_heart, second_in = opened_pipe(duplex=False)
        links = EngineLinks(
            guards=(heart_in, second_in),
            guarded=self._guarded,
            wake=self._engine_wake,
            listeners=(self._recorder_wake,),
            journal=self.journal.spec,
            zero_ns=zero_ns,
        )
        self.engine = self._start("engine", ENGINE, (settings,), (links,))
        to_guard = GuardLinks(
            self._guarded, self.journal.spec, (self._recorder_wake,), second_in
        )
        pid = self.engine.process.pid
        before = self.outputs, heart, pid
        self.guard = self._start("guard", GUARD, before, (to_guard,))
        pids = pid, self.guard.process.pid
        before_second = self.outputs, second_heart, pids, self._others
        to_second = replace(to_guard, second=None)
        self.second_guard = self._start(
            "second guard", SECOND_GUARD, before_second, (to_second,), False
        )
        for end in (heart, heart_in, second_heart, second_in, self._others):
            end.close()

    @property
    def members(self) -> list[ChildProcess]:
        """All processes."""
        guards = self.guard, self.second_guard
        return [*self.cameras.values(), self.engine, *guards, self.recorder]

    def take(self, entry: Entry) -> None:
        """Follow the journal: what was written to the outputs, and whether it is over."""
        if isinstance(entry, Edge):
            self._last_edges[entry.output] = entry
        elif isinstance(entry, Note) and entry.kind == LAST_NOTE:
            self._settled = True

    @property
    def left_on(self) -> list[str]:
        """Outputs to which nobody has written 0 at the end, so that they may still be on.

        Not those that go off by themselves when the engine ends.
        """
        return [
            name
            for name, edge in self._last_edges.items()
            if self.outputs[name].reopens
            and not (edge.level == 0 and edge.cause in LAST_CAUSES)
        ]

    def remain(self, run: Path | None = None) -> None:
        """Tell the second guard what would be left if all others were killed."""
        self._run = run or self._run
        rings = (ring.spec.memory for ring in self.rings.values())
        semaphores = self._engine_wake, self._recorder_wake, self._guarded
        self.second_guard.tell(
            SharedResources(
                (self.journal.spec.memory, *rings),
                names_of(*semaphores),
                self._run,
            )
        )

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
        self.remain()
        return self.rings[camera]

    def begin(self, posed: tuple[RingSpec, ...], cameras: Sequence[str]) -> None:
        """Let the engine and these cameras begin: every camera is armed by now."""
        self.tell_engine(posed)
        for name in cameras:
            self.cameras[name].tell(self.rings[name].spec)

    def dead(self) -> list[str]:
        """Return the names of the processes that are no longer alive."""
        return [m.process.name for m in self.members if not m.process.is_alive()]

    def ending(
        self,
        last_words: Callable[[], Sequence[object]],
        run: Path | None,
        hear: Callable[[object], object],
    ) -> Iterator[None]:
        """End all processes, outputs first; yield while waiting, then free all memory.

        The recorder is told the last words when everybody else has fallen silent; when it
        was killed, the events of the run are completed without it. `hear` gets what the main
        process has to say of outputs that it switched off itself.
        """
        self.tell_engine(None)
        yield from _until_ended([self.engine], 3.0, self._cut_short)
        for camera in self.cameras.values():
            camera.tell(None)
        yield from _until_ended([*self.cameras.values()], 3.0)
        yield from _until_ended([self.guard], 20.0)
        yield from self._outputs_off(hear)
        for words in last_words():
            self.tell_recorder(words)
        yield from _until_ended(
            [self.recorder], SAVING_S, progress=lambda: self.saved_s
        )
        if run is not None and self.recorder.process.exitcode:
            complete_events(run, JournalReader(self.journal).unrecorded())
        self.second_guard.tell(None)
        yield from _until_ended([self.second_guard], 20.0)
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

    def _outputs_off(self, hear: Callable[[object], object]) -> Iterator[None]:
        """Wait until engine or a guard has switched off; do it here if all are gone."""
        give_up_s = time.perf_counter() + TAKE_OVER_S
        second = self.second_guard.process
        yield  # what was written until now is read
        while not self._settled and second.is_alive():
            if time.perf_counter() > give_up_s:
                second.kill()
            wait([second.sentinel], timeout=0.01)
            yield
        yield
        if self._settled:
            return
        here = _Here(JournalWriter(self.journal), self._recorder_wake.release)
        what = "Engine and guards ended unexpectedly"
        acting = threading.Thread(
            target=switch_off, args=(self.outputs, what, MAIN, here), daemon=True
        )
        acting.start()
        while acting.is_alive():
            acting.join(0.01)
            yield
        for message in here.told:
            hear(message)
        yield

    def _cut_short(self) -> None:
        self.cut_short = True

    def _start(
        self,
        name: str,
        body: str,
        before: tuple[Any, ...],
        after: tuple[Any, ...],
        listed: bool = True,
    ) -> ChildProcess:
        """Spawn a process: `body` is called with before, its end of the pipe, after.

        The second guard waits for the end of all that are `listed`.
        """
        ours, theirs = opened_pipe()
        presence = self._presence if listed else None
        arguments = (presence, body, *before, theirs, *after)
        process = self._spawn.Process(target=run_body, name=name, args=arguments)
        with terminal_signals_held():
            process.start()
        theirs.close()
        return ChildProcess(process, ours)


class _Here:
    """Reports of the main process itself."""

    def __init__(self, journal: JournalWriter, wake: Callable[[], object]) -> None:
        self.told: list[object] = []
        self._journal, self._wake = journal, wake

    def tell(self, message: object) -> None:
        self.told.append(message)

    def write(self, entry: Edge | Note) -> None:
        with suppress(Exception):  # no trouble with the record keeps an output on
            self._journal.write(entry)
        self._wake()


def _until_ended(
    members: Sequence[ChildProcess],
    patience_s: float,
    killing: Callable[[], object] = lambda: None,
    progress: Callable[[], float] = lambda: 0.0,
) -> Iterator[None]:
    """Yield until they have ended; after `patience_s` kill those that have not.

    `killing` is called just before. `progress` says when they last got on (perf_counter):
    from then on there is as much time again.
    """
    give_up = time.perf_counter() + patience_s
    while running := [m for m in members if m.process.is_alive()]:
        if time.perf_counter() > max(give_up, progress() + patience_s):
            killing()
            for member in running:
                member.process.kill()
        wait([m.process.sentinel for m in running], timeout=0.01)
        yield


def _shared_memory_room() -> int | None:
    """Return the free bytes of shared memory; None where it has no limit of its own."""
    folder = Path("/dev/shm")
    return shutil.disk_usage(folder).free if folder.is_dir() else None
