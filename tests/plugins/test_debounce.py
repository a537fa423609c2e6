from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.plugins.trigger import DebounceSettings

WORD = {"#": True, ".": False, "?": None}
LETTER = {word: letter for letter, word in WORD.items()}


def cleaned(raw: str, **values: Any) -> str:
    """Return the answers to `raw`, one a second."""
    rules = DebounceSettings(**values)
    given = [rules.debounced(WORD[letter], t) for t, letter in enumerate(raw)]
    return "".join(LETTER[answer] for answer in given)


@pytest.mark.parametrize(
    ("values", "raw", "expected"),
    [
        ({}, "..##?#.", "..##?#."),
        ({"hold_ms": 2000}, "?##??#???.??", "?#######?..."),
        ({"hold_ms": 2000}, ".???#", "...?#"),
        ({"min_dwell_s": 2}, ".##.####.", "......##."),
        ({"min_dwell_s": 2}, "####?####", "..##?..##"),
        ({"exit_delay_s": 2}, "##..##...#", "########.#"),
        ({"exit_delay_s": 2}, "##.?.##", "###?.##"),
        ({"refractory_s": 3}, "##.####.", "##...##."),
        ({"refractory_s": 3}, "##?####.", "##?..##."),
        ({"max_rate_per_min": 2}, "#.#.##.#", "#.#....."),
        ({"max_total_s": 3}, "##.##.##", "##.#...."),
        ({"probability": 0}, ".##.##", "......"),
        ({"min_dwell_s": 1, "exit_delay_s": 1}, ".#.#.##.#..", "......####."),
    ],
)
def test_answers_are_what_the_settings_say(
    values: dict[str, float], raw: str, expected: str
) -> None:
    assert cleaned(raw, **values) == expected


def test_a_minute_later_it_may_begin_again() -> None:
    answers = cleaned("#." * 60, max_rate_per_min=2)
    assert [t for t, letter in enumerate(answers) if letter == "#"] == [
        *(0, 2, 60, 62),
    ]


def test_a_sham_lasts_as_long_as_a_real_one_and_shows() -> None:
    values: dict[str, Any] = {"probability": 0.5, "seed": 3}
    rules = DebounceSettings(**values)
    course: list[tuple[bool | None, bool]] = [
        (rules.debounced(t % 4 > 0, t), rules.sham) for t in range(400)
    ]
    onsets = [course[t : t + 4] for t in range(0, 400, 4)]
    real = [(False, False), *[(True, False)] * 3]
    sham = [(False, False), *[(False, True)] * 3]
    assert all(onset in (real, sham) for onset in onsets)
    assert 35 < onsets.count(sham) < 65


@dataclass
class Course:
    """What a trigger was asked and what it said."""

    rules: dict[str, Any]
    raw: list[tuple[float, bool | None]]
    times: list[float] = field(default_factory=list)
    answers: list[bool | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        debounce, time_s = DebounceSettings(**self.rules), 0.0
        for gap_s, raw in self.raw:
            time_s += gap_s
            self.times.append(time_s)
            self.answers.append(debounce.debounced(raw, time_s))

    def onsets(self) -> list[float]:
        before = [None, *self.answers]
        changes = zip(self.times, before, self.answers, strict=False)
        return [t for t, old, new in changes if new and not old]

    def ends(self) -> list[float]:
        before = [None, *self.answers]
        changes = zip(self.times, before, self.answers, strict=False)
        return [t for t, old, new in changes if old and not new]


SECONDS = st.sampled_from([0.0, 0.5, 1.0, 5.0])
COURSES = st.builds(
    Course,
    st.fixed_dictionaries(
        {
            "hold_ms": st.sampled_from([0.0, 300.0, 2000.0]),
            "min_dwell_s": SECONDS,
            "exit_delay_s": SECONDS,
            "refractory_s": SECONDS,
            "max_rate_per_min": st.integers(0, 4),
            "max_total_s": st.sampled_from([0.0, 3.0, 20.0]),
            "probability": st.sampled_from([0.0, 0.5, 1.0]),
            "seed": st.integers(0, 99),
        }
    ),
    st.lists(
        st.tuples(st.floats(0.01, 2), st.sampled_from([True, True, False, None])),
        max_size=80,
    ),
)


@given(COURSES)
def test_two_runs_are_equal(course: Course) -> None:
    assert Course(course.rules, course.raw).answers == course.answers


@given(COURSES)
def test_unknown_beyond_hold_is_unknown(course: Course) -> None:
    known_s = None
    for time_s, (_, raw), answer in zip(
        course.times, course.raw, course.answers, strict=True
    ):
        known_s = time_s if raw is not None else known_s
        lost = known_s is None or time_s - known_s > course.rules["hold_ms"] / 1e3
        assert (answer is None) == lost


@given(COURSES)
def test_rest_rate_and_dose_are_kept(course: Course) -> None:
    onsets, ends, rules = course.onsets(), course.ends(), course.rules
    for end_s in ends:
        after = [t - end_s for t in onsets if t >= end_s]
        assert min(after, default=99) >= rules["refractory_s"]
    for onset_s in onsets:
        within = [t for t in onsets if 0 <= onset_s - t < 60]
        assert len(within) <= (rules["max_rate_per_min"] or 99)
    if rules["max_total_s"]:
        gaps = zip(course.times[1:], course.times, course.answers, strict=False)
        spent = [later - now for later, now, answer in gaps if answer]
        assert sum(spent[:-1]) < rules["max_total_s"] + 1e-9


@given(COURSES)
def test_a_yes_begins_on_a_frame_that_shows_it_after_the_dwell(course: Course) -> None:
    dwell_s = course.rules["min_dwell_s"]
    known = [(t, raw) for t, (_, raw) in zip(course.times, course.raw, strict=True)]
    for onset_s in course.onsets():
        before = [raw for t, raw in known if onset_s - dwell_s <= t <= onset_s]
        assert before[-1] is True
        assert False not in before or course.rules["exit_delay_s"] > 0
