"""Messages between the processes of a stream, over pipes: one union per direction.

Every receiver matches its union exhaustively. A message that is not in the union is a bug:
the receiver ignores it and reports an `UnknownMessage`; the run continues.
"""

import multiprocessing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.core.pose import Skeleton, Thresholds
from deeplabstream.ipc.ring import RingSpec
from deeplabstream.plugins.camera import CameraControl, Value
from deeplabstream.plugins.output import SelfTestResult
from deeplabstream.pose.plate_markers import PlatePlace
from deeplabstream.pose.tracking.distinctness import Distinctness
from deeplabstream.pose.tracking.identity_evidence import Traits
from deeplabstream.recording.behaviour_columns import ShownBehaviour
from deeplabstream.recording.frame_accounts import FrameCounts
from deeplabstream.recording.retention_rules import RetentionRules
from deeplabstream.recording.run_folder import ModelFacts
from deeplabstream.video.recording_options import RecordingOptions

# to every process


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process."""


# from every process


@dataclass(frozen=True, slots=True)
class ProcessFailed:
    """The process ends because of an error; the text is for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class ProblemReport:
    """A request failed, or something is wrong; the process continues."""

    text: str
    grave: bool = True
    """False: a warning; the request is still carried out."""


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """The process ignored an unknown message: a bug in the program."""

    text: str

    @classmethod
    def received(cls, message: object) -> "UnknownMessage":
        """Return the report of the present process about a message or a decoding error."""
        name = type(message).__name__
        if isinstance(message, Exception):
            name = f"{name}: {message}"
        process = multiprocessing.current_process().name
        return cls(f"Bug: process '{process}' ignored an unknown message ({name})")


# to a camera process


@dataclass(frozen=True, slots=True)
class FillRing:
    """Write frames into this ring from now on."""

    ring: RingSpec
    start_ns: int | None = None
    """Time at which the cameras of the rig begin together; None: this one begins alone."""


@dataclass(frozen=True, slots=True)
class ChangeControl:
    """Change a setting of the open camera."""

    key: str
    """Field of the camera's class."""
    value: Value
    may_resize: bool
    """No frame has been recorded yet, so the image size may change: the camera may be
    opened again, and then waits for another `FillRing`."""


# from a camera process


@dataclass(frozen=True, slots=True)
class CameraOpened:
    """The camera is open; its process waits for `FillRing`."""

    camera: str
    format: ImageFormat
    knows_losses: bool
    clock: str
    device: str
    remarks: tuple[str, ...]
    controls: tuple[CameraControl, ...] = ()


@dataclass(frozen=True, slots=True)
class ControlChanged:
    """Answer to `ChangeControl`."""

    camera: str
    key: str
    text: str
    """The result, as a sentence."""
    done: bool
    controls: tuple[CameraControl, ...]
    """All controls with their present values; empty: the camera delivers no frames."""


@dataclass(frozen=True, slots=True)
class CameraMessage:
    """The camera was lost, is back, or has no more frames; the text is for the user."""

    text: str


CAMERA_LOST, CAMERA_BACK, CAMERA_ENDED = "is lost", "is back", "has no more frames"
"""What the text of a `CameraMessage` says after the name of the camera."""


# to the engine


@dataclass(frozen=True, slots=True)
class AttachRings:
    """Read frames from these rings, the deciding camera's first."""

    rings: tuple[RingSpec, ...]


@dataclass(frozen=True, slots=True)
class Analyse:
    """Start or stop estimating poses."""

    active: bool


@dataclass(frozen=True, slots=True)
class RunExperiment:
    """Start or stop the experiment."""

    active: bool
    how: str = "stopped"
    """Why it is stopped."""
    stops: int = 0
    """Stop requests of `Journal.stops` that the sender knew. It is not started after another
    one: the sender may have been blocked between the user's request and this message."""


@dataclass(frozen=True, slots=True)
class OpenDevices:
    """Reopen outputs and inputs if one was lost or could not be opened."""


@dataclass(frozen=True, slots=True)
class TestOutput:
    """Pulse an output for a moment."""

    name: str


@dataclass(frozen=True, slots=True)
class SetIdentity:
    """Confirm the identity of a camera's animals, or swap two of them."""

    camera: str
    swapped: tuple[int, int] | None
    """Indices of the two animals; None: the identities are right."""


# from the engine


@dataclass(frozen=True, slots=True)
class NetworkReady:
    """The network is loaded and warmed up."""

    skeleton: Skeleton
    facts: ModelFacts
    remarks: tuple[str, ...] = ()
    """Sentences about networks that run on the CPU although there is a GPU."""
    frame_ms: Mapping[str, float] = field(default_factory=dict)
    """By analysed camera: milliseconds that the network takes for a frame."""
    behaviours: Mapping[str, ShownBehaviour] = field(default_factory=dict)
    """By column: what the classifiers detect."""


@dataclass(frozen=True, slots=True)
class PlateFound:
    """The arenas were moved to where their plate lies. Sent before the network is ready."""

    place: PlatePlace


@dataclass(frozen=True, slots=True)
class DevicesOpened:
    """Answer to `OpenDevices`."""

    problem: str = ""
    """Why a device could not be opened; empty: all are open."""


@dataclass(frozen=True, slots=True)
class Analysing:
    """The engine has started or stopped estimating poses."""

    active: bool


@dataclass(frozen=True, slots=True)
class ExperimentRunning:
    """The experiment has started or ended."""

    active: bool


@dataclass(frozen=True, slots=True)
class AnimalsDistinct:
    """Which animals of a camera look alike, as far as it is known; sent when it changes."""

    camera: str
    distinctness: Distinctness


@dataclass(frozen=True, slots=True)
class TraitsLearned:
    """Traits of all animals of a camera, in the order of their names, to remember them."""

    camera: str
    traits: tuple[Traits, ...]


# to the recorder


@dataclass(frozen=True, slots=True)
class AttachStream:
    """Read from these rings. Sent when all cameras are open, and after each change."""

    rings: tuple[RingSpec, ...]
    skeleton: Skeleton | None
    start_ns: int
    knows_losses: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class OpenRun:
    """Make the run folder, before anything is analysed or recorded."""

    root: Path
    settings_text: str
    facts: Mapping[str, object] = field(default_factory=dict)
    """For `run.json`: strings, numbers, lists and dicts."""
    name: str = ""
    """Name of the folder; empty: date and time."""
    retention: RetentionRules = field(default_factory=RetentionRules)
    """Rules for the videos of all runs below `root`."""


@dataclass(frozen=True, slots=True)
class ChangeRun:
    """Replace the settings of the run folder, and entries of its `run.json`."""

    settings_text: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StartAnalysis:
    """List the frames of these cameras. Sent before the engine is requested to analyse."""

    cameras: tuple[str, ...]
    triggers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By camera; triggers of its first step are added."""
    queue_per_hour: int = 0
    """Most uncertain frames per hour and camera to queue for labelling."""
    thresholds: Thresholds = field(default_factory=lambda: Thresholds(0.0))


@dataclass(frozen=True, slots=True)
class StopAnalysis:
    """Stop listing frames. Sent after the engine has stopped."""


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Record videos of these cameras."""

    cameras: tuple[str, ...]
    recording_options: RecordingOptions = field(default_factory=RecordingOptions)
    number: int = 0
    """Number of the recording, for its `RecordingProgress`."""


@dataclass(frozen=True, slots=True)
class StopRecording:
    """Stop recording videos."""


@dataclass(frozen=True, slots=True)
class WriteNote:
    """Write a note into the events."""

    note: Note


@dataclass(frozen=True, slots=True)
class CloseRun:
    """Stop everything and complete the run folder."""

    how: str
    """How the run ended."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Facts that became known during the run, for `run.json`."""


# from the recorder


@dataclass(frozen=True, slots=True)
class RunOpened:
    """The run folder was made."""

    path: Path


@dataclass(frozen=True, slots=True)
class RecordingProgress:
    """Frames in the videos, lost to the videos, and waiting, by camera.

    Sent twice a second while recording, and when the first frame of a camera is in its
    video.
    """

    recorded: Mapping[str, int]
    losses: Mapping[str, int]
    waiting: Mapping[str, int]
    number: int = 0
    """Number of the recording, as in `StartRecording`."""


@dataclass(frozen=True, slots=True)
class SavingProgress:
    """The recorder has written more to the disk."""

    frames: int
    """Frames that still wait to be written to a video."""


@dataclass(frozen=True, slots=True)
class RunClosed:
    """The run folder is complete."""

    accounts: tuple[FrameCounts, ...]


@dataclass(frozen=True, slots=True)
class RecorderFailed:
    """The recorder stopped recording; the text says why."""

    text: str
    whole: bool = False
    """The tables are not written either."""


# to and from the guards


@dataclass(frozen=True, slots=True)
class SharedResources:
    """Resources that the second guard removes if all other processes are killed."""

    memory: tuple[str, ...] = ()
    """Names of shared memory."""
    semaphores: tuple[str, ...] = ()
    run: Path | None = None
    """The run folder that is being written."""


@dataclass(frozen=True, slots=True)
class GuardTookOver(ProblemReport):
    """The engine ended unexpectedly or hangs; a guard switches the outputs off."""


@dataclass(frozen=True, slots=True)
class GuardRemark:
    """A guard lacks a requested priority; the text is for the record."""

    text: str


ToCamera: TypeAlias = FillRing | ChangeControl | Stop
ToEngine: TypeAlias = (
    AttachRings
    | Analyse
    | RunExperiment
    | OpenDevices
    | TestOutput
    | SetIdentity
    | Stop
)
ToRecorder: TypeAlias = (
    AttachStream
    | OpenRun
    | ChangeRun
    | StartAnalysis
    | StopAnalysis
    | StartRecording
    | StopRecording
    | WriteNote
    | CloseRun
    | Stop
)
ToSecondGuard: TypeAlias = SharedResources | Stop
FromCamera: TypeAlias = CameraOpened | ControlChanged | CameraMessage
FromEngine: TypeAlias = (
    NetworkReady
    | PlateFound
    | SelfTestResult
    | DevicesOpened
    | Analysing
    | AnimalsDistinct
    | TraitsLearned
    | ExperimentRunning
)
FromRecorder: TypeAlias = (
    RunOpened | RecordingProgress | SavingProgress | RunClosed | RecorderFailed
)
FromAny: TypeAlias = ProblemReport | ProcessFailed | UnknownMessage
ToSession: TypeAlias = FromCamera | FromEngine | FromRecorder | GuardRemark | FromAny
GuardReport: TypeAlias = Edge | ProblemReport
"""A guard sends an `Edge` only where there is no journal to write it to."""
