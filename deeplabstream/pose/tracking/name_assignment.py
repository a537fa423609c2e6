"""Name assignment: which animals of a group may have which names, by the evidence of views.

A view that excludes a name for one animal does not exclude that another one has it: of three
animals, each may have the name of the next. Names are therefore assigned to the whole group.
"""

from collections.abc import Iterable

import numpy as np

from deeplabstream.numerics.assignment import assign
from deeplabstream.pose.tracking.identity_evidence import Array, Mask

_PREFERENCE = 1e-6
"""Preference for the present names where others fit as well."""


def evidence_against(
    costs: Array,
    views: Array,
    most: Array,
    learned: Mask,
    alike: Iterable[tuple[int, int]],
    unknown: float | None = None,
) -> Array:
    """Return the evidence against each name (animal, name) of a group.

    Parameters
    ----------
    costs : numpy.ndarray of float, shape (animal, name)
        Distance of the mean view of each animal to the appearance of each name.
    views : numpy.ndarray of float, shape (animal,)
        Number of views in the mean; one of a part of the animal is that share of a view.
    most : numpy.ndarray of float, shape (animal,)
        Largest evidence of all views of each animal: some may be of another one.
    learned : numpy.ndarray of bool, shape (name,)
        Names whose appearance is known.
    alike : iterable of (int, int)
        Names whose appearance does not distinguish them: they have the same evidence.
    unknown : float or None
        Distance of each animal to an appearance that is not known: one that resembles a known
        name less is likelier another animal. None: nothing speaks against names that are not
        known.
    """
    costs = costs.copy()
    kind = np.arange(costs.shape[1])
    for one, other in alike:
        kind[kind == kind[other]] = kind[one]
    for same in kind:
        columns = kind == same
        costs[:, columns] = costs[:, columns].min(axis=1, keepdims=True)
    if unknown is None:
        best = costs.min(axis=1, where=learned, initial=np.inf, keepdims=True)
        costs = np.where(learned, costs - best, 0.0)
    else:
        costs = np.where(learned, costs, unknown)
        costs -= costs.min(axis=1, keepdims=True)
    return np.asarray((costs * views[:, None]).clip(0.0, most[:, None]))


def best_names(evidence: Array, allowed: Mask) -> list[int]:
    """Return the name of each animal in the likeliest assignment, (animal, name).

    `allowed` (animal, name) must hold for the present names, on the diagonal.
    """
    present = _PREFERENCE * np.eye(len(evidence))
    pairs = assign(np.where(allowed, evidence - present, np.nan))
    return [name for _, name in pairs]


def swap_costs(evidence: Array, allowed: Mask) -> Array:
    """Return (animal, animal): how much worse any assignment is that swaps two names.

    The least evidence against an assignment in which the first animal has the name of the
    second one, or the second that of the first; infinity: there is none. The present names
    must be the likeliest. By shortest paths (Floyd, "Algorithm 97", 1962): each assignment
    consists of cycles, in which each animal takes the name of the next.
    """
    steps = np.where(allowed, evidence - np.diag(evidence)[:, None], np.inf)
    paths = steps.copy()
    for middle in range(len(paths)):
        through = paths[:, [middle]] + paths[[middle], :]
        paths = np.minimum(paths, through)
    cycles = steps + paths.T
    return np.asarray(np.minimum(cycles, cycles.T))
