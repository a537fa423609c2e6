"""What a rig is doing and what may be started next: the one table of rules.

Buttons, command line and `Session` all take their rules from `allowed`.
"""

from dataclasses import dataclass
from enum import Enum


class Action(Enum):
    """The eight things that a person may ask of a rig."""

    START_STREAM = "Start Stream"
    STOP_STREAM = "Stop Stream"
    START_ANALYSIS = "Start Analysis"
    STOP_ANALYSIS = "Stop Analysis"
    START_EXPERIMENT = "Start Experiment"
    STOP_EXPERIMENT = "Stop Experiment"
    START_RECORDING = "Start Recording"
    STOP_RECORDING = "Stop Recording"


class Phase(Enum):
    """The life of a stream."""

    IDLE = "idle"
    STARTING = "starting"
    STREAMING = "streaming"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Status:
    """What a rig is doing."""

    phase: Phase = Phase.IDLE
    network_ready: bool = False
    """The network is loaded and warm."""
    analysing: bool = False
    experimenting: bool = False
    recording: bool = False


def allowed(status: Status) -> frozenset[Action]:
    """Return what may be asked of a rig in this state.

    Stopping is always allowed for what runs; a stream that is starting can be stopped.
    """
    streaming = status.phase is Phase.STREAMING
    rules = {
        Action.START_STREAM: status.phase is Phase.IDLE,
        Action.STOP_STREAM: status.phase in (Phase.STARTING, Phase.STREAMING),
        Action.START_ANALYSIS: streaming
        and status.network_ready
        and not status.analysing,
        Action.STOP_ANALYSIS: streaming
        and status.analysing
        and not status.experimenting,
        Action.START_EXPERIMENT: streaming
        and status.analysing
        and not status.experimenting,
        Action.STOP_EXPERIMENT: streaming and status.experimenting,
        Action.START_RECORDING: streaming and not status.recording,
        Action.STOP_RECORDING: streaming and status.recording,
    }
    return frozenset(action for action, rule in rules.items() if rule)


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The rig is now in another state."""

    status: Status


@dataclass(frozen=True, slots=True)
class Failed:
    """Something went wrong; the sentence says what and what to do."""

    text: str
    grave: bool = True
    """False: a warning; nobody has to give up for it."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a person has to know even when looking later: it stays until acknowledged."""

    text: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many frames of one camera went where, since the stream began.

    delivered = analysed + skipped while analysing; lost: at the device, None if it can't
    know.
    """

    delivered: int = 0
    lost: int | None = None
    analysed: int = 0
    skipped: int = 0
    recorded: int = 0
    recording_losses: int = 0
    waiting: int = 0
    """Delivered, and still to be filmed, as the recorder said last."""
