"""Linear assignment: pairs of the least total cost (Hungarian method)."""

from math import inf

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Return the assignment of rows to columns with the least total cost.

    Kuhn, "The Hungarian method for the assignment problem", 1955, with the shortest
    augmenting paths of Jonker and Volgenant, 1987. For a few animals, plain Python is
    faster than a library, whose import takes longer than a thousand calls.

    Parameters
    ----------
    costs : numpy.ndarray of float, shape (row, column)
        NaN and infinity: the pair is not allowed.

    Returns
    -------
    list of tuple of int
        Pairs (row, column) in order of rows, each row and column once at most. As many
        pairs as possible are made.

    >>> assign(np.array([[0.8, 0.85], [0.1, 0.8]]) * -1)
    [(0, 0), (1, 1)]
    """
    count, width = costs.shape
    if not count or not width:
        return []
    if count > width:
        return sorted((row, column) for column, row in assign(costs.T))
    allowed = np.isfinite(costs)
    if not allowed.any():
        return []
    spread = float(np.ptp(costs[allowed])) + 1
    never = float(costs[allowed].max()) + spread * (count + 1)
    table = np.where(allowed, costs, never).tolist()
    rows = _shortest_paths(table, count, width)
    return [(row, column) for row, column in rows if allowed[row, column]]


def _shortest_paths(
    table: list[list[float]], count: int, width: int
) -> list[tuple[int, int]]:
    """Return the best assignment of all rows; index 0 of the lists is the start node."""
    of_row, of_column = [0.0] * (count + 1), [0.0] * (width + 1)
    owner = [0] * (width + 1)
    for row in range(1, count + 1):
        owner[0], at = row, 0
        least, before = [inf] * (width + 1), [0] * (width + 1)
        done = [False] * (width + 1)
        while owner[at]:
            done[at] = True
            own, step, following = owner[at], inf, 0
            costs, paid = table[own - 1], of_row[own]
            for column in range(1, width + 1):
                if done[column]:
                    continue
                cost = costs[column - 1] - paid - of_column[column]
                if cost < least[column]:
                    least[column], before[column] = cost, at
                if least[column] < step:
                    step, following = least[column], column
            for column in range(width + 1):
                if done[column]:
                    of_row[owner[column]] += step
                    of_column[column] -= step
                else:
                    least[column] -= step
            at = following
        while at:
            owner[at] = owner[before[at]]
            at = before[at]
    return sorted((owner[c] - 1, c - 1) for c in range(1, width + 1) if owner[c])
