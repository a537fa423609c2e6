"""The same classifier for each of several animals: the trigger names whose behaviour."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.core.regions import Circle
from deeplabstream.engine.behaviour_classifiers import (
    classifier_problems,
    open_classifiers,
    read_classifiers,
)
from deeplabstream.engine.pose_filtering import pose_filter_of
from deeplabstream.engine.replay.rehearsal import rehearse
from deeplabstream.plugins.trigger import TriggerContext
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.recording.exporters.exports import export
from deeplabstream.settings.loading import Settings, parse
from deeplabstream.simulation.arena import ARENA_SKELETON

RIG = """
[Animals]
NAMES = anna, bob
[Camera arena]
KIND = SimulatedCamera
ANIMALS = 2
[Classifier of anna]
FOLDER = arena_behaviours
ANIMAL = anna
[Classifier of bob]
FOLDER = arena_behaviours
ANIMAL = bob
[Trigger anna rests]
KIND = Behaviour
BEHAVIOUR = resting
ANIMAL = anna
[Trigger bob rests]
KIND = Behaviour
BEHAVIOUR = resting
ANIMAL = bob
[Output light]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = one
[Experiment one]
KIND = Conditional
TRIGGER = bob rests
OUTPUT = light
"""
PAIR = Skeleton(ARENA_SKELETON.bodyparts, ARENA_SKELETON.edges, ("anna", "bob"))
SHAPE = np.array([[0, 0], [8, -6], [8, 6], [40, 0]], np.float32)


def rig(words: str = RIG) -> Settings:
    return parse(words, Path.cwd())


def problems(words: str, skeleton: Skeleton = PAIR) -> list[str]:
    settings = rig(words)
    folders, found = read_classifiers(settings)
    return found + classifier_problems(settings, folders, skeleton)


def test_each_trigger_hears_of_its_own_animal() -> None:
    settings = rig()
    watchers = open_classifiers(settings, PAIR)
    seeing = pose_filter_of(settings, Thresholds(0.5), watchers)
    triggers = settings.new_triggers()
    for index in range(45):
        time_s = index / 30
        still, runs = np.float32([100, 100]), np.float32([50 + 8 * index, 300])
        points = np.stack([SHAPE + still, SHAPE + runs])
        identity = ("", "doubt1") if index == 44 else ("", "")
        pose = Pose(
            PAIR, points.astype(np.float32), np.ones((2, 4), np.float32), identity
        )
        told = seeing.filter("arena", pose, time_s).behaviours
        known = TriggerContext(behaviours=told)
        answers = {n: each.answer(known, time_s) for n, each in triggers.items()}  # type: ignore[attr-defined]
        if index == 43:
            assert answers == {"anna rests": True, "bob rests": False}
    assert set(told) == {
        f"{animal}_{behaviour}"
        for animal in ("anna", "bob")
        for behaviour in ("resting", "running", "walking")
    }
    assert answers == {"anna rests": True, "bob rests": None}


def test_one_classifier_keeps_the_plain_names() -> None:
    words = RIG.replace(
        "[Classifier of anna]\nFOLDER = arena_behaviours\nANIMAL = anna\n", ""
    )
    words = words.replace("ANIMAL = anna\n", "ANIMAL = bob\n")
    (classifier,) = open_classifiers(rig(words), PAIR)["arena"]
    assert classifier.behaviours == ("resting", "running", "walking")
    assert problems(words) == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "resting\nANIMAL = anna",
            "resting",
            "classifiers of anna, bob detect it; set ANIMAL",
        ),
        ("behaviours\nANIMAL = bob", "behaviours\nANIMAL = anna", "of the same animal"),
        ("resting\nANIMAL = bob", "resting\nANIMAL = 2", "evaluates anna, bob"),
    ],
)
def test_what_does_not_fit_is_a_sentence(old: str, new: str, sentence: str) -> None:
    assert old in RIG
    assert any(sentence in problem for problem in problems(RIG.replace(old, new)))


def test_arenas_without_a_classifier_are_one_message_for_each_trigger() -> None:
    words = """
[Arenas]
ROWS = 2
COLUMNS = 4
CORNERS = 60 100, 580 380
SHAPE = circle 40
[Camera arena]
KIND = SimulatedCamera
[Classifier first]
FOLDER = arena_behaviours
ANIMAL = A1
[Trigger rests]
KIND = Behaviour
BEHAVIOUR = resting
"""
    (message,) = problems(words)
    assert message == (
        "[Trigger rests] BEHAVIOUR = resting: no classifier evaluates the animals of "
        "A2, A3, A4, B1, B2 and 2 more; add a [Classifier NAME] for each, such as with "
        "ANIMAL = A2"
    )


def test_a_classifier_of_pairs_is_refused_in_arenas() -> None:
    settings = rig()
    folders, _ = read_classifiers(settings)
    folder = folders["of anna"]
    of_pair = replace(folder, features=replace(folder.features, of_pair=True))
    arenas = {"anna": Circle(50, 50, 9), "bob": Circle(150, 50, 9)}
    expected = (
        "[Classifier of anna] evaluates pairs, but animals in arenas never meet: "
    )
    for used, refused in ((settings, False), (replace(settings, arenas=arenas), True)):
        found = classifier_problems(used, {"of anna": of_pair}, PAIR)
        assert (f"{expected}remove it" in found) is refused


def renamed_classifier(path: Path, **names: str) -> Path:
    """Return a copy of the classifier whose classes have other names."""
    copytree(MODELS / "arena_behaviours", path)
    file = path / "classifier.json"
    content = json.loads(file.read_text("utf-8"))
    content["classes"] = [names.get(name, name) for name in content["classes"]]
    file.write_text(json.dumps(content), "utf-8")
    return path


def test_an_exported_behaviour_has_its_declared_animal(tmp_path: Path) -> None:
    """`anna` and `anna_walking` begin alike, and so does a behaviour of `bob` alone."""
    folder = renamed_classifier(tmp_path / "classifier", running="anna_runs")
    words = f"""
[Animals]
NAMES = anna, anna_walking, bob
[Camera arena]
KIND = SimulatedCamera
ANIMALS = 3
[Classifier one]
FOLDER = arena_behaviours
ANIMAL = anna
[Classifier other]
FOLDER = arena_behaviours
ANIMAL = anna_walking
[Classifier third]
FOLDER = {folder}
ANIMAL = 3
[Output light]
KIND = SimulatedOutput
[Trigger walks]
KIND = Behaviour
BEHAVIOUR = walking
ANIMAL = anna
[Experiment]
EXP_NAME = one
[Experiment one]
KIND = Conditional
TRIGGER = walks
OUTPUT = light
"""
    run, _ = rehearse(rig(words), tmp_path / "run", seconds=20, animals=3)
    (table,) = export(run.path, ["boris"])
    with table.open(encoding="utf-8", newline="") as lines:
        rows = [*csv.DictReader(lines)]
    subjects: dict[str, set[str]] = {}
    for row in rows:
        if row["Behavioral category"] == "behaviour":
            subjects.setdefault(row["Behavior"], set()).add(row["Subject"])
    assert subjects["walking"] == {"anna", "anna_walking", "bob"}
    assert subjects["running"] == {"anna", "anna_walking"}
    assert subjects["anna_runs"] == {"bob"}


def test_two_behaviours_in_one_column_are_refused(tmp_path: Path) -> None:
    one = renamed_classifier(tmp_path / "one", walking="bob_walks")
    other = renamed_classifier(tmp_path / "other", walking="walks")
    names = "anna", "anna_bob", "carl"
    words = RIG.replace("NAMES = anna, bob", f"NAMES = {', '.join(names)}")
    words = words.replace("ANIMALS = 2", "ANIMALS = 3")
    words = words.replace("ANIMAL = bob", "ANIMAL = anna_bob")
    words = words.replace("FOLDER = arena_behaviours", f"FOLDER = {one}", 1)
    words = words.replace("FOLDER = arena_behaviours", f"FOLDER = {other}", 1)
    # each behaviour has classifiers of two animals, so the columns name the animal
    words += f"""
[Classifier third]
FOLDER = {one}
ANIMAL = carl
[Classifier fourth]
FOLDER = {other}
ANIMAL = carl
"""
    assert any(
        "[Classifier of bob] and [Classifier of anna] would both fill the column "
        "behaviour_anna_bob_walks: rename 'walks' or 'bob_walks'" in problem
        for problem in problems(words, replace(PAIR, animals=names))
    )
