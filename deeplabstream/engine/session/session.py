"""Rig session: starts, polls and stops the processes of a rig.

A window, the command line and notebooks call `poll` and read `RigSession.state`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from time import perf_counter
from typing import Any, Self, assert_never

from deeplabstream.core.clock import (
    Calendar,
    Clock,
    SystemCalendar,
    SystemClock,
    rest,
)
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import (
    ACKNOWLEDGED,
    ALARMS,
    NO_ALARM,
    RAISED,
    Note,
    Sensed,
    Step,
)
from deeplabstream.engine.audited_triggers import audit_facts, audit_sentence
from deeplabstream.engine.checks.animal_appearance import unknown_appearance
from deeplabstream.engine.checks.clock_watchdog import ClockWatchdog
from deeplabstream.engine.checks.preflight import PreflightResult, inspect
from deeplabstream.engine.checks.stream_watchdogs import (
    AnalysisWatchdog,
    CameraWatchdog,
    FrameRateMeter,
    RecordingWatchdog,
)
from deeplabstream.engine.checks.system_monitor import SystemMonitor
from deeplabstream.engine.measured_latency import (
    timing_facts,
    timing_sentence,
)
from deeplabstream.engine.plate_watch import PLATE
from deeplabstream.engine.processes.termination import end_reason
from deeplabstream.engine.session import late_switch_off, messages
from deeplabstream.engine.session.animal_memory import (
    AnimalMemory,
    memory_sentences,
)
from deeplabstream.engine.session.animal_progress import AnimalProgress
from deeplabstream.engine.session.camera_controls import CameraControlRequests
from deeplabstream.engine.session.earlier_run import (
    EarlierRun,
    NothingToResumeError,
    Resumption,
)
from deeplabstream.engine.session.experiment_start import ExperimentStart, StartAction
from deeplabstream.engine.session.process_manager import ProcessManager
from deeplabstream.engine.session.remote_control import RemoteController
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
from deeplabstream.ipc.ring import RingReader, RingSpec
from deeplabstream.ipc.stop_link import StopLink
from deeplabstream.plugins.output import SelfTestResult
from deeplabstream.pose.model.model_opening import NO_MODEL
from deeplabstream.recording.resumed_state import RESUMED
from deeplabstream.recording.run_json import networks_of_run
from deeplabstream.settings.loading import Settings
from deeplabstream.settings.subject import Subject
from deeplabstream.settings.text_rewriting import with_drawn_seeds, with_subject

SAVING_NOTE_S = 5.0
"""Interval of progress messages while the record is saved at the end."""
BEGIN_S = 10.0
"""Each recorded camera must have a frame in its video within this time and two frames."""


class RigSession:
    """Owns the processes of a rig from Start Stream to Stop Stream, for any number of streams.

    ::

        idle ── Start Stream ──► starting ── all cameras open ──► streaming
         ▲                          │                                 │
         │                          └── Stop Stream, a process fails ─┤
         │                                                            ▼
         └────────────── all processes have ended ──────────────── stopping

    While it streams, analysis, experiment and recording start and stop; see
    `SessionState.allowed` for the rules and `ExperimentStart` for the start of an experiment.

    Nothing blocks but `close` and `rest`. Call `poll` about 30 times a second: it also
    drives starting and stopping. Leaving the `with` ends everything, outputs first.
    """

    def __init__(
        self,
        settings: Settings,
        start_processes: Callable[[Settings, int], ProcessManager] = ProcessManager,
        preflight: Callable[[Settings, SessionState], list[PreflightResult]] = inspect,
        clock: Clock | None = None,
        calendar: Calendar | None = None,
    ) -> None:
        self.settings = settings
        """Settings of the next stream; may be replaced while the session is idle."""
        self.state = SessionState()
        self._start_processes = start_processes
        self._preflight = preflight
        self._clock = clock or SystemClock()
        self._calendar = calendar or SystemCalendar()
        self._processes: ProcessManager | None = None
        self._ending: Iterator[None] | None = None
        self._news: list[News] = []
        self.resumes: Resumption | None = None
        """The run that the next stream continues; None: none."""
        self._progress = AnimalProgress()
        self._memory = AnimalMemory()
        self._reset()

    def _reset(self) -> None:
        """Discard all state of an earlier stream."""
        self._watchdog, self._rates = CameraWatchdog(), FrameRateMeter()
        self._analysis_watchdog = AnalysisWatchdog()
        self._recording_watchdog = RecordingWatchdog()
        self._clock_watchdog = ClockWatchdog()
        self._monitor, self._controls = SystemMonitor(), CameraControlRequests()
        self._newest: dict[str, RingReader] = {}
        self._by_index: dict[str, RingReader] = {}
        self.experiment_start = ExperimentStart()
        """Start of the experiment that was requested last."""
        self._animals_until_ns = 0
        """Time until which it waits for what is not known of its animals."""
        self.recording_for_experiment = False
        """Whether the recording was started for the experiment, and ends with it."""
        self._complete = True
        """Whether the run folder is complete, or there is none."""
        self._saving_noted_s = 0.0
        self._requested_s: float | None = None
        """Time of the last request to record; None: its limit has passed."""
        self._remotes = RemoteController(self)
        self._about_animal = ""
        """Sentence on the animal's progress for the record; empty: none is kept."""
        self._about_resumed = ""
        """Sentence on the run that is continued, for the record; empty: none."""

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

    def rings(self) -> dict[str, RingSpec]:
        """Return by which parameters another process reads the frames of each camera."""
        if self._processes is None:
            return {}
        return {name: ring.spec for name, ring in self._processes.rings.items()}

    # --- requests

    def do(self, action: Action) -> None:
        """Request an action on behalf of the user; `poll` reports the result."""
        if action in self.state.allowed:
            self._remotes.user_action(action)
        self.perform_if_allowed(action)

    @property
    def stop_link(self) -> StopLink | None:
        """Link by which another process ends the experiment; None: there is no stream."""
        return self._processes.stop_link if self._processes is not None else None

    def stop_requested(self) -> bool:
        """Return whether the experiment was ended by `stop_link` since the last call.

        Until this is called, the engine starts no other experiment.
        """
        return self._processes is not None and self._processes.stop_requested()

    def take_over(self) -> None:
        """Disable automatic re-arming: the user has switched the outputs off."""
        self._remotes.take_over()

    def perform_if_allowed(self, action: Action) -> None:
        """Perform an action, or report that it is not possible now."""
        if action is Action.START_STREAM and action in self.state.allowed:
            self._start_stream()
        elif self._processes is None or action not in self.state.allowed:
            phase = self.state.phase.value
            text = f"{action.value} is not possible while the session is {phase}"
            self._news.append(Failed(text))
        else:
            self.request(action)

    def adjust(self, camera: str, key: str, value: str) -> None:
        """Change a setting of an open camera; `value` is as in settings.ini.

        `poll` reports the result as `ControlChanged` or `Failed`.
        """
        try:
            if self._processes is None or self.state.phase is not Phase.STREAMING:
                raise DeviceError(f"[Camera {camera}] is not streaming")
            message = self._controls.request(
                self.settings.cameras[camera], camera, key, value
            )
            self._processes.cameras[camera].send(message)
        except DeepLabStreamError as error:
            self._news.append(Failed(str(error)))

    def set_identity(self, camera: str, swapped: Sequence[str] = ()) -> None:
        """Confirm the identity of a camera's animals, or swap the two named ones.

        `poll` reports the result as a note or as `Failed`.
        """
        if self._processes is None or not self.state.analysing:
            text = "Identities can be set only while frames are analysed"
            self._news.append(Failed(text))
            return

        names = self.state.skeleton.animals if self.state.skeleton else ()
        if unknown := [name for name in swapped if name not in names]:
            self._news.append(Failed(f"No animal is named {unknown[0]}"))
            return

        pair = None
        if swapped:
            one, other = swapped
            pair = names.index(one), names.index(other)
        self._processes.send_engine(messages.SetIdentity(camera, pair))

    @property
    def fixed_subject(self) -> frozenset[str]:
        """Fields of [Session] that can't be changed for this stream any more.

        All from the start of an experiment; those in the name of the run folder from
        the moment when it is made.
        """
        if self.state.phase is Phase.IDLE:
            return frozenset()
        if self.state.subject_fixed:
            return frozenset(field.name for field in fields(Subject))
        kept = {"animal", "progress_folder"} if self._progress.kept else set[str]()
        if self._controls.run_open:
            return self.settings.subject.named_in_folder | {"run_name"} | kept
        return frozenset(kept)

    def take_subject(self, settings: Settings) -> bool:
        """Use [Session] of other settings; False: it has changed in a field that is fixed."""
        used = self.state.used_settings
        changes = self.settings.subject.changes(settings.subject)
        if not changes:
            return True
        if used is None or self.fixed_subject & changes.keys():
            return False

        self.settings = with_subject(self.settings, settings)
        used = with_subject(used, settings)
        self.update_state(used_settings=used)
        if self._controls.run_open and self._processes is not None:
            facts = {"session": used.subject.facts()}
            self._processes.send_recorder(messages.ChangeRun(used.text, facts))
            self.note("session", "; ".join(changes.values()))
        return True

    def test(self, output: str) -> None:
        """Pulse an output for a moment; ignored while an experiment runs."""
        if self._processes is not None and not self.state.experimenting:
            self._processes.send_engine(messages.TestOutput(output))

    def note(self, kind: str, text: str) -> None:
        """Report a note by `poll`, and write it into the record if there is one."""
        self.write_note(Note(kind, text, self._clock.now_ns()))

    def write_note(self, note: Note) -> None:
        """Report a note with its time, and write it into the record if there is one."""
        self._news.append(note)
        if self._processes is not None:
            self._processes.send_recorder(messages.WriteNote(note))

    def acknowledge(self) -> None:
        """Remove all alarms, because a user has acknowledged them."""
        self.update_state(alarms=(), error="")

    # --- news and images

    def poll(self) -> Sequence[News]:
        """Return the news since the last call, and update `state`; does not block."""
        processes = self._processes
        self._remotes.notice_pause()
        if processes is not None:
            # Messages first: the checks below depend on them.
            self._receive(processes)
            self._follow_remotes(processes)

            if self._ending is not None:
                if self._has_ended():
                    self._end()
            elif silent := processes.end_silent_engine(self._clock.now_ns()):
                self._fail(silent)
            elif dead := processes.ended_early():
                self._end_early(processes, dead[0])
            else:
                self._watch(processes, self._clock.now_ns())

        self._take_late_edges()
        news, self._news = self._news, []
        return news

    def _take_late_edges(self) -> None:
        """Report outputs that were switched off after their stream had ended."""
        for edge in late_switch_off.edges():
            if self.state.levels.get(edge.output):
                self._news.append(edge)
                self._set_state(self.state.after(edge))
            self.note("guard", f"[Output {edge.output}] could be opened and is off")

    def _end_early(self, processes: ProcessManager, dead: str) -> None:
        """Stop the stream because a process has ended; report why."""
        # It may have sent its reason between the last reading and its end.
        self._receive(processes)
        if self._ending is not None:
            return
        # A signal to the whole program, such as at log-off, ends the processes too: then
        # none of them has failed.
        if reason := end_reason():
            self._stop_stream(processes, reason)
        else:
            self._fail(f"The process {dead}")

    def rest(self, seconds: float) -> None:
        """Wait until a process sends something or ends, at most `seconds`."""
        # not at the end: pipes of ended processes are always ready, so nothing would wait
        pipes = []
        if self._processes is not None and self._ending is None:
            pipes = [child.pipe for child in self._processes.children]
        sentinels = [process.sentinel for process in self.processes()]
        # Windows refuses to wait for nothing
        if pipes or sentinels:
            wait([*pipes, *sentinels], timeout=seconds)
        else:
            rest(seconds)

    def newest(self, camera: str) -> Frame | None:
        """Return the newest frame not yet returned; valid until the next call."""
        reader = self._newest.get(camera)
        return reader.newest() if reader else None

    def image_of(self, step: Step) -> Frame | None:
        """Return the frame of a step; None when it was overwritten already."""
        reader = self._by_index.get(step.camera)
        return reader.of(step.index) if reader else None

    def close(self, how: str = "stopped") -> None:
        """End all processes and wait until they have ended."""
        if self._processes is None:
            return
        if self._ending is None:
            self._stop_stream(self._processes, how)
        while not self._has_ended():
            self._receive(self._processes)
        self._end()

    # --- start and stop

    def _start_stream(self) -> None:
        # the zero of the run's time: before the cameras are opened, so that no time is negative
        now_ns = self._clock.now_ns()
        started = self._calendar.now().astimezone(self._calendar.zone)
        self._reset()
        late_switch_off.stop()  # the engine opens the outputs, and writes 0
        try:
            settings, about = self._open_settings(now_ns, started)
            self._processes = self._start_processes(settings, now_ns)
        except (DeepLabStreamError, OSError) as error:
            self._progress.close()
            text = str(error)
            if isinstance(error, OSError):
                text = f"The processes cannot be started: {error}"
            self._news.append(Failed(text))
            return

        self._set_state(self.state.started(settings, now_ns))
        self._about_animal, self.resumes = about, None
        if about:
            self._news.append(Note("animal", about, now_ns))
        if self._about_resumed:
            self._news.append(Note(RESUMED, self._about_resumed, now_ns))
        for camera in settings.triggers_by_camera():
            for text, _ in memory_sentences(settings, camera):
                self._news.append(Note("identity", text, now_ns))
        self._remotes.links.open()
        for text in self._remotes.links.broken.values():
            self.alarm(text, grave=False)

    def _open_settings(self, start_ns: int, started: datetime) -> tuple[Settings, str]:
        """Return the settings of a stream, and a sentence on the progress of its animal.

        DeepLabStreamError: a file of an animal, or the run to continue, can't be used.
        """
        resumes = self.resumes
        earlier = EarlierRun(resumes.run) if resumes is not None else None
        given = earlier.with_seeds(self.settings) if earlier else self.settings
        settings, about = self._progress.open(with_drawn_seeds(given))
        if resumes is not None and earlier is not None:
            try:
                settings = earlier.resumed(settings, start_ns, started)
            except NothingToResumeError as error:
                if resumes.required:
                    raise
                settings, about = self._progress.open(with_drawn_seeds(self.settings))
                self._about_resumed = (
                    f"the experiment starts from its beginning: {error}"
                )
        resumed = settings.resumed
        if resumed is not None:
            self._about_resumed = resumed.sentence
        used = replace(self._memory.open(settings), started=started, resumed=resumed)
        return used, about

    def _stop_stream(self, processes: ProcessManager, how: str) -> None:
        self.experiment_start.cancelled()  # it must not begin while the stream ends

        # Called when the outputs are closed: only then it is known which may still be on.
        def last_messages() -> tuple[messages.ToRecorder, ...]:
            self._saving_noted_s, text = perf_counter(), how
            if left_on := processes.left_on:
                names = ", ".join(f"[Output {name}]" for name in left_on)
                text = f"{how}; {names} may still be on"
                self.alarm(f"{names} may still be on: switch off by hand")
            return messages.CloseRun(text, self.state.run_facts()), messages.Stop()

        self._ending = processes.ending(
            last_messages, self._handle, self._remotes.ending()
        )
        self._set_state(self.state.stopping())
        self._follow_remotes(processes)

    def _has_ended(self) -> bool:
        """Continue the ending; return whether it is over."""
        return self._ending is None or next(self._ending, self) is self

    def _end(self) -> None:
        processes, self._processes, self._ending = self._processes, None, None
        # before the state is idle: a remote must not start anything in an ended stream
        self._remotes.links.close()
        self._progress.close()
        now = datetime.now().astimezone()
        if problem := self._memory.store(self.state.run_folder, now):
            self.alarm(problem, grave=False)
        self._check_saved()
        self._newest, self._by_index = {}, {}
        left_on = processes.left_on if processes is not None else ()
        self._set_state(self.state.ended(left_on))
        if processes is not None:
            late_switch_off.begin({name: processes.outputs[name] for name in left_on})

    def why_not(self, action: Action) -> str:
        """Return why an action must wait; empty: it may start."""
        return self._controls.why_not(action)

    def request(self, action: Action) -> None:
        """Perform an action that the state allows."""
        processes = self._processes
        if processes is None:
            return
        if why := self.why_not(action):
            self._news.append(Failed(why))
            return
        match action:
            case Action.START_STREAM:
                pass  # see `perform_if_allowed`
            case Action.STOP_STREAM:
                self._stop_stream(processes, "stopped")
            case Action.START_ANALYSIS if self.state.lacks_network:
                self._news.append(Failed(f"Cannot start the analysis: {NO_MODEL}"))
            case Action.START_ANALYSIS:
                self._start_analysis(processes)
            case Action.STOP_ANALYSIS:
                # at once: a remote must start nothing before the engine has answered
                self.update_state(armed=False)
                processes.send_engine(messages.Analyse(False))
            case Action.START_EXPERIMENT:
                edges, failed = self.state.edges, self.state.failed_outputs
                opened = all(name in edges for name in self.settings.outputs)
                action_now = self.experiment_start.requested(opened and not failed)
                self._advance_start(processes, action_now)
            case Action.STOP_EXPERIMENT:
                if self.experiment_start.waiting:
                    self.cancel_experiment("stopped before it began")
                else:
                    processes.send_engine(messages.RunExperiment(False))
            case Action.START_RECORDING if not self.settings.recorded:
                text = "No camera is recorded: each has RECORD = no"
                self._news.append(Failed(text))
            case Action.START_RECORDING:
                self._record(processes)
            case Action.STOP_RECORDING:
                self._stop_recording(processes)
                if self.experiment_start.waiting:
                    self.cancel_experiment("its recording was stopped")
            case Action.ARM if self._remotes.links.broken:
                text = "; ".join(self._remotes.links.broken.values())
                self._news.append(Failed(f"Cannot arm: {text}"))
            case Action.ARM:
                self.update_state(armed=True)
                names = " or ".join(f"[Remote {n}]" for n in self.settings.controls())
                self.note("remote", f"armed: waits for the start by {names}")
            case Action.DISARM:
                self.update_state(armed=False)
                self.note("remote", "no longer armed")
            case _:
                assert_never(action)

    def _start_analysis(self, processes: ProcessManager) -> None:
        self._set_state(self.state.analysis_requested())
        self._open_run(processes)
        triggers = self.settings.triggers_by_camera()
        per_hour = self.settings.recording.queue_per_hour
        # the recorder first: the first step must find its table open
        processes.send_recorder(
            messages.StartAnalysis(
                tuple(triggers), triggers, per_hour, self.state.thresholds
            )
        )
        processes.send_engine(messages.Analyse(True))

    # --- start of the experiment: see `ExperimentStart`

    def _advance_start(self, processes: ProcessManager, action: StartAction) -> None:
        """Perform the next step in the start of the experiment."""
        match action:
            case StartAction.OPEN_OUTPUTS:
                self.update_state(experiment_starting=True)
                processes.send_engine(messages.OpenDevices())
            case StartAction.CHECK_RECORDERS:
                self._remotes.links.check()
                awaited = bool(self._remotes.links.awaited)
                if awaited:
                    self.update_state(experiment_starting=True)
                self._advance_start(
                    processes, self.experiment_start.recorders_checked(awaited)
                )
            case StartAction.CHECK_ANIMALS:
                self._await_animals(processes)
            case StartAction.INSPECT:
                self._inspect_and_record(processes)
            case StartAction.RUN:
                known = processes.known_stops
                processes.send_engine(messages.RunExperiment(True, stops=known))
            case StartAction.REFUSE | StartAction.NOTHING:
                pass  # the caller reports the refusal
            case _:
                assert_never(action)

    def _outputs_opened(self, processes: ProcessManager, problem: str) -> None:
        """Continue the start of the experiment, or refuse it."""
        action = self.experiment_start.outputs_opened(problem)
        if action is StartAction.NOTHING:
            return
        self.update_state(experiment_starting=False)
        # the pre-flight check needs the writes to the opened outputs
        self._read_journal(processes)
        if action is StartAction.REFUSE:
            self.alarm(
                f"Cannot start the experiment: {problem}. Connect the device and switch "
                "it on, or correct its section, then start again"
            )
        self._advance_start(processes, action)

    def _await_animals(self, processes: ProcessManager) -> None:
        """Let the experiment wait until it is known which animals look alike."""
        unknown = self._unknown_appearance()
        if unknown:
            limit_s = self.settings.animals.appearance_wait_s
            self._animals_until_ns = self._clock.now_ns() + round(limit_s * 1e9)
            self.update_state(experiment_starting=True, animals_unknown=unknown)
            self.note("experiment", f"waits {limit_s:g} s at most: {unknown}")
        action = self.experiment_start.animals_checked(bool(unknown))
        self._advance_start(processes, action)

    def _follow_animals(self, processes: ProcessManager, now_ns: int) -> None:
        """Continue the start once it is known which animals look alike, or after the limit."""
        if not self.state.animals_unknown:
            return
        unknown = self._unknown_appearance()
        awaited = bool(unknown) and now_ns < self._animals_until_ns
        action = self.experiment_start.animals_learned(awaited)
        if action is StartAction.NOTHING:
            self.update_state(animals_unknown=unknown)
            return
        self.update_state(experiment_starting=False, animals_unknown="")
        self._advance_start(processes, action)

    def _unknown_appearance(self) -> str:
        """Return what an experiment must wait for to be known of its animals; or empty."""
        if not self.settings.animals.appearance_wait_s:
            return ""
        return unknown_appearance(self.settings, self.state)

    def _inspect_and_record(self, processes: ProcessManager) -> None:
        """Start the recording unless the pre-flight check fails; report all findings.

        The experiment runs when each recorded camera has a frame in its video.
        """
        # the check needs the present counters, not those of the last poll
        self._update_readings(_camera_readings(processes))

        findings = self._preflight(self.settings, self.state)
        if grave := [finding.text for finding in findings if finding.grave]:
            self._news.append(Failed(f"Cannot start because {'; '.join(grave)}"))
            return
        for finding in findings:
            self.note("preflight", finding.note)

        records = self.state.recording or self.state.recording_starting
        to_record = self.settings.experiment.record_exp and self.settings.recorded
        if to_record and not records:
            self._record(processes)
            self.recording_for_experiment = True

        self.experiment_start.checked()
        self.update_state(experiment_starting=True)
        # before the run: a recorder that has to start is awaited from here on
        self._remotes.update_recorders()
        self._run_when_ready(processes)

    def _run_when_ready(
        self, processes: ProcessManager, without_video: bool = False
    ) -> None:
        """Run the requested experiment, unless it waits for video or other recorders."""
        video = not self.state.recording_starting
        recorders_starting = self._remotes.links.starting
        action = self.experiment_start.progressed(
            video, recorders_starting, without_video
        )
        self._advance_start(processes, action)

    def cancel_experiment(self, why: str) -> None:
        """Discard the requested experiment, and end the recording that was for it."""
        self.experiment_start.cancelled()
        if self.recording_for_experiment and self._processes is not None:
            self._stop_recording(self._processes)
        self.update_state(experiment_starting=False, animals_unknown="")
        self.note("experiment", f"not started: {why}")

    # --- run folder and recording

    def _open_run(self, processes: ProcessManager) -> None:
        """Request the run folder, unless it exists."""
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
        if audit := self._audit(used, facts):
            facts["audit"] = audit

        rules = used.retention.rules
        processes.send_recorder(messages.OpenRun(root, used.text, facts, name, rules))

    def _timing(self, used: Settings) -> list[dict[str, object]]:
        """Return the latency tests for `run.json`; write a note on later changes."""
        network = self.state.network.facts if self.state.network else None
        model = network.cameras.get(used.deciding_camera, network) if network else None

        timing = timing_facts(used, model.sha256 if model else "")
        for latency_test in timing:
            if latency_test["changed"]:
                self.note("latency", timing_sentence(latency_test))
        return timing

    def _audit(
        self, used: Settings, facts: Mapping[str, object]
    ) -> dict[str, object] | None:
        """Return the audit of an earlier run for `run.json`; write a note on later changes."""
        networks = networks_of_run({"model": None, **facts})
        audit = audit_facts(used.output_directory, used.text, networks)
        if audit and audit["changed"]:
            self.note("audit", audit_sentence(audit))
        return audit

    def _record(self, processes: ProcessManager) -> None:
        cameras, number = self.settings.recorded, self.state.recording_number + 1
        self._requested_s = self._clock.now_ns() / 1e9
        self._open_run(processes)
        options = self.settings.recording.recording_options
        processes.send_recorder(messages.StartRecording(cameras, options, number))
        self.update_state(unrecorded=cameras, recording_number=number)

    def _stop_recording(self, processes: ProcessManager) -> None:
        self._requested_s = None
        self.recording_for_experiment = False
        processes.send_recorder(messages.StopRecording())
        self.update_state(recording=False, unrecorded=())

    # --- messages

    def _update_readings(self, readings: Mapping[str, CameraReading]) -> None:
        self._set_state(self.state.with_readings(readings, self._rates.rates))

    def update_state(self, **changed: Any) -> None:
        """Replace fields of the state; report a change of the activity."""
        self._set_state(replace(self.state, **changed))

    def discard_run(self) -> None:
        """Discard the last run and its alarms: another rig is used; only without a stream."""
        if self._processes is None:
            self.state = SessionState()
            self._news.append(StateChanged(self.state))

    def _set_state(self, state: SessionState) -> None:
        before, self.state = self.state, state
        if self.state.activity != before.activity:
            self._news.append(StateChanged(self.state))
        if bool(state.alarms) != bool(before.alarms):
            self._record_alarms(ACKNOWLEDGED)

    def _record_alarms(self, none: str) -> None:
        """Write into the record the newest alarm, or `none` if there is none."""
        if self._processes is not None:
            alarms = self.state.alarms
            text = f"{RAISED}: {alarms[-1].text}" if alarms else none
            note = Note(ALARMS, text, self._clock.now_ns())
            self._processes.send_recorder(messages.WriteNote(note))

    def _receive(self, processes: ProcessManager) -> None:
        # Before the journal: a frame that is delivered in between would count as skipped.
        readings = _camera_readings(processes)
        self._read_journal(processes)
        self._update_readings(readings)
        for child in processes.children:
            for message in child.received():
                self._handle(message)

    def _read_journal(self, processes: ProcessManager) -> None:
        for entry in processes.journal_reader.read():
            self.state = self.state.after(entry)
            processes.take(entry)
            if isinstance(entry, Step):
                used = self.state.used_settings or self.settings
                self._analysis_watchdog.add(entry, used.triggers_of_arenas)
                self._keep_progress(entry)
            elif isinstance(entry, Sensed | Note):
                self._remotes.links.receive(entry)
            self._news.append(entry)

    def _keep_progress(self, step: Step) -> None:
        """Store what the animal has reached; a file that can't be written is an alarm."""
        try:
            now = datetime.now().astimezone()
            self._progress.receive(step, self.state.run_folder, now)
        except DeviceError as error:
            self.alarm(f"The animal's progress is not kept: {error}", grave=False)

    def _handle(self, message: object) -> None:
        """Handle a message of a process; an unknown one is reported as a bug."""
        if not isinstance(message, messages.ToSession):
            message = messages.UnknownMessage.received(message)
        self._set_state(self.state.after(message))
        if (processes := self._processes) is not None:
            self._act_on(processes, message)

    def _act_on(self, processes: ProcessManager, message: messages.ToSession) -> None:
        processes.taken_over |= isinstance(message, messages.GuardTookOver)
        match message:
            case messages.CameraOpened():
                self._camera_opened(processes, message)
            case messages.NetworkReady():
                for remark in message.remarks:
                    self.note("computer", remark)
                self._attach(processes)
            case messages.PlateFound(place):
                self._news.append(Note(PLATE, place.sentence, self._clock.now_ns()))
            case messages.Analysing(active):
                if not active:
                    processes.send_recorder(messages.StopAnalysis())
            case messages.ExperimentRunning(active):
                if self.recording_for_experiment and not active:
                    self._stop_recording(processes)
            case messages.CameraMessage(text):
                self.note("camera", text)
                if text.endswith(messages.CAMERA_ENDED):
                    self._check_ended(text)
            case messages.GuardRemark(text):
                self.note("scheduling", text)
            case messages.ControlChanged():
                self._controls.answered(message)
                self.note("setting", message.text)
                self._news.append(message)
            case messages.TraitsLearned(camera, traits):
                self._memory.receive(camera, traits)
            case SelfTestResult() | messages.AnimalsDistinct():
                pass
            case messages.DevicesOpened(problem):
                self._outputs_opened(processes, problem)
            case messages.GuardTookOver() if processes.cut_short:
                text = "the engine was busy at the end and was stopped"
                self.note("guard", f"{text}; the guard switches the outputs off")
            case messages.ProblemReport(text, grave):
                self.alarm(text, grave)
            case messages.ProcessFailed(text):
                self._fail(text)
            case messages.UnknownMessage(text):
                self.note("bug", text)
            case _:
                self._act_on_recorder(processes, message)

    def _act_on_recorder(
        self, processes: ProcessManager, message: messages.FromRecorder
    ) -> None:
        match message:
            case messages.RunOpened(path):
                self._complete = False
                processes.announce_resources(path)
                # also alarms of an earlier stream; a record without any says so
                self._record_alarms(NO_ALARM)
                now_ns = self._clock.now_ns()
                about = {"animal": self._about_animal, RESUMED: self._about_resumed}
                for kind, text in about.items():
                    if text:
                        note = Note(kind, text, now_ns)
                        processes.send_recorder(messages.WriteNote(note))
            case messages.RecordingProgress():
                self._check_missed(processes, message)
            case messages.SavingProgress(frames):
                self._saving(processes, frames)
            case messages.RunClosed(accounts):
                self._complete = True
                self._news.append(message)
                for span in accounts:
                    if span.recorded == 0 and span.delivered:
                        self.alarm(
                            f"[Camera {span.camera}] has no video: none of its "
                            f"{span.delivered} frames was saved"
                        )
            case messages.RecorderFailed(text, whole):
                self._recording_lost(processes, text, whole)
            case _:
                assert_never(message)

    def _camera_opened(
        self, processes: ProcessManager, opened: messages.CameraOpened
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

        # two readers, because each has one image: `image_of` must not change that of `newest`
        self._newest[camera] = RingReader(ring)
        self._by_index[camera] = RingReader(ring)
        for remark in (*opened.remarks, *processes.ring_remarks(camera)):
            self.note("camera", f"[Camera {camera}] {remark}")
        self._attach(processes)

        # a camera that was opened with another frame size has a new ring to fill
        if reopened:
            self._rates.reset(camera)
            processes.begin(self._analysed_rings(processes), (camera,))

    def _attach(self, processes: ProcessManager) -> None:
        """Send the rings to recorder and engine once all cameras are open."""
        if len(processes.rings) < len(self.settings.cameras) or self._ending:
            return
        specs = tuple(processes.rings[name].spec for name in self.cameras)
        state = self.state
        # the recorder before the cameras write: its count of frames begins with the
        # first one
        processes.send_recorder(
            messages.AttachStream(
                specs, state.skeleton, state.start_ns, dict(state.knows_losses)
            )
        )
        if state.phase is Phase.STARTING:
            processes.begin(self._analysed_rings(processes), self.cameras)
            self.update_state(phase=Phase.STREAMING)

    def _analysed_rings(self, processes: ProcessManager) -> tuple[RingSpec, ...]:
        """Return the rings of the analysed cameras, in their order."""
        analysed = self.settings.triggers_by_camera()
        return tuple(processes.rings[n].spec for n in self.cameras if n in analysed)

    def _follow_remotes(self, processes: ProcessManager) -> None:
        """Act on requests of remotes; start an experiment that waited for other recorders."""
        self._remotes.poll()
        awaited = bool(self._remotes.links.awaited)
        action = self.experiment_start.recorders_answered(awaited)
        if action is not StartAction.NOTHING:
            self.update_state(experiment_starting=False)
            self._advance_start(processes, action)
        self._remotes.rearm_if_over()

    # --- problems

    def _watch(self, processes: ProcessManager, now_ns: int) -> None:
        """Check the plate process, and, while it streams, all else."""
        # a signal to the whole program ends it too, just before the stream is stopped
        ended = processes.keep_plate_watch(now_ns) if not end_reason() else ""
        if ended:
            self.alarm(ended, grave=False)
        if self.state.phase is Phase.STREAMING:
            self._watch_stream(processes, now_ns)

    def _watch_stream(self, processes: ProcessManager, now_ns: int) -> None:
        """Check cameras, analysis, recording and computer."""
        self._rates.update(processes.rings, now_ns)
        for text in self._watchdog.check(processes.rings, now_ns):
            self.note("camera", text)
        rules = self.settings.experiment
        for text in self._analysis_watchdog.check(rules, self.state, now_ns):
            self.note("analysis", text)
            self._set_state(self.state.with_alarm(Alarm(text, now_ns)))

        self._check_begun(processes, now_ns / 1e9)
        self._follow_animals(processes, now_ns)
        self._run_when_ready(processes)

        folder = self.state.run_folder or self.settings.output_directory
        waiting = processes.journal.waiting
        status = self._monitor.measure_due(self.processes(), folder, now_ns, waiting)
        if status is None:
            return
        self._check_clock(now_ns)
        self.update_state(system=status)
        for warning in self._monitor.new_warnings:
            self.note("computer", warning)
        if self._monitor.notes:
            note = Note("health", status.text, now_ns)
            processes.send_recorder(messages.WriteNote(note))

    def _check_clock(self, now_ns: int) -> None:
        """Raise an alarm if the clock was set on which the light phases depend."""
        used = self.state.used_settings
        if used is None or used.started is None or used.light_cycle is None:
            return
        run_s = (now_ns - self.state.start_ns) / 1e9
        now = self._calendar.now()
        if text := self._clock_watchdog.check(used.started, now, run_s):
            self.alarm(text, grave=False)
            self.note("computer", text)

    def alarm(self, text: str, grave: bool = True) -> None:
        """Report a problem, and keep it until a user acknowledges it."""
        self._news.append(Failed(text, grave))
        alarm = Alarm(text, self._clock.now_ns())
        self._set_state(self.state.with_alarm(alarm))

    def _fail(self, text: str) -> None:
        self.alarm(text)
        if self._ending is None and self._processes is not None:
            self._stop_stream(self._processes, text)

    def _check_ended(self, text: str) -> None:
        """Raise an alarm for a camera that has ended before its network was loaded."""
        used = self.state.used_settings
        if used is None or self.state.network_ready or self.state.lacks_network:
            return
        name = text.removeprefix("[Camera ").partition("]")[0]
        camera = used.cameras.get(name)
        # a camera that failed has its alarm already
        ends = f"[Camera {name}] ends here"
        failed = any(it.text.startswith(ends) for it in self.state.alarms)
        if camera is not None and camera.analyse and not failed:
            self.alarm(
                f"[Camera {name}] ended while the network was loaded: nothing of it can be "
                "analysed. Use a longer video, or set REPEAT = yes in its section",
                grave=False,
            )

    def _check_missed(
        self, processes: ProcessManager, progress: messages.RecordingProgress
    ) -> None:
        """End an experiment whose videos miss too many frames, unless it is to go on."""
        rules = self.settings.experiment
        now_ns = self._clock.now_ns()
        for text in self._recording_watchdog.check(progress, now_ns):
            ends = self.state.experimenting and rules.record_exp
            ends = ends and rules.on_recording_lost == "stop"
            self.alarm(text, grave=ends)
            if ends:
                how = f"failed: {text} ([Experiment] ON_RECORDING_LOST = stop)"
                processes.send_engine(messages.RunExperiment(False, how))

    def _recording_lost(
        self, processes: ProcessManager, text: str, whole: bool
    ) -> None:
        """Stop the experiment if its recording was lost, unless the settings let it continue."""
        rules = self.settings.experiment
        has_experiment = self.state.experimenting or self.state.experiment_starting
        of_experiment = has_experiment and (whole or rules.record_exp)
        goes_on = of_experiment and rules.on_recording_lost == "go on"
        if self.experiment_start.waiting and self.state.run_folder is None:
            # other recorders would wait for the name of a folder that is never made
            goes_on = goes_on and not self._remotes.links.starting

        # nothing more will be written, so there is nothing left to wait for
        self._complete = self._complete or whole or self.state.run_folder is None
        self._requested_s = None
        self.recording_for_experiment = False
        self.alarm(text, grave=not goes_on)

        if not of_experiment or goes_on:
            return
        if self.experiment_start.waiting:
            self.cancel_experiment(text)
        else:
            how = "failed: its recording has ended ([Experiment] ON_RECORDING_LOST = stop)"
            processes.send_engine(messages.RunExperiment(False, how))

    def _saving(self, processes: ProcessManager, frames: int) -> None:
        """Extend the recorder's time to end; report its progress every `SAVING_NOTE_S`."""
        now_s = perf_counter()
        processes.saved_s = now_s
        if self._ending and now_s - self._saving_noted_s > SAVING_NOTE_S:
            self._saving_noted_s = now_s
            text = f"the disk is slow, the record is still being saved ({frames} frames wait)"
            self._news.append(Note("recording", text, self._clock.now_ns()))

    def _check_begun(self, processes: ProcessManager, now_s: float) -> None:
        """Report once, after the time limit, which cameras have no recorded frame.

        An experiment that waits for them does not start, unless it may run without them.
        """
        if self._requested_s is None:
            return

        # a slow camera needs time for two frames, whatever the limit
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
        if self.experiment_start.waiting and not goes_on:
            self.cancel_experiment(text)
            self.alarm(f"Cannot start the experiment. {text}")
        else:
            self.alarm(text, grave=False)
            self._run_when_ready(processes, without_video=True)

    def _check_saved(self) -> None:
        """Report that the recorder ended before the run folder was complete."""
        if self._complete:
            return
        self._complete = True
        if self.state.run_folder is None:
            self.alarm("Nothing was recorded: the recorder made no run folder")
            return
        self.alarm(
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
