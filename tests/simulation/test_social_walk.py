"""Simulated animals with social rules keep the rules, clear of the walls, and turn gradually."""

from functools import lru_cache
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras.simulated import SimulatedCamera
from deeplabstream.core.pair_geometry import FollowLimits, is_following
from deeplabstream.simulation.arena import Arena
from deeplabstream.simulation.social_walk import (
    VERBS,
    SocialGroup,
    SocialRule,
    parse_social_rule,
)
from deeplabstream.simulation.walk import PX_PER_CM

SIZE = (640.0, 480.0)
HEAD = np.zeros(1)
BODY = np.linspace(0, 97, 20)
ALL_RULES = [
    SocialRule(actor, verb, target)
    for actor, target in permutations((1, 2, 3), 2)
    for verb in VERBS
]
rule_sets = st.lists(st.sampled_from(ALL_RULES), min_size=1, max_size=4, unique=True)


def group(*rules: str, seed: int = 0, animals: int = 2) -> SocialGroup:
    return SocialGroup(SIZE, animals, [parse_social_rule(it) for it in rules], seed)


@lru_cache
def gaps(seed: int, *rules: str) -> tuple[np.ndarray, np.ndarray]:
    """Return distances of the first snout to the second body, and the first one's acts."""
    animals = group(*rules, seed=seed)
    one, two = animals.walks
    moments = np.arange(0, 180, 0.1)
    found = [two.along(s, BODY) - one.along(s, HEAD)[0] for s in moments]
    acts = [animals.acts(s)[0].behaviour for s in moments]
    return np.array([np.hypot(*it.T).min() for it in found]), np.array(acts)


@given(st.integers(0, 1000), rule_sets)
@settings(max_examples=10)
def test_every_body_part_stays_clear_of_the_wall(
    seed: int, rules: list[SocialRule]
) -> None:
    arena = Arena((480, 640), seed, shelter=False, animals=3, social=tuple(rules))
    points = np.stack([arena.truth(moment) for moment in np.arange(0, 50, 0.5)])
    assert points.min() > 20
    assert points[..., 0].max() < 620
    assert points[..., 1].max() < 460


@given(st.integers(0, 1000), rule_sets)
@settings(max_examples=20)
def test_bodies_turn_gradually(seed: int, rules: list[SocialRule]) -> None:
    animals = SocialGroup(SIZE, 3, rules, seed)
    for walk in animals.walks:
        path = walk.along(30.0, np.arange(0, walk.travelled(30.0), 16))
        x, y = np.diff(path, axis=0).T
        turns = np.abs(np.diff(np.unwrap(np.arctan2(y, x))))
        # chords of 16 px of a path of straight steps of up to 8.6 px, radius 36 px
        assert turns.max() < (16 + 8.6) / 36
        way = [walk.travelled(moment) for moment in np.arange(0, 30, 0.02)]
        assert 0 <= np.diff(way).min() <= np.diff(way).max() < 0.02 * 40.5 * PX_PER_CM


@given(st.integers(0, 50), st.floats(0, 40), st.floats(0, 40))
@settings(max_examples=20)
def test_the_walk_does_not_depend_on_the_order_of_the_questions(
    seed: int, first_s: float, second_s: float
) -> None:
    one, two = (group("1 attacks 2", "2 avoids 1", seed=seed) for _ in range(2))
    at = [one.walks[1].along(first_s, BODY), one.walks[1].along(second_s, BODY)]
    assert one.acts(first_s) == two.acts(first_s)
    assert np.array_equal(two.walks[1].along(second_s, BODY), at[1])
    assert np.array_equal(two.walks[1].along(first_s, BODY), at[0])


@pytest.mark.parametrize("verb", ["approaches", "follows", "attacks"])
@pytest.mark.parametrize("seed", range(3))
def test_who_seeks_another_is_near_it_in_these_bouts(verb: str, seed: int) -> None:
    apart, acts = gaps(seed, f"1 {verb} 2")
    during = acts == verb
    assert 0.15 < during.mean() < 0.75
    assert np.median(apart[during]) < 40
    assert np.median(apart[~during]) > 50
    assert set(acts) == {verb, "explores", "rests"}


@pytest.mark.parametrize("seed", range(3))
def test_who_avoids_another_keeps_away(seed: int) -> None:
    free, _ = gaps(seed, "1 follows 2")
    avoiding, acts = gaps(seed, "1 avoids 2")
    assert (free < 60).mean() > 0.2
    assert (avoiding < 60).mean() < 0.03
    assert set(acts) <= {"avoids", "explores", "rests"}


@pytest.mark.parametrize("seed", range(3))
def test_an_attacked_animal_flees_and_is_reached(seed: int) -> None:
    apart, acts = gaps(seed, "1 attacks 2", "2 avoids 1")
    assert (apart[acts == "attacks"] < 45).mean() > 0.3
    assert (apart[acts != "attacks"] < 45).mean() < 0.2


def test_a_follower_walks_behind() -> None:
    animals = group("1 follows 2", seed=4)
    one, two = animals.walks
    seen: dict[bool, list[bool]] = {True: [], False: []}
    limits = FollowLimits(speed=40, distance=200, angle=60)
    for moment in np.arange(0.1, 180, 0.1):
        heads = [walk.along(moment, HEAD)[0] for walk in (one, two)]
        before = [walk.along(moment - 0.1, HEAD)[0] for walk in (one, two)]
        speeds = [(head - then) / 0.1 for head, then in zip(heads, before, strict=True)]
        way = two.along(moment, np.array([50.0]))[0] - heads[0]
        follows = animals.acts(moment)[0].behaviour == "follows"
        seen[follows].append(is_following(*map(tuple, (*speeds, way)), limits))
    assert np.mean(seen[True]) > 3 * np.mean(seen[False])
    assert np.sum(seen[True]) > 60


def test_animals_rest() -> None:
    animals = group("1 approaches 2", seed=1)
    walk = animals.walks[1]
    ends = [
        moment
        for moment in np.arange(1, 60, 0.1)
        if {animals.acts(moment - ago)[1].behaviour for ago in (0, 0.6)} == {"rests"}
    ]
    assert len(ends) > 20
    for moment in ends:
        assert walk.travelled(moment) - walk.travelled(moment - 0.1) < 3


def test_the_camera_shows_the_rules_and_knows_what_the_animals_do() -> None:
    camera = SimulatedCamera(animals=2, shelter=False, social=["1 attacks 2"])
    acts = camera.arena.acts(2.0)
    assert len(acts) == 2
    assert acts[1].behaviour in ("explores", "rests")
    assert camera.arena_view.social == (SocialRule(1, "attacks", 2),)
    assert camera.where(60).shape == (2, 4, 2)
    assert SimulatedCamera(animals=2).arena.acts(2.0) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 bites 2", "expected ANIMAL approaches|follows|avoids|attacks ANIMAL"),
        ("1 attacks", "expected ANIMAL"),
        ("one attacks 2", "expected the numbers of two animals"),
        ("2 attacks 2", "two different animals"),
        ("0 attacks 2", "two different animals"),
    ],
)
def test_a_rule_that_is_none_is_a_sentence(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected.replace("|", r"\|")):
        parse_social_rule(text)


def test_a_rule_names_only_animals_that_there_are() -> None:
    with pytest.raises(ValueError, match="SOCIAL = 1 attacks 3: there are 2 animals"):
        SimulatedCamera(animals=2, social=["1 attacks 3"])
