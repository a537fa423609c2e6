"""A run that continues one that was broken off: its limits hold, and it can be re-run alone."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Mark
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.dose_accounts import OutputDoses
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.engine.replay.rerun import compare
from deeplabstream.engine.session.earlier_run import (
    EarlierRun,
    NothingToResumeError,
    newest_run,
)
from deeplabstream.recording.resumed_state import RESUMED, resumed_of
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings, effective
from deeplabstream.simulation.virtual_output import virtual_outputs
from tests.engine.loop_rig import IN, LOST, OUT, SKELETON, Place, Script

FRAME_NS = 125_000_000
"""8 frames a second: times are exact in binary, so that equal means equal."""
START_NS = 10**15
IMAGE: Image = np.zeros((4, 4), np.uint8)
DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
RIG = """
[Camera top]
KIND = SimulatedCamera
[Trigger spot]
KIND = InsideRegion
BODYPARTS = snout
REGION = circle 50 50 9
{limits}
[Output light]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = it
LOST_MS = 60000
[Experiment it]
{experiment}
"""
PULSES = "KIND = Triggered\nTRIGGER = spot\nOUTPUT = light\nPULSE_S = 0.1\nREST_S = 0"
VISITS = [IN, IN, OUT, OUT]


def rig(folder: Path, limits: str = "", experiment: str = PULSES) -> Settings:
    return parse(RIG.format(limits=limits, experiment=experiment), folder)


@dataclass
class Recorded:
    folder: RunFolder
    steps: list[Step]

    @property
    def marks(self) -> list[str]:
        commands = [command for step in self.steps for command in step.commands]
        return [command.text for command in commands if isinstance(command, Mark)]

    def onsets(self, first_ns: int) -> list[float]:
        """Return the times of the onsets, in s since a moment."""
        found, before = list[float](), False
        for step in self.steps:
            answer = step.answers["spot"] is True
            if answer and not before:
                found.append((step.exposed_ns - first_ns) / 1e9)
            before = answer
        return found


def record(
    path: Path,
    settings: Settings,
    places: Sequence[Place],
    first: int = 0,
    ends: str = "",
    zero: int | None = None,
    doses: Callable[[ManualClock], Mapping[str, OutputDoses]] | None = None,
) -> Recorded:
    """Record frames as a rig does; `ends`: how the experiment has ended, empty: by a kill.

    `first` is the first frame's place in the whole time, `zero` that of Start Stream; `doses`
    opens the doses of outputs with limits.
    """
    zero_ns = START_NS + (first if zero is None else zero) * FRAME_NS
    started = DAY + timedelta(microseconds=(zero_ns - START_NS) // 1000)
    model = ModelFacts("script", "", 0.5, "script")
    facts = RunFacts(
        zero_ns,
        {"top": ImageFormat((4, 4), 8.0)},
        SKELETON,
        model,
        {"started_ns": zero_ns, **effective(settings)},
    )
    made = RunFolder.create_at(path, started, settings.text, facts)
    clock, steps = ManualClock(), list[Step]()
    clock.set(zero_ns)
    triggers = settings.new_triggers()
    with (
        RunWriter(made, zero_ns) as writer,
        opened(
            virtual_outputs(settings.outputs),
            clock,
            writer.entry,
            doses(clock) if doses else None,
        ) as bank,
    ):
        writer.begin("top", SKELETON, tuple(triggers))
        loop = Loop(
            Script(iter(places)),
            settings.experiment,
            "top",
            clock,
            writer.entry,
            zero_ns,
            earlier_s=settings.earlier_s,
        )
        loop.begin(settings.new_experiments(), triggers, bank)
        for frame in frames(first, len(places)):
            catch_up(bank, clock, frame.time_ns)
            steps.append(loop.step(frame))
        if ends:
            loop.end(ends)
    if ends:
        made.finish(started, "stopped", ())
    return Recorded(made, steps)


def frames(first: int, count: int) -> Iterator[Frame]:
    for index in range(count):
        time_ns = START_NS + (first + index) * FRAME_NS
        yield Frame("top", index, time_ns, time_ns, IMAGE)


def resumed(before: Recorded, settings: Settings, at: int) -> Settings:
    """Return the settings of a stream that starts at a frame and continues a run."""
    since_ns = at * FRAME_NS
    started = DAY + timedelta(microseconds=since_ns // 1000)
    earlier = EarlierRun(before.folder.path)
    return earlier.resumed(settings, START_NS + since_ns, started)


def parts_in(root: Path) -> list[Recorded]:
    """Return the runs of a folder, read back."""
    folders = [RunFolder(path) for path in sorted(root.glob("run*"))]
    return [Recorded(folder, [*folder.steps("top")]) for folder in folders]


def in_parts(
    root: Path,
    settings: Settings,
    places: Sequence[Place],
    cuts: Sequence[int],
    ends: str = "",
) -> list[Recorded]:
    """Record the places in runs that continue each other, cut at these frames."""
    parts, used, first = list[Recorded](), settings, 0
    for number, cut in enumerate([*sorted({*cuts}), len(places)]):
        if number:
            used = resumed(parts[-1], settings, first)
        path = root / f"run{number}"
        parts.append(record(path, used, places[first:cut], first, ends))
        first = cut
    return parts


PLACES = st.lists(st.sampled_from([IN, IN, OUT, OUT, LOST]), min_size=2, max_size=60)
CUTS = st.lists(st.integers(1, 59), min_size=1, max_size=3)


@given(places=PLACES, cuts=CUTS, limits=st.sampled_from([
    "MAX_TOTAL_S = 2", "MAX_RATE_PER_MIN = 3", "REFRACTORY_S = 1.5",
    "PROBABILITY = 0.5\nSEED = 7", "PROBABILITY = 0.5\nMAX_RATE_PER_MIN = 5",
]))  # fmt: skip
def test_a_trigger_that_is_stopped_and_continued_counts_as_one_that_ran_on(
    places: list[Place], cuts: list[int], limits: str
) -> None:
    # an onset ends with its run: nothing else may differ, so no cut is within one
    cuts = [c for c in cuts if c < len(places) and IN not in places[c - 1 : c + 1]]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        settings = rig(root, limits)
        whole = record(root / "whole", settings, places)
        parts = in_parts(root, settings, places, cuts, ends="stopped")
        answers = [step.answers["spot"] for part in parts for step in part.steps]
        assert answers == [step.answers["spot"] for step in whole.steps]


@given(places=PLACES, cuts=CUTS)
def test_limits_of_a_trigger_hold_over_kills(
    places: list[Place], cuts: list[int]
) -> None:
    limits = "MAX_TOTAL_S = 4\nMAX_RATE_PER_MIN = 3\nREFRACTORY_S = 1"
    cuts = [cut for cut in cuts if cut < len(places)]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        parts = in_parts(root, rig(root, limits), places, cuts)
        onsets = [time_s for part in parts for time_s in part.onsets(START_NS)]
        # all of them are within a minute
        assert len(onsets) <= 3
        steps = [step for part in parts for step in part.steps]
        true_s = sum(step.answers["spot"] is True for step in steps) / 8
        assert true_s <= 4 + 1 / 8
        for part in parts:
            assert compare(parse(part.folder.settings_text, root), part.folder).same


EXPERIMENTS = {
    "pulses": (f"{PULSES}\nPULSES = 4", "pulse", 4),
    "drops": (
        "KIND = Supply\nTRIGGER = spot\nSUPPLY = light\nDROP_S = 0.1\nEVERY_S = 0.25\nDROPS = 5",
        "drop",
        5,
    ),
    "rewards": (
        "KIND = RewardPreTraining\nTRIGGER = spot\nREWARD = light\nREWARDS = 4\n"
        "FREE_AFTER_S = 1\nINTERVAL = uniform 0.1 0.6\nREWARD_S = 0.1",
        "reward",
        4,
    ),
    "conditional": (
        "KIND = Conditional\nTRIGGER = spot\nOUTPUT = light\nTRIALS = 4\nREST_S = 0.25",
        "trial",
        4,
    ),
}


@given(places=PLACES, cuts=CUTS, which=st.sampled_from([*EXPERIMENTS]))
def test_an_experiment_that_is_killed_and_continued_gives_no_more_than_its_number(
    places: list[Place], cuts: list[int], which: str
) -> None:
    experiment, word, most = EXPERIMENTS[which]
    cuts = [cut for cut in cuts if cut < len(places)]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            parts = in_parts(root, rig(root, experiment=experiment), places, cuts)
        except DeviceError as error:
            assert "its experiment has ended (finished)" in str(error)
            parts = parts_in(root)
        marks = [mark for part in parts for mark in part.marks]
        numbers = [int(mark.split()[1].rstrip(":")) for mark in marks]
        assert all(mark.startswith(word) for mark in marks)
        assert numbers == [*range(1, len(numbers) + 1)]
        assert len(numbers) <= most
        for part in parts:
            assert compare(parse(part.folder.settings_text, root), part.folder).same


TRIALS = """KIND = TrialBased
START = spot
ANSWER = spot
STIMULI = light, tone
REWARD = water
TRIAL_S = 0.5
TRIALS = 6
INTERVAL = uniform 0.1 1
SEED = 4
[Output tone]
KIND = SimulatedOutput
[Output water]
KIND = SimulatedOutput
"""


@given(places=PLACES, cuts=CUTS)
def test_trials_keep_their_order_over_kills(
    places: list[Place], cuts: list[int]
) -> None:
    cuts = [cut for cut in cuts if cut < len(places)]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        settings = rig(root, experiment=TRIALS)
        whole = record(root / "whole", settings, VISITS * 40)
        expected = [mark for mark in whole.marks if mark.endswith(("light", "tone"))]
        assert len(expected) == 6
        parts = in_parts(root, settings, places, cuts)
        marks = [mark for part in parts for mark in part.marks]
        began = [mark for mark in marks if mark.endswith(("light", "tone"))]
        assert began == expected[: len(began)]


def test_experiments_continue_where_they_were(tmp_path: Path) -> None:
    settings = rig(tmp_path, experiment=EXPERIMENTS["rewards"][0])
    places = VISITS * 10
    # frame 7: the pause after the first reward
    first, second = in_parts(tmp_path, settings, places, [7], ends="stopped")
    whole = record(tmp_path / "whole", settings, places)
    assert first.marks + second.marks == whole.marks
    assert "rewards 1" in second.folder.facts[RESUMED]["sentence"]


def test_the_run_states_what_it_continues(tmp_path: Path) -> None:
    settings = rig(tmp_path, "MAX_TOTAL_S = 9")
    first, second = in_parts(tmp_path, settings, VISITS * 4, [8], ends="stopped")
    assert RESUMED not in first.folder.facts
    state = resumed_of(second.folder.facts)
    assert state is not None
    assert state.run == str(first.folder.path)
    assert state.reached == {"": {"pulses": 2.0}}
    assert state.lasted_s == 7 / 8
    assert state.triggers["spot"].number == 2
    assert state.triggers["spot"].total_s == 4 / 8
    assert state.triggers["spot"].recent == (-1.0, -0.5)
    assert state.sentence == (
        "goes on from the run run0 after a gap of 0.1 s: 0.9 s of it, pulses 2, "
        "[Trigger spot] 2 onsets, 0.5 s true"
    )
    assert second.marks == ["pulse 3"]


def test_a_run_that_never_began_passes_on_what_it_had_continued(tmp_path: Path) -> None:
    settings = rig(tmp_path, "MAX_TOTAL_S = 9")
    first = record(tmp_path / "run0", settings, VISITS * 2, ends="stopped")
    used = resumed(first, settings, 8)
    second = record(tmp_path / "run1", used, [], 8)
    events = second.folder.events_path
    lines = events.read_text("utf-8").splitlines(keepends=True)
    events.write_text("".join(it for it in lines if "started" not in it), "utf-8")
    third = resumed(second, settings, 16).resumed
    assert third is not None
    assert third.reached == {"": {"pulses": 2.0}}
    assert third.triggers["spot"].recent == (-2.0, -1.5)


def test_time_between_the_runs_counts(tmp_path: Path) -> None:
    settings = rig(tmp_path, "REFRACTORY_S = 5")
    first = record(tmp_path / "run0", settings, VISITS, ends="stopped")
    for gap, onset in ((8, False), (80, True)):
        used = resumed(first, settings, 4 + gap)
        second = record(tmp_path / f"after {gap}", used, VISITS, 4 + gap)
        assert bool(second.onsets(START_NS)) is onset


def test_a_clock_that_was_set_back_shortens_no_limit(tmp_path: Path) -> None:
    settings = rig(tmp_path, "REFRACTORY_S = 5")
    first = record(tmp_path / "run0", settings, VISITS, ends="stopped")
    earlier = EarlierRun(first.folder.path)
    used = earlier.resumed(settings, 17, DAY - timedelta(days=9))
    state = used.resumed
    assert state is not None
    # it starts when the other one has ended
    assert state.triggers["spot"].ended_s == -1 / 8
    # on the same computer, a date that was set ahead changes nothing either
    used = earlier.resumed(settings, START_NS + 4 * FRAME_NS, DAY + timedelta(days=9))
    assert used.resumed is not None
    assert used.resumed.triggers["spot"].ended_s == -2 / 8


def test_the_duration_of_an_experiment_is_that_of_all_its_runs(tmp_path: Path) -> None:
    text = rig(tmp_path).text.replace("LOST_MS", "EXP_TIME_S = 2\nLOST_MS")
    settings = parse(text, tmp_path)
    first = record(tmp_path / "run0", settings, VISITS * 3)
    second = record(tmp_path / "run1", resumed(first, settings, 99), VISITS * 3, 99)
    lasted = [step for step in first.steps + second.steps if step.status]
    # the end of a run that was killed may lack 2 s: they count
    assert len(lasted) == 12 + 1
    assert compare(parse(second.folder.settings_text, tmp_path), second.folder).same


def test_what_may_be_missing_after_a_kill_counts(tmp_path: Path) -> None:
    settings = rig(tmp_path, "MAX_RATE_PER_MIN = 2\nMAX_TOTAL_S = 10")
    first = record(tmp_path / "run0", settings, VISITS)
    used = resumed(first, settings, 40).resumed
    assert used is not None
    spot = used.triggers["spot"]
    assert (spot.number, len(spot.recent), spot.total_s) == (1, 2, 2 / 8 + 2)
    # an intent without its command was given
    events = first.folder.events_path
    lines = events.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if ",command," not in line and ",mark," not in line]
    assert len(kept) == len(lines) - 2
    events.write_text("".join(kept), "utf-8")
    used = resumed(first, settings, 40).resumed
    assert used is not None
    assert used.reached == {"": {"pulses": 1.0}}


def test_a_row_that_was_half_written_is_left_out(tmp_path: Path) -> None:
    settings = rig(tmp_path)
    first = record(tmp_path / "run0", settings, VISITS)
    expected = resumed(first, settings, 40).resumed
    for file in ("top.csv", "events.csv"):
        with (first.folder.path / file).open("ab") as table:
            table.write(b"12,34,5\x00\x00")
    assert resumed(first, settings, 40).resumed == expected


@pytest.mark.parametrize("file", ["top.csv", "events.csv"])
def test_a_damaged_record_is_refused(tmp_path: Path, file: str) -> None:
    settings = rig(tmp_path)
    first = record(tmp_path / "run0", settings, VISITS)
    path = first.folder.path / file
    content = path.read_bytes()
    path.write_bytes(content + b"\x00\x00,nonsense\n")
    with pytest.raises(DeviceError, match=rf"of {file} is broken, so it is not known"):
        resumed(first, settings, 40)
    path.unlink()
    with pytest.raises(DeviceError, match=f"it has no {file}"):
        resumed(first, settings, 40)


def test_a_damaged_description_is_refused(tmp_path: Path) -> None:
    settings = rig(tmp_path)
    _, second = in_parts(tmp_path, settings, VISITS * 2, [4], ends="stopped")
    facts = json.loads((second.folder.path / "run.json").read_text("utf-8"))
    facts[RESUMED]["triggers"]["spot"]["total_s"] = "much"
    (second.folder.path / "run.json").write_text(json.dumps(facts), "utf-8")
    with pytest.raises(DeviceError, match=r"run\.json has no valid resumed"):
        resumed(second, settings, 40)
    (second.folder.path / "run.json").write_text("{", "utf-8")
    with pytest.raises(DeviceError, match=r"run.json is damaged. Repair it"):
        resumed(second, settings, 40)
    (second.folder.path / "run.json").unlink()
    with pytest.raises(DeviceError, match=r"it has no run.json"):
        resumed(second, settings, 40)


@pytest.mark.parametrize("how", ["finished", "failed: safety end: attack 3"])
def test_an_experiment_that_has_ended_itself_does_not_go_on(
    tmp_path: Path, how: str
) -> None:
    settings = rig(tmp_path)
    first = record(tmp_path / "run0", settings, VISITS, ends=how)
    with pytest.raises(DeviceError, match=rf"its experiment has ended \({how}\)"):
        resumed(first, settings, 40)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[Experiment]", "[Session]\nANIMAL = m2\n[Experiment]", "of another animal"),
        ("REST_S = 0", "REST_S = 1", r"\[Experiment it\] REST_S has changed since"),
        ("50 50 9", "50 50 8", r"\[Trigger spot\] REGION has changed since"),
    ],
)
def test_another_animal_or_other_settings_continue_nothing(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    settings = rig(tmp_path)
    first = record(tmp_path / "run0", settings, VISITS)
    other = parse(settings.text.replace(old, new), tmp_path)
    with pytest.raises(NothingToResumeError, match=why):
        resumed(first, other, 40)


def test_drawn_seeds_are_those_of_the_earlier_run(tmp_path: Path) -> None:
    settings = rig(tmp_path, "PROBABILITY = 0.5\nSEED = new")
    drawn = parse(settings.text.replace("SEED = new", "SEED = 321"), tmp_path)
    first = record(tmp_path / "run0", drawn, VISITS)
    used = EarlierRun(first.folder.path).with_seeds(settings)
    assert used.new_triggers()["spot"].seed == 321
    assert resumed(first, used, 40).text == used.text


def test_the_newest_run_of_the_animal_is_found(tmp_path: Path) -> None:
    settings = rig(tmp_path)
    m2 = parse(f"{settings.text}\n[Session]\nANIMAL = m2\n", tmp_path)
    root = settings.output_directory
    with pytest.raises(DeviceError, match="there is no run in"):
        newest_run(settings)
    record(root / "b", settings, VISITS, first=0)
    record(root / "a", settings, VISITS, first=50)
    record(root / "c", m2, VISITS, first=100)
    assert newest_run(settings) == root / "a"
    assert newest_run(m2) == root / "c"
