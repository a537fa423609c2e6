"""Bouts of attack, their stimulus, and the end for safety."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deeplabstream.core.command import Command, Mark, OutputName, Set, TriggerName
from deeplabstream.core.errors import ExperimentError
from deeplabstream.engine.replay.rehearsal import rehearse
from deeplabstream.engine.replay.rehearsal_summary import summary
from deeplabstream.engine.replay.rerun import compare
from deeplabstream.plugins.experiment import Observation, PlanRunner
from deeplabstream.settings.loading import load, parse
from deeplabstream.settings.ready_made import CONFIGS
from experiments.resident_intruder import AttackBouts, ResidentIntruder

WORD = {"#": True, ".": False, "?": None}


def bouts_of(answers: str) -> tuple[int, float, float, bool]:
    """Return count, duration of the last bout, total, and whether one lasts; 1 frame a s."""
    bouts = AttackBouts()
    for time_s, answer in enumerate(answers):
        bouts.add(WORD[answer], time_s)
    return bouts.count, bouts.bout_s, bouts.total_s, bouts.present


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ("", (0, 0, 0, False)),
        (".##??.??#", (2, 0, 4, True)),
        (".#.??????", (1, 1, 1, False)),
        (".#???????", (1, 7, 7, True)),
        ("????", (0, 0, 0, False)),
        ("??#?#..", (1, 3, 3, False)),
        ("#.#.", (2, 1, 2, False)),
    ],
)
def test_a_bout_lasts_from_attack_until_known_without(
    answers: str, expected: tuple[int, float, float, bool]
) -> None:
    assert bouts_of(answers) == expected


COURSES = st.lists(
    st.tuples(st.integers(1, 500), st.sampled_from([True, False, None])), max_size=60
)


@given(COURSES)
@example([(1, True), (500, None), (1, False), (1, None), (1, True)])
def test_bouts_are_those_of_the_course_with_unknown_filled_in(
    course: list[tuple[int, bool | None]],
) -> None:
    bouts, time_s = AttackBouts(), 0
    for pause_s, answer in course:
        time_s += pause_s
        bouts.add(answer, time_s)

    # independently: fill each unknown with the state before it, then add up the pauses
    filled: list[bool] = []
    for _, answer in course:
        before = filled[-1] if filled else False
        filled.append(before if answer is None else answer)
    pairs = list(zip([False, *filled], filled, strict=False))
    pauses = [pause_s for pause_s, _ in course]
    in_attack = [
        pause_s for pause_s, (before, _) in zip(pauses, pairs, strict=True) if before
    ]
    starts = [place for place, pair in enumerate(pairs) if pair == (False, True)]
    last = 0
    for place in range(starts[-1] + 1 if starts else len(pairs), len(pairs)):
        if not pairs[place][0]:
            break
        last += pauses[place]
    assert bouts.count == len(starts)
    assert bouts.total_s == sum(in_attack)
    assert bouts.bout_s == last
    assert bouts.present is bool(filled and filled[-1])


def experiment(**values: Any) -> ResidentIntruder:
    given: dict[str, Any] = {
        "attack": TriggerName("t"),
        "stimulus": OutputName("o"),
        "baseline_s": 0,
        "introduction_s": 0,
        "max_attack_s": 100,
        "max_total_s": 100,
    }
    return ResidentIntruder(**(given | values))


def course(of: ResidentIntruder, answers: str) -> tuple[str, list[str], str]:
    """Return the stimulus (`#` on, `.` off), the marks with their second, and the end."""
    stepper, level, lit = PlanRunner(of.plan()), ".", ""
    marks: list[str] = []
    for time_s, answer in enumerate(answers):
        commands: tuple[Command, ...]
        try:
            commands = stepper.step(Observation(time_s, {"t": WORD[answer]}))
        except ExperimentError as error:
            return lit, marks, str(error)
        for command in commands:
            if isinstance(command, Set):
                level = "#" if command.level else "."
            if isinstance(command, Mark):
                marks.append(f"{time_s} {command.text}")
        if stepper.finished:
            return lit, marks, "finished"
        lit += level
    return lit, marks, ""


@pytest.mark.parametrize(
    ("values", "answers", "expected"),
    [
        ({}, "...##..##..", "...##..##.."),
        ({}, "...##??##..", "...##......"),  # once a bout, never on unknown
        ({}, "...????#...", ".......#..."),
        ({"max_on_s": 2}, "..#####..##", "..##.....##"),
        ({"introduction_s": 4}, "..#..#...#..", ".....#...#.."),
        ({"introduction_s": 4}, "..####.#..", ".......#.."),
        ({"baseline_s": 5}, "..##...##..", ".......##.."),
    ],
)
def test_each_bout_of_the_session_has_one_stimulus_while_attack_is_known(
    values: dict[str, Any], answers: str, expected: str
) -> None:
    lit, _, end = course(experiment(**values), answers)
    assert (lit, end) == (expected, "")


def test_phases_and_bouts_are_marked_and_the_session_ends_in_time() -> None:
    of = experiment(baseline_s=2, introduction_s=2, duration_s=6)
    _, marks, end = course(of, "......##.......")
    assert marks == [
        "0 baseline",
        "2 introduce the intruder",
        "4 session",
        "6 attack 1",
        "8 attack 1 over",
        "10 session over: attacks: 1, 2.0 s in total",
    ]
    assert end == "finished"


@pytest.mark.parametrize(
    ("values", "answers", "seconds", "reason"),
    [
        ({"max_attack_s": 3}, ".. ######", 3, "attack 1 lasts 3.0 s (MAX_ATTACK_S)"),
        ({"max_attack_s": 3}, "..#??????", 3, "(MAX_ATTACK_S), now unknown, which"),
        ({"max_attack_s": 3}, "..#?#?#?#", 3, "attack 1 lasts 3.0 s (MAX_ATTACK_S)"),
        ({"max_total_s": 4}, "..##.##.#", 5, "last 4.0 s in total (MAX_TOTAL_S)"),
        ({"max_bouts": 2}, "..#.#.#..", 4, "more than 2 attacks (MAX_BOUTS)"),
        ({"introduction_s": 9, "max_bouts": 1}, "..#.#..", 2, "more than 1 attacks"),
        ({"duration_s": 4, "max_attack_s": 2}, "..####", 2, "(MAX_ATTACK_S)"),
    ],
)
def test_a_limit_ends_the_experiment_with_its_reason_on_the_frame_that_reaches_it(
    values: dict[str, Any], answers: str, seconds: int, reason: str
) -> None:
    lit, _, end = course(experiment(**values), answers.replace(" ", ""))
    assert end.startswith("safety end: ")
    assert reason in end
    assert len(lit) == 2 + seconds


@pytest.mark.parametrize("answers", ["..??????????", "..#.????????", "..##.##.##.."])
def test_short_attacks_and_unknown_without_attack_end_nothing(answers: str) -> None:
    assert course(experiment(max_attack_s=3), answers)[2] == ""


def test_attack_in_the_baseline_counts_for_no_limit() -> None:
    _, marks, end = course(experiment(baseline_s=8, max_attack_s=3), "..######....")
    assert marks == ["0 baseline", "8 introduce the intruder", "9 session"]
    assert end == ""


def test_a_pause_of_the_camera_in_an_attack_counts_as_attack() -> None:
    stepper = PlanRunner(experiment(max_attack_s=3).plan())
    for time_s, answer in ((0, False), (1, False), (2, True)):
        stepper.step(Observation(time_s, {"t": answer}))
    with pytest.raises(ExperimentError, match=r"attack 1 lasts 18\.0 s"):
        stepper.step(Observation(20, {"t": False}))


def test_a_safety_end_switches_the_light_off_and_is_an_error_of_the_record(
    tmp_path: Path,
) -> None:
    text = (CONFIGS / "resident_intruder.ini").read_text("utf-8")
    text = text.replace("KIND = SimulatedCamera", "KIND = SimulatedCamera\nRATE = 15")
    text = text.replace("MAX_ATTACK_S = 10", "MAX_ATTACK_S = 1")
    text = text.replace("BASELINE_S = 20", "BASELINE_S = 1")
    text = text.replace("INTRODUCTION_S = 10", "INTRODUCTION_S = 0")
    run, steps = rehearse(parse(text, CONFIGS), tmp_path / "run", seconds=60, seed=5)

    rows = list(run.events())
    edges = [(row["level"], row["cause"]) for row in rows if row["kind"] == "edge"]
    at = edges.index(("0.0", "error"))
    assert edges[at - 1] == ("1.0", "plan")
    assert {level for level, _ in edges[at:]} == {"0.0"}
    notes = {row["name"]: row["text"] for row in rows if row["kind"] == "note"}
    assert notes["experiment"].startswith("failed: safety end: attack ")
    assert notes["error"].startswith("[Experiment resident-intruder]: safety end: ")
    assert run.facts["how"] == notes["experiment"]
    assert f"experiment {notes['experiment']}" in list(summary(run, steps))
    assert compare(load(run.path / "settings.ini"), run).same
