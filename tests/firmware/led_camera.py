"""A camera of a rig folder that sees the LED of an emulated board; copy it to `cameras/`.

The emulator writes the edges of a pin into a file (`Powered.watch`). A frame shows the level
that the pin had at its exposure.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import Camera, CameraStream, CapturedFrame, Image, ImageFormat

WATCHED = 4096
"""Edges that the file holds: emulator.c."""


@settings(frozen=True, kw_only=True)
class LedCamera(Camera):
    """A plain floor with an LED."""

    file: Path = Field(description="file that the emulator writes")
    width: int = Field(160, description="px")
    height: int = Field(120, description="px")
    rate: float = Field(100.0, description="frames per second")
    transfer_ms: float = Field(0.0, description="from exposure to arrival")
    floor: int = Field(60, description="grey level of the floor")
    led: int = Field(250, description="grey level of the LED when it is lit")
    exposure_us: float | None = Field(1000.0, description="empty: automatic exposure")
    log: Path | None = Field(None, description="file that gets index, time and level")

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Expose by the clock; a frame that is read late shows what was there in time."""
        edges = np.memmap(self.file, np.int64, "r")
        draw = np.random.default_rng(0)
        noise = draw.integers(-2, 3, (8, self.height, self.width), np.int16)
        period_ns = round(1e9 / self.rate)
        zero_ns = time.perf_counter_ns()
        last = -1
        log = self.log.open("a") if self.log else None

        def read(image: Image) -> CapturedFrame:
            nonlocal last
            now_ns = time.perf_counter_ns()
            transfer_ns = round(self.transfer_ms * 1e6)
            newest = (now_ns - transfer_ns - zero_ns) // period_ns
            last = max(last + 1, newest)
            exposed_ns = zero_ns + last * period_ns
            _wait_until(exposed_ns)
            lit = level_at(edges, exposed_ns)
            floor = self.floor * (0.7 if lit and self.exposure_us is None else 1.0)
            np.clip(floor + noise[last % 8], 0, 255, out=image, casting="unsafe")
            if lit:
                image[20:26, 30:36] = max(self.led, self.floor)
            if log is not None:
                log.write(f"{last} {exposed_ns} {lit}\n")
                log.flush()
            _wait_until(exposed_ns + transfer_ns)
            return CapturedFrame(last, exposed_ns, last)

        form = ImageFormat((self.height, self.width), self.rate)
        yield CameraStream(form, read, knows_losses=True, clock="device")
        if log is not None:
            log.close()


def level_at(edges: "np.ndarray[tuple[int], np.dtype[np.int64]]", time_ns: int) -> int:
    """Return the level of a pin at a time, by the file of the emulator."""
    while True:
        count = int(edges[0])
        pairs = edges[1 : 1 + 2 * WATCHED].reshape(WATCHED, 2).copy()
        if count % 2 == 0 and count == int(edges[0]):
            break
    number = count // 2
    for each in range(number - 1, max(-1, number - WATCHED), -1):
        wall_ns, level = pairs[each % WATCHED]
        if wall_ns <= time_ns:
            return int(level)
    return 0


def _wait_until(time_ns: int) -> None:
    while (left_ns := time_ns - time.perf_counter_ns()) > 0:
        time.sleep(left_ns / 1e9)
