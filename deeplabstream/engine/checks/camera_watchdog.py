"""Camera watchdog: reports cameras that stop delivering frames, and measures frame rates."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deeplabstream.ipc.ring import Ring

SILENCE_NS = 1_000_000_000
"""A camera that delivered no frame for this long is silent."""


@dataclass
class CameraWatchdog:
    """Detects silent cameras from the frame counters of their rings."""

    _heard: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By camera: frames published, and when that number was new."""
    _silent: set[str] = field(default_factory=set)

    def look(self, rings: Mapping[str, Ring], now_ns: int) -> Iterator[str]:
        """Yield a sentence for each camera that fell silent or came back."""
        for camera, ring in rings.items():
            published = ring.published
            before, since_ns = self._heard.setdefault(camera, (published, now_ns))
            if published != before:
                self._heard[camera] = published, now_ns
                if camera in self._silent:
                    self._silent.discard(camera)
                    seconds = (now_ns - since_ns) / 1e9
                    again = " again" if before else ""
                    yield f"[Camera {camera}] gives frames{again}, after {seconds:.1f} s"
            elif now_ns - since_ns >= SILENCE_NS and camera not in self._silent:
                self._silent.add(camera)
                if ring.awaits_trigger:
                    yield f"[Camera {camera}] waits for its trigger: no pulse came for 1 s"
                else:
                    yield f"[Camera {camera}] has given no frame for 1 s"


SPAN_NS = 2_000_000_000
"""Frame rates are averaged over this time."""


@dataclass
class FrameRateMeter:
    """Measures the frame rate of each camera from its ring."""

    _seen: dict[str, deque[tuple[int, int]]] = field(default_factory=dict)
    """By camera: times, and frames published by then."""

    def look(self, rings: Mapping[str, Ring], now_ns: int) -> None:
        """Count the frames published until now."""
        for camera, ring in rings.items():
            seen = self._seen.setdefault(camera, deque())
            if not seen and not ring.published:
                continue  # it has not begun
            seen.append((now_ns, ring.published))
            while len(seen) > 2 and seen[1][0] <= now_ns - SPAN_NS:
                seen.popleft()

    def forget(self, camera: str) -> None:
        """Start again for a camera that was opened again."""
        self._seen.pop(camera, None)

    @property
    def rates(self) -> dict[str, float]:
        """Frames per second of cameras that delivered for at least a second."""
        found = {}
        for camera, seen in self._seen.items():
            if seen and seen[-1][0] - seen[0][0] >= SPAN_NS // 2:
                (first_ns, first), (last_ns, last) = seen[0], seen[-1]
                found[camera] = (last - first) / ((last_ns - first_ns) / 1e9)
        return found
