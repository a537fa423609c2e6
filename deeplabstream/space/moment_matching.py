"""Moment matching: frames of several cameras that show the same moment, as they are analysed.

The rule is that of `space.exposure_matching`: times of exposure, never the order of arrival.
It depends on the frames alone, not on a clock, so a re-run matches the same frames.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from deeplabstream.space.exposure_matching import PERIOD_QUANTILE

MISSED = 3
"""Moments in a row without a view, after which a camera is not waited for."""
_STEPS = 100
"""Times between two frames of a camera that its period is computed from."""
View = TypeVar("View")


@dataclass(frozen=True, slots=True)
class Moment(Generic[View]):
    """Views of one moment that has ended."""

    at: int
    """Earliest exposure of its views in ns, or the number of their pulse."""
    views: dict[str, View]
    """By camera; cameras that gave none are missing."""


class MomentMatcher(Generic[View]):
    """Matches the frames of cameras to moments, in the order in which they are analysed.

    A moment ends when each expected camera, and at least two, have given a view, or with the
    first frame of a later one. A camera without a view in the last `MISSED` moments is not
    expected. Times of moments increase. `numbered`: frames come with the number of their pulse
    in place of a time, and one moment has one number.
    """

    def __init__(self, cameras: Sequence[str], numbered: bool = False) -> None:
        self._missed = dict.fromkeys(cameras, 0)
        self._periods = {} if numbered else {camera: _Period() for camera in cameras}
        self._half = 0
        self._views: dict[str, View] = {}
        self._begun = 0
        self._ended: tuple[int, frozenset[str]] | None = None
        """Time or pulse, and cameras, of the last moment that ended."""
        self.late = 0
        """Frames of moments that had ended: they are not used."""

    def add(self, camera: str, at: int, view: View) -> Moment[View] | None:
        """Add a frame, exposed `at` this ns or pulse; return the moment that ends with it."""
        if self._periods and self._periods[camera].add(at):
            self._half = self._shortest_period() // 2

        if self._views and self._belongs(camera, at):
            self._views[camera] = view
            self._begun = min(self._begun, at)
            return self._end() if self._complete else None
        if self._is_late(camera, at):
            self.late += 1
            return None

        # a frame of a later moment: nothing of the earlier one is waited for any more
        before = self._end() if self._views else None
        self._views, self._begun = {camera: view}, at
        return before

    @property
    def expected(self) -> frozenset[str]:
        """The cameras whose views are waited for."""
        return frozenset(c for c, missed in self._missed.items() if missed < MISSED)

    @property
    def _complete(self) -> bool:
        return len(self._views) > 1 and self.expected <= self._views.keys()

    def _belongs(self, camera: str, at: int) -> bool:
        """Return whether a frame belongs to the moment that has begun."""
        after_last = self._ended is None or at > self._ended[0]
        near = abs(at - self._begun) <= self._half
        return near and after_last and camera not in self._views

    def _is_late(self, camera: str, at: int) -> bool:
        """Return whether a frame belongs to a moment that has ended."""
        if self._views and at <= self._begun:
            return True
        if self._views or self._ended is None:
            return False

        ended_at, cameras = self._ended
        is_of_it = abs(at - ended_at) <= self._half and camera not in cameras
        if is_of_it:
            # it was not expected, and has returned: the next moment waits for it
            self._missed[camera] = 0
        return is_of_it or at <= ended_at

    def _end(self) -> Moment[View]:
        ended = Moment(self._begun, self._views)
        for camera in self._missed:
            self._missed[camera] += 1
            if camera in ended.views:
                self._missed[camera] = 0
        self._ended = ended.at, frozenset(ended.views)
        self._views = {}
        return ended

    def _shortest_period(self) -> int:
        known = [period.ns for period in self._periods.values() if period.ns]
        return int(min(known, default=0))


class _Period:
    """Time between two frames of one camera: the low quantile of the last ones."""

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._steps: deque[int] = deque()
        self._sorted: list[int] = []
        self.ns = 0.0
        """As `numpy.quantile` computes it; 0: not known."""

    def add(self, time_ns: int) -> bool:
        """Add a frame; return whether the period was computed again."""
        last_ns, self._last_ns = self._last_ns, time_ns
        if last_ns is None or time_ns <= last_ns:
            return False
        if len(self._steps) == _STEPS:
            del self._sorted[bisect_left(self._sorted, self._steps.popleft())]
        self._steps.append(time_ns - last_ns)
        insort(self._sorted, time_ns - last_ns)

        place = PERIOD_QUANTILE * (len(self._sorted) - 1)
        below, share = self._sorted[int(place)], place % 1
        above = self._sorted[min(int(place) + 1, len(self._sorted) - 1)]
        self.ns = below + share * (above - below)
        return True
