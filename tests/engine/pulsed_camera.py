"""A camera that exposes on the pulses of an emulated board's pin, as a triggered one does.

The emulator writes the edges of the pin into a file (`Powered.watch`).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.plugins.camera import (
    NO_FRAME_YET,
    CameraStream,
    CapturedFrame,
    SynchronisedCamera,
)

WATCHED = 4096
"""Edges that the file holds, emulator.c: at 100 edges/s a reader may be held up for 40 s."""


@settings(frozen=True, kw_only=True)
class PulsedCamera(SynchronisedCamera):
    """Grey frames, one per rising edge from the opening on."""

    file: Path
    """What the emulator writes."""
    rate: float | None = 50.0
    loses: tuple[int, ...] = ()
    """Exposures whose frames are lost on their way, without a gap in the count."""

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        edges = np.memmap(self.file, np.int64, "r")
        seen = int(edges[0]) // 2
        exposures = index = -1

        def read(image: Image) -> CapturedFrame:
            nonlocal seen, exposures, index
            give_up_ns = time.perf_counter_ns() + 1_000_000_000
            while time.perf_counter_ns() < give_up_ns:
                if int(edges[0]) // 2 <= seen:
                    time.sleep(0.001)
                    continue
                wall_ns, level = edges[1 + 2 * (seen % WATCHED) :][:2].tolist()
                seen += 1
                exposures += level
                if level and exposures not in self.loses:
                    index += 1
                    image[:] = index % 256
                    return CapturedFrame(index, wall_ns + 3_000_000, exposures)
            return NO_FRAME_YET

        form = ImageFormat((60, 80), self.rate or 0.0)
        yield CameraStream(form, read, clock="device")
