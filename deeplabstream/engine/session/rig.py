"""Interface of a rig for windows and command lines; `Session` implements it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.journal_entries import Acknowledged, Edge, Entry, Step
from deeplabstream.core.pose import Skeleton, Thresholds
from deeplabstream.engine.animal_identity import IdentityState
from deeplabstream.engine.checks.system_monitor import SystemStatus
from deeplabstream.engine.session.messages import (
    ControlChanged,
    RunClosed,
    WatchdogChecked,
)
from deeplabstream.engine.session.states import (
    Action,
    Alarm,
    Counts,
    Failed,
    Status,
    StatusChanged,
)
from deeplabstream.ipc.ring import Stamp
from deeplabstream.plugins.camera_controls import CameraControl
from deeplabstream.settings.sections import Settings

News: TypeAlias = Entry | StatusChanged | Failed | RunClosed | ControlChanged


class Rig(Protocol):
    """A rig that can be asked, polled and looked at. Nothing blocks, but `close`."""

    settings: Settings
    """What the rig is; others may be put here while it is idle."""

    used: Settings
    """Those of the present or last stream: seeds that were to be drawn are numbers."""

    @property
    def status(self) -> Status:
        """What it is doing."""

    @property
    def allowed(self) -> frozenset[Action]:
        """What may be asked now."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras' names, the deciding one first."""

    @property
    def formats(self) -> Mapping[str, ImageFormat]:
        """What each open camera delivers."""

    @property
    def dials(self) -> Mapping[str, tuple[CameraControl, ...]]:
        """By camera: what can be changed while it films, as the device says it is."""

    @property
    def skeleton(self) -> Skeleton | None:
        """The network's body parts; None until it is loaded."""

    @property
    def thresholds(self) -> Thresholds:
        """The confidences below which a point counts as not seen, camera by camera."""

    @property
    def provider(self) -> str:
        """What computes the poses; empty until the network is loaded."""

    @property
    def counts(self) -> Mapping[str, Counts]:
        """Where the frames of each camera went so far."""

    @property
    def run_folder(self) -> Path | None:
        """Where the run is written; None until something is."""

    @property
    def levels(self) -> Mapping[str, float]:
        """The present level of each output."""

    @property
    def edges(self) -> Mapping[str, Edge]:
        """What was written last to each output that is open."""

    @property
    def acknowledged(self) -> Mapping[str, Acknowledged]:
        """What the device of each output said last, if it says something."""

    @property
    def proofs(self) -> tuple[WatchdogChecked, ...]:
        """Whether the watchdogs of the rig's boards work."""

    @property
    def stamps(self) -> Mapping[str, Stamp]:
        """When the newest frame of each camera was exposed, and arrived."""

    @property
    def vitals(self) -> SystemStatus | None:
        """How the computer fares, looked at once a second; None: not yet."""

    @property
    def identity(self) -> Mapping[str, IdentityState]:
        """By camera what was said of several animals so far; empty: there is one."""

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What was not recorded, or broke: since the last start, until acknowledged."""

    def acknowledge(self) -> None:
        """Say that a person has seen the alarms."""

    @property
    def stream_start_ns(self) -> int:
        """Zero of the run's time."""

    def do(self, action: Action) -> None:
        """Ask for something; what comes of it is told by `poll`."""

    def adjust(self, camera: str, key: str, word: str) -> None:
        """Change a setting of a camera that films, as settings.ini writes it."""

    def say_who(self, camera: str, exchanged: Sequence[str] = ()) -> None:
        """Say that the animals' names are right, or exchange those of two."""

    def test(self, output: str) -> None:
        """Pulse an output for a moment while the stream runs, but no experiment."""

    def note(self, kind: str, text: str) -> None:
        """Tell something by `poll`, and write it into the record if there is one."""

    def poll(self) -> Sequence[News]:
        """Return what happened since the last call; never waits."""

    def newest(self, camera: str) -> Frame | None:
        """Return the newest picture not yet shown; good until the next call."""

    def image_of(self, step: Step) -> Frame | None:
        """Return the picture that a step tells of; None when it is gone already."""

    def close(self) -> None:
        """End everything and wait until it has ended."""
