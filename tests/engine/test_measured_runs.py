"""Measures so far decide, are shown, are written into the run, and are repeated by replays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from pydantic.dataclasses import dataclass as settings

from deeplabstream.analysis.analyse import RunResults, analyse
from deeplabstream.analysis.live_measures import LiveMeasures, LivePlan
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.region_list import RegionOfInterest
from deeplabstream.core.command import OutputName, TriggerName, on
from deeplabstream.core.journal_entries import Measured
from deeplabstream.core.pose import Pose
from deeplabstream.core.regions import Circle
from deeplabstream.engine.replay.rehearsal import rehearse
from deeplabstream.engine.replay.rerun import compare
from deeplabstream.plugins.experiment import Experiment, ObservationRequest, Plan
from deeplabstream.plugins.trigger import ContextTrigger, TriggerContext
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.loading import load, parse
from deeplabstream.settings.ready_made import CONFIGS
from experiments.triggers.measure import Measure
from experiments.triggers.region_triggers import InsideRegion
from tests.engine.loop_rig import IN, LOST, OUT, SKELETON, LightInside, Rig, rig
from tests.engine.test_video_replay import SETTINGS, run_into

ENDS = """
[Trigger long inside]
KIND = Measure
MEASURE = region_time
REGION_OF = spot
VALUE = 0.4
"""
STOPPING = SETTINGS.replace(
    "EXP_NAME = Conditional", "EXP_NAME = Conditional\nSTOP_TRIGGER = long inside"
)


def ends_of(folder: RunFolder) -> list[str]:
    rows = folder.events()
    return [
        row["text"]
        for row in rows
        if (row["kind"], row["name"]) == ("note", "experiment")
    ]


def same_as_results(folder: RunFolder, results: RunResults) -> int:
    """Compare the measures in run.json with the results; return how many there are."""
    (recorded,) = folder.facts["measures"]
    names = {f"animal{n + 1}": name for n, name in enumerate(results.tracks)}
    for each in recorded["values"]:
        animal = names.get(each["animal"], next(iter(results.tracks)))
        expected = results.value(each["measure"], each["of"], animal)
        value = np.nan if each["value"] is None else each["value"]
        assert value == pytest.approx(expected, rel=1e-5, abs=1e-5, nan_ok=True), each
    return len(recorded["values"])


def test_a_run_ends_itself_after_its_time_in_a_region(tmp_path: Path) -> None:
    folder = run_into(tmp_path / "run", text=STOPPING + ENDS)
    assert ends_of(folder) == [
        "started",
        "finished: [Trigger long inside] is true (STOP_TRIGGER)",
    ]
    rows = list(folder.steps("top"))
    running = [bool(step.status) for step in rows]
    last = running.index(False) - 1
    assert [step.triggers["long inside"] for step in rows[: last + 1]] == [
        *[False] * last,
        True,
    ]
    inside = [step.triggers["spot"] for step in rows]
    assert sum(inside[:last]) == 13  # intervals of 1 / 30 s: 0.4 s and the next frame
    assert rows[last].commands == ()
    levels = [float(row["level"]) for row in folder.events() if row["kind"] == "edge"]
    assert levels[-1] == 0


def test_a_run_that_ended_itself_is_repeated_byte_for_byte(tmp_path: Path) -> None:
    text = STOPPING + ENDS
    one, two = (run_into(tmp_path / name, text=text) for name in ("one", "two"))
    for name in ("top.csv", "triggers.csv", "events.csv"):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()
    assert one.facts["measures"] == two.facts["measures"]
    again = compare(parse(text, one.path), one)
    assert again.same
    assert not +again.other_answers
    later = compare(parse(text.replace("0.4", "0.3"), one.path), one)
    assert later.other_answers["long inside"] > 0


def test_the_measures_of_a_run_are_those_of_its_results(tmp_path: Path) -> None:
    folder = run_into(tmp_path / "run", text=SETTINGS + ENDS)
    (recorded,) = folder.facts["measures"]
    assert (recorded["experiment"], recorded["camera"]) == ("Conditional", "top")
    assert recorded["unit"] == "px"
    start_s, end_s = recorded["start_s"], recorded["end_s"]
    options = AnalysisOptions(start_s=start_s, end_s=end_s)
    assert same_as_results(folder, analyse(folder.path, options)) == 5 + 7 + 5


def test_what_tracking_rejects_counts_neither_live_nor_in_the_results(
    tmp_path: Path,
) -> None:
    text = f"{SETTINGS}[Tracking]\nMAX_SPEED = 500\nHOLD_MS = 100\n"
    folder = run_into(tmp_path / "run", text=text)
    (recorded,) = folder.facts["measures"]
    options = AnalysisOptions(start_s=recorded["start_s"], end_s=recorded["end_s"])
    results = analyse(folder.path, options)
    live = {each["measure"]: each["value"] for each in recorded["values"]}
    filled = results.value("interpolated")
    assert filled > 0
    assert live["tracked"] == pytest.approx(
        results.value("tracked") * (1 - filled), abs=1e-5
    )
    assert live["distance"] < results.value("distance")


def test_without_an_experiment_the_measures_of_the_analysis_are_kept(
    tmp_path: Path,
) -> None:
    folder = run_into(tmp_path / "run", experiment=False)
    (recorded,) = folder.facts["measures"]
    assert recorded["experiment"] == ""
    assert {each["measure"] for each in recorded["values"]} >= {
        "distance",
        "region_time",
    }


@pytest.mark.parametrize("seed", [2, 3])
def test_light_is_in_the_half_that_was_visited_less(tmp_path: Path, seed: int) -> None:
    text = (CONFIGS / "less_visited_half.ini").read_text("utf-8")
    text = text.replace("= 300", "= 20").replace("../../output", "output")
    text = text.replace(
        "KIND = SimulatedCamera", "KIND = SimulatedCamera\nRATE = 15\nSHELTER = no"
    )
    folder, steps = rehearse(
        parse(text, tmp_path), tmp_path / "run", seconds=60, seed=seed
    )
    before = [s for s in steps if s.exposed_ns < 20e9]
    after = [s for s in steps if s.exposed_ns > 21e9]
    left = [s.triggers["left half"] for s in before]
    less = "left half" if left.count(True) < left.count(False) else "right half"
    assert not any(s.triggers["in the less visited half"] for s in before)
    for step in after:
        assert step.triggers["in the less visited half"] is step.triggers[less]
    assert any(step.commands for step in after)
    assert compare(load(folder.path / "settings.ini"), folder).same
    (recorded,) = folder.facts["measures"]
    options = AnalysisOptions(start_s=recorded["start_s"], end_s=recorded["end_s"])
    assert same_as_results(folder, analyse(folder.path, options)) > 18


def measure(it: Rig) -> None:
    """End the experiment; the next one has measures."""
    region = RegionOfInterest("inside", Circle(50, 50, 9), bodyparts=("snout",))
    plan = LivePlan(SKELETON, 0.5, regions=(region,), names={"inside": "inside"})
    it.loop.end()
    it.loop._measuring = lambda: LiveMeasures(plan)


def test_a_lost_animal_switches_off_what_a_measure_keeps_on() -> None:
    """Its measures stand still, so the comparison would stay true for ever."""
    below = Measure(
        measure="region_time",
        region_of=TriggerName("inside"),
        comparison="below",
        value=1000.0,
    )
    with rig([*[IN] * 5, *[LOST] * 20, *[IN] * 2]) as it:
        measure(it)
        it.loop.begin(
            LightInside(trigger=TriggerName("below")), {"below": below}, it.bank
        )
        it.show(5)
        assert it.level == 1
        it.show(9)
        assert it.steps[-1].triggers == {"below": None}
        assert it.steps[-1].lost
        it.show(3)
        assert it.level == 0
        assert "lost" in it.causes()
        it.show(10)
        assert it.steps[-1].triggers == {"below": True}
        assert it.level == 0, "only a new command switches it on"


@settings(kw_only=True)
class LightUntilHalf(Experiment):
    """Light from the third entry on, until the animal was inside for a time."""

    trigger: TriggerName = TriggerName("inside")

    def plan(self) -> Plan[None]:
        while True:
            seen = yield ObservationRequest.NEXT
            if seen.measures.value("region_entries", self.trigger) >= 2:
                yield on(OutputName("light"))
            if seen.measures.value("region_time", self.trigger) >= 0.06:
                return


def test_a_plan_reads_the_measures_of_the_present_frame() -> None:
    places = [OUT, IN, IN, OUT, IN, IN, IN, IN, IN, IN]
    with rig(places) as it:
        measure(it)
        it.loop.begin(
            LightUntilHalf(),
            {"inside": InsideRegion(bodyparts=("snout",), region=Circle(50, 50, 9))},
            it.bank,
        )
        it.show(4)
        assert it.level == 0
        it.show(1)
        assert it.level == 1, "on the frame of the second entry"
        it.show(5)
        assert not it.loop.experimenting
        last = next(n for n, step in enumerate(it.steps) if not step.status) - 1
        assert last == 8  # 2 intervals inside until frame 3, 4 more until frame 8


def test_measures_begin_again_with_each_experiment() -> None:
    with rig([IN] * 12) as it:
        measure(it)
        triggers = {
            "inside": InsideRegion(bodyparts=("snout",), region=Circle(50, 50, 9))
        }
        it.loop.begin(LightInside(), triggers, it.bank)
        it.show(6)
        it.loop.end()
        it.loop.begin(LightInside(), triggers, it.bank)
        it.show(3)
        it.loop.end()
        last = [entry for entry in it.entries if isinstance(entry, Measured)][-1]
        values = {(measure, of): value for _, measure, of, value in last.values}
        assert values["region_time", "inside"] == pytest.approx(0.02)
        assert values["pulses", "light"] == 1


class Noting(LiveMeasures):
    """Notes the output's level when a frame is added; fails at one frame."""

    def __init__(self, of: Rig, fails_at: int = -1) -> None:
        super().__init__(LivePlan(SKELETON, 0.5))
        self.of, self.fails_at = of, fails_at
        self.levels: list[float] = []

    def add(
        self, time_s: float, pose: Pose, flags: Mapping[str, str] | None = None
    ) -> None:
        self.levels.append(self.of.level)
        if len(self.levels) == self.fails_at:
            raise ZeroDivisionError("at a measure")
        super().add(time_s, pose, flags)


def begin_noted(it: Rig, measures: Noting) -> None:
    it.loop.end()
    it.loop._measuring = lambda: measures
    triggers = {"inside": InsideRegion(bodyparts=("snout",), region=Circle(50, 50, 9))}
    it.loop.begin(LightInside(), triggers, it.bank)


def test_measures_that_nothing_reads_wait_until_the_outputs_are_written() -> None:
    with rig([OUT, IN, IN, OUT]) as it:
        measures = Noting(it)
        begin_noted(it, measures)
        it.show(4)
        assert measures.levels == [0, 1, 1, 0], "once per frame"


@settings(kw_only=True)
class Reading(ContextTrigger):
    """Reads a measure; `breaks`: has a mistake of its own before."""

    breaks: bool = False

    def evaluate(self, context: TriggerContext, time_s: float) -> bool | None:
        if self.breaks:
            raise KeyError("in the trigger")
        return context.measures.value("region_entries", "inside") > 0


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (
            False,
            "computing the measures so far failed: ZeroDivisionError: at a measure",
        ),
        (True, "[Trigger reads] failed: KeyError: 'in the trigger'"),
    ],
)
def test_the_first_error_is_reported_for_what_has_failed(
    breaks: bool, said: str
) -> None:
    with rig([IN]) as it:
        begin_noted(it, Noting(it, fails_at=1))
        it.loop._evaluator.begin({"reads": Reading(breaks=breaks)})
        it.show(1)
        assert it.notes().splitlines()[-1] == said
        assert it.notes().count(" failed: ") == 1


def test_a_measure_that_fails_ends_the_experiment_with_everything_off() -> None:
    with rig([OUT, IN, IN]) as it:
        begin_noted(it, Noting(it, fails_at=2))
        it.show(2)
        assert it.level == 0 and not it.loop.experimenting
        assert "ZeroDivisionError: at a measure" in it.notes()
        it.show(1)
        assert it.steps[-1].triggers == {}
