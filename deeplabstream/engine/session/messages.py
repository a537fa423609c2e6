"""What the processes of a rig say to each other, over pipes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Note
from deeplabstream.core.pose import Skeleton
from deeplabstream.ipc.ring import RingSpec
from deeplabstream.plugins.camera_controls import CameraControl, Value
from deeplabstream.recording.frame_accounts import Accounts
from deeplabstream.recording.run_folder import ModelFacts
from deeplabstream.video.recording_options import Recipe

# from a camera process


@dataclass(frozen=True, slots=True)
class CameraOpened:
    """The camera delivers; its process waits for the spec of its ring."""

    camera: str
    format: ImageFormat
    knows_losses: bool
    clock: str
    device: str
    remarks: tuple[str, ...]
    dials: tuple[CameraControl, ...] = ()


@dataclass(frozen=True, slots=True)
class ControlChanged:
    """A setting was changed while the camera films, or not."""

    camera: str
    key: str
    text: str
    """What came of it, a sentence."""
    done: bool
    dials: tuple[CameraControl, ...]
    """As the camera says they are now."""


@dataclass(frozen=True, slots=True)
class CameraTold:
    """The camera was lost, is back, or is at its end; a sentence for people."""

    text: str


# to a camera process; None ends it


@dataclass(frozen=True, slots=True)
class ChangeControl:
    """Change a setting while the camera films."""

    key: str
    """The field of the camera's class."""
    value: Value
    may_resize: bool
    """Nothing is kept yet of these pictures: the camera may be opened anew for it, and
    then waits for the spec of another ring."""


# from any process


@dataclass(frozen=True, slots=True)
class ProcessFailed:
    """A process could not go on; a sentence for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that was asked for could not be done; the stream goes on."""

    text: str
    grave: bool = True
    """False: a warning; what was asked for goes on."""


@dataclass(frozen=True, slots=True)
class GuardActs(Complaint):
    """The guard found the engine dead or hanging, and switches the outputs off."""


# to the engine


@dataclass(frozen=True, slots=True)
class Analyse:
    """Start or stop posing frames."""

    active: bool


@dataclass(frozen=True, slots=True)
class RunExperiment:
    """Start or stop the experiment."""

    active: bool
    how: str = "stopped"
    """Why it is stopped."""


@dataclass(frozen=True, slots=True)
class TestOutput:
    """Pulse an output for a moment, for a person who wants to see it working."""

    name: str


@dataclass(frozen=True, slots=True)
class SetIdentity:
    """A person says who is who before a camera."""

    camera: str
    exchanged: tuple[int, int] | None
    """The animals whose names are to be exchanged; None: the names are right."""


# from the engine


@dataclass(frozen=True, slots=True)
class NetworkReady:
    """The network is loaded and warm."""

    skeleton: Skeleton
    facts: ModelFacts
    remarks: tuple[str, ...] = ()
    """Sentences about networks that run on the CPU although there is a GPU."""


@dataclass(frozen=True, slots=True)
class WatchdogChecked:
    """A board's watchdog was looked at before the outputs were opened."""

    text: str
    good: bool | None
    """None: it could not be looked at."""


@dataclass(frozen=True, slots=True)
class Analysing:
    """Frames are posed from now on, or no longer."""

    active: bool


@dataclass(frozen=True, slots=True)
class ExperimentRunning:
    """The experiment runs from now on, or has ended."""

    active: bool
    text: str = ""
    """How it ended."""


# to the recorder; None ends it


@dataclass(frozen=True, slots=True)
class Attach:
    """All cameras are open: the rings to read. Once per stream."""

    rings: tuple[RingSpec, ...]
    skeleton: Skeleton | None
    start_ns: int
    knows_losses: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class OpenRun:
    """Make the run folder; before anything is analysed or recorded."""

    root: Path
    settings_text: str
    facts: Mapping[str, object] = field(default_factory=dict)
    """For `run.json`: words, numbers, lists and dicts."""
    name: str = ""
    """Of the folder; empty: by date and time."""


@dataclass(frozen=True, slots=True)
class StartAnalysis:
    """List the frames of these cameras. To be sent before the engine is told."""

    cameras: tuple[str, ...]
    triggers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By camera; those of its first step are added."""
    since_ns: int | None = None
    """Frames that arrived earlier are not listed; None: earlier than the first step's."""


@dataclass(frozen=True, slots=True)
class StopAnalysis:
    """List no more frames. To be sent after the engine has said that it stopped."""

    until_ns: int | None = None
    """Frames that arrived later are not listed; None: later than the last step's."""


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Film these cameras."""

    cameras: tuple[str, ...]
    recipe: Recipe = field(default_factory=Recipe)


@dataclass(frozen=True, slots=True)
class StopRecording:
    """Film no more."""


@dataclass(frozen=True, slots=True)
class WriteNote:
    """Write a sentence into the events."""

    note: Note


@dataclass(frozen=True, slots=True)
class CloseRun:
    """The run is over: stop all, write how it ended."""

    how: str
    facts: Mapping[str, object] = field(default_factory=dict)
    """What became known meanwhile, for `run.json`."""


# from the recorder


@dataclass(frozen=True, slots=True)
class RunOpened:
    """The run folder was made."""

    path: Path


@dataclass(frozen=True, slots=True)
class Filmed:
    """How many frames are in the videos, how many were lost to them so far, how many wait.

    Comes twice a second while recording.
    """

    recorded: Mapping[str, int]
    losses: Mapping[str, int]
    waiting: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Saving:
    """The recorder has written more of what it has still to write."""

    frames: int
    """That wait to be filmed."""


@dataclass(frozen=True, slots=True)
class AnalysisStopped:
    """Where the frames of an analysis went."""

    accounts: tuple[Accounts, ...]


@dataclass(frozen=True, slots=True)
class RecordingStopped:
    """Where the frames of a recording went."""

    accounts: tuple[Accounts, ...]


@dataclass(frozen=True, slots=True)
class RunClosed:
    """The run folder is complete."""

    path: Path
    accounts: tuple[Accounts, ...]


@dataclass(frozen=True, slots=True)
class RecorderFailed:
    """No more video, or no more at all, is recorded; a sentence says why."""

    text: str
    whole: bool = False
    """Nothing of the run is written any more, tables neither."""
