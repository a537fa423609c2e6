"""Triggers on pairs: geometry, who acts on whom, and what ambiguity leaves known."""

from collections.abc import Sequence
from itertools import permutations
from math import cos, radians, sin
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.plugin import PairAnimal, PairTrigger
from experiments.triggers.pair_arrival import FirstToArrive
from experiments.triggers.pair_movement import (
    Approach,
    Chasing,
    Following,
    Withdrawal,
)
from experiments.triggers.pair_posture import Contact, Facing, Huddle, SideBySide

NAMES = ("anna", "bob", "clara", "dora")
NAN = float("nan")
Place = tuple[float, float]


def pose(
    *tails: Place, heads: Sequence[Place] = (), identity: Sequence[str] = ()
) -> Pose:
    """Return the pose of animals with a head (10 px to the right by default) and a tail."""
    heads = heads or [(x + 10, y) for x, y in tails]
    points = np.array(list(zip(heads, tails, strict=True)), np.float32)
    known = Skeleton(("head", "tail"), animals=NAMES[: len(tails)])
    sure = np.ones(points.shape[:2], np.float32)
    return Pose(known, points, sure, tuple(identity))


def made(kind: Any, *bodyparts: str, **values: Any) -> Any:
    return kind(bodyparts=bodyparts or ("tail",), **values)


def answers(trigger: Any, *courses: Sequence[Place], fps: float = 8) -> list[Any]:
    """Return the answers while the animals go through these places."""
    frames = enumerate(zip(*courses, strict=True))
    return [trigger.answer(pose(*places), n / fps) for n, places in frames]


def going(x: float, y: float, way: Place, frames: int = 4) -> list[Place]:
    return [(x + n * way[0], y + n * way[1]) for n in range(frames)]


STANDS = going(200, 0, (0, 0))


def test_an_approach_is_by_the_one_who_moves() -> None:
    comes = going(0, 0, (10, 0))
    of_anna = made(Approach, actor="anna", target="bob", speed=50)
    assert answers(of_anna, comes, STANDS) == [None, True, True, True]
    of_bob = made(Approach, actor="bob", target="anna", speed=50)
    assert answers(of_bob, comes, STANDS) == [None, False, False, False]
    either = made(Approach, speed=50)
    assert answers(either, comes, STANDS)[-1] is True
    assert either.fulfilled_by == ("anna>bob",)


@pytest.mark.parametrize(
    ("way", "expected"),
    [((10, 0), True), ((-10, 0), False), ((0, 10), False), ((4, 0), False)],
)
def test_an_approach_has_a_direction_and_a_speed(way: Place, expected: bool) -> None:
    trigger = made(Approach, speed=50)
    assert answers(trigger, going(0, 0, way), STANDS)[-1] is expected


def test_a_withdrawal_is_the_way_back() -> None:
    leaves = going(150, 0, (-10, 0))
    trigger = made(Withdrawal, actor="anna", speed=50, max_distance=60)
    # from 50 px on the way back ends what counts
    assert answers(trigger, leaves, STANDS) == [None, True, False, False]
    assert (
        answers(made(Withdrawal, speed=50), going(0, 0, (10, 0)), STANDS)[-1] is False
    )


def test_an_approach_that_has_begun_lasts_at_a_lower_speed_and_a_wider_angle() -> None:
    # 80, then 24 mm/s; then straight aside
    slows = [(0.0, 0.0), (10.0, 0.0), (13.0, 0.0), (13.0, 3.0)]
    values = {"actor": "anna", "speed": 50, "exit_share": 0.4}
    assert answers(made(Approach, **values), slows, STANDS) == [None, True, True, False]
    values["exit_share"] = 1
    assert answers(made(Approach, **values), slows, STANDS) == [
        None,
        True,
        False,
        False,
    ]

    turns = [(0.0, 0.0), (10.0, 0.0), (15.0, 8.0), (20.0, 16.0)]
    for exit_angle, lasts in ((75, True), (50, False), (10, False)):
        trigger = made(Approach, actor="anna", speed=30, exit_angle=exit_angle)
        assert answers(trigger, turns, STANDS) == [None, True, lasts, lasts]


def test_an_animal_that_passes_by_approaches_only_within_the_angle_of_passing() -> None:
    # 60 degrees aside, 40, then 0
    ways = [(5.0, 8.7), (7.7, 6.4), (10.0, 0.0)]
    turns = [(0.0, 0.0)]
    for x, y in ways:
        turns.append((turns[-1][0] + x, turns[-1][1] + y))
    stands = [(x + 1000.0, y) for x, y in turns]
    values = {"actor": "anna", "speed": 30, "angle": 45, "max_distance": 2000}
    found = answers(made(Approach, **values, passing_angle=20), turns, stands)
    assert found == [None, False, False, True]
    found = answers(made(Approach, **values, passing_angle=45), turns, stands)
    assert found == [None, False, True, True]


def test_an_approach_that_ends_by_its_angle_begins_within_the_angle_of_passing() -> (
    None
):
    # straight, 90 degrees aside, 40, then 0
    steps = [(10.0, 0.0), (0.0, 10.0), (7.7, 6.4), (10.0, 0.0)]
    course = [(0.0, 0.0)]
    for x, y in steps:
        course.append((course[-1][0] + x, course[-1][1] + y))
    stands = [(x + 1000.0, y) for x, y in course]
    values = {"actor": "anna", "speed": 30, "angle": 45, "max_distance": 2000}
    found = answers(made(Approach, **values, passing_angle=20), course, stands)
    assert found == [None, True, False, False, True]
    found = answers(made(Approach, **values), course, stands)
    assert found == [None, True, False, True, True]


def test_an_animal_that_passed_by_and_stood_still_approaches_as_any_other() -> None:
    steps = [(0.0, 0.0), (5.0, 8.7), (5.0, 8.7), (12.7, 15.1)]
    stands = [(x + 1000.0, y) for x, y in steps]
    trigger = made(Approach, actor="anna", speed=30, angle=45, passing_angle=20)
    assert answers(trigger, steps, stands) == [None, False, False, True]


def test_an_approach_begins_again_after_an_animal_was_lost() -> None:
    # 80 mm/s, lost, then 24 mm/s: enough to last, not to begin
    course = [(0.0, 0.0), (10.0, 0.0), (NAN, NAN), (16.0, 0.0), (19.0, 0.0)]
    trigger = made(Approach, actor="anna", speed=50, exit_share=0.4)
    stands = STANDS + STANDS[:1]
    assert answers(trigger, course, stands) == [None, True, None, None, False]


@pytest.mark.parametrize("kind", [Approach, Withdrawal])
def test_a_movement_that_speeds_up_begins_by_its_extrapolated_speed(kind: Any) -> None:
    # 16, then 40 mm/s: 64 mm/s after a further 0.125 s
    course = [(0.0, 0.0), (2.0, 0.0), (7.0, 0.0)]
    other = [(200.0 if kind is Approach else -200.0, 0.0)] * 3
    values = {"actor": "anna", "speed": 60}
    assert answers(made(kind, **values), course, other) == [None, False, False]
    found = answers(made(kind, predict_s=0.125, **values), course, other)
    assert found == [None, False, True]


def test_no_speed_is_extrapolated_from_before_an_animal_was_lost() -> None:
    course = [(0.0, 0.0), (2.0, 0.0), (NAN, NAN), (4.0, 0.0), (9.0, 0.0)]
    trigger = made(Approach, actor="anna", speed=60, predict_s=0.25)
    stands = STANDS + STANDS[:1]
    assert answers(trigger, course, stands) == [None, False, None, None, False]


def test_speeds_of_targets_by_other_body_parts_are_not_extrapolated() -> None:
    # the tail steps, the head, which counts for the target, stands
    tails = [(0.0, 0.0), (2.0, 0.0), (7.0, 0.0)]
    trigger = made(
        Approach,
        actor="anna",
        speed=60,
        predict_s=0.125,
        target_bodyparts=("head",),
    )
    found = [
        trigger.answer(pose(tail, (200, 0), heads=[(9, 0), (210, 0)]), n / 8)
        for n, tail in enumerate(tails)
    ]
    assert found == [None, False, True]


def test_a_stray_ends_an_approach() -> None:
    trigger = made(Approach, actor="anna", speed=50, exit_share=0.4)
    course = [0.0, 10.0, 20.0, 23.0]
    found = [
        trigger.answer(pose((x, 0), (200, 0), identity=("", word)), n / 8)
        for n, (x, word) in enumerate(zip(course, ("", "", "stray", ""), strict=True))
    ]
    assert found == [None, True, None, False]


@pytest.mark.parametrize("velocity", ["displacement", "slope"])
def test_both_measures_of_velocity_agree_on_a_steady_walk(velocity: str) -> None:
    comes, stands = going(0, 0, (2, 0), 20), going(200, 0, (0, 0), 20)
    values = {"actor": "anna", "velocity": velocity, "exit_share": 1}
    slower, faster = (made(Approach, speed=s, **values) for s in (59, 61))
    assert answers(slower, comes, stands, fps=30)[-1] is True
    assert answers(faster, comes, stands, fps=30)[-1] is False


def test_distances_limit_an_approach_before_its_speed_is_known() -> None:
    far = made(Approach, speed=50, max_distance=100)
    assert answers(far, going(0, 0, (10, 0)), STANDS) == [False] * 4
    near = made(Approach, speed=50, min_distance=175)
    assert answers(near, going(0, 0, (10, 0)), STANDS) == [None, True, True, False]


def test_who_follows_is_behind() -> None:
    behind, ahead = going(0, 0, (10, 0)), going(40, 0, (10, 0))
    trigger = made(Following, actor="anna", speed=50, distance=60)
    assert answers(trigger, behind, ahead) == [None, True, True, True]
    assert trigger.fulfilled_by == ("anna>bob",)
    assert answers(trigger, ahead, behind)[-1] is False
    assert answers(trigger, behind, going(40, 0, (-10, 0)))[-1] is False
    assert answers(trigger, behind, going(40, 0, (0, 0)))[-1] is False
    assert answers(trigger, behind, going(90, 0, (10, 0)))[-1] is False


def test_a_chase_is_following_at_speed() -> None:
    chasing = made(Chasing, speed=200, distance=60)
    slow = going(0, 0, (10, 0)), going(40, 0, (10, 0))
    fast = going(0, 0, (25, 0)), going(40, 0, (25, 0))
    assert answers(chasing, *slow)[-1] is False
    chasing = made(Chasing, speed=200, distance=60)
    assert answers(chasing, *fast)[-1] is True


def test_contact_is_by_the_parts_of_each() -> None:
    sniffs = pose((0, 0), (14, 0))  # the head of anna at the tail of bob
    values = {"distance": 5, "target_bodyparts": ("tail",)}
    assert made(Contact, "head", actor="anna", **values).answer(sniffs, 0) is True
    assert made(Contact, "head", actor="bob", **values).answer(sniffs, 0) is False
    both = made(Contact, "head", **values)
    assert both.answer(sniffs, 0) is True
    assert both.fulfilled_by == ("anna>bob",)


def test_contact_with_a_part_that_was_not_seen() -> None:
    trigger = made(Contact, "head", "tail", distance=5)
    hidden = pose((0, 0), (14, 0), heads=[(10, 0), (NAN, NAN)])
    assert trigger.answer(hidden, 0) is True
    apart = pose((0, 0), (40, 0), heads=[(10, 0), (NAN, NAN)])
    assert trigger.answer(apart, 0) is None
    assert trigger.answer(pose((0, 0), (40, 0)), 0) is False


@pytest.mark.parametrize("turn", range(0, 360, 15))
def test_facing_is_within_an_angle(turn: int) -> None:
    ahead = 100 * cos(radians(turn)), 100 * sin(radians(turn))
    trigger = made(Facing, "tail", "head", actor="anna", angle=20)
    answer = trigger.answer(pose((0, 0), ahead), 0)
    # the target is the middle of its head and tail: 5 px to the right of `ahead`
    seen = np.degrees(np.arctan2(ahead[1], ahead[0] + 5))
    assert answer is bool(abs(seen) <= 20)


def test_facing_ends_at_a_distance() -> None:
    trigger = made(Facing, "tail", "head", actor="anna", max_distance=50)
    assert trigger.answer(pose((0, 0), (40, 0)), 0) is True
    assert trigger.answer(pose((0, 0), (60, 0)), 0) is False


@pytest.mark.parametrize(
    ("heads", "place", "turned", "expected"),
    [
        ("either", (0, 20), 0, True),
        ("same", (0, 20), 0, True),
        ("opposite", (0, 20), 0, False),
        ("opposite", (0, 20), 180, True),
        ("same", (0, 20), 180, False),
        ("either", (0, 20), 90, False),
        ("either", (20, 0), 0, False),
        ("either", (0, 50), 0, False),
    ],
)
def test_side_by_side(heads: str, place: Place, turned: int, expected: bool) -> None:
    turn = radians(turned)
    way = 10 * cos(turn), 10 * sin(turn)
    middle = 5.0 + place[0], place[1]
    tail = middle[0] - way[0] / 2, middle[1] - way[1] / 2
    two = pose((0, 0), tail, heads=[(10, 0), (tail[0] + way[0], tail[1] + way[1])])
    for actor in ("anna", "bob"):
        trigger = made(
            SideBySide, "tail", "head", actor=actor, distance=30, heads=heads
        )
        assert trigger.answer(two, 0) is expected


def test_a_huddle_needs_rest() -> None:
    near = going(20, 0, (0, 0), 20)
    huddle = made(Huddle, distance=30, radius=3)
    rest = answers(huddle, going(0, 0, (0, 0), 20), near)
    assert rest == [None] * 8 + [True] * 12
    huddle = made(Huddle, distance=30, radius=3)
    assert answers(huddle, going(0, 0, (1, 0), 20), near)[-1] is False
    huddle = made(Huddle, distance=30, radius=3, actor="all")
    far = going(900, 0, (0, 0), 20)
    assert answers(huddle, going(0, 0, (0, 0), 20), near, far)[-1] is False


HOME = "circle 0 0 50"


def test_the_first_to_arrive_stays_it_until_it_leaves() -> None:
    anna = [(90.0, 0.0), (20.0, 0.0), (20.0, 0.0), (20.0, 0.0), (90.0, 0.0)]
    bob = [(-90.0, 0.0), (-90.0, 0.0), (-20.0, 0.0), (-90.0, 0.0), (-90.0, 0.0)]
    first = made(FirstToArrive, region=HOME)
    assert answers(first, anna, bob) == [False, True, True, True, False]
    second = made(FirstToArrive, region=HOME, actor="bob")
    assert answers(second, anna, bob) == [False] * 5


def test_of_two_on_the_same_frame_none_is_first() -> None:
    first = made(FirstToArrive, region=HOME)
    outside, inside = (90.0, 0.0), (0.0, 0.0)
    course = [outside, inside, inside]
    assert answers(first, course, course) == [False, False, False]
    assert answers(made(FirstToArrive, region=HOME), [inside] * 2, [outside] * 2) == [
        None,
        None,
    ]


def test_first_of_all_and_first_of_one_other() -> None:
    outside, inside = (90.0, 0.0), (0.0, 0.0)
    anna, bob, clara = [outside] * 2 + [inside], [inside] * 3, [outside] * 3
    of_all = made(FirstToArrive, region=HOME, actor="anna")
    of_one = made(FirstToArrive, region=HOME, actor="anna", target="any")
    assert answers(of_all, anna, bob, clara)[-1] is False
    assert answers(of_one, anna, bob, clara)[-1] is True


def near(*rows: Place, actor: str, target: str, identity: Sequence[str] = ()) -> Any:
    trigger = made(Contact, distance=20, actor=actor, target=target)
    return trigger.answer(pose(*rows, identity=identity), 0)


A, B, C, D = (0.0, 0.0), (15.0, 0.0), (300.0, 0.0), (900.0, 0.0)


@pytest.mark.parametrize(
    ("actor", "target", "expected"),
    [
        ("anna", "bob", True),
        ("1", "2", True),
        ("anna", "clara", False),
        ("anna", "any", True),
        ("anna", "all", False),
        ("any", "any", True),
        ("clara", "any", False),
        ("all", "any", False),
        ("any", "bob", True),
        ("any", "clara", False),
        ("all", "bob", False),
    ],
)
def test_named_any_and_all(actor: str, target: str, expected: bool) -> None:
    assert near(A, B, C, actor=actor, target=target) is expected


def test_all_are_together() -> None:
    assert near(A, B, (5, 10), actor="all", target="all") is True
    assert near(A, B, (16, 0), actor="all", target="any") is True


@pytest.mark.parametrize(
    ("actor", "target", "expected"),
    [
        ("anna", "bob", True),  # swapped among themselves only: the same
        ("anna", "clara", False),  # neither of the two is near clara
        ("anna", "any", True),
        ("any", "any", True),
        ("clara", "any", False),
    ],
)
def test_an_ambiguity_that_changes_nothing_leaves_it_known(
    actor: str, target: str, expected: bool
) -> None:
    identity = ("doubt1", "doubt1", "")
    assert near(A, B, C, actor=actor, target=target, identity=identity) is expected


@pytest.mark.parametrize(
    ("actor", "target", "expected"),
    [
        ("anna", "bob", None),  # bob may be clara, far away
        ("bob", "clara", False),
        ("anna", "any", True),
        ("bob", "any", None),
        ("any", "any", True),
        ("any", "bob", None),
        ("all", "any", False),
    ],
)
def test_an_ambiguity_that_matters_makes_it_unknown(
    actor: str, target: str, expected: bool | None
) -> None:
    identity = ("", "doubt1", "doubt1")
    assert near(A, B, C, actor=actor, target=target, identity=identity) is expected


def test_a_directed_relation_of_two_that_may_be_swapped_is_unknown() -> None:
    sniffs = pose((0, 0), (14, 0), identity=("doubt1", "doubt1"))
    values = {"distance": 5, "target_bodyparts": ("tail",)}
    assert made(Contact, "head", actor="anna", **values).answer(sniffs, 0) is None
    either = made(Contact, "head", **values)
    assert either.answer(sniffs, 0) is True
    assert either.fulfilled_by == ("?>?",)


def test_lost_and_stray_animals_are_unknown_unless_others_decide() -> None:
    lost = (NAN, NAN)
    assert near(A, lost, C, actor="any", target="any") is None
    assert near(A, B, lost, actor="any", target="any") is True
    assert near(A, lost, C, actor="all", target="any") is None
    assert near(A, C, lost, actor="anna", target="bob") is False
    assert near(A, B, actor="any", target="any", identity=("", "stray")) is None
    assert near(A, actor="any", target="any") is None
    assert near(A, B, actor="anna", target="clara") is None


LABELS = st.sampled_from(["", "doubt1", "doubt2"])
SPOTS = st.tuples(st.integers(0, 40).map(float), st.integers(0, 40).map(float))


@given(st.lists(st.tuples(SPOTS, LABELS), min_size=2, max_size=4), st.data())
def test_the_answer_is_that_of_every_possible_assignment(
    animals: list[tuple[Place, str]], data: st.DataObject
) -> None:
    """The definition: rows of one label may belong to each other's names."""
    words = ["any", "all", *NAMES[: len(animals)]]
    actor, target = data.draw(st.sampled_from(words)), data.draw(st.sampled_from(words))
    if actor == target and actor in NAMES:
        return
    rows, labels = [spot for spot, _ in animals], [label for _, label in animals]
    given_ = near(*rows, actor=actor, target=target, identity=labels)

    possible = set()
    for order in permutations(range(len(rows))):
        moved = [(n, at) for n, at in enumerate(order) if n != at]
        if all(labels[n] and labels[n] == labels[at] for n, at in moved):
            named = [rows[at] for at in order]
            possible.add(near(*named, actor=actor, target=target))
    assert given_ is (possible.pop() if len(possible) == 1 else None)


def test_movement_across_an_ambiguity_is_unknown_until_it_was_seen_again() -> None:
    trigger = made(Approach, speed=50, actor="anna")
    comes = going(0, 0, (10, 0), 8)
    labels = ["", "", "", "doubt1", "exchanged", "", "", ""]
    found = [
        trigger.answer(pose(place, (400, 0), identity=(label, label)), n / 8)
        for n, (place, label) in enumerate(zip(comes, labels, strict=True))
    ]
    assert found == [None, True, True, None, None, True, True, True]


def test_a_huddle_is_known_while_two_may_be_swapped() -> None:
    huddle = made(Huddle, distance=30, radius=3, actor="anna", target="bob")
    for n in range(30):
        rows = [(0.0, 0.0), (20.0, 0.0)]
        label = "doubt1" if n >= 12 else ""
        answer = huddle.answer(
            pose(*rows[:: -1 if n >= 15 else 1], identity=(label, label)), n / 8
        )
        assert answer is (None if n < 8 else True), n


def test_who_arrived_first_is_unknown_after_an_ambiguity_inside() -> None:
    first = made(FirstToArrive, region=HOME, actor="anna")
    outside, inside = (90.0, 0.0), (0.0, 0.0)
    course = [
        (outside, outside, ""),
        (inside, outside, ""),
        (inside, inside, "doubt1"),
        (inside, inside, ""),
        (outside, inside, ""),
        (inside, inside, ""),
    ]
    found = [
        first.answer(pose(anna, bob, identity=(label, label)), n)
        for n, (anna, bob, label) in enumerate(course)
    ]
    assert found == [False, True, None, None, False, False]


def test_a_lost_animal_has_no_velocity_from_before() -> None:
    trigger = made(Approach, speed=50, actor="anna")
    comes = [(0.0, 0.0), (10.0, 0.0), (NAN, NAN), (30.0, 0.0), (40.0, 0.0)]
    assert answers(trigger, comes, STANDS + STANDS[:1]) == [
        None,
        True,
        None,
        None,
        True,
    ]


@pytest.mark.parametrize(
    ("kind", "values", "problem"),
    [
        (Contact, {"distance": 1, "actor": "anna", "target": "anna"}, "is the ACTOR"),
        (
            Huddle,
            {"distance": 1, "radius": 1, "target_bodyparts": ("head",)},
            "TARGET_BODYPARTS",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    kind: type, values: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        made(kind, **values)


def test_each_pair_is_evaluated_once_per_frame() -> None:
    seen: list[tuple[int, int]] = []

    class Noted(PairTrigger):
        def pair_holds(
            self, actor: PairAnimal, target: PairAnimal, time_s: float
        ) -> bool:
            seen.append((actor.index, target.index))
            return False

    Noted(bodyparts=("tail",)).answer(pose(A, B, C, D), 0)
    assert len(seen) == len(set(seen)) == 12
