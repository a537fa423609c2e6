"""A classifier of pairs, from labels with actor and target to a light, and its re-run."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.replay.rerun import compare
from deeplabstream.engine.replay.video_replay import replay
from deeplabstream.pose.behaviour.classifier_folder import load_classifier_folder
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import load, parse
from deeplabstream.training.behaviour_classifier import (
    BehaviourInterval,
    intervals_of_pair,
    read_intervals,
)
from utils import CheckSettings, TrainClassifier

RATE = 30
MICE = Skeleton(("snout", "neck", "tailbase"), animals=("anna", "bob"))
BODY = np.array([[30.0, 0], [10, 0], [-30, 0]])
BOUT_S, LAP_S = 2.0, 6.0
RIG = """
[Animals]
NAMES = anna, bob
[Camera top]
KIND = SimulatedCamera
ANIMALS = 2
[Experiment]
EXP_NAME = light
[Experiment light]
KIND = Conditional
TRIGGER = chase.anna
OUTPUT = lamp
TRIALS = 1000
MAX_ON_S = 100
REST_S = 0
[Output lamp]
KIND = SimulatedOutput
"""
PLACE = """
[Trigger chase]
KIND = Contact
BODYPARTS = snout
DISTANCE = 1
"""
ASKING = """
[Classifier chasing]
FOLDER = chasing
[Trigger chase]
KIND = PairBehaviour
BEHAVIOUR = chase
THRESHOLD = 0.6
"""


def does(time_s: float) -> str:
    """Return who chases whom: first no animal, then anna bob, then bob anna, and so on."""
    return ("", "anna>bob", "bob>anna")[int(time_s % LAP_S // BOUT_S)]


@dataclass
class Mice:
    """Two mice: at times one runs behind the other, else both stand."""

    seed: int
    skeleton: Skeleton = MICE
    threshold: float = 0.5
    provider: str = "drawn"
    sha256: str = ""
    lost_from_s: float = 1e9

    def __post_init__(self) -> None:
        self._noise = np.random.default_rng(self.seed)
        self._index = -1

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        self._index += 1
        time_s = self._index / RATE
        since_s = time_s % BOUT_S
        # anna is left of bob: she chases him to the right, he her to the left
        x, way = {
            "": (100.0, 1),
            "anna>bob": (100 + 100 * since_s, 1),
            "bob>anna": (300 - 100 * since_s, -1),
        }[does(time_s)]
        body = BODY * (way, 1)
        points = np.stack([body + np.array([x, 200]), body + np.array([x + 90, 200])])
        points = points + self._noise.normal(0, 0.7, points.shape)
        if time_s >= self.lost_from_s:
            points[1] = np.nan
        return [Pose(MICE, points.astype(np.float32), np.ones((2, 3), np.float32))]


def run(
    text: str, path: Path, mice: Mice, seconds: float
) -> tuple[RunFolder, list[Step]]:
    """Return what a rig of these settings records."""
    formats = {"top": ImageFormat((480, 640, 3), RATE)}
    facts = RunFacts(0, formats, MICE, ModelFacts("drawn", "", 0.5, "drawn"))
    began = datetime(2026, 1, 1, tzinfo=UTC)
    folder = RunFolder.create_at(path, began, text, facts)

    def frames() -> Iterator[Frame]:
        for index in range(round(seconds * RATE)):
            time_ns = round(index * 1e9 / RATE)
            yield Frame("top", index, time_ns, time_ns, np.zeros((1, 1), np.uint8))

    with RunWriter(folder, 0) as writer:
        steps = list(replay(parse(text, path.parent), frames(), mice, writer))
    folder.finish(began, "stopped", [])
    return folder, steps


def labels(path: Path, seconds: float) -> Path:
    rows = ["start_s,end_s,behaviour,actor,target"]
    for start_s in np.arange(0, seconds, BOUT_S).tolist():
        if chase := does(start_s):
            actor, target = chase.split(">")
            rows.append(f"{start_s},{start_s + BOUT_S},chase,{actor},{target}")
    rows.append(f"0,{seconds},none,,")
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, its labels and the classifier `chasing` trained on them."""
    root = tmp_path_factory.mktemp("pairs")
    folder, _ = run(RIG + PLACE, root / "run", Mice(1), 48)
    words = [str(root / "chasing"), "--of", str(folder.path)]
    words += [
        str(labels(root / "l.csv", 48)),
        "--pair",
        "--chain",
        "snout,neck,tailbase",
    ]
    assert TrainClassifier.main([*words, "--window-s", "0.4", "--trees", "10"]) == 0
    return root


def test_rows_without_actor_are_of_every_pair_that_has_no_other(tmp_path: Path) -> None:
    file = tmp_path / "l.csv"
    file.write_text(
        "start_s,end_s,behaviour,actor,target\n0,9,none,,\n2,3,chase,anna,bob\n",
        "utf-8",
    )
    found = read_intervals(file)
    none = BehaviourInterval(0, 9, "none")
    chase = BehaviourInterval(2, 3, "chase", "anna", "bob")
    assert found == [none, chase]
    assert intervals_of_pair(found, "anna", "bob") == [chase, none]
    assert intervals_of_pair(found, "bob", "anna") == [none]


@pytest.mark.parametrize(
    ("table", "words", "complaint"),
    [
        (
            "0,9,chase,anna,",
            ["--pair", "--chain", "snout,neck"],
            "line 2: expected an actor",
        ),
        (
            "0,9,chase,anna,cara",
            ["--pair", "--chain", "snout,neck"],
            "no animal 'cara'",
        ),
        (
            "0,9,none,,",
            ["--pair", "--chain", "snout,neck"],
            "names no actor and target",
        ),
        ("0,9,chase,anna,bob", [], "use --pair"),
        ("0,9,chase,anna,bob", ["--pair"], "--pair needs --chain"),
    ],
)
def test_labels_that_do_not_fit_are_a_sentence(
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    table: str,
    words: list[str],
    complaint: str,
) -> None:
    file = tmp_path / "l.csv"
    file.write_text(f"start_s,end_s,behaviour,actor,target\n{table}\n", "utf-8")
    of = ["--of", str(trained / "run"), str(file)]
    assert TrainClassifier.main([str(tmp_path / "c"), *of, *words]) == 2
    assert complaint in capsys.readouterr().err


def test_the_light_is_on_while_anna_chases_and_the_run_is_decided_again_without_classifier(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "chasing", tmp_path / "chasing")
    folder, steps = run(RIG + ASKING, tmp_path / "run", Mice(2, lost_from_s=20), 24)
    told = right = 0
    for step in steps:
        time_s = step.exposed_ns / 1e9
        answer = step.triggers["chase.anna"]
        if 0.5 < time_s < 20:
            told += answer is not None
            right += answer is (does(time_s - 0.2) == "anna>bob")
        elif time_s > 20:
            assert answer is None, "bob is lost"
    frames = round(19.5 * RATE)
    assert told > 0.95 * frames
    assert right > 0.93 * frames
    columns = set(steps[0].behaviours)
    assert columns == {
        f"{pair}_{name}"
        for pair in ("anna>bob", "bob>anna")
        for name in ("chase", "none")
    }
    assert any("anna>bob" in flag for step in steps for flag in step.flags.values())

    for step, read in zip(steps, folder.steps("top"), strict=True):
        assert str(step.behaviours) == str(read.behaviours)
    shutil.rmtree(tmp_path / "chasing")
    again = compare(load(folder.path / "settings.ini"), folder)
    assert again.same
    assert again.commands > 4
    stricter = (RIG + ASKING).replace("THRESHOLD = 0.6", "THRESHOLD = 0.9999")
    assert not compare(parse(stricter, tmp_path), folder).same


def test_settings_that_do_not_fit_are_a_sentence(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "chasing", tmp_path / "chasing")
    settings = tmp_path / "settings.ini"
    single = "KIND = Behaviour\nBEHAVIOUR"
    for text, complaint in [
        (
            ASKING.replace("= chase\n", "= chaes\n"),
            "of pairs detects it; did you mean chase?",
        ),
        (ASKING + "[Classifier b]\nFOLDER = chasing\n", "of the same pairs"),
        (
            ASKING.replace("[Trigger chase]", "[Trigger a]").replace(
                "KIND = PairBehaviour\nBEHAVIOUR", single
            )
            + PLACE,
            "[Trigger a] BEHAVIOUR = chase: no [Classifier NAME] detects it",
        ),
        (
            ASKING.replace("chase\nTHR", "chase\nCAMERA = side\nTHR")
            + "[Camera side]\nKIND = SimulatedCamera\nANALYSE = yes\n",
            "set CAMERA = top in [Trigger chase]",
        ),
    ]:
        settings.write_text(RIG + text, "utf-8")
        assert CheckSettings.main([str(settings)]) == 1
        assert complaint in capsys.readouterr().out


def test_body_parts_of_a_pair_need_the_name_of_the_animal(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "chasing", tmp_path / "chasing")
    file = tmp_path / "chasing" / "classifier.json"
    words = json.loads(file.read_text("utf-8"))
    assert words["format"] == 2
    assert words["animals"] == 2
    words["features"][0]["of"][0] = "snout"
    file.write_text(json.dumps(words))
    with pytest.raises(ModelError, match="need actor_ or target_ before"):
        load_classifier_folder(tmp_path / "chasing")
