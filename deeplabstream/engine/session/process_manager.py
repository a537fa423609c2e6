"""Process manager: starts and ends the processes of a stream and owns their shared memory."""

import multiprocessing
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import LAST_NOTE, Edge, Entry, Note
from deeplabstream.engine.processes.child_process import (
    EngineLinks,
    run_body,
    send_message,
)
from deeplabstream.engine.processes.guard import HANG_S, GuardLinks, switch_off
from deeplabstream.engine.processes.real_time import leave_core_to_engine, use_cores
from deeplabstream.engine.processes.second_guard import names_of
from deeplabstream.engine.processes.termination import terminal_signals_held
from deeplabstream.engine.session import messages
from deeplabstream.ipc.forked_children import close_in_forked_children
from deeplabstream.ipc.journal import (
    Journal,
    JournalReader,
    JournalWriter,
    create_journal,
)
from deeplabstream.ipc.pipe import Connection, has_message, opened_pipe, receive
from deeplabstream.ipc.ring import FrameRing, RingSpec, create_ring
from deeplabstream.ipc.semaphore import opened_semaphore
from deeplabstream.ipc.shared_memory_cleanup import remove_abandoned
from deeplabstream.ipc.stop_link import StopLink
from deeplabstream.ipc.watched_thread import watched_thread
from deeplabstream.recording.journal_recovery import complete_events
from deeplabstream.settings.loading import Settings

_PROCESSES = "deeplabstream.engine.processes"
CAMERA = f"{_PROCESSES}.camera_process:camera_main"
ENGINE = f"{_PROCESSES}.engine_process:engine_main"
PLATE = f"{_PROCESSES}.plate_process:plate_main"
GUARD = f"{_PROCESSES}.guard:guard_main"
RECORDER = f"{_PROCESSES}.recorder_process:recorder_main"
SECOND_GUARD = f"{_PROCESSES}.second_guard:second_guard_main"
"""Functions that child processes run, by name, because the main process does not import them."""

RING_S = 2.0
"""Length of a ring in seconds of frames."""
TAKE_OVER_S = 20.0
"""Time for a guard that acts to switch off and end; after it the main process acts."""
GUARD_S, SECOND_GUARD_S = 2.0, 1.0
"""Times for the guards to begin to act when the engine has ended and an output may be on."""
SILENT_S = 4.0
"""An engine without a heartbeat for this long is ended, with guards that have not acted."""
POLLED_S = 1.0
"""A longer pause between two polls, in which this process was blocked, is not silence."""
MAIN = "main process"
LAST_CAUSES = frozenset({"close", "guard", "second guard", MAIN})
"""Causes of the edges that switch outputs off at the end of a stream."""
RING_BYTES = 512 * 1024 * 1024
"""Upper limit of the size of a ring."""
PLATE_AGAIN_S = 20.0
"""Least time from a start of the plate process to the next one: one that can't work must not take
a core with its starts."""
LEAST_SLOTS = 8
"""Frames that a ring must hold."""
LARGER = (
    "Make it larger: sudo mount -o remount,size=2G /dev/shm, or in a container docker run "
    "--shm-size=2g"
)

ENGINE_S = CAMERAS_S = 3.0
"""Times to wait for the engine, and for the cameras, to end."""
SAVING_S = 60.0
"""Time to wait for a recorder that is ending and reports no progress."""


@dataclass(frozen=True)
class ChildProcess:
    """A child process and the main process's end of its pipe."""

    process: BaseProcess
    pipe: Connection

    def received(self) -> list[object]:
        """Return the messages that have arrived, without waiting."""
        received = []
        while has_message(self.pipe) and (message := receive(self.pipe)) is not None:
            received.append(message)
        return received

    def send(
        self,
        message: messages.ToCamera
        | messages.ToEngine
        | messages.ToRecorder
        | messages.ToSecondGuard,
    ) -> None:
        """Send a message; ignored if the process has exited."""
        send_message(self.pipe, message)


def _release(child: ChildProcess) -> None:
    """Free what belongs to a process that has ended, or ends now."""
    child.pipe.close()
    child.process.join()
    child.process.close()


class ProcessManager:
    """All processes of a stream. None is daemonic; all end with their parent."""

    plate_watch: ChildProcess | None = None
    """Process that looks for the markers of the plate; None: the arenas have none, or it has
    ended and is started again later."""
    _plate_pipe: Connection | None = None
    """The plate process's end of its pipe to the engine; None: the arenas have no markers."""
    _plate_started_ns = 0

    def __init__(self, settings: Settings, zero_ns: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._spawn = spawn
        self._engine_wake, self._recorder_wake = opened_semaphore(), opened_semaphore()
        self._guarded = opened_semaphore()
        self._others, self._presence = opened_pipe(duplex=False)
        self.outputs = dict(settings.outputs)
        self._last_edges: dict[str, Edge] = {}
        self._settled = False
        """Whether the last entry of the journal was written."""
        self._run: Path | None = None
        remove_abandoned()
        try:
            self.journal = create_journal()
        except OSError as error:
            raise DeviceError(
                f"There is no shared memory for the record: {error.strerror}. {LARGER}"
            ) from error
        self.journal_reader = JournalReader(self.journal, from_start=True)
        """Reads from the start: the engine may open its outputs before the first reading."""
        self.cut_short = False
        """Whether the engine was killed at the end because it was busy, for example loading."""
        self.taken_over = False
        """Whether a guard has reported that it acts."""
        self.known_stops = 0
        """Stop requests that the session knows: see `RunExperiment.stops`."""
        self._polled_ns = self._watched_ns = 0
        self.saved_s = 0.0
        """Time of the recorder's last report of progress."""
        self.rings: dict[str, FrameRing] = {}

        # The recorder may start last: the journal keeps all entries until it reads them.
        self.cameras = {
            name: self._start(
                f"camera {name}",
                CAMERA,
                (name, camera),
                (
                    self._engine_wake if camera.analyse else None,
                    settings.streaming.real_time,
                ),
            )
            for name, camera in settings.cameras.items()
        }
        self._start_engine(settings, zero_ns)
        links_of_recorder = self._recorder_wake, self.journal.spec, zero_ns
        self.recorder = self._start("recorder", RECORDER, (), links_of_recorder)

        # Only children hold it from now on: the second guard detects its end when all
        # have ended.
        self._presence.close()
        # after the children have started, which would inherit the restriction
        self._cores = leave_core_to_engine()
        self.announce_resources()

    def _start_engine(self, settings: Settings, zero_ns: int) -> None:
        """Start the engine and both guards; it opens its outputs when both are ready."""
        heart, heart_in = opened_pipe(duplex=False)
        of_engine, of_watch = opened_pipe()
        second_heart, second_in = opened_pipe(duplex=False)
        links = EngineLinks(
            guards=(heart_in, second_in),
            guarded=self._guarded,
            wake=self._engine_wake,
            listeners=(self._recorder_wake,),
            journal=self.journal.spec,
            zero_ns=zero_ns,
            plate=of_engine if settings.plate.markers else None,
        )
        self.engine = self._start("engine", ENGINE, (settings,), (links,))

        to_guard = GuardLinks(
            self._guarded,
            self.journal.spec,
            (self._recorder_wake,),
            second_in,
            settings.streaming.real_time,
        )
        pid = self.engine.process.pid
        before = self.outputs, heart, pid
        self.guard = self._start("guard", GUARD, before, (to_guard,))

        if settings.plate.markers:
            self._plate_pipe = of_watch
            self._start_plate_watch()

        # The second guard is not on the list of processes whose end it waits for.
        pids = pid, self.guard.process.pid
        before_second = self.outputs, second_heart, pids, self._others
        to_second = replace(to_guard, second=None)
        self.second_guard = self._start(
            "second guard", SECOND_GUARD, before_second, (to_second,), False
        )

        # A guard, and the plate watch, detect the end of the engine by the end of its pipe, so
        # no other process may hold one.
        pipes = heart, heart_in, second_heart, second_in, of_engine
        for end in (*pipes, self._others):
            end.close()
        if self._plate_pipe is None:
            of_watch.close()

    def _start_plate_watch(self) -> None:
        """Start the plate process; its end of the pipe stays here for the next one."""
        # not listed: the second guard need not wait for it, as it changes nothing
        links = (self._plate_pipe,)
        self.plate_watch = self._start("plate watch", PLATE, (), links, False)
        self._plate_started_ns = SystemClock().now_ns()

    def keep_plate_watch(self, now_ns: int) -> str:
        """Start the plate process again if it has ended; call it at each poll.

        Return a sentence for an alarm when it has ended; empty: it has not. Until it looks again,
        the arenas become unknown: see `engine.plate_watch`.
        """
        text, child = "", self.plate_watch
        if child is not None and not child.process.is_alive():
            text = (
                f"The process '{child.process.name}' ended unexpectedly"
                f"{end_cause(child.process)}: the plate is not looked for until it has "
                "started again"
            )
            _release(child)
            self.plate_watch = None

        waits = now_ns - self._plate_started_ns < PLATE_AGAIN_S * 1e9
        if self._plate_pipe is not None and self.plate_watch is None and not waits:
            self._start_plate_watch()
        return text

    @property
    def children(self) -> list[ChildProcess]:
        """All processes."""
        guards = self.guard, self.second_guard
        children = [*self.cameras.values(), self.engine, *guards, self.recorder]
        # last: it ends with the engine, whose end is the cause that is reported
        return [*children, *filter(None, [self.plate_watch])]

    def take(self, entry: Entry) -> None:
        """Take the last edges of the outputs, and the journal's end, from an entry."""
        if isinstance(entry, Edge):
            self._last_edges[entry.output] = entry
        elif isinstance(entry, Note) and entry.kind == LAST_NOTE:
            self._settled = True

    @property
    def left_on(self) -> list[str]:
        """Outputs that may still be on: no process has written 0 at the end.

        Outputs that go off by themselves when the engine ends are not among them.
        """
        return [
            name
            for name, edge in self._last_edges.items()
            if self.outputs[name].reopens
            and not (edge.level == 0 and edge.cause in LAST_CAUSES)
        ]

    def announce_resources(self, run: Path | None = None) -> None:
        """Send the names of shared resources to the second guard, which removes them."""
        self._run = run or self._run
        rings = (ring.spec.memory for ring in self.rings.values())
        semaphores = self._engine_wake, self._recorder_wake, self._guarded
        self.second_guard.send(
            messages.SharedResources(
                (self.journal.spec.memory, *rings),
                names_of(*semaphores),
                self._run,
            )
        )

    def send_engine(self, message: messages.ToEngine) -> None:
        """Send the engine a message and wake it."""
        self.engine.send(message)
        self._engine_wake.release()

    @property
    def stop_link(self) -> StopLink:
        """Link by which another process ends the experiment."""
        return StopLink(self.journal.spec, self._engine_wake)

    def stop_requested(self) -> bool:
        """Return whether the experiment was ended by `stop_link` since the last call."""
        known, self.known_stops = self.known_stops, self.journal.stops
        return self.known_stops != known

    def send_recorder(self, message: messages.ToRecorder) -> None:
        """Send the recorder a message and wake it."""
        self.recorder.send(message)
        self._recorder_wake.release()

    def add_ring(self, camera: str, form: ImageFormat) -> FrameRing:
        """Make the ring of a camera that has opened; remove the one it had before.

        Each camera without a ring gets the same share of the free shared memory.
        """
        before = self.rings.pop(camera, None)
        if before is not None:
            before.close()
            before.unlink()

        slots = max(LEAST_SLOTS, round((form.rate or 30) * RING_S))
        slots = min(slots, RING_BYTES // form.nbytes)

        # Divided in advance: the first cameras must not take the memory of the others. A tenth
        # stays free for other programs.
        room = _shared_memory_room()
        if room is not None:
            without = len(self.cameras) - len(self.rings)
            slots = min(slots, int(0.9 * room) // max(1, without) // form.nbytes)
            if slots < LEAST_SLOTS:
                needed = without * LEAST_SLOTS * form.nbytes / 0.9
                raise DeviceError(
                    f"[Camera {camera}] there is no room in shared memory for its frames "
                    f"({form}): {room / 1e6:.0f} MB are free in /dev/shm, at least "
                    f"{needed / 1e6:.0f} MB are needed. {LARGER}"
                )

        try:
            self.rings[camera] = create_ring(camera, form, slots)
        except OSError as error:
            raise DeviceError(
                f"[Camera {camera}] there is no memory for its frames ({form}): "
                f"{error.strerror}"
            ) from error
        self.announce_resources()
        return self.rings[camera]

    def ring_remarks(self, camera: str) -> Iterator[str]:
        """Yield a sentence if a ring is much shorter than `RING_S`."""
        spec = self.rings[camera].spec
        seconds = spec.slots / (spec.format.rate or 30)
        limited = spec.slots < RING_BYTES // spec.format.nbytes
        if limited and _shared_memory_room() is not None and seconds < RING_S / 2:
            yield (
                f"shared memory holds {spec.slots} of its frames ({seconds:.1f} s): if the "
                f"disk is busy for longer, frames are lost to the video. {LARGER}"
            )

    def begin(self, analysed: tuple[RingSpec, ...], cameras: Sequence[str]) -> None:
        """Start the engine's reading and these cameras' writing."""
        # the engine first, so that it misses as few of the first frames as possible
        self.send_engine(messages.AttachRings(analysed))
        start_ns = SystemClock().now_ns() if len(cameras) > 1 else None
        for name in cameras:
            fill = messages.FillRing(self.rings[name].spec, start_ns)
            self.cameras[name].send(fill)

    def ended_early(self) -> list[str]:
        """Return which processes are no longer alive, each as part of a sentence.

        Not the plate process, without which the others go on: see `keep_plate_watch`.
        """
        needed = [c for c in self.children if c is not self.plate_watch]
        ended = [c.process for c in needed if not c.process.is_alive()]
        return [f"'{p.name}' ended unexpectedly{end_cause(p)}" for p in ended]

    def end_silent_engine(self, now_ns: int) -> str:
        """End an engine that hangs while an output may be on, and guards that do not act.

        Return a sentence for an alarm; empty: nothing was done. Call it at each poll.
        """
        if now_ns - self._polled_ns > POLLED_S * 1e9:
            self._watched_ns = now_ns
        self._polled_ns = now_ns

        heartbeat_ns = self.journal.heartbeat_ns
        silent_ns = now_ns - max(heartbeat_ns, self._watched_ns)
        if not heartbeat_ns or silent_ns <= SILENT_S * 1e9:
            return ""
        if self.taken_over or not self.left_on or not self.engine.process.is_alive():
            return ""

        for child in (self.guard, self.second_guard, self.engine):
            child.process.kill()
        return (
            f"The engine did not answer for {SILENT_S:g} s and no guard acted: the {MAIN} "
            "switches the outputs off"
        )

    def ending(
        self,
        last_messages: Callable[[], Sequence[messages.ToRecorder]],
        handle: Callable[[object], object],
        remotes: Iterator[None],
    ) -> Iterator[None]:
        """End all processes, outputs first; yield while waiting, then free all memory.

        The recorder gets its last messages when all other processes have ended; if it was
        killed, the events of the run are completed without it. `handle` gets the reports
        about outputs that the main process switched off itself. `remotes` waits for other
        recorders. An error of the system in one part is reported; the others are done.
        An engine that such an error has left running is killed: the guard switches off.
        """
        # Outputs before recorders: what happens at the end must still be recorded. The second
        # guard last: it acts for all others.
        for part in (
            self._engine_ending(),
            self._guard_ending(),
            self._outputs_off(handle),
            self._cameras_ending(),
            remotes,
            self._recorder_ending(last_messages),
            self._second_guard_ending(),
        ):
            try:
                yield from part
            except OSError as error:
                text = f"An error at the end of the stream: {error}"
                handle(messages.ProblemReport(text, grave=False))
                if self.engine.process.is_alive():
                    self.engine.process.kill()
        yield
        self._free(handle)

    def _engine_ending(self) -> Iterator[None]:
        self.send_engine(messages.Stop())
        yield from _until_ended([self.engine], ENGINE_S, self._cut_short)

    def _guard_ending(self) -> Iterator[None]:
        for camera in self.cameras.values():
            camera.send(messages.Stop())
        # it ends after a goodbye, or when it has switched the outputs off
        yield from self._waiting_for(self.guard, GUARD_S)

    def _waiting_for(
        self,
        guard: ChildProcess,
        silent_s: float,
        done: Callable[[], bool] | None = None,
    ) -> Iterator[None]:
        """Yield until a guard has ended or it is `done`; kill a guard that takes too long.

        That is `silent_s` while an output may be on and no guard has reported that it acts.
        """
        began_s = time.perf_counter()
        while guard.process.is_alive() and not (done and done()):
            silent = self.left_on and not self.taken_over
            if time.perf_counter() - began_s > (silent_s if silent else TAKE_OVER_S):
                guard.process.kill()
            wait([guard.process.sentinel], timeout=0.01)
            # the session reads messages and journal: `taken_over`, `_settled` may change
            yield

    def _cameras_ending(self) -> Iterator[None]:
        yield from _until_ended([*self.cameras.values()], CAMERAS_S)

    def _recorder_ending(
        self, last_messages: Callable[[], Sequence[messages.ToRecorder]]
    ) -> Iterator[None]:
        for message in last_messages():
            self.send_recorder(message)
        yield from _until_ended(
            [self.recorder], SAVING_S, progress=lambda: self.saved_s
        )

        # a recorder that was killed: its last entries are still in the journal
        if self._run is not None and self.recorder.process.exitcode:
            complete_events(self._run, JournalReader(self.journal).unrecorded())

    def _second_guard_ending(self) -> Iterator[None]:
        self.second_guard.send(messages.Stop())
        yield from _until_ended([self.second_guard], TAKE_OVER_S)

    def _free(self, handle: Callable[[object], object]) -> None:
        """Close all pipes and memory; a process that an error has left running is killed."""
        for child in self.children:
            if child.process.is_alive():
                child.process.kill()
            _release(child)
        if self._plate_pipe is not None:
            self._plate_pipe.close()

        # after the processes, so that none uses the memory
        blocks: list[FrameRing | Journal] = [*self.rings.values(), self.journal]
        for memory in blocks:
            memory.close()
            try:
                memory.unlink()
            except OSError as error:
                text = f"Shared memory could not be removed: {error}"
                handle(messages.ProblemReport(text, grave=False))
        use_cores(self._cores)

    def _outputs_off(self, handle: Callable[[object], object]) -> Iterator[None]:
        """Wait until engine or a guard has switched off; do it here if all have ended."""
        yield
        yield from self._waiting_for(
            self.second_guard, SECOND_GUARD_S, lambda: self._settled
        )
        yield
        if self._settled:
            return

        # In a thread: opening an output may block, and the window must stay responsive.
        here = _MainReport(JournalWriter(self.journal), self._recorder_wake.release)
        what = "Engine and guards ended unexpectedly"

        def failed(text: str) -> None:
            text = f"The {MAIN} could not switch the outputs off: {text}"
            here.send(messages.ProblemReport(f"{text}; they may still be on"))

        acting = watched_thread(
            lambda: switch_off(self.outputs, what, MAIN, here), "switch off", failed
        )
        while acting.is_alive():
            acting.join(0.01)
            here.hand_over(handle)
            yield
        here.hand_over(handle)
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
        """Spawn a process that runs `body(*before, its end of the pipe, *after)`.

        The second guard waits for the end of all that are `listed`.
        """
        ours, theirs = opened_pipe()
        presence = self._presence if listed else None
        arguments = (presence, body, *before, theirs, *after)
        process = self._spawn.Process(target=run_body, name=name, args=arguments)
        with terminal_signals_held():
            process.start()

        # so that `ours` ends when the child does: this process holds no copy of its end
        theirs.close()
        # nor may one that the user's script forks: it would hide the end of this process
        close_in_forked_children(ours)
        return ChildProcess(process, ours)


class _MainReport:
    """Reports of the main process itself."""

    def __init__(self, journal: JournalWriter, wake: Callable[[], object]) -> None:
        self._reports: deque[messages.GuardReport] = deque()
        self._journal, self._wake = journal, wake

    def send(self, message: messages.GuardReport) -> None:
        self._reports.append(message)

    def hand_over(self, handle: Callable[[object], object]) -> None:
        """Handle the reports so far, in the thread of the session."""
        while self._reports:
            handle(self._reports.popleft())

    def write(self, entry: Edge | Note) -> None:
        # an error while recording must not keep an output on
        with suppress(Exception):
            self._journal.write(entry)
        self._wake()


_FIRST_WINDOWS_ERROR = 0xC0000000
_WINDOWS_ERRORS = {
    0xC0000005: ", access violation",
    0xC0000017: "; did the computer run out of memory?",
    0xC00000FD: ", stack overflow",
    0xC0000135: ", a DLL is missing",
}


def end_cause(process: BaseProcess) -> str:
    """Return the signal, or error of Windows, that ended a process: the end of a sentence."""
    number = -(process.exitcode or 0)
    if -number >= _FIRST_WINDOWS_ERROR:
        meaning = _WINDOWS_ERRORS.get(-number, "")
        return f" (Windows error 0x{-number:08X}{meaning})"
    if number not in {known.value for known in signal.Signals}:
        return ""

    # Linux sends SIGKILL when memory runs out; a guard kills an engine that hangs
    cause = ""
    if number == 9:
        cause = "; did the computer run out of memory?"
        if process.name == "engine":
            cause = (
                f"; did a trigger or experiment take more than {HANG_S:g} s for a frame, "
                "such as a loop without end, or did the computer run out of memory?"
            )
    return f" (killed by {signal.Signals(number).name}{cause})"


def _until_ended(
    children: Sequence[ChildProcess],
    patience_s: float,
    killing: Callable[[], object] = lambda: None,
    progress: Callable[[], float] = lambda: 0.0,
) -> Iterator[None]:
    """Yield until they have ended; after `patience_s` kill those that have not.

    `killing` is called just before. `progress` returns the time of their last progress
    (perf_counter); the patience starts again from there.
    """
    give_up = time.perf_counter() + patience_s
    while running := [c for c in children if c.process.is_alive()]:
        if time.perf_counter() > max(give_up, progress() + patience_s):
            killing()
            for child in running:
                child.process.kill()
        wait([c.process.sentinel for c in running], timeout=0.01)
        yield


def _shared_memory_room() -> int | None:
    """Return the free bytes of shared memory; None where it has no limit of its own."""
    folder = Path("/dev/shm")
    return shutil.disk_usage(folder).free if folder.is_dir() else None
