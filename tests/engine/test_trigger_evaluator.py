"""What is known of one camera when another one decides."""

from math import isnan

import numpy as np
import pytest

from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.loop import TriggerEvaluator
from deeplabstream.engine.pose_filtering import PoseFilter
from experiments.triggers.behaviour import Behaviour
from experiments.triggers.region_triggers import InsideRegion

NOWHERE = Pose(Skeleton(("snout",)), np.zeros((1, 1, 2)), np.ones((1, 1), np.float32))


class Sure:
    """A classifier that is always sure."""

    unit = "px"

    def classify(self, pose: Pose, time_s: float) -> dict[str, float]:
        return {"walk": 0.9}

    def reset(self) -> None: ...


def test_a_behaviour_seen_by_another_camera_counts_until_it_is_stale() -> None:
    pose_filter = PoseFilter(Thresholds(0.5), classifiers={"side": [Sure()]})  # type: ignore[list-item]
    evaluator = TriggerEvaluator("top", 0.5, lambda kind, text: None)
    evaluator.begin({"walking": Behaviour(behaviour="walk")})

    def ask(camera: str, time_s: float) -> dict[str, bool | None]:
        answers: dict[str, bool | None] = {}
        filtered = pose_filter.filter(camera, NOWHERE, time_s)
        evaluator.evaluate(answers, camera, filtered, time_s, too_old=False)
        return answers

    assert ask("top", 0.0) == {"walking": None}
    assert ask("side", 0.1) == {}, "it is asked on the deciding camera's frames"
    assert ask("top", 0.2) == {"walking": True}
    assert ask("top", 0.7) == {"walking": None}
    assert isnan(evaluator.behaviours(0.7)["walk"])


def test_nothing_is_known_of_a_frame_that_is_too_old() -> None:
    evaluator = TriggerEvaluator("top", 0.5, lambda kind, text: None)
    inside = InsideRegion(bodyparts=("snout",), region="circle 0 0 9", hold_ms=100)
    evaluator.begin({"inside": inside})
    answers: dict[str, bool | None] = {}
    for time_s, too_old in ((0.0, False), (0.1, True)):
        filtered = PoseFilter(Thresholds(0.5)).filter("top", NOWHERE, time_s)
        evaluator.evaluate(answers, "top", filtered, time_s, too_old)
    assert answers == {"inside": None}
    assert evaluator.flags == {}


class Faulty(InsideRegion):
    def answer(self, pose: Pose, time_s: float) -> bool | None:
        raise KeyError("snout")


def test_an_error_in_a_trigger_names_its_section() -> None:
    evaluator = TriggerEvaluator("top", 0.5, lambda kind, text: None)
    evaluator.begin({"left": Faulty(bodyparts=("snout",), region="circle 0 0 9")})
    filtered = PoseFilter(Thresholds(0.5)).filter("top", NOWHERE, 0.0)
    with pytest.raises(KeyError) as caught:
        evaluator.evaluate({}, "top", filtered, 0.0, too_old=False)
    assert caught.value.__notes__ == ["[Trigger left] failed: KeyError: 'snout'"]


class Shifting(InsideRegion):
    """Moves the places that it was given."""

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        for place in pose.places(self.bodyparts):
            place[0] += 100
        return super().holds(pose, time_s)


def test_a_trigger_that_changes_its_lists_changes_no_answer() -> None:
    evaluator = TriggerEvaluator("top", 0.5, lambda kind, text: None)
    place = {"bodyparts": ("snout",), "region": "circle 0 0 9"}
    evaluator.begin({"first": Shifting(**place), "second": InsideRegion(**place)})
    answers: dict[str, bool | None] = {}
    filtered = PoseFilter(Thresholds(0.5)).filter("top", NOWHERE, 0.0)
    evaluator.evaluate(answers, "top", filtered, 0.0, too_old=False)
    assert answers == {"first": True, "second": True}
    NOWHERE.skeleton.indices(("snout",)).clear()
    assert NOWHERE.skeleton.indices(("snout",)) == [0]
