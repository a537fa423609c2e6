"""Remote links of a session: listens to controls, and calls other recorders in threads.

Nothing here runs in the engine's process, and nothing waits: a slow or silent remote
delays neither the loop nor the outputs.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal, TypeAlias

from deeplabstream.core.errors import DeepLabStreamError, error_context
from deeplabstream.core.journal_entries import Note, Sensed
from deeplabstream.plugins.remote import (
    ControlEvent,
    InputControl,
    Remote,
    RemoteCommand,
    RemoteControl,
    RemoteEnded,
    RemoteLost,
    RemoteRecorder,
)

CHECK_S = 2.0
"""Interval between checks of recorders that record with this rig."""
IDLE_CHECK_S = 10.0
"""Interval between checks of the other recorders."""

Request: TypeAlias = Literal["check", "start", "stop"]


@dataclass(frozen=True, slots=True)
class RecorderAnswer:
    """Answer of a recorder, or the reason why it is missing."""

    name: str
    request: Request
    text: str
    good: bool
    recording: bool
    """It records on behalf of this rig."""
    requested: bool = True
    """False: a regular check of its thread, not a request of the session."""


RemoteEvent: TypeAlias = ControlEvent | RecorderAnswer


class RemoteLinks:
    """The remotes of a stream, from Start Stream to its end."""

    def __init__(self, remotes: Mapping[str, Remote]) -> None:
        self._controls = {
            name: remote
            for name, remote in remotes.items()
            if isinstance(remote, RemoteControl)
        }
        self._recorders = {
            name: _RecorderThread(name, remote, self._answered)
            for name, remote in remotes.items()
            if isinstance(remote, RemoteRecorder)
        }
        self._events: queue.Queue[tuple[str, RemoteEvent]] = queue.Queue()
        self._awaited: dict[str, list[Request]] = {name: [] for name in self._recorders}
        self._levels: dict[str, bool] = {}
        """Last known levels of inputs."""
        self._open = ExitStack()
        self.broken: dict[str, str] = {}
        """Why a control does not listen, by name."""
        self._records = self._waits_for_name = self._closed = False

    def open(self) -> None:
        """Listen, and check every recorder."""
        for name, control in self._controls.items():

            def receive(event: ControlEvent, name: str = name) -> None:
                self._events.put((name, event))
                # it may arrive between `close` and the end of its thread
                if self._closed:
                    self._refuse_commands()

            try:
                with error_context(f"Remote {name}"):
                    self._open.enter_context(control.listening(receive))
            except DeepLabStreamError as error:
                self.broken[name] = str(error)
        for thread in self._recorders.values():
            thread.start()

    def close(self) -> None:
        """Stop listening; the threads of recorders end after their last request."""
        self._closed = True
        # their senders wait for an answer
        self._refuse_commands()
        self._open.close()
        for thread in self._recorders.values():
            thread.requests.put(None)

    def _refuse_commands(self) -> None:
        for _, event in self.events():
            if isinstance(event, RemoteCommand):
                event.answer("error: the stream has ended")

    def events(self) -> Iterator[tuple[str, RemoteEvent]]:
        """Yield the events since the last call, each with the name of its remote."""
        while True:
            try:
                name, event = self._events.get_nowait()
            except queue.Empty:
                return
            if isinstance(event, RecorderAnswer) and event.requested:
                self._awaited[name].remove(event.request)
            if isinstance(event, RemoteEnded):
                self.broken[name] = f"[Remote {name}] {event.text}"
            yield name, event

    def receive(self, entry: Sensed | Note) -> None:
        """Turn the change of an input into a command, or its loss into an event."""
        for name, control in self._controls.items():
            if not isinstance(control, InputControl):
                continue
            title = f"[Input {control.input}] "
            if isinstance(entry, Note):
                if entry.kind == "error" and entry.text.startswith(title):
                    self._events.put((name, RemoteLost(entry.text)))
            elif entry.input == control.input:
                was = self._levels.get(entry.input, False)
                if command := control.command_of(entry, was):
                    self._events.put((name, command))
        if isinstance(entry, Sensed):
            self._levels[entry.input] = entry.active

    def check(self) -> None:
        """Check whether every recorder answers."""
        for name in self._recorders:
            self._request(name, ("check", ""))

    def follow(self, records: bool, run: str) -> None:
        """Start and stop the recorders with the rig; call it regularly.

        They start as soon as the run folder has a name.
        """
        self._waits_for_name = records and not run and bool(self._recorders)
        if records == self._records or (records and not run):
            return
        self._records = records
        for name in self._recorders:
            self._request(name, ("start", run) if records else ("stop", ""))

    @property
    def awaited(self) -> tuple[str, ...]:
        """Recorders that have not answered a request yet."""
        return tuple(name for name, requests in self._awaited.items() if requests)

    @property
    def starting(self) -> bool:
        """Whether a recorder was requested to start and has not answered."""
        return self._waits_for_name or any(
            "start" in requests for requests in self._awaited.values()
        )

    @property
    def longest_s(self) -> float:
        """Time after which each start and stop has been answered or has failed."""
        times = [thread.recorder.timeout_s for thread in self._recorders.values()]
        return 4 * max(times, default=0.0)

    def _request(self, name: str, request: tuple[Request, str]) -> None:
        self._awaited[name].append(request[0])
        self._recorders[name].requests.put(request)

    def _answered(self, answer: RecorderAnswer) -> None:
        self._events.put((answer.name, answer))


class _RecorderThread(threading.Thread):
    """Calls one recorder, one request after the other."""

    def __init__(
        self,
        name: str,
        recorder: RemoteRecorder,
        answered: Callable[[RecorderAnswer], object],
    ) -> None:
        super().__init__(name=f"remote {name}", daemon=True)
        self.recorder = recorder
        self.requests: queue.Queue[tuple[Request, str] | None] = queue.Queue()
        self._remote, self._answered = name, answered
        self._recording = False
        self._last: tuple[str, bool] | None = None

    def run(self) -> None:
        """Carry out requests; between them check the recorder regularly."""
        self._call("check", "", requested=False)
        while True:
            try:
                interval_s = CHECK_S if self._recording else IDLE_CHECK_S
                request = self.requests.get(timeout=interval_s)
            except queue.Empty:
                self._call("check", "", requested=False)
                continue
            if request is None:
                return
            self._call(*request, requested=True)

    def _call(self, request: Request, run: str, requested: bool) -> None:
        """Carry out a request and answer; a check of its own reports only changes."""
        recorder, good = self.recorder, True
        try:
            with error_context(f"Remote {self._remote}"):
                if request == "start":
                    text = recorder.start(run)
                    self._recording = True
                elif request == "stop" and not self._recording:
                    text = "had not been started"
                elif request == "stop":
                    self._recording = False
                    text = recorder.stop()
                else:
                    text = recorder.check(self._recording)
            text = f"[Remote {self._remote}] {text}"
        except DeepLabStreamError as error:
            good, text = False, str(error)

        # Regular checks report changes only. After a start or stop the next check is reported
        # in any case: `_last` is None then.
        if requested or (text, good) != self._last:
            self._answered(
                RecorderAnswer(
                    self._remote, request, text, good, self._recording, requested
                )
            )
        self._last = (text, good) if request == "check" else None
