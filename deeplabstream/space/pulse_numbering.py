"""Pulse numbering: frames of triggered cameras get the number of the pulse that exposed them.

A camera's frame number differs from that of the pulse: after each pulse that the camera missed,
it is one too low. A time alone can be late, and then seems to be of the next pulse. A frame gets
a number if both agree within half a period.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

WINDOW = 24
"""Frames of a camera that show how its numbers belong to times."""
_LONGEST = 4 * WINDOW
"""Frames of its line later: the longer, the less late ones bend it."""
_TRUSTED = 6
"""Frames in a row without agreement from which on a camera's line counts for no other."""
ALONE = 20 * WINDOW
"""Frames without a number after which a camera is reported."""
_GROUPS, _STRAIGHT = 4, 0.15
"""Parts of a window, and the largest deviation, in periods, of the earliest frame of each."""
_SURE = 0.25
"""Largest deviation, in periods, with which the numbers of two cameras are related."""
_AGREES = 0.5
"""Largest deviation of a frame from the time that its number predicts, in periods."""

_Point: TypeAlias = tuple[int, int]
"""Frame number and time in ns."""


@dataclass(frozen=True, slots=True)
class PulsedFrame:
    """A frame whose pulse is known."""

    number: int
    """Of the pulse; the same for all cameras. Grows, and may skip numbers."""
    time_ns: int
    """Time of exposure that the number predicts, without this frame's own delay."""


class PulseNumbers:
    """Numbers the frames of cameras that expose on the same regular pulses.

    Each camera's times follow a line over its frame numbers, that of its shortest delays.
    Lines of two cameras show which numbers belong together; their shortest delays must differ
    by less than a quarter of a period. It depends on the frames alone, not on a clock, so a
    re-run gives the same numbers.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        self._cameras = {camera: _CameraNumbers() for camera in cameras}
        self._highest = -1
        self.messages: tuple[str, ...] = ()
        """What the last frame has shown: slips, and numbers that fit none."""

    def add(self, camera: str, index: int, time_ns: int) -> PulsedFrame | None:
        """Return the pulse of a frame with its number at the device; None: not certain."""
        own = self._cameras[camera]
        self.messages = ()
        if own.offset is not None:
            if not own.continues(index):
                own.drop()
            elif self._is_certain(own, index, time_ns):
                own.accept(index, time_ns)
                return self._numbered(own, index)
            else:
                own.disagreeing.append((index, time_ns))
                return None

        own.gather(index, time_ns)
        others = self._recent_others(own, time_ns)
        offsets = {own.offset_to(other) for other in others if other.is_trusted}
        if not others:
            offsets = {self._highest + 1 - index}
        offset = offsets.pop() if len(offsets) == 1 else None
        if not own.is_regular or offset is None:
            self._report_alone(camera, own)
            return None
        self._anchor(camera, own, offset, bool(others))
        if not self._is_certain(own, index, time_ns):
            return None
        return self._numbered(own, index)

    def expected(self, camera: str, index: int, time_ns: int) -> PulsedFrame | None:
        """Return the pulse that `add` would give to a camera's next frame; change nothing.

        Its time is predicted without this frame. None also while the camera's numbers are not
        related to the pulses.
        """
        own = self._cameras[camera]
        if own.offset is None or not own.continues(index):
            return None
        return own.pulsed(index) if self._is_certain(own, index, time_ns) else None

    def _numbered(self, own: "_CameraNumbers", index: int) -> PulsedFrame:
        pulsed = own.pulsed(index)
        self._highest = max(self._highest, pulsed.number)
        return pulsed

    def _is_certain(self, own: "_CameraNumbers", index: int, time_ns: int) -> bool:
        """Return whether the number of a frame agrees with its time and with other cameras."""
        return own.agrees(index, time_ns) and self._agrees_with_others(
            own, index, time_ns
        )

    def _recent_others(
        self, own: "_CameraNumbers", time_ns: int
    ) -> list["_CameraNumbers"]:
        """Return the other cameras that have numbers, and whose last frame is not long ago."""
        return [
            other
            for other in self._cameras.values()
            if other is not own
            and other.offset is not None
            and time_ns - other.last[1] <= other.reach * other.period_ns
        ]

    def _agrees_with_others(
        self, own: "_CameraNumbers", index: int, time_ns: int
    ) -> bool:
        """Return whether other cameras predict about the same time for a number.

        A camera whose delay has grown to a period would else seem right after a missed pulse.
        """
        predicted_ns = own.predicted_ns(index)
        number = index + (own.offset or 0)
        for other in self._recent_others(own, own.last[1]):
            if not other.is_trusted:
                continue
            expected_ns = other.predicted_ns(number - (other.offset or 0))
            if abs(expected_ns - predicted_ns) > _AGREES * own.period_ns:
                return False
            if abs(time_ns - expected_ns) > (_AGREES + _SURE) * own.period_ns:
                return False
        return True

    def _anchor(
        self, camera: str, own: "_CameraNumbers", offset: int, is_related: bool
    ) -> None:
        """Relate a camera's numbers to the pulses, and report that they have moved."""
        before = own.before
        own.offset, own.before, own.alone = offset, offset, 0
        if not is_related:
            # the first camera: numbers of cameras that were lost meanwhile do not count
            for other in self._cameras.values():
                if other is not own:
                    other.drop()
                    other.before = None
            return
        if before is not None and before != offset:
            missed = offset - before
            what = f"missed {missed}" if missed > 0 else f"counted {-missed} too many"
            self.messages = (
                f"[Camera {camera}] {what} of the pulses: its frame numbers have moved, its "
                "views were not used meanwhile; check its trigger cable, exposure and rate",
            )

    def _report_alone(self, camera: str, own: "_CameraNumbers") -> None:
        own.alone += 1
        if own.alone == ALONE:
            self.messages = (
                f"[Camera {camera}]: its frame numbers and times fit no pulses, so its views "
                "are not used; check its trigger, or set MATCH = times in [Space]",
            )


class _CameraNumbers:
    """Numbers and times of the last frames of one camera, and the line of the earliest."""

    def __init__(self) -> None:
        self._points: deque[_Point] = deque(maxlen=_LONGEST)
        self.origin: _Point = 0, 0
        """A point of the line."""
        self.period_ns = 0.0
        """Slope of the line; 0: not known."""
        self.offset: int | None = None
        """Pulse number minus frame number; None: not known."""
        self.before: int | None = None
        """The offset that was known last."""
        self.disagreeing: list[_Point] = []
        """Frames in a row whose time and number disagree."""
        self.alone = 0
        """Frames since the offset was known."""

    @property
    def last(self) -> _Point:
        return self._points[-1]

    @property
    def is_trusted(self) -> bool:
        """Whether its line is of the present."""
        return len(self.disagreeing) < _TRUSTED

    @property
    def reach(self) -> int:
        """Numbers for which the line holds behind its last frame."""
        return max(WINDOW, (self._points[-1][0] - self._points[0][0]) // 2)

    @property
    def is_regular(self) -> bool:
        """Whether the line holds for all of a full window: no number in it has slipped."""
        points = list(self._points)
        if len(points) < WINDOW or self.period_ns <= 0:
            return False
        size = WINDOW // _GROUPS
        limit_ns = _STRAIGHT * self.period_ns
        return all(
            min(time - self.predicted_ns(index) for index, time in points[at:][:size])
            <= limit_ns
            for at in range(0, WINDOW, size)
        )

    def continues(self, index: int) -> bool:
        """Return whether the line can be extended to a number, and did not disagree for long."""
        follows = 0 < index - self.last[0] <= self.reach
        return follows and len(self.disagreeing) < WINDOW

    def predicted_ns(self, index: int) -> float:
        """Return the earliest time of the frame with a number."""
        number, time_ns = self.origin
        return time_ns + (index - number) * self.period_ns

    def pulsed(self, index: int) -> PulsedFrame:
        """Return the pulse of a number whose offset is known."""
        return PulsedFrame(index + (self.offset or 0), round(self.predicted_ns(index)))

    def agrees(self, index: int, time_ns: int) -> bool:
        """Return whether a frame was exposed within half a period of its number's time."""
        late_ns = time_ns - self.predicted_ns(index)
        return abs(late_ns) <= _AGREES * self.period_ns

    def offset_to(self, other: "_CameraNumbers") -> int | None:
        """Return what a number of this camera lacks to that of its pulse; None: not certain."""
        if self.period_ns <= 0 or other.offset is None:
            return None
        # a number that slipped within the window bends the line
        bend_ns = abs(self.period_ns - other.period_ns) * self.reach
        if bend_ns > _AGREES * other.period_ns:
            return None
        # in the middle of the window, where the line is known best
        index = (self._points[0][0] + self.last[0]) // 2
        number, time_ns = other.origin
        periods = (self.predicted_ns(index) - time_ns) / other.period_ns
        exact = periods + number + other.offset - index
        return round(exact) if abs(exact - round(exact)) <= _SURE else None

    def gather(self, index: int, time_ns: int) -> None:
        """Add a frame before the offset is known."""
        if self._points and index <= self._points[-1][0]:
            self._points.clear()
        while len(self._points) >= WINDOW:
            self._points.popleft()
        self.accept(index, time_ns)

    def accept(self, index: int, time_ns: int) -> None:
        """Add a frame, and fit the line."""
        self.disagreeing.clear()
        self._points.append((index, time_ns))
        if len(self._points) > 1:
            self.origin, self.period_ns = _earliest_line(self._points)

    def drop(self) -> None:
        """Discard the offset; disagreeing frames are the first of a new line."""
        if self.offset is None:
            return
        self.offset = None
        self._points.clear()
        self._points.extend(self.disagreeing)
        self.disagreeing.clear()


def _earliest_line(points: Sequence[_Point] | deque[_Point]) -> tuple[_Point, float]:
    """Return a point and the slope of the line below all points, close to most of them.

    It is the edge of their lower convex hull below the middle of their numbers, which grow.

    >>> _earliest_line([(0, 0), (1, 17), (2, 20), (3, 38), (4, 41), (5, 50)])
    ((0, 0), 10.0)
    """
    hull: list[_Point] = []
    for point in points:
        while len(hull) > 1 and not _is_convex(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    middle = (hull[0][0] + hull[-1][0]) / 2
    edges = pairwise(hull)
    first, second = next(edge for edge in edges if edge[1][0] >= middle)
    return first, (second[1] - first[1]) / (second[0] - first[0])


def _is_convex(first: _Point, second: _Point, third: _Point) -> bool:
    """Return whether the line bends upwards at the second point."""
    rise, ahead = second[1] - first[1], third[0] - second[0]
    return rise * ahead < (third[1] - second[1]) * (second[0] - first[0])
