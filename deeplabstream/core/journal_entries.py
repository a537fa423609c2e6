"""Journal entries: steps, intents, edges, acknowledgements, inputs and notes of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deeplabstream.core.command import Command
from deeplabstream.core.packing import Packed
from deeplabstream.core.pose import Pose
from deeplabstream.core.space_pose import SpacePose


@dataclass(frozen=True, slots=True, eq=False)
class Step(Packed):
    """Results of one analysed frame. All times are on the run's clock."""

    camera: str
    index: int
    """The device's count of the frame."""
    exposed_ns: int
    """Time of exposure; of arrival where that is unknown."""
    arrived_ns: int
    posed_ns: int
    decided_ns: int
    written_ns: int
    """Time at which the last command was written to a device; 0: nothing written."""
    pose: Pose
    """Output of the network; triggers saw NaN below the model's threshold: see `seen`."""
    triggers: Mapping[str, bool | None]
    """States of the triggers on this camera; None: unknown."""
    commands: tuple[Command, ...]
    """Commands that the experiment requested on this frame."""
    status: str = ""
    """Status of the experiment: empty (none runs), `running`, or the last `Mark`."""
    lost: bool = False
    """A trigger of the experiment was unknown; with arenas: in each whose plan runs."""
    too_old: bool = False
    """The frame was older than allowed when it was analysed: all triggers were unknown."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """Changes of points before the evaluation of triggers, by body part (`Pose.names`), as
    `engine.pose_filtering` sets them; several are joined by `+`. `[Trigger NAME]`: `held`,
    its state is the last known one; `anna>bob`, actor and target of a pair that fulfils it.
    `[Arenas]`: `away`, their plate was not in place."""
    seen: Pose | None = None
    """Pose that the triggers used, if it differs from the points above the
    threshold."""
    behaviours: Mapping[str, float] = field(default_factory=dict)
    """Probabilities of behaviours, from the classifiers of this camera; NaN: unknown."""
    inputs: Mapping[str, float] = field(default_factory=dict)
    """Inputs: `NAME` is the level, 0 or 1, `NAME.count` the number of activations since
    Start Stream; NaN: unknown."""
    space: SpacePose | None = None
    """Pose in space, if a moment of several cameras has ended with this frame."""
    space_triggers: Mapping[str, bool | None] = field(default_factory=dict)
    """States of the triggers in space at that moment; None: unknown."""
    light: str = ""
    """Phase of the room at the exposure, `light` or `dark`; empty: not known."""
    network: str = ""
    """The network of the pose by the light, `white` or `infrared`; `unknown`: the light changed,
    and the pose is unknown; empty: there is one network."""

    @property
    def answers(self) -> Mapping[str, bool | None]:
        """States of all triggers that were evaluated with this frame, in space too."""
        if not self.space_triggers:
            return self.triggers
        return {**self.triggers, **self.space_triggers}

    def as_seen(self, threshold: float) -> Pose:
        """Return the pose that the triggers used; `threshold` is the model's."""
        return self.pose.seen(threshold) if self.seen is None else self.seen


@dataclass(frozen=True, slots=True)
class Intent(Packed):
    """Commands that are about to be written; recorded before they are written."""

    index: int
    time_ns: int
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Edge(Packed):
    """A level that was written to an output."""

    output: str
    level: float
    cause: str
    """plan, pulse end, limit, lost, silence, stop, error, open, guard …"""
    requested_ns: int
    written_ns: int


@dataclass(frozen=True, slots=True)
class Acknowledged(Packed):
    """Report of a device that it has changed its level."""

    output: str
    level: float
    sent_ns: int
    """Time at which the command was sent: between `requested_ns` and `written_ns` of its edge.
    Time at which the device acted, without a command."""
    acted_ns: int
    """Time of the change by the device's clock, converted to the run's clock."""
    received_ns: int
    cause: str = ""
    """Why the device acted without a command; empty: a command was carried out."""


@dataclass(frozen=True, slots=True)
class Sensed(Packed):
    """A change of an input, such as a lick, a lever press or a beam break."""

    input: str
    active: bool
    count: int
    """Activations since Start Stream."""
    began_ns: int
    """Time of the change by the device's clock, converted to the run's clock."""
    received_ns: int
    device_us: int = -1
    """Time of the change by the device's own clock, us; -1: not known."""


@dataclass(frozen=True, slots=True)
class Pulsed(Packed):
    """A pulse of an exposure, numbered by the device that counted or generated it."""

    input: str
    number: int
    """From 0 since the input was opened; a gap: pulses whose times are not known."""
    began_ns: int
    """Time by the device's clock, converted to the run's clock."""
    received_ns: int
    device_us: int
    """Time by the device's own clock, us."""


@dataclass(frozen=True, slots=True)
class TagRead(Packed):
    """A tag that a reader has read."""

    input: str
    number: str
    received_ns: int


ALARMS = "alarms"
"""Kind of the notes by which the record shows from when until when there was an alarm."""
NO_ALARM, RAISED, ACKNOWLEDGED = "none", "raised", "acknowledged"
"""Beginnings of their texts: none at the begin of a run; the first; all, by a user."""


@dataclass(frozen=True, slots=True)
class Note(Packed):
    """A message for the user: something started, ended or failed."""

    kind: str
    """analysis, experiment, recording, camera, output, error, alarm, …"""
    text: str
    time_ns: int

    @property
    def is_alarm(self) -> bool:
        """Whether it is reported as an alarm: an error, or a problem that ends no experiment."""
        return self.kind in ("error", "alarm")


@dataclass(frozen=True, slots=True)
class Measured(Packed):
    """Current measures from the deciding camera, written a few times per second."""

    camera: str
    start_ns: int
    """Time of the first frame that counts."""
    time_ns: int
    """Time of the last frame that counts."""
    experiment: str
    """Name of the running experiment; empty: none runs."""
    unit: str
    """Unit of lengths: px or mm."""
    values: tuple[tuple[str, str, str, float], ...]
    """Animal, measure, region or output, and value; NaN: not defined. Measures of an
    output have no animal (empty); those of an animal itself have an empty third part."""


ANALYSIS_STARTED = "analysis", "started"
"""Kind and text of the note with which each analysis begins; others of the kind are alarms."""
LAST_NOTE = "engine"
"""Kind of the note that is the last entry of every engine that was not killed."""

Entry = (
    Step | Intent | Edge | Acknowledged | Sensed | Pulsed | TagRead | Note | Measured
)
