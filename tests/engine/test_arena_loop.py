"""Decisions of each arena: one's error, end or lost animal leaves the others as they are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Mark, OutputName, Set, TriggerName, off, on
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Frame, Image
from deeplabstream.core.journal_entries import Edge, Entry, Note, Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.output_bank import OutputBank, opened
from deeplabstream.engine.session.session_state import last_line
from deeplabstream.plugins.experiment import Experiment, ObservationRequest, Plan
from deeplabstream.plugins.output import Output, Write
from deeplabstream.settings.fields import Maker
from deeplabstream.settings.loading import Settings, parse
from experiments.triggers.region_triggers import InsideRegion

RIG = """
[Pose Estimation]
MODEL = background
[Arenas]
ROWS = 1
COLUMNS = 3
CORNERS = 100 100, 300 100
SHAPE = circle 40
[Camera top]
KIND = SimulatedCamera
[Trigger right]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle 0 -40 40 80
[Trigger corner]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle 30 -40 10 80
[Output light.A1]
KIND = SimulatedOutput
[Output light.A2]
KIND = SimulatedOutput
[Output light.A3]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = place
LOST_MS = 100
[Experiment place]
KIND = Conditional
TRIGGER = right
OUTPUT = light
MAX_ON_S = 1000
REST_S = 0
"""
ARENAS = "A1", "A2", "A3"
SKELETON = Skeleton(("centre",), animals=ARENAS)
LEFT, RIGHT, CORNER, LOST = -20.0, 20.0, 35.0, float("nan")


@settings(kw_only=True)
class Following(Experiment):
    """Switch the light on while the trigger holds; break in one way at `breaks_s`."""

    trigger: TriggerName
    light: OutputName
    breaks_s: float = 1e9
    how: str = ""

    def plan(self) -> Plan[None]:
        yield Mark("begins")
        while True:
            seen = yield ObservationRequest.NEXT
            if seen.time_s >= self.breaks_s and self.how == "level":
                yield Set(self.light, 7.0)
            elif seen.time_s >= self.breaks_s and self.how == "other":
                yield on(OutputName("light.A3"))
            elif seen.time_s >= self.breaks_s:
                raise ZeroDivisionError("broken plan")
            yield on(self.light) if seen.holds(self.trigger) else off(self.light)


@settings(kw_only=True)
class Breaking(InsideRegion):
    """Breaks when the animal is in A2."""

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        if self.animal == "A2":
            raise ZeroDivisionError("broken trigger")
        return super().holds(pose, time_s)


@settings(frozen=True, kw_only=True)
class Stuck(Output):
    """Fails when it is switched off for the first time."""

    @contextmanager
    def opened(self) -> Iterator[Write]:
        levels: list[float] = []

        def write(level: float) -> None:
            levels.append(level)
            if levels[-2:] == [1.0, 0.0] and levels.count(0.0) == 2:
                raise DeviceError("COM3 is gone")

        yield write


@dataclass
class Shown:
    """An estimator that sees the places it is told, px right of each arena's centre."""

    skeleton: Skeleton = SKELETON
    threshold: float = 0.5
    provider: str = "shown"
    sha256: str = ""
    places: Sequence[float] = (LEFT, LEFT, LEFT)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        x = np.array([100.0, 200.0, 300.0]) + self.places
        points = np.stack([x, np.full(3, 100.0)], axis=-1)[:, None].astype(np.float32)
        found = np.isfinite(points[..., 0]).astype(np.float32)
        return [Pose(SKELETON, points, found)]


@dataclass
class Rig:
    """A loop of three arenas at 100 frames a second."""

    loop: Loop
    bank: OutputBank
    seen: Shown
    clock: ManualClock
    entries: list[Entry] = field(default_factory=list)
    index: int = 0

    def show(self, *places: float, frames: int = 2) -> Step:
        """Show frames with these places; return the last step."""
        self.seen.places = places
        for _ in range(frames):
            time_ns = self.index * 10_000_000
            self.clock.set(time_ns)
            image = np.zeros((4, 4), np.uint8)
            step = self.loop.step(Frame("top", self.index, time_ns, time_ns, image))
            self.index += 1
        return step

    @property
    def lit(self) -> list[bool]:
        return [self.bank.levels[f"light.{arena}"] > 0 for arena in ARENAS]

    def notes(self, kind: str) -> list[str]:
        notes = [entry for entry in self.entries if isinstance(entry, Note)]
        return [note.text for note in notes if note.kind == kind]

    def causes(self, arena: str) -> list[str]:
        edges = [entry for entry in self.entries if isinstance(entry, Edge)]
        return [edge.cause for edge in edges if edge.output == f"light.{arena}"][1:]


@contextmanager
def running(rig: Settings, **breaking: dict[str, object]) -> Iterator[Rig]:
    """Run a rig; `breaking`: other values of the experiment `Following`, by arena."""
    clock, entries, seen = ManualClock(), list[Entry](), Shown()
    experiments = rig.new_experiments()
    for arena, values in breaking.items():
        names = {"trigger": f"right.{arena}", "light": f"light.{arena}"}
        experiments[arena] = Maker(Following, {**names, **values})()
    with opened(rig.outputs, clock, entries.append) as bank:
        loop = Loop(
            seen,
            rig.experiment,
            "top",
            clock,
            entries.append,
            0,
            arenas=rig.arenas,
        )
        loop.begin(experiments, rig.new_triggers(), bank)
        yield Rig(loop, bank, seen, clock, entries)


def rig(text: str = RIG) -> Settings:
    return parse(text, Path())


def test_a_lost_animal_switches_off_the_outputs_of_its_arena_only() -> None:
    with running(rig()) as it:
        it.show(RIGHT, RIGHT, LEFT)
        assert it.lit == [True, True, False]
        step = it.show(RIGHT, LOST, LEFT, frames=9)
        assert it.lit == [True, True, False]
        assert not step.lost
        it.show(RIGHT, LOST, RIGHT, frames=3)
        assert it.lit == [True, False, True]
        assert it.causes("A2")[-1] == "lost"
        (note,) = it.notes("tracking")
        assert note.startswith("arena A2 is lost: outputs are off until")
        it.show(RIGHT, LEFT, RIGHT)
        it.show(RIGHT, RIGHT, RIGHT)
        assert it.lit == [True, True, True]


def test_a_frame_is_lost_when_the_animals_of_all_running_arenas_are() -> None:
    text = RIG.replace("EXP_NAME", "STOP_TRIGGER = corner\nEXP_NAME")
    with running(rig(text)) as it:
        assert not it.show(RIGHT, LOST, LOST).lost
        assert it.show(LOST, LOST, LOST).lost
        it.show(CORNER, LOST, LOST)
        assert it.show(RIGHT, LOST, LOST).lost, "A1 has ended"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("", "ZeroDivisionError: broken plan"),
        ("level", "the level must be from 0 to 1"),
        ("other", "[Output light.A3] is not of arena A2"),
    ],
)
def test_an_error_of_a_plan_ends_its_arena_only(how: str, said: str) -> None:
    breaking = {"A2": {"breaks_s": 0.05, "how": how}, "A3": {}}
    with running(rig(), **breaking) as it:
        it.show(RIGHT, RIGHT, LEFT)
        assert it.lit == [True, True, False]
        it.show(RIGHT, RIGHT, RIGHT, frames=8)
        assert it.lit == [True, False, True]
        assert it.causes("A2")[-1] == "error"
        assert it.notes("error") == []
        (error,) = it.notes("alarm")
        alarm = last_line(error)
        assert alarm.startswith("arena A2: ")
        assert said in alarm
        (ended,) = it.notes("arena")
        assert ended.startswith("A2: failed: ")
        assert it.loop.experimenting
        assert it.bank.fault == ""
        it.loop.end()
        assert it.lit == [False, False, False]


def test_an_error_of_a_trigger_ends_its_arena_only() -> None:
    settings = rig()
    triggers = {
        name: Maker(Breaking, maker.values) if name.startswith("right") else maker
        for name, maker in settings.triggers.items()
    }
    with running(replace(settings, triggers=triggers)) as it:
        step = it.show(RIGHT, RIGHT, RIGHT)
        assert it.lit == [True, False, True]
        assert "right.A2" not in step.triggers
        (error,) = it.notes("alarm")
        assert "broken trigger" in error
        assert it.notes("arena") == ["A2: failed: broken trigger"]


def test_an_experiment_whose_arenas_have_all_ended_is_over() -> None:
    text = RIG.replace("EXP_NAME", "STOP_TRIGGER = corner\nEXP_NAME")
    with running(rig(text), A1={"breaks_s": 0.0}) as it:
        it.show(LEFT, RIGHT, CORNER)
        assert it.lit == [False, True, False]
        assert it.notes("arena") == [
            "A3: finished: [Trigger corner.A3] is true (STOP_TRIGGER)",
            "A1: failed: broken plan",
        ]
        it.show(LEFT, CORNER, CORNER)
        assert it.notes("experiment")[-1] == "finished; failed in A1"
        assert not it.loop.experimenting
        assert it.lit == [False, False, False]


def test_an_output_that_fails_switches_the_outputs_of_all_arenas_off() -> None:
    with running(rig()) as it:
        it.show(RIGHT, RIGHT, RIGHT)
        it.bank.switch_off_and_latch("[Output light.A1] broke", 0, "error")
        it.show(RIGHT, RIGHT, RIGHT)
        assert it.lit == [False, False, False]
        assert not it.loop.experimenting


@pytest.mark.parametrize("rule", ["STOP_TRIGGER = corner", "EXP_TIME_S = 0.03"])
def test_an_output_that_fails_at_the_end_ends_the_experiment_only(rule: str) -> None:
    settings = rig(RIG.replace("EXP_NAME", f"{rule}\nEXP_NAME"))
    outputs = {**settings.outputs, "light.A2": Stuck()}
    with running(replace(settings, outputs=outputs)) as it:
        it.show(RIGHT, RIGHT, RIGHT)
        assert it.lit == [True, True, True]
        it.show(RIGHT, CORNER, RIGHT)
        assert not it.loop.experimenting
        it.bank.tick(it.clock.now_ns() + 10**9)  # the timer repeats the 0
        assert it.lit == [False, False, False]
        assert it.notes("error") == ["[Output light.A2] COM3 is gone"]
        step = it.show(RIGHT, LEFT, RIGHT)
        assert (step.triggers["right.A1"], step.triggers["right.A2"]) == (True, False)


def test_marks_have_the_name_of_their_arena() -> None:
    with running(rig(), A1={}, A2={}) as it:
        step = it.show(LEFT, LEFT, LEFT, frames=1)
        texts = [it.text for it in step.commands if isinstance(it, Mark)]
        assert texts == ["A1: begins", "A2: begins"]
