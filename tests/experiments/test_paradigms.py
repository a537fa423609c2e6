"""The shipped experiments, each on a course of answers as a methods section has it."""

from collections.abc import Mapping
from typing import Any

import pytest

from deeplabstream.core.command import Command, Mark, Pulse, Set
from deeplabstream.plugins.experiment import Experiment, Observation, PlanRunner
from experiments.classical_conditioning import ClassicalConditioning
from experiments.reward_pretraining import RewardPreTraining
from experiments.reward_supply import Supply
from experiments.shaping import Stages
from experiments.trial_based import TrialBased
from experiments.triggered import Triggered

WORD = {"#": True, ".": False, "?": None}


def said(command: Command) -> str:
    match command:
        case Mark(text):
            return text
        case Pulse(output):
            return f"{output} pulse"
        case Set(output, level):
            return f"{output} {level:g}"


def course(experiment: Experiment, answers: Mapping[str, str]) -> list[tuple[int, str]]:
    """Return (second, command), one frame a second; `#` holds, `.` fails, `?` unknown."""
    stepper, done = PlanRunner(experiment.plan()), list[tuple[int, str]]()
    for time_s, frame in enumerate(zip(*answers.values(), strict=True)):
        words = [WORD[answer] for answer in frame]
        seen = Observation(time_s, dict(zip(answers, words, strict=True)))
        done += [(time_s, said(command)) for command in stepper.step(seen)]
        if stepper.finished:
            return [*done, (time_s, "end")]
    return done


def trials(**values: Any) -> Experiment:
    some: Any = {"start": "s", "answer": "a", "stimuli": ("cue",), "trial_s": 3}
    return TrialBased(**(some | {"interval": "2", "reward": "drop"} | values))


def test_a_trial_is_started_and_answered_and_paid() -> None:
    done = course(trials(trials=2), {"s": ".#.....##....", "a": "...#........."})
    assert done == [
        (1, "trial 1: cue"),
        (1, "cue pulse"),
        (4, "cue 0"),
        (4, "trial 1: right"),
        (4, "drop pulse"),
        (7, "trial 2: cue"),
        (7, "cue pulse"),
        (10, "cue 0"),
        (10, "trial 2: wrong"),
        (12, "end"),
    ]


@pytest.mark.parametrize(
    ("result", "answers", "expected"),
    [
        ("any", "..#..", "right"),
        ("any", ".....", "wrong"),
        ("any", "#?...", "wrong"),
        ("all", "..##?", "right"),
        ("all", "..#.#", "wrong"),
        ("all", "..???", "wrong"),
    ],
)
def test_any_and_all(result: str, answers: str, expected: str) -> None:
    done = course(trials(result=result), {"s": ".#...", "a": answers})
    assert (4, f"trial 1: {expected}") in done


def test_enough_right_trials_end_it() -> None:
    done = course(trials(successes=2), {"s": "#" * 30, "a": "#" * 30})
    assert [text for _, text in done if "right" in text] == [
        "trial 1: right",
        "trial 2: right",
    ]
    assert done[-1][1] == "end"


def test_a_reward_waits_for_an_animal_that_is_lost() -> None:
    done = course(trials(), {"s": ".#......", "a": "..#.???."})
    assert (4, "trial 1: right") in done
    assert (7, "drop pulse") in done


def test_weights_are_one_for_each_stimulus() -> None:
    with pytest.raises(ValueError, match="expected one for each"):
        trials(stimuli=("one", "two"), weights=(1, 2, 3))


def test_only_the_paired_cue_has_an_outcome() -> None:
    some: Any = {"trigger": "t", "paired": "tone", "neutral": "noise"}
    some |= {"outcome": "puff", "cue_s": 2, "interval": "1", "blocks": 5, "seed": 4}
    done = course(ClassicalConditioning(**some), {"t": "#" * 200})
    cues = [text for _, text in done if text.endswith(" 1")]
    assert cues.count("tone 1") == cues.count("noise 1") == 10
    for place, (second, text) in enumerate(done):
        if text in ("tone 0", "noise 0"):
            follows = done[place + 1] == (second, "puff pulse")
            assert follows == (text == "tone 0")
            assert (second - 2, text.replace(" 0", " 1")) in done


def test_blocks_that_can_t_be_are_refused() -> None:
    some: Any = {"trigger": "t", "paired": "a", "neutral": "b", "outcome": "c"}
    with pytest.raises(ValueError, match="no order has at most 1"):
        ClassicalConditioning(**some, block=(4, 1), longest_run=1)


def test_stages_go_up_and_back() -> None:
    some: Any = {"stages": ("near", "facing"), "reward": "drop", "rewards": 2}
    shaping = Stages(**some, rest_s=0, patience_s=5)
    near = ".#.#...........#.#...."
    facing = "..................#.#."
    assert course(shaping, {"near": near, "facing": facing}) == [
        (0, "stage 1"),
        (1, "drop pulse"),
        (3, "drop pulse"),
        (3, "stage 2"),
        (9, "back to stage 1"),
        (14, "back to stage 1"),
        (15, "drop pulse"),
        (17, "drop pulse"),
        (17, "stage 2"),
        (20, "drop pulse"),
    ]


def test_stages_begin_where_the_animal_was() -> None:
    some: Any = {"stages": ("near", "facing"), "reward": "drop", "rewards": 1}
    shaping = Stages(**some, rest_s=0, patience_s=5, first_stage=2)
    done = course(shaping, {"near": "....", "facing": ".#.."})
    assert done[:2] == [(0, "stage 2"), (1, "drop pulse")]
    with pytest.raises(ValueError, match="FIRST_STAGE = 3: there are 2 STAGES"):
        Stages(**some, first_stage=3)


def test_a_pulse_for_each_visit() -> None:
    some: Any = {"trigger": "t", "output": "laser", "pulse_s": 1, "rest_s": 1}
    done = course(Triggered(**some, pulses=2), {"t": ".####.##.?#...."})
    assert done == [
        (1, "pulse 1"),
        (1, "laser pulse"),
        (6, "pulse 2"),
        (6, "laser pulse"),
        (11, "end"),
    ]


def test_drops_while_it_stays_and_what_is_left_is_taken_away() -> None:
    some: Any = {"trigger": "t", "supply": "in", "removal": "out", "every_s": 3}
    assert course(Supply(**some, drops=3), {"t": ".######..#??.."}) == [
        (1, "drop 1"),
        (1, "in pulse"),
        (5, "drop 2"),
        (5, "in pulse"),
        (7, "out pulse"),
        (9, "drop 3"),
        (9, "in pulse"),
        (12, "out pulse"),
        (12, "end"),
    ]


def test_who_does_not_come_gets_one_for_free_once_it_is_seen() -> None:
    some: Any = {"trigger": "t", "reward": "drop", "free_after_s": 4, "interval": "2"}
    assert course(RewardPreTraining(**some), {"t": ".#..????....."}) == [
        (1, "reward 1: earned"),
        (1, "drop pulse"),
        (8, "reward 2: free"),
        (8, "drop pulse"),
    ]
