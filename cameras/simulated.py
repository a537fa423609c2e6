"""A camera above a drawn arena: every point of the animals is known, nothing is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from deeplabstream import (
    Camera,
    CameraStream,
    CapturedFrame,
    Image,
    ImageFormat,
    SystemClock,
    Value,
)
from deeplabstream.simulation.arena import MOST_ANIMALS, Arena
from deeplabstream.simulation.camera_model import DriverBuffer, ExposureClock, Lens

_FLIGHT = 4.0
_LONG_NS, _SLACK_NS = 1_000_000_000, 200_000


@dataclass(frozen=True, kw_only=True)
class SimulatedCamera(Camera):
    """Mice that walk about in an arena, seen from above."""

    width: int = Field(640, ge=64, le=4096, description="width of the frame, pixels")
    height: int = Field(480, ge=64, le=4096, description="height of the frame, pixels")
    rate: float = Field(30.0, gt=0, le=2000, description="frames per second")
    seed: int = Field(0, ge=0, description="another number, another walk")
    animals: int = Field(
        1,
        ge=1,
        le=MOST_ANIMALS,
        description="how many mice; they meet, touch and cross again and again",
    )
    alike: bool = Field(
        True,
        description="whether all are black; if not, they are black, white, brown and "
        "grey, in this order",
    )
    shelter: bool = Field(
        True, description="whether there is a roof that hides an animal now and then"
    )
    grey: bool = Field(False, description="grey frames instead of colour")
    noise: float = Field(
        2.0, ge=0, le=50, description="noise of the frames, in grey levels of 255"
    )
    exposure_us: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="exposure time, microseconds: twice as long is twice as bright, 10000 "
        "as bright as without; a longer one than 1/RATE makes it slower, as with real cameras",
    )
    gain: float = Field(
        0.0, ge=-20, le=20, description="gain, dB: 6 is about twice as bright"
    )
    frames: int = Field(
        0, ge=0, description="number of frames until the stream ends; 0: no end"
    )

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Draw the arena; the first reading starts the walk.

        A picture is drawn just before its tick and there at its tick: exposure and
        read-out take no time, and drawing it does not slow who looks at the one before.
        Exposures go by the device's own clock, whoever reads when, as with a real camera:
        who reads late gets the pictures that wait in the driver's buffer, oldest first;
        those that found it full are lost at the device, and `index` jumps.
        """
        arena, clock, buffer = self.arena, SystemClock(), DriverBuffer()
        lens = Lens(self.rate, self.exposure_us, self.gain)
        tempo: ExposureClock | None = None
        last, ahead_s, lead_ns = -1, 0.0, _LONG_NS

        def read(image: Image) -> CapturedFrame | None:
            nonlocal tempo, last, ahead_s, lead_ns
            if tempo is None:
                tempo = ExposureClock(lens.real_rate)
            buffer.expose(tempo.exposed(clock.now_ns()))
            index = buffer.take()
            steps, last = index - last, index
            if self.frames and index >= self.frames:
                return None
            tempo.wait(index, early_ns=lead_ns)
            began_ns = clock.now_ns()
            if self.startled():
                ahead_s += (_FLIGHT - 1) * steps / tempo.rate
            arena.draw(image, tempo.time_s(index) + ahead_s, index)
            lens.expose(image)
            drawn_ns = clock.now_ns() - began_ns
            lead_ns = max(lead_ns * 7 // 8, 2 * drawn_ns + _SLACK_NS)
            return CapturedFrame(index, tempo.wait(index), index)

        def set_control(key: str, value: Value) -> bool:
            nonlocal tempo
            if not lens.set_control(key, value):
                return False
            if tempo is not None and tempo.rate != lens.real_rate:
                tempo = tempo.changed(lens.real_rate, last + 1)
            return True

        form = ImageFormat(self.shape, lens.real_rate)
        yield CameraStream(
            form,
            read,
            knows_losses=True,
            controls=lens.controls,
            set_control=set_control,
        )

    def startled(self) -> bool:
        """Return whether the animals take flight: run on four times as fast.

        Asked for each picture. They never do, unless a subclass looks at an output: so a
        test closes a loop in one process.
        """
        return False

    def where(self, index: int) -> NDArray[np.float32]:
        """Return (animal, 4, 2), px, of picture `index`: see `Arena.truth`.

        As long as nobody changes its rate while it films.
        """
        lens = Lens(self.rate, self.exposure_us, self.gain)
        return self.arena.truth(index / lens.real_rate)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its pictures."""
        return (self.height, self.width) if self.grey else (self.height, self.width, 3)

    @cached_property
    def arena(self) -> Arena:
        """What it looks at."""
        return Arena(
            self.shape, self.seed, self.shelter, self.noise, self.animals, self.alike
        )
