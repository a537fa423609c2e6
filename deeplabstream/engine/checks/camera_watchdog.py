"""Notices cameras that fall silent, and when they speak again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deeplabstream.ipc.ring import Ring

SILENCE_NS = 1_000_000_000
"""A camera that gave no picture for so long is silent."""


@dataclass
class CameraWatchdog:
    """Looks at the cameras' rings again and again, and says what changed."""

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
                    yield f"[Camera {camera}] gives pictures{again}, after {seconds:.1f} s"
            elif now_ns - since_ns >= SILENCE_NS and camera not in self._silent:
                self._silent.add(camera)
                if ring.awaits_pulse:
                    yield f"[Camera {camera}] waits for its trigger: no pulse came for 1 s"
                else:
                    yield f"[Camera {camera}] has given no picture for 1 s"
