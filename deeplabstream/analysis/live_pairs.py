"""Measures so far of an animal and another one: their distance, and contacts."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import dist, inf, nan

from deeplabstream.analysis.running_bouts import RunningBouts

_Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ContactRule:
    """What is a contact, as in `AnalysisOptions`."""

    distance: float
    bodyparts: tuple[int, ...] = ()
    """Indices of the body parts of the animal; empty: the positions count."""
    target_bodyparts: tuple[int, ...] = ()
    """Indices of those of the other animal."""

    @property
    def is_symmetric(self) -> bool:
        """Whether a contact of two animals is one in both directions."""
        return self.bodyparts == self.target_bodyparts


class LivePair:
    """Totals of an animal and another one, with the attributes of a `TargetPart`."""

    def __init__(self, rule: ContactRule | None, zero_s: float) -> None:
        self._rule = rule
        self._distance: float | None = None
        self._is_near: bool | None = None
        """Whether there was a contact on the last frame; None: unknown."""
        self._known_s = self._sum = 0.0
        self._least = inf
        self.contact = RunningBouts(0.0, zero_s)
        """The contacts."""

    @property
    def mean_distance(self) -> float:
        """Mean distance over time; NaN: never known."""
        return self._sum / self._known_s if self._known_s else nan

    @property
    def min_distance(self) -> float:
        """Shortest distance; NaN: never known."""
        return self._least if self._known_s else nan

    def add_position(
        self,
        time_s: float,
        interval_s: float,
        own: _Place | None,
        other: _Place | None,
    ) -> None:
        """Add the positions of a frame; None: unknown.

        `interval_s`: time since the last frame; 0: a gap in the frames.
        """
        before = self._distance
        self._distance = None if own is None or other is None else dist(own, other)
        if interval_s and before is not None and self._distance is not None:
            self._known_s += interval_s
            self._sum += before * interval_s
            self._least = min(self._least, before)

        if self._rule is not None and not self._rule.bodyparts:
            is_near = None
            if self._distance is not None:
                is_near = self._distance <= self._rule.distance
            self._add_contact(time_s, interval_s, is_near)

    def add_parts(
        self,
        time_s: float,
        interval_s: float,
        own: Sequence[_Place | None],
        other: Sequence[_Place | None],
    ) -> None:
        """Add the body parts of a frame whose nearest distance counts; None: unknown."""
        limit = self._rule.distance if self._rule is not None else -1.0
        is_near: bool | None = False
        for one in own:
            for place in other:
                if one is None or place is None:
                    # it matters only while no others touch
                    is_near = is_near or None
                elif dist(one, place) <= limit:
                    is_near = True
        self._add_contact(time_s, interval_s, is_near)

    def _add_contact(
        self, time_s: float, interval_s: float, is_near: bool | None
    ) -> None:
        """Extend the contact by the interval before a frame, or end it."""
        if interval_s and self._is_near and is_near is not None:
            self.contact.hold(time_s - interval_s, time_s)
        else:
            self.contact.end()
        self._is_near = is_near
