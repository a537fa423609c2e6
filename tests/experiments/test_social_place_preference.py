"""Times and preference of two places, and the stimulus of the paired one."""

from typing import Any

import pytest

from deeplabstream.core.command import Command, Mark, OutputName, Set, TriggerName
from deeplabstream.core.errors import ExperimentError
from deeplabstream.plugins.experiment import Observation, PlanRunner, triggers_of
from experiments.social_place_preference import PlaceTimes, SocialPlacePreference

PLACES: dict[str, tuple[bool | None, bool | None]] = {
    "L": (True, False),
    "R": (False, True),
    "-": (False, False),
    "?": (None, None),
    "B": (True, True),
    "l": (False, None),
}
"""Whether the subject is in PLACE and in OTHER_PLACE."""
WORD = {"#": True, ".": False, "?": None}


def times_of(places: str, duration_s: float = 1.0) -> PlaceTimes:
    times = PlaceTimes()
    for place in places:
        times.add(*PLACES[place], duration_s)
    return times


@pytest.mark.parametrize(
    ("places", "preference", "unknown"),
    [
        ("LLLR", 0.5, 0.0),
        ("LRRR", -0.5, 0.0),
        ("LLLR????", 0.5, 0.5),
        ("LLLR----", 0.5, 0.0),
        ("LLLRBBll", 0.5, 0.5),
        ("--", None, 0.0),
        ("??", None, 1.0),
        ("", None, 1.0),
    ],
)
def test_preference_is_of_known_frames_and_the_unknown_share_of_all(
    places: str, preference: float | None, unknown: float
) -> None:
    times = times_of(places)
    assert (times.preference, times.unknown_share) == (preference, unknown)


def test_a_pause_of_the_camera_counts_as_unknown() -> None:
    assert times_of("L", 1.5) == PlaceTimes(unknown_s=1.5)


def experiment(**values: Any) -> SocialPlacePreference:
    given: dict[str, Any] = {
        "place": TriggerName("left"),
        "other_place": TriggerName("right"),
        "stimulus": OutputName("o"),
        "baseline_s": 4,
        "conditioning_s": 8,
        "test_s": 4,
    }
    return SocialPlacePreference(**(given | values))


def course(
    of: SocialPlacePreference, places: str, near: str = ""
) -> tuple[str, list[str], str]:
    """Return the stimulus (`#` on, `.` off), the marks with their second, and the end."""
    stepper, level, lit = PlanRunner(of.plan()), ".", ""
    marks: list[str] = []
    for time_s, place in enumerate(places):
        left, right = PLACES[place]
        answers = {"left": left, "right": right}
        if near:
            answers["near"] = WORD[near[time_s]]
        commands: tuple[Command, ...]
        try:
            commands = stepper.step(Observation(time_s, answers))
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


NEAR = {"partner": TriggerName("near")}
LESS = {"paired": "less visited"}


@pytest.mark.parametrize(
    ("values", "places", "near", "expected"),
    [
        ({}, "LLLLLLRRLL-LLLLLL", "", "....##..##.#...."),
        ({}, "LLLL?L?LLLLLLLLLL", "", ".....#.#####...."),
        (NEAR, "LLLLLLLLLLRRLLLLL", "####.##??#######", ".....##..#......"),
        ({"max_on_s": 2}, "LLLLLLLLRLLLLLLLL", "", "....##...##....."),
        ({"max_on_s": 2}, "LLLLL?LL-LLLLLLLL", "", "....#.#..##....."),
        (LESS, "LLLRLLRRRRLLLLLLL", "", "......####......"),
        (LESS, "LRRRLLRRRRLLLLLLL", "", "....##....##...."),
        ({"pause_s": 2}, "L" * 21, "", "......########......"),
    ],
)
def test_the_stimulus_is_on_only_in_conditioning_in_the_paired_place_near_the_partner(
    values: dict[str, Any], places: str, near: str, expected: str
) -> None:
    near = near.ljust(len(places), "#") if near else ""
    lit, _, end = course(experiment(**values), places, near)
    assert (lit, end) == (expected, "finished")


def test_each_phase_is_marked_with_times_preference_and_unknown_share() -> None:
    _, marks, _ = course(experiment(), "LR-?LLLLLLRRLLLRR")
    assert marks == [
        "0 baseline",
        "4 baseline over: left 1.0 s, right 1.0 s, elsewhere 1.0 s, unknown 1.0 s (25%); "
        "preference for left: 0.00",
        "4 conditioning: stimulus in left",
        "12 conditioning over: left 6.0 s, right 2.0 s, elsewhere 0.0 s, "
        "unknown 0.0 s (0%); preference for left: 0.50",
        "12 test",
        "16 test over: left 3.0 s, right 1.0 s, elsewhere 0.0 s, unknown 0.0 s (0%); "
        "preference for left: 0.50",
        "16 preference, test minus baseline: +0.50",
    ]


def test_the_preference_is_for_the_place_that_was_chosen() -> None:
    _, marks, _ = course(experiment(**LESS), "LLLRRRRRRRRRRRRRR")
    assert marks[1].endswith("preference for right: -0.50")
    assert marks[-1] == "16 preference, test minus baseline: +1.50"


@pytest.mark.parametrize("values", [{}, NEAR, LESS | NEAR])
def test_an_animal_that_is_never_seen_gets_no_stimulus(values: dict[str, Any]) -> None:
    lit, marks, end = course(experiment(**values), "?" * 17, "#" * 17)
    assert "#" not in lit
    if "paired" in values:
        assert end.startswith("PAIRED = less visited needs a baseline")
        assert "unknown 4.0 s (100%)" in end
    else:
        assert "preference for left: unknown" in marks[-1]


@pytest.mark.parametrize("places", ["LLLLL", "RRRRR"])
def test_too_much_preference_in_the_baseline_ends_with_an_alarm(places: str) -> None:
    _, marks, end = course(experiment(max_preference=0.6), places)
    assert marks == ["0 baseline"]
    assert end.startswith("preference in the baseline above MAX_PREFERENCE; left ")
    assert course(experiment(max_preference=1), places)[2] == ""


@pytest.mark.parametrize(
    ("values", "expected"), [({}, {"left", "right"}), (NEAR, {"left", "right", "near"})]
)
def test_an_optional_trigger_is_one_of_the_experiment_when_it_is_set(
    values: dict[str, Any], expected: set[str]
) -> None:
    assert triggers_of(experiment(**values)) == expected
