"""A camera of a rig folder that sees a virtual X screen; copy it to `cameras/`.

Xvfb keeps its pixels in a file (`-fbdir`), in the format of `xwd`. A frame shows every fourth
pixel as it is at the exposure.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import Camera, CameraStream, CapturedFrame, Image, ImageFormat

STEP = 4
"""Of the screen's pixels, in each direction, one is a pixel of the frame."""


@settings(frozen=True, kw_only=True)
class ScreenCamera(Camera):
    """A plain floor with a screen on it."""

    file: Path = Field(description="file in which Xvfb keeps its pixels")
    left: int = Field(0, description="column of the screen at the frame's left edge")
    width: int = Field(160, description="px")
    height: int = Field(120, description="px")
    rate: float = Field(100.0, description="frames per second")
    transfer_ms: float = Field(0.0, description="from exposure to arrival")
    floor: int = Field(60, description="grey level of the floor")
    exposure_us: float | None = Field(1000.0, description="empty: automatic exposure")
    log: Path | None = Field(None, description="file that gets index, time and level")

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Expose by the clock."""
        screen = pixels(self.file)[::STEP, self.left :: STEP]
        draw = np.random.default_rng(0)
        noise = draw.integers(-2, 3, (8, self.height, self.width), np.int16)
        period_ns = round(1e9 / self.rate)
        zero_ns = time.perf_counter_ns()
        last = -1
        log = self.log.open("a") if self.log else None

        def read(image: Image) -> CapturedFrame:
            nonlocal last
            transfer_ns = round(self.transfer_ms * 1e6)
            now_ns = time.perf_counter_ns()
            last = max(last + 1, (now_ns - zero_ns) // period_ns + 1)
            _wait_until(zero_ns + last * period_ns)
            exposed_ns = time.perf_counter_ns()
            seen = screen[: self.height, : self.width].astype(np.int16)
            lit = int(seen.max() > 128)
            floor = self.floor * (0.7 if lit and self.exposure_us is None else 1.0)
            shown = floor + noise[last % 8]
            shown[: seen.shape[0], : seen.shape[1]] += 0.7 * seen
            np.clip(shown, 0, 255, out=image, casting="unsafe")
            if log is not None:
                log.write(f"{last} {exposed_ns} {lit}\n")
                log.flush()
            _wait_until(exposed_ns + transfer_ns)
            return CapturedFrame(last, exposed_ns, last)

        form = ImageFormat((self.height, self.width), self.rate)
        yield CameraStream(form, read, knows_losses=True, clock="device")
        if log is not None:
            log.close()


def pixels(file: Path) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    """Return the green of each pixel of Xvfb's screen; it changes as the screen does."""
    header = np.fromfile(file, ">u4", 20)
    width, height, line, colours = (int(header[n]) for n in (4, 5, 12, 19))
    start = int(header[0]) + 12 * colours
    raw = np.memmap(file, np.uint8, "r", start, (height, line))
    return raw.reshape(height, -1, 4)[:, :width, 1]


def _wait_until(time_ns: int) -> None:
    while (left_ns := time_ns - time.perf_counter_ns()) > 0:
        time.sleep(left_ns / 1e9)
