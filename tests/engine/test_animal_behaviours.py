"""The same classifier for each of several animals: the trigger names whose behaviour."""

from dataclasses import replace
from pathlib import Path

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
from deeplabstream.plugins.trigger import TriggerContext
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


def problems(words: str) -> list[str]:
    settings = rig(words)
    folders, found = read_classifiers(settings)
    return found + classifier_problems(settings, folders, PAIR)


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
