"""Measures of an actor and a target: following, chasing, contacts by body parts, first arrivals."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.analysis.analyse import RunResults, analyse
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.region_list import PlacesOfRun, RegionOfInterest
from deeplabstream.core.pair_geometry import FollowLimits, is_following, speed_towards
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.core.regions import parse_region
from experiments.triggers.pair_arrival import FirstToArrive
from experiments.triggers.pair_movement import Following
from tests.analysis.made import PARTS, body_at, made_run

T = np.arange(101) / 10
ZERO = np.zeros(101)
HOME = PlacesOfRun(
    (RegionOfInterest("home", parse_region("rectangle 300 -50 200 100")),)
)
# the second animal runs right at 50 px/s for 5 s, then at 90 px/s; the first one follows it
# 40 px behind until 8 s, then turns back
AHEAD = np.where(T < 5, 50 * T, 250 + 90 * (T - 5)) + 40
BEHIND = np.where(T < 8, AHEAD - 40, 2 * (AHEAD[80] - 40) - AHEAD + 40)


def points(*tracks: NDArray[np.float64], heading: float = 0.0) -> NDArray[np.float64]:
    """Return the points (frame, animal, part, 2) of animals that move along x."""
    return np.stack(
        [body_at(np.column_stack([x, ZERO]), ZERO + heading) for x in tracks], axis=1
    )


def results(*tracks: NDArray[np.float64], **options: Any) -> RunResults:
    run = made_run(T, points(*tracks), places=HOME)
    values = {"speed_window_s": 0, "following_distance": 60, **options}
    return analyse(run, AnalysisOptions(**values))


def test_the_actor_follows_the_target_and_not_the_other_way_round() -> None:
    found = results(BEHIND, AHEAD, following_speed=40, chasing_speed=80)
    assert found.value("following_time", "animal2", "animal1") == pytest.approx(8)
    assert found.value("chasing_time", "animal2", "animal1") == pytest.approx(3)
    assert found.value("following_time", "animal1", "animal2") == 0
    near = results(BEHIND, AHEAD, following_speed=40, following_distance=30)
    assert near.value("following_time", "animal2", "animal1") == 0


def test_the_trigger_and_the_measure_agree_on_when_it_follows() -> None:
    trigger = Following(
        bodyparts=PARTS, actor="animal1", target="animal2", speed=40, distance=60,
        window_s=0.09,
    )  # fmt: skip
    known = Skeleton(PARTS, animals=("animal1", "animal2"))
    held = 0
    for time_s, place in zip(T, points(BEHIND, AHEAD).astype(np.float32), strict=True):
        pose = Pose(known, place, np.ones((2, 4), np.float32))
        held += trigger.answer(pose, float(time_s)) is True
    # the trigger looks back, the measure looks at the interval that begins
    assert held == 80
    found = results(BEHIND, AHEAD, following_speed=40)
    assert found.value("following_time", "animal2", "animal1") == pytest.approx(8)


def test_contacts_by_body_parts_have_a_direction() -> None:
    # both head to the right: the snout of the first one reaches the tail of the second one
    found = results(
        ZERO + 78, ZERO + 100, contact_distance=5, contact_bodyparts=("snout",),
        contact_target_bodyparts=("tailbase",),
    )  # fmt: skip
    assert found.value("contact_time", "animal2", "animal1") == pytest.approx(10)
    assert found.value("contacts", "animal2", "animal1") == 1
    assert found.value("contact_time", "animal1", "animal2") == 0
    whole = results(ZERO + 78, ZERO + 100, contact_distance=5)
    assert whole.value("contact_time", "animal2", "animal1") == 0


def test_a_contact_is_unknown_while_no_parts_touch_and_one_was_not_found() -> None:
    places = points(ZERO + 78, ZERO + 100)
    places[30:60, 1, PARTS.index("tailbase")] = np.nan
    run = made_run(T, places)
    values = {"contact_distance": 5, "max_gap_s": 0.15}
    parts = AnalysisOptions(contact_bodyparts=("snout", "tailbase"), **values)
    found = analyse(run, parts).value("contact_time", "animal2", "animal1")
    assert found == pytest.approx(6.9)
    assert analyse(run, parts).value("contacts", "animal2", "animal1") == 2


def test_the_first_to_arrive() -> None:
    there = np.where((T >= 2) & (T < 4) | (T >= 6), 400.0, 0.0)
    later = np.where((T >= 3) & (T < 7), 400.0, 0.0)
    found = results(there, later)
    assert found.value("region_first_arrivals", "home", "animal1") == 1
    assert found.value("region_first_latency", "home", "animal1") == pytest.approx(2)
    assert found.value("region_first_arrivals", "home", "animal2") == 0
    assert np.isnan(found.value("region_first_latency", "home", "animal2"))

    # the trigger says the same of each entry
    region = "rectangle 300 -50 200 100"
    known = Skeleton(PARTS, animals=("animal1", "animal2"))
    triggers = [
        FirstToArrive(bodyparts=PARTS, actor=name, region=region)
        for name in known.animals
    ]
    onsets = [0, 0]
    before: list[bool | None] = [None, None]
    for time_s, place in zip(T, points(there, later).astype(np.float32), strict=True):
        pose = Pose(known, place, np.ones((2, 4), np.float32))
        for n, trigger in enumerate(triggers):
            answer = trigger.answer(pose, float(time_s))
            onsets[n] += answer is True and before[n] is not True
            before[n] = answer
    assert onsets == [1, 0]


def test_one_animal_has_no_measures_of_pairs() -> None:
    found = results(AHEAD, following_speed=40)
    names = {value.measure.name for value in found.values}
    assert not names & {"region_first_arrivals", "following_time"}


def test_numbers_and_arrays_have_the_same_geometry() -> None:
    rng = np.random.default_rng(2)
    velocity, other, way = rng.normal(0, 50, (3, 2, 500))
    limits = FollowLimits(20, 80, 60)
    towards = speed_towards((velocity[0], velocity[1]), (way[0], way[1]))
    follows = is_following(
        (velocity[0], velocity[1]), (other[0], other[1]), (way[0], way[1]), limits
    )
    assert 5 < follows.sum() < 495
    for n in range(500):
        single = [tuple(map(float, each[:, n])) for each in (velocity, other, way)]
        one, two, three = ((x, y) for x, y in single)
        assert speed_towards(one, three) == pytest.approx(towards[n])
        assert is_following(one, two, three, limits) is bool(follows[n])
