"""Session state: one immutable snapshot of a stream, and the rules for the ten actions.

`SessionState.after` derives a new state from a message of a process or an entry of the journal.
Other methods return the state after changes that the session makes itself and that have a rule;
it replaces single fields without one. Window, command line and notebooks read
`RigSession.state` after each `RigSession.poll`.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Literal, TypeAlias, assert_never

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import (
    Acknowledged,
    Edge,
    Entry,
    Intent,
    Measured,
    Note,
    Pulsed,
    Sensed,
    Step,
    TagRead,
)
from deeplabstream.core.light_cycle import LightMoment
from deeplabstream.core.pose import Skeleton, Thresholds
from deeplabstream.engine.checks.system_monitor import SystemStatus
from deeplabstream.engine.identity_reporting import IdentityState
from deeplabstream.engine.session import messages
from deeplabstream.ipc.ring import Stamp
from deeplabstream.plugins.camera import CameraControl
from deeplabstream.plugins.output import SelfTestResult
from deeplabstream.pose.tracking.distinctness import Distinctness
from deeplabstream.recording.behaviour_columns import behaviour_facts
from deeplabstream.recording.identity_totals import update_totals
from deeplabstream.recording.run_json import skeleton_facts
from deeplabstream.settings.plate import moved_plate
from deeplabstream.settings.sections import Settings, effective

MOST_ALARMS = 1000
"""A rig that runs for weeks without a user may have more: the oldest are left out."""
MOST_REQUESTS = 1000
"""Largest number of starts and stops in `run.json`, the last ones; `events.csv` has all."""


class Action(Enum):
    """The ten actions of a user."""

    START_STREAM = "Start Stream"
    STOP_STREAM = "Stop Stream"
    START_ANALYSIS = "Start Analysis"
    STOP_ANALYSIS = "Stop Analysis"
    START_EXPERIMENT = "Start Experiment"
    STOP_EXPERIMENT = "Stop Experiment"
    START_RECORDING = "Start Recording"
    STOP_RECORDING = "Stop Recording"
    ARM = "Arm"
    DISARM = "Disarm"


class Phase(Enum):
    """Life cycle of a stream."""

    IDLE = "idle"
    STARTING = "starting"
    STREAMING = "streaming"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Failed:
    """An error or a warning; the text says what is wrong and what to do."""

    text: str
    grave: bool = True
    """False: a warning; the run continues."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A lasting problem, such as a lost recording; shown until it is acknowledged."""

    text: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Number of frames of one camera by outcome, since the stream started.

    delivered = analysed + skipped while frames are analysed.
    """

    delivered: int = 0
    lost: int | None = None
    """Lost by the device; None: the device cannot count them."""
    analysed: int = 0
    skipped: int = 0
    recorded: int = 0
    recording_losses: int = 0
    waiting: int = 0
    """Delivered and not yet in the video, as last reported by the recorder."""
    newest: int | None = None
    """Number of the newest frame, as in the tables of a run; None: there is none yet."""


@dataclass(frozen=True, slots=True)
class CameraReading:
    """Frame counters of one camera, read from its ring."""

    published: int
    last_index: int
    """Number of the newest frame, counted by the device."""
    stamp: Stamp | None
    """Times of the newest frame; None: there is none yet."""
    awaits_trigger: bool = False
    """The camera waits for a trigger pulse."""


@dataclass(frozen=True, slots=True)
class Requested:
    """A start or stop, as in `run.json`: its sender, its time and its result."""

    remote: str
    """NAME of the section; empty: the user."""
    command: str
    result: str
    time_ns: int
    sender: str = ""
    arguments: str = ""

    def facts(self, start_ns: int) -> dict[str, object]:
        """Return the entry for `run.json`, with its time in the run."""
        facts = asdict(self)
        # the key of earlier versions
        facts["words"] = facts.pop("arguments")
        return {**facts, "time_s": (self.time_ns - start_ns) / 1e9}


@dataclass(frozen=True, slots=True)
class RemoteAnswered:
    """Answer of a recorder that starts and stops with the rig, or its absence."""

    name: str
    text: str
    good: bool
    recording: bool


@dataclass(frozen=True)
class SessionState:
    """State of a session and of its present or last stream."""

    phase: Phase = Phase.IDLE
    network_ready: bool = False
    """The network is loaded and warmed up."""
    analysing: bool = False
    experimenting: bool = False
    recording: bool = False
    """Each recorded camera has a frame in its video; see `unrecorded`."""
    start_ns: int = 0
    """Zero of the run's time."""
    used_settings: Settings | None = field(default=None, repr=False)
    """Settings of the stream, random seeds resolved; None: no stream was started yet."""
    formats: Mapping[str, ImageFormat] = field(default_factory=dict)
    """Image format by open camera."""
    knows_losses: Mapping[str, bool] = field(default_factory=dict)
    """By camera: whether the device counts the frames that it loses."""
    devices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By camera: device name, and the clock that stamps its frames."""
    controls: Mapping[str, tuple[CameraControl, ...]] = field(
        default_factory=dict, repr=False
    )
    """By camera: settings that can be changed live, with the device's present values."""
    network: messages.NetworkReady | None = field(default=None, repr=False)
    run_folder: Path | None = None
    """Folder of the run; None until the recorder has made it."""
    levels: Mapping[str, float] = field(default_factory=dict)
    """Present level of each output."""
    edges: Mapping[str, Edge] = field(default_factory=dict)
    """Last write to each open output."""
    failed_outputs: Mapping[str, str] = field(default_factory=dict)
    """Why an output failed or can't be opened, by its name, until it was written again."""
    error: str = ""
    """Last error of the engine, such as that of a trigger or an experiment, until it is
    acknowledged or an experiment starts."""
    acknowledged: Mapping[str, Acknowledged] = field(default_factory=dict)
    """Last acknowledgement by the device of each output."""
    self_tests: tuple[SelfTestResult, ...] = ()
    """Results of the check of each board's watchdog."""
    counts: Mapping[str, Counts] = field(default_factory=dict)
    """Frames by camera and outcome; empty when no stream runs."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Measured frame rate (1/s) by camera; absent until it was measured for a second."""
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    """By camera: exposure and arrival time of the newest frame."""
    identity: Mapping[str, IdentityState] = field(default_factory=dict)
    """Identity of several animals by camera; empty with one animal."""
    distinctness: Mapping[str, Distinctness] = field(default_factory=dict)
    """By camera: which animals look alike; absent: nothing is known."""
    measured: Measured | None = None
    """Measures so far of the deciding camera's animals; None: none yet."""
    system: SystemStatus | None = None
    """Load of the computer; None: not measured yet."""
    alarms: tuple[Alarm, ...] = ()
    """Lasting problems of this and earlier streams, until they are acknowledged: the last
    `MOST_ALARMS`."""
    analysed_from: Mapping[str, int] = field(default_factory=dict)
    """By camera: frames delivered when the analysis started; empty: none runs."""
    experiment_starting: bool = False
    """The experiment was requested and does not run yet."""
    animals_unknown: str = ""
    """What a requested experiment waits for to be known about its animals; empty: nothing."""
    experiments: int = 0
    """Number of experiments that were started in this stream and so in its run folder."""
    unrecorded: tuple[str, ...] = ()
    """Cameras that are to be recorded and have no frame in their video yet. One that
    waits for its trigger pulse is not among them."""
    recording_number: int = 0
    """Number of the last requested recording in this stream."""
    armed: bool = False
    """Whether the next start of a remote starts the parts named in its section."""
    started_by: str = ""
    """The `[Remote NAME]` that started the present or last part; empty: the user."""
    requests: tuple[Requested, ...] = ()
    """Starts and stops of this stream, and calls of other recorders, if it has remotes."""
    remotes: Mapping[str, RemoteAnswered] = field(default_factory=dict)
    """Last answer of each other recorder; absent: no request was sent yet."""
    tables_lost: Literal["", "analysis", "run"] = ""
    """No tables are written: of this analysis, or of any in this stream."""

    @property
    def lacks_network(self) -> bool:
        """Whether the stream has no network: its cameras are shown and recorded only."""
        return bool(self.used_settings and self.used_settings.lacks_network)

    @property
    def remote_controls(self) -> tuple[str, ...]:
        """Remotes that start and stop this stream."""
        return self.used_settings.controls() if self.used_settings else ()

    @property
    def remote_over(self) -> bool:
        """Whether the part that a remote started has ended, and no other start is awaited."""
        return bool(self.started_by) and self.idle and not self.armed

    @property
    def idle(self) -> bool:
        """Whether neither an experiment nor a recording runs or is starting."""
        runs = self.experimenting or self.experiment_starting
        return not (runs or self.recording or self.recording_starting)

    @property
    def doing(self) -> str:
        """The running parts, for a remote: such as `armed` or `experiment recording`."""
        activities = {
            "armed": self.armed,
            "experiment-starting": self.experiment_starting,
            "experiment": self.experimenting,
            "recording-starting": self.recording_starting,
            "recording": self.recording,
        }
        return " ".join(name for name, active in activities.items() if active) or (
            f"{self.phase.value} not-armed"
        )

    @property
    def recording_starting(self) -> bool:
        """Whether a recording was requested, and one of its cameras has no frame yet."""
        return bool(self.unrecorded)

    @property
    def experiment_over(self) -> bool:
        """Whether an experiment of this stream has run and has ended."""
        runs = self.experimenting or self.experiment_starting
        return bool(self.experiments) and not runs

    @property
    def subject_fixed(self) -> bool:
        """Whether [Session] belongs to an experiment of this stream, or the stream ends."""
        runs = self.experimenting or self.experiment_starting
        return runs or bool(self.experiments) or self.phase is Phase.STOPPING

    @property
    def activity(self) -> tuple[object, ...]:
        """Values that `StateChanged` reports: the phase, and the running or starting parts."""
        runs = self.network_ready, self.analysing, self.experimenting, self.recording
        remote = self.armed, self.started_by
        return (self.phase, *runs, self.experiment_starting, self.unrecorded, *remote)

    @property
    def allowed(self) -> frozenset[Action]:
        """Actions that are possible now.

        What runs can always be stopped, a stream also while it starts.
        """
        streaming = self.phase is Phase.STREAMING
        experiments = self.experimenting or self.experiment_starting
        records = self.recording or self.recording_starting
        free = streaming and self.analysing and not experiments
        used = self.used_settings
        ready = self.analysing or not (used and used.controls("experiment"))
        rules = {
            Action.START_STREAM: self.phase is Phase.IDLE,
            Action.STOP_STREAM: self.phase in (Phase.STARTING, Phase.STREAMING),
            # without a network, the session answers what is missing
            Action.START_ANALYSIS: streaming
            and (self.network_ready or self.lacks_network)
            and not self.analysing,
            Action.STOP_ANALYSIS: free,
            Action.START_EXPERIMENT: free,
            Action.STOP_EXPERIMENT: streaming and experiments,
            Action.START_RECORDING: streaming and not records,
            Action.STOP_RECORDING: streaming and records,
            Action.ARM: streaming
            and bool(self.remote_controls)
            and ready
            and not (self.armed or experiments),
            Action.DISARM: self.armed,
        }
        return frozenset(action for action, rule in rules.items() if rule)

    @property
    def skeleton(self) -> Skeleton | None:
        """Body parts of the network; None until it is loaded."""
        return self.network.skeleton if self.network else None

    @property
    def thresholds(self) -> Thresholds:
        """Confidence thresholds by camera; 0 until the network is loaded."""
        if self.network is None:
            return Thresholds(0.0)
        facts = self.network.facts
        by_camera = {name: model.threshold for name, model in facts.cameras.items()}
        return Thresholds(facts.threshold, by_camera)

    @property
    def provider(self) -> str:
        """Execution provider of the network; empty until it is loaded."""
        return self.network.facts.provider if self.network else ""

    def light_at(self, now_ns: int) -> LightMoment | None:
        """Return the place of a time in the light cycle; None: not known, or no stream."""
        cycle = self.used_settings.light_cycle if self.used_settings else None
        if cycle is None or self.phase is Phase.IDLE:
            return None
        return cycle.at((now_ns - self.start_ns) / 1e9)

    def run_facts(self) -> dict[str, object]:
        """Return what `run.json` states about settings, devices and network."""
        controls = {
            camera: {control.key: control.now for control in of_camera}
            for camera, of_camera in self.controls.items()
        }
        facts: dict[str, object] = {
            **(effective(self.used_settings) if self.used_settings else {}),
            "devices": dict(self.devices),
            "dials": controls,
        }
        if self.used_settings and self.used_settings.remotes:
            requests = [request.facts(self.start_ns) for request in self.requests]
            facts["remote_requests"] = requests
        if self.network is not None:
            facts["model"] = asdict(self.network.facts)
            facts["skeleton"] = skeleton_facts(self.network.skeleton)
            facts |= behaviour_facts(self.network.behaviours)
            if self.network.remarks:
                facts["remarks"] = list(self.network.remarks)
        return facts

    def with_request(self, request: Requested) -> "SessionState":
        """Return the state with one more start or stop."""
        return replace(self, requests=(*self.requests, request)[-MOST_REQUESTS:])

    def with_alarm(self, alarm: Alarm) -> "SessionState":
        """Return the state with one more alarm, unless it has one with the same text."""
        if any(alarm.text == known.text for known in self.alarms):
            return self
        return replace(self, alarms=(*self.alarms, alarm)[-MOST_ALARMS:])

    def with_readings(
        self, readings: Mapping[str, CameraReading], rates: Mapping[str, float]
    ) -> "SessionState":
        """Return the state with frame counters and frame rates (1/s) of the cameras."""
        counts = {
            camera: _counted(self, camera, reading)
            for camera, reading in readings.items()
        }
        stamps = {name: it.stamp for name, it in readings.items() if it.stamp}
        state = replace(
            self, counts={**self.counts, **counts}, stamps=stamps, rates=dict(rates)
        )
        # a camera without pulses has no frame for its video: the recording need not wait
        awaiting = {name for name, it in readings.items() if it.awaits_trigger}
        return _with_frames_of(state, awaiting)

    def started(self, settings: Settings, start_ns: int) -> "SessionState":
        """Return the state of a stream whose processes are being started; outputs are off."""
        return SessionState(
            Phase.STARTING,
            start_ns=start_ns,
            used_settings=settings,
            levels=dict.fromkeys(settings.outputs, 0.0),
            alarms=self.alarms,
        )

    def analysis_requested(self) -> "SessionState":
        """Return the state with an analysis requested: its tables are made again."""
        # those of a failed run are not: the recorder makes no second folder in a stream
        failed = self.tables_lost == "run"
        return replace(self, tables_lost="run" if failed else "")

    def stopping(self) -> "SessionState":
        """Return the state of a stream whose processes are being ended."""
        return _stopped(self, Phase.STOPPING)

    def ended(self, left_on: Collection[str] = ()) -> "SessionState":
        """Return the state without a stream; all outputs except `left_on` are off."""
        levels = {
            name: level if name in left_on else 0.0
            for name, level in self.levels.items()
        }
        ended = _stopped(self, Phase.IDLE)
        return replace(ended, levels=levels, counts={}, stamps={}, rates={})

    def after(self, change: Entry | messages.ToSession) -> "SessionState":
        """Return the state after a journal entry or a message of a process."""
        if isinstance(change, Entry):
            return _after_entry(self, change)
        return _after_message(self, change)


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The phase or the running parts changed."""

    state: SessionState


News: TypeAlias = (
    Entry | StateChanged | Failed | messages.RunClosed | messages.ControlChanged
)
"""Events that `RigSession.poll` returns."""


_OUTPUT_ERROR = re.compile(r"^\[Output (.+?)\] (.+)$", re.MULTILINE)
"""A line of an error that names the output: see `error_context`."""


def _after_entry(state: SessionState, entry: Entry) -> SessionState:
    match entry:
        case Step():
            return _after_step(state, entry)
        case Edge(output, level):
            edges = {**state.edges, output: entry}
            if entry.cause == "close":
                del edges[output]
            failed = {k: why for k, why in state.failed_outputs.items() if k != output}
            levels = {**state.levels, output: level}
            return replace(state, levels=levels, edges=edges, failed_outputs=failed)
        case Acknowledged(output):
            acknowledged = {**state.acknowledged, output: entry}
            return replace(state, acknowledged=acknowledged)
        case Note("error", text):
            return replace(_with_failed_outputs(state, text), error=last_line(text))
        case Measured():
            return replace(state, measured=entry)
        case Intent() | Sensed() | Pulsed() | TagRead() | Note():
            return state
        case _:
            assert_never(entry)


def _with_failed_outputs(state: SessionState, text: str) -> SessionState:
    """Return the state after an error whose lines may name outputs."""
    failed = dict(_OUTPUT_ERROR.findall(text))
    return replace(state, failed_outputs={**state.failed_outputs, **failed})


def last_line(text: str) -> str:
    """Return the part of an error for users: the last line of a traceback."""
    return text.splitlines()[-1] if text else ""


def _after_step(state: SessionState, step: Step) -> SessionState:
    camera, identity = step.camera, step.pose.identity
    counts = state.counts.get(camera, Counts())
    counts = replace(counts, analysed=counts.analysed + 1)
    state = replace(state, counts={**state.counts, camera: counts})
    if not identity:
        return state

    before = state.identity.get(camera)
    totals = update_totals(
        before.totals if before else {},
        before.pose.identity if before else (),
        identity,
    )
    known = IdentityState(step.pose, totals, state.distinctness.get(camera))
    return replace(state, identity={**state.identity, camera: known})


def _after_message(state: SessionState, message: messages.ToSession) -> SessionState:
    match message:
        case messages.CameraOpened():
            return _after_opening(state, message)
        case messages.ControlChanged():
            return _after_control(state, message)
        case messages.NetworkReady():
            return replace(state, network=message, network_ready=True)
        case messages.PlateFound(place):
            used = state.used_settings
            return replace(state, used_settings=used and moved_plate(used, place))
        case SelfTestResult():
            return replace(state, self_tests=(*state.self_tests, message))
        case messages.Analysing(active):
            return _after_analysing(state, active)
        case messages.AnimalsDistinct(camera, distinctness):
            known = {**state.distinctness, camera: distinctness}
            return replace(state, distinctness=known)
        case messages.ExperimentRunning(active):
            return replace(
                state,
                experimenting=active,
                experiment_starting=False,
                experiments=state.experiments + active,
                error="" if active else state.error,
            )
        case messages.DevicesOpened(""):
            return replace(state, failed_outputs={})
        case messages.ProblemReport(text) | messages.DevicesOpened(text):
            return _with_failed_outputs(state, text)
        case messages.RunOpened(path):
            return replace(state, run_folder=path)
        case messages.RecordingProgress():
            counts = {
                camera: replace(
                    known,
                    recorded=message.recorded.get(camera, 0),
                    recording_losses=message.losses.get(camera, 0),
                    waiting=message.waiting.get(camera, 0),
                )
                for camera, known in state.counts.items()
            }
            state = replace(state, counts=counts)
            # a late message of an earlier recording is ignored
            if message.number != state.recording_number:
                return state
            return _with_frames_of(state, {n for n, k in message.recorded.items() if k})
        case messages.RecorderFailed(_, whole):
            lost = state.tables_lost
            if state.run_folder is None:
                lost = lost or "analysis"
            elif whole:
                lost = "run"
            return replace(state, recording=False, unrecorded=(), tables_lost=lost)
        case (
            messages.CameraMessage()
            | messages.GuardRemark()
            | messages.TraitsLearned()
            | messages.SavingProgress()
            | messages.RunClosed()
            | messages.ProcessFailed()
            | messages.UnknownMessage()
        ):
            return state
        case _:
            assert_never(message)


def _after_opening(state: SessionState, opened: messages.CameraOpened) -> SessionState:
    camera = opened.camera
    known = state.counts.get(camera, Counts())
    lost = 0 if opened.knows_losses else None
    device = {"device": opened.device, "clock": opened.clock}
    return replace(
        state,
        formats={**state.formats, camera: opened.format},
        knows_losses={**state.knows_losses, camera: opened.knows_losses},
        devices={**state.devices, camera: device},
        controls={**state.controls, camera: opened.controls},
        counts={**state.counts, camera: replace(known, delivered=0, lost=lost)},
    )


def _after_control(
    state: SessionState, changed: messages.ControlChanged
) -> SessionState:
    if not changed.controls:
        return state
    camera, formats = changed.camera, dict(state.formats)
    for control in changed.controls:
        if control.key == "rate" and isinstance(control.now, float | int):
            formats[camera] = replace(formats[camera], rate=float(control.now))
    controls = {**state.controls, camera: changed.controls}
    return replace(state, formats=formats, controls=controls)


def _after_analysing(state: SessionState, active: bool) -> SessionState:
    """Count analysed frames from now on, or stop counting skipped ones."""
    if not active:
        counts = {n: replace(known, skipped=0) for n, known in state.counts.items()}
        ended = replace(state, analysing=False, counts=counts, analysed_from={})
        return replace(ended, armed=False)
    counts = {
        name: replace(known, analysed=0, skipped=0)
        for name, known in state.counts.items()
    }
    used = state.used_settings
    analysed = {n for n, c in used.cameras.items() if c.analyse} if used else counts
    begin = {name: counts[name].delivered for name in counts if name in analysed}
    # the analysis has discarded the appearance of the animals
    return replace(
        state, analysing=True, counts=counts, analysed_from=begin, distinctness={}
    )


def _stopped(state: SessionState, phase: Phase) -> SessionState:
    return replace(
        state,
        phase=phase,
        network_ready=False,
        analysing=False,
        experimenting=False,
        recording=False,
        analysed_from={},
        experiment_starting=False,
        animals_unknown="",
        unrecorded=(),
        armed=False,
    )


def _with_frames_of(state: SessionState, cameras: Collection[str]) -> SessionState:
    """Return the state when these cameras have a frame in their video, or wait for none.

    The last of the missing ones makes the recording one that runs.
    """
    missing = tuple(name for name in state.unrecorded if name not in cameras)
    recording = state.recording or (state.recording_starting and not missing)
    return replace(state, unrecorded=missing, recording=recording)


def _counted(state: SessionState, camera: str, reading: CameraReading) -> Counts:
    counts, delivered = state.counts.get(camera, Counts()), reading.published
    lost = None
    if state.knows_losses.get(camera, False):
        lost = max(0, reading.last_index + 1 - delivered)
    skipped = 0
    if camera in state.analysed_from:
        # one frame is being analysed, and the newest may be the next: neither is skipped
        undecided = 2
        since = delivered - state.analysed_from[camera]
        skipped = max(counts.skipped, since - counts.analysed - undecided)
    newest = reading.last_index if delivered else None
    return replace(
        counts, delivered=delivered, lost=lost, skipped=skipped, newest=newest
    )
