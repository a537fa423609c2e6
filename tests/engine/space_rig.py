"""A loop whose cameras see a scripted point in space."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.frame import Frame, Image
from deeplabstream.core.journal_entries import Entry, Note, Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.core.space_pose import SpacePose
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.output_bank import OutputBank, opened
from deeplabstream.engine.pose_filtering import PoseFilter
from deeplabstream.engine.space_tracking import SpaceTracker
from deeplabstream.plugin import Answer, SpaceTrigger
from deeplabstream.plugins.trigger import Trigger
from deeplabstream.settings.sections import ExperimentRun
from deeplabstream.settings.space_section import Space
from deeplabstream.space.camera_group import CameraGroup
from outputs.simulated_output import SimulatedOutput
from tests.engine.loop_rig import MS, LightInside
from tests.space.cameras import four_cameras

SKELETON = Skeleton(("snout",))
PERIOD_MS = 10
LOW, HIGH = (10.0, 20.0, 5.0), (10.0, 20.0, 60.0)


@settings(kw_only=True)
class Above(SpaceTrigger):
    """Whether a body part is more than 40 mm above the floor."""

    def holds(self, pose: SpacePose, time_s: float) -> Answer:
        return all(z > 40 for _, _, z in pose.places(self.bodyparts))


@dataclass
class Views:
    """An estimator that returns the pixel that a test has set."""

    pixel: NDArray[np.float64] = field(default_factory=lambda: np.full(2, np.nan))
    skeleton: Skeleton = SKELETON
    threshold: float = 0.5
    provider: str = "script"
    sha256: str = ""

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        seen = np.isfinite(self.pixel).all()
        points = np.array([[self.pixel]], np.float32)
        return [Pose(SKELETON, points, np.array([[0.9 * seen]], np.float32))]


@dataclass
class SpaceRig:
    """A loop with a hand-moved clock, one output and cameras of 100 frames a second."""

    loop: Loop
    bank: OutputBank
    clock: ManualClock
    views: Views
    cameras: CameraGroup
    entries: list[Entry]
    steps: list[Step] = field(default_factory=list)

    def frame(
        self,
        camera: str,
        number: int,
        at: tuple[float, float, float] | None,
        late_ms: float = 0,
    ) -> Step:
        """Show a point in space, or nothing, to a camera; its exposure is 0.1 ms later each."""
        place = self.cameras.names.index(camera)
        self.views.pixel = np.full(2, np.nan)
        if at is not None:
            self.views.pixel = self.cameras.cameras[place].project(at)
        time_ns = round((number * PERIOD_MS + 0.1 * place) * MS)
        self.clock.set(max(self.clock.now_ns(), time_ns + round(late_ms * MS)))
        image = np.zeros((4, 4), np.uint8)
        step = self.loop.step(Frame(camera, number, time_ns, time_ns, image))
        self.steps.append(step)
        return step

    def moment(
        self,
        number: int,
        at: tuple[float, float, float] | None,
        without: Sequence[str] = (),
    ) -> Step:
        """Show a point to all cameras, but those `without`; return the last step."""
        shown = [name for name in self.cameras.names if name not in without]
        return [self.frame(name, number, at) for name in shown][-1]

    @property
    def level(self) -> float:
        return self.bank.levels["light"]

    def notes(self) -> str:
        return "\n".join(e.text for e in self.entries if isinstance(e, Note))


@contextmanager
def space_rig(
    names: Sequence[str] = ("left", "right", "front"),
    triggers: Mapping[str, Trigger] | None = None,
    decides: bool = True,
    rules: Space | None = None,
    pose_filter: PoseFilter | None = None,
    **limits: float,
) -> Iterator[SpaceRig]:
    """Open a loop whose experiment switches the light on while the snout is high."""
    clock, entries = ManualClock(), list[Entry]()
    cameras, views = four_cameras().select(names), Views()
    with opened({"light": SimulatedOutput()}, clock, entries.append) as bank:
        loop = Loop(
            views,
            ExperimentRun(**{"lost_ms": 100, "patience_s": 0.5, **limits}),  # type: ignore[arg-type]
            names[0],
            clock,
            entries.append,
            0,
            pose_filter=pose_filter,
            space=SpaceTracker(cameras, rules or Space(), decides),
        )
        above = {"inside": Above(bodyparts=("snout",))}
        loop.begin(LightInside(), above if triggers is None else triggers, bank)
        rig = SpaceRig(loop, bank, clock, views, cameras, entries)
        for number in range(3):
            rig.moment(number, LOW)
        yield rig
