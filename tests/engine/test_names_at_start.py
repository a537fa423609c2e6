"""The names of several animals outlast the start of an experiment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.core.journal_entries import ANALYSIS_STARTED, Note
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.identity_reporting import identities_of
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.engine.replay.rerun import rerun_decisions
from deeplabstream.pose.per_camera import thresholds_of
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import parse
from deeplabstream.simulation.virtual_output import virtual_outputs
from tests.pose.crowd import FLY, flies

FRAMES, SWAPPED, BEGUN, AGAIN = 150, 60, 63, 110
"""Frames in all; before which the names are swapped, the experiment and the analysis begin."""
SETTINGS = """
[Pose Estimation]
MODEL = stand-in:0:2
[Animals]
NAMES = anna, bob
[Experiment]
EXP_NAME = Conditional
[Camera top]
KIND = SimulatedCamera
[Trigger left]
KIND = InsideRegion
ANIMAL = anna
BODYPARTS = thorax
REGION = rectangle 0 0 256 512
[Output light]
KIND = SimulatedOutput
[Experiment Conditional]
TRIGGER = left
OUTPUT = light
MAX_ON_S = 0.2
REST_S = 0.1
"""


@dataclass
class _Given:
    """A network that finds what it is given."""

    skeleton: Skeleton
    pose: Pose | None = None
    threshold: float = 0.5
    provider: str = "given"
    sha256: str = ""

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        return [self.pose] if self.pose is not None else []


def _record(folder: Path) -> tuple[RunFolder, list[tuple[int, ...]]]:
    """Record a run; return it, and who has the first and the second name in each frame."""
    found = flies(FRAMES, apart_px=200, dropouts=0, missing=0, mixed=0)
    network = _Given(replace(FLY, animals=("anna", "bob")))
    settings = parse(SETTINGS, folder)
    triggers = tuple(settings.new_triggers())
    model = ModelFacts("given", "", network.threshold, network.provider)
    facts = RunFacts(0, {"top": ImageFormat((512, 512), 30.0)}, network.skeleton, model)
    made = RunFolder.create_at(folder, datetime.now(UTC), settings.text, facts)
    clock, owners = ManualClock(), list[tuple[int, ...]]()
    thresholds = thresholds_of(network)
    with (
        RunWriter(made, 0) as writer,
        opened(virtual_outputs(settings.outputs), clock, writer.entry) as bank,
    ):
        writer.begin("top", network.skeleton, triggers)
        loop = Loop(
            network,
            settings.experiment,
            "top",
            clock,
            writer.entry,
            zero_ns=0,
            identity_trackers=identities_of(settings, network.skeleton, thresholds),
        )
        loop.set_triggers(settings.new_triggers())
        for index, (time_s, image, pose, whose) in enumerate(found.frames(FRAMES)):
            at_ns = round(time_s * 1e9)
            catch_up(bank, clock, at_ns)
            if index == SWAPPED:
                loop.set_identity("top", (0, 1))
            elif index == BEGUN:
                experiment = settings.new_experiment()
                loop.begin(experiment, settings.new_triggers(), bank)
            elif index == AGAIN:
                loop.end()
                loop.set_triggers(settings.new_triggers())
                writer.entry(Note(*ANALYSIS_STARTED, clock.now_ns()))
            network.pose = pose
            catch_up(bank, clock, at_ns + 5_000_000)  # the time of the estimation
            step = loop.step(Frame("top", index, at_ns, at_ns, image))
            known = not any(map(step.pose.is_ambiguous, (0, 1)))
            owners.append(tuple(_owners(step.pose, pose, whose)) if known else ())
        loop.end()
    return made, owners


def _owners(named: Pose, raw: Pose, whose: Sequence[int]) -> Iterator[int]:
    for points in named.points:
        same = [np.array_equal(points, row, equal_nan=True) for row in raw.points]
        yield whose[same.index(True)]


def test_swapped_names_stay_swapped_when_the_experiment_starts(tmp_path: Path) -> None:
    _, owners = _record(tmp_path / "run")
    assert {(0, 1), (1, 0)} >= {owners[SWAPPED - 1]}
    assert set(owners[SWAPPED:AGAIN]) == {owners[SWAPPED - 1][::-1]}
    # a new analysis names the animals anew
    assert owners[AGAIN] == ()


def test_a_run_whose_names_were_swapped_before_its_experiment_is_decided_equally_again(
    tmp_path: Path,
) -> None:
    folder, _ = _record(tmp_path / "run")
    pairs = list(rerun_decisions(parse(SETTINGS, tmp_path), folder))
    assert len(pairs) == FRAMES
    assert sum(len(then.commands) for then, _ in pairs[BEGUN:AGAIN]) > 1
    for then, now in pairs:
        assert (then.commands, then.triggers) == (now.commands, now.triggers)
        assert (then.status, then.lost) == (now.status, now.lost)
        assert then.pose.identity == now.pose.identity
