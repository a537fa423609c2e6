"""Visits to a region: inside or outside on each frame, entries, exits, visits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deeplabstream.analysis.tracks import (
    Bools,
    Floats,
    SpanClock,
    Spans,
    held_state,
    is_known,
    joined,
)
from deeplabstream.core.regions import Region


@dataclass(frozen=True, slots=True)
class VisitRules:
    """Criteria of a visit.

    Short visits count as outside, short absences as inside; the absences are closed first.
    """

    min_visit_s: float = 0.0
    """Shortest visit that counts."""
    min_absence_s: float = 0.0
    """Shortest absence that ends a visit."""
    start_s: float | None = None
    """An animal that is inside at this time has entered then; None: has not."""


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """The visits of one animal to one region."""

    spans: Spans
    """(visit, 2): from the first frame inside to the first frame outside, s. A gap with the
    animal inside before and after it does not end a visit."""
    inside: Bools
    """(frame - 1,): whether the animal is inside in each interval."""
    known: Bools
    """(frame - 1,): whether that is known."""
    entries: Floats
    """(entry,): moments at which it was seen inside for the first time after outside, s."""
    exits: Floats
    """(exit,): moments at which it was seen outside for the first time after inside, s."""


def inside_region(
    region: Region,
    points: NDArray[np.floating],
    rule: Literal["all", "any"] = "all",
    margins: tuple[float, float] = (0.0, 0.0),
) -> tuple[Bools, Bools]:
    """Return on which frames body parts are inside a region, as a trigger evaluates it.

    Parameters
    ----------
    region : Region
        In the unit of the points.
    points : numpy.ndarray of float, shape (frame, body part, 2)
        NaN: not known.
    rule : {"all", "any"}
        Whether all body parts must be inside, or any.
    margins : tuple of float
        Distance inside the border at which the animal has entered, and outside the border at
        which it has left. 0: the state changes at the border.

    Returns
    -------
    inside : numpy.ndarray of bool, shape (frame,)
        False where it is not known.
    known : numpy.ndarray of bool, shape (frame,)
        Frames on which all body parts are known.
    """
    frames, parts = points.shape[:2]
    known = is_known(points)
    together = np.all if rule == "all" else np.any
    flat = points.reshape(-1, 2)
    if not any(margins):
        inside = together(region.contains(flat).reshape(frames, parts), axis=1)
        return inside & known, known
    depths = region.depths(flat).reshape(frames, parts)
    enter, leave = margins
    with np.errstate(invalid="ignore"):
        on = together(depths >= enter, axis=1) & known
        off = ~together(depths >= -leave, axis=1) & known
    return held_state(on, off) & known, known


def visits_of(
    t: Floats,
    inside: Bools,
    known: Bools,
    rules: VisitRules,
    max_gap_s: float = np.inf,
) -> Visits:
    """Return the visits.

    Parameters
    ----------
    t : numpy.ndarray of float64, shape (frame,)
        Time of each frame, s.
    inside, known : numpy.ndarray of bool, shape (frame,)
        What `inside_region` returns. Frames that are not known change nothing.
    rules : VisitRules
        Shortest visit and absence.
    max_gap_s : float
        In intervals longer than this it is not known where the animal is.

    Returns
    -------
    Visits
        The last visit ends with the last known frame if the animal is still inside then.
    """
    certain = known[1:] & known[:-1] & (np.diff(t) <= max_gap_s + 1e-9)
    at = np.flatnonzero(known)
    if not len(at):
        nothing = np.zeros(0)
        return Visits(np.zeros((0, 2)), certain, certain, nothing, nothing)
    edges = np.diff(np.concatenate([[False], inside[at], [False]]).astype(np.int8))
    ends = np.minimum(np.flatnonzero(edges < 0), len(at) - 1)
    spans = np.column_stack([t[at[edges[:-1] > 0]], t[at[ends]]])
    spans = joined(spans, rules.min_absence_s) if rules.min_absence_s else spans
    spans = spans[np.diff(spans).ravel() >= rules.min_visit_s - 1e-9]
    first, last = t[at[0]], t[at[-1]]
    entries = spans[spans[:, 0] > first, 0]
    still_inside = (spans[:, 1] >= last) & inside[at[-1]]
    state = SpanClock(spans).holds(t[:-1])
    if rules.start_s is not None:
        start = np.array([max(rules.start_s, first)])
        start = start[SpanClock(spans).holds(start)]
        entries = np.union1d(entries, start)
    return Visits(spans, state, certain, entries, spans[~still_inside, 1])


def first_arrivals(t: Floats, visits: Visits, others: Sequence[Visits]) -> Floats:
    """Return the entries of an animal, s, while all other animals were elsewhere.

    Parameters
    ----------
    t : numpy.ndarray of float64, shape (frame,)
        Time of each frame, s.
    visits : Visits
        Visits of the animal to a region.
    others : sequence of Visits
        Visits of each other animal to it. An entry while it is not known where one of them is
        does not count.
    """
    at = np.searchsorted(t, visits.entries)
    at, entries = at[at < len(t) - 1], visits.entries[at < len(t) - 1]
    elsewhere = [other.known[at] & ~other.inside[at] for other in others]
    return entries[np.all(elsewhere, axis=0)] if others else entries
