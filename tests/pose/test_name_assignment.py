"""Names of a group are assigned together, and a pair is decided when no assignment swaps it."""

from itertools import permutations

import numpy as np
import pytest

from deeplabstream.pose.tracking.name_assignment import (
    best_names,
    evidence_against,
    swap_costs,
)

ALL = np.ones((3, 3), bool)


def test_a_name_excluded_for_one_animal_may_be_that_of_another() -> None:
    """Animal 1 is not 0; but 0 may be 1, 1 may be 2, and 2 may be 0."""
    evidence = np.zeros((3, 3))
    evidence[1, 0] = 40
    assert swap_costs(evidence, ALL)[0, 1] == 0
    evidence[1, 2] = 40  # now it is itself
    worse = swap_costs(evidence, ALL)
    assert worse[0, 1] == worse[1, 2] == 40
    assert worse[0, 2] == 0


@pytest.mark.parametrize("seed", range(20))
def test_swap_costs_are_those_of_all_assignments(seed: int) -> None:
    random = np.random.default_rng(seed)
    animals = int(random.integers(2, 6))
    evidence = random.uniform(0, 40, (animals, animals))
    allowed = random.random(evidence.shape) < 0.8
    allowed |= allowed.T | np.eye(animals, dtype=bool)

    def cost(names: tuple[int, ...]) -> float:
        if not allowed[range(animals), names].all():
            return np.inf
        return float(evidence[range(animals), names].sum())

    every = list(permutations(range(animals)))
    best = min(every, key=cost)
    assert best_names(evidence, allowed) == list(best)
    evidence, allowed = evidence[:, best], allowed[:, best]  # the likeliest are present
    worse = swap_costs(evidence, allowed)
    for one in range(animals):
        for other in range(one):
            swaps = [n for n in every if n[one] == other or n[other] == one]
            expected = min(map(cost, swaps)) - cost(tuple(range(animals)))
            assert worse[one, other] == pytest.approx(expected)


def test_present_names_are_kept_without_evidence() -> None:
    assert best_names(np.zeros((3, 3)), ALL) == [0, 1, 2]


def test_names_alike_and_unlearned_have_no_evidence_against_each_other() -> None:
    costs = np.array([[1.0, 9.0, 30.0, 50.0]])
    views, most = np.array([2.0]), np.array([16.0])
    learned = np.array([True, True, True, False])
    against = evidence_against(costs, views, most, learned, [])
    assert against.tolist() == [[0, 16, 16, 0]]
    against = evidence_against(costs, views, most, learned, [(0, 1)])
    assert against.tolist() == [[0, 0, 16, 0]]
    against = evidence_against(costs, views, most, learned, [(1, 2), (0, 1)])
    assert against.tolist() == [[0, 0, 0, 0]]


def test_a_view_of_a_part_counts_less_and_no_view_decides_more_than_another() -> None:
    costs = np.array([[0.0, 6.0, 90.0]])
    half, most = np.array([0.5]), np.array([8.0])
    against = evidence_against(costs, half, most, np.ones(3, bool), [])
    assert against.tolist() == [[0, 3, 8]]


def test_an_animal_that_resembles_a_known_name_less_is_likelier_an_unknown_one() -> (
    None
):
    costs = np.array([[1.0, 0.0], [30.0, 0.0]])
    views, most = np.array([2.0, 2.0]), np.array([16.0, 16.0])
    learned = np.array([True, False])
    against = evidence_against(costs, views, most, learned, [], unknown=4.0)
    assert against.tolist() == [[0, 6], [16, 0]]
