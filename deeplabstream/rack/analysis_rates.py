"""Analysis rates: how many frames of each camera are analysed, and an alarm for too few."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping

SPAN_NS = 10_000_000_000
"""The rate that an alarm is about is averaged over this time."""
LEAST_SHARE = 0.8
"""A camera with a smaller share of its nominal rate is starved."""
_OVER_SHARE = 0.9
"""From this share on it is starved no more."""


class AnalysisRates:
    """Counts analysed frames; yields a sentence for each camera that becomes starved."""

    def __init__(self) -> None:
        self._frames: Counter[str] = Counter()
        self._seen: dict[str, deque[tuple[int, int]]] = {}
        """By camera: times, and number of frames analysed by then."""
        self._starved: set[str] = set()

    def add(self, camera: str) -> None:
        """Count an analysed frame."""
        self._frames[camera] += 1

    def check(self, nominal: Mapping[str, float], now_ns: int) -> Iterator[str]:
        """Yield a sentence for each camera that has become starved; call it each second.

        `nominal` has the frame rate (1/s) of each camera whose frames are analysed now. A
        camera that is missing in it is measured from the start when it returns.
        """
        for camera in self._seen.keys() - nominal.keys():
            del self._seen[camera]
            self._starved.discard(camera)
        for camera, rate in nominal.items():
            seen = self._seen.setdefault(camera, deque())
            seen.append((now_ns, self._frames[camera]))
            while len(seen) > 2 and seen[1][0] <= now_ns - SPAN_NS:
                seen.popleft()

            (first_ns, first), (last_ns, last) = seen[0], seen[-1]
            if last_ns - first_ns < SPAN_NS:
                continue
            analysed = (last - first) / ((last_ns - first_ns) / 1e9)
            if analysed >= _OVER_SHARE * rate:
                self._starved.discard(camera)
            elif analysed < LEAST_SHARE * rate and camera not in self._starved:
                self._starved.add(camera)
                # without the measured rate: the same alarm is kept once
                yield (
                    f"[Camera {camera}] less than {LEAST_SHARE:.0%} of its {rate:g} "
                    "frames/s are analysed: the camera delivers fewer, or the computer is "
                    "overloaded"
                )
