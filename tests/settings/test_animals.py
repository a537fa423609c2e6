"""Several animals in the loop: names, doubts, triggers, the record, and deciding again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.network_loading import open_network
from deeplabstream.engine.replay.rerun import compare
from deeplabstream.engine.replay.video_replay import replay
from deeplabstream.pose.tracking.named_estimator import NamedEstimator
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import Settings, check_against, parse
from deeplabstream.simulation.arena import Arena
from experiments.triggers.region_triggers import InsideRegion
from experiments.triggers.social import AnyAnimalInside, Distance
from tests.pose.crowd import THRESHOLD, Crowd
from utils.TrainClassifier import main as train_classifier

RIG = """
[Animals]
NAMES = anna, bob
[Camera arena]
KIND = SimulatedCamera
[Trigger bob left]
KIND = InsideRegion
ANIMAL = bob
BODYPARTS = tailbase
REGION = rectangle 0 0 160 240
[Trigger second left]
KIND = InsideRegion
ANIMAL = 2
BODYPARTS = tailbase
REGION = rectangle 0 0 160 240
[Output light]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = example
LOST_MS = 2000
[Experiment example]
KIND = ExampleExperiment
REGIONS = bob left
STIMULI = light
"""
BOTH = Skeleton(("snout", "tail"), animals=("anna", "bob"))


@dataclass
class Told:
    """An estimator that gives the pose that it was told last, and shuffles."""

    skeleton: Skeleton
    threshold: float = THRESHOLD
    provider: str = "told"
    sha256: str = ""
    pose: Pose | None = field(default=None)

    def estimate(self, images: object, cameras: object = ()) -> list[Pose]:
        assert self.pose is not None
        return [self.pose]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, RunFolder, Arena]:
    """A run with a black and a white mouse that cross, posed in no order."""
    settings = parse(RIG, Path.cwd())
    arena = Arena((240, 320, 3), 2, shelter=False, animals=2, alike=False)
    told = Told(arena_skeleton())
    estimator = NamedEstimator(told, ("anna", "bob"))

    def frames() -> Iterator[Frame]:
        crowd = Crowd(arena, 2, noise_px=0.8, merge_px=8)
        for index, (time_s, image, pose, _) in enumerate(crowd.frames(700)):
            told.pose = pose
            time_ns = round(time_s * 1e9)
            yield Frame("arena", index, time_ns, time_ns, image)

    facts = RunFacts(
        0,
        {"arena": ImageFormat(arena.shape, 30.0)},
        estimator.skeleton,
        ModelFacts("told", "", THRESHOLD, "told"),
    )
    from datetime import UTC, datetime

    now = datetime(2026, 11, 21, tzinfo=UTC)
    path = tmp_path_factory.mktemp("runs") / "run"
    folder = RunFolder.create_at(path, now, settings.text, facts)
    with RunWriter(folder, 0) as writer:
        for _ in replay(settings, frames(), estimator, writer):
            pass
    folder.finish(now, "finished", [])
    return settings, folder, arena


def arena_skeleton() -> Skeleton:
    from deeplabstream.simulation.arena import ARENA_SKELETON

    return ARENA_SKELETON


def test_only_the_visits_of_the_animal_that_is_named_fire(
    run: tuple[Settings, RunFolder, Arena],
) -> None:
    _, folder, arena = run
    steps = list(folder.steps("arena"))
    told = [step for step in steps if not step.pose.is_ambiguous(1)]
    truth = {step.index: arena.truth(step.index / 30) for step in steps}
    first = told[0]
    away = np.linalg.norm(truth[first.index][:, 3] - first.pose.points[1, 3], axis=1)
    bob = int(away.argmin())
    answers = {True: 0, False: 0}
    for step in told:
        x = float(truth[step.index][bob, 3, 0])
        answer = step.triggers["bob left"]
        if answer is not None and abs(x - 160) > 6:
            assert answer is (x < 160), step.index
            answers[answer] += 1
    assert min(answers.values()) > 50
    others = [truth[step.index][1 - bob, 3, 0] < 150 for step in told]
    assert sum(others) > 50  # the other one was there too
    on = [
        row
        for row in folder.events()
        if row["kind"] == "edge" and row["name"] == "light"
    ]
    assert sum(float(row["level"]) > 0 for row in on) >= 2


def test_in_doubt_a_trigger_is_unknown_and_it_is_said(
    run: tuple[Settings, RunFolder, Arena],
) -> None:
    _, folder, _ = run
    steps = list(folder.steps("arena"))
    doubted = [step for step in steps if step.pose.is_ambiguous(1)]
    assert doubted
    assert {step.triggers["bob left"] for step in doubted} == {None}
    for step in steps:
        assert step.triggers["bob left"] is step.triggers["second left"]
    notes = [row["text"] for row in folder.events() if row["name"] == "identity"]
    assert any("anna and bob: identities are ambiguous" in text for text in notes)
    assert any("known again" in text for text in notes)
    totals = folder.facts["identity"]["arena"]
    assert totals["ambiguous_frames"] == len(doubted)
    assert totals["ambiguities"] >= 2


def test_the_record_bears_the_names_and_is_decided_again(
    run: tuple[Settings, RunFolder, Arena],
) -> None:
    settings, folder, _ = run
    header = folder.table_path("arena").read_text("utf-8").partition("\n")[0]
    assert ",anna_snout_x," in header
    assert ",bob_tailbase_confidence," in header
    assert folder.skeleton.animals == ("anna", "bob")
    assert compare(settings, folder).same


def posed(*places: tuple[float, float], identity: tuple[str, ...] = ()) -> Pose:
    points = np.array([[place, place] for place in places], np.float32)
    return Pose(BOTH, points, np.ones((len(places), 2), np.float32), identity)


def test_a_trigger_looks_at_its_animal_by_name_or_number() -> None:
    place = {"bodyparts": ("snout",), "region": "circle 10 10 5"}
    pose = posed((10, 10), (90, 90))
    for animal, answer in (("anna", True), (1, True), ("bob", False), ("2", False)):
        assert InsideRegion(**place, animal=animal).answer(pose, 0) is answer
    doubted = posed((10, 10), (90, 90), identity=("doubt1", "doubt1"))
    assert InsideRegion(**place, animal="anna").answer(doubted, 0) is None
    asked = InsideRegion(**place, animal="anna", in_doubt="asked")
    assert asked.answer(doubted, 0) is True
    assert AnyAnimalInside(**place).answer(doubted, 0) is True
    assert InsideRegion(**place, animal="carl").answer(pose, 0) is None


def test_how_far_two_are_apart_is_known_whoever_is_who() -> None:
    near = {"animals": ("anna", "bob"), "distance": 20}
    doubted = posed((10, 10), (20, 10), identity=("doubt1", "doubt1"))
    same = Distance(bodyparts=("snout", "snout"), **near)
    assert same.answer(doubted, 0) is True
    assert Distance(bodyparts=("snout", "tail"), **near).answer(doubted, 0) is None
    other = posed((10, 10), (20, 10), identity=("doubt1", "doubt2"))
    assert same.answer(other, 0) is None


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "ANIMAL = bob",
            "ANIMAL = bop",
            r"ANIMAL = bop: not in \[An.*bob",
        ),
        ("anna, bob", "anna, anna", "each animal needs a different name"),
        ("anna, bob", "trigger, bob", "'trigger' is not a valid name"),
        ("anna, bob", "1, bob", "'1' is not a valid name"),
    ],
)
def test_a_name_that_is_wrong_is_said_in_a_sentence(
    old: str, new: str, sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        parse(RIG.replace(old, new), Path.cwd())


def test_more_animals_than_the_network_finds_are_refused() -> None:
    words = RIG + "[Pose Estimation]\nMODEL = stand-in:0\n"
    with pytest.raises(SettingsError) as raised:
        open_network(parse(words, Path.cwd()))
    assert "but the network stand-in:0 finds one animal. Set MODEL" in str(raised.value)
    rig = parse(RIG.replace("ANIMAL = 2", "ANIMAL = 3"), Path.cwd())
    skeleton = Skeleton(("tailbase",), animals=("anna", "bob"))
    assert check_against(rig, skeleton) == [
        "[Trigger second left] ANIMAL = 3: the network finds 2 animals"
    ]


@pytest.mark.parametrize("animal", ["animal3", "3"])
def test_an_unnamed_animal_that_the_network_does_not_find_is_refused(
    animal: str,
) -> None:
    words = RIG.replace("NAMES = anna, bob", f"TAGS = {animal} 01023C4D5F")
    rig = parse(words.replace("ANIMAL = bob", "ANIMAL = animal2"), Path.cwd())
    skeleton = Skeleton(("tailbase",), animals=("animal1", "animal2"))
    assert check_against(rig, skeleton) == [
        f"[Animals] TAGS = {animal}: the network finds 2 animals"
    ]


def test_a_classifier_learns_from_one_animal(
    run: tuple[Settings, RunFolder, Arena],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, folder, _ = run
    words = [str(tmp_path / "new"), "--of", str(folder.path)]
    labels = tmp_path / "labels.csv"
    labels.write_text("start_s,end_s,behaviour\n0,0.1,rearing\n")
    assert train_classifier([*words, str(labels), "--animal", "carl"]) == 2
    assert "has no animal 'carl'; available: anna, bob" in capsys.readouterr().err
    words.append(str(tmp_path / "no.csv"))
    assert train_classifier([*words, "--animal", "bob"]) == 2
    assert "no.csv" in capsys.readouterr().err  # the poses were found


def test_a_shelter_is_a_trigger_with_a_region() -> None:
    line = (
        "[Trigger gate]\nKIND = LineCrossing\nBODYPARTS = tailbase\nLINE = 0, 0, 9, 9\n"
    )
    words = RIG.replace("anna, bob", "anna, bob\nSHELTERS = bob left, bop left, gate")
    with pytest.raises(SettingsError) as raised:
        parse(words + line, Path.cwd())
    assert list(raised.value.problems) == [
        "[Animals] SHELTERS = bop left: no section [Trigger bop left]; "
        "did you mean bob left?",
        "[Animals] SHELTERS = gate: [Trigger gate] has no REGION; "
        "enter a trigger that has one",
    ]


READER = """
[Input reader]
KIND = RfidReader
PORT = COM9
AT = bob left
"""


@pytest.mark.parametrize(
    ("animals", "problems"),
    [
        ("TAGS = anna 999_000000000001, bob 01023C4D5F\nFIRST = tags", []),
        ("TAGS = anna 999000000000001", []),
        ("TAGS = 1 999000000000001, 2 01023C4D5F\nFIRST = tags", []),
        (
            "TAGS = ana 01023C4D5F",
            ["[Animals] TAGS = ana: not in [Animals] NAMES; did you mean anna?"],
        ),
        (
            "TAGS = anna 01023C4D5F, bob 01023c4d5f",
            [
                "[Animals] TAGS = anna 01023C4D5F, bob 01023c4d5f: tag 01023C4D5F is "
                "there twice; each tag has one animal"
            ],
        ),
        (
            "TAGS = anna",
            [
                "[Animals] TAGS = anna: 'anna': expected an animal's name and a tag number"
            ],
        ),
        ("", ["[Input reader] AT = bob left: no tag has a name; set [Animals] TAGS"]),
    ],
)
def test_tags_have_an_animal_each(animals: str, problems: list[str]) -> None:
    words = RIG.replace("anna, bob", f"anna, bob\n{animals}") + READER
    if not problems:
        assert parse(words, Path.cwd()).animals.animal_of_tag.keys() <= {
            "999_000000000001",
            "01023C4D5F",
        }
        return
    with pytest.raises(SettingsError) as raised:
        parse(words, Path.cwd())
    assert raised.value.problems[0] == problems[0]


def test_a_reader_that_names_animals_has_a_region_and_tags_of_all() -> None:
    words = RIG.replace("anna, bob", "anna, bob, carl\nTAGS = anna 01023C4D5F")
    words = words.replace("[Camera", "FIRST = tags\n[Camera", 1)
    with pytest.raises(SettingsError) as raised:
        parse(words, Path.cwd())
    assert list(raised.value.problems) == [
        "[Animals] FIRST = tags: no [Input NAME] has a place; set AT of an RfidReader",
        "[Animals] FIRST = tags: bob, carl have no tag, so they are never told apart; add "
        "them to TAGS",
    ]
    with pytest.raises(SettingsError) as raised:
        parse(words + READER.replace("bob left", "bob lift"), Path.cwd())
    assert (
        "[Input reader] AT = bob lift: no section [Trigger bob lift]; did you mean "
        "bob left?" in raised.value.problems
    )
