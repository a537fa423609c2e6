"""A rig with arenas: one animal in each, with its own triggers, outputs and results."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pandas import read_parquet

from deeplabstream.analysis.analyse import analyse
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.checks.stream_watchdogs import AnalysisWatchdog
from deeplabstream.engine.identity_reporting import identities_of
from deeplabstream.engine.network_loading import network_ready_message, open_network
from deeplabstream.engine.replay.rerun import compare
from deeplabstream.engine.replay.video_replay import new_folder, replay
from deeplabstream.engine.session.earlier_run import EarlierRun, NothingToResumeError
from deeplabstream.engine.session.session_state import SessionState
from deeplabstream.plugins.experiment import Plan
from deeplabstream.pose.per_camera import thresholds_of
from deeplabstream.recording.exporters.exports import parquet
from deeplabstream.recording.exporters.nwb_run import subject_of
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.recording.table_reader import read_events
from deeplabstream.settings.loading import Settings, parse
from deeplabstream.settings.sections import ExperimentRun
from experiments.conditional import Conditional
from tests.gui.fake_session import make_step
from tests.pose.fly_images import SHAPE, image_of

RIG = """
[Pose Estimation]
MODEL = background
[Arenas]
ROWS = 1
COLUMNS = 2
CORNERS = 50 60, 150 60
SHAPE = circle 45
[Camera top]
KIND = SimulatedCamera
[Trigger right]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle 0.2 -60 50 120
[Trigger any right]
KIND = AnyAnimalInside
BODYPARTS = centre
REGION = rectangle 150 0 50 120
[Output light.A1]
KIND = SimulatedOutput
[Output light.A2]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = place
[Experiment place]
KIND = Conditional
TRIGGER = right
OUTPUT = light
MAX_ON_S = 100
REST_S = 0
"""
FRAMES = 60


def frames() -> Iterator[Frame]:
    """Yield frames of a fly that walks right in A1, and one that walks left in A2."""
    for n in range(FRAMES):
        flies = [(20.5 + n, 60.0, 0.0), (179.5 - n, 50.0, 0.0)]
        time_ns = n * 33_000_000
        yield Frame("top", n, time_ns, time_ns, image_of(flies, n))


def run_of(settings: Settings, folder: Path) -> tuple[RunFolder, list[Step]]:
    estimator = open_network(settings)
    network = network_ready_message(estimator, settings)
    run = new_folder(settings, folder, ImageFormat(SHAPE, 30.0), network, {})
    with RunWriter(run, 0) as writer:
        steps = list(replay(settings, frames(), estimator, writer))
    return run, steps


def test_each_arena_decides_on_its_own_output(tmp_path: Path) -> None:
    _, steps = run_of(parse(RIG, tmp_path), tmp_path / "run")
    right = [[20.5 + n >= 50.2, 179.5 - n >= 150.2] for n in range(FRAMES)]
    names = "right.A1", "right.A2"
    assert [[step.triggers[name] for name in names] for step in steps] == right
    assert all(step.triggers["any right"] == step.triggers[names[1]] for step in steps)

    # the experiment begins with the first frame and decides on the following ones
    assert levels_of(steps)[1:] == [(one, other) for one, other in right[1:]]


OTHER_EXPERIMENTS = (
    RIG.replace("COLUMNS = 2", "COLUMNS = 2\nEXPERIMENTS = A2 control")
    + """
[Trigger left]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle -50 -60 50.2 120
[Experiment control]
KIND = Conditional
TRIGGER = left
OUTPUT = light
MAX_ON_S = 100
REST_S = 0
"""
)


def test_arenas_can_have_another_experiment(tmp_path: Path) -> None:
    settings = parse(OTHER_EXPERIMENTS, tmp_path)
    run, steps = run_of(settings, tmp_path / "run")
    expected = [(20.5 + n >= 50.2, 179.5 - n < 150.2) for n in range(1, FRAMES)]
    assert levels_of(steps)[1:] == expected

    assert run.facts["arena_experiments"] == {"A2": "control"}
    assert run.facts["other_experiments"]["control"]["TRIGGER"] == "left"
    table = analyse(run.path, AnalysisOptions(position=("centre",))).table()
    assert dict(zip(table["animal"], table["experiment"], strict=True)) == {
        "A1": "place",
        "A2": "control",
    }
    assert compare(settings, run).same


def test_an_arena_without_an_experiment_controls_nothing(tmp_path: Path) -> None:
    text = OTHER_EXPERIMENTS.replace("A2 control", "A2 -")
    run, steps = run_of(parse(text, tmp_path), tmp_path / "run")
    expected = [(20.5 + n >= 50.2, False) for n in range(1, FRAMES)]
    assert levels_of(steps)[1:] == expected
    table = analyse(run.path, AnalysisOptions(position=("centre",))).table()
    assert table["experiment"].tolist() == ["place", ""]


def test_an_error_names_the_experiment_of_its_arena(tmp_path: Path) -> None:
    class Wrong(Conditional):
        def plan(self) -> Plan:
            yield  # type: ignore[misc]

    settings = parse(OTHER_EXPERIMENTS, tmp_path)
    wrong = replace(settings.experiments["control"], kind=Wrong)
    settings = replace(settings, experiments={**settings.experiments, "control": wrong})
    run, _ = run_of(settings, tmp_path / "run")
    rows = read_events(run.events_path)
    (alarm,) = (row["text"] for row in rows if row["name"] == "alarm")
    assert alarm.startswith("arena A2: [Experiment control]: ")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("A2 control", "A2 -", "EXPERIMENTS of [Arenas] has changed"),
        (
            "TRIGGER = left",
            "TRIGGER = right",
            "[Experiment control] TRIGGER has changed",
        ),
    ],
)
def test_other_experiments_of_arenas_continue_nothing(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    run, _ = run_of(parse(OTHER_EXPERIMENTS, tmp_path), tmp_path / "run")
    changed = parse(OTHER_EXPERIMENTS.replace(old, new), tmp_path)
    with pytest.raises(NothingToResumeError, match=re.escape(why)):
        EarlierRun(run.path).resumed(changed, 10**12, datetime.now().astimezone())


def levels_of(steps: list[Step]) -> list[tuple[bool, ...]]:
    """Return at each step whether the output of each arena is on."""
    levels, found = dict.fromkeys(("light.A1", "light.A2"), 0.0), []
    for step in steps:
        for command in step.commands:
            if (output := getattr(command, "output", "")) in levels:
                levels[output] = getattr(command, "level", 0.0)
        found.append(tuple(level > 0 for level in levels.values()))
    return found


def test_results_and_exports_have_a_row_for_each_arena(tmp_path: Path) -> None:
    run, _ = run_of(parse(RIG, tmp_path), tmp_path / "run")
    table = analyse(run.path, AnalysisOptions(position=("centre",))).table()
    assert {*table["animal"]} == {"A1", "A2"}
    assert (table["distance_px"] > 30).all()
    # A1's fly is in the right half from frame 30 on, A2's up to frame 29
    assert (table["region_time_s.right"] > 0.9).all()
    # the output and the trials of each arena are those of its animal
    assert table["stimuli.light"].tolist() == [1, 1]
    assert table["trials"].tolist() == [1, 1]
    assert not any(".A1" in column or ".A2" in column for column in table)
    for file in parquet(run, tmp_path):
        file.write(file.path)
    columns = read_parquet(tmp_path / "top.parquet").columns
    assert {"A1_centre_x", "A2_centre_y"} <= {*columns}


def test_the_detector_knows_which_arenas_have_no_subject(tmp_path: Path) -> None:
    text = RIG.replace("[Arenas]\n", "[Arenas]\nSUBJECTS = A1 fly 7, A2 -\n")
    estimator = open_network(parse(text, tmp_path))
    for n in range(20):
        resting = image_of([(20.0 + n, 60.0, 0.0), (150.0, 50.0, 0.0)], n)
        (pose,) = estimator.estimate([resting], ["top"])
        assert np.isfinite(pose.points[:, 0, 0]).tolist() == [True, False]


def test_subjects_are_in_the_record_the_results_and_nwb(tmp_path: Path) -> None:
    text = RIG.replace("[Arenas]\n", "[Arenas]\nSUBJECTS = A1 fly 7, A2 -\n")
    run, _ = run_of(parse(text, tmp_path), tmp_path / "run")
    assert run.facts["subjects"] == {"A1": "fly 7"}
    results = analyse(run.path, AnalysisOptions(position=("centre",)))
    for table in (results.table(), results.long_table()):
        named = {*zip(table["animal"], table["arena"], strict=True)}
        assert named == {("fly 7", "A1"), ("A2", "A2")}
    assert subject_of(run).in_arenas == "A1 fly 7"


@pytest.mark.parametrize(
    ("subjects", "watched"),
    [("", ["A1", "A2"]), ("A1 fly 7, A2 -", ["A1"]), ("A1 -, A2 fly 7", ["A2"])],
)
def test_an_arena_that_is_declared_empty_has_no_lost_animal(
    tmp_path: Path, subjects: str, watched: list[str]
) -> None:
    text = RIG.replace("[Arenas]\n", f"[Arenas]\nSUBJECTS = {subjects}\n")
    settings = parse(text, tmp_path)
    assert [*settings.triggers_of_arenas] == watched

    names = {f"right.{arena}": None for arena in settings.arenas}
    watchdog, told = AnalysisWatchdog(), list[str]()
    rules, state = ExperimentRun(lost_alarm_s=5), SessionState(experimenting=True)
    for second in range(10):
        now_ns = second * 1_000_000_000
        step = replace(make_step(0, lost=True), exposed_ns=now_ns, status="running")
        step = replace(step, triggers=names)
        watchdog.add(step, settings.triggers_of_arenas)
        told += watchdog.check(rules, state, now_ns)
    (alarm,) = told
    assert all((arena in alarm) == (arena in watched) for arena in settings.arenas)


def test_an_animal_has_the_name_of_its_arena_in_the_record(tmp_path: Path) -> None:
    run, steps = run_of(parse(RIG, tmp_path), tmp_path / "run")
    assert steps[0].pose.names == ("A1_centre", "A2_centre")
    header = (run.path / "top.csv").read_text("utf-8").splitlines()[0].split(",")
    assert {"A1_centre_x", "A2_centre_y"} <= {*header}
    regions = {"A1": "circle 50 60 45", "A2": "circle 150 60 45"}
    assert run.facts["arenas"] == regions


def test_identities_are_certain_and_the_poses_decide_again_alike(
    tmp_path: Path,
) -> None:
    settings = parse(RIG, tmp_path)
    estimator = open_network(settings)
    thresholds = thresholds_of(estimator)
    assert identities_of(settings, estimator.skeleton, thresholds) is None
    run, _ = run_of(settings, tmp_path / "run")
    assert compare(settings, run).same


def test_a_network_of_several_animals_is_refused(tmp_path: Path) -> None:
    text = RIG.replace("MODEL = background", "MODEL = stand-in:0:2")
    with pytest.raises(ModelError, match=r"each arena has one animal.*finds 2"):
        open_network(parse(text, tmp_path))


def test_a_network_of_one_animal_finds_one_in_each_arena(tmp_path: Path) -> None:
    text = RIG.replace("MODEL = background", "MODEL = stand-in:0")
    text = text.replace("BODYPARTS = centre", "BODYPARTS = snout")
    settings = parse(text, tmp_path)
    estimator = open_network(settings)
    assert estimator.skeleton.animals == ("A1", "A2")
    image = np.full(SHAPE, 200, np.uint8)
    image[58:63, 38:43] = image[58:63, 158:163] = 20
    (pose,) = estimator.estimate([image], ["top"])
    assert pose.points[:, 0] == pytest.approx(np.array([(40, 60), (160, 60)]), abs=3)
