"""Alarms of an experiment: an animal that is lost for long, frames that are skipped."""

from dataclasses import replace

import numpy as np
import pytest

from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose
from deeplabstream.engine.checks.stream_watchdogs import AnalysisWatchdog
from deeplabstream.engine.session.session_state import Counts, SessionState
from deeplabstream.settings.sections import ExperimentRun
from tests.gui.fake_session import SKELETON, make_step

S = 1_000_000_000
RULES = ExperimentRun(lost_alarm_s=5, skipped_alarm_percent=20)


def running(delivered: int = 0, analysed: int = 0) -> SessionState:
    counts = {"arena": Counts(delivered=delivered, analysed=analysed)}
    return SessionState(experimenting=True, counts=counts, analysed_from={"arena": 0})


def step_at(second: float, *, lost: bool) -> Step:
    return replace(make_step(0, lost=lost), exposed_ns=round(second * S))


def test_an_animal_that_is_lost_for_long_is_reported_once_each_time() -> None:
    watchdog, told = AnalysisWatchdog(), list[str]()
    for second in range(20):
        lost = second not in (10,)
        watchdog.add(step_at(second, lost=lost))
        told += watchdog.check(RULES, running(), second * S)
    text = "[Camera arena] the animal has not been found for 5 s"
    assert told == [text, text]


def test_a_short_loss_is_no_alarm() -> None:
    watchdog = AnalysisWatchdog()
    for second in range(60):
        watchdog.add(step_at(second, lost=second % 5 != 0))
        assert not list(watchdog.check(RULES, running(), second * S))


@pytest.mark.parametrize(("analysed", "alarms"), [(85, 0), (75, 1)])
def test_skipped_frames_above_the_limit_are_reported_once(
    analysed: int, alarms: int
) -> None:
    watchdog, told = AnalysisWatchdog(), list[str]()
    for second in range(40):
        state = running(100 * second, analysed * second)
        told += watchdog.check(RULES, state, second * S)
    assert len(told) == alarms
    assert all("more than 20% of the frames" in text for text in told)


def test_without_an_experiment_or_with_limits_of_0_nothing_is_reported() -> None:
    never = ExperimentRun(lost_alarm_s=0, skipped_alarm_percent=0)
    for rules, state in ((RULES, SessionState()), (never, running())):
        watchdog = AnalysisWatchdog()
        for second in range(60):
            watchdog.add(step_at(second, lost=True))
            counts = {"arena": Counts(delivered=100 * second, analysed=0)}
            state = replace(state, counts=counts)
            assert not list(watchdog.check(rules, state, second * S))


def test_an_alarm_names_the_arenas_whose_animal_is_lost() -> None:
    arenas = {name: [f"right.{name}"] for name in ("A1", "A2", "A3")}
    watchdog, told = AnalysisWatchdog(), list[str]()
    for second in range(30):
        known = {
            "right.A1": True,
            "right.A2": None if second >= 5 else False,
            "right.A3": None if second >= 15 else False,
            # no trigger of the experiment
            "other.A1": None,
        }
        step = replace(step_at(second, lost=False), triggers=known, status="running")
        watchdog.add(step, arenas)
        told += watchdog.check(RULES, running(), second * S)
    lost = "the animal has not been found for 5 s"
    assert told == [f"[Camera arena] arena A{number}: {lost}" for number in (2, 3)]


def test_a_loss_before_the_arenas_decide_is_forgotten_when_they_do() -> None:
    watchdog, told = AnalysisWatchdog(), list[str]()
    for second in range(20):
        step = step_at(second, lost=True)
        if second:
            known = {"right.A1": False}
            step = replace(step, triggers=known, status="running")
        watchdog.add(step, {"A1": ["right.A1"]})
        told += watchdog.check(RULES, running(), second * S)
    assert not told
    assert not watchdog._lost_since


def test_many_lost_animals_are_one_alarm() -> None:
    arenas = {f"A{number}": [f"right.A{number}"] for number in range(1, 13)}
    unknown = {f"right.{arena}": None for arena in arenas}
    watchdog, told = AnalysisWatchdog(), list[str]()
    for second in range(10):
        step = replace(step_at(second, lost=True), triggers=unknown, status="running")
        watchdog.add(step, arenas)
        told += watchdog.check(RULES, running(), second * S)
    (text,) = told
    assert "arenas A1, A2" in text and "A10 and 2 more: the animal" in text


def test_ambiguous_animals_are_named_instead_of_being_said_to_be_lost() -> None:
    watchdog, told = AnalysisWatchdog(), list[str]()
    skeleton = replace(SKELETON, animals=("anna", "bob", "carl"))
    points = np.ones((3, 3, 2), np.float32)
    words = "doubt1", "", "doubt1"
    pose = Pose(skeleton, points, points[..., 0], words)
    for second in range(6):
        watchdog.add(replace(step_at(second, lost=True), pose=pose))
        told += watchdog.check(RULES, running(), second * S)
    assert told == [
        "[Camera arena] triggers are unknown for 5 s: the identities of anna and carl are "
        "ambiguous. Confirm the names (Live, Ctrl+R)"
    ]
