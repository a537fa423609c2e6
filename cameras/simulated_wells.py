"""Simulated camera above a plate of wells: all positions are known, no device is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from pydantic import Field
from pydantic.dataclasses import dataclass

from deeplabstream.plugin import (
    Camera,
    CameraStream,
    CapturedFrame,
    Image,
    ImageFormat,
    SystemClock,
)
from deeplabstream.simulation.camera_model import DriverBuffer, ExposureClock
from deeplabstream.simulation.wells import Wells

_EARLY_NS = 20_000_000


@dataclass(frozen=True, kw_only=True)
class SimulatedWells(Camera):
    """Simulated flies, one in each well of a plate, seen from above."""

    width: int = Field(640, ge=64, le=4096, description="width of the frame, pixels")
    height: int = Field(480, ge=64, le=4096, description="height of the frame, pixels")
    rate: float = Field(30.0, gt=0, le=2000, description="frames per second")
    seed: int = Field(0, ge=0, description="seed of the walks and the noise")
    rows: int = Field(2, ge=1, le=16, description="rows of wells")
    columns: int = Field(3, ge=1, le=24, description="columns of wells")
    noise: float = Field(
        2.0, ge=0, le=50, description="noise of the frames, in grey levels of 255"
    )
    frames: int = Field(
        0, ge=0, description="number of frames until the stream ends; 0: no end"
    )

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Compute the plate; the first `read` starts the stream.

        As with `SimulatedCamera`, a late reader gets the frames of the driver's buffer, and
        those that are exposed while it is full are lost.
        """
        wells, clock, buffer = self.wells, SystemClock(), DriverBuffer()
        timing: ExposureClock | None = None

        def read(image: Image) -> CapturedFrame | None:
            nonlocal timing
            if timing is None:
                timing = ExposureClock(self.rate)
            buffer.expose(timing.exposed(clock.now_ns()))
            index = buffer.take()
            if self.frames and index >= self.frames:
                return None
            timing.wait(index, early_ns=_EARLY_NS)
            wells.draw(image, timing.time_s(index), index)
            return CapturedFrame(index, timing.wait(index), index)

        yield CameraStream(ImageFormat(self.shape, self.rate), read, knows_losses=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its images, which are grey."""
        return self.height, self.width

    @cached_property
    def wells(self) -> Wells:
        """The simulated scene."""
        return Wells(self.shape, self.rows, self.columns, self.seed, self.noise)
