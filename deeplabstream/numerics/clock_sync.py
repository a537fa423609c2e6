"""Clock synchronization: offset and drift of a device's clock, estimated from its frames.

A frame arrives after its device stamped it. The shortest delays show the offset of the two
clocks; longer ones come from a busy computer. The method is that of NTP's minimum filter
(Mills, IEEE Trans. Commun. 39, 1991).
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

_BUCKET_NS = 1_000_000_000
_BUCKETS = 60
_FORWARD_NS, _BACKWARD_NS = 200_000_000, 100_000_000
"""Smallest jump of a device's clock that is distinguished from early and late frames."""
_JUMPED_FRAMES = 3
_RECENT = 5
"""Number of buckets that follow shorter delays at once."""
_AGES = 30
"""Number of frames whose shortest age is kept over a jump."""


@dataclass
class ClockSync:
    """Converts timestamps of the device to the run's clock.

    The delay between exposure and stamp, and the shortest delay between stamp and
    arrival, are not known: all times are late by their sum. A device's clock drifts little;
    what grows faster is the age of frames that wait for the computer. A stamp that goes
    back, or ahead of all time that has passed, shows that the clock was set; a late
    frame does not.
    """

    max_drift_ppm: float = 500.0
    """Largest expected drift of the device's clock against the run's."""
    jump_ns: int = field(default=0, init=False)
    """Jump of the device's clock that the last frame showed; 0: none."""

    def __post_init__(self) -> None:
        self._reset(0)
        self._last_ns = -(2**62)
        self._device_ns = self._arrived_ns = self._step_ns = 0
        self._unexpected: list[int] = []
        """Deviations of the last frames, whose stamps are not accepted yet."""
        self._ages: deque[int] = deque(maxlen=_AGES)

    def moment(self, device_ns: int, arrived_ns: int) -> int:
        """Return the timestamp of a frame on the run's clock, in ns.

        Call it for every frame in order, with growing arrivals. The result is later than
        that of the frame before, and not later than the arrival. A frame whose stamp is not
        accepted gets the time one interval after the frame before, so rather too old a one.
        """
        self.jump_ns = 0
        if not self._minima:
            self._reset(device_ns)
            return self._accept(device_ns, arrived_ns, 0)
        deviation_ns = arrived_ns - self.when(device_ns)
        step_ns = device_ns - self._device_ns
        passed_ns = arrived_ns - self._arrived_ns
        if self._is_unexpected(deviation_ns, step_ns, passed_ns):
            self._unexpected.append(deviation_ns)
            if len(self._unexpected) < _JUMPED_FRAMES:
                return self._after(self._last_ns + self._step_ns, arrived_ns)
            self.jump_ns, age_ns = step_ns - passed_ns, min(self._ages)
            self._reset(device_ns)
            return self._accept(device_ns, arrived_ns, age_ns)
        self._step_ns = max(step_ns, 0)
        if deviation_ns < -_FORWARD_NS:  # all earlier frames were delayed
            self._reset(device_ns)
        return self._accept(device_ns, arrived_ns, 0)

    def _is_unexpected(self, deviation_ns: int, step_ns: int, passed_ns: int) -> bool:
        """Return whether a frame shows another clock than the frames before."""
        ahead = deviation_ns < -_FORWARD_NS and step_ns - passed_ns > _FORWARD_NS
        back = deviation_ns > _BACKWARD_NS and step_ns < 0
        if ahead or back or not self._unexpected:
            return ahead or back
        first_ns = self._unexpected[0]
        near_ns = min(abs(first_ns), _FORWARD_NS) // 2
        return abs(deviation_ns - first_ns) < near_ns

    def _accept(self, device_ns: int, arrived_ns: int, age_ns: int) -> int:
        """Update the estimate from a frame with a known minimum age."""
        self._unexpected.clear()
        self._device_ns, self._arrived_ns = device_ns, arrived_ns
        self._learn(device_ns, arrived_ns - age_ns - device_ns)
        moment_ns = self._after(self.when(device_ns), arrived_ns)
        self._ages.append(arrived_ns - moment_ns)
        return moment_ns

    def when(self, device_ns: int) -> int:
        """Return `device_ns` on the run's clock, by the current estimate."""
        return device_ns + round(self._offset(device_ns))

    @property
    def drift_ppm(self) -> float:
        """Drift of the run's clock against the device's, ppm; NaN before 3 s."""
        return self._slope * 1e6 if len(self._minima) > 3 else float("nan")

    def _reset(self, device_ns: int) -> None:
        self._origin_ns = device_ns
        self._base_ns: int | None = None
        self._minima: deque[tuple[float, float]] = deque(maxlen=_BUCKETS)
        self._bucket = -1
        self._slope, self._level = 0.0, 0.0

    def _learn(self, device_ns: int, behind_ns: int) -> None:
        """Keep the shortest delay of each second, and fit a line to them.

        A delay above all that drift explains is that of a late frame.
        """
        if self._base_ns is None:
            self._base_ns = behind_ns
        place, behind = (
            float(device_ns - self._origin_ns),
            float(behind_ns - self._base_ns),
        )
        bucket = int(place // _BUCKET_NS)
        if bucket != self._bucket:
            if self._minima and behind > self._highest(place):
                return
            self._bucket = bucket
            self._minima.append((place, behind))
        elif behind < self._minima[-1][1]:
            self._minima[-1] = place, behind
        else:
            return
        self._fit()

    def _fit(self) -> None:
        """Fit by the median slope between the halves, which is robust to outliers."""
        places, behinds = np.array(self._minima).T
        half = len(places) // 2
        if len(places) > 3:
            first, second = slice(0, half), slice(len(places) - half, None)
            run = places[second] - places[first]
            rise = behinds[second] - behinds[first]
            slopes = rise[run > 0] / run[run > 0]
            most = self.max_drift_ppm * 1e-6
            slope = float(np.median(slopes)) if len(slopes) else 0.0
            self._slope = min(max(slope, -most), most)
        rest = behinds - self._slope * places
        low, recent = np.quantile(rest, 0.25), np.median(rest[-_RECENT:])
        self._level = float(min(low, recent))

    def _highest(self, place: float) -> float:
        """Return the largest delay: the line at its last point plus the largest drift since."""
        last = self._minima[-1][0]
        drift = self.max_drift_ppm * 1e-6 * (place - last)
        return self._level + self._slope * last + drift

    def _offset(self, device_ns: int) -> float:
        line = self._level + self._slope * (device_ns - self._origin_ns)
        return (self._base_ns or 0) + line

    def _after(self, moment_ns: int, arrived_ns: int) -> int:
        self._last_ns = max(min(moment_ns, arrived_ns), self._last_ns + 1)
        return self._last_ns


@dataclass
class CounterUnwrapper:
    """Unwraps a counter that overflows.

    GigE Vision counts blocks with 16 bits and leaves out 0: `first=1`.
    """

    bits: int = 16
    first: int = 0

    def __post_init__(self) -> None:
        self._last: int | None = None

    def number(self, count: int) -> int:
        """Return the unwrapped count, 0 for the first.

        Steps of up to half the counter's range forward are gaps; anything else is an
        earlier count.
        """
        size = 2**self.bits - self.first
        if self._last is None:
            self._start = count - self.first
            self._last = 0
            return 0
        step = (count - self.first - self._start - self._last) % size
        self._last += step if step <= size // 2 else step - size
        return self._last
