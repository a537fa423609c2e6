"""Clock synchronisation: offset and drift of a device's clock, estimated from its frames.

A frame arrives after its device stamped it. The shortest delays show the offset of the two
clocks; longer ones come from a busy computer. The method is that of NTP's minimum filter
(Mills, IEEE Trans. Commun. 39, 1991).
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

_BUCKET_NS = 1_000_000_000
_BUCKETS = 60
_JUMP_NS = 200_000_000
_JUMPED_FRAMES = 3


@dataclass
class ClockSync:
    """Converts timestamps of the device to the run's clock.

    The delay between exposure and stamp, and the shortest delay between stamp and
    arrival, are not known: all times are late by their sum.
    """

    jumps: int = 0
    """How often the device's clock was set while frames arrived."""
    outliers: int = 0
    """Frames whose timestamp was ignored."""

    def __post_init__(self) -> None:
        self._strange = 0
        self._forget(0)
        self._last_ns = -(2**62)

    def moment(self, device_ns: int, arrived_ns: int) -> int:
        """Return the timestamp of a frame on the run's clock, in ns.

        Call it for every frame in order. The result is not later than the arrival, and
        later than that of the frame before.
        """
        behind_ns = arrived_ns - device_ns
        if not self._minima:
            self._forget(device_ns)
        surprise_ns = behind_ns - self._offset(device_ns) if self._minima else 0
        if surprise_ns < -_JUMP_NS or surprise_ns > 5 * _JUMP_NS:
            self._strange += 1
            if self._strange < _JUMPED_FRAMES:
                self.outliers += 1
                return self._after(arrived_ns, arrived_ns)
            self.jumps += 1
            self.outliers -= self._strange - 1
            self._forget(device_ns)
        self._strange = 0
        self._learn(device_ns, behind_ns)
        return self._after(device_ns + round(self._offset(device_ns)), arrived_ns)

    def when(self, device_ns: int) -> int:
        """Return `device_ns` on the run's clock, by the current estimate."""
        return device_ns + round(self._offset(device_ns))

    @property
    def drift_ppm(self) -> float:
        """Drift of the run's clock against the device's, ppm; NaN before 3 s."""
        return self._slope * 1e6 if len(self._minima) > 3 else float("nan")

    @property
    def residual_ns(self) -> float:
        """Median residual of the shortest delays, ns; NaN before 3 s."""
        if len(self._minima) < 3:
            return float("nan")
        place, behind = np.array(self._minima).T
        distance = behind - (self._level + self._slope * place)
        return float(np.median(np.abs(distance)))

    def _forget(self, device_ns: int) -> None:
        self._origin_ns = device_ns
        self._base_ns: int | None = None
        self._minima: deque[tuple[float, float]] = deque(maxlen=_BUCKETS)
        self._bucket = -1
        self._slope, self._level = 0.0, 0.0
        self._strange = 0

    def _learn(self, device_ns: int, behind_ns: int) -> None:
        """Keep the shortest delay of each second, and fit a line to them."""
        if self._base_ns is None:
            self._base_ns = behind_ns
        place, behind = (
            float(device_ns - self._origin_ns),
            float(behind_ns - self._base_ns),
        )
        bucket = int(place // _BUCKET_NS)
        if bucket != self._bucket:
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
            self._slope = float(np.median(slopes)) if len(slopes) else 0.0
        rest = behinds - self._slope * places
        self._level = float(np.quantile(rest, 0.25))

    def _offset(self, device_ns: int) -> float:
        line = self._level + self._slope * (device_ns - self._origin_ns)
        return (self._base_ns or 0) + line

    def _after(self, moment_ns: int, arrived_ns: int) -> int:
        self._last_ns = max(min(moment_ns, arrived_ns), self._last_ns + 1)
        return self._last_ns


@dataclass
class CounterUnwrapper:
    """Unwraps a counter that starts again at its end.

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
