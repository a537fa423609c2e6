"""Fake session: `poll` returns what a test puts in; no process is started."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PyQt5.QtGui import QColor

from deeplabstream.core.command import Command
from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.journal_entries import Note, Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.core.regions import Circle, Rectangle
from deeplabstream.engine.session.messages import NetworkReady
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import (
    Action,
    Failed,
    News,
    Phase,
    SessionState,
    StateChanged,
)
from deeplabstream.plugins.camera import Camera, CameraStream
from deeplabstream.plugins.output import Output, Write
from deeplabstream.recording.run_folder import ModelFacts
from deeplabstream.settings.animals import Animals
from deeplabstream.settings.fields import Maker
from deeplabstream.settings.sections import (
    ExperimentRun,
    Measures,
    PoseEstimation,
    Recording,
    Settings,
    Streaming,
    Video,
)
from deeplabstream.settings.subject import Subject
from experiments.triggers.region_triggers import InsideRegion

IDLE = SessionState()
EVERY_STATE = [
    SessionState(phase, *flags)
    for phase in Phase
    for flags in product((False, True), repeat=4)
]
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
    Action.ARM: {"armed": True},
    Action.DISARM: {"armed": False},
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
        Measures(),
    )


class FakeSession(RigSession):
    """Does at once what is requested; a test puts everything else into `state`."""

    def __init__(self, *cameras: str, shape: tuple[int, ...] = (100, 160)) -> None:
        names = cameras or ("arena",)
        super().__init__(make_settings(*names))
        self.shape = shape
        facts = ModelFacts("fake", "", 0.5, provider="CPUExecutionProvider")
        self.state = SessionState(
            formats={name: ImageFormat(shape, 30.0) for name in names},
            network=NetworkReady(SKELETON, facts),
            used_settings=self.settings,
        )
        self.tested: list[str] = []
        self.adjusted: list[tuple[str, str, str]] = []
        self.identities_set: list[tuple[str, tuple[str, ...]]] = []
        self.news: list[News] = []
        self.asked: list[Action] = []
        self.closed = False
        self.grey = 40

    def update(self, **changes: Any) -> None:
        """Change fields of the state; `skeleton` is that of the network."""
        if "skeleton" in changes:
            skeleton, network = changes.pop("skeleton"), self.state.network
            assert network is not None
            changes["network"] = skeleton and replace(network, skeleton=skeleton)
        self.state = replace(self.state, **changes)

    def do(self, action: Action) -> None:
        self.asked.append(action)
        if action not in self.state.allowed:
            self.news.append(Failed(f"{action.value} is not possible now."))
            return
        if action is Action.STOP_STREAM:
            self.update(levels={})
            self.put(IDLE)
        else:
            self.put(replace(self.state, **_NEXT[action]))

    def adjust(self, camera: str, key: str, word: str) -> None:
        self.adjusted.append((camera, key, word))

    def test(self, output: str) -> None:
        self.tested.append(output)

    def set_identity(self, camera: str, exchanged: Sequence[str] = ()) -> None:
        self.identities_set.append((camera, tuple(exchanged)))

    def put(self, state: SessionState) -> None:
        """Take phase and activity of `state`; all else remains."""
        self.update(
            phase=state.phase,
            network_ready=state.network_ready,
            analysing=state.analysing,
            experimenting=state.experimenting,
            recording=state.recording,
            experiment_starting=state.experiment_starting,
            unrecorded=state.unrecorded,
            armed=state.armed,
        )
        self.news.append(StateChanged(self.state))

    def note(self, kind: str, text: str) -> None:
        self.news.append(Note(kind, text, 0))

    def poll(self) -> list[News]:
        news, self.news = self.news, []
        return news

    def newest(self, camera: str) -> Frame | None:
        return self._frame(camera, 0)

    def image_of(self, step: Step) -> Frame | None:
        return self._frame(step.camera, step.index)

    def close(self, how: str = "stopped") -> None:
        self.closed = True

    def _frame(self, camera: str, index: int) -> Frame:
        image = np.full(self.shape, self.grey, np.uint8)
        return Frame(camera, index, index, index, image)
