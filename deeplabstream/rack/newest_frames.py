"""Newest frames: the newest frame of each camera of a rack, read from the rings of its boxes."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cv2

from deeplabstream.core.clock import Clock
from deeplabstream.core.frame import Frame, Image
from deeplabstream.ipc.ring import RingReader, foreign_ring
from deeplabstream.rack.box_views import BoxView
from deeplabstream.rack.shown_steps import ShownStep, decode

INTERVAL_NS = 400_000_000
"""Shortest time between two shown frames of a camera, whatever the number of viewers."""

PATIENCE_NS = 1_000_000_000
"""Time without an analysed frame after which frames without poses are shown."""


@dataclass
class _Ring:
    """A ring of a running box, and when a frame of it was last read."""

    reader: RingReader
    steps: RingReader | None = None
    """Poses of the analysed frames; None: there are none yet."""
    read_ns: int | None = None
    step_ns: int | None = None
    """When a frame with its pose was last read."""

    def close(self) -> None:
        """Unmap it."""
        self.reader.close()
        if self.steps is not None:
            self.steps.close()


class NewestFrames:
    """Reads the rings of the boxes; never waits for a camera, and no camera for it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rings: dict[tuple[str, str], _Ring] = {}

    def follow(self, boxes: Sequence[BoxView]) -> None:
        """Map the rings that the boxes report; unmap those of streams that have ended."""
        wanted = {
            (box.name, camera): spec
            for box in boxes
            if box.runs and box.status is not None
            for camera, spec in box.status.rings.items()
        }
        for key, mapped in list(self._rings.items()):
            if wanted.get(key) != mapped.reader.spec:
                del self._rings[key]
                mapped.close()
        for key in wanted.keys() - self._rings.keys():
            # the stream may have ended after the report
            with suppress(OSError, ValueError):
                self._rings[key] = _Ring(RingReader(foreign_ring(wanted[key])))
        self._follow_steps(boxes)

    def _follow_steps(self, boxes: Sequence[BoxView]) -> None:
        """Map the rings of the poses; those of one camera stay until its frames end."""
        for box in boxes:
            for camera, spec in (box.status.steps if box.status else {}).items():
                ring = self._rings.get((box.name, camera))
                if ring is not None and ring.steps is None:
                    with suppress(OSError, ValueError):
                        ring.steps = RingReader(foreign_ring(spec))

    def has(self, box: str, camera: str) -> bool:
        """Return whether a camera streams."""
        return (box, camera) in self._rings

    def newest(
        self, box: str, camera: str, interval_ns: int = INTERVAL_NS
    ) -> Frame | None:
        """Return the newest frame; None: there is no newer one, or it is too early.

        The image is valid until the next call for this camera.
        """
        ring, now_ns = self._rings.get((box, camera)), self._clock.now_ns()
        if ring is None:
            return None
        if ring.read_ns is not None and now_ns - ring.read_ns < interval_ns:
            return None
        frame = ring.reader.newest()
        if frame is not None:
            ring.read_ns = now_ns
        return frame

    def newest_step(
        self, box: str, camera: str, interval_ns: int = INTERVAL_NS
    ) -> tuple[Frame, ShownStep | None] | None:
        """Return the newest analysed frame and its step, as `newest` does.

        Without a step for `PATIENCE_NS`, it is the newest frame.
        """
        ring, now_ns = self._rings.get((box, camera)), self._clock.now_ns()
        if ring is None or ring.steps is None:
            frame = self.newest(box, camera, interval_ns)
            return None if frame is None else (frame, None)
        if ring.read_ns is not None and now_ns - ring.read_ns < interval_ns:
            return None
        text = ring.steps.newest()
        shown = None if text is None else decode(text.image)
        frame = None if shown is None else ring.reader.of(shown.step.index)
        if frame is not None:
            ring.read_ns = ring.step_ns = now_ns
            return frame, shown
        if ring.step_ns is not None and now_ns - ring.step_ns < PATIENCE_NS:
            return None
        frame = self.newest(box, camera, interval_ns)
        return None if frame is None else (frame, None)

    def close(self) -> None:
        """Unmap all rings."""
        self.follow(())


def reduced(image: Image, width: int) -> Image:
    """Return an image that is at most `width` px wide, in the same proportions.

    Parameters
    ----------
    image : numpy.ndarray of uint8 or uint16, shape (height, width, 3) or (height, width)
        BGR or grey.
    width : int
        Largest width, px.
    """
    height, wide = image.shape[:2]
    if wide <= width:
        return image
    size = width, max(round(height * width / wide), 1)
    small: Any = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small  # type: ignore[no-any-return]
