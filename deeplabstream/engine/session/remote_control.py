"""Remote control: starts and stops by remotes, and other recorders that follow the rig."""

import math
from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter, sleep
from typing import Any, Protocol

from deeplabstream.core.clock import SystemClock, asleep_ns
from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.session.experiment_start import ExperimentStart
from deeplabstream.engine.session.remote_links import RecorderAnswer, RemoteLinks
from deeplabstream.engine.session.session_state import (
    Action,
    RemoteAnswered,
    Requested,
    SessionState,
)
from deeplabstream.plugins.remote import (
    InputControl,
    RemoteAlarm,
    RemoteCommand,
    RemoteControl,
    RemoteEnded,
    RemoteLost,
    RemoteRecorder,
)
from deeplabstream.settings.loading import Settings

START_WITHIN_S = 5.0
"""Age from which a remote's start is refused, because its sender has got the answer "busy"."""
AFTER_PAUSE_S = 1.0
"""Time after a pause in which no start is accepted: it may have waited in a socket, and the
listener gives it the time at which it was read."""


class ControlledSession(Protocol):
    """The part of a session that remotes act on."""

    settings: Settings
    state: SessionState
    experiment_start: ExperimentStart
    recording_for_experiment: bool

    def update_state(self, **changed: Any) -> None:
        """Replace fields of the state."""
        ...

    def request(self, action: Action) -> None:
        """Perform an allowed action."""
        ...

    def perform_if_allowed(self, action: Action) -> None:
        """Perform an action, or report why it is not possible."""
        ...

    def why_not(self, action: Action) -> str:
        """Return why an action must wait; empty: it may start."""
        ...

    def cancel_experiment(self, why: str) -> None:
        """Discard the requested experiment."""
        ...

    def alarm(self, text: str, grave: bool = True) -> None:
        """Report a problem."""
        ...

    def note(self, kind: str, text: str) -> None:
        """Report and record a note."""
        ...

    def write_note(self, note: Note) -> None:
        """Report and record a note with its time."""
        ...


class RemoteController:
    """Carries out commands of remotes on a session, and reports the answers of recorders."""

    def __init__(self, session: ControlledSession) -> None:
        self._session = session
        self.links = RemoteLinks(session.settings.remotes)
        self._rearm = False
        """Whether the rig is armed again after the experiment or recording of a remote."""
        self._next_is_stop: set[str] = set()
        """Remotes with alternating starts and stops whose next activation is a stop."""
        self._started_from = ""
        """Sender of the last start by a remote."""
        self._polled_s = math.inf
        """Time of the last poll, with the time for which the computer was suspended."""
        self._resumed_s = -math.inf
        """Time of the last poll that came more than `START_WITHIN_S` after the one before."""

    # --- actions of the user

    def user_action(self, action: Action) -> None:
        """Update arming and the list of requests before an action of the user is carried out."""
        session = self._session
        self._rearm = self._rearm and action not in _TAKING_OVER
        if action in _LISTED and session.settings.remotes:
            now_ns = SystemClock().now_ns()
            self._list(Requested("", action.value, "requested", now_ns, "user"))
        if action is Action.START_EXPERIMENT:
            self._update(armed=False)
        if action is Action.ARM:
            self._next_is_stop.clear()
        if action in BEGINNINGS and session.state.idle:
            self._update(started_by="")

    def take_over(self) -> None:
        """Disable automatic re-arming, because the user has switched the outputs off."""
        self._rearm = False

    def notice_pause(self) -> None:
        """Detect that program or computer was suspended or blocked since the last poll."""
        # on some systems perf_counter stops during suspension, so the time of
        # suspension is added
        before_s, self._polled_s = self._polled_s, perf_counter() + asleep_ns() / 1e9
        if self._polled_s - before_s > START_WITHIN_S:
            self._resumed_s = perf_counter()

    # --- requests and answers of remotes

    def poll(self) -> None:
        """Handle commands, losses and answers; start and stop recorders with the rig."""
        for name, event in self.links.events():
            match event:
                case RemoteCommand():
                    self._act_on_command(name, event)
                case RemoteLost():
                    self._act_on_loss(name, event)
                case RemoteEnded(text):
                    self._act_on_end(name, text)
                case RemoteAlarm(text):
                    session = self._session
                    session.note("remote", f"[Remote {name}] {text}")
                    session.alarm(f"[Remote {name}] {text}", grave=False)
                case RecorderAnswer():
                    self._act_on_answer(event)
        self.update_recorders()

    def rearm_if_over(self) -> None:
        """Arm the rig again after the experiment or recording of a remote (REARM = yes)."""
        session = self._session
        if self._rearm and session.state.remote_over:
            self._rearm = False
            # an alarm needs a user, who arms the rig then
            if not session.state.alarms and Action.ARM in session.state.allowed:
                session.perform_if_allowed(Action.ARM)

    def update_recorders(self) -> None:
        """Start and stop other recorders with the rig."""
        state = self._session.state
        begins = (
            state.experiment_starting
            and self._session.experiment_start.recorders_may_start
        )
        records = state.recording or state.recording_starting
        folder = state.run_folder
        self.links.follow(
            records or begins or state.experimenting, folder.name if folder else ""
        )

    def ending(self) -> Iterator[None]:
        """Wait until recorders have stopped; called when all outputs are off."""
        give_up_s = perf_counter() + self.links.longest_s
        while self.links.awaited and perf_counter() < give_up_s:
            self.poll()
            sleep(0.01)
            yield
        for name in self.links.awaited:
            self._session.alarm(
                f"[Remote {name}] does not answer; it may still record: stop it there"
            )

    def _act_on_command(self, name: str, command: RemoteCommand) -> None:
        if command.command == "status":
            command.answer(f"ok {self._session.state.doing}")
            return

        command = self._alternated(name, command)
        if command.command == "start":
            result = self._start(name, command)
        else:
            stopped = self._stop()
            result = f"ok {stopped} stopped" if stopped else "ok nothing ran"
        # answered before it is recorded: the sender waits, and may time out
        command.answer(result)

        arguments = f" ({command.arguments})" if command.arguments else ""
        source = f" from {command.sender}" if command.sender else ""
        text = f"[Remote {name}] {command.command}{source}{arguments}: {result}"
        self._session.write_note(Note("remote", text, command.time_ns))
        self._list(
            Requested(
                name,
                command.command,
                result,
                command.time_ns,
                command.sender,
                command.arguments,
            )
        )

    def _alternated(self, name: str, command: RemoteCommand) -> RemoteCommand:
        """Convert a start to a stop if the control alternates and the last was a start."""
        control = self._session.settings.remotes[name]
        if not isinstance(control, InputControl) or not control.alternates:
            return command
        if name in self._next_is_stop:
            self._next_is_stop.remove(name)
            return replace(command, command="stop")
        # also if the start is refused: its sender alternates between start and stop
        # anyway
        self._next_is_stop.add(name)
        return command

    def _start(self, name: str, command: RemoteCommand) -> str:
        """Start experiment or recording on behalf of a remote; return the answer to it."""
        session = self._session
        control = session.settings.remotes[name]
        if not isinstance(control, RemoteControl) or not session.state.armed:
            return "error: the rig is not armed"

        # An old start is dangerous: the user may be at the animal by now.
        if (age_s := perf_counter() - command.time_ns / 1e9) > START_WITHIN_S:
            return f"error: the start was sent {age_s:.1f} s ago: too late"
        # only of commands from sockets: the times of inputs are measured by their device
        from_socket = not isinstance(control, InputControl)
        if from_socket and perf_counter() - self._resumed_s < AFTER_PAUSE_S:
            return "error: the rig was busy or suspended; the start may be old: send it again"

        experiment = control.starts == "experiment"
        action = Action.START_EXPERIMENT if experiment else Action.START_RECORDING
        if action not in session.state.allowed:
            return f"error: not possible now ({session.state.doing})"
        if why := session.why_not(action):
            return f"error: {why}"

        # one arming is one start, also if the start is refused later
        self._update(armed=False)
        self._update(started_by=name)
        self._rearm, self._started_from = control.rearm, command.sender
        session.request(action)

        state = session.state
        if experiment:
            begins = state.experimenting or state.experiment_starting
        else:
            begins = state.recording or state.recording_starting
        if not begins:
            return f"error: {control.starts} was refused; see the messages of the rig"
        return f"ok {control.starts} starts"

    def _stop(self) -> str:
        """Stop experiment and recording; return what ran, or an empty text."""
        session, stopped = self._session, []
        if Action.STOP_EXPERIMENT in session.state.allowed:
            session.request(Action.STOP_EXPERIMENT)
            stopped.append("experiment")
        # the recording of an experiment ends with it, after its last frames
        separate = not session.recording_for_experiment
        if Action.STOP_RECORDING in session.state.allowed and separate:
            session.request(Action.STOP_RECORDING)
            stopped.append("recording")
        return " and ".join(stopped)

    def _act_on_loss(self, name: str, lost: RemoteLost) -> None:
        session = self._session
        control, state = session.settings.remotes[name], session.state
        started_it = state.started_by == name and not state.idle
        # one of several connections, such as that of a request for the status
        if lost.sender and not (started_it and lost.sender == self._started_from):
            return

        text = f"[Remote {name}] {lost.text}"
        if started_it and control.if_lost == "stop":
            stopped = f"{self._stop() or 'nothing was'} stopped"
            session.alarm(f"{text}: {stopped} (IF_LOST = stop)", grave=False)
        elif started_it:
            text = f"{text}: what it started goes on (IF_LOST = go on)"
        session.note("remote", text)

    def _act_on_end(self, name: str, text: str) -> None:
        """Report a control that has stopped listening; stop what runs, if it is to."""
        text = f"[Remote {name}] no longer listens: {text}"
        self._session.note("remote", text)
        if self._session.settings.remotes[name].if_lost == "stop":
            text = f"{text}: {self._stop() or 'nothing was'} stopped (IF_LOST = stop)"
        self._session.alarm(f"{text}. Stop the stream and start it again")

    def _act_on_answer(self, answer: RecorderAnswer) -> None:
        session, name, text = self._session, answer.name, answer.text
        recorder, is_check = session.settings.remotes[name], answer.request == "check"
        state = RemoteAnswered(name, text, answer.good, answer.recording)
        self._update(remotes={**session.state.remotes, name: state})
        if not is_check:
            now_ns = SystemClock().now_ns()
            self._list(Requested(name, answer.request, text, now_ns, "this rig"))

        if answer.good or not isinstance(recorder, RemoteRecorder):
            if not is_check or not answer.requested:
                session.note("remote", text)
        elif (
            answer.request == "start"
            and recorder.needed
            and session.experiment_start.waiting
        ):
            session.cancel_experiment(text)
            session.alarm(f"Cannot start the experiment. {text}")
        elif is_check and not answer.recording:
            # a requested check belongs to a start: the pre-flight check reports it
            if not answer.requested:
                session.note("remote", text)
        elif is_check and recorder.if_lost == "stop":
            stopped = f"{self._stop() or 'nothing was'} stopped"
            session.alarm(f"{text}: {stopped} (IF_LOST = stop)")
        else:
            session.note("remote", text)
            session.alarm(text, grave=False)

    def _update(self, **changed: Any) -> None:
        self._session.update_state(**changed)

    def _list(self, request: Requested) -> None:
        """List a start or stop for `run.json`."""
        self._update(requests=self._session.state.with_request(request).requests)


_TAKING_OVER = (
    Action.START_EXPERIMENT,
    Action.STOP_EXPERIMENT,
    Action.STOP_RECORDING,
    Action.DISARM,
)
"""Actions of the user that disable automatic re-arming."""
_LISTED = (*_TAKING_OVER, Action.START_RECORDING, Action.ARM)
"""Actions of the user that `run.json` lists beside those of remotes."""
BEGINNINGS = (Action.START_ANALYSIS, Action.START_EXPERIMENT, Action.START_RECORDING)
"""Actions that start a part of a run."""
