"""What happened: the entries of a run's journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deeplabstream.core.command import Command
from deeplabstream.core.packing import Packed
from deeplabstream.core.pose import Pose


@dataclass(frozen=True, slots=True, eq=False)
class Step(Packed):
    """Everything that happened to one analysed frame. All times are on the run's clock."""

    camera: str
    index: int
    """The device's count of the frame."""
    exposed_ns: int
    """When it was exposed; when it arrived if the device can't say."""
    arrived_ns: int
    posed_ns: int
    decided_ns: int
    written_ns: int
    """When the last byte of its commands was handed to a device; 0: nothing written."""
    pose: Pose
    """As the network gave it; triggers saw NaN below the model's threshold: see `seen`."""
    triggers: Mapping[str, bool | None]
    """Those that look at this camera; None: unknown."""
    commands: tuple[Command, ...]
    """What the experiment asked for on this frame."""
    status: str = ""
    """Of the experiment: empty (none runs), `running`, or the last `Mark`."""
    lost: bool = False
    """A trigger of the experiment was unknown."""
    too_old: bool = False
    """The frame was older than allowed when its turn came: all triggers were unknown."""
    doubts: Mapping[str, str] = field(default_factory=dict)
    """What was done to points on their way to the triggers, by body part (`Pose.names`):
    `jump`, `bone` (refused), `held` (where it last was), or two of them with a `+`; and
    `held` by `[Trigger NAME]` for each answer that is the last known one."""
    seen: Pose | None = None
    """What triggers saw, where that is not simply the points above the threshold."""
    behaviours: Mapping[str, float] = field(default_factory=dict)
    """Probabilities of behaviours, of classifiers that look at this camera; NaN:
    unknown."""
    inputs: Mapping[str, float] = field(default_factory=dict)
    """What was known of the inputs: `NAME` is its level, 0 or 1, `NAME.count` how often it
    became active since the stream began; NaN: unknown."""

    def as_seen(self, threshold: float) -> Pose:
        """Return the pose that triggers saw; `threshold` is the model's."""
        return self.pose.seen(threshold) if self.seen is None else self.seen


@dataclass(frozen=True, slots=True)
class Intent(Packed):
    """What is about to be written to the outputs; recorded first, so no crash hides it."""

    index: int
    time_ns: int
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Edge(Packed):
    """An output that was written."""

    output: str
    level: float
    cause: str
    """plan, pulse end, limit, lost, silence, stop, error, open, guard …"""
    asked_ns: int
    written_ns: int


@dataclass(frozen=True, slots=True)
class Acknowledged(Packed):
    """An output whose device says that it has acted."""

    output: str
    level: float
    sent_ns: int
    """When the command left: between `asked_ns` and `written_ns` of its edge. When the
    device acted, if that was its own doing."""
    acted_ns: int
    """When the level changed, by the device's clock, on the run's."""
    heard_ns: int
    cause: str = ""
    """Why it acted by itself; empty: a command was carried out."""


@dataclass(frozen=True, slots=True)
class Sensed(Packed):
    """An input that changed: a lick, a lever, a beam."""

    input: str
    active: bool
    count: int
    """How often it became active since the stream began."""
    began_ns: int
    """When the change began, by the device's clock, on the run's."""
    heard_ns: int


@dataclass(frozen=True, slots=True)
class Note(Packed):
    """A sentence for people: something started, ended or failed."""

    kind: str
    """analysis, experiment, recording, camera, output, error, …"""
    text: str
    time_ns: int


LAST_WORDS = "engine"
"""The kind of the note that is the last entry of every engine that was not killed."""

Entry = Step | Intent | Edge | Acknowledged | Sensed | Note
