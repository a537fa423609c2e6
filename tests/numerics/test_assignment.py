from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.numerics.assignment import assign


def best(costs: np.ndarray) -> tuple[int, float]:
    """Return the most pairs that can be made, and their least sum, by trying all ways."""
    rows, columns = costs.shape
    if rows > columns:
        return best(costs.T)
    found = []
    for order in permutations(range(columns), rows):
        chosen = costs[range(rows), order]
        there = np.isfinite(chosen)
        found.append((-int(there.sum()), float(chosen[there].sum())))
    count, cost = min(found)
    return -count, cost


@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    forbidden=st.floats(0, 0.8),
)
def test_no_other_way_costs_less(
    rows: int, columns: int, seed: int, forbidden: float
) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.normal(0, 10, (rows, columns))
    costs[rng.random((rows, columns)) < forbidden] = rng.choice([np.nan, np.inf])
    pairs = assign(costs)
    assert len({row for row, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    count, cost = best(costs)
    assert len(pairs) == count
    assert np.isclose(sum(costs[pair] for pair in pairs), cost)


def test_there_may_be_nobody() -> None:
    assert assign(np.empty((0, 3))) == []
    assert assign(np.empty((2, 0))) == []
    assert assign(np.full((2, 2), np.inf)) == []
