"""A loop with a hand-moved clock and an estimator that sees what it is told."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Mark, TriggerName, on
from deeplabstream.core.frame import Frame, Image
from deeplabstream.core.journal_entries import Edge, Entry, Note, Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.core.regions import Circle
from deeplabstream.engine.loop import Loop, run
from deeplabstream.engine.output_bank import OutputBank, opened
from deeplabstream.engine.plate_watch import PlateKnown
from deeplabstream.plugins.experiment import Experiment, Plan, during, until
from deeplabstream.settings.sections import ExperimentRun
from experiments.triggers.region_triggers import InsideRegion
from outputs.simulated_output import SimulatedOutput

SKELETON = Skeleton(("snout",))
MS = 1_000_000
IN, OUT, LOST = (50.0, 50.0), (200.0, 200.0), None
Place = tuple[float, float] | None


@dataclass
class Script:
    """An estimator that sees what it was told, one place a call."""

    places: Iterator[Place]
    skeleton: Skeleton = SKELETON
    threshold: float = 0.5
    provider: str = "script"
    sha256: str = ""

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        place = next(self.places)
        points = np.array([[place or (1.0, 1.0)]], np.float32)
        return [
            Pose(SKELETON, points, np.array([[float(place is not None)]], np.float32))
        ]


@settings(kw_only=True)
class LightInside(Experiment):
    trigger: TriggerName = TriggerName("inside")

    def plan(self) -> Plan[None]:
        while True:
            yield from until(self.trigger)
            yield on("light")
            yield Mark("lit")
            yield from during(self.trigger)
            yield on("light", 0.0)


@dataclass
class Rig:
    """A loop with a hand-moved clock, one output and 100 frames a second."""

    loop: Loop
    bank: OutputBank
    light: SimulatedOutput
    clock: ManualClock
    entries: list[Entry]
    index: int = 0
    steps: list[Step] = field(default_factory=list)

    def show(self, frames: int = 1, late_ms: float = 0) -> None:
        for _ in range(frames):
            time_ns = self.index * 10 * MS
            self.clock.set(max(self.clock.now_ns(), time_ns + round(late_ms * MS)))
            frame = Frame(
                "top", self.index, time_ns, time_ns, np.zeros((4, 4), np.uint8)
            )
            run([[frame]], self.loop, self.steps.append)
            self.index += 1

    @property
    def level(self) -> float:
        return self.bank.levels["light"]

    def causes(self) -> list[str]:
        return [
            e.cause for e in self.entries if isinstance(e, Edge) and e.cause != "open"
        ]

    def notes(self) -> str:
        return "\n".join(e.text for e in self.entries if isinstance(e, Note))


@contextmanager
def rig(
    places: Sequence[Place],
    experiment: Experiment | None = None,
    overwritten: Sequence[int] = (),
    hygiene: Mapping[str, Any] | None = None,
    plate: PlateKnown | None = None,
    **rules: float,
) -> Iterator[Rig]:
    clock, entries, light = ManualClock(), list[Entry](), SimulatedOutput()
    run_rules = ExperimentRun(lost_ms=100, patience_s=0.5, **rules)
    with opened({"light": light}, clock, entries.append) as bank:
        loop = Loop(
            Script(iter(places)),
            run_rules,
            "top",
            clock,
            entries.append,
            0,
            lambda frame: frame.index not in overwritten,
            plate=plate,
        )
        tidy: Any = {"bodyparts": ("snout",), "region": Circle(50, 50, 9)}
        triggers = {"inside": InsideRegion(**tidy, **(hygiene or {}))}
        loop.begin(experiment or LightInside(), triggers, bank)
        yield Rig(loop, bank, light, clock, entries)
    assert light.levels[-1] == 0.0
