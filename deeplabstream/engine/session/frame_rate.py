"""How many pictures a second each camera really gives."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from deeplabstream.ipc.ring import Ring

SPAN_NS = 2_000_000_000
"""Rates are those of so long a time."""


@dataclass
class FrameRateMeter:
    """Looks at the cameras' rings again and again; remembers only what it needs."""

    _seen: dict[str, deque[tuple[int, int]]] = field(default_factory=dict)
    """By camera: when it was looked at, and the frames published by then."""

    def look(self, rings: Mapping[str, Ring], now_ns: int) -> None:
        """Count the pictures that there are now."""
        for camera, ring in rings.items():
            seen = self._seen.setdefault(camera, deque())
            if not seen and not ring.published:
                continue  # it has not begun
            seen.append((now_ns, ring.published))
            while len(seen) > 2 and seen[1][0] <= now_ns - SPAN_NS:
                seen.popleft()

    def forget(self, camera: str) -> None:
        """Begin anew with a camera that was opened anew."""
        self._seen.pop(camera, None)

    @property
    def rates(self) -> dict[str, float]:
        """Pictures per second, of cameras that gave the first one a second ago or more."""
        found = {}
        for camera, seen in self._seen.items():
            if seen and seen[-1][0] - seen[0][0] >= SPAN_NS // 2:
                (first_ns, first), (last_ns, last) = seen[0], seen[-1]
                found[camera] = (last - first) / ((last_ns - first_ns) / 1e9)
        return found
