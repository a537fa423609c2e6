"""Decisions on points in space."""

from math import isnan
from typing import Literal

import pytest

from deeplabstream.core.command import on
from deeplabstream.core.pose import Pose, Thresholds
from deeplabstream.core.space_pose import SpacePose
from deeplabstream.engine.pose_filtering import PoseFilter
from deeplabstream.settings.space_section import Space
from experiments.triggers.behaviour import Behaviour
from experiments.triggers.logic import AllOf
from tests.engine.loop_rig import MS
from tests.engine.space_rig import HIGH, LOW, Above, space_rig


def test_the_frame_that_ends_a_moment_decides() -> None:
    with space_rig() as rig:
        first = rig.frame("left", 3, HIGH)
        second = rig.frame("right", 3, HIGH)
        assert not first.commands and not second.commands and rig.level == 0
        last = rig.frame("front", 3, HIGH)
        assert last.commands[0] == on("light") and rig.level == 1
        assert last.space_triggers == {"inside": True}
        assert last.written_ns


def test_the_experiment_decides_on_frames_where_it_uses_no_space() -> None:
    with space_rig(decides=False) as rig:
        assert rig.frame("front", 3, HIGH).status == ""
        assert rig.frame("left", 4, HIGH).status == "running"


def test_a_point_that_one_camera_sees_is_unknown() -> None:
    with space_rig() as rig:
        rig.frame("left", 3, HIGH)
        rig.frame("right", 3, None)
        step = rig.frame("front", 3, None)
        assert step.space_triggers == {"inside": None} and step.lost


def test_a_camera_that_does_not_see_the_point_changes_nothing() -> None:
    with space_rig() as rig:
        rig.frame("left", 3, HIGH)
        rig.frame("right", 3, None)
        assert rig.frame("front", 3, HIGH).space_triggers == {"inside": True}


def test_decisions_go_on_without_a_lost_camera() -> None:
    with space_rig() as rig:
        for number in range(3, 12):
            rig.moment(number, HIGH, without=("front",))
        at = [step.index for step in rig.steps[9:] if "inside" in step.space_triggers]
        # moments 3 to 5 end with the next frame; then the camera is not waited for
        assert at == [4, 5, 6, *range(6, 12)]
        assert rig.steps[-1].space_triggers == {"inside": True} and rig.level == 1


def test_one_camera_alone_is_unknown_and_the_outputs_go_off() -> None:
    with space_rig() as rig:
        rig.moment(3, HIGH)
        assert rig.level == 1
        for number in range(4, 17):
            rig.moment(number, HIGH, without=("right", "front"))
        assert rig.level == 0
        assert "lost" in rig.notes()


def test_a_frame_that_is_too_old_makes_its_moment_unknown() -> None:
    with space_rig(max_age_ms=50) as rig:
        rig.moment(3, HIGH)
        assert rig.level == 1
        rig.frame("left", 4, HIGH)
        rig.frame("right", 4, HIGH)
        step = rig.frame("front", 4, HIGH, late_ms=60)
        assert step.space_triggers == {"inside": None} and step.lost


def test_the_outputs_go_off_when_no_moment_comes() -> None:
    with space_rig() as rig:
        rig.moment(3, HIGH)
        # one camera still delivers frames, but of moments that have ended
        rig.clock.set(600 * MS)
        rig.loop.idle()
        assert rig.level == 0
        assert "no moment of the cameras of [Space]: outputs are off" in rig.notes()


def test_a_moment_that_ends_late_is_too_old_to_switch_anything_on() -> None:
    with space_rig(max_age_ms=500) as rig:
        rig.moment(3, HIGH, without=("front",))
        # the cameras stall; the next frame ends the moment, with two views of the point
        step = rig.frame("left", 90, LOW)
        assert step.space is not None and step.space.points[0, 2] > 0
        assert step.space_triggers == {"inside": None}
        assert rig.level == 0


def test_frames_of_one_camera_alone_do_not_end_a_silence() -> None:
    with space_rig(lost_ms=60_000, patience_s=0.5) as rig:
        rig.moment(3, HIGH)
        assert rig.level == 1
        for number in range(4, 60):
            rig.moment(number, HIGH, without=("right", "front"))
            rig.loop.idle()
        assert rig.level == 0
        assert "no moment of the cameras of [Space]" in rig.notes()


def test_the_moment_on_which_a_trigger_fails_is_recorded() -> None:
    class Broken(Above):
        def holds(self, pose: SpacePose, time_s: float) -> bool | None:
            if time_s > 0.035:
                raise ZeroDivisionError("a bug")
            return False

    with space_rig(triggers={"inside": Broken(bodyparts=("snout",))}) as rig:
        rig.moment(3, HIGH)
        step = rig.moment(4, HIGH)
        assert step.space is not None
        assert "ZeroDivisionError" in rig.notes()


def test_a_combination_is_evaluated_at_the_moment() -> None:
    triggers = {
        "high": Above(bodyparts=("snout",)),
        "inside": AllOf(triggers=("high",)),
    }
    with space_rig(triggers=triggers) as rig:
        assert rig.moment(3, HIGH).space_triggers == {"high": True, "inside": True}
        assert rig.moment(4, LOW).space_triggers == {"high": False, "inside": False}


class Runs:
    """A classifier that finds the animal running in every second frame."""

    unit: Literal["px", "mm"] = "px"

    def __init__(self) -> None:
        self.frames = 0

    def classify(self, pose: Pose, time_s: float) -> dict[str, float]:
        self.frames += 1
        return {"run": float(self.frames % 2)}

    def reset(self) -> None:
        self.frames = 0


def test_a_behaviour_and_a_height_are_combined_at_the_moment() -> None:
    triggers = {
        "high": Above(bodyparts=("snout",)),
        "runs": Behaviour(behaviour="run"),
        "inside": AllOf(triggers=("high", "runs")),
    }
    classified = PoseFilter(Thresholds(0.5), classifiers={"left": [Runs()]})
    with space_rig(triggers=triggers, pose_filter=classified) as rig:
        # three moments before, so the fourth is a run
        for number, runs in ((3, False), (4, True), (5, False)):
            answers = rig.moment(number, HIGH).space_triggers
            assert answers == {"high": True, "runs": runs, "inside": runs}


def test_equal_frames_give_equal_decisions() -> None:
    steps = []
    for _ in range(2):
        with space_rig(rules=Space(smooth_hz=2.0)) as rig:
            for number in range(3, 30):
                without = ("front",) if number % 5 == 0 else ()
                rig.moment(number, HIGH if number % 9 else None, without)
            steps.append([(step.space_triggers, step.commands) for step in rig.steps])
    assert steps[0] == steps[1]


@pytest.mark.parametrize("smooth_hz", [0.0, 1.0])
def test_smoothing_delays_a_point_that_moves(smooth_hz: float) -> None:
    with space_rig(rules=Space(smooth_hz=smooth_hz, smooth_beta=0.0)) as rig:
        step = rig.moment(3, HIGH)
        assert step.space_triggers == {"inside": not smooth_hz}
        assert not isnan(step.exposed_ns)
