"""A recorded run decided again, from its poses alone: no video, no network, no outputs."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from core.clock import ManualClock
from core.errors import DeviceError
from core.frame import Frame, Image
from core.pose import Pose, Skeleton
from core.record import Step
from engine.loop import Loop
from engine.seeing import seeing_of
from engine.settings import Settings
from outputs.bank import opened
from outputs.simulated import simulated
from outputs.ticker import catch_up
from recording.run_folder import RunFolder

_NO_PICTURE: Image = np.zeros((1, 1), np.uint8)


@dataclass
class _Recorded:
    """An estimator that gives the pose that was recorded."""

    skeleton: Skeleton
    threshold: float
    provider: str = "record"
    sha256: str = ""
    pose: Pose | None = None

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        return [self.pose] * len(images) if self.pose else []


@dataclass
class _Told:
    """A classifier that tells the behaviours that were recorded."""

    unit: Literal["px", "mm"] = "px"
    behaviours: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, float] = field(default_factory=dict)

    def look(self, pose: Pose, time_s: float) -> Mapping[str, float]:
        return self.behaviours

    def forget(self) -> None:
        """Remember nothing."""


def decide_again(
    settings: Settings, folder: RunFolder, throughout: bool = False
) -> Iterator[tuple[Step, Step]]:
    """Yield each analysed frame as it was recorded, and as `settings` decide it now.

    The clock stands where it stood when a frame had been posed, so that frames too old
    then are too old now. An experiment begins and ends where it did; with `throughout`
    it begins with the first frame, whether one ran then or not.
    """
    facts = folder.facts
    start_ns = int(facts["start_ns"])
    if facts["model"] is None:
        raise DeviceError(f"nothing was analysed in {folder.path}")
    network = _Recorded(folder.skeleton, folder.thresholds.usual)
    told, clock, deciding = _Told(), ManualClock(), settings.deciding_camera
    outputs = simulated(settings.outputs)
    ignore = [].append  # type: ignore[var-annotated]
    with opened(outputs, clock, ignore) as bank:
        rules = settings.experiment
        loop = Loop(
            network,
            rules,
            deciding,
            clock,
            ignore,
            start_ns,
            seeing=seeing_of(
                settings,
                folder.thresholds,
                {camera: [told] for camera in settings.cameras},
            ),
            inputs=lambda: told.inputs,
        )
        loop.ask(settings.new_triggers())
        running = False
        for recorded in _in_order(settings, folder):
            runs = throughout or bool(recorded.status)
            if recorded.camera == deciding and runs is not running:
                running = not running
                if running:
                    loop.begin(settings.new_experiment(), settings.new_triggers(), bank)
                else:
                    loop.end()
            catch_up(bank, clock, recorded.posed_ns)
            network.pose, told.inputs = recorded.pose, recorded.inputs
            told.behaviours = recorded.behaviours
            yield recorded, loop.step(_frame(recorded))
        loop.end()


def _in_order(settings: Settings, folder: RunFolder) -> Iterator[Step]:
    """Yield the steps of all cameras in the order in which the engine took them."""
    cameras = [name for name in settings.asked_of() if folder.table_path(name).exists()]
    steps = (folder.steps(name) for name in cameras)
    return heapq.merge(*steps, key=lambda step: step.posed_ns)


def _frame(step: Step) -> Frame:
    return Frame(step.camera, step.index, step.exposed_ns, step.arrived_ns, _NO_PICTURE)
