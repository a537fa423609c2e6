"""NAME.ANIMAL: the trigger of one actor, and the output that follows it."""

from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.command import Mark, OutputName, Set
from deeplabstream.core.errors import SettingsError
from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.loop import TriggerEvaluator
from deeplabstream.engine.pose_filtering import PoseFilter
from deeplabstream.plugins.experiment import Observation, PlanRunner
from deeplabstream.plugins.trigger import Trigger
from deeplabstream.settings.loading import Settings, check_against, parse
from deeplabstream.settings.text_rewriting import with_name

RIG = """
[Animals]
NAMES = anna, bob
[Camera top]
KIND = SimulatedCamera
[Trigger sniff]
KIND = Contact
BODYPARTS = head
TARGET_BODYPARTS = tail
DISTANCE = 5
[Output laser a]
KIND = SimulatedOutput
[Output laser b]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = each
[Experiment each]
KIND = EachAnimal
TRIGGERS = sniff.anna, sniff.bob
OUTPUTS = laser a, laser b
MAX_ON_S = 3
REST_S = 1
TRIALS = 2
TIME_LIMIT_S = 100
"""
BOTH = Skeleton(("head", "tail"), animals=("anna", "bob"))
NAN = float("nan")
APART = [[(10, 0), (0, 0)], [(60, 0), (50, 0)]]
ANNA_SNIFFS = [[(50, 0), (40, 0)], [(60, 0), (50, 0)]]
BOB_SNIFFS = [[(10, 0), (0, 0)], [(0, 0), (-10, 0)]]
BOTH_SNIFF = [[(50, 0), (0, 0)], [(0, 0), (50, 0)]]
LOST = [[(NAN, NAN), (NAN, NAN)], [(60, 0), (50, 0)]]


def rig(text: str = RIG) -> Settings:
    return parse(text, Path.cwd())


@pytest.mark.parametrize(
    ("names", "actor", "target"),
    [
        ("anna, bob", "1", "anna"),
        ("anna, bob", "bob", "2"),
        ("anna, bob", "2", "02"),
        ("", "1", "animal1"),
    ],
)
def test_an_animal_and_itself_are_no_pair(names: str, actor: str, target: str) -> None:
    text = RIG.replace("NAMES = anna, bob", f"NAMES = {names}")
    text = text[: text.index("[Experiment]")].replace(
        "KIND = Contact", f"KIND = Contact\nACTOR = {actor}\nTARGET = {target}"
    )
    found = problems(text)
    sentence = (
        f"[Trigger sniff] TARGET = {target}: is the same animal as ACTOR = {actor}"
    )
    assert sentence in found
    other = "2" if actor == "1" else "1"
    assert rig(text.replace(f"TARGET = {target}", f"TARGET = {other}"))


def problems(text: str) -> str:
    with pytest.raises(SettingsError) as raised:
        rig(text)
    return "\n".join(raised.value.problems)


def evaluated(
    triggers: dict[str, Trigger], course: list[list[list[tuple[float, float]]]]
) -> list[tuple[dict[str, bool | None], dict[str, str]]]:
    """Return answers and flags of each frame."""
    evaluator = TriggerEvaluator("top", 0.5, lambda kind, text: None)
    evaluator.begin(triggers)
    pose_filter, done = PoseFilter(Thresholds(0.5)), []
    for n, points in enumerate(course):
        pose = Pose(BOTH, np.array(points, np.float32), np.ones((2, 2), np.float32))
        answers: dict[str, bool | None] = {}
        filtered = pose_filter.filter("top", pose, float(n))
        evaluator.evaluate(answers, "top", filtered, float(n), too_old=False)
        done.append((answers, evaluator.flags))
    return done


def test_each_actor_has_a_trigger_and_the_record_names_the_pairs() -> None:
    settings = rig()
    assert [*settings.triggers] == ["sniff", "sniff.anna", "sniff.bob"]
    course = [APART, ANNA_SNIFFS, BOB_SNIFFS, BOTH_SNIFF, LOST]
    done = evaluated(settings.new_triggers(), course)
    assert [tuple(answers.values()) for answers, _ in done] == [
        (False, False, False),
        (True, True, False),
        (True, False, True),
        (True, True, True),
        (None, None, None),
    ]
    flags = [found.get("[Trigger sniff]", "") for _, found in done]
    assert flags == ["", "anna>bob", "bob>anna", "anna>bob+bob>anna", ""]
    assert done[1][1]["[Trigger sniff.anna]"] == "anna>bob"


def test_each_actor_is_debounced_for_itself() -> None:
    text = RIG.replace("DISTANCE = 5", "DISTANCE = 5\nMIN_DWELL_S = 1")
    done = evaluated(rig(text).new_triggers(), [ANNA_SNIFFS, BOB_SNIFFS, BOB_SNIFFS])
    assert [tuple(answers.values()) for answers, _ in done] == [
        (False, False, False),
        (True, False, False),
        (True, False, True),
    ]


def test_shams_of_the_actors_are_different_and_repeatable() -> None:
    text = RIG.replace("DISTANCE = 5", "DISTANCE = 5\nPROBABILITY = 0.5\nSEED = 3")
    course = [BOTH_SNIFF, APART] * 20
    first, again = (
        [
            [
                answers[name]
                for answers, _ in evaluated(rig(text).new_triggers(), course)
            ]
            for name in ("sniff", "sniff.anna", "sniff.bob")
        ]
        for _ in range(2)
    )
    assert first == again
    assert len({tuple(answers) for answers in first}) == 3


def test_the_output_is_that_of_the_actor() -> None:
    stepper = PlanRunner(rig().new_experiment().plan())
    course: list[tuple[bool | None, bool | None]] = [
        (False, False),
        (True, False),
        (True, True),
        (None, True),
        (True, True),  # 3 s are over: MAX_ON_S of anna's trial
        (True, False),  # after REST_S her second trial
        (False, False),
    ]
    done = []
    for n, (anna, bob) in enumerate(course):
        seen = Observation(float(n), {"sniff.anna": anna, "sniff.bob": bob})
        commands = [it for it in stepper.step(seen) if isinstance(it, Set)]
        done.append([(it.output, it.level) for it in commands])
    a, b = OutputName("laser a"), OutputName("laser b")
    assert done == [
        [],
        [(a, 1.0)],
        [(b, 1.0)],
        [],
        [(a, 0.0)],
        [(a, 1.0), (b, 0.0)],
        [(a, 0.0)],
    ]


def test_trials_are_counted_for_each_animal_and_end_the_experiment() -> None:
    text = RIG.replace("TRIALS = 2", "TRIALS = 1")
    stepper = PlanRunner(rig(text).new_experiment().plan())
    marks = []
    for n, state in enumerate([(True, False), (False, False), (True, True), (0, 0)]):
        seen = {
            f"sniff.{who}": bool(it)
            for who, it in zip(BOTH.animals, state, strict=True)
        }
        commands = stepper.step(Observation(float(n * 2), seen))
        marks += [it.text for it in commands if isinstance(it, Mark)]
    assert marks == ["sniff.anna: trial 1", "sniff.bob: trial 1"]
    assert stepper.finished


def test_a_combination_and_the_stop_may_name_an_actor() -> None:
    text = RIG.replace(
        "[Experiment]", "[Experiment]\nSTOP_TRIGGER = sniff.bob"
    ).replace("TRIGGERS = sniff.anna, sniff.bob", "TRIGGERS = both, sniff.2")
    text += "[Trigger both]\nKIND = AllOf\nTRIGGERS = sniff.anna, sniff.bob\n"
    settings = rig(text)
    assert {*settings.triggers} == {
        "sniff",
        "sniff.anna",
        "sniff.bob",
        "sniff.2",
        "both",
    }
    answers, _ = evaluated(settings.new_triggers(), [BOTH_SNIFF])[0]
    assert set(answers.values()) == {True}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("sniff.bob", "sniff.bop", r"ACTOR = bop: not in [Animals] NAMES"),
        ("sniff.bob", "snif.bob", "no section [Trigger snif.bob]"),
        (
            "TARGET_BODYPARTS = tail",
            "ACTOR = bob",
            "TRIGGERS = sniff.anna: [Trigger sniff] has ACTOR = bob; set ACTOR = any",
        ),
        (
            "TARGET_BODYPARTS = tail",
            "TARGET = bob",
            "TRIGGERS = sniff.bob: bob is the TARGET of [Trigger sniff]",
        ),
        (
            "KIND = Contact\nBODYPARTS = head\nTARGET_BODYPARTS = tail\nDISTANCE = 5",
            "KIND = InsideRegion\nBODYPARTS = head\nREGION = circle 0 0 9",
            "[Trigger sniff] has no ACTOR",
        ),
        ("OUTPUTS = laser a, laser b", "OUTPUTS = laser a", "1 for 2 TRIGGERS"),
        (
            "OUTPUTS = laser a, laser b",
            "OUTPUTS = laser a, laser a",
            "an output of its own",
        ),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, problem: str) -> None:
    assert problem in problems(RIG.replace(old, new))


def test_body_parts_of_the_target_are_those_of_the_network() -> None:
    text = RIG.replace("TARGET_BODYPARTS = tail", "TARGET_BODYPARTS = tale")
    found = check_against(rig(text), BOTH)
    assert "[Trigger sniff] TARGET_BODYPARTS: the network has no body part" in found[0]
    assert check_against(rig(), BOTH) == []


def test_a_renamed_trigger_leaves_sections_with_a_longer_name() -> None:
    text = f"{RIG}\n[Trigger sniff.anna]\nKIND = Locomotion\n"
    renamed = with_name(text, "Trigger sniff", "smell")
    assert "TRIGGERS = sniff.anna, smell.bob" in renamed
    text = RIG.replace("laser a", "laser").replace("laser b", "laser.b")
    renamed = with_name(text, "Output laser", "lamp")
    assert "OUTPUTS = lamp, laser.b" in renamed


def test_a_renamed_trigger_keeps_its_actors() -> None:
    text = with_name(RIG, "Trigger sniff", "smell")
    assert "TRIGGERS = smell.anna, smell.bob" in text
    assert [*rig(text).triggers] == ["smell", "smell.anna", "smell.bob"]
