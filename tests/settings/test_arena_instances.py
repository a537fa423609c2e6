"""Triggers, outputs and the experiment of each arena, and what is refused."""

from pathlib import Path

import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.regions import Rectangle
from deeplabstream.settings.loading import Settings, parse
from experiments.conditional import Conditional

RIG = """
[Pose Estimation]
MODEL = background
[Camera top]
KIND = SimulatedCamera
[Arenas]
ROWS = 1
COLUMNS = 2
CORNERS = 100 100, 200 100
SHAPE = circle 40
[Trigger right]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle 0 -40 40 80
PROBABILITY = 0.5
SEED = 3
[Trigger not right]
KIND = Not
TRIGGER = right
[Trigger of one]
KIND = InsideRegion
ANIMAL = A2
BODYPARTS = centre
REGION = rectangle 200 60 40 80
[Output light.A1]
KIND = SimulatedOutput
[Output light.A2]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = place
[Experiment place]
KIND = Conditional
TRIGGER = not right
OUTPUT = light
"""


def rig(text: str = RIG) -> Settings:
    return parse(text, Path())


def problem(text: str) -> str:
    with pytest.raises(SettingsError) as raised:
        parse(text, Path())
    (found,) = raised.value.problems
    return found


def test_triggers_are_made_for_each_arena_around_its_centre() -> None:
    triggers = rig().new_triggers()
    right = ["right.A1", "right.A2"]
    assert [*triggers] == ["of one", *right, "not right.A1", "not right.A2"]
    regions = [vars(triggers[name])["region"] for name in right]
    assert regions == [Rectangle(100, 60, 40, 80), Rectangle(200, 60, 40, 80)]
    assert [vars(triggers[name])["animal"] for name in right] == ["A1", "A2"]
    assert vars(triggers["not right.A2"])["trigger"] == "right.A2"
    assert triggers["right.A1"].seed != triggers["right.A2"].seed
    assert vars(triggers["of one"])["region"] == Rectangle(200, 60, 40, 80)


def test_points_and_lines_are_relative_to_the_centre_of_the_arena() -> None:
    text = "\n[Trigger mid]\nKIND = LineCrossing\nBODYPARTS = centre\nLINE = 0,-9,1,9\n"
    trigger = rig(RIG + text).new_triggers()["mid.A2"]
    assert vars(trigger)["line"] == (200, 91, 201, 109)


def test_the_experiment_of_each_arena_names_its_trigger_and_its_output() -> None:
    experiments = rig().new_experiments()
    assert [*experiments] == ["A1", "A2"]
    expected = Conditional(trigger="not right.A2", output="light.A2")
    assert experiments["A2"] == expected


OTHER = "[Experiment other]\nKIND = Conditional\nTRIGGER = right\nOUTPUT = lamp\n"


def with_experiments(entries: str) -> str:
    return RIG.replace("COLUMNS = 2", f"COLUMNS = 2\nEXPERIMENTS = {entries}")


def test_arenas_can_have_another_experiment_or_none() -> None:
    lamp = "[Output lamp.A2]\nKIND = SimulatedOutput\n"
    settings = rig(with_experiments("A2 other") + OTHER + lamp)
    experiments = settings.new_experiments()
    assert experiments["A1"] == Conditional(trigger="not right.A1", output="light.A1")
    assert experiments["A2"] == Conditional(trigger="right.A2", output="lamp.A2")
    assert settings.triggers_of_arenas == {"A1": {"not right.A1"}, "A2": {"right.A2"}}
    assert [*rig(with_experiments("A2:A2 -")).new_experiments()] == ["A1"]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("A2", "expected arenas"),
        ("A2:A1 place", "expected the upper left and the lower right"),
        ("A2:B place", "expected the upper left and the lower right"),
        ("A1:A2 place, A1 -", "arena A1 is there twice"),
        ("B7 place", "EXPERIMENTS: there is no arena B7"),
        ("A1 plaice", "EXPERIMENTS = plaice: no section [Experiment plaice]"),
        ("A1:A2 -", "no arena has an experiment"),
    ],
)
def test_wrong_experiments_of_arenas_are_refused(entries: str, said: str) -> None:
    assert said in problem(with_experiments(entries))


def test_an_experiment_needs_the_outputs_of_its_arenas_only() -> None:
    assert "add [Output lamp.A2]" in problem(with_experiments("A2 other") + OTHER)


def test_an_experiment_without_arenas_is_one() -> None:
    text = RIG[: RIG.index("[Arenas]")] + RIG[RIG.index("[Trigger right]") :]
    text = text.replace("light.A1", "light").replace("ANIMAL = A2\n", "")
    text = text.replace("[Output light.A2]", "[Output other]")
    assert [*rig(text).new_experiments()] == [""]
    text = text.replace("[Output other]", "[Output light.A2]")
    assert "[Output light.A2]: there are no arenas" in problem(text)


def test_each_arena_has_a_seed_of_its_own() -> None:
    text = (
        RIG[: RIG.index("[Experiment place]")]
        + """
[Experiment place]
KIND = ClassicalConditioning
TRIGGER = right
PAIRED = light
NEUTRAL = tone
OUTCOME = valve
SEED = 5
"""
    )
    for name in ("tone", "valve"):
        for arena in ("A1", "A2"):
            text += f"[Output {name}.{arena}]\nKIND = SimulatedOutput\n"
    seeds = [vars(it)["seed"] for it in rig(text).new_experiments().values()]
    assert len({5, *seeds}) == 3


@pytest.mark.parametrize("name", ["lamp", "light.B1", "light.A1.A2"])
def test_an_output_that_is_not_of_one_arena_is_refused(name: str) -> None:
    said = problem(f"{RIG}[Output {name}]\nKIND = SimulatedOutput\n")
    assert "belongs to one arena, which its name ends with, such as [Output " in said


def test_an_output_that_sends_events_is_of_all_arenas() -> None:
    assert (
        "events" in rig(f"{RIG}[Output events]\nKIND = OscEvents\nPORT = 9\n").outputs
    )


def test_an_arena_without_the_output_of_the_experiment_is_refused() -> None:
    said = problem(RIG.replace("[Output light.A2]\nKIND = SimulatedOutput\n", ""))
    expected = "[Experiment place] OUTPUT = light: each arena needs this output; add "
    assert said == f"{expected}[Output light.A2]"


def test_a_follower_in_another_arena_is_refused() -> None:
    text = RIG.replace("[Output light.A1]", "[Output light.A1]\nTHEN = light.A2")
    assert (
        "THEN = light.A2: belongs to another arena; enter an output of A1"
        in problem(text)
    )


def test_a_trigger_of_one_animal_is_refused_in_the_experiment() -> None:
    said = problem(RIG.replace("TRIGGER = not right", "TRIGGER = of one"))
    assert (
        "[Experiment place] TRIGGER = of one: [Trigger of one] is not made for" in said
    )


def test_places_in_mm_are_refused() -> None:
    text = RIG.replace("SimulatedCamera", "SimulatedCamera\nMM_PER_PIXEL = 1")
    said = problem(text.replace("SEED = 3", "SEED = 3\nUNIT = mm"))
    assert said.startswith("[Trigger right] UNIT = mm: places in an arena are in px")


def test_a_trigger_on_behaviours_of_pairs_is_not_made_for_each_arena() -> None:
    text = f"{RIG}[Trigger chase]\nKIND = PairBehaviour\nBEHAVIOUR = chase\n"
    assert "chase" in rig(text).new_triggers()
    said = problem(text.replace("TRIGGER = not right", "TRIGGER = chase"))
    assert "TRIGGER = chase: [Trigger chase] is not made for each arena" in said


@pytest.mark.parametrize("target", ["A1", "2"])
def test_a_measure_of_two_animals_is_refused_in_arenas(target: str) -> None:
    measure = "KIND = Measure\nMEASURE = animal_min_distance"
    said = problem(f"{RIG}[Trigger near]\n{measure}\nTARGET = {target}\n")
    assert said == (
        f"[Trigger near] TARGET = {target}: animals in arenas never meet; remove the "
        "trigger"
    )


COMBINATION = f"{RIG}[Trigger both]\nKIND = AllOf\nTRIGGERS = "


@pytest.mark.parametrize("named", ["of one", "right.A1, right.A2", "not both"])
def test_a_combination_of_triggers_of_one_arena_is_refused_in_the_experiment(
    named: str,
) -> None:
    text = f"{COMBINATION}{named}\n"
    if named == "not both":
        text = text.replace(named, "of one")
        text = text.replace("KIND = Not\nTRIGGER = right", "KIND = Not\nTRIGGER = both")
    else:
        assert "both" in rig(text).new_triggers()
        text = text.replace("TRIGGER = not right", "TRIGGER = both")
    assert "is not made for each arena, because it names" in problem(text)


def test_a_combination_of_one_arena_names_the_triggers_of_that_arena() -> None:
    assert problem(f"{COMBINATION}of one, right\n") == (
        "[Trigger both] TRIGGERS = right: [Trigger right] is made for each arena; enter "
        "that of one, right.A1"
    )
