"""The trigger on measures so far: compares, decides once, and is unknown with a lost animal."""

from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from deeplabstream.analysis.live_measures import LiveMeasures, LivePlan
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.core.command import TriggerName
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.plugins.trigger import Answer, TriggerContext
from experiments.triggers.measure import Measure
from tests.engine.small_rig import RIG, problems

LEFT, RIGHT = TriggerName("left"), TriggerName("right")


@dataclass
class Told:
    """Measures that a test sets."""

    values: dict[tuple[str, str], float]
    known: dict[str, bool] = field(default_factory=dict)

    def value(self, measure: str, of: str = "", animal: str = "1") -> float:
        return self.values[measure, of]

    def is_known(self, of: str = "", animal: str = "1") -> bool:
        return self.known.get(of, True)


def ask(trigger: Measure, told: Told) -> Answer:
    return trigger.answer(TriggerContext(measures=told), 0.0)


@pytest.mark.parametrize(
    ("comparison", "value", "answer"),
    [
        ("at least", 9.9, False),
        ("at least", 10.0, True),
        ("at least", nan, None),
        ("below", 9.9, True),
        ("below", 10.0, False),
        ("below", nan, None),
    ],
)
def test_it_compares_with_a_value(
    comparison: Any, value: float, answer: Answer
) -> None:
    trigger = Measure(
        measure="region_time", region_of=LEFT, value=10.0, comparison=comparison
    )
    assert ask(trigger, Told({("region_time", "left"): value})) is answer


def test_it_compares_two_regions() -> None:
    trigger = Measure(
        measure="region_time", region_of=LEFT, than=RIGHT, comparison="below"
    )
    told = Told({("region_time", "left"): 3.0, ("region_time", "right"): 4.0})
    assert ask(trigger, told) is True
    told.values["region_time", "left"] = 4.0
    assert ask(trigger, told) is False
    told.known["right"] = False
    assert ask(trigger, told) is None


def test_it_decides_once() -> None:
    trigger = Measure(
        measure="region_time", region_of=LEFT, value=5.0, decide_at_s=60.0
    )
    told = Told({("region_time", "left"): 9.0, ("duration", ""): 59.9})
    assert ask(trigger, told) is False
    told.values |= {("region_time", "left"): 4.0, ("duration", ""): 60.0}
    told.known["left"] = False
    assert ask(trigger, told) is None, "a lost animal decides nothing"
    told.known["left"] = True
    assert ask(trigger, told) is False
    told.values["region_time", "left"] = 9.0
    assert ask(trigger, told) is False, "the decision stays"


def test_a_lost_animal_is_unknown() -> None:
    trigger = Measure(measure="distance", value=5.0)
    assert ask(trigger, Told({("distance", ""): 9.0}, {"": False})) is None


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"measure": "region_time"}, "REGION_OF is missing"),
        ({"measure": "distance", "region_of": "left"}, "REGION_OF = left: MEASURE"),
        ({"measure": "distance", "than": "left"}, "THAN = left: MEASURE"),
    ],
)
def test_keys_that_do_not_fit_are_a_sentence(keys: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Measure(**keys)


NEEDED = "[Trigger enough]\nKIND = Measure\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"{NEEDED}MEASURE = region_time\nREGION_OF = nowhere\n",
            "[Trigger enough] REGION_OF = nowhere: no section [Trigger nowhere]",
        ),
        (
            f"{NEEDED}MEASURE = region_time\nREGION_OF = enough\n",
            "[Trigger enough] REGION_OF = enough: [Trigger enough] has no REGION; enter a "
            "trigger that has one",
        ),
        (
            f"{NEEDED}MEASURE = immobile_time\n",
            "[Trigger enough] MEASURE: immobility in px needs START_SPEED and STOP_SPEED in "
            "[Measures], or MM_PER_PIXEL or MARKS in [Camera arena]",
        ),
        (
            "[Experiment]\nSTOP_TRIGGER = enough\n",
            "[Experiment] STOP_TRIGGER = enough: no section [Trigger enough]",
        ),
        (
            "[Measures]\nSTART_SPEED = 10\nSTOP_SPEED = 20\n",
            "[Measures] STOP_SPEED = 20: must be START_SPEED = 10 or less",
        ),
        (
            "[Measures]\nCONTACT_BODYPARTS = snout\n",
            "[Measures] CONTACT_BODYPARTS: needs CONTACT_DISTANCE, too",
        ),
        (
            "[Measures]\nCONTACT_DISTANCE = 5\nCONTACT_TARGET_BODYPARTS = snout\n",
            "[Measures] CONTACT_TARGET_BODYPARTS: needs CONTACT_BODYPARTS, too",
        ),
        (
            f"{NEEDED}MEASURE = contacts\nTARGET = 2\n",
            "[Trigger enough] MEASURE: needs CONTACT_DISTANCE in [Measures]",
        ),
        (
            f"{NEEDED}MEASURE = animal_min_distance\n",
            "[Trigger enough] MEASURE = animal_min_distance: TARGET is missing, the other "
            "animal",
        ),
        (
            f"{NEEDED}MEASURE = distance\nTARGET = 2\n",
            "[Trigger enough] TARGET = 2: MEASURE = distance is not a measure of two animals",
        ),
        (
            "[Camera side]\nKIND = SimulatedCamera\n[Trigger there]\nKIND = InsideRegion\n"
            "CAMERA = side\nBODYPARTS = snout\nREGION = circle 1 2 3\n"
            f"{NEEDED}MEASURE = region_time\nREGION_OF = there\n",
            "[Trigger enough] REGION_OF = there: [Trigger there] looks at [Camera side]; "
            "measures are of the deciding camera, arena",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_a_sentence(text: str, said: str) -> None:
    found = problems(RIG + text)
    assert any(each.startswith(said) for each in found), found


def test_a_measure_of_two_animals_is_unknown_while_one_is_lost() -> None:
    skeleton = Skeleton(("snout",), animals=("anna", "bob"))
    options = AnalysisOptions(contact_distance=10)
    live = LiveMeasures(LivePlan(skeleton, 0.5, options=options))
    trigger = Measure(measure="contacts", animal="anna", target="bob", value=2)
    answers = []
    for n, gap in enumerate([50.0, 5, 50, 5, 5, np.nan]):
        points = np.array([[[0, 0]], [[gap, 0]]], np.float32)
        live.add(n / 10, Pose(skeleton, points, np.ones((2, 1), np.float32)))
        answers.append(trigger.answer(TriggerContext(measures=live), n / 10))
    assert answers == [False, False, False, False, True, None]
