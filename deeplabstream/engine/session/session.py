"""Session: starts, polls and stops the processes of a rig.

A window, the command line and notebooks call `poll` and read `Session.state`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from time import perf_counter, sleep
from typing import Literal, Self, assert_never

from deeplabstream.core.clock import SystemClock, asleep_ns
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Note, Sensed, Step
from deeplabstream.engine.checks.analysis_watchdog import AnalysisWatchdog
from deeplabstream.engine.checks.camera_watchdog import CameraWatchdog, FrameRateMeter
from deeplabstream.engine.checks.preflight import inspect
from deeplabstream.engine.checks.system_monitor import SystemMonitor
from deeplabstream.engine.measured_latency import (
    timing_facts,
    timing_sentence,
)
from deeplabstream.engine.processes.termination import end_reason
from deeplabstream.engine.session import messages as say
from deeplabstream.engine.session import session_state as change
from deeplabstream.engine.session.process_manager import ProcessManager
from deeplabstream.engine.session.remote_links import RecorderAnswer, RemoteLinks
from deeplabstream.engine.session.session_state import (
    Action,
    Alarm,
    CameraReading,
    Failed,
    News,
    Phase,
    SessionState,
    StateChanged,
)
from deeplabstream.ipc.journal import JournalReader
from deeplabstream.ipc.ring import RingReader, RingSpec
from deeplabstream.plugins.camera import SIZING, Camera
from deeplabstream.plugins.remote import (
    InputControl,
    RemoteCommand,
    RemoteControl,
    RemoteLost,
    RemoteRecorder,
)
from deeplabstream.settings.fields import keys_of, with_changed_key
from deeplabstream.settings.loading import Settings
from deeplabstream.settings.text_rewriting import with_drawn_seeds, with_subject

SAVING_NOTE_S = 5.0
"""Interval of progress messages while the record is saved at the end."""
BEGIN_S = 10.0
"""Each recorded camera must have a frame in its video within this time and two frames."""

START_WITHIN_S = 5.0
"""A remote's start that waited longer is refused: its sender was told that the rig is busy."""
AFTER_PAUSE_S = 1.0
"""A listener gives what waited in its socket a new time: no start is obeyed for so long."""


class Session:
    """Owns the processes of a rig from Start Stream to Stop Stream, again and again.

    Nothing blocks but `close` and `rest`. Call `poll` about 30 times a second: it also
    drives starting and stopping. Leaving the `with` ends everything, outputs first.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        """Settings of the next stream; may be replaced while the session is idle."""
        self.state = SessionState()
        self._processes: ProcessManager | None = None
        self._journal: JournalReader
        self._ending: Iterator[None] | None = None
        self._news: list[News] = []
        self._start_helpers()

    def _start_helpers(self) -> None:
        """Forget everything about an earlier stream."""
        self._watchdog, self._rates = CameraWatchdog(), FrameRateMeter()
        self._analysis_watchdog = AnalysisWatchdog()
        self._monitor, self._controls = SystemMonitor(), _ControlRequests()
        self._newest: dict[str, RingReader] = {}
        self._by_index: dict[str, RingReader] = {}
        self._recording_for_experiment = False
        self._complete = True
        """The run folder is complete, or there is none."""
        self._saving_noted_s = 0.0
        self._requested_s: float | None = None
        """Time of a request to record whose limit has not passed yet."""
        self._experiment_awaits: Literal["outputs", "recorders", "video"] | None = None
        """What a requested experiment waits for: open outputs, answers of other recorders,
        then video frames and these recorders' start."""
        self._without_video = False
        self._remotes = RemoteLinks(self.settings.remotes)
        self._rearm = False
        self._stops_next: set[str] = set()
        """Remotes with alternating starts and stops whose next activation is a stop."""
        self._started_from = ""
        """Sender of the last start by a remote."""
        self._polled_s = math.inf
        """Time of the last poll, with the time for which the computer was suspended."""
        self._resumed_s = -math.inf
        """When a poll last came more than `START_WITHIN_S` after the one before."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close("stopped" if kind is None else f"ended by {kind.__name__}")

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras, the deciding one first."""
        return self.settings.camera_order

    def processes(self) -> list[BaseProcess]:
        """Return the processes of the stream; none when there is no stream."""
        if self._processes is None:
            return []
        return [child.process for child in self._processes.children]

    # --- requests

    def do(self, action: Action) -> None:
        """Request an action on behalf of the user; `poll` reports the result."""
        if action in self.state.allowed:
            self._rearm = self._rearm and action not in _TAKING_OVER
            if action in _ACCOUNTED and self.settings.remotes:
                now_ns = SystemClock().now_ns()
                self._change(
                    change.Requested("", action.value, "requested", now_ns, "user")
                )
            if action is Action.START_EXPERIMENT:
                self._change(change.Armed(False))
            if action is Action.ARM:
                self._stops_next.clear()
            if action in _BEGINNINGS and self.state.idle:
                self._change(change.StartedBy(""))
        self._do(action)

    def take_over(self) -> None:
        """Do not arm the rig again by itself: the user has switched the outputs off."""
        self._rearm = False

    def _do(self, action: Action) -> None:
        if action is Action.START_STREAM and action in self.state.allowed:
            self._start_stream()
        elif self._processes is None or action not in self.state.allowed:
            phase = self.state.phase.value
            text = f"{action.value} is not possible while the session is {phase}"
            self._news.append(Failed(text))
        else:
            self._request(self._processes, action)

    def adjust(self, camera: str, key: str, word: str) -> None:
        """Change a setting of an open camera; `word` is its value as in settings.ini.

        `poll` reports the result as `ControlChanged` or `Failed`.
        """
        try:
            if self._processes is None or self.state.phase is not Phase.STREAMING:
                raise DeviceError(f"[Camera {camera}] is not streaming")
            message = self._controls.request(
                self.settings.cameras[camera], camera, key, word
            )
            self._processes.cameras[camera].send(message)
        except DeepLabStreamError as error:
            self._news.append(Failed(str(error)))

    def set_identity(self, camera: str, exchanged: Sequence[str] = ()) -> None:
        """Confirm the identity of a camera's animals, or exchange the two named ones.

        `poll` reports the result as a note or as `Failed`.
        """
        if self._processes is None or not self.state.analysing:
            text = "Identities can be set only while frames are analysed"
            self._news.append(Failed(text))
            return
        names = self.state.skeleton.animals if self.state.skeleton else ()
        if unknown := [name for name in exchanged if name not in names]:
            self._news.append(Failed(f"No animal is named {unknown[0]}"))
            return
        pair = None
        if exchanged:
            one, other = exchanged
            pair = names.index(one), names.index(other)
        self._processes.send_engine(say.SetIdentity(camera, pair))

    def take_subject(self, settings: Settings) -> bool:
        """Use [Session] of other settings; False: the run folder has it already."""
        used = self.state.used_settings
        if settings.subject == self.settings.subject:
            return True
        if self._controls.run_open or used is None:
            return False
        self.settings = with_subject(self.settings, settings)
        self._change(change.SubjectChanged(with_subject(used, settings)))
        return True

    def test(self, output: str) -> None:
        """Pulse an output for a moment; ignored while an experiment runs."""
        if self._processes is not None and not self.state.experimenting:
            self._processes.send_engine(say.TestOutput(output))

    def note(self, kind: str, text: str) -> None:
        """Report a note by `poll`, and write it into the record if there is one."""
        self._write_note(Note(kind, text, SystemClock().now_ns()))

    def _write_note(self, note: Note) -> None:
        self._news.append(note)
        if self._processes is not None:
            self._processes.send_recorder(say.WriteNote(note))

    def acknowledge(self) -> None:
        """Remove all alarms: a user has seen them."""
        self._change(change.AlarmsAcknowledged())

    # --- what happened

    def poll(self) -> Sequence[News]:
        """Return what happened since the last call, and update `state`; never waits."""
        processes = self._processes
        self._notice_pause()
        if processes is not None:
            self._receive(processes)
            self._follow_remotes(processes)
            if self._ending is not None:
                if self._has_ended():
                    self._end()
            elif dead := processes.ended_early():
                self._receive(processes)  # what they sent after the reading above
                if self._ending is not None:
                    pass  # a message told why
                elif (
                    asked := end_reason()
                ):  # all processes were asked, not only this one
                    self._stop_stream(processes, asked)
                else:
                    self._fail(f"The process {dead[0]}")
            elif self.state.phase is Phase.STREAMING:
                self._watch(processes, SystemClock().now_ns())
        news, self._news = self._news, []
        return news

    def _notice_pause(self) -> None:
        """Notice that program or computer was suspended, or busy, since the last poll."""
        before_s, self._polled_s = self._polled_s, perf_counter() + asleep_ns() / 1e9
        if self._polled_s - before_s > START_WITHIN_S:
            self._resumed_s = perf_counter()

    def rest(self, seconds: float) -> None:
        """Wait until a process sends something or ends, at most `seconds`."""
        pipes = []
        if self._processes is not None and self._ending is None:
            pipes = [child.pipe for child in self._processes.children]
        wait([*pipes, *(p.sentinel for p in self.processes())], timeout=seconds)

    def newest(self, camera: str) -> Frame | None:
        """Return the newest frame not yet returned; valid until the next call."""
        reader = self._newest.get(camera)
        return reader.newest() if reader else None

    def image_of(self, step: Step) -> Frame | None:
        """Return the frame of a step; None when it was overwritten already."""
        reader = self._by_index.get(step.camera)
        return reader.of(step.index) if reader else None

    def close(self, how: str = "stopped") -> None:
        """End everything and wait until it has ended."""
        if self._processes is None:
            return
        if self._ending is None:
            self._stop_stream(self._processes, how)
        while not self._has_ended():
            self._receive(self._processes)
        self._end()

    # --- start and stop

    def _start_stream(self) -> None:
        now_ns = SystemClock().now_ns()
        self._start_helpers()
        settings = with_drawn_seeds(self.settings)
        try:
            self._processes = ProcessManager(settings, now_ns)
        except DeviceError as error:
            self._news.append(Failed(str(error)))
            return
        except OSError as error:
            self._news.append(Failed(f"The processes cannot be started: {error}"))
            return
        # The engine may have opened its outputs already.
        self._journal = JournalReader(self._processes.journal, from_start=True)
        self._change(change.StreamStarted(settings, now_ns))
        self._remotes.open()
        for text in self._remotes.broken.values():
            self._alarm(text, grave=False)

    def _stop_stream(self, processes: ProcessManager, how: str) -> None:
        self._experiment_awaits = None  # it must not begin while the stream ends

        def last_messages() -> tuple[say.ToRecorder, ...]:
            text = how
            if left_on := processes.left_on:
                names = ", ".join(f"[Output {name}]" for name in left_on)
                text = f"{how}; {names} may still be on"
                self._alarm(f"{names} may still be on: switch off by hand")
            return say.CloseRun(text, self.state.run_facts()), say.Stop()

        self._saving_noted_s = perf_counter()
        self._ending = processes.ending(
            last_messages, self._handle, self._remotes_ending(processes)
        )
        self._change(change.StreamStopping())
        self._follow_remotes(processes)

    def _has_ended(self) -> bool:
        """Continue the ending; return whether it is over."""
        return self._ending is None or next(self._ending, self) is self

    def _end(self) -> None:
        processes, self._processes, self._ending = self._processes, None, None
        self._remotes.close()
        self._check_saved()
        self._newest, self._by_index = {}, {}
        left_on = processes.left_on if processes is not None else ()
        self._change(change.StreamEnded(left_on))

    def _request(self, processes: ProcessManager, action: Action) -> None:
        if why := self._controls.forbids(action):
            self._news.append(Failed(why))
            return
        match action:
            case Action.START_STREAM:
                pass  # see `do`
            case Action.STOP_STREAM:
                self._stop_stream(processes, "stopped")
            case Action.START_ANALYSIS:
                self._change(change.AnalysisRequested())
                self._open_run(processes)
                triggers = self.settings.triggers_by_camera()
                per_hour = self.settings.recording.queue_per_hour
                processes.send_recorder(
                    say.StartAnalysis(
                        tuple(triggers), triggers, per_hour, self.state.thresholds
                    )
                )
                processes.send_engine(say.Analyse(True))
            case Action.STOP_ANALYSIS:
                self._change(change.Armed(False))  # before the engine has answered
                processes.send_engine(say.Analyse(False))
            case Action.START_EXPERIMENT:
                self._open_outputs(processes)
            case Action.STOP_EXPERIMENT:
                if self._experiment_awaits:
                    self._cancel_experiment(processes, "stopped before it began")
                else:
                    processes.send_engine(say.RunExperiment(False))
            case Action.START_RECORDING if not self.settings.recorded:
                text = "No camera is recorded: each has RECORD = no"
                self._news.append(Failed(text))
            case Action.START_RECORDING:
                self._record(processes)
            case Action.STOP_RECORDING:
                self._stop_recording(processes)
                if self._experiment_awaits:
                    self._cancel_experiment(processes, "its recording was stopped")
            case Action.ARM if self._remotes.broken:
                text = "; ".join(self._remotes.broken.values())
                self._news.append(Failed(f"Cannot arm: {text}"))
            case Action.ARM:
                self._change(change.Armed(True))
                names = " or ".join(f"[Remote {n}]" for n in self.settings.controls())
                self.note("remote", f"armed: waits for the start by {names}")
            case Action.DISARM:
                self._change(change.Armed(False))
                self.note("remote", "no longer armed")
            case _:
                assert_never(action)

    def _open_outputs(self, processes: ProcessManager) -> None:
        """Start the experiment, after outputs that are not open have been opened again."""
        state = self.state
        names = self.settings.outputs
        if all(name in state.edges for name in names) and not state.failed_outputs:
            self._ask_recorders(processes)
            return
        self._experiment_awaits = "outputs"
        self._change(change.ExperimentRequested(True))
        processes.send_engine(say.OpenDevices())

    def _outputs_opened(self, processes: ProcessManager, problem: str) -> None:
        """Go on with the start of the experiment, or refuse it."""
        if self._experiment_awaits != "outputs":
            return
        self._experiment_awaits = None
        self._change(change.ExperimentRequested(False))
        self._read_journal(processes)  # its writes to the opened outputs
        if problem:
            self._alarm(
                f"Cannot start the experiment: {problem}. Connect the device and switch "
                "it on, or correct its section, then start again"
            )
        else:
            self._ask_recorders(processes)

    def _ask_recorders(self, processes: ProcessManager) -> None:
        """Start the experiment when other recorders have said whether they are ready."""
        self._remotes.check()
        if self._remotes.awaited:
            self._experiment_awaits = "recorders"
            self._change(change.ExperimentRequested(True))
        else:
            self._start_experiment(processes)

    def _start_experiment(self, processes: ProcessManager) -> None:
        """Request it unless the pre-flight check fails; report all findings.

        It starts when each recorded camera has a frame in its video.
        """
        readings = _camera_readings(processes)
        self._change(change.CamerasRead(readings, self._rates.rates))
        found = inspect(self.settings, self.state)
        if grave := [finding.text for finding in found if finding.grave]:
            self._news.append(Failed(f"Cannot start because {'; '.join(grave)}"))
            return
        for finding in found:
            self.note("preflight", finding.note)
        records = self.state.recording or self.state.recording_starting
        wanted = self.settings.experiment.record_exp and self.settings.recorded
        if wanted and not records:
            self._record(processes)
            self._recording_for_experiment = True
        self._experiment_awaits, self._without_video = "video", False
        self._change(change.ExperimentRequested(True))
        self._follow_recorders()
        self._begin_experiment(processes)

    def _begin_experiment(
        self, processes: ProcessManager, without_video: bool = False
    ) -> None:
        """Start the requested experiment, unless it waits for video or other recorders."""
        self._without_video = self._without_video or without_video
        video = self._without_video or not self.state.recording_starting
        if self._experiment_awaits == "video" and video and not self._remotes.starting:
            self._experiment_awaits = None
            processes.send_engine(say.RunExperiment(True))

    def _cancel_experiment(self, processes: ProcessManager, why: str) -> None:
        """Forget the requested experiment, and end the recording that was for it."""
        self._experiment_awaits = None
        if self._recording_for_experiment:
            self._stop_recording(processes)
        self._change(change.ExperimentRequested(False))
        self.note("experiment", f"not started: {why}")

    def _open_run(self, processes: ProcessManager) -> None:
        """Request the run folder, if there is none yet."""
        if self.state.run_folder is not None:
            return
        self._complete = False
        self._controls.run_open = True
        used = self.state.used_settings or self.settings
        now = datetime.now().astimezone()
        name = self.settings.subject.folder_name(now, self.settings.experiment.exp_name)
        root, facts = self.settings.output_directory, self.state.run_facts()
        if timing := self._timing(used):
            facts["timing"] = timing
        processes.send_recorder(say.OpenRun(root, used.text, facts, name))

    def _timing(self, used: Settings) -> list[dict[str, object]]:
        """Return what `run.json` says of the latency tests; note what has changed since."""
        network = self.state.network.facts if self.state.network else None
        own = network.cameras.get(used.deciding_camera, network) if network else None
        timing = timing_facts(used, own.sha256 if own else "")
        for each in timing:
            if each["changed"]:
                self.note("latency", timing_sentence(each))
        return timing

    def _record(self, processes: ProcessManager) -> None:
        cameras, number = self.settings.recorded, self.state.recording_number + 1
        self._requested_s = SystemClock().now_ns() / 1e9
        self._open_run(processes)
        options = self.settings.recording.recording_options
        processes.send_recorder(say.StartRecording(cameras, options, number))
        self._change(change.RecordingRequested(cameras, number))

    def _stop_recording(self, processes: ProcessManager) -> None:
        self._requested_s = None
        self._recording_for_experiment = False
        processes.send_recorder(say.StopRecording())
        self._change(change.RecordingStopped())

    # --- messages

    def _change(self, what: say.ToSession | change.SessionChange) -> None:
        before, self.state = self.state, self.state.after(what)
        if self.state.activity != before.activity:
            self._news.append(StateChanged(self.state))

    def _receive(self, processes: ProcessManager) -> None:
        readings = _camera_readings(processes)  # before the steps: they are newer
        self._read_journal(processes)
        self._change(change.CamerasRead(readings, self._rates.rates))
        for child in processes.children:
            for message in child.received():
                self._handle(message)

    def _read_journal(self, processes: ProcessManager) -> None:
        for entry in self._journal.read():
            self.state = self.state.after(entry)
            processes.take(entry)
            if isinstance(entry, Step):
                self._analysis_watchdog.take(entry)
            elif isinstance(entry, Sensed | Note):
                self._remotes.hear(entry)
            self._news.append(entry)

    def _handle(self, message: object) -> None:
        """Handle a message of a process; an unknown one is reported as a bug."""
        if not isinstance(message, say.ToSession):
            message = say.UnknownMessage.received(message)
        self._change(message)
        if (processes := self._processes) is not None:
            self._act_on(processes, message)

    def _act_on(self, processes: ProcessManager, message: say.ToSession) -> None:
        match message:
            case say.CameraOpened():
                self._camera_opened(processes, message)
            case say.NetworkReady():
                for remark in message.remarks:
                    self.note("computer", remark)
                self._attach(processes)
            case say.Analysing(active):
                if not active:
                    processes.send_recorder(say.StopAnalysis())
            case say.ExperimentRunning(active):
                if self._recording_for_experiment and not active:
                    self._stop_recording(processes)
            case say.CameraMessage(text):
                self.note("camera", text)
            case say.GuardRemark(text):
                self.note("scheduling", text)
            case say.ControlChanged():
                self._controls.answered(message)
                self.note("setting", message.text)
                self._news.append(message)
            case say.WatchdogChecked():
                pass
            case say.DevicesOpened(problem):
                self._outputs_opened(processes, problem)
            case say.GuardTookOver() if processes.cut_short:
                text = "the engine was busy at the end and was stopped"
                self.note("guard", f"{text}; the guard switches the outputs off")
            case say.ProblemReport(text, grave):
                self._alarm(text, grave)
            case say.ProcessFailed(text):
                self._fail(text)
            case say.UnknownMessage(text):
                self.note("bug", text)
            case _:
                self._act_on_recorder(processes, message)

    def _act_on_recorder(
        self, processes: ProcessManager, message: say.FromRecorder
    ) -> None:
        match message:
            case say.RunOpened(path):
                self._complete = False
                processes.announce_resources(path)
            case say.RecordingProgress():
                pass
            case say.SavingProgress(frames):
                self._saving(processes, frames)
            case say.RunClosed(accounts):
                self._complete = True
                self._news.append(message)
                for span in accounts:
                    if span.recorded == 0 and span.delivered:
                        self._alarm(
                            f"[Camera {span.camera}] has no video: none of its "
                            f"{span.delivered} frames was saved"
                        )
            case say.RecorderFailed(text, whole):
                self._recording_lost(processes, text, whole)
            case _:
                assert_never(message)

    def _camera_opened(
        self, processes: ProcessManager, opened: say.CameraOpened
    ) -> None:
        if self._ending is not None:
            return
        camera = opened.camera
        reopened = camera in processes.rings
        try:
            ring = processes.add_ring(camera, opened.format)
        except (DeepLabStreamError, OSError) as error:
            self._fail(str(error))
            return
        self._newest[camera], self._by_index[camera] = (
            RingReader(ring),
            RingReader(ring),
        )
        for remark in (*opened.remarks, *processes.ring_remarks(camera)):
            self.note("camera", f"[Camera {camera}] {remark}")
        self._attach(processes)
        if reopened:
            self._rates.forget(camera)
            processes.begin(self._analysed_rings(processes), (camera,))

    def _attach(self, processes: ProcessManager) -> None:
        """Send the rings to recorder and engine once all cameras are open."""
        if len(processes.rings) < len(self.settings.cameras) or self._ending:
            return
        specs = tuple(processes.rings[name].spec for name in self.cameras)
        state = self.state
        processes.send_recorder(
            say.AttachStream(
                specs, state.skeleton, state.start_ns, dict(state.knows_losses)
            )
        )
        if state.phase is Phase.STARTING:
            processes.begin(self._analysed_rings(processes), self.cameras)
            self._change(change.CamerasRunning())

    def _analysed_rings(self, processes: ProcessManager) -> tuple[RingSpec, ...]:
        """Return the rings of the analysed cameras, in their order."""
        analysed = self.settings.triggers_by_camera()
        return tuple(processes.rings[n].spec for n in self.cameras if n in analysed)

    # --- start and stop by others, and of others

    def _follow_remotes(self, processes: ProcessManager) -> None:
        """Act on what remotes ask for and answer, and have recorders record as we do."""
        for name, news in self._remotes.news():
            match news:
                case RemoteCommand():
                    self._act_on_command(processes, name, news)
                case RemoteLost():
                    self._act_on_loss(processes, name, news)
                case RecorderAnswer():
                    self._act_on_answer(processes, news)
        self._follow_recorders()
        if self._experiment_awaits == "recorders" and not self._remotes.awaited:
            self._experiment_awaits = None
            self._change(change.ExperimentRequested(False))
            self._start_experiment(processes)
        if self._rearm and self.state.remote_over:
            self._rearm = False
            if not self.state.alarms and Action.ARM in self.state.allowed:
                self._do(Action.ARM)

    def _follow_recorders(self) -> None:
        state, awaits = self.state, self._experiment_awaits
        begins = state.experiment_starting and awaits not in ("outputs", "recorders")
        records = state.recording or state.recording_starting
        folder = state.run_folder
        self._remotes.follow(
            records or begins or state.experimenting, folder.name if folder else ""
        )

    def _act_on_command(
        self, processes: ProcessManager, name: str, asked: RemoteCommand
    ) -> None:
        if asked.command == "status":
            asked.answer(f"ok {self.state.doing}")
            return
        asked = self._alternated(name, asked)
        if asked.command == "start":
            result = self._start_for(processes, name, asked)
        else:
            stopped = self._stop_for(processes)
            result = f"ok {stopped} stopped" if stopped else "ok nothing ran"
        asked.answer(result)
        said = f" ({asked.arguments})" if asked.arguments else ""
        source = f" from {asked.sender}" if asked.sender else ""
        text = f"[Remote {name}] {asked.command}{source}{said}: {result}"
        self._write_note(Note("remote", text, asked.time_ns))
        self._change(
            change.Requested(
                name,
                asked.command,
                result,
                asked.time_ns,
                asked.sender,
                asked.arguments,
            )
        )

    def _alternated(self, name: str, asked: RemoteCommand) -> RemoteCommand:
        """Return a start as a stop if the control alternates and the last was a start."""
        control = self.settings.remotes[name]
        if not isinstance(control, InputControl) or not control.alternates:
            return asked
        if name in self._stops_next:
            self._stops_next.remove(name)
            return replace(asked, command="stop")
        self._stops_next.add(
            name
        )  # also if it is refused: its sender sends a stop next
        return asked

    def _start_for(
        self, processes: ProcessManager, name: str, asked: RemoteCommand
    ) -> str:
        """Start what a remote may start; return the answer to it."""
        control = self.settings.remotes[name]
        if not isinstance(control, RemoteControl) or not self.state.armed:
            return "error: the rig is not armed"
        if (age_s := perf_counter() - asked.time_ns / 1e9) > START_WITHIN_S:
            return f"error: the start was sent {age_s:.1f} s ago: too late"
        heard = not isinstance(control, InputControl)  # an input's times are its own
        if heard and perf_counter() - self._resumed_s < AFTER_PAUSE_S:
            return "error: the rig was busy or suspended; the start may be old: send it again"
        experiment = control.starts == "experiment"
        action = Action.START_EXPERIMENT if experiment else Action.START_RECORDING
        if action not in self.state.allowed:
            return f"error: not possible now ({self.state.doing})"
        if why := self._controls.forbids(action):
            return f"error: {why}"
        self._change(change.Armed(False))
        self._change(change.StartedBy(name))
        self._rearm, self._started_from = control.rearm, asked.sender
        self._request(processes, action)
        state = self.state
        if experiment:
            begins = state.experimenting or state.experiment_starting
        else:
            begins = state.recording or state.recording_starting
        if not begins:
            return f"error: {control.starts} was refused; see the messages of the rig"
        return f"ok {control.starts} starts"

    def _stop_for(self, processes: ProcessManager) -> str:
        """Stop experiment and recording; return what ran, or an empty text."""
        stopped = []
        if Action.STOP_EXPERIMENT in self.state.allowed:
            self._request(processes, Action.STOP_EXPERIMENT)
            stopped.append("experiment")
        own = not self._recording_for_experiment
        if Action.STOP_RECORDING in self.state.allowed and own:
            self._request(processes, Action.STOP_RECORDING)
            stopped.append("recording")
        return " and ".join(stopped)

    def _act_on_loss(
        self, processes: ProcessManager, name: str, lost: RemoteLost
    ) -> None:
        control, state = self.settings.remotes[name], self.state
        theirs = state.started_by == name and not state.idle
        if lost.sender and not (theirs and lost.sender == self._started_from):
            return  # one of several connections, such as that of a question for the status
        text = f"[Remote {name}] {lost.text}"
        if theirs and control.if_lost == "stop":
            stopped = f"{self._stop_for(processes) or 'nothing was'} stopped"
            self._alarm(f"{text}: {stopped} (IF_LOST = stop)", grave=False)
        elif theirs:
            text = f"{text}: what it started goes on (IF_LOST = go on)"
        self.note("remote", text)

    def _act_on_answer(self, processes: ProcessManager, news: RecorderAnswer) -> None:
        name, text = news.name, news.text
        recorder = self.settings.remotes[name]
        answered = change.RemoteAnswered(name, text, news.good, news.recording)
        self._change(answered)
        if news.request != "check":
            now_ns, us = SystemClock().now_ns(), "this rig"
            self._change(change.Requested(name, news.request, text, now_ns, us))
        if news.good or not isinstance(recorder, RemoteRecorder):
            if news.request != "check" or not news.asked:
                self.note("remote", text)
        elif news.request == "start" and recorder.needed and self._experiment_awaits:
            self._cancel_experiment(processes, text)
            self._alarm(f"Cannot start the experiment. {text}")
        elif news.request == "check" and not news.recording:
            if not news.asked:  # else the pre-flight check says it
                self.note("remote", text)
        elif news.request == "check" and recorder.if_lost == "stop":
            stopped = f"{self._stop_for(processes) or 'nothing was'} stopped"
            self._alarm(f"{text}: {stopped} (IF_LOST = stop)")
        else:
            self.note("remote", text)
            self._alarm(text, grave=False)

    def _remotes_ending(self, processes: ProcessManager) -> Iterator[None]:
        """Wait until recorders have stopped; all outputs are off before."""
        give_up_s = perf_counter() + self._remotes.longest_s
        while self._remotes.awaited and perf_counter() < give_up_s:
            self._follow_remotes(processes)
            sleep(0.01)
            yield
        for name in self._remotes.awaited:
            self._alarm(
                f"[Remote {name}] does not answer; it may still record: stop it there"
            )

    # --- problems

    def _watch(self, processes: ProcessManager, now_ns: int) -> None:
        """Check cameras, computer and recorder."""
        self._rates.look(processes.rings, now_ns)
        for text in self._watchdog.look(processes.rings, now_ns):
            self.note("camera", text)
        rules = self.settings.experiment
        for text in self._analysis_watchdog.look(rules, self.state, now_ns):
            self.note("analysis", text)
            self._change(change.AlarmRaised(Alarm(text, now_ns)))
        self._check_begun(processes, now_ns / 1e9)
        self._begin_experiment(processes)
        folder = self.state.run_folder or self.settings.output_directory
        waiting = processes.journal.waiting
        status = self._monitor.measure_due(self.processes(), folder, now_ns, waiting)
        if status is None:
            return
        self._change(change.SystemRead(status))
        for warning in self._monitor.new_warnings:
            self.note("computer", warning)
        if self._monitor.notes:
            note = Note("health", status.text, now_ns)
            processes.send_recorder(say.WriteNote(note))

    def _alarm(self, text: str, grave: bool = True) -> None:
        """Report a problem, and keep it until a user acknowledges it."""
        self._news.append(Failed(text, grave))
        self._change(change.AlarmRaised(Alarm(text, SystemClock().now_ns())))

    def _fail(self, text: str) -> None:
        self._alarm(text)
        if self._ending is None and self._processes is not None:
            self._stop_stream(self._processes, text)

    def _recording_lost(
        self, processes: ProcessManager, text: str, whole: bool
    ) -> None:
        """Stop the experiment if its recording was lost, unless it is to go on."""
        rules = self.settings.experiment
        wanted = self.state.experimenting or self.state.experiment_starting
        of_experiment = wanted and (whole or rules.record_exp)
        goes_on = of_experiment and rules.on_recording_lost == "go on"
        if self._experiment_awaits and self.state.run_folder is None:
            goes_on = (
                goes_on and not self._remotes.starting
            )  # it waits for the folder's name
        self._complete = self._complete or whole or self.state.run_folder is None
        self._requested_s = None
        self._recording_for_experiment = False
        self._alarm(text, grave=not goes_on)
        if self._experiment_awaits and of_experiment and not goes_on:
            self._cancel_experiment(processes, text)
        elif of_experiment and not goes_on:
            how = "failed: its recording has ended ([Experiment] ON_RECORDING_LOST = stop)"
            processes.send_engine(say.RunExperiment(False, how))

    def _saving(self, processes: ProcessManager, frames: int) -> None:
        """Extend the recorder's time to end, and report its progress now and then."""
        now_s = perf_counter()
        processes.saved_s = now_s
        if self._ending and now_s - self._saving_noted_s > SAVING_NOTE_S:
            self._saving_noted_s = now_s
            text = f"the disk is slow, the record is still being saved ({frames} frames wait)"
            self._news.append(Note("recording", text, SystemClock().now_ns()))

    def _check_begun(self, processes: ProcessManager, now_s: float) -> None:
        """Report, once, which cameras have no recorded frame when the limit has passed.

        An experiment that waits for them does not start, unless it may run without them.
        """
        if self._requested_s is None:
            return
        missing = self.state.unrecorded
        expected = [self.state.formats[name].rate for name in missing]
        limit_s = BEGIN_S + max((2 / rate for rate in expected if rate), default=0.0)
        if missing and now_s - self._requested_s <= limit_s:
            return
        self._requested_s = None
        if not missing:
            return
        counts, rates = self.state.counts, self.state.rates
        silent = [n for n in missing if not rates.get(n, counts[n].delivered)]
        causes = {
            "delivers no frames": silent,
            "has no frame in its video; is the disk slow, OUTPUT_DIRECTORY not "
            "reachable, or the computer overloaded?": [
                name for name in missing if name not in silent
            ],
        }
        text = (
            f"Not everything is recorded {limit_s:.0f} s after the start: "
            + "; ".join(
                f"[Camera {name}] {cause}"
                for cause, names in causes.items()
                for name in names
            )
        )
        goes_on = self.settings.experiment.on_recording_lost == "go on"
        if self._experiment_awaits and not goes_on:
            self._cancel_experiment(processes, text)
            self._alarm(f"Cannot start the experiment. {text}")
        else:
            self._alarm(text, grave=False)
            self._begin_experiment(processes, without_video=True)

    def _check_saved(self) -> None:
        """Report that the recorder ended before the run folder was complete."""
        if self._complete:
            return
        self._complete = True
        if self.state.run_folder is None:
            self._alarm("Nothing was recorded: the recorder made no run folder")
            return
        self._alarm(
            f"The run was not saved whole, the recorder ended before: "
            f"{self.state.run_folder} is repaired when it is opened, or by "
            "utils/RepairRun.py"
        )


def _camera_readings(processes: ProcessManager) -> dict[str, CameraReading]:
    """Return the frame counters of all cameras."""
    return {
        name: CameraReading(
            ring.published, ring.last_index, ring.last_stamp, ring.awaits_trigger
        )
        for name, ring in processes.rings.items()
    }


_TAKING_OVER = (
    Action.START_EXPERIMENT,
    Action.STOP_EXPERIMENT,
    Action.STOP_RECORDING,
    Action.DISARM,
)
"""Actions of the user after which the rig is not armed again by itself."""
_ACCOUNTED = (*_TAKING_OVER, Action.START_RECORDING, Action.ARM)
"""Actions of the user that `run.json` lists beside those of remotes."""
_BEGINNINGS = (Action.START_ANALYSIS, Action.START_EXPERIMENT, Action.START_RECORDING)


@dataclass
class _ControlRequests:
    """Live changes of camera settings that were requested and not answered yet."""

    run_open: bool = False
    """Frames are kept, so the image size must not change any more."""
    _resizing: set[str] = field(default_factory=set)
    """Cameras whose image size may change soon."""

    def request(
        self, camera: Camera, name: str, key: str, word: str
    ) -> say.ChangeControl:
        """Return the message; DeviceError or SettingsError: the request is not valid."""
        wanted = with_changed_key(camera, f"Camera {name}", key, word)
        field_name = keys_of(type(camera))[key][0]
        may_resize = field_name in SIZING and not self.run_open
        if may_resize:
            if self._resizing:
                raise DeviceError("wait until the camera is open again")
            self._resizing.add(name)
        return say.ChangeControl(field_name, getattr(wanted, field_name), may_resize)

    def answered(self, answer: say.ControlChanged) -> None:
        """Note the answer to a request."""
        if answer.key in SIZING:
            self._resizing.discard(answer.camera)

    def forbids(self, action: Action) -> str:
        """Return why an action must wait; empty: it may start."""
        if action in _BEGINNINGS and self._resizing:
            return f"{action.value}: wait until the camera is open again"
        return ""
