"""A rig that is only told about: what tests make happen, comes out of `poll`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PyQt5.QtGui import QColor

from deeplabstream.core.command import Command
from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.journal_entries import Acknowledged, Edge, Note, Step
from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.core.regions import Circle, Rectangle
from deeplabstream.engine.animal_identity import IdentityState
from deeplabstream.engine.checks.system_monitor import SystemStatus
from deeplabstream.engine.session.messages import WatchdogChecked
from deeplabstream.engine.session.rig import News
from deeplabstream.engine.session.states import (
    Action,
    Alarm,
    Counts,
    Failed,
    Phase,
    Status,
    StatusChanged,
    allowed,
)
from deeplabstream.ipc.ring import Stamp
from deeplabstream.plugins.camera import Camera, CameraStream
from deeplabstream.plugins.camera_controls import CameraControl
from deeplabstream.plugins.output import Output, Write
from deeplabstream.settings.animals import Animals
from deeplabstream.settings.fields import Maker
from deeplabstream.settings.sections import (
    ExperimentRun,
    PoseEstimation,
    Recording,
    Settings,
    Streaming,
    Video,
)
from deeplabstream.settings.subject import Subject
from experiments.triggers.regions import InsideRegion

SKELETON = Skeleton(("nose", "ear", "tail"), (("nose", "ear"), ("ear", "tail")))
POINTS = [[[60.0, 40.0], [50.0, 50.0], [30.0, 60.0]]]
_NEXT: Mapping[Action, Mapping[str, Any]] = {
    Action.START_STREAM: {"phase": Phase.STREAMING, "network_ready": True},
    Action.STOP_STREAM: {},
    Action.START_ANALYSIS: {"analysing": True},
    Action.STOP_ANALYSIS: {"analysing": False},
    Action.START_EXPERIMENT: {"experimenting": True},
    Action.STOP_EXPERIMENT: {"experimenting": False},
    Action.START_RECORDING: {"recording": True},
    Action.STOP_RECORDING: {"recording": False},
}


def close_to(colour: QColor, wanted: str) -> bool:
    """Return whether two colours differ by no more than rounding and blending."""
    want = QColor(wanted)
    apart = [colour.red() - want.red(), colour.green() - want.green()]
    return max(map(abs, [*apart, colour.blue() - want.blue()])) < 30


def make_step(
    index: int,
    triggers: dict[str, bool | None] | None = None,
    commands: tuple[Command, ...] = (),
    *,
    confidence: tuple[float, float, float] = (1.0, 1.0, 1.0),
    lost: bool = False,
    period_ns: int = 10_000_000,
) -> Step:
    """Return a step that took 5 ms to decide; 6 ms to write if it had commands."""
    now = (index + 1) * period_ns
    pose = Pose(
        SKELETON, np.array(POINTS, np.float32), np.array([confidence], np.float32)
    )
    return Step(
        "arena",
        index,
        now,
        now,
        now + 4_000_000,
        now + 5_000_000,
        now + 6_000_000 if commands else 0,
        pose,
        triggers or {},
        commands,
        "",
        lost,
    )


class StillCamera(Camera):
    """Stands in the settings only; nobody opens it."""

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        raise NotImplementedError
        yield


class Lamp(Output):
    """Stands in the settings only; nobody opens it."""

    @contextmanager
    def opened(self) -> Iterator[Write]:
        raise NotImplementedError
        yield


def make_settings(*cameras: str) -> Settings:
    """Return a rig with a region around the nose that a step has, and one elsewhere."""
    regions = {"here": Circle(60, 40, 15), "there": Rectangle(100, 60, 40, 30)}
    return Settings(
        Streaming(),
        PoseEstimation(),
        ExperimentRun(),
        Video(),
        Recording(),
        {name: StillCamera() for name in cameras},
        {"stimulus": Lamp()},
        {},
        {
            name: Maker(InsideRegion, {"bodyparts": ("nose",), "region": region})
            for name, region in regions.items()
        },
        {},
        Path(),
        "",
        Subject(),
        Animals(),
    )


class FakeSession:
    """Does at once what it is asked; everything else is put in by the test."""

    def __init__(self, *cameras: str, shape: tuple[int, ...] = (100, 160)) -> None:
        self.cameras = cameras or ("arena",)
        self.settings = make_settings(*self.cameras)
        self.used = self.settings
        self.shape = shape
        self.formats = {name: ImageFormat(shape, 30.0) for name in self.cameras}
        self.skeleton: Skeleton | None = SKELETON
        self.thresholds = Thresholds(0.5)
        self.provider = "CPUExecutionProvider"
        self.dials: dict[str, tuple[CameraControl, ...]] = {}
        self.tested: list[str] = []
        self.adjusted: list[tuple[str, str, str]] = []
        self.identity: dict[str, IdentityState] = {}
        self.told_who: list[tuple[str, tuple[str, ...]]] = []
        self.counts: dict[str, Counts] = {}
        self.run_folder: Path | None = None
        self.vitals: SystemStatus | None = None
        self.levels: dict[str, float] = {}
        self.edges: dict[str, Edge] = {}
        self.acknowledged: dict[str, Acknowledged] = {}
        self.proofs: tuple[WatchdogChecked, ...] = ()
        self.stamps: dict[str, Stamp] = {}
        self.stream_start_ns = 0
        self.alarms: tuple[Alarm, ...] = ()
        self.status = Status()
        self.news: list[News] = []
        self.asked: list[Action] = []
        self.closed = False
        self.grey = 40

    def acknowledge(self) -> None:
        self.alarms = ()

    @property
    def allowed(self) -> frozenset[Action]:
        return allowed(self.status)

    def do(self, action: Action) -> None:
        self.asked.append(action)
        if action not in self.allowed:
            self.news.append(Failed(f"{action.value} is not possible now."))
            return
        if action is Action.STOP_STREAM:
            self.levels = {}
            self.put(Status())
        else:
            self.put(replace(self.status, **_NEXT[action]))

    def adjust(self, camera: str, key: str, word: str) -> None:
        self.adjusted.append((camera, key, word))

    def test(self, output: str) -> None:
        self.tested.append(output)

    def say_who(self, camera: str, exchanged: Sequence[str] = ()) -> None:
        self.told_who.append((camera, tuple(exchanged)))

    def put(self, status: Status) -> None:
        self.status = status
        self.news.append(StatusChanged(status))

    def note(self, kind: str, text: str) -> None:
        self.news.append(Note(kind, text, 0))

    def poll(self) -> list[News]:
        news, self.news = self.news, []
        return news

    def newest(self, camera: str) -> Frame | None:
        return self._frame(camera, 0)

    def image_of(self, step: Step) -> Frame | None:
        return self._frame(step.camera, step.index)

    def close(self) -> None:
        self.closed = True

    def _frame(self, camera: str, index: int) -> Frame:
        image = np.full(self.shape, self.grey, np.uint8)
        return Frame(camera, index, index, index, image)
